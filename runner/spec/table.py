"""Tables, row by row: CSV with whatever separator, tabs, JSON lists and JSON lines."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from runner.errors import MessagesError, Problem
from runner.files import read_bounded
from runner.spec.characters import UNFIT, why_unfit
from runner.spec.columns import is_empty
from runner.spec.coreschema import Written, core_value
from runner.spec.datafile import (
    MAX_JSON_BYTES,
    MAX_LINE,
    DataError,
    check_characters,
    guarded,
    has_suffix,
    lines_of,
)
from runner.spec.given import Table, place_in
from runner.toloka.ids import why_no_id
from runner.wording import either, listed, nearest, plain, plural

# Each row is a request of its own, and Toloka takes no more of them in a day.
MAX_ROWS = 100_000
MAX_COLUMNS = 1_000
MAX_DEPTH = 64

_SHOWN_COLUMNS = 12

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "|"}
_SEP_LINE = re.compile(r"\s*\"?sep=([^\"\n])\"?\s*", re.IGNORECASE)
# A cell of so many lines was hardly meant, once something else is wrong below it.
_MANY_LINES = 20
_SPACE = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line it starts on, and its values by name.

    Of rows that start on one line of a JSON list, each has a number of its own.
    """

    number: int
    values: Mapping[str, object]


def load_rows(
    table: Table,
    names: Set[str] = frozenset(),
    *,
    needs: Set[str] = frozenset(),
    passed: Counter[str] | None = None,
) -> Iterator[Row]:
    """Read the rows of a table that hold something, one by one where the form allows it.

    `names` are the columns that the message names: they are found without case. Those that it
    `needs` must be there. `passed` counts the rows and columns that are empty throughout. Raises
    `MessagesError`, at the line of the data file or the index of a row that was given.
    """
    passed = Counter() if passed is None else passed
    if isinstance(table, Path) and not has_suffix(table, ".json", ".jsonl"):
        rows = _csv_rows(table, names, needs, passed)
    else:
        asked = {folded(name): name for name in names}
        rows = (_renamed(row, asked) for row in _objects(table))
    total = 0
    while (row := guarded(table, lambda: next(rows, None))) is not None:
        total += 1
        if total > MAX_ROWS:
            where, hint = place_in(table, row.number), "split the file"
            hint += ", or delete its empty rows" if passed["row"] else ""
            raise MessagesError([Problem(where, f"more than {MAX_ROWS:,} rows", hint)])
        if all(map(is_empty, row.values.values())):
            passed["row"] += 1
            continue
        yield row


def folded(name: str) -> str:
    """A column's name as it is compared: trimmed, without case, each letter in one piece."""
    return unicodedata.normalize("NFC", " ".join(name.split()).casefold())


def _renamed(row: Row, asked: Mapping[str, str]) -> Row:
    values = {asked.get(folded(name), name): value for name, value in row.values.items()}
    if len(values) < len(row.values):
        what = "two names of this object are one but for their case or spaces"
        raise DataError(row.number, what, "give each its own")
    return Row(row.number, values)


def _csv_rows(path: Path, names: Set[str], needs: Set[str], passed: Counter[str]) -> Iterator[Row]:
    lines = lines_of(path)
    above, first = 0, next(lines, "")
    separator = "\t" if has_suffix(path, ".tsv") else ""
    if said := _SEP_LINE.fullmatch(first):
        separator, above, first = said[1], 1, next(lines, "")
    reader = csv.reader(
        chain([first], lines), strict=True, delimiter=separator or _separator(first, names, above)
    )
    begins, suspect = 1, (_MANY_LINES, 0)
    try:
        header = _Header.of(next(reader, []), names, above + 1)
        passed["column"] = header.names.count("")
        begins = reader.line_num + 1
        for cells in reader:
            line, begins = above + begins, reader.line_num + 1
            suspect = max(suspect, (above + begins - line, line))
            row = Row(line, header.values_of(cells, line) if any(map(str.strip, cells)) else {})
            for name in sorted(needs - row.values.keys()) if row.values else ():
                raise header.without(name, row)
            yield row
    except (csv.Error, _WrongLength) as error:
        if isinstance(error, _WrongLength) and not suspect[1]:
            raise
        # What opened there and ends where the next quote is took the rows between for text.
        raise DataError(
            suspect[1] or above + begins,
            "this is not CSV: a quote is not closed, or stands inside a field",
            'close it, or write it twice: "the ""best"" one"',
        ) from error


def _separator(line: str, names: Set[str], above: int) -> str:
    """Find the separator under which the columns are found that the message names."""
    wanted = {folded(name) for name in names}
    found: dict[str, set[str]] = {}
    for separator in _SEPARATORS:
        try:
            cells = next(csv.reader([line], delimiter=separator), [])
        except csv.Error:  # A field as long as the line, under a separator that it does not have.
            cells = []
        found[separator] = {folded(cell) for cell in cells}
    most = max(len(wanted & cells) for cells in found.values())
    best = [each for each, cells in found.items() if len(wanted & cells) == most]
    split = [each for each in best if len(found[each]) > 1]
    if len(split) > 1:
        many = either([_SEPARATORS[each] for each in split])
        hint = f"say which in a first line of its own: sep={split[-1]}"
        raise DataError(above + 1, f"the columns may be separated by {many}", hint)
    return (split or best)[0]


class _WrongLength(DataError):
    """A row has not as many fields as the header."""


@dataclass(frozen=True, slots=True)
class _Header:
    """The columns: what the message calls them, or else their own names."""

    names: Sequence[str]
    line: int

    @classmethod
    def of(cls, cells: Sequence[str], asked: Set[str], line: int) -> _Header:
        names = [" ".join(cell.split()) for cell in cells]
        if len(names) > MAX_COLUMNS:
            what = f"the header has more than {MAX_COLUMNS:,} columns"
            raise DataError(line, what, "keep what is used")
        if not any(names):
            hint = "name the columns in the first line"
            raise DataError(line, "the file has no header", hint)
        known = [folded(name) for name in names if name]
        if len(set(known)) < len(known):
            hint = "give each its own"
            raise DataError(line, "two columns of the header have one name", hint)
        wanted = {folded(name): name for name in asked}
        return cls([wanted.get(folded(name), name) for name in names], line)

    def values_of(self, cells: Sequence[str], line: int) -> dict[str, object]:
        if len(cells) != len(self.names):
            hint = "write each field, an empty one too"
            if len(cells) > len(self.names):
                hint = "put a field that holds the separator in double quotes"
            what = f"the row has {plural(len(cells), 'field')} and the header {len(self.names)}"
            raise _WrongLength(line, what, hint)
        values: dict[str, object] = dict(zip(self.names, cells, strict=True))
        # A column without a name is passed over as long as nothing is in it.
        if "" in values:
            if any(cell.strip() for name, cell in zip(self.names, cells, strict=True) if not name):
                what = "a column of the header has no name, and this row has something in it"
                raise DataError(line, what, "name every column")
            del values[""]
        return values

    def without(self, wanted: str, row: Row) -> DataError:
        """Say that a column is missing, and which may be meant: the one that holds ids."""
        guess = nearest(wanted, [name for name in self.names if name])
        holds = [name for name, cell in row.values.items() if not why_no_id(str(cell).strip())]
        there = [plain(name) for name in self.names if name]
        hint = f"it has {listed(there[:_SHOWN_COLUMNS])}"
        hint += f", and {len(there) - _SHOWN_COLUMNS:,} more" if there[_SHOWN_COLUMNS:] else ""
        if guess:
            name = plain(guess)
            hint = f"did you mean {name}? write {name} in the message, or rename the column"
        if not guess and len(holds) == 1:
            hint = f"the column {plain(holds[0])} holds ids: name that one"
        return DataError(self.line, f"the header has no column {plain(wanted)}", hint)


def _json_rows(path: Path) -> Iterator[Row]:
    """Read a JSON list item by item: its items would take many times the room of their text."""
    text = read_bounded(path, MAX_JSON_BYTES).decode("utf-8-sig")
    check_characters(text, 1)
    at = _after_space(text, 0)
    if text[at : at + 1] != "[":
        _parsed(text, 1)
        raise DataError(1, "this is not a list", "write a JSON list of objects: [{...}, ...]")
    at = _after_space(text, at + 1)
    start = index = number = 0
    line = 1
    while index or text[at : at + 1] != "]":
        line += text.count("\n", start, at)
        start = at
        item, at = _decoded(text, start)
        index += 1
        if at - start > MAX_LINE:
            raise DataError(line, f"item {index} has more than {MAX_LINE:,} characters", "cut it")
        number = max(line, number + 1)
        yield Row(number, _object(item, line, f"item {index}", "write {...} for each row"))
        at = _after_space(text, at)
        if text[at : at + 1] != ",":
            break
        at = _after_space(text, at + 1)
    if text[at : at + 1] != "]" or _after_space(text, at + 1) < len(text):
        raise DataError(text.count("\n", 0, at) + 1, "this is not JSON: here the list should end")


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _object(item: object, line: int, name: str, hint: str) -> dict[str, object]:
    if not isinstance(item, dict):
        raise DataError(line, f"{name} is not an object", hint)
    if _is_deep(item):
        raise DataError(line, f"{name} is nested more than {MAX_DEPTH} deep", "flatten it")
    return item


def _is_deep(item: dict[str, object]) -> bool:
    level: list[Any] = [item]
    for _ in range(MAX_DEPTH):
        inner = [each.values() if isinstance(each, dict) else each for each in level]
        level = [x for each in inner for x in each if isinstance(x, (dict, list))]
        if not level:
            return False
    return True


def _objects(table: Table) -> Iterator[Row]:
    if not isinstance(table, Path):
        return _jsonl_rows(enumerate(table.lines))
    if has_suffix(table, ".json"):
        return _json_rows(table)
    return _jsonl_rows(enumerate(lines_of(table), start=1))


def _jsonl_rows(lines: Iterable[tuple[int, str]]) -> Iterator[Row]:
    for number, line in lines:
        if line.strip():
            yield Row(
                number,
                _object(_parsed(line, number), number, "this line", "write {...} on each line"),
            )


def _parsed(text: str, line: int) -> object:
    item, end = _decoded(text, _after_space(text, 0), line)
    if _after_space(text, end) < len(text):
        raise DataError(line, "this is not JSON: something stands after it", "one value, no more")
    return item


def _decoded(text: str, at: int, line: int = 1) -> tuple[Any, int]:
    """Read the JSON value that begins at `at`; `line` is that of the text's first."""
    try:
        return _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        what, hint = "this is not JSON from here on", "check the quotes, commas and brackets"
        raise DataError(line + error.lineno - 1, what, hint, error.colno) from error
    except RecursionError as error:
        what, hint = "this is nested too deep", "flatten it"
        raise DataError(line + text.count("\n", 0, at), what, hint) from error
    except ValueError as error:
        # Ours says what it is; Python's own is about the digits of a whole number.
        what = error.what if isinstance(error, DataError) else "a number has too many digits"
        raise DataError(line + text.count("\n", 0, at), what) from error


def _without_duplicates(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    listed = list(pairs)
    found = dict(listed)
    if len(found) < len(listed):
        raise DataError(1, "an object has one name twice")
    if unfit := UNFIT.search("".join(found)):
        what, _ = why_unfit(unfit.group())
        raise DataError(1, f"in an object's name, {what}")
    return found


def _no_constant(name: str) -> object:
    raise DataError(1, f"{name} is not JSON")


def _as_written(text: str) -> Written:
    """A number with a fraction or an exponent, which is printed as it stands in the file."""
    _, wrong = core_value(text)
    if wrong:
        raise DataError(1, wrong)
    return Written(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_without_duplicates, parse_constant=_no_constant, parse_float=_as_written
)
