"""Characters that are not what they look like, and how they are called in complaints."""

from __future__ import annotations

import re
import unicodedata

from runner.wording import named_character

UNFIT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]|\r(?!\n)"
)
"""What may stand raw in no file of ours: review tools show less of it than programs read."""

_SEPARATORS = "\x0b\x0c\x85\u2028\u2029"
_SPACES = "\xa0\u1680\u2000-\u200b\u202f\u205f\u2060\u3000"
_GLUED = re.compile(f"[ \t]*(?:- +)?[\\w-]+(?:'|\")?:([{_SPACES}])")
_NOT_IN_A_WORD = re.compile(f"[{_SPACES}\xad\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_TWINS = str.maketrans(
    "авсԁеһіјкмнорԛѕтухԝАВСЕНІЈКМОРԚЅТУХԜαικνορτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧı",
    "abcdehijkmhopqstyxwABCEHIJKMOPQSTYXWaikvoptuxABEZHIKMNOPTYXi",
)

PAIR = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
"""A character beyond U+FFFF as JSON writes it, in two halves, which no parser of YAML takes.

They are read as two letters of private use, written as long, and put together after.
"""
_STAND_IN = re.compile(r"\\u(e[0-3][0-9a-f]{2})\\u(e[4-7][0-9a-f]{2})")
_STAND_INS = re.compile("[\ue000-\ue3ff][\ue400-\ue7ff]")
_SHIFT = 0xE000 - 0xD800


def with_stand_ins(source: str) -> str:
    """Write each pair so that a parser takes it; nothing else moves."""
    return PAIR.sub(lambda pair: _shifted(pair, _SHIFT), source)


def as_written(text: str) -> str:
    """Undo `with_stand_ins` where no escapes are read."""
    return _STAND_IN.sub(lambda pair: _shifted(pair, -_SHIFT), text)


def put_together(text: str) -> str:
    """Make one character of the two letters that stand for it."""
    return _STAND_INS.sub(
        lambda two: (
            "".join(chr(ord(half) - _SHIFT) for half in two[0])
            .encode("utf-16", "surrogatepass")
            .decode("utf-16")
        ),
        text,
    )


def _shifted(pair: re.Match[str], by: int) -> str:
    return "".join(f"\\u{int(half, 16) + by:04x}" for half in pair.groups())


def why_unfit(char: str) -> tuple[str, str]:
    """Say what is wrong with a character that `UNFIT` found, and what would be right."""
    code = f"U+{ord(char):04X}"
    if char in _SEPARATORS:
        return f"a line separator ({code}) out of a word processor", "make it a line end"
    if char == "\r":
        # By YAML 1.2 a line ends here, and in git, diffs and reviews none does.
        what = "a carriage return (U+000D) stands alone"
        return what, "save the file with plain line ends (in Excel: CSV UTF-8)"
    if char == "\0":
        what = f"a zero byte ({code}), as in UTF-16"
        return what, "save it as UTF-8 (in Excel: CSV UTF-8)"
    if char == "\ufeff":
        return f"a byte order mark ({code}) that does not begin the file", "remove it"
    return f"the character {code} is not allowed here", "remove it"


def stranger_in(word: str) -> tuple[str, str] | None:
    """Find what makes a word look like another one; gives what is wrong and what would be right."""
    if unfit := UNFIT.search(word):  # As an escape: the file itself holds none.
        return why_unfit(unfit.group())
    if word.isascii():
        return None
    if space := _NOT_IN_A_WORD.search(word):
        return (
            f"{named_character(space.group())} stands in this word",
            "remove it, or write a plain space",
        )
    plain = unicodedata.normalize("NFKC", word).translate(_TWINS)
    if not plain.isascii() or not re.search("[A-Za-z]", word):
        return None
    other = next(char for char in word if not char.isascii())
    return (
        f"{named_character(other)} stands among Latin letters",
        f"write it all in Latin letters: {plain}",
    )


def space_after_colon(line: str) -> tuple[int, str, str] | None:
    """Find the space after `key:` that YAML takes for text; gives its column, and the words."""
    found = _GLUED.match(line)
    if found is None:
        return None
    what = f"{named_character(found[1])} follows the colon, and YAML takes it for text"
    return found.start(1), what, "write a plain space"
