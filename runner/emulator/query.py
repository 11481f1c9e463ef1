"""The query of the list call: checked, turned into a search, and the search into SQL."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias
from urllib.parse import parse_qsl

from runner.emulator.answers import FieldError, invalid
from runner.emulator.forms import FOLDERS
from runner.emulator.times import TIME_FORM, View, parse_microseconds

Value: TypeAlias = "str | int | float"

DEFAULT_LIMIT = 50
MAX_LIMIT = 300

_COMPARISONS = ("gt", "gte", "lt", "lte")
_SQL_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_SORT_KEYS = ("id", "-id", "created", "-created")
_KNOWN = (
    *("folder", "folder_ne", "sort", "limit"),
    *(f"{field}_{op}" for field in ("id", "created") for op in _COMPARISONS),
)
_THREAD_ID = re.compile(r"[0-9a-f]{24}")


@dataclass(frozen=True, slots=True)
class Bound:
    """One bound of the search: `field` is id or created_ms, `operator` as SQL writes it."""

    field: str
    operator: str
    value: str | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A checked list query; `sort` holds (field, descending) pairs and always ends with the id."""

    bounds: tuple[Bound, ...] = ()
    folders: tuple[str, ...] = ()
    folders_ne: tuple[str, ...] = ()
    sort: tuple[tuple[str, bool], ...] = (("id", False),)
    limit: int = DEFAULT_LIMIT


def parse_search(query: str) -> Search:
    """Check the query string of the list call; raises `Refused` with everything that is wrong."""
    pairs = parse_qsl(query, keep_blank_values=True)
    values = dict(pairs)
    errors = [
        *_name_errors([name for name, _ in pairs]),
        *_choice_errors(values, "folder", FOLDERS),
        *_choice_errors(values, "folder_ne", FOLDERS),
        *_choice_errors(values, "sort", _SORT_KEYS),
        *_limit_errors(values.get("limit")),
        *_bound_errors(values),
    ]
    if errors:
        raise invalid(errors)
    return Search(
        bounds=tuple(_bounds(values)),
        folders=_words(values.get("folder")),
        folders_ne=_words(values.get("folder_ne")),
        sort=_sort(_words(values.get("sort"))),
        limit=int(values.get("limit", DEFAULT_LIMIT)),
    )


def _words(value: str | None) -> tuple[str, ...]:
    return () if value is None else tuple(word.strip() for word in value.split(","))


def _name_errors(names: Sequence[str]) -> Iterator[FieldError]:
    for name, count in Counter(names).items():
        if name not in _KNOWN:
            yield FieldError(name, "VALUE_NOT_ALLOWED", "unknown query parameter")
        elif count > 1:
            yield FieldError(name, "VALUE_NOT_ALLOWED", "given more than once")


def _choice_errors(
    values: dict[str, str], name: str, allowed: Sequence[str]
) -> Iterator[FieldError]:
    for word in _words(values.get(name)):
        if word not in allowed:
            message = f"{word!r} is none of {', '.join(allowed)}"
            yield FieldError(name, "UNKNOWN_ENUM_VALUE", message)


def _limit_errors(value: str | None) -> Iterator[FieldError]:
    if value is None:
        return
    # Short as well as decimal: a longer run of digits is no use, and slow to convert.
    if not re.fullmatch(r"-?[0-9]{1,9}", value):
        yield FieldError("limit", "INTEGER_EXPECTED", "an integer expected")
    elif not 1 <= int(value) <= MAX_LIMIT:
        yield FieldError("limit", "VALUE_OUT_OF_BOUNDS", f"from 1 to {MAX_LIMIT} expected")


def _bound_errors(values: dict[str, str]) -> Iterator[FieldError]:
    for op in _COMPARISONS:
        thread_id = values.get(f"id_{op}")
        if thread_id is not None and not _THREAD_ID.fullmatch(thread_id):
            yield FieldError(f"id_{op}", "PATTERN_MISMATCH", "24 hexadecimal digits expected")
        created = values.get(f"created_{op}")
        if created is not None and parse_microseconds(created) is None:
            yield FieldError(f"created_{op}", "INVALID_DATE_TIME_SYNTAX", f"{TIME_FORM} expected")


def _bounds(values: dict[str, str]) -> Iterator[Bound]:
    for op, sql in _SQL_COMPARISONS.items():
        if f"id_{op}" in values:
            yield Bound("id", sql, values[f"id_{op}"])
        microseconds = parse_microseconds(values.get(f"created_{op}", ""))
        if microseconds is not None:
            # Threads are dated to the millisecond; a finer bound is moved to the next one
            # that decides the same.
            up = op in ("gte", "lt")
            yield Bound("created_ms", sql, -(-microseconds // 1000) if up else microseconds // 1000)


def _sort(words: Sequence[str]) -> tuple[tuple[str, bool], ...]:
    keys: dict[str, bool] = {}
    for word in words:
        field = "created_ms" if word.lstrip("-") == "created" else "id"
        keys.setdefault(field, word.startswith("-"))
    # Without the id the order of equals, and so the pages, would be left to chance.
    keys.setdefault("id", keys.get("created_ms", False))
    return tuple(keys.items())


def lag_ms(thread_id: str, replica: int, low_ms: float, high_ms: float) -> float:
    """Say how late a replica shows a thread: always the same for both."""
    chance = int(sha256(f"{replica}:{thread_id}".encode()).hexdigest()[:8], 16) / 2**32
    return low_ms + (high_ms - low_ms) * chance


def known(thread_id: str, since: str, view: View) -> tuple[str, list[Value]]:
    """Write the condition that a view shows what happened to a thread."""
    # The greatest lag first: what is older needs no lag of its own.
    sql = f"({since} <= ? OR {since} <= ? - lag({thread_id}, ?, ?, ?))"
    return sql, [view.at_ms - view.high_ms, view.at_ms, view.replica, view.low_ms, view.high_ms]


def conditions(search: Search, account: str | None, view: View) -> tuple[str, list[Value]]:
    """Write the conditions that a search of the threads as a view shows them has, as SQL."""
    shown, values = known("id", "made_ms", view)
    where = [shown]
    if account is not None:
        where.append("account = ?")
        values.append(account)
    for bound in search.bounds:
        where.append(f"{bound.field} {bound.operator} ?")
        values.append(bound.value)
    for folders, verb in ((search.folders, "EXISTS"), (search.folders_ne, "NOT EXISTS")):
        if folders:
            marks = ", ".join("?" * len(folders))
            since, moments = known("thread_id", "since_ms", view)
            found = "(SELECT 1 FROM folders WHERE thread_id = threads.id AND"
            where.append(" ".join((verb, found, since, "AND folder IN (", marks, "))")))
            values += [*moments, *folders]
    if view.forgets:
        where.append(
            "id NOT IN (SELECT id FROM threads WHERE account = ? ORDER BY id DESC LIMIT ?)"
        )
        values += [account or "", view.forgets]
    return " AND ".join(where), values
