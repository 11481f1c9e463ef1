"""What the tests of a results branch begin with."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support import tolokers

from runner.emulator import Emulator

from .world import Fleet, new_fleet

if sys.platform == "win32":
    # They stop and kill by signals, and give hooks to the remote.
    collect_ignore = [
        "test_git.py",
        "test_histories.py",
        "test_remotes.py",
        "test_senders.py",
        "test_words.py",
    ]


@pytest.fixture
def fleet(tmp_path: Path, emulator: Emulator) -> Fleet:
    return new_fleet(tmp_path, emulator, tolokers(203))
