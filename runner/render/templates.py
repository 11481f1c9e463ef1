"""Templates as the rest of the runner sees them: rendered in a process of their own.

Jinja2's sandbox keeps a template from Python's insides; it does not keep it from computing
without end. So templates are rendered by one child process (`runner.render.process`), which
has limits, a deadline, no secrets, and only what is written to it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from runner.errors import Place, Pointer, Problem
from runner.render.child import Child, Ended
from runner.render.partials import read_partial
from runner.render.rendered import Refused, Rendered, Told, named_way
from runner.spec.coreschema import Written
from runner.spec.yamlfile import YamlFile
from runner.wording import shown

MARKER = re.compile(r"\{[{%#]")
"""What makes a text a template; one that holds none is its own rendering."""

_FOR_PEOPLE = re.compile(r"\|\s*(?:number|money|percent|date|datetime|listed|plural)\b")
_MAX_CHUNK_ROWS = 256
_MAX_CHUNK_CHARACTERS = 1024 * 1024
# Rendered texts stay in memory until they are sent. So many bytes are two languages of a thousand
# characters for each of 100,000 rows.
MAX_SIZE = 256 * 1024 * 1024
# The variables of a message, as JSON: they are sent along with some rows each time.
_MAX_VALUES = 1_000_000
_MAX_STOPPED = 3
# Of one message; finding out what was meant takes time.
_MAX_REFUSED = 100


class _NeedsLocale(Exception):
    """The child process has not read the words of a language that a template wants."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self.language = language


Kind = Literal["text", "value", "list", "when"]

Cells = tuple[Mapping[str, object], Mapping[str, str]]
"""A row's values by column, and of those that cannot be printed why; nothing for one that is missing."""


@dataclass(frozen=True, slots=True)
class Source:
    """A template and where it is written; what a lone expression in it may give."""

    file: YamlFile
    pointer: Pointer
    text: str
    kind: Kind = "text"
    lead: int = 0
    """So many characters of the template are ours, and stand in no file."""

    @property
    def language_or_kind(self) -> str:
        """The language of a text; else what the template gives."""
        return str(self.pointer[-1]) if self.kind == "text" else self.kind

    def place(self, offset: int = 0) -> Place:
        """Find the place of a character of the template."""
        return self.file.text_place(self.pointer, max(offset - self.lead, 0))

    def line_place(self, line: int, wanted: str | None = None) -> Place:
        """Find where a template line starts to matter: at `wanted`, else at its first marker."""
        lines = self.text.split("\n")
        line = min(max(line, 1), len(lines))
        start = sum(len(earlier) + 1 for earlier in lines[: line - 1])
        return self.place(start + _column(lines[line - 1], wanted))


class Templates(AbstractContextManager["Templates"]):
    """Renders templates in a child process, which is started when it is first wanted.

    `partials` is the folder that includes come from, None for no includes; `shared` are the
    values that all templates see. Use it in a `with`, or close it.
    """

    def __init__(self, partials: Path | None, shared: Mapping[str, object]) -> None:
        self._partials = partials
        self._shared = _encoded(dict(shared)).encode() + b"\n"
        self._languages: set[str] = set()
        # Those whose words for numbers and dates the child process has read.
        self.worded: frozenset[str] = frozenset()
        self._child: Child | None = None
        self.size = 0
        """How many bytes of texts and values were made."""
        self._stopped = 0
        self._ways: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._given_up: Refused | None = None

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child process; doing it again is safe."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def expect(self, texts: Iterable[str], languages: Iterable[str]) -> None:
        """Get ready for a message in these languages; it need not come."""
        self._languages.update(languages)
        if not any(map(_FOR_PEOPLE.search, texts)):
            if not self.worded:
                self.start()
        elif not self._languages <= self.worded:
            # Which languages' words are wanted is known once all messages are.
            self.worded = frozenset(self._languages)
            self.close()

    def start(self) -> None:
        """Start the child process: it gets ready while something else is done."""
        if self._child is None:
            self.worded = frozenset(self._languages) if self.worded else self.worded
            self._child = Child(self._shared, sorted(self.worded))

    def render(
        self,
        sources: Sequence[Source],
        values: Mapping[str, object],
        rows: Iterable[Cells | None],
    ) -> Iterator[Rendered]:
        """Render templates with `values` that beat the shared ones, for each row, which is `row`.

        A row whose `when` is false has nothing else.

        Gives the rows' results in order. One with a final refusal is the last, and not complete.
        """
        encoded = _encoded(dict(values))
        for chunk in _chunks(rows):
            if len(encoded) > _MAX_VALUES:
                what = f"`variables` holds more than {_MAX_VALUES:,} characters"
                where = sources[0].file.place(("variables",))
                problem = _limit(where, what, "give long lists in a data file")
                yield {sources[0].pointer: Refused([problem], is_final=True)}
                return
            is_over = yield from self._render_chunk(sources, encoded, chunk)
            if is_over:
                return

    def _render_chunk(
        self, sources: Sequence[Source], values: str, rows: Sequence[str]
    ) -> Generator[Rendered, None, bool]:
        """Render some rows in one exchange; gives whether these were the last."""
        if self._given_up is not None:
            yield {sources[0].pointer: self._given_up}
            return True
        is_complete = False
        try:
            for rendered in self._exchange(sources, values, rows):
                yield rendered
                if _has_final(rendered):
                    return True
            is_complete = True
        finally:
            # Answers that nobody has read would be taken for those to the next request.
            if not is_complete:
                self.close()
        return False

    def _exchange(
        self, sources: Sequence[Source], values: str, rows: Sequence[str]
    ) -> Iterator[Rendered]:
        self.start()
        self._ask(sources, values, rows)
        for number in range(len(rows)):
            try:
                rendered = dict(self._row(sources))
            except _NeedsLocale as needs:
                # It may not open a file any more: another one reads the words before it begins.
                self.close()
                self._languages.add(needs.language)
                self.worded = frozenset(self._languages)
                yield from self._exchange(sources, values, rows[number:])
                return
            yield rendered

    def _ask(self, sources: Sequence[Source], values: str, rows: Sequence[str]) -> None:
        templates = json.dumps([[source.text, source.language_or_kind] for source in sources])
        request = f'{{"values":{values},"templates":{templates},"rows":[{",".join(rows)}]}}\n'
        self._live_child.write(request.encode())

    @property
    def _live_child(self) -> Child:
        if self._child is None:
            raise RuntimeError("the template process is not running")
        return self._child

    def _row(self, sources: Sequence[Source]) -> Iterator[tuple[Pointer, object]]:
        refused = 0
        for source in sources:
            answer = self._answer(source)
            if isinstance(answer, Refused):
                refused += 1
                if answer.is_final:
                    self._count_stopped(answer)
                elif refused >= _MAX_REFUSED:
                    answer = Refused(answer.problems, is_final=True)
            yield source.pointer, answer
            if source.kind == "when" and answer is False:
                return
            if isinstance(answer, Refused) and answer.is_final:
                return

    def _count_stopped(self, refused: Refused) -> None:
        self._stopped += 1
        if self._stopped >= _MAX_STOPPED:
            where = refused.problems[0].where
            what = "template: after this one, no more templates were rendered"
            hint = f"{_MAX_STOPPED} had to be stopped: mend them first"
            self._given_up = Refused([_limit(where, what, hint)], is_final=True)

    def _answer(self, source: Source) -> object:
        """The text or value of a template, or the `Refused` that says why there is none."""
        try:
            answer = json.loads(self._answer_line().decode("utf-8", "surrogatepass"))
        except (Ended, ValueError):
            what = f"template: {self._live_child.why_ended()}"
            hint = "a template fills in words: compute elsewhere"
            return Refused([_limit(source.line_place(1), what, hint)], is_final=True)
        if "locale" in answer:
            raise _NeedsLocale(answer["locale"])
        if "value" not in answer:
            return _refused(source, self._partials, answer["faults"])
        value = answer["value"]
        if "branches" in answer:
            language, branches = source.language_or_kind, map(tuple, answer["branches"])
            ways = tuple(named_way(source.text, language, each) for each in branches)
            # Very many rows have few ways.
            ways = self._ways.setdefault(ways, ways)
            value = Told(value, answer["braces_from"], ways)
        return self._within_reason(source, value)

    def _within_reason(self, source: Source, value: object) -> object:
        """Give the value, unless all of them together take too much memory."""
        self.size += sys.getsizeof(value)
        if isinstance(value, list):
            self.size += sum(map(sys.getsizeof, value))
        if self.size <= MAX_SIZE:
            return value
        what = f"template: the texts up to this one take more than {MAX_SIZE // 1024**2} MiB"
        hint = "make them shorter, or split the rows and name some of the files for each run"
        refused = Refused([_limit(source.line_place(1), what, hint)], is_final=True)
        self._given_up = refused
        return refused

    def _answer_line(self) -> bytes:
        """The next line that is an answer; the child may ask for partials before."""
        child = self._live_child
        line = child.read()
        while line.startswith(b'{"partial":'):
            child.write(
                json.dumps(read_partial(self._partials, json.loads(line)["partial"])).encode()
                + b"\n"
            )
            line = child.read()
        return line


def _encoded(value: object) -> str:
    return json.dumps(value, default=_as_json)


def _as_json(value: object) -> object:
    """Give what JSON does not know: a number as it was written, a date by ISO 8601."""
    if isinstance(value, Decimal):
        plain = format(value, "f")
        return {"\0number": [plain, value.text if isinstance(value, Written) else plain]}
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def _chunks(rows: Iterable[Cells | None]) -> Iterator[list[str]]:
    """Encode rows, some at a time: neither process shall hold many."""
    chunk: list[str] = []
    size = 0
    for row in rows:
        chunk.append(_encoded(row))
        size += len(chunk[-1])
        if len(chunk) >= _MAX_CHUNK_ROWS or size >= _MAX_CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _has_final(rendered: Rendered) -> bool:
    return any(isinstance(each, Refused) and each.is_final for each in rendered.values())


def _refused(source: Source, partials: Path | None, faults: Iterable[Sequence[Any]]) -> Refused:
    """Give faults their addresses: each is what `runner.render.mistakes.Mistake` has, as JSON."""
    problems = []
    is_final = False
    for what, hint, partial, line, wanted, rule in faults:
        if partial is not None and partials is not None:
            where = Place(shown(partials / partial), line)
        else:
            where = source.line_place(line, wanted)
        problems.append(Problem(where, what, hint, rule))
        is_final = is_final or rule == "limit"
    return Refused(problems, is_final=is_final)


def _limit(where: Place, what: str, hint: str) -> Problem:
    return Problem(where, what, hint, "limit")


def _column(line: str, wanted: str | None) -> int:
    named = re.search(rf"\b{re.escape(wanted)}\b", line) if wanted else None
    marker = MARKER.search(line)
    column = named.start() if named else marker.start() if marker else 0
    return column or len(line) - len(line.lstrip())
