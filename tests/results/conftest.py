"""What the tests of a results branch begin with."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support import tolokers

from runner.emulator import Emulator

from .world import (
    Fleet,
    new_remote,
    write_before,
)

if sys.platform == "win32":
    # They stop and kill by signals, and give hooks to the remote.
    collect_ignore = ["test_git.py", "test_remotes.py", "test_senders.py", "test_words.py"]


@pytest.fixture
def fleet(tmp_path: Path, emulator: Emulator) -> Fleet:
    write_before(emulator)
    fleet = Fleet(new_remote(tmp_path), emulator, tolokers(203))
    begun = fleet.machine("first").run("unlock", "--rewritten", "--yes", "--target", emulator.url)
    assert begun.code == 0, begun.err
    return fleet
