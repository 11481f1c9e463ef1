"""Data files: lists of Toloker ids, and rows for `for_each`. Their contents are never quoted."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from runner import paths
from runner.errors import MessagesError, Place, Problem
from runner.filter_table import is_identifier

MAX_BYTES = 64 * 1024 * 1024
# A JSON list is held in memory whole; rows of the other two forms come one by one.
MAX_JSON_BYTES = 16 * 1024 * 1024
MAX_ROWS = 1_000_000
DEFAULT_COLUMN = "toloker_id"

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line it starts on, or its number in a JSON list, and its values by name."""

    number: int
    values: Mapping[str, object]


class DataError(ValueError):
    """A data file that will not do; `line` counts from 1."""

    def __init__(self, line: int, what: str, hint: str = "") -> None:
        self.line = line
        self.what = what
        self.hint = hint
        super().__init__(what)


def load_ids(path: Path, column: str) -> tuple[str, ...]:
    """Load Toloker ids, each once: one a line from `.txt`, one column of a `.csv`.

    Raises `MessagesError`, at the line of the data file.
    """
    rows = _read(
        path, lambda: list(_csv_ids(path, column) if _is(path, ".csv") else _txt_ids(path))
    )
    bad = [number for number, toloker in rows if not is_identifier(toloker)]
    if bad:
        what = "this is not a Toloker id: it is empty, or holds white space"
        places = [Place(paths.shown(path), number) for number in bad[:20]]
        raise MessagesError([Problem(where, what, "one id, nothing around it") for where in places])
    return tuple(dict.fromkeys(toloker for _, toloker in rows))


def load_rows(path: Path) -> Iterator[Row]:
    """Read the rows of a `.csv`, `.json` or `.jsonl` file, one by one where the form allows it.

    Raises `MessagesError`, at the line of the data file.
    """
    reader = {".csv": _csv_rows, ".json": _json_rows}.get(path.suffix.lower(), _jsonl_rows)
    rows = reader(path)
    count = 0
    while (row := _read(path, lambda: next(rows, None))) is not None:
        count += 1
        if count > MAX_ROWS:
            where = Place(paths.shown(path), row.number)
            raise MessagesError([Problem(where, f"more than {MAX_ROWS:,} rows", "split the file")])
        yield row


def _is(path: Path, suffix: str) -> bool:
    return path.suffix.lower() == suffix


def _read(path: Path, read: Callable[[], _Value]) -> _Value:
    try:
        return read()
    except DataError as error:
        raise _problem(path, error.line, error.what, error.hint) from error
    except UnicodeDecodeError as error:
        raise _problem(path, 1, "this is not UTF-8", "save the file as UTF-8") from error
    except OSError as error:
        raise _problem(path, 1, f"cannot be read: {error.strerror}") from error


def _problem(path: Path, line: int, what: str, hint: str = "") -> MessagesError:
    return MessagesError([Problem(Place(paths.shown(path), line), what, hint)])


def _lines(path: Path, limit: int = MAX_BYTES) -> Iterator[str]:
    """The lines of a UTF-8 file, with or without a byte order mark, line ends normalised."""
    if path.stat().st_size > limit:
        raise DataError(1, f"the file is larger than {limit // 1024**2} MiB", "split it up")
    with path.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, start=1):
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
        raise DataError(reader.line_num, f"this is not CSV: {error}") from error


def _check_header(header: list[str]) -> None:
    if not any(header):
        raise DataError(1, "the file has no header", "name the columns in the first line")
    if not all(header):
        raise DataError(1, "a column of the header has no name", "name every column")
    if len(set(header)) < len(header):
        raise DataError(1, "two columns of the header have one name", "give each its own")


def _json_rows(path: Path) -> Iterator[Row]:
    data = _parsed("".join(_lines(path, MAX_JSON_BYTES)), 1)
    if not isinstance(data, list):
        raise DataError(1, "this is not a list", "write a JSON list of objects: [{...}, ...]")
    for number, item in enumerate(data, start=1):
        if not isinstance(item, dict):
            raise DataError(1, f"item {number} is not an object", "write {...} for each row")
        yield Row(number, item)


def _jsonl_rows(path: Path) -> Iterator[Row]:
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            item = _parsed(line, number)
            if not isinstance(item, dict):
                raise DataError(number, "this line is not an object", "write {...} on each line")
            yield Row(number, item)


def _parsed(text: str, line: int) -> object:
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise DataError(line + error.lineno - 1, f"this is not JSON: {error.msg}") from error
    except RecursionError as error:
        raise DataError(line, "this is nested too deep", "flatten it") from error
    except ValueError as error:
        raise DataError(line, str(error)) from error


def _without_duplicates(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    listed = list(pairs)
    found = dict(listed)
    if len(found) < len(listed):
        raise ValueError("an object has one name twice")
    return found


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
