"""Runs that are killed, stopped or doubled, and manifests that are lost or old."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from support import IS_THOROUGH, TIMEOUT_S, ended, one_in, threads

from runner.errors import ExitCode
from runner.toloka.pace import GRACE_S

from .world import World, people, wait_for, world

DELIVERIES = 12


# Windows ends a process at once whatever the signal, so a run there is only ever killed.
not_on_windows = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


def write_messages(it: World) -> None:
    """Twelve deliveries: to all, seven batches, three single ones, by a filter."""
    it.write("a-everyone")
    it.write("b-many", *people(610))
    for name in ("c", "d", "e"):
        it.write(name, *people(2, name))
    it.write("f-filter", filtered=True)


def intents(it: World) -> int:
    return sum(line["event"] == "intent" for line in it.lines())


def outcomes(it: World) -> int:
    return sum(line["event"] == "sent" for line in it.lines())


def composes(it: World) -> int:
    return it.calls("compose")


def kill_when(
    it: World, process: subprocess.Popen[str], is_time: Callable[[], bool], what: str
) -> None:
    """Kill a run when something has happened; it must not have come to its end before."""
    try:
        wait_for(lambda: is_time() or process.poll() is not None, what)
        assert process.poll() is None, f"it ended before {what}: {process.communicate()}"
    finally:
        process.kill()
        process.communicate(timeout=TIMEOUT_S)
    it.check_claims()


def check_finishes(it: World) -> None:
    """Another run finishes what was left, in one go: nothing fails but the killed run."""
    assert it.run_until_done() == [0]
    it.check_all_reached()
    it.check_sends_nothing_more()


def send_one(it: World, *faults: str) -> None:
    """Send the first of the messages: a new manifest looks twice, and waits, before it sends."""
    write_messages(it)
    assert it.send("--limit", "1").code == 0
    it.faults(*faults)


def test_killed_before_the_first_intent(tmp_path: Path) -> None:
    with world(tmp_path, "on=list,times=1,kind=slow,seconds=20") as it:
        write_messages(it)
        kill_when(it, it.start(), lambda: it.calls("list") == 1, "the list being asked for")
        assert intents(it) == 0
        check_finishes(it)


@pytest.mark.some(2)
@pytest.mark.parametrize("jobs", [1, 4])
@pytest.mark.parametrize("count", [1, 4, 8] if IS_THOROUGH else [4])
def test_killed_between_intents_and_requests(tmp_path: Path, count: int, jobs: int) -> None:
    # The pace keeps the next requests back for two seconds, and their intents are written.
    with world(tmp_path) as it:
        write_messages(it)
        it.jobs = jobs
        if count > 1:
            assert it.send("--limit", str(count - 1)).code == 0
        before = composes(it)
        process = it.start("--rate", "0.5")
        kill_when(it, process, lambda: intents(it) >= count, f"{count} intents")
        assert composes(it) <= before + 1
        assert it.unknown()
        check_finishes(it)


@pytest.mark.some(2)
@pytest.mark.parametrize(
    ("count", "lag_ms"),
    one_in(3, [(1, 0), (2, 400), (4, 0), (6, 0), (9, 0), (DELIVERIES, 0), (DELIVERIES, 400)]),
)
def test_killed_between_requests_and_outcomes(tmp_path: Path, count: int, lag_ms: int) -> None:
    # Each message is made when its request comes, and the answer is far away.
    with world(tmp_path, "kind=slow,seconds=20", list_lag_ms=lag_ms) as it:
        it.settle_s = 0.7 if lag_ms else 0.05
        write_messages(it)
        process = it.start("--jobs", str(count), "--timeout", "20")
        kill_when(it, process, lambda: composes(it) == count, f"{count} requests")
        assert len(it.unknown()) == count
        it.faults()
        check_finishes(it)


@pytest.mark.parametrize("count", range(1, DELIVERIES) if IS_THOROUGH else [4])
def test_killed_as_outcomes_are_written(tmp_path: Path, count: int) -> None:
    with world(tmp_path, latency_ms=30) as it:
        write_messages(it)
        it.jobs = 1 + count % 4
        process = it.start("--rate", "30")
        kill_when(it, process, lambda: outcomes(it) >= count, f"{count} outcomes")
        check_finishes(it)


@pytest.mark.parametrize("seed", range(100 if IS_THOROUGH else 2))
def test_killed_while_lines_are_flushed(tmp_path: Path, seed: int) -> None:
    with world(tmp_path) as it:
        write_messages(it)
        it.write("g-more", *people(1000 + 300 * seed % 700, "more"))
        it.jobs = 8
        size = 600 + 1700 * seed

        def has_grown() -> bool:
            return it.manifest.exists() and it.manifest.stat().st_size > size

        process = it.start()
        wait_for(lambda: has_grown() or process.poll() is not None, f"{size} bytes")
        process.kill()
        process.communicate(timeout=TIMEOUT_S)
        check_finishes(it)


@pytest.mark.dear
def test_killed_while_it_waits_for_the_list_to_settle(tmp_path: Path) -> None:
    with world(tmp_path, list_lag_ms=300) as it:
        it.settle_s = 0.6
        send_one(it, "every=2,kind=accepted-then-reset")
        before = it.calls("list")
        process = it.start("--settle", "30")
        kill_when(it, process, lambda: it.calls("list") >= before + 3, "the first look")
        it.faults()
        check_finishes(it)


@pytest.mark.parametrize("count", [1, 3, 6, 11] if IS_THOROUGH else [3, 11])
def test_killed_while_it_adopts(tmp_path: Path, count: int) -> None:
    # A kill in the middle of catching up must leave the rest to be caught up with.
    with world(tmp_path) as it:
        write_messages(it)
        assert it.run().exit_code == ExitCode.DONE
        whole = it.manifest.read_bytes()
        it.manifest.unlink()
        assert it.run().exit_code == ExitCode.DONE
        adopted = it.manifest.read_bytes()
        assert adopted != whole
        # Every line of an adoption is on disk before the next: a kill leaves a prefix.
        lines = adopted.splitlines(keepends=True)
        for end in (2 * count + 1, 2 * count + 2):
            it.manifest.write_bytes(b"".join(lines[:end]))
            it.check_sends_nothing_more()
            it.check_all_reached()


@pytest.mark.dear
@pytest.mark.parametrize("repeats", [10 if IS_THOROUGH else 3])
def test_killed_again_and_again(tmp_path: Path, repeats: int) -> None:
    with world(tmp_path, latency_ms=50, list_lag_ms=200) as it:
        it.settle_s = 0.5
        write_messages(it)
        for number in range(1, repeats + 1):
            process = it.start("--rate", "20", "--jobs", "3")
            enough = 2 * number
            kill_when(it, process, lambda: composes(it) >= enough, f"{enough} requests")  # noqa: B023
        assert it.send_until_done() == [0]
        it.check_all_reached()


@not_on_windows
def test_of_two_runs_at_once_one_is_turned_away(tmp_path: Path) -> None:
    with world(tmp_path, latency_ms=300) as it:
        write_messages(it)
        first = it.start()
        try:
            wait_for(lambda: composes(it) > 0, "the first request")
            # Held where it is, so that it cannot end before the second one begins.
            first.send_signal(signal.SIGSTOP)
            second = it.send()
        finally:
            first.send_signal(signal.SIGCONT)
            result = ended(first)
        assert second.code == ExitCode.SURROUNDINGS
        assert f"in use by another run (process {first.pid} on " in second.err
        assert result.code == 0, result.err
        it.check_all_reached()
        it.check_sends_nothing_more()


@pytest.mark.dear
def test_many_runs_at_once_send_once(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        write_messages(it)
        results = [ended(process) for process in [it.start() for _ in range(3)]]
        assert {result.code for result in results} <= {0, 2}
        assert any(result.code == 0 for result in results)
        it.check_all_reached()


def test_the_lock_of_a_killed_run_holds_nobody_up(tmp_path: Path) -> None:
    with world(tmp_path, "at=1,kind=timeout,seconds=20") as it:
        write_messages(it)
        kill_when(it, it.start("--timeout", "20"), lambda: composes(it) > 0, "the first request")
        assert (it.root / "manifest.jsonl.holder").exists()
        check_finishes(it)


@pytest.mark.some(2)
@not_on_windows
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_what_is_in_flight_finish(tmp_path: Path, number: signal.Signals) -> None:
    with world(tmp_path, "times=3,kind=slow,seconds=0.8") as it:
        write_messages(it)
        process = it.start("--jobs", "3")
        wait_for(lambda: composes(it) == 3, "three requests in flight")
        process.send_signal(number)
        result = ended(process)
        assert result.code == 128 + number
        assert composes(it) == 3
        assert outcomes(it) == 3
        assert it.unknown() == []
        check_finishes(it)


@not_on_windows
def test_a_signal_leaves_what_does_not_finish_unknown(tmp_path: Path) -> None:
    with world(tmp_path, "kind=accepted-then-timeout,seconds=60") as it:
        write_messages(it)
        process = it.start("--jobs", "3", "--timeout", "60")
        wait_for(lambda: composes(it) == 3, "three requests in flight")
        signalled_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        result = ended(process)
        assert result.code == ExitCode.TERMINATED
        # It is the contract with whoever kills after some grace; the rest is a slow machine's.
        assert time.monotonic() - signalled_s < GRACE_S + 5
        assert len(it.unknown()) == 3
        it.faults()
        check_finishes(it)


@pytest.mark.dear
@not_on_windows
@pytest.mark.parametrize("fault", ["on=list,kind=slow,seconds=40", "on=list,kind=reset"])
def test_a_signal_ends_a_run_that_waits_for_the_list(tmp_path: Path, fault: str) -> None:
    with world(tmp_path, fault) as it:
        write_messages(it)
        process = it.start("--timeout", "40")
        wait_for(lambda: it.calls("list") == 1, "the list being asked for")
        signalled_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        result = ended(process)
        assert result.code == ExitCode.TERMINATED
        assert time.monotonic() - signalled_s < GRACE_S + 5
        assert composes(it) == 0
        it.faults()
        check_finishes(it)


@pytest.mark.dear
@not_on_windows
@pytest.mark.parametrize("fault", ["kind=429,retry_after=60", "kind=accepted-then-500"])
def test_a_signal_ends_a_run_that_waits(tmp_path: Path, fault: str) -> None:
    # For a pause of the server's, and for the list to settle.
    with world(tmp_path, list_lag_ms=400) as it:
        it.settle_s = 0.7
        send_one(it, fault)
        composed, listed = composes(it), it.calls("list")
        process = it.start("--settle", "60", "--jobs", "12")
        begun = {
            "429": lambda: composes(it) > composed,
            "acc": lambda: it.calls("list") > listed + 2,
        }
        wait_for(begun[fault[5:8]], "the wait")
        process.send_signal(signal.SIGINT)
        assert ended(process).code == ExitCode.INTERRUPTED
        it.faults()
        check_finishes(it)


@not_on_windows
def test_a_second_signal_ends_a_run_at_once(tmp_path: Path) -> None:
    with world(tmp_path, "kind=accepted-then-timeout,seconds=60") as it:
        it.write("a", "t1")
        process = it.start("--timeout", "60")
        wait_for(lambda: composes(it) == 1, "a request in flight")
        while process.poll() is None:
            process.send_signal(signal.SIGTERM)
            time.sleep(0.05)
        process.communicate(timeout=TIMEOUT_S)
        # By the signal itself: the first one alone would have given it some seconds, and 143.
        assert process.returncode == -signal.SIGTERM
        assert len(it.unknown()) == 1
        it.faults()
        check_finishes(it)


def make_eventful_manifest(it: World) -> bytes:
    """Let a run meet all sorts of trouble; gives the manifest that it leaves."""
    write_messages(it)
    it.faults(
        "every=4,kind=accepted-then-500", "every=5,kind=500", "every=7,kind=429,retry_after=0"
    )
    assert it.run_until_done(jobs=3)[-1] == ExitCode.DONE
    it.faults()
    kinds = {line["event"] for line in it.lines()}
    assert kinds >= {"manifest", "run", "intent", "sent", "not_found"}
    return it.manifest.read_bytes()


def cuts(whole: bytes) -> list[int]:
    """Every line boundary, and some torn bytes inside every line."""
    ends = [0, *(place + 1 for place, byte in enumerate(whole) if byte == ord("\n"))]
    torn = []
    for number, (begin, end) in enumerate(pairwise(ends)):
        # The first and the last byte of a line, and one that moves through the lines.
        torn += [begin + 1, end - 1, begin + 2 + number * 37 % (end - begin - 3)]
    some = torn if IS_THOROUGH else torn[::6]
    return sorted({*ends, *some})


@pytest.mark.dear
def test_an_older_manifest_doubles_nobody_and_loses_nobody(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        whole = make_eventful_manifest(it)
        messages = it.messages()
        before = threads(it.emulator)
        for cut in cuts(whole):
            it.manifest.write_bytes(whole[:cut])
            assert it.run(messages).exit_code == ExitCode.DONE, cut
            assert threads(it.emulator) == before, cut
            it.check_all_reached()


@pytest.mark.dear
def test_an_older_manifest_and_somebody_new(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        whole = make_eventful_manifest(it)
        everybody = people(610)
        for number, cut in enumerate(cuts(whole)[:: 1 if IS_THOROUGH else 3]):
            everybody.insert(number * 29 % 600, f"new{number}")
            it.write("b-many", *everybody)
            it.manifest.write_bytes(whole[:cut])
            before = composes(it)
            assert it.run().exit_code == ExitCode.DONE
            assert composes(it) == before + 1
            it.check_all_reached()


@pytest.mark.dear
@pytest.mark.parametrize("how", ["deleted", "emptied", "its first line", "half", "torn"])
def test_an_older_manifest_is_caught_up_with_by_the_command(tmp_path: Path, how: str) -> None:
    with world(tmp_path) as it:
        whole = make_eventful_manifest(it)
        kept = {
            "deleted": b"",
            "emptied": b"",
            "its first line": whole[: whole.index(b"\n") + 1],
            "half": b"".join(whole.splitlines(keepends=True)[:9]),
            "torn": whole[: len(whole) // 2],
        }[how]
        it.manifest.write_bytes(kept)
        if how == "deleted":
            it.manifest.unlink()
        it.write("c", *people(3, "c"))
        before = composes(it)
        result = it.send("--results", "results.json")
        assert result.code == 0, result.err
        assert composes(it) == before + 1
        it.check_all_reached()
        it.check_sends_nothing_more()


def test_a_damaged_manifest_is_refused_with_its_line(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        whole = make_eventful_manifest(it)
        lines = whole.splitlines(keepends=True)
        before = composes(it)
        for number in (1, 3, len(lines) - 1):
            damaged = [*lines]
            damaged[number - 1] = damaged[number - 1][:30] + b"\n"
            it.manifest.write_bytes(b"".join(damaged))
            report = it.run()
            assert report.exit_code == ExitCode.SURROUNDINGS
            assert f"manifest.jsonl:{number}:1: error: the manifest is damaged" in report.notes[0]
            assert it.manifest.read_bytes() == b"".join(damaged)
        assert composes(it) == before
