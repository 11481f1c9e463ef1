"""What the promises rest on, and what they do not: clocks, a list that is late, lost lines.

Whatever the world does here, nobody is written to twice; and when it is whole again, everybody is
reached, or it is said of whom only a person can know.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from conversation.talk import answer, reply, said
from support import IS_THOROUGH, control, one_in, threads

from runner.errors import ExitCode
from runner.model import Delivery, Outcome
from runner.send.tally import RunResult

from .world import Wire, World, people, world

LOST = "kind=accepted-then-500"
FAILED = "kind=500"
DONE, UNKNOWN, LATER = ExitCode.DONE, ExitCode.UNKNOWN, ExitCode.LATER


def behave(it: World, **behaviour: object) -> None:
    control(it.emulator, "behaviour", behaviour)


def put(it: World, topic: str, *ids: str, **changes: object) -> str:
    """A thread by another hand, as if `write` had made it."""
    form = {
        "topic": {"EN": topic},
        "text": {"EN": topic},
        "recipients_select_type": "DIRECT",
        "recipients_ids": ids,
        "answerable": True,
    }
    thread: str = control(it.emulator, "put", {**form, **changes})["id"]
    return thread


def check_nobody_twice(it: World) -> None:
    doubled = {who: count for who, count in it.reached().items() if count > 1}
    assert not doubled


def statuses(report: RunResult) -> Counter[str]:
    return Counter(each.status for each in report.results)


def losing(it: World, *events: str) -> None:
    """Lose the lines of these kinds."""
    left = [line for line in it.lines() if line["event"] not in events]
    it.manifest.write_text("".join(json.dumps(line) + "\n" for line in left))


def write_reply(it: World, to: str, text: str, revision: int = 1) -> None:
    path = it.root / "messages" / "r.yaml"
    path.write_text(reply(to, text=text, revision=revision))


# No clock counts

CLOCKS: dict[str, dict[str, Any]] = {
    "7 s behind its Date": {"clock_skew_ms": -7_000},
    "30 s behind": {"clock_skew_ms": -30_000},
    "an hour behind": {"clock_skew_ms": -3_600_000},
    "an hour ahead": {"clock_skew_ms": 3_600_000},
    "no Date": {"date": False, "clock_skew_ms": -10_000},
    "two servers": {"clock_skew_ms": [-4_000, 4_000]},
    "servers five minutes apart": {"clock_skew_ms": [150_000, -150_000, 0]},
    "a Date that is off": {"date_skew_ms": 7_200_000, "clock_skew_ms": -60_000},
}
CLOCKS_AND_FAULTS = list(product(CLOCKS, [LOST, FAILED]))


@pytest.mark.some(2)
@pytest.mark.parametrize(("clock", "fault"), one_in(3, CLOCKS_AND_FAULTS))
def test_no_clock_counts(tmp_path: Path, clock: str, fault: str) -> None:
    with world(tmp_path, f"every=2,{fault}", settle_s=0.02) as it:
        behave(it, **CLOCKS[clock])
        it.write("a", *people(350))
        it.write("b", filtered=True)
        it.run_until_done(jobs=1)
        it.check_all_reached()
        whole = it.manifest.read_bytes()
        for cut in one_in(2, (0, len(whole) // 3, len(whole) // 2)):
            it.manifest.write_bytes(whole[:cut])
            it.run_until_done()
            it.check_all_reached()


@pytest.mark.parametrize(("clock", "fault"), one_in(5, CLOCKS_AND_FAULTS))
def test_no_clock_counts_for_replies(tmp_path: Path, clock: str, fault: str) -> None:
    with world(tmp_path, settle_s=0.02) as it:
        behave(it, **CLOCKS[clock])
        for number in range(4):
            it.write(f"m{number}", f"t{number}")
            (it.root / "messages" / f"r{number}.yaml").write_text(reply(f"m{number}", text="Again"))
        assert it.run().exit_code == DONE
        it.faults(f"on=reply,every=2,{fault}")
        codes = [it.run(jobs=1).exit_code for _ in range(3)]
        assert codes[-1] == DONE
        assert [each[1:] for each in said(it.emulator).values()] == [["Again"]] * 4


def test_our_clock_that_is_set_meanwhile_is_no_matter(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("a", "t1")
        assert it.run().exit_code == DONE
        it.write("b", "t2")
        it.faults(LOST, "on=list,after=2,kind=no-has-more")
        assert it.run().exit_code == UNKNOWN
        it.faults()
        moved = [
            {**line, "at": (datetime.fromisoformat(line["at"][:-1]) + day).isoformat() + "Z"}
            for line, day in zip(it.lines(), days(), strict=False)
        ]
        it.manifest.write_text("".join(json.dumps(line) + "\n" for line in moved))
        assert it.run().exit_code == DONE
        it.check_all_reached()


def days() -> Iterator[timedelta]:
    while True:
        yield from (timedelta(days=9), timedelta(days=-9), timedelta())


@pytest.mark.parametrize("ahead_h", [-2, 2])
def test_a_window_goes_by_the_servers_clock(tmp_path: Path, ahead_h: int) -> None:
    with world(tmp_path) as it:
        behave(it, date_skew_ms=ahead_h * 3_600_000)
        it.write("a", "t1")
        path = it.root / "messages" / "a.yaml"
        # It opens in an hour by our clock, or opened an hour ago.
        opens = datetime.now(timezone.utc) + timedelta(hours=ahead_h / 2)
        path.write_text(path.read_text() + f"not_before: {opens:%Y-%m-%dT%H:%M:%SZ}\n")
        assert it.send().code == 0
        assert it.calls("compose") == (1 if ahead_h > 0 else 0)


def test_a_window_that_closes_meanwhile_lets_nothing_more_through(tmp_path: Path) -> None:
    with world(tmp_path) as it:

        class Slow(Wire):
            def deliver(self, delivery: Delivery) -> Outcome:
                behave(it, date_skew_ms=2 * 3_600_000)
                return super().deliver(delivery)

        it.write("a", *people(250))
        path = it.root / "messages" / "a.yaml"
        closes = datetime.now(timezone.utc) + timedelta(hours=1)
        path.write_text(path.read_text() + f"not_after: {closes:%Y-%m-%dT%H:%M:%SZ}\n")
        report = it.run(jobs=1, wire=Slow)
        assert (report.exit_code, it.calls("compose")) == (DONE, 1)
        assert statuses(report) == {"sent": 1, "missed": 2}


# A list that is late


def test_a_list_that_is_later_than_settle_is_not_believed(tmp_path: Path) -> None:
    with world(tmp_path, f"at=3,{LOST}", list_lag_ms=2_000, settle_s=0.05) as it:
        for number in range(6):
            it.write(f"m{number}", f"t{number}")
        report = it.run(jobs=1)
        assert report.exit_code == UNKNOWN
        assert it.calls("compose") == 6
        behave(it, list_lag_ms=0)
        assert it.run().exit_code == DONE
        it.check_all_reached()


def test_a_lone_failure_is_believed_by_a_later_run_only(tmp_path: Path) -> None:
    with world(tmp_path, f"at=2,{FAILED}") as it:
        it.write("a", "t1")
        assert it.run().exit_code == DONE
        it.write("b", "t2")
        assert it.run().exit_code == UNKNOWN
        assert it.calls("compose") == 2
        assert it.run().exit_code == DONE
        it.check_all_reached()


def test_what_an_account_composed_must_have_been_shown_once(tmp_path: Path) -> None:
    with world(tmp_path, FAILED) as it:
        it.write("a", "t1")
        for _ in range(3):
            assert it.run().exit_code == UNKNOWN
        assert it.calls("compose") == 1
        it.faults()
        # A Toloker's thread shows nothing of that; one of this account does, whoever made it.
        put(it, "Hello", "t5", **{"from": "toloker"})
        assert it.run().exit_code == UNKNOWN
        put(it, "Hello", "t6")
        assert it.run().exit_code == DONE
        assert it.reached()["a", "t1"] == 1


def test_a_thread_that_we_reply_in_shows_nothing_of_what_we_composed(tmp_path: Path) -> None:
    with world(tmp_path, f"on=compose,{FAILED}", f"on=reply,{FAILED}") as it:
        thread = put(it, "Hello", "t5", **{"from": "toloker"})
        (it.root / "messages" / "r.yaml").write_text(f"thread_id: {thread}\ntext: {{EN: Hi}}\n")
        it.write("a", "t1")
        assert it.run().exit_code == UNKNOWN
        it.faults()
        assert it.run().exit_code == UNKNOWN
        # The reply itself was seen not to be there.
        assert (it.calls("compose"), said(it.emulator)[thread]) == (1, ["Hello", "Hi"])


@pytest.mark.parametrize("kind", ["late-then-500", "late-then-reset"])
def test_what_is_done_after_we_gave_up_is_found(tmp_path: Path, kind: str) -> None:
    with world(tmp_path, f"at=2,kind={kind},seconds=0.5", settle_s=0.4) as it:
        for name in ("a", "b", "c"):
            it.write(name, f"t-{name}")
        it.run_until_done(jobs=1)
        it.check_all_reached()
        assert it.calls("compose") == 3


def test_an_order_of_its_own_and_replicas(tmp_path: Path) -> None:
    with world(tmp_path, f"every=3,{LOST}", "at=2,kind=500", settle_s=0.3) as it:
        behave(it, list_lag_ms=[0, 250], list_replicas=3)
        for number in range(9):
            it.write(f"m{number}", f"t{number}")
        it.run_until_done(jobs=2)
        it.check_all_reached()


# A list that says it otherwise


ECHOES = ("answerable", "nfd", "entities", "trimmed", "cut", "crlf")
LOSSES = ("the manifest", "an answer")
# Each once, by turns; in the long profile all of both.
TURNS = zip(ECHOES, LOSSES * 3, strict=True)
ECHOES_AND_LOSSES = list(product(ECHOES, LOSSES) if IS_THOROUGH else TURNS)


@pytest.mark.parametrize(("echo", "loss"), ECHOES_AND_LOSSES)
def test_words_that_come_back_otherwise(tmp_path: Path, echo: str, loss: str) -> None:
    with world(tmp_path, echo=echo) as it:
        behave(it, echo="exact" if loss == "an answer" else echo)
        it.write("z", "t0")
        assert it.run().exit_code == DONE
        behave(it, echo=echo)
        it.faults(LOST if loss == "an answer" else "at=9,kind=400")
        it.write("a", "t1", "t2", text=" Caf\u00e9 & tea\nfor you ")
        path = it.root / "messages" / "a.yaml"
        path.write_text(path.read_text() + "answerable: false\n")
        it.run()
        it.faults()
        if loss == "the manifest":
            it.manifest.unlink()
        code = it.run().exit_code
        assert it.calls("compose") == 2
        check_nobody_twice(it)
        assert code == (DONE if echo in ("trimmed", "crlf") else UNKNOWN)
        if code == UNKNOWN:
            assert it.command("resolve", "--message", "a", "--sent").code == 0
            if loss == "the manifest" and echo == "answerable":
                assert it.command("resolve", "--message", "z", "--sent").code in (0, 2)
            assert it.run().exit_code == DONE
            assert it.calls("compose") == 2


def test_conditions_in_another_order_are_the_same_filter(tmp_path: Path) -> None:
    with world(tmp_path, echo="filter-reversed") as it:
        it.write("b", filtered=True)
        path = it.root / "messages" / "b.yaml"
        two = "{and: [{category: skill, key: '224', operator: GTE, value: 80}, "
        two += "{category: profile, key: country, operator: EQ, value: US}]}"
        lines = [each for each in path.read_text().splitlines() if "_filter" not in each]
        path.write_text("\n".join([*lines, f"recipients_filter: {two}", ""]))
        assert it.run().exit_code == DONE
        it.manifest.unlink()
        it.run_until_done()
        assert it.calls("compose") == 1


@pytest.mark.parametrize("kind", ["no-has-more", "unreadable-item"])
def test_a_page_that_cannot_be_read_is_no_list(tmp_path: Path, kind: str) -> None:
    with world(tmp_path) as it:
        it.write("a", "t1")
        assert it.run().exit_code == DONE
        it.manifest.unlink()
        it.faults(f"on=list,kind={kind}")
        assert it.run().exit_code == LATER
        assert it.calls("compose") == 1


def test_a_list_with_a_hole_proves_no_absence(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        for number in range(3):
            it.write(f"m{number}", f"t{number}")
        assert it.run(jobs=1).exit_code == DONE
        it.write("n", "t9")
        it.faults(FAILED, "on=list,after=2,kind=hole")
        assert it.run().exit_code == UNKNOWN
        it.faults("on=list,after=1,kind=hole")
        # Looks without a thread that we know of are repeated, and not believed.
        assert it.run().exit_code == UNKNOWN
        it.faults()
        assert it.run().exit_code == DONE
        it.check_all_reached()


def test_a_thread_of_the_year_2999_is_no_matter(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        put(it, "Hello", "t7", created="2999-01-01T00:00:00", **{"from": "toloker"})
        it.write("a", *people(150))
        it.faults(f"at=1,{LOST}")
        it.run_until_done(jobs=1)
        it.manifest.unlink()
        it.run_until_done()
        assert it.calls("compose") == 2


# Several messages with the same words


@pytest.mark.parametrize("kept", ["draft: true", "not_before: 2999-01-01T00:00:00Z"])
def test_a_copy_that_is_kept_for_later_takes_no_thread(tmp_path: Path, kept: str) -> None:
    with world(tmp_path) as it:
        it.write("a", "t1", "t2")
        assert it.run().exit_code == DONE
        copy = it.root / "messages" / "copy.yaml"
        words = (it.root / "messages" / "a.yaml").read_text()
        copy.write_text(f"{words}{kept}\nlint: {{same-words: both are meant}}\n")
        it.manifest.unlink()
        # It cannot be known whose thread it is, so nobody in it is written to.
        result = it.send("--results", "results.json")
        assert result.code == UNKNOWN, result.err
        assert it.calls("compose") == 1
        assert "in doubt: a to t1, t2" in result.err
        assert it.command("resolve", "--message", "a", "--sent").code == 0
        assert it.send().code == 0
        assert it.calls("compose") == 1


def test_the_other_file_has_its_threads_later(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("a", "t1")
        it.write("b", "t2")
        assert it.run().exit_code == DONE
        control(it.emulator, "seed", {"count": 600})
        it.manifest.unlink()
        assert it.send(it.root / "messages" / "a.yaml").code == 0
        assert [line["message"] for line in it.lines() if line["event"] == "intent"] == ["a"]
        pages = it.calls("list")
        assert it.send(it.root / "messages" / "b.yaml").code == 0
        # What was remembered is asked for by its id: nothing is listed from the beginning.
        assert it.calls("list") - pages <= 3
        assert it.calls("compose") == 2
        assert sorted(it.claimed()) == sorted(
            each["id"] for each in threads(it.emulator) if each["topic"]["EN"] in ("a", "b")
        )


def test_what_is_remembered_twice_is_asked_for_and_in_doubt_once(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.compose("a", "t1", text={"EN": "Another"})
        it.write("b", "t2")
        assert it.run().exit_code == DONE
        losing(it, "run", "intent", "sent", "looked", "end")
        with it.manifest.open("a") as stream:
            # So the look that comes begins behind it.
            looked = {"event": "looked", "deliveries": 0, "checksum": 0}
            stream.write(json.dumps({**looked, "created": "2999-01-01T00:00:00Z"}) + "\n")
        it.write("a", "t1")
        assert it.run().exit_code == UNKNOWN
        assert len(it.unknown()) == 1


def test_a_copy_that_was_not_named_makes_it_fit_several(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("a", "t1")
        assert it.run().exit_code == DONE
        path = it.root / "messages" / "a.yaml"
        (it.root / "messages" / "b.yaml").write_bytes(path.read_bytes())
        it.manifest.unlink()
        assert it.send(path).code == UNKNOWN
        assert it.calls("compose") == 1


def test_a_plan_goes_on_after_an_adoption(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("a", *people(150))
        assert it.run(limit=1).exit_code == DONE
        it.manifest.unlink()
        assert it.command("plan", "--out", "plan.json").code == 0
        assert it.send("--plan", "plan.json").code == 0
        it.check_all_reached()
        assert it.send("--plan", "plan.json").code == 0
        assert it.calls("compose") == 2


def test_one_foreign_thread_does_not_leave_the_others_in_doubt(tmp_path: Path) -> None:
    with world(tmp_path, f"times=8,{FAILED}") as it:
        put(it, "n", "t0003")
        for number in range(9):
            it.write(f"n{number}", f"t{number:04}", topic="n")
        it.wanted.clear()
        # The thread is older than the run, and says nothing of it.
        assert it.run(jobs=1).exit_code in (DONE, UNKNOWN)
        assert it.run().exit_code == (DONE if not it.unknown() else UNKNOWN)
        assert set(it.reached().values()) == {1}
        lists = it.calls("list")
        it.run()
        assert it.calls("list") <= lists + 1


def test_a_file_that_is_moved_does_not_mail_everybody_again(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("news", "t1", "t2", text="April")
        assert it.send().code == 0
        path = it.root / "messages" / "news.yaml"
        (it.root / "messages" / "old").mkdir()
        path.rename(it.root / "messages" / "old" / "april.yaml")
        it.write("news", "t1", "t2", text="May")
        result = it.send()
        assert result.code == ExitCode.MESSAGES
        assert 'those of "news"' in result.err
        assert "`id: news`" in result.err
        assert it.calls("compose") == 1
        # With a typo mended on the way, the words are others, and the topic tells.
        april = it.root / "messages" / "old" / "april.yaml"
        april.write_text(april.read_text().replace("April", "Apryl"))
        path.unlink()
        assert 'this may be "news", whose file is gone' in it.command("plan").err
        it.write("news", "t1", "t2", text="May")
        april.unlink()
        # The new text under the old id is an edit, and says how it would be sent.
        result = it.send()
        assert (result.code, it.calls("compose")) == (0, 1)
        assert (
            "edited: news to t1, t2: who has it is not written to again; `revision: 2`"
            in result.err
        )


# Lost lines


def test_catching_up_may_be_interrupted_anywhere(tmp_path: Path) -> None:
    with world(tmp_path, settle_s=0.02) as it:
        it.write("a", *people(150))
        it.write("b", filtered=True)
        put(it, "foreign", "t9")
        assert it.run().exit_code == DONE
        it.manifest.unlink()
        assert it.run().exit_code == DONE
        lines = it.manifest.read_bytes().splitlines(keepends=True)
        for count in one_in(3, range(len(lines))):
            it.manifest.write_bytes(b"".join(lines[:count]) + lines[count][:9])
            it.run_until_done()
            assert it.calls("compose") == 3


LOST_LINES = [
    ("intent",),
    ("sent",),
    ("anchor",),
    ("looked",),
    ("end", "run"),
    ("intent", "anchor"),
]


@pytest.mark.parametrize("events", LOST_LINES, ids=" ".join)
def test_lines_may_be_lost_anywhere(tmp_path: Path, events: tuple[str, ...]) -> None:
    with world(tmp_path, f"at=2,{LOST}", settle_s=0.02) as it:
        it.write("a", *people(250))
        it.write("b", filtered=True)
        assert it.run(jobs=1).exit_code == DONE
        losing(it, *events)
        codes = [it.run().exit_code for _ in range(3)]
        assert codes[-1] == DONE
        assert it.calls("compose") == 4
        check_nobody_twice(it)


@pytest.mark.some(2)
@pytest.mark.parametrize("cut", ["all", "the tail", "its last run"])
def test_a_manifest_that_is_lost_seconds_after_the_last_request(tmp_path: Path, cut: str) -> None:
    with world(tmp_path, settle_s=0.4) as it:
        it.write("z", "t0")
        assert it.run().exit_code == DONE
        before = it.manifest.read_bytes()
        behave(it, list_lag_ms=350)
        it.write("a", "t1", "t2")
        assert it.run().exit_code == DONE
        whole = it.manifest.read_bytes()
        run_line = before + whole[len(before) :].splitlines(keepends=True)[0]
        left = {"all": b"", "the tail": run_line, "its last run": run_line + b'{"event"'}[cut]
        it.manifest.write_bytes(left)
        assert it.run().exit_code == DONE
        assert it.calls("compose") == 2
        check_nobody_twice(it)


def test_what_an_unknown_claims_is_reached_and_adopts_no_more(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("z", "t0")
        assert it.run().exit_code == DONE
        it.write("a", "t1")
        it.faults(LOST, "on=list,after=2,kind=no-has-more")
        assert it.run().exit_code == UNKNOWN
        it.faults()
        put(it, "a", "t1")
        assert it.run().exit_code == DONE
        assert len(it.claimed()) == 2


# Whom it reached


def test_whom_the_answer_leaves_out_was_not_reached(tmp_path: Path) -> None:
    with world(tmp_path, echo="drops-recipient") as it:
        it.write("a", *people(100))
        result = it.send("--results", "results.json")
        assert result.code == 0
        document = json.loads((it.root / "results.json").read_text())
        told = {each["status"]: each["recipients_ids"] for each in document["deliveries"]}
        assert told["no_recipients"] == ["t0000"]
        assert len(told["sent"]) == 99
        assert it.send().code == 0
        assert it.calls("compose") == 1


def test_whom_a_thread_leaves_out_was_not_reached_by_a_persons_word(tmp_path: Path) -> None:
    with world(tmp_path, LOST, echo="drops-recipient") as it:
        it.write("a", "t1", "t2")
        assert it.run().exit_code == UNKNOWN
        assert it.command("resolve", "--message", "a", "--sent").code == 0
        assert statuses(it.run()) == {"already_sent": 1, "no_recipients": 1}


@pytest.mark.parametrize("echo", ["cut", "answerable"])
def test_words_that_come_back_changed_are_a_warning_once(tmp_path: Path, echo: str) -> None:
    with world(tmp_path, echo=echo) as it:
        for name in ("a", "b", "c"):
            it.write(name, f"t-{name}", text="Hello to you")
            path = it.root / "messages" / f"{name}.yaml"
            path.write_text(path.read_text() + "answerable: false\n")
        result = it.send()
        assert result.code == 0
        assert result.err.count("with other words than were sent") == 1
        it.check_all_reached()


def test_a_test_is_a_test_and_the_message_comes_after_it(tmp_path: Path) -> None:
    with world(tmp_path, LOST) as it:
        it.write("a", "t1", "t2")
        assert it.send("--test-to", "t1").code == UNKNOWN
        it.faults()
        assert it.send().code == 0
        assert it.reached() == {("a", "t1"): 2, ("a", "t2"): 1}
        assert it.send().code == 0
        assert it.calls("compose") == 2


# Whose account it is


def test_an_account_that_is_acted_under_has_a_manifest_of_its_own(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("a", "t1")
        assert it.send().code == 0
        other = {"TOLOKA_ACT_UNDER_ACCOUNT_ID": "shared-1"}
        result = it.send(**other)
        assert result.code == ExitCode.SURROUNDINGS
        assert "acts under account shared-1" in result.err
        it.manifest.unlink()
        it.send(**other)
        assert it.lines()[0]["acts_under"] == "shared-1"
        assert it.send().code == ExitCode.SURROUNDINGS


@pytest.mark.parametrize("name", ["manifest.jsonl", "manifest.jsonl.holder"])
def test_removing_what_locks_a_run_lets_no_second_one_in(tmp_path: Path, name: str) -> None:
    with world(tmp_path) as it:
        it.write("a", "t1")
        it.write("b", "t2")
        second: list[ExitCode] = []

        @dataclass
        class Meddling(Wire):
            def deliver(self, delivery: Delivery) -> Outcome:
                outcome = super().deliver(delivery)
                if not second:
                    (it.root / name).unlink()
                    second.append(it.run().exit_code)
                return outcome

        first = it.run(jobs=1, wire=Meddling)
        # Without its manifest a run ends, and the other one goes on from what the list shows.
        is_lost = name == "manifest.jsonl"
        assert (first.exit_code, second[0]) == (
            (ExitCode.SURROUNDINGS, DONE) if is_lost else (DONE, ExitCode.SURROUNDINGS)
        )
        assert it.run().exit_code == DONE
        assert it.reached() == {("a", "t1"): 1, ("b", "t2"): 1}


def test_a_lost_manifest_has_lost_whom_it_left_out(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("a", "t1", "t2")
        (it.root / "runner.yaml").write_text("suppress: suppress.txt\n")
        (it.root / "suppress.txt").write_text("t2\n")
        assert it.send().code == 0
        (it.root / "suppress.txt").write_text("")
        # While the manifest knows it, being taken off the list releases no old mail.
        assert it.send().code == 0
        assert it.calls("compose") == 1
        it.manifest.unlink()
        result = it.send()
        assert (result.code, it.calls("compose")) == (0, 2)
        assert "a: the manifest lacked threads of it, which were adopted; whom a supp" in result.err
        assert "was lost too" not in it.send().err


# Replies


def test_a_reply_in_the_words_of_the_message_is_sent(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("m", "t1", text="Hello")
        write_reply(it, "m", "Hello")
        assert it.run().exit_code == DONE
        it.faults(f"on=reply,{FAILED}")
        assert it.run().exit_code == UNKNOWN
        it.faults()
        assert it.run().exit_code == DONE
        assert list(said(it.emulator).values()) == [["Hello", "Hello"]]


def write_by_hand(it: World, text: str) -> None:
    """Write into the only thread, as somebody does in the web page."""
    (thread,) = threads(it.emulator)
    it.post(f"message-threads/{thread['id']}/reply", {"text": {"EN": text}})


def test_a_post_by_hand_is_not_taken_for_our_reply(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("m", "t1")
        assert it.run().exit_code == DONE
        write_by_hand(it, "Again")
        write_reply(it, "m", "Again")
        assert it.run().exit_code == DONE
        assert list(said(it.emulator).values()) == [["m", "Again", "Again"]]


@pytest.mark.parametrize("fault", [LOST, FAILED])
def test_a_second_revision_in_the_same_words_goes_out(tmp_path: Path, fault: str) -> None:
    with world(tmp_path) as it:
        it.write("m", "t1")
        write_reply(it, "m", "Again")
        assert [it.run().exit_code for _ in range(2)] == [DONE, DONE]
        write_reply(it, "m", "Again", revision=2)
        it.faults(f"on=reply,{fault}")
        it.run()
        it.faults()
        assert it.run().exit_code == DONE
        assert list(said(it.emulator).values()) == [["m", "Again", "Again"]]


def test_a_reply_is_settled_by_hand(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("m", "t1")
        write_reply(it, "m", "Again")
        assert it.run().exit_code == DONE
        it.faults(f"on=reply,{LOST}", "on=list,after=3,kind=no-has-more")
        assert it.run().exit_code == UNKNOWN
        it.faults()
        (unknown,), (thread,) = it.unknown(), threads(it.emulator)
        wrong = it.command("resolve", unknown, "--sent", "63c15866757a4a1adad1d632")
        assert (wrong.code, thread["id"] in wrong.err) == (2, True)
        assert it.command("resolve", unknown, "--sent", thread["id"]).code == 0
        assert it.run().exit_code == DONE
        write_reply(it, "m", "Once more", revision=2)
        assert it.run().exit_code == DONE
        assert list(said(it.emulator).values()) == [["m", "Again", "Once more"]]


def test_a_reply_that_is_found_puts_no_other_in_doubt(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("m", "t1")
        assert it.run().exit_code == DONE
        for name in "ab":
            (it.root / "messages" / f"r{name}.yaml").write_text(reply("m", text=name))
        it.faults(f"on=reply,at=1,{LOST}", f"on=reply,at=2,{FAILED}")
        assert it.run(jobs=1).exit_code == UNKNOWN
        it.faults()
        assert it.run().exit_code == DONE
        assert list(said(it.emulator).values()) == [["m", "a", "b"]]


def test_an_answer_that_another_server_took_is_seen(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        # Two servers take turns, each with ids of its own clock.
        behave(it, clock_skew_ms=[200_000, -200_000])
        it.write("m", "t1", "t2")
        (it.root / "messages" / "r.yaml").write_text(reply("m", only_answered=True))
        assert it.run().exit_code == DONE
        (ours,) = threads(it.emulator)
        child = answer(it.emulator, ours["id"], "t1", "Thanks")
        assert child < ours["id"]
        assert "Thanks" in it.command("replies").out
        assert "1        INBOX" in it.command("status", "--refresh", *it.speed).out
        assert it.run().exit_code == DONE
        assert said(it.emulator)[child][-1] == "And again, thank you."


def test_a_lost_manifest_does_not_reply_again(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("m", "t1")
        write_reply(it, "m", "Again")
        assert [it.run().exit_code for _ in range(2)] == [DONE, DONE]
        it.manifest.unlink()
        assert [it.run().exit_code for _ in range(2)] == [DONE, DONE]
        assert list(said(it.emulator).values()) == [["m", "Again"]]


# What people are told


def test_what_is_unknown_is_told_with_all_that_settles_it(tmp_path: Path) -> None:
    with world(tmp_path) as it, left_in_doubt(it) as thread:
        result = it.send()
        assert result.code == UNKNOWN
        (unknown,) = it.unknown()
        of_it = [each for each in it.lines() if each.get("delivery") == unknown]
        line = next(each for each in of_it if each["event"] == "intent")
        for said_too in (
            "in doubt: a to t1",
            f"thread {thread} may be it",
            f"tried at {line['at']} by run {line['run']}",
            f"message-runner resolve {unknown} --sent {thread}",
            f"message-runner resolve {unknown} --not-sent --target {it.emulator.url}`",
        ):
            assert said_too in result.err
        status = it.command("status")
        assert f"message-runner resolve {unknown} --sent {thread}" in status.out


@contextmanager
def left_in_doubt(it: World) -> Iterator[str]:
    it.write("z", "t0")
    assert it.run().exit_code == DONE
    it.write("a", "t1")
    it.faults(FAILED)
    assert it.run().exit_code == UNKNOWN
    it.faults()
    yield put(it, "Hello", "t1")


@pytest.mark.parametrize("word", ["--sent", "--not-sent"])
def test_a_message_is_settled_at_once(tmp_path: Path, word: str) -> None:
    with world(tmp_path) as it:
        it.write("a", *people(150))
        assert it.run().exit_code == DONE
        it.edit_store("UPDATE messages SET text = replace(text, 'a', 'b')")
        it.manifest.unlink()
        assert it.run().exit_code == UNKNOWN
        assert len(it.unknown()) == 2
        assert it.command("resolve", "--message", "a", word).code == 0
        assert it.run().exit_code == DONE
        assert it.calls("compose") == (2 if word == "--sent" else 4)
        assert it.run().exit_code == DONE
        assert it.calls("compose") == (2 if word == "--sent" else 4)
