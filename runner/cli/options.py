"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path)

paths = click.argument("paths", nargs=-1, type=_FILE)
config = click.option(
    "--config", type=_FILE, metavar="FILE", help="The configuration, instead of runner.yaml."
)
verbose = click.option("-v", "--verbose", is_flag=True, help="Show everything, however long.")
quiet = click.option("-q", "--quiet", is_flag=True, help="Show errors and the last line only.")
results = click.option(
    "--results", type=_FILE, metavar="FILE", help="Write this run's results as JSON, dry or not."
)


def _together(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


variables = _together(
    click.option(
        "--var",
        "assignments",
        multiple=True,
        metavar="NAME=VALUE",
        help="A template variable; beats every other place.",
    ),
    click.option(
        "--var-file",
        "var_files",
        multiple=True,
        type=_FILE,
        metavar="FILE",
        help="Template variables from a YAML file; a later file wins.",
    ),
)
manifest = _together(
    click.option(
        "--target",
        metavar="TARGET",
        help="local (an emulator on this machine, the default), production, yandex-tasks, a name "
        "from runner.yaml, or a base URL. Also TOLOKA_TARGET.",
    ),
    click.option(
        "--manifest",
        type=_FILE,
        metavar="FILE",
        help="The manifest, instead of results/<host>.jsonl.",
    ),
)
wire = _together(
    click.option(
        "--rate",
        type=click.FloatRange(0, 300, min_open=True),
        help="Requests a second at most; default 285, Toloka's limit being 300.",
    ),
    click.option(
        "--jobs", type=click.IntRange(1, 256), help="Requests in flight at most; default 64."
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        metavar="SECONDS",
        help="How long one answer may take; default 30.",
    ),
    click.option(
        "--settle",
        type=click.FloatRange(0),
        metavar="SECONDS",
        help="How long Toloka's list may take to show a new thread; default 30.",
    ),
)
