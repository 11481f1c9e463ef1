"""The rows of a `for_each` file: read one by one, and told of in complaints without their values."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from runner.errors import MessagesError, Problem, Severity
from runner.files import read_bounded
from runner.model import Direct, InThread, Message, compared_as
from runner.render.partials import MAX_PARTIAL_BYTES
from runner.render.templates import Cells
from runner.spec.columns import (
    CellError,
    Column,
    about_column,
    columns_named,
    converted,
    is_empty,
    why_empty,
)
from runner.spec.datafile import DEFAULT_COLUMN
from runner.spec.given import Table, name_of, place_in, row_name
from runner.spec.specs import MessageSpec
from runner.spec.table import Row, load_rows
from runner.toloka.ids import ODD, ODD_HINT, odd_among
from runner.wording import plain, plural

# A mistake in a template is in every row: of so many nobody counts further.
_MAX_BAD_ROWS = 2_500
_MAX_KINDS = 100
# Words of the template are in quotes, and numbers as they are.
_QUOTED_IN_ERRORS = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\d+(?:\.\d+)?""")
# Of bad cells of one kind so many are shown, and the others counted.
_SHOWN_CELLS = 5
# Of all rows of a message together.
MAX_CHARACTERS = 200_000_000
_MAX_PEOPLE = 500_000
_OFFER = 'for several letters to one, say what tells them apart: key: "{{ row.assignment }}"'
_FILLED_IN = re.compile(r"\{[{#].*?[}#]\}", re.DOTALL)


def values_of(
    spec: MessageSpec,
    table: Table,
    rows: deque[Row],
    complaints: Complaints,
    passed: Counter[str],
) -> Iterator[Cells]:
    """Read rows for their values; where the file is wrong, its rows end and the problem is noted.

    `passed` counts what is empty throughout.
    """
    names = columns_named(spec.file.source) | {*spec.columns}
    if spec.reply_to is not None:
        # It finds the thread.
        names.add(DEFAULT_COLUMN)
    needs = {*spec.columns, *names & {DEFAULT_COLUMN}}
    try:
        for row in load_rows(table, names, needs=needs, passed=passed):
            cells = _cells_of(spec, table, row, complaints)
            if cells is not None:
                rows.append(row)
                yield cells
    except MessagesError as error:
        complaints.of_cells += error.problems


def _cells_of(spec: MessageSpec, table: Table, row: Row, complaints: Complaints) -> Cells | None:
    """The values of a row, and why others have none; None if a cell is not what its column says."""
    values = dict(row.values)
    gaps: dict[str, str] = {}
    is_whole = True
    for name, column in spec.columns.items():
        try:
            values[name] = _typed(values.get(name), column)
        except CellError as error:
            what = f"the cell of {plain(name)} is no {column.type}"
            hint = about_column(str(error), name)
            complaints.add_cell(Problem(place_in(table, row.number, name), what, hint))
            is_whole = False
    for name, value in values.items():
        if name in spec.columns and value is None:
            gaps[name] = ""
        elif (why := why_empty(value)) and not (value == "" and name in spec.columns):
            # An empty default is meant.
            gaps[name] = f"the cell of {plain(name)} {why}"
    return (values, gaps) if is_whole else None


def _typed(value: object, column: Column) -> object:
    """The value of a cell; None where there is none and need not be one."""
    if not is_empty(value) or "" in column.no or "" in column.yes:
        return converted("" if value is None else value, column)
    if column.default is not None:
        return column.default
    if column.required:
        raise CellError("it is empty: fill it, or say `required: false` or a `default`")
    return None


def least_characters(spec: MessageSpec) -> int:
    """How many characters a row has at least, whatever is filled in; 0 where a tag may choose."""
    texts = (*spec.topic.values(), *spec.text.values())
    if any("{%" in text for text in texts):
        return 0
    return sum(len(_FILLED_IN.sub("", text)) for text in texts)


@dataclass(slots=True)
class Total:
    """What all rows of a message come to, so far."""

    characters: int = 0
    people: int = 0

    def add(self, message: Message) -> None:
        """Count the letter of one more row."""
        self.characters += sum(map(len, (*message.topic.values(), *message.text.values())))
        self.people += len(message.recipients.ids) if isinstance(message.recipients, Direct) else 0

    def too_much(self, row: int) -> str:
        """Say what is more than one message may have; nothing if all is well."""
        if self.characters > MAX_CHARACTERS:
            return f"the texts up to row {row:,} have more than {MAX_CHARACTERS:,} characters"
        if self.people > _MAX_PEOPLE:
            return f"the rows up to {row:,} have more than {_MAX_PEOPLE:,} recipients"
        return ""


class Complaints:
    """What is wrong with rows: what many have in common is told once, with the first of them.

    `files` keeps what the templates' files hold, by their paths, the message's own first.
    """

    def __init__(self, table: Table, files: dict[str, str]) -> None:
        self._table = table
        self._files = files
        self._own = next(iter(files))
        self._found: dict[Problem, list[int]] = {}
        self._cells: Counter[tuple[str, str]] = Counter()
        self.of_cells: list[Problem] = []
        self.are_enough = False

    def add_cell(self, problem: Problem) -> None:
        """Note a cell that is not what its column says."""
        self._cells[problem.what, problem.hint] += 1
        if self._cells[problem.what, problem.hint] <= _SHOWN_CELLS:
            self.of_cells.append(problem)

    def add(self, row: Row, problems: Iterable[Problem]) -> None:
        """Note a row's problems, without its values."""
        for problem in problems:
            if problem.rule == "template":
                # Without lines it is an address in a message that has no file.
                path = problem.where.path if problem.where.line else self._own
                what = _without_values(problem.what, path, self._files)
                problem = replace(problem, what=what)
            having = self._found.setdefault(problem, [])
            having.append(row.number)
            self.are_enough |= len(having) >= _MAX_BAD_ROWS or len(self._found) >= _MAX_KINDS

    def problems(self) -> Iterator[Problem]:
        """Say in which row each problem is, and in how many more."""
        last = {(each.what, each.hint): each for each in self.of_cells}
        for problem in self.of_cells:
            rest = self._cells[key := (problem.what, problem.hint)] - _SHOWN_CELLS
            more = (
                f", and so in {plural(rest, 'more row')}"
                if rest > 0 and problem is last[key]
                else ""
            )
            yield replace(problem, what=f"{problem.what}{more}")
        for problem, rows in self._found.items():
            more = f" and {len(rows) - 1:,} more" if len(rows) > 1 else ""
            if len(rows) >= _MAX_BAD_ROWS:
                more = f" and at least {len(rows) - 1:,} more"
            where = f" (row {row_name(self._table, rows[0])}{more})"
            is_there = problem.where.path == place_in(self._table, rows[0]).path
            yield problem if is_there else replace(problem, what=f"{problem.what}{where}")


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


Seen = dict[tuple[str, str | None], int]
"""The first row of each Toloker, by the key of the row or the digest of its words."""


def find_repeated(
    spec: MessageSpec, table: Table, row: Row, message: Message, seen: Seen
) -> Iterator[Problem]:
    """Complain of a Toloker, or a thread, that had such a row before."""
    if message.action == "reply":
        yield from _find_second_reply(spec, table, row, message, seen)
    ids = message.recipients.ids if isinstance(message.recipients, Direct) else ()
    for toloker in map(compared_as, ids):
        first = seen.setdefault((toloker, message.key and compared_as(message.key)), row.number)
        what, hint = "one Toloker is in two rows", _OFFER
        if message.key is not None:
            what, hint = "one Toloker is in two rows with one key", "each needs a key of its own"
            if first == row.number:
                first = seen.setdefault((toloker, message.digest), row.number)
                what = "one Toloker gets the same words by two rows"
                hint = "no list could tell them apart: say in each what it is about"
        if first != row.number:
            places = f"{row_name(table, first)} and {row_name(table, row.number)}"
            yield Problem(spec.file.place(("recipients_ids",)), f"{what}: {places}", hint)


def _find_second_reply(
    spec: MessageSpec, table: Table, row: Row, message: Message, seen: Seen
) -> Iterator[Problem]:
    pointer, what, whose = "for_each", "Toloker", compared_as(message.key or "")
    if isinstance(message.recipients, InThread):
        pointer, what, whose = "thread_id", "thread", message.recipients.thread_id
    first = seen.setdefault((whose, None), row.number)
    if first != row.number:
        places = f"{row_name(table, first)} and {row_name(table, row.number)}"
        where = spec.file.place((pointer,))
        yield Problem(where, f"one {what} is in two rows: {places}", "say all of it in one row")


def find_faults_of_all(
    spec: MessageSpec, table: Table, seen: Seen, *, is_empty: bool, odd: Severity | None
) -> Iterator[Problem]:
    """Complain of no rows at all, and of ids that are unlike those of nearly all other rows."""
    if is_empty:
        where = spec.file.place(("for_each",))
        yield Problem(where, "the file has no rows", "add a row, or a `draft: true`")
    first = {toloker: row for (toloker, _), row in reversed(seen.items())}
    ids = [*first]
    for index in odd_among(ids) if odd else ():
        where = place_in(table, first[ids[index]])
        yield Problem(where, ODD, ODD_HINT, "odd-id", odd or "error")


def told_of(table: Table, passed: Counter[str], left_out: int) -> Iterator[str]:
    """Say what of a file makes no message, though nothing is wrong with it."""
    empty = [plural(count, f"empty {what}") for what, count in passed.items() if count]
    if empty:
        yield f"{name_of(table)}: {' and '.join(empty)} passed over"
    if left_out:
        yield f"{name_of(table)}: `when` leaves out {plural(left_out, 'row')}"
