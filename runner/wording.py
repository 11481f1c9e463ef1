"""How we speak: texts made harmless, values quoted briefly, paths and reasons in plain words."""

from __future__ import annotations

import errno
import math
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path, PurePath

QUOTED_CHARACTERS = 60

# Cc and Cf hold the escapes, the line breaks and the marks that turn text around; Zl and Zp break
# lines too, Cs cannot be written as UTF-8.
_HARMFUL = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
# They join and shape letters in many scripts and in emoji, and cannot move anything.
_HARMLESS = frozenset("\u200c\u200d\ufe0f")

ORDER = re.compile(r"##(?=[a-z]*\[)")
"""The older form of an order to a job's log, which counts anywhere in its line."""

_ROOM = "make room and run again, nothing is sent twice"
_RIGHTS = "give this user the right to it"
_ADVICE = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "raise the limit on a file's size and run again, nothing is sent twice",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: _RIGHTS,
}


def printable(text: str) -> str:
    r"""Make a text harmless to a terminal: one line, control and direction characters as `\x1b`."""
    is_plain = text.isascii() and text.isprintable()
    shown = text if is_plain else "".join(map(_visible, text))
    return ORDER.sub(r"#\\x23", shown) if "##" in shown else shown


def _visible(char: str) -> str:
    is_harmful = char not in _HARMLESS and unicodedata.category(char) in _HARMFUL
    return char.encode("unicode_escape").decode("ascii") if is_harmful else char


def quoted(value: object) -> str:
    """Show a value as its author wrote it: text in quotes, cut short, nothing that moves a cursor."""
    if isinstance(value, str):
        begun = printable(value[:QUOTED_CHARACTERS])
        return f'"{begun}…"' if len(value) > QUOTED_CHARACTERS else f'"{begun}"'
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float):
        return f"{value:.15g}" if math.isfinite(value) else "a number without end"
    if isinstance(value, int):
        # Python refuses to spell out integers of thousands of digits.
        return str(value) if abs(value) < 10**QUOTED_CHARACTERS else "an enormous number"
    return kind(value)


def named_character(char: str) -> str:
    """Name a character as in 'a no-break space (U+00A0)'."""
    name = unicodedata.name(char, "control character").lower()
    return f"{'an' if name[0] in 'aeio' else 'a'} {name} (U+{ord(char):04X})"


def plain(text: str) -> str:
    """Show a word of the author's without quotes: cut short, nothing that moves a cursor."""
    return quoted(text)[1:-1]


def kind(value: object) -> str:
    """Name what a value is, as in 'this is a list'."""
    if isinstance(value, bool):
        return quoted(value)
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return "text" if value else "an empty text"
    if isinstance(value, (int, float, Decimal)):
        return "a number"
    return "a mapping" if isinstance(value, Mapping) else "a list"


def caseless(word: str) -> str:
    """A word as it is compared: without case, in Turkish too, whose I has a form without a dot."""
    return word.strip().casefold().replace("i\u0307", "i").replace("\u0131", "i")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Find the known word that was probably meant, whatever its case; None if nothing is near."""
    # Imported here because every command loads this module, and few have to guess.
    import difflib

    options = {option.casefold(): option for option in known}
    # Comparing is quadratic, and the word may be as long as its author likes.
    close = difflib.get_close_matches(word[:QUOTED_CHARACTERS].casefold(), options, 1, 0.65)
    return options[close[0]] if close else None


def either(words: Sequence[str]) -> str:
    """Join words for a choice: 'EQ', 'EQ or NE', 'EQ, NE or GT'."""
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def listed(words: Sequence[str]) -> str:
    """Join words: 'A', 'A and B', 'A, B and C'."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def plural(count: int, noun: str, many: str = "") -> str:
    """Count things: `1 thread`, `2,000 threads`; `many` is a plural with more than an s."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def age_words(age: timedelta) -> str:
    """Put an age into words: `3 days`, `2 hours`, `5 minutes`; what is less than one is 0."""
    minutes = max(int(age.total_seconds()), 0) // 60
    for size, name in ((24 * 60, "day"), (60, "hour")):
        if minutes >= 2 * size:
            return plural(minutes // size, name)
    return plural(minutes, "minute")


def shown(path: Path) -> str:
    """Name a path as output does: relative to the current folder if below it, forward slashes."""
    try:
        here = os.getcwd()  # noqa: PTH109  # Text is quicker, and each file of a run comes by here.
    except OSError:
        # Somebody removed the current folder; what was done still has to be told.
        return path.as_posix()
    absolute = os.path.normpath(os.path.join(here, path))  # noqa: PTH118
    below = here.rstrip(os.sep) + os.sep
    if absolute.startswith(below):
        return absolute.removeprefix(below).replace(os.sep, "/")
    return seen_from(Path(here), Path(absolute))


def shown_folder(folder: Path) -> str:
    """Name a folder in a sentence: the current one has no name of its own."""
    name = shown(folder)
    return "this folder" if name == "." else name


def seen_from(here: PurePath, absolute: PurePath) -> str:
    """Name a path as it looks from a folder: relative unless that is longer, forward slashes."""
    for ups, above in enumerate((here, *here.parents)):
        if absolute.is_relative_to(above):
            near = type(here)(*[".."] * ups, absolute.relative_to(above))
            return (near if len(near.parts) <= len(absolute.parts) else absolute).as_posix()
    return absolute.as_posix()


def why(error: OSError, path: Path) -> str:
    """Say why a file cannot be had, in plain words, and what would be right where that is known."""
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        blocking = [above for above in path.parents if above.exists() and not above.is_dir()]
        if blocking:
            return f"{shown(blocking[0])} is not a folder"
    said = error.strerror or str(error)
    advice = _ADVICE.get(error.errno or 0)
    return f"{said}; {advice}" if advice else said
