"""Data files, read within bounds: what is wrong with one has its line. Contents are never quoted."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TypeVar

from runner.errors import MessagesError, Problem
from runner.files import TooLargeError, open_bounded
from runner.spec.characters import UNFIT, why_unfit
from runner.spec.given import Table, place_in

MAX_BYTES = 64 * 1024 * 1024
# The text of a JSON list is held in memory whole; the other forms are read line by line.
MAX_JSON_BYTES = 4 * 1024 * 1024
MAX_LINE = 1_000_000
# Blank ones count too.
MAX_LINES = 2_000_000
DEFAULT_COLUMN = "toloker_id"

_CYRILLIC = re.compile(b"[\xc0-\xff]{3}")
_Value = TypeVar("_Value")


class DataError(ValueError):
    """A data file that will not do; `line` and `column` count from 1."""

    def __init__(self, line: int, what: str, hint: str = "", column: int = 1) -> None:
        self.line = line
        self.column = column
        self.what = what
        self.hint = hint
        super().__init__(what)


def has_suffix(path: Path, *suffixes: str) -> bool:
    """Tell whether a file's name ends like this, in whatever case."""
    return path.suffix.lower() in suffixes


def guarded(table: Table, read: Callable[[], _Value]) -> _Value:
    """Read something of a data file; raises `MessagesError` with the place of what is wrong."""
    try:
        return read()
    except DataError as error:
        fault = error
    except (UnicodeDecodeError, OSError) as error:
        fault = _unreadable(table, error)
    where = place_in(table, fault.line)
    where = replace(where, column=fault.column) if where.line else where
    raise MessagesError([Problem(where, fault.what, fault.hint)])


def _unreadable(table: Table, error: UnicodeDecodeError | OSError) -> DataError:
    if isinstance(table, Path) and isinstance(error, UnicodeDecodeError):
        return _not_utf_8(table)
    if isinstance(table, Path) and isinstance(error, TooLargeError):
        most, hint = MAX_BYTES, "split it up"
        if has_suffix(table, ".json"):
            most, hint = MAX_JSON_BYTES, "write one object a line, in a .jsonl file"
        return DataError(1, f"the file is larger than {most // 1024**2} MiB", hint)
    return DataError(1, f"cannot be read: {getattr(error, 'strerror', error)}")


def lines_of(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file, with or without a byte order mark, line ends normalised."""
    opened = open_bounded(path, MAX_BYTES)
    with io.TextIOWrapper(opened, encoding="utf-8-sig", newline="\n") as stream:
        for number in count(1):
            line = stream.readline(MAX_LINE + 1)
            if not line:
                return
            if number > MAX_LINES:
                raise DataError(
                    number, f"the file has more than {MAX_LINES:,} lines", "split it up"
                )
            check_characters(line.removesuffix("\r"), number)
            if len(line) > MAX_LINE:
                raise DataError(number, f"the line has more than {MAX_LINE:,} characters", "cut it")
            yield line[:-2] + "\n" if line.endswith("\r\n") else line


def check_characters(text: str, line: int) -> None:
    """Refuse what may stand in no file of ours; `line` is that of the text's first."""
    if bad := UNFIT.search(text):
        start = text.rfind("\n", 0, bad.start()) + 1
        what, hint = why_unfit(bad.group())
        raise DataError(line + text.count("\n", 0, start), what, hint, bad.start() - start + 1)


def _not_utf_8(path: Path) -> DataError:
    """Find where a file is not UTF-8, and guess what it is instead."""
    hint = "save it as UTF-8 (in Excel: CSV UTF-8)"
    with open_bounded(path, MAX_BYTES) as stream:
        for number in count(1):
            line = stream.readline(MAX_LINE + 1)
            if number == 1 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return DataError(1, "this is UTF-16, not UTF-8", hint)
            try:
                line.decode()
            except UnicodeDecodeError as error:
                column = len(line[: error.start].decode()) + 1
                page = "Windows-1251" if _CYRILLIC.search(line) else "a Windows code page"
                return DataError(number, f"this is not UTF-8, and looks like {page}", hint, column)
            if not line:
                return DataError(1, "this is not UTF-8", hint)
    raise AssertionError("counting does not end")
