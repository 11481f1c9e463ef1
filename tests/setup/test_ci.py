"""The workflow that `init` writes, run as GitHub and GitLab run it: real git, a counting Toloka."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from results.world import FACTOR, wait_for
from support import calls, control, direct, one_in, reached, tolokers

from runner.emulator import Emulator

from .steps import Runner
from .systems import BRANCH, OnGitHub, OnGitLab, Remote, Run
from .tools import git

System = Callable[..., Run]

# Each run is a dozen processes; the others are a part of each kind.
thorough = pytest.mark.thorough
QUICK = {"TIMES_FACTOR": str(FACTOR)}


@pytest.fixture
def remote(tmp_path: Path, emulator: Emulator, commands: str, set_up: Path) -> Remote:
    made = Remote(tmp_path / "remote", emulator, commands)
    made.begin(set_up)
    return made


@pytest.fixture(params=one_in(2, [OnGitHub, OnGitLab]))
def on(request: pytest.FixtureRequest, remote: Remote) -> System:
    """Begin a run on either system."""
    return lambda *args, **more: request.param(remote, *args, **more)


def done(run: Run) -> Runner:
    """Do a run to its end, which must be good."""
    runner = run.all()
    assert runner is not None, "nothing was found to do"
    assert runner.code == 0, runner.output
    return runner


@pytest.mark.parametrize("system", [OnGitHub, OnGitLab])
def test_a_pull_request_is_planned_and_what_is_merged_is_sent_once(
    remote: Remote, system: System
) -> None:
    remote.write("messages/second.yaml", direct("bob"))
    topic = remote.merge("Second", to="topic")
    asked = system(remote, "pull_request", topic)
    planned = asked.plan()
    assert planned.code == 0, planned.output
    assert {"plan.json", "preview.html"} <= {path.name for path in asked.artifacts.rglob("*")}
    assert asked.send() is None
    assert calls(remote.emulator) == []
    assert remote.results == ""

    git("push", "-q", "origin", "HEAD:main", cwd=remote.desk)
    done(system(remote))
    again = system(remote, "schedule").all()

    assert again is None or again.code == 0
    assert reached(remote.emulator) == ["ada", "bob"]
    assert remote.composed() == 2
    assert [line["commit"] for line in remote.events("run")] == [remote.tip]
    tracked = git("ls-tree", "-r", "--name-only", "main", cwd=remote.origin)
    assert "jsonl" not in tracked
