"""What the tests of the set-up share: checkers, and the command under its installed name."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from installing import tools_of
from support import run_command

if os.name == "nt":
    # These run what runs on a CI system's Linux machine: bash, sed, a folder `bin`.
    collect_ignore = ["test_action.py", "test_hook.py", "test_state.py", "test_workflows.py"]


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tools' commands."""
    return tools_of(tmp_path_factory)


@pytest.fixture(scope="session")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `init` writes in an empty folder, for both CI systems. To be copied, not changed."""
    folder = tmp_path_factory.mktemp("set-up")
    for ci in ("github", "gitlab"):
        assert run_command("init", "--ci", ci, cwd=folder).code == 0
    return folder


@pytest.fixture
def commands(tmp_path: Path) -> str:
    """A PATH on which `message-runner` is this one, and nobody sleeps."""
    folder = tmp_path / "bin"
    folder.mkdir()
    scripts = {
        "message-runner": f'exec "{sys.executable}" -m runner "$@"',
        "sleep": "exit 0",
    }
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"
