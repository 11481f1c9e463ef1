"""Options that several commands share; those that belong together arrive as one value."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Template variables: `--var` and `--var-file`."""

    assignments: tuple[str, ...]
    var_files: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which configuration, target and manifest."""

    config: Path | None
    target: str | None
    manifest: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast and how patiently to talk to Toloka; None is the configuration's, or ours."""

    rate: float | None
    jobs: int | None
    timeout: float | None
    settle: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """How much to print."""

    verbose: bool
    quiet: bool


def wants_colour(choice: str, stream: TextIO) -> bool:
    """Whether to colour a stream (https://no-color.org: NO_COLOR set and not empty means no)."""
    if choice != "auto":
        return choice == "always"
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _bundle(name: str, kind: type, *options: Callable[[Any], Any]) -> Callable[[_Command], Any]:
    """Add options to a command that gets them as one value of `kind`, under `name`."""

    def add(command: _Command) -> Any:
        @functools.wraps(command)
        def bundled(**flags: Any) -> Any:
            values = {each.name: flags.pop(each.name) for each in fields(kind)}
            return command(**flags, **{name: kind(**values)})

        for option in reversed(options):
            option(bundled)
        return bundled

    return add


_config = click.option(
    "--config", type=_FILE, metavar="FILE", help="The configuration, instead of runner.yaml."
)

paths = click.argument("paths", nargs=-1, type=_FILE)
config = _config
results = click.option(
    "--results", type=_FILE, metavar="FILE", help="Write this run's results as JSON, dry or not."
)
strict = click.option("--strict", is_flag=True, help="Make warnings errors.")
form = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="What to print.",
)
colour = click.option(
    "--color",
    "colour",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colour on a terminal; NO_COLOR turns it off.",
)
volume = _bundle(
    "volume",
    Volume,
    click.option("-v", "--verbose", is_flag=True, help="Show everything, however long."),
    click.option("-q", "--quiet", is_flag=True, help="Show errors and the last line only."),
)
values = _bundle(
    "values",
    Values,
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
where = _bundle(
    "where",
    Where,
    _config,
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
speed = _bundle(
    "speed",
    Speed,
    click.option(
        "--rate",
        type=click.FloatRange(0, 300, min_open=True),
        metavar="N",
        help="Requests a second at most; default 285, Toloka's limit being 300.",
    ),
    click.option(
        "--jobs",
        type=click.IntRange(1, 256),
        metavar="N",
        help="Requests in flight at most; default 64.",
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
