"""The rules of evidence, one by one; how they hold together is played in tests/delivery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from io import BytesIO
from typing import Any

import pytest
from support import history_of

from runner.lookup.absence import Absence, Failure
from runner.lookup.adopt import Messages, find_adoptions
from runner.lookup.claim import claim, find_doubts
from runner.lookup.look import Look
from runner.manifest.attempts import Attempt
from runner.manifest.kinds import take_events
from runner.manifest.lines import Event, intent_event, line_of, new_event, outcome_event
from runner.manifest.reading import read_state
from runner.manifest.state import ManifestState
from runner.model import Delivery, Direct, Message, Post, Sent, Thread
from runner.toloka.anchor import BEGINNING, Anchor, anchor_of
from runner.toloka.digest import digest_of, folded

NOON = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)


def at(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds")


def thread(name: str, *ids: str, text: str = "Hi", created: datetime = NOON) -> Thread:
    post = Post(text={"EN": text}, created=at(created), sender="acc", is_ours=True)
    return Thread(
        id=name,
        created=at(created),
        topic={"EN": "News"},
        posts=(post,),
        answerable=True,
        select_type="DIRECT",
        recipients_ids=ids,
    )


def attempt(delivery: str, *ids: str, anchor: Anchor = BEGINNING) -> Attempt:
    digest = digest_of(
        topic={"EN": "News"},
        text={"EN": "Hi"},
        answerable=True,
        select_type="DIRECT",
        recipients_filter=None,
    )
    return Attempt(
        delivery=delivery, message="m", revision=1, source="m.yaml", select_type="DIRECT",
        recipients_ids=ids, digest=digest, at=NOON, anchor=anchor,
    )  # fmt: skip


def test_the_anchor_is_the_lowest_time_of_a_full_page() -> None:
    page = [at(NOON + number * MINUTE) for number in range(300)]
    assert anchor_of(reversed(page)) == Anchor(NOON)
    assert anchor_of(page[1:]) == BEGINNING
    assert anchor_of([*page[1:], ""]) == BEGINNING
    assert Anchor(NOON).query == {"created_gte": "2026-11-22T11:50:00.000"}
    assert BEGINNING.query == {}


def test_an_anchor_reaches_ten_minutes_back() -> None:
    anchor = Anchor(NOON)
    assert anchor.reaches(NOON - 10 * MINUTE)
    assert not anchor.reaches(NOON - 11 * MINUTE)
    assert anchor.reaches(None)
    assert BEGINNING.reaches(datetime(1, 1, 1, tzinfo=timezone.utc))


def test_the_newest_intent_is_served_first_and_a_thread_serves_once() -> None:
    older, newer = attempt("older", "a"), attempt("newer", "a")
    assert claim([older, newer], [thread("t1", "a")]) == {"newer": thread("t1", "a")}
    both = claim([older, newer], [thread("t1", "a"), thread("t2", "a")])
    assert {each.id for each in both.values()} == {"t1", "t2"}


@pytest.mark.parametrize(
    "other",
    [
        thread("t1", "a", "b"),
        thread("t1", "a", text="Ho"),
        thread("t1", "a", created=NOON - 11 * MINUTE),
    ],
)
def test_what_is_not_exactly_it_is_not_claimed(other: Thread) -> None:
    assert claim([attempt("d", "a", anchor=Anchor(NOON))], [other]) == {}


def test_a_thread_since_the_anchor_that_shares_a_toloker_is_a_doubt() -> None:
    unknown = [attempt("d", "a", "b", anchor=Anchor(NOON)), attempt("e", "c")]
    threads = [
        thread("t1", "b", text="whatever"),
        thread("t2", "b", created=NOON - 11 * MINUTE),
        thread("t3", "z"),
    ]
    assert {name: list(them) for name, them in find_doubts(unknown, threads).items()} == {
        "d": ["t1"]
    }


def test_absence_takes_two_whole_looks_after_the_failure() -> None:
    absence = Absence(Failure(100.0), 30.0, 100.0)
    for begun_s, is_proven in ((100.0, False), (131.0, False), (159.0, False), (161.0, True)):
        absence.whole_s.append(begun_s)
        assert absence.is_proven == is_proven
    late = Absence(Failure(0.0), 30.0, 500.0, whole_s=[500.0, 501.0])
    assert not late.is_proven
    late.whole_s.append(515.0)
    assert late.is_proven


def test_looks_are_repeated_until_patience_ends() -> None:
    absence = Absence(Failure(0.0), 30.0, 0.0, looks=9)
    assert [absence.next_look_s(now_s) for now_s in (0.0, 30.0, 60.0, 285.0, 286.0)] == [
        *(30.0, 60.0, 75.0, 300.0),
        None,
    ]
    # However long one look takes, there is another one.
    assert Absence(Failure(0.0), 30.0, 0.0, looks=1).next_look_s(900.0) == 915.0


def test_a_failure_of_this_run_is_believed_after_a_success() -> None:
    assert Failure(5.0).is_believed(float("-inf"))
    assert not Failure(5.0, is_of_this_run=True).is_believed(4.0)
    assert Failure(5.0, is_of_this_run=True).is_believed(6.0)


def test_a_look_keeps_what_matters_and_marks_the_rest() -> None:
    look = Look(
        Anchor(NOON),
        0.0,
        must_show={"t1": NOON, "t0": NOON - 20 * MINUTE, "t9": NOON},
        claimed={"t1"},
        matters=lambda each, _marks: "a" in each.recipients_ids,
    )
    child = replace(thread("t5", "a"), parent_id="t1")
    for each in (thread("t1", "a"), thread("t2", "a"), thread("t3", "z"), child):
        look.take(each)
    assert (list(look.kept), list(look.missing), look.is_whole) == (["t2"], ["t9"], False)
    assert [each.partition(":")[0] for each in look.rest] == ["t3"]
    assert (look.shows_ours, look.cursor) == (True, Anchor(NOON))


# What no delivery claims, held against the messages


def message(name: str, *ids: str, text: str = "Hi", revision: int = 1) -> Message:
    content = {"topic": {"EN": "News"}, "text": {"EN": text}, "answerable": True}
    digest = digest_of(**content, select_type="DIRECT", recipients_filter=None)  # type: ignore[arg-type]
    return Message(
        id=name, revision=revision, source=f"{name}.yaml", recipients=Direct(ids), digest=digest,
        **content,  # type: ignore[arg-type]
    )  # fmt: skip


def found(
    threads: Sequence[Thread],
    mine: Sequence[Message],
    others: Sequence[Message] = (),
    *old: Attempt,
) -> list[tuple[str, str, str]]:
    """What becomes of threads: adopted for a message or in doubt for it, and whom it concerns."""
    messages = Messages((*mine, *others), {(each.id, each.revision) for each in mine})
    return [
        (type(each).__name__, each.delivery.message.id, " ".join(each.delivery.people))
        for each in find_adoptions(threads, messages, history_of(*old))
    ]


M = message("m", "a", "b")
FITS: dict[str, tuple[Any, list[tuple[str, str, str]]]] = {
    "one message of this run": (([thread("t1", "a", "z")], [M]), [("Adoption", "m", "a")]),
    "its recipients first": (
        ([thread("t1", "a", "z"), thread("t2", "a", "b")], [M]),
        [("Adoption", "m", "a b")],
    ),
    "none": (([thread("t1", "z")], [M]), []),
    "a message that this run could not send": (([thread("t1", "a")], [], [M]), []),
    "that one, too": (
        ([thread("t1", "a", "b")], [M], [message("draft", "a", "b")]),
        [("Doubt", "m", "a b")],
    ),
    "that one by its recipients": (([thread("t1", "a")], [M], [message("draft", "a")]), []),
    "all but the text": (([thread("t1", "a", text="Ho")], [M]), [("Doubt", "m", "a")]),
    "a folded form": (([thread("t1", "a", text=" HI ")], [M]), [("Doubt", "m", "a")]),
    "an earlier revision, perhaps": (
        ([thread("t1", "a")], [message("m", "a", revision=2)]),
        [("Doubt", "m", "a")],
    ),
    "what an unknown has claimed already": (
        ([thread("t2", "a", "b")], [M], [], replace(attempt("d", "a"), outcome=Sent(thread("t1", "a")))),
        [("Adoption", "m", "b")],
    ),
    "what is unknown still": (
        ([thread("t2", "a", "b")], [M], [], attempt("d", "a")),
        [("Adoption", "m", "a b")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FITS)
def test_a_thread_is_adopted_for_the_one_message_that_it_fits(case: str) -> None:
    given, becomes = FITS[case]
    assert found(*given) == becomes


# Lines that were lost


def lines_with_a_look() -> list[Event]:
    """Two deliveries with their outcomes, a look, and one more after it."""
    state, events = ManifestState(), [new_event("manifest", version=1, target="https://t.example")]
    for name in ("d1", "d2"):
        delivery = Delivery(message=M, recipients=Direct((name,)))
        events.append(intent_event(name, delivery))
        events.append(outcome_event(name, Sent(thread(f"t-{name}", name)), "answer"))
    take_events(events, state)
    sums = {"deliveries": state.count, "checksum": state.checksum}
    events.append(new_event("looked", **sums, created="2026-11-22T12:00:00.000Z"))
    events.append(intent_event("d3", Delivery(message=M, recipients=Direct(("d3",)))))
    return [*events, outcome_event("d3", Sent(thread("t-d3", "d3")), "answer")]


@pytest.mark.parametrize(
    ("lost", "is_seen"),
    [((), False), ((1,), True), ((2,), True), ((1, 2), True), ((3, 4), True),
     ((6,), True), ((7,), False), ((6, 7), False)],
)  # fmt: skip
def test_a_cursor_counts_with_all_the_deliveries_before_it(
    lost: tuple[int, ...], is_seen: bool
) -> None:
    left = [each for number, each in enumerate(lines_with_a_look()) if number not in lost]
    history = read_state(BytesIO(b"".join(map(line_of, left))))[0].history()
    assert (history.cursor is None) == is_seen
    # An outcome without its intent claims nothing.
    claimed = {"t-d1": {1, 2}, "t-d2": {3, 4}, "t-d3": {6, 7}}
    assert history.thread_ids == {name for name, its in claimed.items() if not its & {*lost}}


def test_a_thread_in_the_place_of_another_makes_the_cursor_count_for_nothing() -> None:
    events = lines_with_a_look()
    events[2] = {**events[2], "thread_id": "t-d9"}
    assert read_state(BytesIO(b"".join(map(line_of, events))))[0].history().cursor is None


def test_a_folded_text_survives_what_servers_do() -> None:
    same = ["Caf\u00e9 & tea", " cafe\u0301 &amp; TEA\r\n", "Caf\u00e9\u00a0&\u200e tea"]
    assert len({folded({"EN": text})["EN"] for text in same}) == 1
    assert folded({"EN": "tea"}) != folded({"EN": "tee"})
