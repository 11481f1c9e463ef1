"""The rows of a `for_each` file: read one by one, and told of in complaints without their values."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from runner.errors import MessagesError, Problem
from runner.files import read_bounded
from runner.model import Direct, Message
from runner.render.partials import MAX_PARTIAL_BYTES
from runner.spec.datafile import Row, load_rows
from runner.spec.specs import MessageSpec
from runner.wording import shown

# Words of the template are in quotes, and numbers as they are.
_QUOTED_IN_ERRORS = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\d+(?:\.\d+)?""")


def values_of(
    path: Path, rows: deque[Row], problems: list[Problem]
) -> Iterator[Mapping[str, object]]:
    """Read rows for their values; where the file is wrong, its rows end and the problem is noted."""
    try:
        for row in load_rows(path):
            rows.append(row)
            yield row.values
    except MessagesError as error:
        problems += error.problems


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
        first = seen.setdefault(toloker, row.number)
        if first != row.number:
            name = shown(path)
            what = f"one Toloker is in two rows: {name}:{first} and {name}:{row.number}"
            yield Problem(
                spec.file.place(("recipients_ids",)), what, "a message reaches each Toloker once"
            )
