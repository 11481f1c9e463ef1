"""Keeps coverage out of the processes that some tests start, for it makes them half as slow again.

For tests that start many and run the same code in all of them; it is measured in others.
"""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what tells a new process to be measured."""
    for name in list(os.environ):
        if name.startswith("COVERAGE_PROCESS"):
            monkeypatch.delenv(name)
