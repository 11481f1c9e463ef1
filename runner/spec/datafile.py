"""Data files: lists of Toloker ids, and rows for `for_each`. Their contents are never quoted."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from runner.errors import MessagesError, Place, Problem
from runner.files import TooLargeError, open_bounded, read_bounded
from runner.toloka.filter_table import is_identifier
from runner.wording import shown

MAX_BYTES = 64 * 1024 * 1024
# The text of a JSON list is held in memory whole; the other forms are read line by line.
MAX_JSON_BYTES = 4 * 1024 * 1024
MAX_LINE = 1_000_000
# Blank ones count too.
MAX_LINES = 2_000_000
MAX_IDS = 1_000_000
MAX_ID = 200
# Each row is a request of its own, and Toloka takes no more of them in a day.
MAX_ROWS = 100_000
MAX_COLUMNS = 1_000
MAX_DEPTH = 64
DEFAULT_COLUMN = "toloker_id"

_MAX_BAD_IDS = 20
_SPACE = re.compile(r"[ \t\r\n]*")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line it starts on, or its number in a JSON list, and its values by name."""

    number: int
    values: Mapping[str, object]


class DataError(ValueError):
    """A data file that will not do; `line` and `column` count from 1."""

    def __init__(self, line: int, what: str, hint: str = "", column: int = 1) -> None:
        self.line = line
        self.column = column
        self.what = what
        self.hint = hint
        super().__init__(what)


def load_ids(path: Path, column: str) -> tuple[str, ...]:
    """Load Toloker ids, each once: one a line from `.txt`, one column of a `.csv`.

    Raises `MessagesError`, at the line of the data file.
    """
    return _read(path, lambda: _checked_ids(path, column))


def _checked_ids(path: Path, column: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    bad: list[Place] = []
    lines = _csv_ids(path, column) if _is(path, ".csv") else _txt_ids(path)
    for total, (number, toloker) in enumerate(lines, start=1):
        if total > MAX_IDS:
            raise DataError(number, f"more than {MAX_IDS:,} ids", "split the message in two")
        if len(toloker) > MAX_ID:
            what = f"this id has more than {MAX_ID} characters"
            raise DataError(number, what, "one id, nothing around it")
        if not is_identifier(toloker):
            bad.append(Place(shown(path), number))
            if len(bad) >= _MAX_BAD_IDS:
                break
        found[toloker] = None
    if bad:
        what = "this is not a Toloker id: it is empty, or holds white space"
        raise MessagesError([Problem(where, what, "one id, nothing around it") for where in bad])
    return tuple(found)


def load_rows(path: Path) -> Iterator[Row]:
    """Read the rows of a `.csv`, `.json` or `.jsonl` file, one by one where the form allows it.

    Raises `MessagesError`, at the line of the data file.
    """
    reader = {".csv": _csv_rows, ".json": _json_rows}.get(path.suffix.lower(), _jsonl_rows)
    rows = reader(path)
    total = 0
    while (row := _read(path, lambda: next(rows, None))) is not None:
        total += 1
        if total > MAX_ROWS:
            where = Place(shown(path), row.number)
            raise MessagesError([Problem(where, f"more than {MAX_ROWS:,} rows", "split the file")])
        yield row


def _is(path: Path, suffix: str) -> bool:
    return path.suffix.lower() == suffix


def _read(path: Path, read: Callable[[], _Value]) -> _Value:
    try:
        return read()
    except DataError as error:
        fault = error
    except UnicodeDecodeError:
        fault = DataError(1, "this is not UTF-8", "save the file as UTF-8")
    except TooLargeError:
        most, hint = MAX_BYTES, "split it up"
        if _is(path, ".json"):
            most, hint = MAX_JSON_BYTES, "write one object a line, in a .jsonl file"
        fault = DataError(1, f"the file is larger than {most // 1024**2} MiB", hint)
    except OSError as error:
        fault = DataError(1, f"cannot be read: {error.strerror}")
    where = Place(shown(path), fault.line, fault.column)
    raise MessagesError([Problem(where, fault.what, fault.hint)])


def _lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file, with or without a byte order mark, line ends normalised."""
    with io.TextIOWrapper(open_bounded(path, MAX_BYTES), encoding="utf-8-sig") as stream:
        for number in count(1):
            line = stream.readline(MAX_LINE + 1)
            if not line:
                return
            if number > MAX_LINES:
                raise DataError(
                    number, f"the file has more than {MAX_LINES:,} lines", "split it up"
                )
            if len(line) > MAX_LINE:
                raise DataError(number, f"the line has more than {MAX_LINE:,} characters", "cut it")
            if "\0" in line:
                raise DataError(number, "the line holds a NUL character", "save it as plain UTF-8")
            yield line


def _txt_ids(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            yield number, line.strip()


def _csv_ids(path: Path, column: str) -> Iterator[tuple[int, str]]:
    for row in _csv_rows(path):
        if column not in row.values:
            raise DataError(
                1, "the header has no such column", "name the column in `recipients_column`"
            )
        yield row.number, str(row.values[column]).strip()


def _csv_rows(path: Path) -> Iterator[Row]:
    reader = csv.reader(_lines(path), strict=True)
    start = 0
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(header)
        start = reader.line_num
        for cells in reader:
            number, start = start + 1, reader.line_num
            if not any(cells):
                continue
            if len(cells) != len(header):
                raise DataError(
                    number,
                    f"the row has {len(cells)} fields and the header {len(header)}",
                    "put a field that holds a comma in double quotes",
                )
            yield Row(number, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise DataError(
            start + 1,
            "this is not CSV: a quote is not closed, or stands inside a field",
            'close it, or write it twice: "the ""best"" one"',
        ) from error


def _check_header(header: list[str]) -> None:
    if len(header) > MAX_COLUMNS:
        raise DataError(1, f"the header has more than {MAX_COLUMNS:,} columns", "keep what is used")
    if not any(header):
        raise DataError(1, "the file has no header", "name the columns in the first line")
    if not all(header):
        raise DataError(1, "a column of the header has no name", "name every column")
    if len(set(header)) < len(header):
        raise DataError(1, "two columns of the header have one name", "give each its own")


def _json_rows(path: Path) -> Iterator[Row]:
    """Read a JSON list item by item: its items would take many times the room of their text."""
    text = read_bounded(path, MAX_JSON_BYTES).decode("utf-8-sig")
    at = _after_space(text, 0)
    if text[at : at + 1] != "[":
        _parsed(text, 1)
        raise DataError(1, "this is not a list", "write a JSON list of objects: [{...}, ...]")
    at = _after_space(text, at + 1)
    number = 0
    while number or text[at : at + 1] != "]":
        start = at
        item, at = _decoded(text, start)
        number += 1
        if at - start > MAX_LINE:
            line = text.count("\n", 0, start) + 1
            raise DataError(line, f"item {number} has more than {MAX_LINE:,} characters", "cut it")
        yield Row(number, _object(item, 1, f"item {number}", "write {...} for each row"))
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


def _jsonl_rows(path: Path) -> Iterator[Row]:
    for number, line in enumerate(_lines(path), start=1):
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
    return found


def _no_constant(name: str) -> object:
    raise DataError(1, f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
