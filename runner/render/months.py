"""The names of months in each language, by CLDR."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

_WORD = re.compile(r"[^\W\d_]{3,30}")
# In so many characters before or after a month stands a day or a year.
_BEFORE, _AFTER = 8, 5
_ENGLISH = re.compile(
    r"\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)(?:[a-z]{1,7})?\b(?=.{0,4}\d)"
    r"|\d.{0,6}\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
)


def may_name_months(text: str) -> bool:
    """Whether an English text may name a month: quicker than to read their names."""
    return _ENGLISH.search(text) is not None


def months_in(text: str, language: str) -> Iterator[tuple[str, int]]:
    """The months that a text names beside a number, and which they are."""
    names = _names(language)
    for found in _WORD.finditer(text) if names else ():
        number = names.get(found[0].casefold())
        # In English they begin with a capital, and others are words: "you may".
        if number is None or (language == "EN" and found[0].islower()):
            continue
        around = text[max(found.start() - _BEFORE, 0) : found.end() + _AFTER]
        if any(map(str.isdigit, around)):
            yield found[0], number


@lru_cache
def _names(language: str) -> Mapping[str, int]:
    # Here, because it takes longer than all the rules, and few messages need it.
    from babel import Locale, UnknownLocaleError

    try:
        months = Locale.parse(language.lower()).months
    except (UnknownLocaleError, ValueError):
        return {}
    return {
        name.casefold().removesuffix("."): number
        for widths in months.values()
        for width in ("wide", "abbreviated")
        for number, name in widths[width].items()
    }
