"""The one way for words to a terminal and to the log of a job."""

from __future__ import annotations

import os
import re
from typing import TextIO

import click

from runner.wording import printable

# A job's log takes a line that begins so for an order, white space before it or not.
_ORDER = "::"
_COLOURS = re.compile(r"(\x1b\[\d{1,2}m)")


def say(text: str = "", *, err: bool = False, nl: bool = True, colour: bool | None = None) -> None:
    r"""Print lines that nobody takes for an order: `\x1b` for an escape, `\x3a:` for `::`.

    With `colour` what sets one stays: whoever asks for it has made the words harmless before.
    """
    lines = [_harmless(line, is_coloured=colour is not None) for line in text.split("\n")]
    click.echo("\n".join(lines), err=err, nl=nl, color=colour)


def wants_colour(choice: str, stream: TextIO) -> bool:
    """Whether to colour a stream (https://no-color.org: NO_COLOR set and not empty means no)."""
    if choice != "auto":
        return choice == "always"
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def give_order(line: str, *, err: bool = False) -> None:
    """Print an order to the log of a job, whose form is its maker's."""
    click.echo(printable(line), err=err)


def _harmless(line: str, *, is_coloured: bool) -> str:
    end = "\r" if line.endswith("\r") else ""
    pieces = _COLOURS.split(line) if is_coloured else [line.removesuffix("\r")]
    shown = "".join(each if number % 2 else printable(each) for number, each in enumerate(pieces))
    is_order = _COLOURS.sub("", shown).lstrip().startswith(_ORDER)
    return (shown.replace(_ORDER, r"\x3a:", 1) if is_order else shown) + end
