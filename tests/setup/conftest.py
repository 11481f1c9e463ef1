"""What the tests of the set-up share: checkers, and the command under its installed name."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from installing import ROOT, tools_of
from support import run_command

from .tools import as_installed

if os.name == "nt":
    # These run what runs on a CI system's Linux machine: bash, a folder `bin`.
    collect_ignore = ["test_action.py", "test_ci.py", "test_hook.py", "test_workflows.py"]


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tools' commands."""
    return tools_of(tmp_path_factory)


@pytest.fixture(scope="session")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `init` writes in an empty folder, for both CI systems. To be copied, not changed."""
    folder = tmp_path_factory.mktemp("set-up")
    env = as_installed(tmp_path_factory.mktemp("installed"))
    for ci in ("github", "gitlab"):
        assert run_command("init", "--ci", ci, cwd=folder, env=env).code == 0
    return folder


# With TIMES_FACTOR, what takes minutes between two machines takes seconds.
_RUN = """\
#!/bin/sh
PYTHONPATH='{root}' exec '{python}' '{root}/tests/results/quick.py' "${{TIMES_FACTOR:-1}}" "$@"
"""
# What is tested is there already; and whatever installs must not see a token.
_PIP = """\
#!/bin/sh
if env | grep -q 'TOKEN=.'; then exit 99; fi
if [ "$2" = --target ]; then mkdir -p "$3/bin" && cp "${0%/*}/message-runner" "$3/bin"; fi
"""


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH on which `message-runner` is this one."""
    folder = tmp_path_factory.mktemp("bin")
    scripts = {"message-runner": _RUN.format(root=ROOT, python=sys.executable), "pip": _PIP}
    for name, script in scripts.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"
