"""The rows of a `for_each` file: read one by one, and told of in complaints without their values."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from runner.errors import MessagesError, Place, Problem
from runner.files import read_bounded
from runner.model import Direct, Message
from runner.render.templates import MAX_PARTIAL_BYTES, Cells
from runner.spec.columns import CellError, Column, converted, is_empty, why_empty
from runner.spec.datafile import DEFAULT_COLUMN
from runner.spec.specs import MessageSpec
from runner.spec.table import Row, load_rows
from runner.toloka.ids import ODD, ODD_HINT, odd_among
from runner.wording import plain, shown

# Words of the template are in quotes, and numbers as they are.
_QUOTED_IN_ERRORS = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\d+(?:\.\d+)?""")
_MAX_BAD_CELLS = 20
# How a template names a column.
_NAMED = re.compile(r"\brow(?:\.(\w+)|\[\s*['\"]([^'\"]+)['\"]\s*\])")


def values_of(
    spec: MessageSpec, path: Path, rows: deque[Row], problems: list[Problem]
) -> Iterator[Cells]:
    """Read rows for their values; where the file is wrong, its rows end and the problem is noted."""
    names = {one or other for one, other in _NAMED.findall(spec.file.source)} | {*spec.columns}
    needs = {*spec.columns, *names & {DEFAULT_COLUMN}}
    try:
        for row in load_rows(path, names, needs=needs):
            cells = _cells_of(spec, path, row, problems)
            if len(problems) >= _MAX_BAD_CELLS:
                return
            if cells is not None:
                rows.append(row)
                yield cells
    except MessagesError as error:
        problems += error.problems


def _cells_of(spec: MessageSpec, path: Path, row: Row, problems: list[Problem]) -> Cells | None:
    """The values of a row, and why others have none; None if a cell is not what its column says."""
    values = dict(row.values)
    gaps: dict[str, str] = {}
    before = len(problems)
    for name, column in spec.columns.items():
        try:
            values[name] = _typed(values.get(name), column)
        except CellError as error:
            what = f"the cell of {plain(name)} is no {column.type}"
            problems.append(Problem(Place(shown(path), row.number), what, str(error)))
    for name, value in values.items():
        if name in spec.columns and value is None:
            gaps[name] = ""
        elif why := why_empty(value):
            gaps[name] = f"the cell of {plain(name)} {why}"
    return (values, gaps) if len(problems) == before else None


def _typed(value: object, column: Column) -> object:
    """The value of a cell; None where there is none and need not be one."""
    if not is_empty(value) or "" in column.no or "" in column.yes:
        return converted("" if value is None else value, column)
    if column.default is not None:
        return column.default
    if column.required:
        raise CellError("it is empty: fill it, or say `required: false` or a `default`")
    return None


def in_row(problem: Problem, path: Path, row: Row, files: dict[str, str]) -> Problem:
    """Say in which row a problem is. `files` keeps what the templates' files hold, by their paths."""
    if problem.where.path == shown(path):
        return problem
    what = problem.what
    if problem.rule == "template":
        what = _without_values(what, problem.where.path, files)
    return replace(problem, what=f"{what} (row {shown(path)}:{row.number})")


def _without_values(said: str, file: str, files: dict[str, str]) -> str:
    """Leave out of an error's words what is not in the template's own file: a row's values."""
    if file not in files:
        files[file] = ""
        with suppress(OSError, UnicodeDecodeError):
            files[file] = read_bounded(Path(file), MAX_PARTIAL_BYTES).decode("utf-8-sig")
    source = files[file]

    def shown(part: re.Match[str]) -> str:
        inner = part[0].strip("'\"")
        return part[0] if inner in source or not any(map(str.isalnum, inner)) else "…"

    return _QUOTED_IN_ERRORS.sub(shown, said)


def find_repeated(
    spec: MessageSpec, path: Path, row: Row, message: Message, seen: dict[str, int]
) -> Iterator[Problem]:
    """Complain of a Toloker who was in a row before; `seen` has the first row of each."""
    ids = message.recipients.ids if isinstance(message.recipients, Direct) else ()
    for toloker in ids:
        first = seen.setdefault(toloker.casefold(), row.number)
        if first != row.number:
            name = shown(path)
            what = f"one Toloker is in two rows: {name}:{first} and {name}:{row.number}"
            yield Problem(
                spec.file.place(("recipients_ids",)), what, "a message reaches each Toloker once"
            )


def find_faults_of_all(
    spec: MessageSpec, path: Path, seen: Mapping[str, int], *, is_empty: bool
) -> Iterator[Problem]:
    """Complain of no rows at all, and of ids that are unlike those of nearly all other rows."""
    if is_empty:
        where = spec.file.place(("for_each",))
        yield Problem(where, "the file has no rows", "add a row, or a `draft: true`")
    ids = [*seen]
    for index in odd_among(ids) if "odd-id" not in spec.lint else ():
        yield Problem(Place(shown(path), seen[ids[index]]), ODD, ODD_HINT, "odd-id")
