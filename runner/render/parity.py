"""Whether all languages of a message say the same: its variables, links, numbers and dates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

from runner.render.months import may_name_months, months_in

_URL = re.compile(r"https?://[^\s<>\"'()]{1,2000}", re.IGNORECASE)
# Up to the next that begins: very many of them are looked through once.
_TAG = re.compile(r"\{\{(?:(?!\}\}|\{\{).){0,500}\}\}|\{%(?:(?!%\}|\{%).){0,500}%\}", re.DOTALL)
_WORD = re.compile(r"[^\W\d]\w*(?:\.\w+)*")
_NO_VARIABLES = re.compile(r"'[^']*'|\"[^\"]*\"|\|\s*\w+|\bis\s+(?:not\s+)?\w+|\b\w+\s*=(?!=)")
_KEYWORDS = frozenset(
    (
        "if",
        "else",
        "elif",
        "endif",
        "for",
        "endfor",
        "in",
        "not",
        "and",
        "or",
        "is",
        "set",
        "include",
    )
)

# Each number or date by all that it may mean: `1.234` is 1234 too, and 14:30 is 2:30 pm.
Meanings = frozenset[tuple[str, Decimal]]
_SIGNS = str.maketrans({"\u066b": ".", "\u066c": ","})
_SEPARATORS = re.compile(r"[., '\u2019\u00a0\u2009\u202f]")
_TOKEN = re.compile(
    # Most of a text is no digit, which is seen at once.
    r"(?=\d)(?:(?P<cjk>(?:(?P<cy>\d{4})\s?[\u5e74\ub144]\s?)?(?P<cm>\d{1,2})\s?[\u6708\uc6d4]\s?"
    r"(?P<cd>\d{1,2})\s?[\u65e5\uc77c])"
    r"|(?P<iso>(?P<iy>\d{4})(?P<is>[-/.])(?P<im>\d{1,2})(?P=is)(?P<id>\d{1,2})(?!\d))"
    r"|(?P<day>(?P<da>\d{1,2})(?P<ds>[./-])(?P<db>\d{1,2})(?P=ds)(?P<dy>\d{4})(?!\d))"
    r"|(?P<half>(?P<hh>\d{1,2})(?:[:.](?P<hm>\d\d))?\s?(?P<hp>[ap])\.?m\b)"
    r"|(?P<hours>(?P<oh>\d{1,2})\s?[hH\u6642\u70b9\u9ede\uc2dc]\s?(?P<om>\d{1,2})(?!\d))"
    r"|(?P<time>(?P<th>\d{1,2}):(?P<tm>\d\d)(?!\d))"
    r"|(?P<number>\d{1,3}(?:(?P<gs>[., '\u2019\u00a0\u2009\u202f])\d{3}(?!\d))(?:(?P=gs)\d{3}(?!\d)){0,12}"
    r"(?:[.,]\d{1,30}(?!\d))?|\d{1,2}(?:,\d\d){1,9},\d{3}(?!\d)|\d+(?:[.,]\d+)?))"
)
_MAX_DIGITS = 60


Said = tuple[str, str]
"""A language and its text."""


def differing(here: Said, there: Said, *, templates: bool) -> tuple[str, list[str]] | None:
    """Say in what two texts differ, and what of it; None if in nothing.

    What is compared of templates is their variables, of rendered texts the rest.
    """
    aspects: Mapping[str, tuple[frozenset[str], frozenset[str]]]
    if templates:
        aspects = {"variables": (variables(here[1]), variables(there[1]))}
    else:
        links = _links(here[1]), _links(there[1])
        aspects = {"links": links, "numbers": _odd_numbers(here, there)}
    for name, (one, other) in aspects.items():
        if one != other:
            return name, sorted(one ^ other)
    return None


def links(text: str) -> list[str]:
    """Find the links in a text."""
    return _URL.findall(text) if "://" in text else []


def without_links(text: str, instead: str = " ") -> str:
    """Take the links out of a text."""
    return _URL.sub(instead, text) if "://" in text else text


def _links(text: str) -> frozenset[str]:
    return frozenset(url.rstrip(".,;:!?") for url in links(text))


def _odd_numbers(here: Said, there: Said) -> tuple[frozenset[str], frozenset[str]]:
    """The numbers and dates of each text that the other one does not have, as they are written."""
    ours, theirs = dict(_numbers(here[1])), dict(_numbers(there[1]))
    if any(map(_has_month, (ours, theirs))) or any(
        language == "EN" and may_name_months(text) for language, text in (here, there)
    ):
        ours.update(_named_months(here))
        theirs.update(_named_months(there))
    return _missing(ours, theirs), _missing(theirs, ours)


def _named_months(said: Said) -> Iterator[tuple[str, Meanings]]:
    for name, number in months_in(without_links(said[1]), said[0]):
        yield name, frozenset({("month", Decimal(number))})


def _has_month(found: Mapping[str, Meanings]) -> bool:
    return any(kind == "month" for meanings in found.values() for kind, _ in meanings)


def _missing(ours: Mapping[str, Meanings], theirs: Mapping[str, Meanings]) -> frozenset[str]:
    known = {meaning for meanings in theirs.values() for meaning in meanings}
    # The names of months are not known in every language.
    has_months = _has_month(theirs)
    return frozenset(
        text
        for text, meanings in ours.items()
        if meanings.isdisjoint(known)
        if has_months or not all(kind == "month" for kind, _ in meanings)
    )


def _numbers(text: str) -> Iterator[tuple[str, Meanings]]:
    for found in _TOKEN.finditer(without_links(text).translate(_SIGNS)):
        written = found[0]
        if found["cjk"]:
            yield from _date(written, found["cy"], (found["cm"],), (found["cd"],))
        elif found["iso"]:
            yield from _date(written, found["iy"], (found["im"],), (found["id"],))
        elif found["day"]:
            either = (found["da"], found["db"])
            months = either[1:] if found["ds"] == "." else either
            yield from _date(
                written, found["dy"], months, either if found["ds"] != "." else either[:1]
            )
        elif found["half"] or found["hours"] or found["time"]:
            yield written, frozenset(_moments(found))
        elif len(written) <= _MAX_DIGITS:
            yield written, frozenset(_values(written))


def _date(
    written: str, year: str | None, months: tuple[str, ...], days: tuple[str, ...]
) -> Iterator[tuple[str, Meanings]]:
    if year:
        yield f"{written} ({year})", frozenset({("number", Decimal(year))})
    yield f"{written} (month)", frozenset(("month", Decimal(each)) for each in months)
    yield f"{written} (day)", frozenset(("number", Decimal(each)) for each in days)


def _moments(found: re.Match[str]) -> Iterator[tuple[str, Decimal]]:
    if found["half"]:
        hours = int(found["hh"]) % 12 + 12 * (found["hp"] == "p")
        yield from _times(hours, found["hm"] or "00", found["hh"])
    elif found["hours"]:
        # A time of day, or how long something takes.
        yield _clock(found["oh"], found["om"])
        yield from (("number", Decimal(each)) for each in (found["oh"], found["om"]))
    else:
        yield from _times(int(found["th"]), found["tm"], found["th"])


def _times(hours: int, minutes: str, written: str) -> Iterator[tuple[str, Decimal]]:
    """All that a time may be elsewhere: 2 pm is 14:00, or the number 14, or 2."""
    yield _clock(str(hours), minutes)
    if not int(minutes):
        yield from (("number", Decimal(each)) for each in (hours, written))


def _clock(hours: str, minutes: str) -> tuple[str, Decimal]:
    return "minute", Decimal(int(hours) % 12 * 60 + int(minutes))


def _values(written: str) -> Iterator[tuple[str, Decimal]]:
    """All values that a number may have: `1.234,50`, `1,234.50`, `1 234,50`, `1234.50`."""
    parts = _SEPARATORS.split(written)
    whole = "".join(parts)
    if len(parts) == 1:
        yield "number", Decimal(whole)
        return
    last = parts[-1]
    is_grouped = all(len(part) in (2, 3) for part in parts[1:]) and len(last) == 3
    if is_grouped:
        yield "number", Decimal(whole)
    signs = _SEPARATORS.findall(written)
    if signs[-1] in ".," and (len(parts) == 2 or signs[-1] != signs[0]):
        yield "number", Decimal(f"{''.join(parts[:-1])}.{last}")
    if len(parts) == 2 and len(last) == 2 and signs[0] == ".":
        yield _clock(parts[0], last)


def variables(template: str) -> frozenset[str]:
    """The names that a template uses: `name`, `row.name`."""
    blocks = " ".join(_TAG.findall(template))
    return frozenset(_WORD.findall(_NO_VARIABLES.sub("", blocks))) - _KEYWORDS
