"""Rows that a program gives: the cells as the message's file would hold them, and that file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from runner.api.values import cell
from runner.errors import MessagesError, Problem
from runner.spec.columns import CellError, Column, columns_named
from runner.spec.datafile import DEFAULT_COLUMN, has_suffix
from runner.spec.given import GivenRows, place_in
from runner.spec.specs import MessageSpec

Rows = Iterable[Mapping[str, Any]]
"""What a data frame gives by `to_dict("records")`, or any other mappings of column to value."""

_ENCODE = json.JSONEncoder(ensure_ascii=False).encode
_MAX_PROBLEMS = 20
_AN_ID = "an id is text: keep it text where the table is read, as by dtype=str"
_FRAME = 'rows are mappings: those of a data frame are frame.to_dict("records")'


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How the rows of a message are taken: what its file may hold, and what its columns are."""

    columns: Mapping[str, Column]
    ids: frozenset[str]
    """The columns that have to be text."""
    as_text: bool

    @classmethod
    def of(cls, spec: MessageSpec, file: str) -> Form:
        """Find it out from a message; `file` is the name of its file of rows."""
        ids = spec.recipients_ids
        written = (spec.thread_id or "", *((ids,) if isinstance(ids, str) else ids or ()))
        named = columns_named("\n".join(written)) | {DEFAULT_COLUMN}
        as_text = not has_suffix(Path(file), ".json", ".jsonl")
        return cls(columns=spec.columns, ids=frozenset(named), as_text=as_text)


def take_rows(rows: Iterable[object], form: Form) -> GivenRows:
    """Take rows; raises `MessagesError` with each cell that will not do, as `rows[17]["amount"]`."""
    problems: list[Problem] = []
    lines = []
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            where = place_in(GivenRows(()), number)
            raise MessagesError([Problem(where, f"this is a {type(row).__name__}", _FRAME)])
        lines.append(_line(_cells(row, number, form, problems)))
        if len(problems) >= _MAX_PROBLEMS:
            break
    if problems:
        raise MessagesError(problems)
    return GivenRows(tuple(lines))


def _cells(
    row: Mapping[Any, Any], number: int, form: Form, problems: list[Problem]
) -> Mapping[str, object]:
    cells: dict[str, object] = {}
    for name, value in row.items():
        try:
            if not isinstance(name, str):
                raise CellError("the name of its column is no text")
            given = cell(value, form.columns.get(name), as_text=form.as_text)
            if name in form.ids and given not in (None, "") and not isinstance(value, str):
                raise CellError(_AN_ID)
            cells[name] = given
        except CellError as error:
            where = place_in(GivenRows(()), number, str(name))
            problems.append(Problem(where, "this cell cannot be taken", str(error)))
    return cells


def _line(cells: Mapping[str, object]) -> str:
    return "".join(_json(cells))


def _json(value: object) -> Iterator[str]:
    """Write JSON with each number as it was given; Python's own would make floats of them."""
    if isinstance(value, dict):
        for number, (name, each) in enumerate(value.items()):
            yield f"{', ' if number else '{'}{_ENCODE(name)}: "
            yield from _json(each)
        yield "}" if value else "{}"
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield ", " if number else "["
            yield from _json(each)
        yield "]" if value else "[]"
    else:
        yield f"{value:f}" if isinstance(value, Decimal) else _ENCODE(value)


def file_text(rows: GivenRows, path: Path) -> str:
    """Write the file that holds these rows, in the form that its name says."""
    if has_suffix(path, ".json"):
        return "[\n" + ",\n".join(rows.lines) + "\n]\n"
    if has_suffix(path, ".jsonl"):
        return "".join(f"{line}\n" for line in rows.lines)
    return _csv(
        [json.loads(line) for line in rows.lines], "\t" if has_suffix(path, ".tsv") else ","
    )


def _csv(rows: Sequence[Mapping[str, str]], delimiter: str) -> str:
    stream = io.StringIO(newline="")
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(stream, names, restval="", delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
