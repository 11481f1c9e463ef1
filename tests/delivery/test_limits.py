"""Limits, refusals and outages: what a run does not send, and how it says so."""

from __future__ import annotations

import json
import os
import re
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support import COMMAND, TIMEOUT_S, calls, control, threads

from runner import clock
from runner.emulator import Emulator
from runner.errors import ExitCode
from runner.model import Busy, Outcome
from runner.send.tally import Halt, Tally
from runner.send.workers import Workers
from runner.toloka.pace import Pace

from .world import World, people, wait_for, world


def summary(it: World) -> Mapping[str, int]:
    document: dict[str, Any] = json.loads((it.root / "results.json").read_text())
    found: Mapping[str, int] = document["summary"]
    return found


def write_many(it: World, count: int) -> None:
    """So many deliveries, each of a hundred Tolokers."""
    it.write("many", *people(count * 100))


def arrivals(it: World) -> list[float]:
    """When each compose call arrived, by the server's clock."""
    return [datetime.fromisoformat(each["at"][:-1]).timestamp() for each in calls(it.emulator)]


# Stop


@pytest.mark.some(2)
@pytest.mark.parametrize("kind", ["401", "403", "429,interval=DAY"])
def test_nothing_leaves_after_a_refusal_whoever_waits_for_its_turn(
    tmp_path: Path, kind: str
) -> None:
    with world(tmp_path, f"after=9,kind={kind}") as it:
        it.jobs = 64
        write_many(it, 40)
        result = it.send("--rate", "10", "--results", "results.json")
        assert result.code == (ExitCode.LATER if "429" in kind else ExitCode.SURROUNDINGS)
        # On a busy machine another one may be on the wire before the answer has been read.
        assert 10 <= it.calls("compose") <= 12
        assert summary(it)["sent"] == 9
        assert it.unknown() == []
        it.faults()
        assert it.send_until_done() == [0]
        it.check_all_reached()


def test_nothing_leaves_once_the_manifest_was_replaced(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.jobs = 64
        write_many(it, 64)
        process = it.start("--rate", "10")
        wait_for(lambda: it.calls("compose") >= 3, "the run being under way")
        copy = it.root / "copy.jsonl"
        copy.write_bytes(it.manifest.read_bytes())
        copy.replace(it.manifest)
        replaced = it.calls("compose")
        _, err = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == ExitCode.SURROUNDINGS, err
        assert it.calls("compose") <= replaced + 2


# The rate


@pytest.mark.dear
def test_no_second_holds_more_than_the_rate(tmp_path: Path) -> None:
    # Sixty-four workers would make all the calls at once. What leaves evenly may arrive unevenly,
    # because a thread or the network was late: of the calls of one second and a half, which is more
    # than a loaded machine holds one up by, no more than sixty can arrive within one second.
    with world(tmp_path, rate_limit=60) as it:
        write_many(it, 130)
        it.jobs = 64
        assert it.send("--rate", "40").code == 0
        assert calls_by_status(it) == {200: 3, 201: 130}
        it.check_all_reached()


def test_a_low_rate_is_kept_from_the_first_request_on(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        write_many(it, 12)
        it.jobs = 12
        assert it.send("--rate", "8").code == 0
        times = arrivals(it)
        # A call may arrive a little late, and so closer to the one that comes eight later.
        apart = [later - first for first, later in zip(times, times[8:], strict=False)]
        assert len(apart) == 3 + 12 - 8
        assert min(apart) > 0.8


def calls_by_status(it: World) -> Counter[int]:
    return Counter(each["status"] for each in calls(it.emulator))


def test_connections_are_used_again(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        write_many(it, 60)
        it.jobs = 5
        assert it.send().code == 0
        # One for each worker, and one for each time that the list was asked.
        assert control(it.emulator, "stats")["connections"] <= it.jobs + 3


# Too many requests


@pytest.mark.dear
@pytest.mark.parametrize("fault", ["interval=MIN,retry_after=0", "retry_after=1", "interval=MIN"])
def test_busy_is_waited_for(tmp_path: Path, fault: str) -> None:
    with world(tmp_path, f"at=2+3,kind=429,{fault}") as it:
        it.jobs = 1
        for name in ("a", "b", "c"):
            it.write(name, "t1")
        result = it.send("--results", "results.json")
        assert result.code == 0, result.err
        assert summary(it) == {"sent": 3}
        assert it.calls("compose") == 5
        it.check_all_reached()
        first, again = arrivals(it)[4:6]
        if "retry_after=1" in fault:
            assert again - first >= 1.0


def test_while_one_waits_nobody_sends(tmp_path: Path) -> None:
    with world(tmp_path, "at=1,kind=429,retry_after=1") as it:
        it.jobs = 4
        for number in range(8):
            it.write(f"m{number}", "t1")
        # Slowly enough for a busy machine to read the answer before four more have left.
        assert it.send("--rate", "10").code == 0
        first, *others = arrivals(it)
        # Those already on their way may arrive; the others keep the pause.
        assert sum(each - first < 0.9 for each in others) < it.jobs
        it.check_all_reached()


class QuickPace(Pace):
    """Waits in no time, and knows how long it would have been."""

    waited_s = 0.0

    def __call__(self) -> None:
        """Nothing has to wait for its turn."""

    def pause(self, seconds: float) -> None:
        self.waited_s += seconds

    def now_s(self) -> float:
        return self.waited_s


def test_busy_for_ten_minutes_is_for_the_next_run() -> None:
    pace, tally, tried = QuickPace(285), Tally(), []

    def once() -> Outcome:
        tried.append(pace.waited_s)
        return Busy("MIN", 0.0, "HTTP 429 TOO_MANY_REQUESTS: slow")

    outcome = Workers(tally, pace, jobs=1).call(once)
    assert isinstance(outcome, Busy)
    assert (tally.halt, tally.halt_reason) == (Halt.QUOTA, outcome.detail)
    assert 540 < pace.waited_s <= 600
    pauses = [later - earlier for earlier, later in pairwise(tried)]
    # As if the server had said nothing of how long: one second, two, and so on.
    assert all(0.7 * usual <= each for usual, each in zip((1, 2, 4, 8, 16), pauses, strict=False))
    assert max(pauses) < 40


@pytest.mark.dear
def test_a_429_is_never_asked_again_at_once(tmp_path: Path) -> None:
    with world(tmp_path, "at=1+2,kind=429,retry_after=0") as it:
        it.write("a", "t1")
        assert it.send().code == 0
        first, second, third = arrivals(it)[-3:]
        assert second - first > 0.6
        assert third - second > 1.3


@pytest.mark.parametrize("interval", ["HOUR", "DAY"])
def test_a_long_limit_stops_the_run_and_finishes_what_is_in_flight(
    tmp_path: Path, interval: str
) -> None:
    slow = "at=1+2,kind=slow,seconds=0.8"
    with world(tmp_path, slow, f"after=2,kind=429,interval={interval}") as it:
        it.jobs = 3
        for number in range(9):
            it.write(f"m{number}", "t1")
        result = it.send("--results", "results.json")
        assert result.code == ExitCode.LATER
        assert summary(it) == {"not_tried": 7, "sent": 2}
        assert "TOO_MANY_REQUESTS" in result.err
        assert it.unknown() == []
        # Nothing is begun after it; the two slow ones were on their way.
        assert it.calls("compose") <= 2 + it.jobs
        it.faults()
        assert it.send_until_done() == [0]
        it.check_all_reached()


def test_a_long_retry_after_is_not_waited_for(tmp_path: Path) -> None:
    with world(tmp_path, "at=1,kind=429,retry_after=3600") as it:
        it.write("a", "t1")
        assert it.send().code == ExitCode.LATER
        assert it.unknown() == []
        assert it.send_until_done() == [0]


# A day's limits


def test_a_second_message_to_all_in_a_day_is_for_later(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("a")
        assert it.send().code == 0
        it.write("b")
        it.write("c", "t1")
        said = "Toloka's daily limit is 1 ALL messages: 1 in the last 24 hours and 1 planned"
        planned = it.command("plan")
        assert planned.code == 0
        assert said in planned.out
        result = it.send("--results", "results.json")
        assert result.code == ExitCode.LATER
        assert said in result.err
        assert summary(it) == {"already_sent": 1, "not_tried": 1, "sent": 1}
        assert it.reached() == {("a", "ALL"): 1, ("c", "t1"): 1}
        # Nothing is to be done before that: a scheduled job stays away.
        first = it.lines()[0]["at"]
        assert it.command("plan", "--results", "results.json").code == 0
        due_at = json.loads((it.root / "results.json").read_text())["due_at"]
        assert timedelta(hours=24) <= clock.read(due_at) - clock.read(first) < timedelta(hours=25)
        # The next day: the first one is longer ago, here as at the server.
        text = it.manifest.read_text()
        it.manifest.write_text(re.sub(r"\d{4}-\d\d-\d\dT", "2020-01-01T", text))
        it.edit_store("UPDATE quota SET at_ms = at_ms - 90000000")
        assert it.send_until_done() == [0]
        assert it.reached() == Counter(it.wanted)


def test_two_messages_to_all_at_once_are_one_too_many(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("a")
        it.write("b")
        said = "0 in the last 24 hours and 2 planned leave 1 for later"
        assert said in it.command("plan").out
        result = it.send()
        assert result.code == ExitCode.LATER
        assert "leave 1 for later" in result.err
        assert it.calls("compose") == 1


# Outages


@pytest.mark.some(2)
@pytest.mark.parametrize("kind", ["503", "reset", "accepted-then-503"])
def test_twenty_failures_running_are_an_outage(tmp_path: Path, kind: str) -> None:
    with world(tmp_path, f"after=2,kind={kind}") as it:
        write_many(it, 60)
        it.jobs = 4
        result = it.send("--results", "results.json")
        # What failed last is believed by a later run only; what was accepted is found.
        assert result.code == (ExitCode.LATER if "accepted" in kind else ExitCode.UNKNOWN)
        assert "stopped: " in result.err
        # Those on their way when the twentieth failed still come, and a slow machine tells late of
        # the two that succeeded; but not everybody is tried.
        assert 22 <= it.calls("compose") < 50
        assert bool(it.unknown()) == ("accepted" not in kind)
        sent = summary(it)["sent"]
        assert sent == len(threads(it.emulator)) == len(it.claimed())
        it.faults()
        assert it.send_until_done() == [0]
        it.check_all_reached()


def test_nineteen_failures_are_none(tmp_path: Path) -> None:
    with world(tmp_path, "every=20,kind=slow,seconds=0", "kind=503,times=38") as it:
        write_many(it, 45)
        it.jobs = 1
        assert it.send().code == 0
        it.check_all_reached()


def test_nothing_listens(tmp_path: Path) -> None:
    with world(tmp_path) as it, socket.socket() as closed:
        # Bound and not listening: every connection is refused, and nobody else gets the port.
        closed.bind(("127.0.0.1", 0))
        it.proxy = f"http://127.0.0.1:{closed.getsockname()[1]}"
        it.write("a", "t1")
        result = it.send("--results", "results.json")
        assert result.code == ExitCode.LATER
        assert summary(it) == {"not_tried": 1}
        assert not it.manifest.exists()


@pytest.mark.dear
def test_a_server_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    with world(tmp_path, latency_ms=60) as it:
        write_many(it, 80)
        it.jobs = 30
        port = int(it.emulator.url.rpartition(":")[2])
        process = it.start("--settle", "0.3")
        wait_for(lambda: it.calls("compose") >= 40, "some requests")
        it.emulator.stop()
        out, err = process.communicate(timeout=TIMEOUT_S)
        # What was on its way is in doubt, for the list cannot be had either.
        assert process.returncode in (ExitCode.UNKNOWN, ExitCode.LATER), (out, err)
        assert (process.returncode == ExitCode.UNKNOWN) == bool(it.unknown())
        with Emulator(tmp_path / "toloka.sqlite", port=port, rate_limit=0) as it.emulator:
            it.check_claims()
            assert it.send_until_done() == [0]
            it.check_all_reached()


# Refusals


@pytest.mark.parametrize("kind", ["401", "403"])
def test_a_refused_token_stops_the_run_at_once(tmp_path: Path, kind: str) -> None:
    with world(tmp_path, f"after=3,kind={kind}") as it:
        write_many(it, 60)
        it.jobs = 3
        result = it.send("--results", "results.json")
        assert result.code == ExitCode.SURROUNDINGS
        assert f"HTTP {kind}" in result.err
        assert it.calls("compose") <= 3 + it.jobs
        assert summary(it)["sent"] == 3
        assert it.unknown() == []


def test_a_refused_token_while_listing_sends_nothing(tmp_path: Path) -> None:
    with world(tmp_path, "on=list,kind=401") as it:
        it.write("a", "t1")
        result = it.send()
        assert result.code == ExitCode.SURROUNDINGS
        assert "refused the token" in result.err
        assert it.calls("compose") == 0


def test_bad_ids_stand_alone_and_the_others_get_theirs(tmp_path: Path) -> None:
    bad = ["t0007", "t0099", "t0100", "t0251"]
    with world(tmp_path, refuse=bad) as it:
        write_many(it, 3)
        it.write("fine", "t0001")
        result = it.send("--results", "results.json")
        assert result.code == ExitCode.REFUSED
        assert re.search(r"messages/many\.yaml:\d+:\d+: error: .*recipients", result.err)
        document = json.loads((it.root / "results.json").read_text())
        alone = [
            each["recipients_ids"]
            for each in document["deliveries"]
            if each["status"] == "rejected"
        ]
        assert sorted(alone) == [[each] for each in bad]
        assert it.reached() == Counter(it.wanted - {("many", each) for each in bad})
        before = it.calls("compose")
        assert it.send().code == ExitCode.REFUSED
        # Only those at fault are tried again.
        assert before < it.calls("compose") <= before + 2 * len(bad)
        ids = [each for each in people(300) if each not in bad]
        it.wanted.clear()
        it.write("many", *ids)
        it.write("fine", "t0001")
        assert it.send().code == 0
        it.check_all_reached()


def test_a_refused_text_is_not_split_and_costs_the_others_nothing(tmp_path: Path) -> None:
    with world(tmp_path, "at=1,kind=400") as it:
        it.jobs = 1
        it.write("a", *people(50))
        it.write("b", "t1")
        result = it.send()
        assert result.code == ExitCode.REFUSED
        assert "messages/a.yaml:2:7: error: Toloka refused text" in result.err
        assert it.calls("compose") == 2


def test_a_filter_that_matches_nobody_is_final(tmp_path: Path) -> None:
    with world(tmp_path, "at=1,kind=incorrect-recipients") as it:
        it.write("a", filtered=True)
        result = it.send("--results", "results.json")
        assert result.code == 0
        assert summary(it) == {"no_recipients": 1}
        assert it.send().code == 0
        assert it.calls("compose") == 1
        it.write("a", filtered=True, revision=2)
        assert it.send().code == 0
        assert it.calls("compose") == 2


# Parts and rehearsals


def test_a_limit_leaves_the_rest_for_the_next_run(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        write_many(it, 5)
        for sent in (2, 4, 5):
            result = it.send("--limit", "2", "--results", "results.json")
            assert result.code == 0
            assert it.calls("compose") == sent
            assert summary(it).get("not_tried", 0) == 5 - sent
        it.check_all_reached()


def test_a_test_goes_to_one_toloker_and_changes_nobodys_state(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("a", "t1", "t2")
        it.write("b", filtered=True)
        it.write("c")
        result = it.send("--test-to", "me", "--results", "results.json")
        assert result.code == 0, result.err
        assert summary(it) == {"sent": 3}
        assert it.reached() == {("a", "me"): 1, ("b", "me"): 1, ("c", "me"): 1}
        marked = [line for line in it.lines() if line["event"] == "intent"]
        assert [line.get("test") for line in marked] == [True] * 3
        assert json.loads(it.command("status", "--format", "json").out)["messages"] == []
        assert it.send().code == 0
        assert it.reached() == Counter({*it.wanted, ("a", "me"), ("b", "me"), ("c", "me")})
        # Again and to the message's own recipient: a test is a test.
        assert it.send("--test-to", "t1").code == 0
        assert it.reached()["a", "t1"] == 2
        assert it.send().code == 0
        assert it.calls("compose") == 9


def test_a_lost_test_leaves_the_messages_as_they_were(tmp_path: Path) -> None:
    with world(tmp_path, "kind=500") as it:
        it.write("a", "t1")
        assert it.send("--test-to", "me").code == ExitCode.UNKNOWN
        it.faults()
        assert it.send_until_done() == [0]
        it.check_all_reached()


# On a terminal


needs_a_terminal = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pty")


def on_terminal(it: World, *args: str, typed: str = "") -> tuple[int, str]:
    """Run `send` on a terminal and type something; gives the exit code and what was to be seen."""
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *it.arguments("send", *args, *it.speed)],
        cwd=it.root,
        env={**os.environ, **it.environment(), "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        # The terminal's Ctrl-C goes to whom it controls, and a new session has no terminal.
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    seen = b""
    until = time.monotonic() + 20
    try:
        while time.monotonic() < until:
            if typed and b"?" in seen:
                # As a person does: Python is deaf to a Ctrl-C in the instant before it reads.
                time.sleep(0.3)
                os.write(ours, typed.encode())
                typed = ""
            if not select.select([ours], [], [], 0.1)[0]:
                continue
            try:
                piece = os.read(ours, 4096)
            except OSError:  # Linux says so when the other end is closed.
                break
            if not piece:
                break
            seen += piece
        assert time.monotonic() < until, f"it waits for somebody: {seen.decode()}"
        return process.wait(TIMEOUT_S), seen.decode()
    finally:
        process.kill()
        process.wait(TIMEOUT_S)
        os.close(ours)


@pytest.mark.some(2)
@needs_a_terminal
@pytest.mark.parametrize("typed", ["n\n", "\n", "y\n", "\x03"])
def test_a_terminal_is_asked_first(tmp_path: Path, typed: str) -> None:
    with world(tmp_path) as it:
        write_many(it, 2)
        code, seen = on_terminal(it, typed=typed)
        assert f" in 2 threads on {it.url}?" in seen
        if typed == "y\n":
            assert code == 0
            it.check_all_reached()
            return
        assert code == (ExitCode.INTERRUPTED if typed == "\x03" else ExitCode.SURROUNDINGS)
        assert it.calls("compose") == 0


@needs_a_terminal
def test_a_terminal_is_not_asked_where_it_need_not_be(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("a", "t1")
        code, seen = on_terminal(it, "--yes")
        assert (code, "?" in seen) == (0, False)
        code, seen = on_terminal(it)
        assert (code, "?" in seen) == (0, False)
        it.check_all_reached()


@needs_a_terminal
def test_a_bar_on_a_terminal_and_none_elsewhere(tmp_path: Path) -> None:
    with world(tmp_path, latency_ms=100) as it:
        write_many(it, 8)
        code, seen = on_terminal(it, "--yes", "--jobs", "1")
        assert code == 0
        assert re.search(r"\r█+░* \d of 8, \d+ a second, \d+ s left", seen)
        # It is taken away again, so that what follows stands on a line of its own.
        assert re.search(r"s left *\r +\r[^█░]+$", seen)
        it.write("many", *people(1600), revision=2)
        result = it.send("--jobs", "4")
        assert result.code == 0
        assert "\x1b" not in result.out + result.err
        assert "\r" not in result.out + result.err
        assert it.reached()["many", "t0001"] == 2
