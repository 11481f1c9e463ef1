"""The rows of a `for_each` file: read one by one, and told of in complaints without their values."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from runner.errors import MessagesError, Place, Problem
from runner.files import read_bounded
from runner.model import Direct, Message
from runner.render.partials import MAX_PARTIAL_BYTES
from runner.spec.datafile import DEFAULT_COLUMN
from runner.spec.specs import MessageSpec
from runner.spec.table import Row, load_rows
from runner.toloka.ids import ODD, ODD_HINT, odd_among
from runner.wording import shown

# A mistake in a template is in every row: of so many nobody counts further.
_MAX_BAD_ROWS = 5_000
_MAX_KINDS = 100
# Words of the template are in quotes, and numbers as they are.
_QUOTED_IN_ERRORS = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\d+(?:\.\d+)?""")
# How a template names a column.
_NAMED = re.compile(r"\brow(?:\.(\w+)|\[\s*['\"]([^'\"]+)['\"]\s*\])")


def values_of(
    spec: MessageSpec, path: Path, rows: deque[Row], problems: list[Problem]
) -> Iterator[Mapping[str, object]]:
    """Read rows for their values; where the file is wrong, its rows end and the problem is noted."""
    names = frozenset(one or other for one, other in _NAMED.findall(spec.file.source))
    needs = DEFAULT_COLUMN if DEFAULT_COLUMN in names else ""
    try:
        for row in load_rows(path, names, needs=needs):
            rows.append(row)
            yield row.values
    except MessagesError as error:
        problems += error.problems


class Complaints:
    """What is wrong with rows: what many have in common is told once, with the first of them.

    `files` keeps what the templates' files hold, by their paths.
    """

    def __init__(self, path: Path, files: dict[str, str]) -> None:
        self._path = path
        self._files = files
        self._found: dict[Problem, list[int]] = {}
        self.are_enough = False

    def add(self, row: Row, problems: Iterable[Problem]) -> None:
        """Note a row's problems, without its values."""
        for problem in problems:
            if problem.rule == "template":
                what = _without_values(problem.what, problem.where.path, self._files)
                problem = replace(problem, what=what)
            having = self._found.setdefault(problem, [])
            having.append(row.number)
            self.are_enough |= len(having) >= _MAX_BAD_ROWS or len(self._found) >= _MAX_KINDS

    def problems(self) -> Iterator[Problem]:
        """Say in which row each problem is, and in how many more."""
        for problem, rows in self._found.items():
            more = f" and {len(rows) - 1:,} more" if len(rows) > 1 else ""
            if len(rows) >= _MAX_BAD_ROWS:
                more = f" and at least {len(rows) - 1:,} more"
            where = f" (row {shown(self._path)}:{rows[0]}{more})"
            is_there = problem.where.path == shown(self._path)
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


def find_repeated(
    spec: MessageSpec, path: Path, row: Row, message: Message, seen: dict[str, int]
) -> Iterator[Problem]:
    """Complain of a Toloker who was in a row before; `seen` has the first row of each."""
    ids = message.recipients.ids if isinstance(message.recipients, Direct) else ()
    for toloker in ids:
        first = seen.setdefault(toloker, row.number)
        if first != row.number:
            name = shown(path)
            what = f"one Toloker is in two rows: {name}:{first} and {name}:{row.number}"
            yield Problem(
                spec.file.place(("recipients_ids",)), what, "a message reaches each Toloker once"
            )


def find_odd(spec: MessageSpec, path: Path, seen: Mapping[str, int]) -> Iterator[Problem]:
    """Complain of ids that are unlike those of nearly all the other rows."""
    ids = [*seen]
    for index in odd_among(ids) if "odd-id" not in spec.lint else ():
        yield Problem(Place(shown(path), seen[ids[index]]), ODD, ODD_HINT, "odd-id")
