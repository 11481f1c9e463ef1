"""Lists of ids: one reader for recipients and for whom nobody may write to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from runner.errors import MessagesError, Place, Problem, Severity
from runner.spec.columns import why_empty
from runner.spec.datafile import DataError, guarded, has_suffix, lines_of
from runner.spec.table import load_rows
from runner.toloka.ids import ID_HINT, ODD, distinct, odd_among, sent_as, why_no_id
from runner.wording import shown

MAX_IDS = 1_000_000
_MAX_BAD_IDS = 20


def load_ids(
    path: Path,
    column: str,
    *,
    odd: Severity | None = "error",
    warn: Callable[[Problem], object] = lambda _: None,
) -> tuple[tuple[str, ...], int]:
    """Load ids as they are sent, each once: one a line, or one column of a table.

    Gives also how many were there before.

    `odd` says how bad an odd id is; `warn` takes what is no error. Raises `MessagesError`, at the
    lines of the data file.
    """
    reading = _Reading(path, column)
    guarded(path, reading.read)
    if odd:
        reading.find_odd(odd)
    if any(problem.severity == "error" for problem in reading.problems):
        raise MessagesError(reading.problems)
    for problem in reading.problems:
        warn(problem)
    ids = distinct(reading.ids)
    return ids, len(reading.ids) - len(ids)


@dataclass(slots=True)
class _Reading:
    """One list, on its way in."""

    path: Path
    column: str
    ids: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    as_is: set[int] = field(default_factory=set)
    """On which lines the author says that the id is right as it is."""
    problems: list[Problem] = field(default_factory=list)

    def read(self) -> None:
        for line, text in _entries(self.path, self.column):
            if len(self.ids) >= MAX_IDS:
                raise DataError(line, f"more than {MAX_IDS:,} ids", "split the message in two")
            self._take(line, text.strip())
            if len(self.problems) >= _MAX_BAD_IDS:
                return

    def _take(self, line: int, text: str) -> None:
        listed, sign, reason = text, "", ""
        if "#" in text:
            listed, sign, reason = (part.strip() for part in text.partition("#"))
        if why := why_no_id(listed, self.column) if listed or not sign else "":
            self._complain(line, f"this is not an id: {why}", ID_HINT)
        elif listed:
            self.ids.append(sent_as(listed))
            self.lines.append(line)
            if reason == "as is":
                self.as_is.add(line)
        elif why_empty(text):
            self._complain(line, "this is an error of a spreadsheet, and no id", "mend it there")
        elif not why_no_id(reason):
            # `#ID` may be an id that is taken out, and a spreadsheet's or a chat's way to write it.
            hint = "write more than one word, or remove the #"
            self._complain(line, "nobody knows whether this is a comment or an id", hint)

    def find_odd(self, severity: Severity) -> None:
        odd = [self.lines[index] for index in odd_among(self.ids)]
        hint = "mend it, or write `# as is` after it"
        for line in [line for line in odd if line not in self.as_is][:_MAX_BAD_IDS]:
            where = Place(shown(self.path), line)
            self.problems.append(Problem(where, ODD, hint, "odd-id", severity))

    def _complain(self, line: int, what: str, hint: str) -> None:
        self.problems.append(Problem(Place(shown(self.path), line), what, hint))


def _entries(path: Path, column: str) -> Iterator[tuple[int, str]]:
    if has_suffix(path, ".txt"):
        lines = enumerate(lines_of(path), start=1)
        return ((number, line) for number, line in lines if line.strip())
    rows = load_rows(path, frozenset({column}), needs=frozenset({column}))
    return ((row.number, str(row.values[column])) for row in rows)
