"""How complaints speak of values: quoted briefly, named plainly, with the nearest right word."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence

QUOTED_CHARACTERS = 60


def quoted(value: object) -> str:
    """Show a value as its author wrote it: text in quotes, cut short, nothing that moves a cursor."""
    if isinstance(value, str):
        shown = "".join(map(_visible, value[:QUOTED_CHARACTERS]))
        return f'"{shown}…"' if len(value) > QUOTED_CHARACTERS else f'"{shown}"'
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float):
        return f"{value:.15g}" if math.isfinite(value) else "a number without end"
    if isinstance(value, int):
        # Python refuses to spell out integers of thousands of digits.
        return str(value) if abs(value) < 10**QUOTED_CHARACTERS else "an enormous number"
    return kind(value)


def plain(text: str) -> str:
    """Show a word of the author's without quotes: cut short, nothing that moves a cursor."""
    return quoted(text)[1:-1]


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character, f"\\u{ord(character):04x}")


def kind(value: object) -> str:
    """Name what a value is, as in 'this is a list'."""
    if isinstance(value, bool):
        return quoted(value)
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return "text" if value else "an empty text"
    if isinstance(value, (int, float)):
        return "a number"
    return "a mapping" if isinstance(value, Mapping) else "a list"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Find the known word that was probably meant, whatever its case; None if nothing is near."""
    options = {option.casefold(): option for option in known}
    # Comparing is quadratic, and the word may be as long as its author likes.
    close = difflib.get_close_matches(word[:QUOTED_CHARACTERS].casefold(), options, 1, 0.65)
    return options[close[0]] if close else None


def either(words: Sequence[str]) -> str:
    """Join words for a choice: 'EQ', 'EQ or NE', 'EQ, NE or GT'."""
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
