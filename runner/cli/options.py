"""Options that several commands share; those that belong together arrive as one value."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import partial, wraps
from math import isnan
from pathlib import Path
from typing import Any, cast

import click

from runner import clock
from runner.api.settings import Speed, Where
from runner.cli.completion import complete_target
from runner.cli.say import say
from runner.paths import SPEC_SUFFIXES
from runner.wording import shown

FILE = click.Path(path_type=Path)


class _Output(click.Path):
    """A file to write, which `--out messages/*.yaml` must not put in the place of a message."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = cast("Path", super().convert(value, param, ctx))
        if path.suffix.lower() in SPEC_SUFFIXES:
            self.fail(f"{shown(path)} looks like a message: name another file", param, ctx)
        return path


OUTPUT = _Output(path_type=Path)
_DURATION = re.compile(
    r"(?=.)(?:(\d{1,4})d)?(?:(\d{1,6})h)?(?:(\d{1,7})m)?(?:(\d{1,9})s)?", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Where a run leaves what it came to, for other programs."""

    results: Path | None
    outputs: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """How much to print."""

    verbose: bool
    quiet: bool

    def log(self, text: str) -> None:
        """Print what is not a result."""
        if not self.quiet:
            say(text, err=True)


def bundle(
    name: str, kind: type, options: Sequence[Callable[[Any], Any]], command: Callable[..., Any]
) -> Callable[..., Any]:
    """Add options to a command that gets them as one value of `kind`, under `name`."""

    @wraps(command)
    def bundled(**flags: Any) -> Any:
        names = [each.name for each in fields(kind) if each.name in flags]
        values = {name: flags.pop(name) for name in names}
        return command(**flags, **{name: kind(**values)})

    for option in reversed(options):
        option(bundled)
    return bundled


class Number(click.FloatRange):
    """A number within a range; click's own lets pass what is no number (nan)."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if isnan(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


def seconds(*, or_none: bool = True) -> Number:
    """A time to wait, of a day at most, as in the configuration."""
    return Number(0, 86_400, min_open=not or_none)


def duration(text: str) -> timedelta:
    """Read a time that passes: `48h`, `1d12h`, `90m`."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise click.BadParameter("write a number and d, h, m or s, such as 48h or 1d12h")
    days, hours, minutes, seconds = (int(each or 0) for each in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def since(help_text: str) -> Callable[[Any], Any]:
    """Give the option that names a time."""
    return click.option("--since", type=_moment, metavar="TIME", help=help_text)


def _moment(text: str) -> datetime:
    try:
        return clock.read(text if "T" in text else f"{text}T00:00:00Z")
    except ValueError:
        raise click.BadParameter("write 2026-11-22 or 2026-11-22T21:00:00Z") from None


config = click.option(
    "--config", type=FILE, metavar="FILE", help="The configuration, instead of runner.yaml."
)

record = partial(
    bundle,
    "record",
    Record,
    (
        click.option(
            "--results",
            type=OUTPUT,
            metavar="FILE",
            help="Write this run's results as JSON, dry or not.",
        ),
        click.option(
            "--outputs",
            type=OUTPUT,
            metavar="FILE",
            help="Append what they come to as name=value, as for $GITHUB_OUTPUT.",
        ),
    ),
)
output_format = partial(
    click.option,
    "--format",
    "output_format",
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
row = click.option(
    "--row",
    type=click.IntRange(1),
    metavar="N",
    help="Of personal messages, show the one of this line of the data file.",
)
volume = partial(
    bundle,
    "volume",
    Volume,
    (
        click.option("-v", "--verbose", is_flag=True, help="Show everything, however long."),
        click.option("-q", "--quiet", is_flag=True, help="Show errors and the last line only."),
    ),
)
where = partial(
    bundle,
    "where",
    Where,
    (
        config,
        click.option(
            "--target",
            metavar="TARGET",
            shell_complete=complete_target,
            help="local (an emulator on this machine, the default), production, yandex-tasks, a name "
            "from runner.yaml, or a base URL. Also TOLOKA_TARGET.",
        ),
        click.option(
            "--manifest",
            type=FILE,
            metavar="FILE",
            help="The manifest, instead of results/<host>.jsonl or the results branch.",
        ),
    ),
)
speed = partial(
    bundle,
    "speed",
    Speed,
    (
        click.option(
            "--rate",
            type=Number(0, 300, min_open=True),
            metavar="N",
            help="Requests a second; default 285, Toloka's limit being 300.",
        ),
        click.option(
            "--jobs",
            type=click.IntRange(1, 256),
            metavar="N",
            help="Requests in flight at most; default 64.",
        ),
        click.option(
            "--timeout",
            type=seconds(or_none=False),
            metavar="SECONDS",
            help="How long one answer may take; default 30.",
        ),
        click.option(
            "--settle",
            type=seconds(),
            metavar="SECONDS",
            help="How long Toloka's list may take to show a new thread; default 30.",
        ),
    ),
)
