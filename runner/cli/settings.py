"""The settings of a command: of the current folder, with a voice on the standard error."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from runner.api import settings
from runner.api.settings import Settings, Where
from runner.cli.say import say


def load_settings(where: Where) -> Settings:
    """Find out where to send and what to record it in; raises `SurroundingsError`."""
    return settings.load_settings(where, Path.cwd(), partial(say, err=True))
