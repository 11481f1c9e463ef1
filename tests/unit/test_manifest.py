from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO, FileIO
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from support import load_schema, tolokers

from runner.errors import LaterError, SurroundingsError
from runner.manifest.appender import Appender
from runner.manifest.attempts import NotFound, Settled
from runner.manifest.file import add_word, open_file, read_history
from runner.manifest.history import History
from runner.manifest.kinds import LINES
from runner.manifest.lines import Event, intent_event, line_of, new_event, outcome_event
from runner.manifest.reading import DamageError, read_state
from runner.manifest.state import ManifestState
from runner.model import (
    Delivery,
    Direct,
    Everyone,
    Filtered,
    InThread,
    Message,
    NoRecipients,
    Place,
    Recipients,
    Rejected,
    Sent,
    Thread,
)

TARGET = "https://toloka.example"
RUN: Mapping[str, object] = {
    "run": "0123abcd",
    "version": "0.1.0",
    "actor": "ann",
    "commit": "c0ffee",
}
TREE = {"and": [{"category": "skill", "key": "224", "operator": "GTE", "value": 80}]}
DIGEST = "sha256:" + "0" * 64
HEADER = new_event("manifest", version=1, target=TARGET)


def delivery(recipients: Recipients | Sequence[str] = ("a", "b"), **changes: object) -> Delivery:
    whom = Direct(tuple(recipients)) if isinstance(recipients, (list, tuple)) else recipients
    message = Message(
        id="m",
        revision=1,
        source="messages/m.yaml",
        topic={"EN": "Hello"},
        text={"EN": "Dear you"},
        answerable=True,
        recipients=whom,  # type: ignore[arg-type]
        digest=DIGEST,
    )
    return Delivery(message=replace(message, **changes), recipients=whom)  # type: ignore[arg-type]


def sent(thread: str = "63c15866757a4a1adad1d632", account: str | None = "acc") -> Sent:
    return Sent(Thread(id=thread, created="2026-11-22T21:00:00.321", account=account))


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results" / "toloka.example.jsonl"


def write(path: Path, *recipients: Sequence[str], outcome: Settled | None = None) -> list[str]:
    """Record deliveries, each with this outcome."""
    with open_file(path, TARGET, RUN) as manifest:
        ids = [manifest.intend(delivery(list(each))) for each in recipients]
        for each in ids:
            if outcome is not None:
                manifest.settle(each, outcome)
    return ids


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def state_of(*events: Event) -> ManifestState:
    """Read the lines of events."""
    return read_state(BytesIO(b"".join(map(line_of, events))))[0]


# --- round trip -----------------------------------------------------------------------------------

OUTCOMES: list[Settled | None] = [
    None,
    sent(),
    Rejected(status=400, code="VALIDATION_ERROR", detail="HTTP 400: no"),
    Rejected(status=None, code=None, detail="not connected"),
    NoRecipients("HTTP 409: nobody"),
    NotFound(),
]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=str)
@pytest.mark.parametrize(
    "recipients", [("a", "b"), Filtered(TREE), Everyone(), InThread("t7")], ids=str
)
def test_what_is_written_is_read_back_and_keeps_to_the_schema(
    path: Path, recipients: Recipients | Sequence[str], outcome: Settled | None
) -> None:
    one = delivery(recipients)
    with open_file(path, TARGET, RUN) as manifest:
        name = manifest.intend(one)
        if outcome is not None:
            manifest.settle(name, outcome)
        open_history = manifest.history()
    history = read_history(path, TARGET)
    # The run has written its end since.
    assert history == replace(open_history, is_whole=True)
    (attempt,) = history.attempts
    assert (attempt.delivery, attempt.message, attempt.revision) == (name, "m", 1)
    assert (attempt.source, attempt.digest) == ("messages/m.yaml", DIGEST)
    assert attempt.recipients_ids == one.people
    assert attempt.select_type == one.recipients.select_type
    assert attempt.recipients_filter == (TREE if isinstance(recipients, Filtered) else None)
    assert (attempt.action, attempt.in_thread) == (
        ("reply", "t7") if isinstance(recipients, InThread) else ("compose", None)
    )
    assert attempt.is_unknown == (outcome is None)
    assert attempt.was_sent == isinstance(outcome, Sent)
    if isinstance(outcome, Sent):
        assert attempt.thread_id == outcome.thread.id
    elif isinstance(outcome, (Rejected, NoRecipients, NotFound)):
        assert attempt.outcome == outcome
    validator = Draft7Validator(load_schema("manifest"))
    for line in lines(path):
        assert [error.message for error in validator.iter_errors(line)] == []


def test_the_first_lines_name_the_target_the_account_and_who_sends(path: Path) -> None:
    write(path, "a", outcome=sent())
    header, run, intent, outcome, account, end = lines(path)
    assert (header["event"], header["version"], header["target"]) == ("manifest", 1, TARGET)
    assert (account["event"], account["account"]) == ("account", "acc")
    assert {**RUN, "event": "run"}.items() <= run.items()
    assert (intent["event"], intent["recipients_ids"]) == ("intent", ["a"])
    assert (outcome["event"], outcome["created"]) == ("sent", "2026-11-22T21:00:00.321Z")
    assert intent["delivery"] == outcome["delivery"]
    assert (intent["run"], end["event"], end["run"]) == (RUN["run"], "end", RUN["run"])


def test_everything_else_that_a_manifest_holds_is_read_back(path: Path) -> None:
    one = delivery(["a"])
    with open_file(path, TARGET, RUN) as manifest:
        (adopted,) = manifest.adopt([(one, sent("t1"))])
        test = manifest.intend(delivery(["me"]), is_test=True)
        manifest.settle(test, sent("t2"))
        manifest.leave_out(one.message, ["x", "y"])
        (attempt,) = manifest.history().attempts
        manifest.note_folders(attempt, ["IMPORTANT"])
    history = read_history(path, TARGET)
    assert [each.delivery for each in history.attempts] == [adopted]
    assert history.thread_ids == {"t1", "t2"}
    assert history.suppressed == {("m", 1): {"x", "y"}}
    assert history.folders == {"t1": ("IMPORTANT",)}
    validator = Draft7Validator(load_schema("manifest"))
    for line in lines(path):
        assert [error.message for error in validator.iter_errors(line)] == []
    assert lines(path)[2]["adopted"] is True


def test_an_intent_is_on_disk_when_the_call_returns_and_every_id_is_fresh(path: Path) -> None:
    with open_file(path, TARGET, RUN) as manifest:
        names = []
        for number in range(3):
            names.append(manifest.intend(delivery([f"t{number}"])))
            on_disk = [line for line in lines(path) if line["event"] == "intent"]
            assert [line["delivery"] for line in on_disk] == names
    assert len(set(names)) == 3


def test_a_run_with_nothing_to_do_leaves_no_trace(path: Path) -> None:
    with open_file(path, TARGET, RUN) as manifest:
        assert manifest.history() == History()
    # Windows removes no file that is open.
    assert not path.exists() or (os.name == "nt" and path.stat().st_size == 0)
    write(path, "a")
    before = path.read_bytes()
    with open_file(path, TARGET, RUN) as manifest:
        assert len(manifest.history().attempts) == 1
    assert path.read_bytes() == before
    assert read_history(path.with_name("gone.jsonl"), TARGET) == History()


def test_a_later_run_appends(path: Path) -> None:
    write(path, "a", outcome=sent("t1"))
    before = path.read_bytes()
    write(path, "b", outcome=sent("t2"))
    assert path.read_bytes().startswith(before)
    assert [line["event"] for line in lines(path)] == [
        *("manifest", "run", "intent", "sent", "account", "end"),
        *("run", "intent", "sent", "end"),
    ]


def test_the_account_is_recorded_once_when_it_is_known(path: Path) -> None:
    write(path, "a", outcome=sent("t1", account=None))
    before = path.read_bytes()
    assert read_history(path, TARGET).account is None
    write(path, "b", "c", outcome=sent("t2"))
    assert path.read_bytes().startswith(before)
    assert [line["account"] for line in lines(path) if line["event"] == "account"] == ["acc"]
    history = read_history(path, TARGET)
    assert (history.account, len(history.attempts)) == ("acc", 3)
    validator = Draft7Validator(load_schema("manifest"))
    for line in lines(path):
        assert [error.message for error in validator.iter_errors(line)] == []


def test_an_account_that_is_known_before_the_first_line_stands_in_it(path: Path) -> None:
    with open_file(path, TARGET, RUN) as manifest:
        manifest.check_account("acc")
        assert path.read_bytes() == b""
        manifest.settle(manifest.intend(delivery(["a"])), sent())
    assert lines(path)[0]["account"] == "acc"
    assert "account" not in [line["event"] for line in lines(path)]


def test_the_history_is_one_value_until_more_is_recorded(path: Path) -> None:
    with open_file(path, TARGET, RUN) as manifest:
        before = manifest.history()
        assert manifest.history() is before
        name = manifest.intend(delivery(["a"]))
        after = manifest.history()
        assert (before.unknown, [each.delivery for each in after.unknown]) == ((), [name])


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps two writers apart")
def test_whoever_writes_hears_that_somebody_has_stopped_it(path: Path) -> None:
    word = new_event("stop", reason="it is wrong", actor="ann")
    with open_file(path, TARGET, RUN) as manifest:
        # Nothing can stand before the first line.
        assert not add_word(path, TARGET, word)
        first = manifest.intend(delivery(["a"]))
        assert add_word(path, TARGET, word)
        # What is known is written down all the same.
        manifest.settle(first, sent())
        with pytest.raises(LaterError, match=r"^ann stopped all sending at .*: it is wrong$"):
            manifest.intend(delivery(["b"]))
    history = read_history(path, TARGET)
    assert (history.is_whole, history.open) == (True, ())
    assert [each.was_sent for each in history.attempts] == [True, False]
    assert history.stopped is not None


def test_what_came_behind_what_was_read_is_heard_too(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"read\nmeanwhile\n")
    heard: list[bytes] = []
    with FileIO(path, "a+") as stream:
        Appender(stream, hear=heard.append, begin=len(b"read\n")).append(b"ours\n")
    assert heard == [b"meanwhile\nours\n"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_manifest_is_its_owners_alone_and_an_older_one_becomes_so(path: Path) -> None:
    for name in ("a", "b"):
        write(path, name)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o644)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


# --- another target, another account --------------------------------------------------------------


def test_the_manifest_of_another_target_is_refused(path: Path) -> None:
    write(path, "a")
    said = (
        "results/toloka.example.jsonl is the manifest of https://toloka.example, not of "
        "https://other.example: name another with --manifest, or move this one away"
    )
    with pytest.raises(SurroundingsError) as caught:
        read_history(path, "https://other.example")
    assert str(caught.value) == said
    with (
        pytest.raises(SurroundingsError) as caught,
        open_file(path, "https://other.example", RUN),
    ):
        pass
    assert str(caught.value) == said
    assert len(read_history(path, None).attempts) == 1


def test_another_account_is_refused_but_what_was_sent_is_written(path: Path) -> None:
    write(path, "a", outcome=sent("t1"))
    with open_file(path, TARGET, RUN) as manifest:
        name = manifest.intend(delivery(["b"]))
        with pytest.raises(SurroundingsError) as caught:
            manifest.settle(name, sent("t2", account="other"))
        manifest.check_account("acc")
        manifest.check_account(None)
    assert str(caught.value) == (
        "results/toloka.example.jsonl is the manifest of account acc, and the token belongs to "
        "other: use that account's token, or another --manifest"
    )
    history = read_history(path, TARGET)
    assert history.account == "acc"
    assert {attempt.thread_id for attempt in history.attempts} == {"t1", "t2"}


# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "torn", [b'{"event":"int', b"\0" * 40, b'{"event":"intent"', b"x", b"\xff", b"5"]
)
def test_a_torn_last_line_is_repaired(path: Path, torn: bytes) -> None:
    write(path, "a")
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    # Looking repairs nothing, and does not stumble over it either.
    assert len(read_history(path, TARGET).attempts) == 1
    assert path.read_bytes() == whole + torn
    write(path, "b")
    assert path.read_bytes().startswith(whole + b'{"event":"run"')
    assert len(read_history(path, TARGET).attempts) == 2


def test_a_last_line_without_its_end_is_whole(path: Path) -> None:
    write(path, "a")
    whole = path.read_bytes()
    path.write_bytes(whole.rstrip(b"\n"))
    assert len(read_history(path, TARGET).attempts) == 1
    with open_file(path, TARGET, RUN):
        pass
    assert path.read_bytes() == whole


def test_a_file_of_nothing_but_a_torn_line_begins_anew(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b'{"event":"mani')
    write(path, "a")
    assert [line["event"] for line in lines(path)] == ["manifest", "run", "intent", "end"]


GOOD = (
    line_of(
        {"event": "manifest", "version": 1, "target": TARGET, "at": "2026-11-22T21:00:00.000Z"}
    ),
    line_of(intent_event("d1", delivery(["a"]))),
    line_of(outcome_event("d1", sent(), "answer")),
)


def claim(delivery: str, row: str = "t1 0123456789abcdef") -> bytes:
    """A line of intents that were written short."""
    about = {"message": "m", "revision": 1, "source": "m.yaml", "rows": [row], "at": HEADER["at"]}
    return json.dumps({"event": "claim", "delivery": delivery, **about}).encode()


@pytest.mark.parametrize(
    ("number", "line", "reason"),
    [
        (2, b"{torn", "not a line of a manifest"),
        (2, b"[]", "not a line of a manifest"),
        (2, b"5", "not a line of a manifest"),
        (2, b"\xff\xfe", "not a line of a manifest"),
        (2, b"[" * 100_000, "not a line of a manifest"),
        (2, b"{}", "not a line of a manifest"),
        (2, b"<<<<<<< HEAD", "not a line of a manifest"),
        (2, b'{"event":"sending"}', "unknown event 'sending': written by a later version?"),
        (2, b'{"event":"intent","delivery":"d9"}', "no text under 'message'"),
        (2, b'{"event":"sent","delivery":"d1"}', "no text under 'thread_id'"),
        (2, b'{"event":"sent","delivery":"d1","thread_id":""}', "no text under 'thread_id'"),
        (2, GOOD[1].replace(b'"a"', b"5").strip(), "no list of texts under 'recipients_ids'"),
        (3, GOOD[1].replace(b'"m"', b'"n"').strip(), "two intents with one delivery id"),
        (3, GOOD[1].replace(b'["a"]', b'["b"]').strip(), "two intents with one delivery id"),
        (2, GOOD[1].replace(b'"a"]', b'"a"],"place":[1]').strip(), "no two numbers under 'place'"),
        (2, re.sub(b'"at":"[^"]+', b'"at":"2026-02-30T21:00:00.000Z', GOOD[1]).strip(), "no time under 'at'"),
        (2, GOOD[2].replace(b'"created":"2026', b'"created":"now').strip(), "no time under 'created'"),
        (2, b'{"event":"run","x":[1\n2]}', "not a line of a manifest"),
        (2, claim("d1"), "no number at the end of 'delivery'"),
        (2, claim("0" * 32, "t1"), "no Toloker and digest in a row under 'rows'"),
        (2, claim("0" * 32, "t1 0123456789abcdef a b"), "no Toloker and digest in a row under 'rows'"),
        (2, GOOD[0].replace(b"toloka.", b"other.").strip(), "it names two targets"),
        (1, GOOD[1].strip(), "the first line does not name the target"),
        (1, GOOD[0].replace(b":1,", b":2,").strip(), "written by a later version"),
        (1, GOOD[0].replace(TARGET.encode(), b"").strip(), "no text under 'target'"),
    ],
)  # fmt: skip
def test_any_other_damage_is_refused_with_its_line(
    path: Path, number: int, line: bytes, reason: str
) -> None:
    whole = list(GOOD)
    whole.insert(number - 1, line + b"\n")
    path.parent.mkdir()
    path.write_bytes(b"".join(whole))
    said = (
        f"results/toloka.example.jsonl:{number}:1: error: the manifest is damaged ({reason}); "
        "take a copy of it that is whole: nothing was sent"
    )
    with pytest.raises(SurroundingsError) as caught:
        read_history(path, TARGET)
    assert str(caught.value) == said
    with pytest.raises(SurroundingsError), open_file(path, TARGET, RUN):
        pass
    assert path.read_bytes() == b"".join(whole)


def test_damage_far_down_is_refused_with_its_line() -> None:
    pairs = [
        (intent_event(f"d{number}", delivery()), outcome_event(f"d{number}", sent(), "answer"))
        for number in range(1_000)
    ]
    whole = [line_of(HEADER), *(line_of(event) for pair in pairs for event in pair)]
    whole.insert(1_800, b"torn\n")
    with pytest.raises(DamageError) as caught:
        read_state(BytesIO(b"".join(whole)))
    assert caught.value.line == 1_801


STOP = '{"event":"stop","reason":"r","at":"2026-11-22T21:00:00.402Z"'
OPEN = '{"event":"alive","x":[{}'


@pytest.mark.parametrize(
    ("lines", "damaged"),
    [
        (['{"event":"alive"', '"x":1}'], 2),
        ([STOP, '"x":1}', '{"event":"alive"},{"event":"alive"}'], 2),
        (['{"event":"alive"},{"event":"alive"}', OPEN, "{}]}"], 2),
        ([OPEN, "{}]}", '{"event":"alive"},{"event":"alive"}'], 2),
        (['{"event":"alive","x":"', '"}', '{"event":"alive"},{"event":"alive"}'], 2),
        (['{"event":"alive"}', '{"event":"alive"},'], 3),
        (['{"event":"alive"}],[{"event":"alive"}', OPEN, "{}]}"], 2),
    ],
)
def test_lines_that_are_whole_only_together_are_damage(lines: list[str], damaged: int) -> None:
    raw = line_of(HEADER) + "".join(f"{line}\n" for line in lines).encode()
    with pytest.raises(DamageError) as caught:
        read_state(BytesIO(raw))
    assert caught.value.line == damaged


ALIVE = '{"event":"alive"}'


@given(st.lists(st.sampled_from(["{", "}", ALIVE, ",", "[", "]", '"', '"x":', "\n"]), max_size=16))
def test_lines_are_read_together_as_each_by_itself(pieces: list[str]) -> None:
    raw = line_of(HEADER) + f"{''.join(pieces)}\n{ALIVE}\n".encode()
    lines = raw.decode().splitlines()
    bad = [at for at, line in enumerate(lines[1:], 2) if line not in ("", ALIVE)]
    found = []
    try:
        read_state(BytesIO(raw))
    except DamageError as error:
        found.append(error.line)
    assert found == bad[:1]


def test_every_kind_of_line_is_in_the_schema() -> None:
    schema = load_schema("manifest")
    assert set(schema["properties"]["event"]["enum"]) == set(LINES)
    for name, kind in LINES.items():
        told = schema["definitions"][name]
        assert set(kind.needed) <= set(told["required"])
        assert set(kind.optional) <= set(told["properties"])


def test_a_manifest_whose_first_line_is_lost_is_refused(path: Path) -> None:
    path.parent.mkdir()
    for start in (b"", b"\n", b"  \r\n\n"):
        path.write_bytes(start + b"".join(GOOD[1:]))
        with pytest.raises(SurroundingsError, match="the first line does not name the target"):
            read_history(path, TARGET)


def test_blank_lines_and_line_ends_of_windows_are_no_damage(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"\r\n".join(line.strip() for line in GOOD) + b"\r\n\r\n")
    (attempt,) = read_history(path, TARGET).attempts
    assert attempt.was_sent


def test_what_cannot_be_written_is_said(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(
        SurroundingsError, match=r"^the manifest results/toloka\.example\.jsonl cannot be"
    ):
        read_history(path, TARGET)
    path.parent.joinpath("file").write_text("")
    with (
        pytest.raises(SurroundingsError, match=r"cannot be"),
        open_file(path.parent / "file" / "m.jsonl", TARGET, RUN),
    ):
        pass


# --- the order of lines ---------------------------------------------------------------------------


@given(
    st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=5).flatmap(
        lambda outcomes: st.permutations(
            [
                intent_event("d", delivery(["a"])),
                *(outcome_event("d", each, "answer") for each in outcomes if each),
            ]
        )
    )
)
def test_reading_does_not_depend_on_the_order_and_sent_beats_everything(
    events: list[Mapping[str, object]],
) -> None:
    (attempt,) = state_of(HEADER, *events, *events).history().attempts
    kinds = {str(event["event"]) for event in events} - {"intent"}
    strongest = [
        name for name in ("sent", "no_recipients", "rejected", "not_found") if name in kinds
    ]
    outcome = {
        Sent: "sent",
        NoRecipients: "no_recipients",
        Rejected: "rejected",
        NotFound: "not_found",
    }
    found = [outcome[type(attempt.outcome)]] if attempt.outcome is not None else []
    assert found == strongest[:1]


IDS = st.lists(st.text("ab0", min_size=1, max_size=4), min_size=1, max_size=3, unique=True)


@given(
    st.lists(st.tuples(IDS, st.sampled_from(OUTCOMES), st.text(max_size=8)), max_size=5),
    st.randoms(),
)
def test_a_manifest_survives_its_lines_in_any_order(
    rows: list[tuple[list[str], Settled | None, str]], random: Any
) -> None:
    events = []
    for number, (ids, outcome, source) in enumerate(rows):
        events.append(intent_event(f"d{number}", delivery(ids, source=f"m{source}")))
        if outcome is not None:
            events.append(outcome_event(f"d{number}", outcome, "answer"))
    random.shuffle(events)
    history = state_of({**HEADER, "account": "acc"}, *events).history()
    assert (history.target, history.account) == (TARGET, "acc")
    found = {
        each.delivery: (list(each.recipients_ids), type(each.outcome), each.source)
        for each in history.attempts
    }
    assert found == {
        f"d{number}": (ids, type(outcome), f"m{source}")
        for number, (ids, outcome, source) in enumerate(rows)
    }


def test_whom_toloka_left_out_is_so_wherever_that_line_stands_and_though_it_is_there_twice() -> (
    None
):
    left_out = new_event("left_out", delivery="d", recipients_ids=["b"])
    told = (intent_event("d", delivery()), outcome_event("d", sent(), "answer"), left_out, left_out)
    for events in permutations(told):
        reached = state_of(HEADER, *events).history().reached(("m", 1))
        outcomes = {key: type(attempt.outcome) for key, attempt in reached.items()}
        assert outcomes == {"a": Sent, "b": NoRecipients}


CLAIM = {**intent_event("0" * 32, delivery(["a"])), "event": "claim"}
TOLD: list[Event] = [
    intent_event("d0", delivery()),
    intent_event("d1", delivery(["a"], topic={"EN": "Other"}), run="r"),
    intent_event("d2", delivery(InThread("t7")), run="r", place=Place(ours=1, alike=0)),
    intent_event("d3", delivery(["me"]), is_test=True),
    {**CLAIM, "rows": [f"{each} {'0' * 16}" for each in "ab"]},
    {**CLAIM, "rows": []},
    *(outcome_event(f"d{number}", sent(f"t{number}"), "answer") for number in range(4)),
    outcome_event("0" * 32, sent("t8"), "resolved"),
    *(outcome_event(f"d{at}", each, "answer") for at, each in enumerate(OUTCOMES[2:]) if each),
    new_event("not_tried", deliveries=["d0", f"{1:032x}"]),
    new_event("left_out", delivery="d0", recipients_ids=["b"]),
    new_event("doubt", delivery="d1", threads=["t1"]),
    {**intent_event("d8", delivery(["b"])), "event": "doubt", "threads": ["t0"]},
    new_event("anchor", run="r", created="2026-11-22T21:00:00.000Z"),
    new_event("looked", deliveries=0, checksum=0, created="2026-11-22T21:00:00.000Z"),
]


@given(st.permutations(TOLD), st.integers(0, len(TOLD)))
def test_many_lines_say_the_same_together_as_one_by_one(events: list[Event], twice: int) -> None:
    lines = [*map(line_of, (HEADER, *events, *events[:twice]))]
    state = ManifestState()
    for line in lines:
        read_state(BytesIO(line), state)
    whole, _ = read_state(BytesIO(b"".join(lines)))
    assert (whole.count, whole.checksum) == (state.count, state.checksum)
    by_one, together = state.history(), whole.history()
    # An outcome that stood alone for a while has the next look begin at the beginning.
    assert by_one.cursor in (None, together.cursor)
    assert replace(by_one, cursor=together.cursor) == together


@given(
    st.binary(max_size=50)
    | st.lists(st.sampled_from([*GOOD, b"\n", b"{}\n"]), max_size=4).map(b"".join)
)
def test_any_bytes_are_a_book_or_damage_with_a_line(raw: bytes) -> None:
    try:
        history = read_state(BytesIO(raw))[0].history()
    except DamageError as error:
        line = error.line
    else:
        line = 1
        assert len(history.attempts) <= raw.count(b"intent")
    assert 1 <= line <= raw.count(b"\n") + 1


# --- the lock -------------------------------------------------------------------------------------

HOLD = """
import sys
from pathlib import Path
from runner.manifest.file import open_file
with open_file(Path(sys.argv[1]), sys.argv[2], {"run": "r", "version": "0"}) as manifest:
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    """Hold the lock in another process."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), TARGET],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_one_process_writes_at_a_time_and_the_other_is_told_who(path: Path) -> None:
    holder = hold(path)
    try:
        with pytest.raises(SurroundingsError) as caught, open_file(path, TARGET, RUN):
            pass
        said = str(caught.value)
        assert said.startswith(
            f"results/toloka.example.jsonl is in use by another run (process {holder.pid} on "
        )
        assert said.endswith("): wait until it ends")
        # Looking needs no lock.
        assert read_history(path, TARGET) == History()
    finally:
        holder.communicate("", timeout=20)
    write(path, "a")
    assert len(read_history(path, TARGET).attempts) == 1


def test_a_holder_that_was_killed_does_not_block(path: Path) -> None:
    holder = hold(path)
    holder.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    holder.communicate(timeout=20)
    write(path, "a")
    assert len(read_history(path, TARGET).attempts) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows removes and replaces no file that is open")
@pytest.mark.parametrize("comes_back", [False, True])
def test_a_manifest_that_is_removed_or_replaced_takes_no_more(path: Path, comes_back: bool) -> None:
    with open_file(path, TARGET, RUN) as manifest:
        manifest.intend(delivery(["a"]))
        held = path.read_bytes()
        path.unlink()
        if comes_back:
            path.write_bytes(held)
        with pytest.raises(SurroundingsError, match="it was removed or replaced while this run"):
            manifest.intend(delivery(["b"]))
    # What lies there now is somebody else's, and stays.
    assert path.exists() == comes_back
    assert not comes_back or path.read_bytes() == held


def test_a_manifest_that_is_cut_short_takes_no_more(path: Path) -> None:
    with open_file(path, TARGET, RUN) as manifest:
        manifest.intend(delivery(["a"]))
        # As an editor does that saves what it had read before.
        os.truncate(path, 100)
        held = path.read_bytes()
        with pytest.raises(SurroundingsError, match="it was cut short while this run wrote to it"):
            manifest.intend(delivery(["b"]))
    assert path.read_bytes() == held


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no file that is open")
def test_what_lies_beside_the_manifest_is_not_its_lock(path: Path) -> None:
    holder = hold(path)
    try:
        path.with_name(f"{path.name}.holder").unlink()
        said = r"is in use by another run \(it has just begun\)"
        with pytest.raises(SurroundingsError, match=said), open_file(path, TARGET, RUN):
            pass
    finally:
        holder.communicate("", timeout=20)


def test_of_many_runs_at_once_one_gets_the_lock_and_the_others_are_told(path: Path) -> None:
    barrier = threading.Barrier(8)

    def enter(_: int) -> str:
        barrier.wait()
        said = "held"
        try:
            with open_file(path, TARGET, RUN):
                barrier.wait()
        except SurroundingsError as error:
            said = str(error)
            barrier.wait()
        return said

    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            said = sorted(pool.map(enter, range(8)))
            assert said[0] == "held"
            assert all("is in use by another run" in each for each in said[1:])


def test_two_manifests_do_not_share_a_lock(path: Path) -> None:
    holder = hold(path)
    try:
        write(path.with_name("other.jsonl"), "a")
    finally:
        holder.communicate("", timeout=20)


# --- many threads ---------------------------------------------------------------------------------


def test_many_threads_may_write_and_no_line_is_torn_or_lost(path: Path) -> None:
    ids = tolokers(400)
    with open_file(path, TARGET, RUN) as manifest, ThreadPoolExecutor(16) as pool:

        def record(toloker: str) -> str:
            name = manifest.intend(delivery([toloker]))
            manifest.settle(name, sent(f"thread-{toloker}"))
            return name

        names = list(pool.map(record, ids))
    history = read_history(path, TARGET)
    assert {each.delivery for each in history.attempts} == set(names)
    assert {each.thread_id for each in history.attempts} == {f"thread-{toloker}" for toloker in ids}
    assert history.account == "acc"
    assert len(lines(path)) == 4 + 2 * len(ids)


def test_each_line_is_on_disk_when_the_call_returns(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    seen: list[bool] = []
    with FileIO(file, "a") as stream:
        appender = Appender(stream)

        def append(number: int) -> None:
            line = b"%d\n" % number
            appender.append(line)
            seen.append(line in file.read_bytes().splitlines(keepends=True))

        threads = [threading.Thread(target=append, args=(number,)) for number in range(60)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        appender.close()
        appender.close()
        with pytest.raises(OSError, match="this run has ended"):
            appender.append(b"late\n")
    assert seen == [True] * 60
    assert sorted(map(int, file.read_bytes().split())) == list(range(60))


FULL = """
import resource, sys
from pathlib import Path
from io import BytesIO, FileIO
from itertools import permutations
from runner.manifest.appender import Appender
path = Path(sys.argv[1])
appender = Appender(FileIO(path, "a"))
appender.append(b"x" * 999 + b"\\n")
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, resource.RLIM_INFINITY))
for attempt in range(2):
    try:
        appender.append(b"y" * 999 + b"\\n")
    except OSError as error:
        print("refused", path.stat().st_size, flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no process's files")
def test_a_disk_that_takes_no_more_leaves_no_half_line(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(file)],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stdout == "refused 1000\nrefused 1000\n"
    assert file.read_bytes() == b"x" * 999 + b"\n"


@given(st.lists(st.sampled_from(["\n", " \n", "\t\r\n", "\n\n\n", "x\n"]), max_size=12))
def test_damage_is_told_at_its_line_whatever_blank_lines_stand_above(pieces: list[str]) -> None:
    raw = line_of(HEADER) + "".join(pieces).encode()
    lines = raw.decode().split("\n")
    if "x" not in lines:
        assert read_state(BytesIO(raw))[0].target == TARGET
        return
    with pytest.raises(DamageError) as caught:
        read_state(BytesIO(raw))
    assert caught.value.line == lines.index("x") + 1
