"""`MessageSpec` to `Message`s: leaf strings are rendered, and what they make is checked again."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from runner.errors import MessagesError, Problem, Severity
from runner.model import Message
from runner.render.leaves import find_templates
from runner.render.lint import Level, level_of
from runner.render.partials import PARTIALS_NAME, conflicts_in_partials, find_conflicts_in_partials
from runner.render.rendered import Rendered
from runner.render.rendering import Rendering
from runner.render.rows import (
    MAX_CHARACTERS,
    Complaints,
    Seen,
    Total,
    find_faults_of_all,
    find_repeated,
    least_characters,
    told_of,
    values_of,
)
from runner.render.templates import MARKER, Cells, Source, Templates
from runner.render.variables import typed_variables
from runner.spec.given import Table
from runner.spec.specs import MessageSpec
from runner.spec.table import MAX_ROWS, Row, load_rows
from runner.wording import plural, shown

# Each costs a look through its template's file.
_MAX_PROBLEMS = 100
# Of all rows of a message together.
_MAX_TEXTS = 2_000_000


class Renderer(AbstractContextManager["Renderer"]):
    """Renders specs; what there is for templates is made when the first one is there.

    `below` are the variables that a spec's own ones beat, `above` those that beat them, and
    `assigned` is text that beats all, and takes the type of what it beats. `levels` say how
    strict house rules are. What is to be told beside is gathered in `warnings`, and by message id
    in `notes`.
    """

    def __init__(
        self,
        messages_root: Path | None,
        *,
        below: Mapping[str, object] | None = None,
        above: Mapping[str, object] | None = None,
        assigned: Mapping[str, str] | None = None,
        levels: Mapping[str, Level] | None = None,
    ) -> None:
        self._partials = messages_root / PARTIALS_NAME if messages_root else None
        self._above = above or {}
        self._assigned = assigned or {}
        self._shared = {**(below or {}), **self._above}
        self._templates: Templates | None = None
        self._odd_ids = level_of("odd-id", levels or {})
        self._notes: defaultdict[str, list[str]] = defaultdict(list)
        level = level_of("conflict-marker", levels or {})
        self._warnings = [*find_conflicts_in_partials(self._partials, level)] if level else []
        self.conflicts = conflicts_in_partials(self._partials) if self._warnings else frozenset()

    def __exit__(self, *exception: object) -> None:
        if self._templates is not None:
            self._templates.close()

    @property
    def babel(self) -> str | None:
        """The version of Babel, where it words something."""
        if self._templates is None or not self._templates.worded:
            return None
        # Here, because every run would wait for it, and few need it.
        from importlib.metadata import version

        return version("babel")

    @property
    def size(self) -> int:
        """How many bytes templates have made."""
        return self._templates.size if self._templates is not None else 0

    def told(self) -> tuple[tuple[Problem, ...], Mapping[str, Sequence[str]]]:
        """Give what is to be told beside of what was rendered since: warnings, notes by message id."""
        warnings, notes = tuple(self._warnings), dict(self._notes)
        self._warnings.clear()
        self._notes.clear()
        return warnings, notes

    def expect(self, spec: MessageSpec) -> None:
        """Get ready for a spec that will be rendered; it need not be."""
        if MARKER.search(spec.file.source):
            self._started().expect(spec.text.values(), spec.text)

    def render(self, spec: MessageSpec) -> tuple[Message, ...]:
        """Render one spec, each row of its `for_each`; raises `MessagesError` with everything."""
        # A backslash may stand for a brace.
        has_templates = MARKER.search(spec.file.source) or "\\" in spec.file.source
        sources = find_templates(spec) if has_templates or spec.for_each else ()
        if spec.for_each is not None:
            return tuple(self._rows(spec, sources, spec.for_each))
        (rendered,) = self._rendered(spec, sources, [None]) if sources else ({},)
        rendering = self._rendering(spec, rendered)
        message = rendering.message()
        if rendering.repeated:
            repeated = plural(rendering.repeated, "repeated id")
            where = f"{shown(spec.recipients_file)}: " if spec.recipients_file else ""
            self._notes[spec.id].append(f"{where}{repeated} passed over")
        return (message,)

    def _rendering(
        self, spec: MessageSpec, rendered: Rendered, row: Row | None = None
    ) -> Rendering:
        return Rendering(spec, rendered, self._odd(spec), self._warnings.append, row)

    def _odd(self, spec: MessageSpec) -> Severity | None:
        return None if "odd-id" in spec.lint else self._odd_ids

    def _check_size(self, spec: MessageSpec, sources: Sequence[Source], table: Table) -> None:
        """Refuse more texts than anybody means before the first of them is made."""
        least = 0 if spec.when or spec.languages else least_characters(spec)
        if len(sources) * MAX_ROWS <= _MAX_TEXTS and least * MAX_ROWS <= MAX_CHARACTERS:
            return
        rows = 0
        with suppress(MessagesError):  # It is told when the rows are read.
            rows = sum(1 for _ in load_rows(table))
        if rows * len(sources) > _MAX_TEXTS:
            what = f"{len(sources)} templates for {rows:,} rows make more than {_MAX_TEXTS:,} texts"
            raise MessagesError([_too_much(spec, what)])
        if rows * least > MAX_CHARACTERS:
            what = f"texts of {least:,} characters for {rows:,} rows"
            raise MessagesError([_too_much(spec, f"{what} have more than {MAX_CHARACTERS:,}")])

    def _started(self) -> Templates:
        if self._templates is None:
            self._templates = Templates(self._partials, self._shared)
        return self._templates

    def _rendered(
        self,
        spec: MessageSpec,
        sources: Sequence[Source],
        rows: Iterable[Cells | None],
    ) -> Iterator[Rendered]:
        if not sources:
            return ({} for _ in rows)
        values = {key: each for key, each in spec.variables.items() if key not in self._above}
        values |= typed_variables(spec, self._assigned, {**self._shared, **values})
        return self._started().render(sources, values, rows)

    def _rows(
        self, spec: MessageSpec, sources: Sequence[Source], table: Table
    ) -> Iterator[Message]:
        self._check_size(spec, sources, table)
        problems: list[Problem] = []
        complaints = Complaints(table, {spec.file.path: spec.file.source})
        passed: Counter[str] = Counter()
        left_out, total = 0, Total()
        seen: Seen = {}
        # The rows that were read and are not rendered yet.
        rows: deque[Row] = deque()
        for rendered in self._rendered(
            spec, sources, values_of(spec, table, rows, complaints, passed)
        ):
            row = rows.popleft()
            if rendered.get(("when",)) is False:
                left_out += 1
                continue
            try:
                message = self._rendering(spec, rendered, row).message()
            except MessagesError as error:
                complaints.add(row, error.problems)
            else:
                problems += find_repeated(spec, table, row, message, seen)
                total.add(message)
                yield message
            if too_much := total.too_much(row.number):
                problems.append(_too_much(spec, too_much))
                break
            if complaints.are_enough or len(problems) >= _MAX_PROBLEMS:
                break
        problems += complaints.problems()
        is_empty = not (seen or problems or left_out)
        problems += find_faults_of_all(spec, table, seen, is_empty=is_empty, odd=self._odd(spec))
        if any(problem.severity == "error" for problem in problems):
            raise MessagesError(problems)
        self._warnings += problems
        self._notes[spec.id] += told_of(table, passed, left_out)


def _too_much(spec: MessageSpec, what: str) -> Problem:
    where = spec.file.place(("for_each",))
    return Problem(where, what, "make them fewer or shorter, or split the rows", "limit")
