"""Random histories of several machines: senders, kills, stops, cut networks, lost answers, people.

Whoever was written to is read from the emulator, and what is known of it from the bare repository.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import StartEmulator
from support import IS_THOROUGH, Project, ended, tolokers

from runner.emulator.faults import Fault

from .world import Fleet, new_fleet, running

FACTOR = 0.05
SETTLE = "0.25"
FAULTS = ("accepted-then-500", "accepted-then-reset", "accepted-then-empty", "500", "reset", "slow")
ACTS = ("kill", "kill", "stop", "stop", "cut", "cut", "signal", "unlock", "nothing")
# A signal may come before anybody listens, or while all is done; a remote that is taken away in the
# middle of a push may refuse it in the words of a rule (2).
ENDS = {0, 2, 5, 75, 143, *(-each for each in (signal.SIGTERM, signal.SIGKILL, signal.SIGALRM))}


@pytest.mark.dear
@pytest.mark.parametrize("seed", range(500 if IS_THOROUGH else 3))
def test_a_random_history_reaches_everybody_once(
    tmp_path: Path, start_emulator: StartEmulator, seed: int
) -> None:
    chance = random.Random(seed)
    faults = [
        # The first call is that of the fleet's own beginning.
        Fault(kind=chance.choice(FAULTS), after=1, every=chance.randint(1, 5), times=2, seconds=0.5)
        for _ in range(chance.randint(0, 2))
    ]
    emulator = start_emulator(faults=faults)
    fleet = new_fleet(tmp_path, emulator, tolokers(9), factor=FACTOR, settle=SETTLE)
    machines = [fleet.machine(f"m{number}", alone=6) for number in range(3)]
    for _ in range(chance.randint(1, 3)):
        play(fleet, machines, chance)
        fleet.check_nobody_twice()
    fleet.check_done(chance.choice(machines))


def play(fleet: Fleet, machines: list[Project], chance: random.Random) -> None:
    """Let some machines send at once, and something happen to each of them."""
    with ExitStack() as stack:
        senders = []
        for _ in range(chance.randint(1, 3)):
            rate = chance.choice(["2", "5", "50"])
            given = ("--rate", rate, "--jobs", chance.choice(["1", "3"]), "--lock-timeout", "20")
            process = fleet.start(chance.choice(machines), *given)
            senders.append(stack.enter_context(running(process)))
            time.sleep(chance.choice([0, chance.uniform(0, 1)]))
        for process in senders:
            time.sleep(chance.uniform(0, 2))
            act(fleet, machines, process, chance)
        results = [ended(process) for process in senders]
    assert {each.code for each in results} <= ENDS, results


def act(
    fleet: Fleet, machines: list[Project], process: subprocess.Popen[str], chance: random.Random
) -> None:
    # Beyond the time after which others take over, or not.
    seconds = chance.uniform(0, 1.5 * 120 * FACTOR)
    match chance.choice(ACTS):
        case "kill":
            process.kill()
        case "stop":
            process.send_signal(signal.SIGSTOP)
            time.sleep(seconds)
            process.send_signal(signal.SIGCONT)
        case "cut":
            away = fleet.bare.rename(fleet.bare.with_name("away.git"))
            time.sleep(seconds)
            away.rename(fleet.bare)
        case "signal":
            process.send_signal(signal.SIGTERM)
        case "unlock":
            url = fleet.emulator.url
            said = chance.choice(machines).run("unlock", "--yes", "--target", url)
            assert said.code in (0, 2, 75), said.err
        case _:
            pass
