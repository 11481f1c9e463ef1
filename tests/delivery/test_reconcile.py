"""What is in doubt is settled by the server's list, and by nothing that is not certain."""

from __future__ import annotations

import json
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from support import IS_THOROUGH, TIMEOUT_S, control, threads

from runner.emulator import Emulator
from runner.errors import ExitCode

from .shifting import shifted_clock
from .world import World, people, wait_for, world

LOST = "kind=accepted-then-500"
FAILED = "kind=500"
FILTER = {"and": [{"category": "skill", "key": "224", "operator": "GTE", "value": 80}]}
TO_ALL: dict[str, Any] = {"recipients_select_type": "ALL", "recipients_ids": None}
FILTERED: dict[str, Any] = {
    "recipients_select_type": "FILTER",
    "recipients_ids": None,
    "recipients_filter": FILTER,
}


def statuses(it: World, name: str = "results.json") -> Counter[str]:
    document = json.loads((it.root / name).read_text())
    return Counter(each["status"] for each in document["deliveries"])


# The list


@pytest.mark.parametrize("fault", [LOST, FAILED])
def test_one_list_serves_all_that_is_in_doubt(tmp_path: Path, fault: str) -> None:
    with world(tmp_path, f"times=9,{fault}") as it:
        it.write("a", *people(830))
        assert it.send().code == 0
        # Catching up, a first look, and where something was not there a second one.
        assert it.calls("list") == (2 if fault == LOST else 3)
        it.check_all_reached()


def test_a_thread_that_the_list_shows_late_is_found_by_the_second_look(tmp_path: Path) -> None:
    with world(tmp_path, f"at=1,{LOST}", list_lag_ms=600) as it:
        it.settle_s = 0.9
        it.write("a", "t1", "t2")
        result = it.send("--results", "results.json")
        assert result.code == 0, result.err
        assert it.calls("compose") == 1
        assert statuses(it) == {"sent": 1}
        it.check_all_reached()


def test_threads_beyond_the_first_page_are_seen(tmp_path: Path) -> None:
    with world(tmp_path, f"after=320,at=1,{LOST}") as it:
        # Others' threads, so new that the list has them before ours.
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: it.compose("other", f"x{n}"), range(320)))
        it.write("a", "t1")
        it.write("b", "t2")
        assert it.run(jobs=1).exit_code == ExitCode.DONE
        assert it.calls("compose") == 320 + 2
        # Two pages to catch up with, and two to look through.
        assert it.calls("list") == 4
        it.manifest.unlink()
        assert it.run().exit_code == ExitCode.DONE
        assert it.calls("compose") == 320 + 2
        assert len(it.claimed()) == 2


@pytest.mark.parametrize("kind", ["503", "reset", "400"] if IS_THOROUGH else ["503"])
def test_without_the_list_nothing_is_sent_and_nothing_concluded(tmp_path: Path, kind: str) -> None:
    with world(tmp_path, f"on=list,kind={kind}") as it:
        it.write("a", "t1")
        result = it.send()
        assert result.code == ExitCode.LATER
        assert "list" in result.err
        assert it.calls("compose") == 0
        it.faults(f"{FAILED}", f"on=list,after=1,kind={kind}")
        assert it.send().code == ExitCode.UNKNOWN
        assert it.calls("compose") == 1
        it.faults(f"on=list,kind={kind}")
        it.write("b", "t2")
        assert it.send().code == ExitCode.UNKNOWN
        assert it.calls("compose") == 1
        it.faults()
        assert it.send_until_done() == [0]
        it.check_all_reached()


def test_a_token_refused_while_looking_does_not_hide_what_was_sent(tmp_path: Path) -> None:
    with world(tmp_path, f"at=2,{LOST}", "on=list,after=1,kind=401") as it:
        it.jobs = 1
        for name in ("a", "b", "c"):
            it.write(name, "t1")
        result = it.send("--results", "results.json")
        assert result.code == ExitCode.SURROUNDINGS
        assert statuses(it) == {"sent": 2, "unknown": 1}
        it.faults()
        assert it.send_until_done() == [0]
        it.check_all_reached()


# What may be claimed


def test_a_thread_of_another_delivery_is_not_claimed(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("a", "t1", "t2")
        assert it.run().exit_code == ExitCode.DONE
        it.write("a", "t1", "t2", revision=2)
        it.faults(f"times=1,{FAILED}")
        assert it.run().exit_code == ExitCode.DONE
        assert it.reached() == {("a", "t1"): 2, ("a", "t2"): 2}
        assert len(set(it.claimed())) == 2


@pytest.mark.parametrize("faults", [[LOST], [FAILED], [f"at=1,{LOST}", f"at=2,{FAILED}"]])
def test_messages_with_one_content_are_told_apart(tmp_path: Path, faults: list[str]) -> None:
    with world(tmp_path, *(f"times=2,{fault}" for fault in faults)) as it:
        it.write("may", "t1", "t2", topic="Bonus")
        it.write("june", "t1", "t2", topic="Bonus")
        assert it.run().exit_code == ExitCode.DONE
        assert it.reached() == {("Bonus", "t1"): 2, ("Bonus", "t2"): 2}
        assert len(set(it.claimed())) == 2


@pytest.mark.parametrize("kept", ["nothing", "the first", "the second"])
def test_messages_with_one_content_are_caught_up_with(tmp_path: Path, kept: str) -> None:
    with world(tmp_path) as it:
        it.write("june", "t1", "t2", "t3", topic="Bonus")
        it.write("may", "t2", "t3", "t4", topic="Bonus")
        assert it.run(jobs=1).exit_code == ExitCode.DONE
        expected = it.reached()
        lines = it.manifest.read_bytes().splitlines(keepends=True)
        lost = {"nothing": (2, 3, 5, 6), "the first": (5, 6), "the second": (2, 3)}[kept]
        left = [line for number, line in enumerate(lines) if number not in lost]
        it.manifest.write_bytes(b"".join(left))
        assert it.run().exit_code == ExitCode.DONE
        assert it.reached() == expected
        assert it.calls("compose") == 2


def test_a_child_thread_is_nobodys_delivery(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("a", "t1", "t2")
        child = it.compose("a", "t1", "t2")
        it.edit_store("UPDATE threads SET parent_id = 'b', toloker_id = 't1' WHERE id = ?", child)
        it.faults(f"at=1,{FAILED}")
        assert it.run().exit_code == ExitCode.DONE
        # The child is no proof that the message went out, neither at first nor in doubt.
        assert it.reached() == {("a", "t1"): 2, ("a", "t2"): 2}
        assert child not in it.claimed()


def test_answers_do_not_hide_a_thread(tmp_path: Path) -> None:
    with world(tmp_path, f"times=1,{LOST}") as it:
        it.write("a", "t1")
        it.write("b", "t1", "t2")
        assert it.run().exit_code == ExitCode.DONE
        for thread in threads(it.emulator):
            answer = {"thread_id": thread["id"], "toloker_id": "t1", "text": {"EN": "And now?"}}
            control(it.emulator, "answer", answer)
        it.manifest.unlink()
        assert it.run().exit_code == ExitCode.DONE
        assert it.calls("compose") == 2
        it.check_all_reached()


# What nearly matches


def write_four(it: World) -> None:
    it.write("a", "t1", "t2")
    it.write("b", filtered=True)
    it.write("c")


NEARLY = [
    pytest.param("a", ("Hello", "t2", "t9"), {}, id="a recipient"),
    pytest.param("a", ("a", "t8", "t9"), {}, id="the content, to others"),
    pytest.param("b", ("Hello",), FILTERED, id="the filter"),
    pytest.param("c", ("Hello",), TO_ALL, id="all"),
]


@pytest.mark.parametrize("fault", [LOST, FAILED])
@pytest.mark.parametrize(("name", "other", "changes"), NEARLY)
def test_a_near_match_leaves_it_unknown(
    tmp_path: Path, name: str, other: tuple[str, ...], changes: dict[str, Any], fault: str
) -> None:
    with world(tmp_path, daily_all_limit=0) as it:
        write_four(it)
        it.wanted = {each for each in it.wanted if each[0] == name}
        path = it.root / "messages" / f"{name}.yaml"
        near = it.compose(*other, **changes)
        it.faults(f"times=1,{fault}")
        messages = it.messages(path)
        report = it.run(messages)
        if fault == LOST:
            # There is an exact match as well, so nothing is in doubt.
            assert report.exit_code == ExitCode.DONE
            assert near not in it.claimed()
            return
        assert report.exit_code == ExitCode.UNKNOWN
        assert it.calls("compose") == 2
        (unknown,) = it.unknown()
        report = it.run(messages)
        assert (report.exit_code, it.unknown()) == (ExitCode.UNKNOWN, [unknown])
        assert f"thread {near} nearly matches" in str(report.results[0].error)
        assert it.calls("compose") == 2
        assert it.command("resolve", unknown[:6], "--not-sent").code == 0
        assert it.run(messages).exit_code == ExitCode.DONE
        assert it.calls("compose") == 3
        assert near not in it.claimed()


def test_what_a_near_match_reached_is_not_written_to_again(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        leave_in_doubt(it, FAILED, "t1", "t2", "t3")
        it.compose("a", "t2")
        # The next run adopts what reached one of them, and sends to the two others.
        it.run_until_done()
        it.check_all_reached()


# A server that does not give back what it was given


def write_untidy(it: World) -> None:
    """Four messages, of every kind, whose texts a server may tidy up."""
    text = " First\nsecond\n"
    it.write("a", "t0", text=text)
    it.write("b", "t1", "t2", text=text)
    it.write("c", filtered=True, text=text)
    it.write("d", text=text)
    it.jobs = 1


@pytest.mark.parametrize("fault", [LOST, FAILED])
@pytest.mark.parametrize("echo", ["trimmed", "crlf"])
def test_a_text_that_comes_back_tidied_is_known_again(
    tmp_path: Path, echo: str, fault: str
) -> None:
    with world(tmp_path, f"at=2+3+4,{fault}", echo=echo) as it:
        write_untidy(it)
        # What is there is found. What is not there may only look otherwise, for all that run knows.
        assert it.run_until_done() == ([0] if fault == LOST else [ExitCode.UNKNOWN, 0])
        it.check_all_reached()
        it.manifest.unlink()
        it.check_sends_nothing_more()
        it.check_all_reached()


@pytest.mark.parametrize("fault", [LOST, FAILED])
def test_absence_proves_nothing_where_the_echo_is_inexact(tmp_path: Path, fault: str) -> None:
    with world(tmp_path, f"at=2+3+4,{fault}", echo="no-details", daily_all_limit=0) as it:
        write_untidy(it)
        result = it.send()
        assert result.code == ExitCode.UNKNOWN
        assert "differs from what was sent" in result.err
        assert it.calls("compose") == 4
        assert len(it.unknown()) == 3
        # A later run, in which no answer shows that the echo is inexact.
        report = it.run()
        if fault == LOST:
            # What nearly matches keeps it in doubt.
            assert report.exit_code == ExitCode.UNKNOWN
            assert len(it.unknown()) == 3
            assert it.calls("compose") == 4
        else:
            assert report.exit_code == ExitCode.DONE
        assert it.reached() == Counter(it.wanted)


# By hand, and without sending


def leave_in_doubt(it: World, fault: str, *ids: str) -> None:
    """Leave a message in doubt, as a run does that is killed before it writes the outcome."""
    it.write("a", *ids)
    it.faults(fault)
    assert it.run().exit_code in (ExitCode.DONE, ExitCode.LATER)
    it.faults()
    lines = it.manifest.read_bytes().splitlines(keepends=True)
    lines = [line for line in lines if json.loads(line)["event"] != "account"]
    assert json.loads(lines[-1])["event"] == ("sent" if fault == LOST else "not_found")
    it.manifest.write_bytes(b"".join(lines[:-1]))
    assert len(it.unknown()) == 1


@pytest.mark.parametrize("fault", [LOST, FAILED])
def test_status_refresh_settles_without_sending(tmp_path: Path, fault: str) -> None:
    with world(tmp_path) as it:
        leave_in_doubt(it, fault, "t1")
        plain = it.command("status")
        assert plain.code == 0
        assert f"unknown: a, delivery {it.unknown()[0]}" in plain.out
        before = it.calls("compose")
        refreshed = it.command("status", "--refresh", *it.speed)
        assert refreshed.code == 0, refreshed.err
        assert it.calls("compose") == before
        assert it.unknown() == []
        assert it.lines()[-1]["event"] == ("sent" if fault == LOST else "not_found")
        assert it.send().code == 0
        it.check_all_reached()


def test_status_refresh_does_not_conclude_from_a_near_match(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        leave_in_doubt(it, FAILED, "t1")
        it.compose("Hello", "t1")
        assert it.command("status", "--refresh", *it.speed).code == ExitCode.UNKNOWN
        assert len(it.unknown()) == 1


@pytest.mark.parametrize("fault", [LOST, FAILED])
def test_resolve_takes_a_persons_word(tmp_path: Path, fault: str) -> None:
    with world(tmp_path) as it:
        leave_in_doubt(it, fault, "t1")
        (unknown,) = it.unknown()
        if fault == LOST:
            (thread,) = threads(it.emulator)
            said = it.command("resolve", unknown, "--sent", thread["id"])
        else:
            said = it.command("resolve", unknown[:8], "--not-sent")
        assert said.code == 0, said.err
        assert it.unknown() == []
        lists = it.calls("list")
        assert it.send_until_done() == [0]
        # Nothing was in doubt any more, so one list to catch up was enough.
        assert it.calls("list") == lists + 1
        it.check_all_reached()


def test_resolve_refuses_what_it_cannot_know(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("b", "t1")
        assert it.run().exit_code == ExitCode.DONE
        (claimed,) = it.claimed()
        leave_in_doubt(it, LOST, "t1")
        (unknown,) = it.unknown()
        before = it.manifest.read_bytes()
        refused = {
            ("zz", "--not-sent"): "no delivery in doubt is called zz",
            (unknown, "--sent", claimed): "belongs to another delivery",
            (unknown, "--sent", "not a thread"): "--sent takes a thread id",
            (unknown,): "--sent THREAD_ID or --not-sent",
            (unknown, "--not-sent", "--sent", "5"): "--sent THREAD_ID or --not-sent",
        }
        for arguments, said in refused.items():
            result = it.command("resolve", *arguments)
            assert result.code == ExitCode.SURROUNDINGS, arguments
            assert said in result.err
        assert it.manifest.read_bytes() == before


def test_resolve_wants_a_prefix_that_means_one(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        leave_in_doubt(it, FAILED, "t1")
        (line,) = (each for each in it.lines() if each.get("delivery") == it.unknown()[0])
        twin = {**line, "delivery": line["delivery"][:-1] + "x"}
        with it.manifest.open("a") as stream:
            stream.write(json.dumps(twin) + "\n")
        result = it.command("resolve", line["delivery"][:-1], "--not-sent")
        assert result.code == ExitCode.SURROUNDINGS
        assert "2 deliveries in doubt start with" in result.err
        assert it.command("resolve", line["delivery"], "--not-sent").code == 0
        assert it.unknown() == [twin["delivery"]]


# Whose messages these are


def test_a_manifest_of_another_account_is_refused(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("a", "t1")
        assert it.run().exit_code == ExitCode.DONE
        first, port = it.emulator, int(it.emulator.url.rpartition(":")[2])
        first.stop()
        it.write("b", *people(500))
        with Emulator(tmp_path / "other.sqlite", port=port, rate_limit=0) as it.emulator:
            # With nothing to list, only the first answers show whose token it is.
            assert it.send().code == ExitCode.SURROUNDINGS
            assert 1 <= it.calls("compose") <= it.jobs
            known = it.calls("compose")
            result = it.send()
            assert result.code == ExitCode.SURROUNDINGS
            assert f"account {first.account}" in result.err
            assert it.calls("compose") == known


# Catching up


def test_a_lost_manifest_is_caught_up_with_whichever_message_is_sent(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("a", "t1")
        it.write("b", "t2")
        assert it.run().exit_code == ExitCode.DONE
        (b,) = (each["id"] for each in threads(it.emulator) if each["topic"]["EN"] == "b")
        hour_ms = 3_600_000
        it.edit_store("UPDATE threads SET created_ms = created_ms - ? WHERE id = ?", hour_ms, b)
        it.manifest.unlink()
        for name in ("a", "b"):
            report = it.run(it.messages(it.root / "messages" / f"{name}.yaml"))
            assert report.exit_code == ExitCode.DONE
        assert it.calls("compose") == 2
        it.check_all_reached()


def test_a_message_that_an_older_commit_lacks_is_caught_up_with_later(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("a", "t1")
        assert it.run().exit_code == ExitCode.DONE
        older = it.manifest.read_bytes()
        it.write("b", "t2")
        assert it.run().exit_code == ExitCode.DONE
        written = (it.root / "messages" / "b.yaml").read_bytes()
        # The job is run again on the older commit, which adds somebody else and knows no b.
        it.manifest.write_bytes(older)
        (it.root / "messages" / "b.yaml").unlink()
        it.write("a", "t1", "t3")
        assert it.run().exit_code == ExitCode.DONE
        hours_ms = 3_600_000
        it.edit_store("UPDATE threads SET created_ms = created_ms - ?", hours_ms)
        (it.root / "messages" / "b.yaml").write_bytes(written)
        assert it.run().exit_code == ExitCode.DONE
        it.check_all_reached()


def test_catching_up_tells_what_it_adopted(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("a", *people(150))
        it.write("b", filtered=True)
        assert it.run().exit_code == ExitCode.DONE
        it.manifest.unlink()
        result = it.send("--results", "results.json")
        assert result.code == 0, result.err
        assert statuses(it) == {"adopted": 3}
        assert "adopted" in result.out
        it.check_sends_nothing_more()


# Clocks


@pytest.mark.parametrize("minutes", [-90, -2, 2, 90])
@pytest.mark.parametrize("fault", [LOST, FAILED])
def test_a_servers_clock_that_is_not_ours(tmp_path: Path, fault: str, minutes: int) -> None:
    ahead = timedelta(minutes=minutes)
    with world(tmp_path, f"every=2,{fault}") as it, shifted_clock(it.emulator.url, ahead) as proxy:
        it.proxy = proxy
        it.write("a", *people(250))
        it.write("b", filtered=True)
        assert it.run_until_done(jobs=1)[-1] == ExitCode.DONE
        it.check_all_reached()
        whole = it.manifest.read_bytes()
        for cut in (0, len(whole) // 3, len(whole) // 2):
            it.manifest.write_bytes(whole[:cut])
            assert it.run().exit_code == ExitCode.DONE
            it.check_all_reached()


@pytest.mark.parametrize("minutes", [-90, 90])
def test_a_run_killed_by_another_clock_than_the_servers(tmp_path: Path, minutes: int) -> None:
    ahead = timedelta(minutes=minutes)
    slow = "kind=slow,seconds=20"
    with world(tmp_path, slow) as it, shifted_clock(it.emulator.url, ahead) as proxy:
        it.proxy = proxy
        it.write("a", *people(350))
        process = it.start("--timeout", "20")
        try:
            wait_for(lambda: it.calls("compose") == 4, "four requests")
        finally:
            process.send_signal(signal.SIGTERM)
            process.kill()
            process.communicate(timeout=TIMEOUT_S)
        assert len(it.unknown()) == 4
        it.faults()
        assert it.send_until_done() == [0]
        it.check_all_reached()


@pytest.mark.parametrize("minutes", [-30, 30])
@pytest.mark.parametrize("lag_ms", [0, 400])
def test_intents_of_a_machine_whose_clock_was_wrong(
    tmp_path: Path, minutes: int, lag_ms: int
) -> None:
    with world(tmp_path, list_lag_ms=lag_ms) as it:
        it.settle_s = 0.7
        # The first answer has told the clocks apart by the time of the intent in doubt.
        it.write("b", *people(3))
        assert it.run().exit_code == ExitCode.DONE
        leave_in_doubt(it, LOST, *people(3))
        moved = [
            {**line, "at": shifted(line["at"], minutes)} if line["event"] == "intent" else line
            for line in it.lines()
        ]
        it.manifest.write_text("".join(json.dumps(line) + "\n" for line in moved))
        assert it.run().exit_code == ExitCode.DONE
        it.check_all_reached()


def shifted(at: str, minutes: int) -> str:
    moment = datetime.strptime(at, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    later = moment + timedelta(minutes=minutes)
    return later.isoformat(timespec="milliseconds").replace("+00:00", "Z")
