"""Runs on several machines: at once, killed, stopped. Nobody twice, nobody lost."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import StartEmulator
from support import IS_THOROUGH, TIMEOUT_S, ended, one_in, tolokers

from runner.emulator.faults import Fault

from .world import (
    FACTOR,
    Fleet,
    git,
    new_fleet,
    running,
    wait_for,
)


@pytest.mark.parametrize("count", [2, 5, 20] if IS_THOROUGH else [3])
def test_senders_at_once_reach_everybody_once(fleet: Fleet, count: int) -> None:
    machines = [fleet.machine(f"m{number}") for number in range(count)]
    processes = [fleet.start(machine, "--lock-timeout", "200") for machine in machines]
    results = [ended(process) for process in processes]
    assert {result.code for result in results} <= {0, 75}, [it.err for it in results]
    assert 0 in {result.code for result in results}
    fleet.check_nobody_twice()
    fleet.check_done(machines[0])
    for machine in machines:
        git(machine.root, "fsck", "--no-dangling")


POINTS: dict[str, Callable[[Fleet], bool]] = {
    "locked": lambda it: it.commits() >= 1,
    "claimed": lambda it: it.commits() >= 2,
    "first-request": lambda it: it.composes() >= 1,
    "third-request": lambda it: it.composes() >= 3,
    "ended": lambda it: it.commits() >= 3,
}


@pytest.mark.dear
@pytest.mark.parametrize("point", POINTS if IS_THOROUGH else ["third-request"])
def test_a_killed_run_is_taken_over(fleet: Fleet, point: str) -> None:
    one, other = fleet.machine("one"), fleet.machine("other")
    with running(fleet.start(one, "--rate", "2", "--jobs", "2")) as process:
        wait_for(lambda: POINTS[point](fleet), process)
        process.kill()
        process.communicate(timeout=TIMEOUT_S)
    begun_s = time.monotonic()
    result = fleet.send(other, "-v")
    assert result.code in (0, 5), result.err
    assert "waiting: run" in result.err
    told = re.search(r"run (\w+) of \w+ fell silent .* of (\d+) of its deliveries", result.err)
    assert told, result.err
    named = [line for line in result.err.splitlines() if line.startswith("looked for: ")]
    assert len(named) == int(told[2])
    assert all(f"by run {told[1]}" in line for line in named)
    assert time.monotonic() - begun_s > 120 * FACTOR
    fleet.check_done(other)
    runs = [line for line in fleet.lines() if line["event"] == "run"]
    assert any(line.get("ends") for line in runs)


@pytest.mark.dear
def test_a_stopped_run_that_goes_on_too_late_sends_nothing(fleet: Fleet) -> None:
    one, other = fleet.machine("one"), fleet.machine("other")
    with running(fleet.start(one, "--rate", "3", "--jobs", "3")) as process:
        wait_for(lambda: fleet.composes() >= 1, process)
        process.send_signal(signal.SIGSTOP)
        assert fleet.send(other).code in (0, 5)
        fleet.check_nobody_twice()
        before = fleet.composes()
        process.send_signal(signal.SIGCONT)
        result = ended(process)
        assert result.code in (-signal.SIGALRM, 75), result.err
        assert fleet.composes() == before
    fleet.check_done(other)


@pytest.mark.thorough
def test_a_stopped_run_that_goes_on_in_time_finishes(fleet: Fleet) -> None:
    one = fleet.machine("one")
    with running(fleet.start(one, "--rate", "3", "--jobs", "3")) as process:
        wait_for(lambda: fleet.composes() >= 1, process)
        process.send_signal(signal.SIGSTOP)
        time.sleep(60 * FACTOR)
        process.send_signal(signal.SIGCONT)
        assert ended(process).code == 0
    fleet.check_done(one)


@pytest.mark.dear
@pytest.mark.parametrize("composes", one_in(2, [1, 4]))
def test_a_signal_leaves_an_end(fleet: Fleet, composes: int) -> None:
    one = fleet.machine("one")
    # The last of them is when the end is pushed.
    fleet.hook("pre-receive", "sleep 1")
    with running(fleet.start(one, "--rate", "4", "--jobs", "2")) as process:
        wait_for(lambda: fleet.composes() >= composes, process)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert ended(process).code == 130
    assert fleet.lines()[-1]["event"] == "end"
    result = fleet.send(fleet.machine("other"))
    assert "waiting" not in result.err
    fleet.check_done(one)


@pytest.mark.thorough
def test_a_run_that_waits_for_long_goes_on_giving_signs_of_life(
    tmp_path: Path, start_emulator: StartEmulator
) -> None:
    emulator = start_emulator(faults=[Fault(kind="500", after=1, times=1)])
    # Absence takes two looks, and the wait for them is longer than others are patient.
    fleet = new_fleet(tmp_path, emulator, tolokers(9), factor=0.04, settle="5")
    one, other = fleet.machine("one"), fleet.machine("other")
    with running(fleet.start(one, "--rate", "4")) as process:
        wait_for(lambda: fleet.composes() >= 2, process)
        result = fleet.send(other)
        assert result.code == 0, result.err
        assert "waiting: run" in result.err
        assert "fell silent" not in result.err
        assert ended(process).code == 0
    fleet.check_done(other)
