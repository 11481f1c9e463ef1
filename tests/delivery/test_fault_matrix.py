"""Every way in which a call can fail, wherever it hits: everybody is reached once all the same."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import pytest
from support import IS_THOROUGH, one_in

from runner.emulator import FAULT_KINDS, LIST_FAULT_KINDS
from runner.errors import ExitCode

from .world import World, people, world

DELIVERIES = 9


# What a run that meets this fault once comes to. All others are settled within the run.
CODES = {
    **dict.fromkeys(["400", "404", "409", "413", "415"], ExitCode.REFUSED),
    **dict.fromkeys(["401", "403", "redirect"], ExitCode.SURROUNDINGS),
    "429-hour": ExitCode.LATER,
    "429-day": ExitCode.LATER,
}
# What is not done, and does not say so: where nothing was sent after it, a later run believes it.
SILENT = ("408", "500", "502-html", "503", "504", "reset", "timeout")
# How a kind is written where more than its name is needed.
WRITTEN = {
    "429": "429,retry_after=0",
    "429-hour": "429,interval=HOUR",
    "429-day": "429,interval=DAY",
    "timeout": "timeout,seconds=2.0",
    "accepted-then-timeout": "accepted-then-timeout,seconds=2.0",
    "slow": "slow,seconds=2.0",
    "late-then-500": "late-then-500,seconds=0.02",
    "late-then-reset": "late-then-reset,seconds=0.02",
    "slow-in-time": "slow,seconds=0.05",
}
KINDS = sorted({*FAULT_KINDS, *WRITTEN} - {*LIST_FAULT_KINDS})
WHERE = {"first": "at=1", "middle": "at=5", "last": f"at={DELIVERIES}", "every other": "every=2"}
# How late the list shows a thread, and how long a run waits for it.
LAGS = {"no lag": (0, 0.05), "lag": (500, 0.7)}
CASES = list(product(WHERE, LAGS))


def cases_of(kind: str) -> list[tuple[str, str]]:
    """All of them in the long profile; else two, one with a lag, which go round by the kind."""
    number = KINDS.index(kind)
    some = [CASES[(number + step) % len(CASES)] for step in (0, 5)]
    return CASES if IS_THOROUGH else some


def write_messages(it: World) -> None:
    """Nine deliveries in this order: to all, three batches, four single ones, by a filter."""
    it.write("a-everyone")
    it.write("b-many", *people(230))
    for name in ("c", "d", "e", "f"):
        it.write(name, *people(2, name))
    it.write("g-filter", filtered=True)


def allowed_timeout_s(kind: str) -> float:
    """Short where the fault is silence, which is longer; otherwise out of the way."""
    return 1.0 if "seconds=2.0" in WRITTEN.get(kind, "") else 10.0


def forgive_those_without_recipients(it: World) -> None:
    """A filter, and ALL, that match nobody are final: nobody is left to be reached."""
    lines = it.lines()
    intents = {line["delivery"]: line for line in lines if line["event"] == "intent"}
    for line in lines:
        if line["event"] == "no_recipients":
            intent = intents[line["delivery"]]
            it.wanted.remove((intent["message"], intent["recipients_select_type"]))


def check_one_case(folder: Path, kind: str, where: str, lag: str) -> None:
    lag_ms, settle_s = LAGS[lag]
    fault = f"{WHERE[where]},kind={WRITTEN.get(kind, kind)}"
    with world(folder, fault, settle_s=settle_s, list_lag_ms=lag_ms) as it:
        write_messages(it)
        it.timeout_s = allowed_timeout_s(kind)
        expected = CODES.get(kind, ExitCode.DONE)
        if where == "every other":
            # As many runs as it takes: what one run may try is bounded.
            codes = it.run_until_done(jobs=4)
            ends = {expected, ExitCode.LATER, ExitCode.DONE}
            ends |= {ExitCode.UNKNOWN} if kind in SILENT else set()
            # A batch is split down to single ids, and one that is refused alone is a refusal.
            ends |= {ExitCode.REFUSED} if kind == "incorrect-recipients" else set()
            assert set(codes) <= ends, codes
        else:
            # Met once: the run ends as the table of exit codes says, and the next one is clean.
            codes = it.run_until_done(jobs=1)
            if kind in SILENT and where == "last":
                expected = ExitCode.UNKNOWN
            assert codes == ([expected] if expected == ExitCode.DONE else [expected, 0])
        if kind == "incorrect-recipients":
            forgive_those_without_recipients(it)
        it.check_all_reached()
        it.faults()
        it.check_sends_nothing_more()


@pytest.mark.some(3)
@pytest.mark.parametrize("kind", one_in(3, KINDS))
def test_everybody_is_reached_once(tmp_path: Path, kind: str) -> None:
    # Side by side, because most of what a case does is to wait for the list.
    cases = cases_of(kind)
    with ThreadPoolExecutor(len(cases)) as pool:
        running = {
            (where, lag): pool.submit(check_one_case, tmp_path / where / lag, kind, where, lag)
            for where, lag in cases
        }
    failures = {case: error for case, it in running.items() if (error := it.exception())}
    assert not failures, next(iter(failures.values()))


@pytest.mark.some(2)
@pytest.mark.parametrize("kind", KINDS)
def test_the_command_ends_as_the_table_says(tmp_path: Path, kind: str) -> None:
    with world(tmp_path, f"at=2,kind={WRITTEN.get(kind, kind)}") as it:
        for name in ("a", "b", "c"):
            it.write(name, *people(3, name))
        it.timeout_s = allowed_timeout_s(kind)
        it.jobs = 1
        expected = CODES.get(kind, ExitCode.DONE)
        codes = it.send_until_done()
        assert codes == ([expected] if expected == ExitCode.DONE else [expected, 0])
        it.check_all_reached()


@pytest.mark.parametrize("kind", ["500", "accepted-then-500", "429-day", "400"])
def test_everything_fails_for_a_while(tmp_path: Path, kind: str) -> None:
    with world(tmp_path) as it:
        # What the list has never shown, it does not lack.
        it.write("z", "t0")
        it.run_until_done()
        # Of a day's limit each run learns by one call.
        times = 8 if kind == "429-day" else 30
        it.faults(f"times={times},kind={WRITTEN.get(kind, kind)}")
        write_messages(it)
        codes = it.run_until_done(at_most=12)
        # What was accepted is found at once; the others need more than one run.
        assert (len(codes) == 1) == (kind == "accepted-then-500")
        it.check_all_reached()


@pytest.mark.dear
def test_several_faults_at_once(tmp_path: Path) -> None:
    faults = ["every=3,kind=accepted-then-reset", "every=4,kind=500", "every=5,kind=400"]
    with world(tmp_path, *faults, "on=list,every=3,kind=503", list_lag_ms=100) as it:
        it.settle_s = 0.25
        write_messages(it)
        it.run_until_done(at_most=20)
        it.check_all_reached()


def test_the_count_at_the_server_sees_a_doubled_message(tmp_path: Path) -> None:
    # Were it blind, every test here would pass.
    with world(tmp_path) as it:
        it.write("a", "t1", "t2")
        it.run()
        it.manifest.unlink()
        it.run(catches_up=False)
        assert it.reached() == Counter({("a", "t1"): 2, ("a", "t2"): 2})
        with pytest.raises(AssertionError):
            it.check_claims()
