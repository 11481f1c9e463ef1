"""Ids of Toloka: which texts can be one, and which of a list is unlike the others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from runner.wording import named_character

ID_HINT = "an id has 1 to 64 letters, digits, - and _, and nothing around it"
MAX_ID = 64
ODD = "this id is unlike nine in ten of its list: did a spreadsheet touch it?"
ODD_HINT = "mend it, or write `lint: {odd-id: why}`"

_NOT_IN_AN_ID = re.compile("[^A-Za-z0-9_-]")
_THREAD = re.compile("[0-9a-f]{24}")
_HEX_32 = re.compile("[0-9A-Fa-f]{32}")
# What spreadsheets and programs write where nothing is, and titles of columns.
_NO_IDS = frozenset(
    [
        "total",
        "sum",
        "na",
        "nan",
        "nat",
        "nil",
        "null",
        "none",
        "undefined",
        "id",
        "ids",
        "toloker",
        "toloker_id",
        "user_id",
        "worker_id",
    ]
)
_USUAL = 32
_MOST = 0.9


def why_no_id(text: str, column: str = "") -> str:
    """Say why a text is not the id of a Toloker, a skill or a thread; nothing if it is one.

    `column` is the name of the column that it stands in.
    """
    if not text:
        return "it is empty"
    if len(text) == _USUAL and _HEX_32.fullmatch(text):
        return ""
    if bad := _NOT_IN_AN_ID.search(text):
        return f"it holds {named_character(bad.group())}"
    if len(text) > MAX_ID:
        return f"it has more than {MAX_ID} characters"
    word = text.casefold()
    return "it is a word" if word in _NO_IDS or word == column.casefold() else ""


def is_thread(text: str) -> bool:
    """Tell whether a text can be the id of a thread as Toloka makes them."""
    return _THREAD.fullmatch(text) is not None


def is_identifier(text: str) -> bool:
    """Tell whether a text can be the id of a Toloker, a skill or a thread."""
    return not why_no_id(text)


def sent_as(text: str) -> str:
    """Write an id as it is sent: 32 hexadecimal digits in small letters."""
    return text.lower() if len(text) == _USUAL and _HEX_32.fullmatch(text) else text


def distinct(ids: Iterable[str]) -> tuple[str, ...]:
    """Each id once: they are compared without case, and sent as they are."""
    found: dict[str, str] = {}
    for each in ids:
        found.setdefault(each.casefold(), each)
    return tuple(found.values())


def count_people(named: Iterable[Iterable[str] | None]) -> int:
    """How many people deliveries are for: several letters may be for one."""
    return len(distinct(each for ids in named for each in ids or ()))


def odd_among(ids: Sequence[str]) -> Iterator[int]:
    """Find the ids that are unlike at least nine in ten of their list, which are 32 digits."""
    likes = [len(each) == _USUAL and _HEX_32.fullmatch(each) is not None for each in ids]
    count = sum(likes)
    if _MOST * len(ids) <= count < len(ids):
        yield from (index for index, is_like in enumerate(likes) if not is_like)
