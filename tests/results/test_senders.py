"""Runs on several machines: at once, killed, stopped, cut off, refused. Nobody twice, nobody lost."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import IS_THOROUGH, TIMEOUT_S, Project, ended, reached, tolokers

from runner.emulator import Emulator

from .world import BEFORE, BRANCH, REF, Fleet, git, new_remote, write_before


@pytest.fixture
def fleet(tmp_path: Path, emulator: Emulator) -> Fleet:
    write_before(emulator)
    fleet = Fleet(new_remote(tmp_path), emulator, tolokers(203))
    begun = fleet.machine("first").run("unlock", "--rewritten", "--yes", "--target", emulator.url)
    assert begun.code == 0, begun.err
    return fleet


def wait_for(is_so: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Poll until something is so; the process must not have come to its end before."""
    until_s = time.monotonic() + TIMEOUT_S
    while not is_so():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until_s
        time.sleep(0.005)


@contextmanager
def running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """End a process, whatever happens."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate(timeout=TIMEOUT_S)


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


@pytest.mark.parametrize("point", POINTS if IS_THOROUGH else ["claimed", "third-request"])
def test_a_killed_run_is_taken_over(fleet: Fleet, point: str) -> None:
    one, other = fleet.machine("one"), fleet.machine("other")
    with running(fleet.start(one, "--rate", "2", "--jobs", "2")) as process:
        wait_for(lambda: POINTS[point](fleet), process)
        process.kill()
        process.communicate(timeout=TIMEOUT_S)
    begun_s = time.monotonic()
    result = fleet.send(other)
    assert result.code in (0, 5), result.err
    assert "waiting: run" in result.err
    assert time.monotonic() - begun_s > 120 * 0.08
    fleet.check_done(other)
    runs = [line for line in fleet.lines() if line["event"] == "run"]
    assert any(line.get("ends") for line in runs)


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


def test_a_stopped_run_that_goes_on_in_time_finishes(fleet: Fleet) -> None:
    one = fleet.machine("one")
    with running(fleet.start(one, "--rate", "3", "--jobs", "3")) as process:
        wait_for(lambda: fleet.composes() >= 1, process)
        process.send_signal(signal.SIGSTOP)
        time.sleep(60 * 0.08)
        process.send_signal(signal.SIGCONT)
        assert ended(process).code == 0
    fleet.check_done(one)


@pytest.mark.parametrize("seconds", [2.0, 15.0])
def test_the_remote_that_goes_away_while_a_run_sends(fleet: Fleet, seconds: float) -> None:
    one = fleet.machine("one")
    with running(fleet.start(one, "--rate", "1", "--jobs", "1")) as process:
        wait_for(lambda: fleet.composes() >= 1, process)
        away = fleet.bare.rename(fleet.bare.with_name("away.git"))
        time.sleep(seconds)
        away.rename(fleet.bare)
        result = ended(process)
    assert result.code in (0, 75), result.err
    fleet.check_nobody_twice()
    fleet.check_done(fleet.machine("other"))


def test_what_could_not_be_pushed_at_the_end_is_pushed_by_the_next_run_here(
    fleet: Fleet,
) -> None:
    one = fleet.machine("one")
    with running(fleet.start(one, "--rate", "2")) as process:
        wait_for(lambda: fleet.composes() >= 1, process)
        away = fleet.bare.rename(fleet.bare.with_name("away.git"))
        result = ended(process)
    assert result.code in (5, 75), result.err
    left = list((one.root / ".git" / "message-runner" / "left").rglob("*.jsonl"))
    assert len(left) == 1
    away.rename(fleet.bare)
    begun_s = time.monotonic()
    assert fleet.send(one).code == 0
    # The run has its end there now: nobody has to wait for it.
    assert time.monotonic() - begun_s < 120 * 0.08
    assert not left[0].exists()
    fleet.check_done(fleet.machine("other"))


def test_a_rule_of_the_host_is_said_at_once(fleet: Fleet) -> None:
    fleet.hook("pre-receive", "echo 'GH006: Protected branch update failed' >&2; exit 1")
    result = fleet.send(fleet.machine("one"))
    assert result.code == 2
    assert "GH006" in result.err
    assert "allow ordinary pushes" in result.err
    assert reached(fleet.emulator) == [BEFORE]


def test_a_rule_that_comes_while_a_run_sends_loses_nothing(fleet: Fleet) -> None:
    one = fleet.machine("one")
    with running(fleet.start(one, "--rate", "2")) as process:
        wait_for(lambda: fleet.composes() >= 1, process)
        fleet.hook("pre-receive", "exit 1")
        result = ended(process)
    assert result.code == 2, result.err
    (fleet.bare / "hooks" / "pre-receive").unlink()
    assert fleet.send(one).code == 0
    fleet.check_done(fleet.machine("other"))


@pytest.mark.parametrize("pushes", [1, 2, 3])
def test_an_answer_that_is_lost_is_no_reason_to_wait_for_oneself(fleet: Fleet, pushes: int) -> None:
    # The push arrives, and its answer never does.
    marks = fleet.bare.parent / "marks"
    fleet.hook(
        "post-receive",
        f'echo x >> {marks}; [ "$(wc -l < {marks})" -eq {pushes} ] && sleep 30; exit 0',
    )
    one = fleet.machine("one")
    result = fleet.send(one, "--rate", "20")
    assert result.code == 0, result.err
    assert "waiting" not in result.err
    fleet.check_done(one)


def test_unlock_ends_a_run_that_is_alive(fleet: Fleet) -> None:
    one, other = fleet.machine("one"), fleet.machine("other")
    with running(fleet.start(one, "--rate", "0.5", "--jobs", "1")) as process:
        wait_for(lambda: fleet.composes() >= 1, process)
        asked = other.run("unlock", "--target", fleet.emulator.url)
        assert asked.code == 2
        said = other.run("unlock", "--yes", "--target", fleet.emulator.url)
        assert said.code == 0, said.err
        result = ended(process)
    assert result.code == 75, result.err
    assert "unlock" in result.err
    fleet.check_done(other)


def test_stop_ends_every_run_until_it_is_lifted(fleet: Fleet) -> None:
    one, other = fleet.machine("one"), fleet.machine("other")
    target = ("--target", fleet.emulator.url)
    with running(fleet.start(one, "--rate", "0.5", "--jobs", "1")) as process:
        wait_for(lambda: fleet.composes() >= 1, process)
        said = other.run("stop", "--reason", "the bonus was wrong", *target)
        assert said.code == 0, said.err
        assert "cannot be called back" in said.out
        result = ended(process)
    assert result.code == 75, result.err
    assert "the bonus was wrong" in result.err
    refused = fleet.send(other)
    assert refused.code == 2
    assert "the bonus was wrong" in refused.err
    assert "the bonus was wrong" in other.run("plan", *target).err
    assert other.run("stop", "--lift", *target).code == 0
    fleet.check_done(other)


def test_a_signal_leaves_an_end(fleet: Fleet) -> None:
    one = fleet.machine("one")
    with running(fleet.start(one, "--rate", "2", "--jobs", "2")) as process:
        wait_for(lambda: fleet.composes() >= 1, process)
        process.send_signal(signal.SIGINT)
        assert ended(process).code == 130
    assert fleet.lines()[-1]["event"] == "end"
    result = fleet.send(fleet.machine("other"))
    assert "waiting" not in result.err
    fleet.check_done(one)


def test_what_is_being_sent_is_called_so(fleet: Fleet) -> None:
    one, other = fleet.machine("one"), fleet.machine("other")
    with running(fleet.start(one, "--rate", "0.5", "--jobs", "1")) as process:
        wait_for(lambda: fleet.composes() >= 1, process)
        plan = other.run("plan", "--target", fleet.emulator.url, "--results", "results.json")
        assert plan.code == 0, plan.err
        statuses = {each["status"] for each in other.results()["deliveries"]}
        assert statuses == {"being_sent"}
    result = fleet.send(other, "--lock-timeout", "0")
    assert result.code == 75
    assert "is sending since" in result.err


def test_no_branch_for_an_account_that_has_sent_is_refused(fleet: Fleet) -> None:
    git(fleet.bare, "update-ref", "-d", REF)
    result = fleet.send(fleet.machine("new"))
    assert result.code == 2
    assert "unlock --rewritten" in result.err
    assert reached(fleet.emulator) == [BEFORE]


def test_a_branch_that_was_rewritten_is_refused_until_somebody_says_so(fleet: Fleet) -> None:
    one = fleet.machine("one")
    assert fleet.send(one).code == 0
    root = git(fleet.bare, "rev-list", "--max-parents=0", REF)
    other = git(fleet.bare, "commit-tree", "-m", "other", f"{root}^{{tree}}")
    git(fleet.bare, "update-ref", REF, other)
    target = ("--target", fleet.emulator.url)
    for command in ("status", "plan"):
        result = one.run(command, *target)
        assert result.code == 2
        assert "was rewritten" in result.err
    assert fleet.send(one).code == 2
    git(fleet.bare, "update-ref", "-d", REF)
    assert "it is gone" in fleet.send(one).err
    assert one.run("unlock", "--rewritten", "--yes", *target).code == 0
    assert one.run("status", *target).code == 0
    fleet.check_nobody_twice()


@pytest.mark.parametrize("what", ["link", "submodule", "name", "folder", "huge", "torn"])
def test_what_is_not_ours_on_the_branch_is_refused(fleet: Fleet, what: str) -> None:
    one: Project = fleet.machine("one")
    assert fleet.send(one).code == 0
    path = next(iter(git(fleet.bare, "ls-tree", "-r", "--name-only", REF).splitlines()))
    clone, folder = fleet.machine("evil").root, path.rpartition("/")[0]
    git(clone, "checkout", "--quiet", BRANCH)
    more = clone / folder / f"{len(list((clone / folder).iterdir())) + 1:04}.jsonl"
    match what:
        case "link":
            more.symlink_to("/etc/passwd")
        case "submodule":
            head = git(clone, "rev-parse", "HEAD")
            listed = f"160000,{head},{more.relative_to(clone)}"
            git(clone, "update-index", "--add", "--cacheinfo", listed)
        case "name":
            (clone / "notes.txt").write_text("mine\n")
        case "folder":
            (clone / folder / "x").mkdir()
            (clone / folder / "x" / "0001.jsonl").write_text("{}\n")
        case "huge":
            more.write_bytes(b"x" * 5_000_000)
        case _:
            more.write_text('{"event":"alive"')
    if what != "submodule":
        git(clone, "add", "--", folder, *(["notes.txt"] if what == "name" else []))
    git(clone, "commit", "--quiet", "-m", "evil")
    git(clone, "push", "--quiet", "origin", BRANCH)
    result = one.run("status", "--target", fleet.emulator.url)
    assert result.code == 2, result.out
    assert "results branch" in result.err or "at most" in result.err
    assert fleet.send(one).code == 2


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(60))
def test_random_histories(fleet: Fleet, seed: int) -> None:
    chance = random.Random(seed)
    machines = [fleet.machine(f"m{number}") for number in range(3)]
    for _ in range(3):
        processes = [
            fleet.start(machine, "--rate", str(chance.choice([2, 5, 50])))
            for machine in chance.sample(machines, chance.randint(1, 3))
        ]
        time.sleep(chance.uniform(0, 4))
        for process in processes:
            what = chance.choice(["kill", "stop", "cut", "signal", "nothing"])
            if process.poll() is None and what == "kill":
                process.kill()
            if process.poll() is None and what == "signal":
                process.send_signal(signal.SIGTERM)
            if process.poll() is None and what == "stop":
                process.send_signal(signal.SIGSTOP)
                time.sleep(chance.uniform(0, 12))
                process.send_signal(signal.SIGCONT)
            if what == "cut":
                away = fleet.bare.rename(fleet.bare.with_name("away.git"))
                time.sleep(chance.uniform(0, 12))
                away.rename(fleet.bare)
        for process in processes:
            ended(process)
        fleet.check_nobody_twice()
    fleet.check_done(machines[0])
