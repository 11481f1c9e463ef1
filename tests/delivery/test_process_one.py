"""As process 1, as in a container: the system gives it no signal that it has no handler for."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from support import COMMAND, TIMEOUT_S, Project

from runner.errors import ExitCode

from .world import wait_for, world

ALONE = ("unshare", "-rpf", "--kill-child")
CAN_BE_ALONE = (
    shutil.which("unshare") is not None
    and subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0
)
pytestmark = pytest.mark.skipif(not CAN_BE_ALONE, reason="needs a namespace of its own")


def start(arguments: Sequence[str], cwd: Path, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*ALONE, "sh", "-c", 'exec "$0" "$@"', *COMMAND, *arguments],
        cwd=cwd,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def terminate(outer: subprocess.Popen[str]) -> tuple[int, float, str]:
    """Send SIGTERM to the process that is 1 to itself; gives its end, and how long it took."""
    child = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()[0]
    began_s = time.monotonic()
    os.kill(int(child), signal.SIGTERM)
    _, err = outer.communicate(timeout=TIMEOUT_S)
    return outer.returncode, time.monotonic() - began_s, err


def test_the_emulator_ends_on_sigterm(project: Project) -> None:
    outer = start(["emulator", "--port", "0"], project.root)
    assert outer.stdout is not None
    assert outer.stdout.readline().startswith("http://127.0.0.1:")
    code, took_s, err = terminate(outer)
    assert (code, err) == (ExitCode.TERMINATED, "")
    assert took_s < 3


def test_a_send_that_is_cancelled_has_recorded_everything_within_five_seconds(
    tmp_path: Path,
) -> None:
    with world(tmp_path, "kind=accepted-then-timeout,seconds=60") as it:
        for number in range(9):
            it.write(f"m{number}", f"t{number}")
        arguments = it.arguments("send", "--jobs", "3", "--settle", "0.05", "--timeout", "60")
        outer = start(arguments, it.root, **it.environment())
        wait_for(lambda: it.calls("compose") == 3, "three requests in flight")
        code, took_s, err = terminate(outer)
        assert code == ExitCode.TERMINATED, err
        assert took_s < 5
        assert len(it.unknown()) == 3
        it.faults()
        it.send_until_done()
        it.check_all_reached()
