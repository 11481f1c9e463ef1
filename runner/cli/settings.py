"""The settings of a command: of the current folder, with a voice on the standard error."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from runner.api import settings
from runner.api.settings import Settings, Where
from runner.cli.say import say
from runner.paths import CONFIG_NAME, MESSAGES_NAME


def load_settings(where: Where) -> Settings:
    """Find out where to send and what to record it in; raises `SurroundingsError`."""
    return settings.load_settings(where, Path.cwd(), partial(say, err=True))


def warn_outside(where: Where, found: Settings) -> None:
    """Say that this is no project: what it knows of sent messages is nothing."""
    if where.manifest is None and found.config.file is None and found.config.messages_root is None:
        what = f"there is no {CONFIG_NAME} and no {MESSAGES_NAME}/ folder here or above"
        say(f"warning: {what}: is this the right folder?", err=True)
