"""A remote that goes away, refuses, or loses its answers, while a run sends."""

from __future__ import annotations

import time

import pytest
from support import ended, one_in, reached

from .world import (
    BEFORE,
    FACTOR,
    Fleet,
    running,
    wait_for,
)


@pytest.mark.dear
@pytest.mark.parametrize("seconds", one_in(2, [30 * FACTOR, 190 * FACTOR]))
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


@pytest.mark.dear
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
    assert time.monotonic() - begun_s < 120 * FACTOR
    assert not left[0].exists()
    fleet.check_done(fleet.machine("other"))


def test_a_rule_of_the_host_is_said_at_once(fleet: Fleet) -> None:
    fleet.hook("pre-receive", "echo 'GH006: Protected branch update failed' >&2; exit 1")
    result = fleet.machine("one").send(fleet.emulator)
    assert result.code == 2
    assert "GH006" in result.err
    assert "allow ordinary pushes" in result.err
    assert reached(fleet.emulator) == [BEFORE]


@pytest.mark.dear
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


@pytest.mark.dear
@pytest.mark.parametrize(
    ("number", "seconds"), one_in(5, [(2, 600), (1, 600), (3, 600), (2, 50), (2, 110)])
)
def test_an_answer_that_is_lost_or_late_is_no_reason_to_wait_for_oneself(
    fleet: Fleet, number: int, seconds: int
) -> None:
    # The push arrives, and its answer comes late or never.
    marks = fleet.bare.parent / "marks"
    fleet.hook(
        "post-receive",
        f'echo x >> {marks}; [ "$(wc -l < {marks})" -eq {number} ] && sleep {seconds * FACTOR}; '
        "exit 0",
    )
    one = fleet.machine("one")
    result = fleet.send(one, "--rate", "20")
    assert result.code == 0, result.err
    assert "waiting" not in result.err
    fleet.check_done(one)
