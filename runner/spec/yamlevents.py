"""Parser events to plain values by the core schema of YAML 1.2.2, bounded in size and depth.

PyYAML only tokenises here; its own constructors follow YAML 1.1 and keep the last of two equal
keys (https://yaml.org/spec/1.2.2/#103-core-schema).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal, Protocol

import yaml
from yaml.scanner import ScannerError

from runner.errors import MessagesError, Place, Pointer, Problem
from runner.spec.characters import PAIR, as_written, put_together, stranger_in, with_stand_ins
from runner.spec.coreschema import Written, core_value
from runner.spec.yamlsyntax import Cause, explain, find_directive, find_loss, hint_for_words

try:
    from yaml import CSafeLoader as _Parser
except ImportError:  # PyYAML was built without libyaml: slower, the same events.
    from yaml import SafeLoader as _Parser  # type: ignore[assignment]

MAX_DEPTH = 64
MAX_PROBLEMS = 200
_OPENING = re.compile(r"[\[{]")
# Half a character, as some parsers take it for one.
_HALF = re.compile(r"\\[uU](?:0000)?[dD][89a-fA-F]")
MAX_NODES = 250_000
# Aliases make a small file large: this is how many values they may add up to.
MAX_ALIASED_NODES = 10_000

Leaf = Literal["id", "words", "printed"]
Shape = Mapping[str, "Shape | Leaf"]
"""What values are: `{"recipients_ids": "id"}`.

An `id` is taken as the text that was written. Of `words`, which people read, no comment may cut
anything off; of what a template may have `printed`, none that looks like text.
"""


class _Mark(Protocol):
    """What the parser says of a spot in the text; libyaml's marks are a type of their own."""

    index: int


_KEY_HINT = "put text that starts with {{ in quotes; a key has no brackets and no `?`"


@dataclass(frozen=True, slots=True)
class Marks:
    """Where values (start and end) and keys stand, as indexes into the source."""

    values: dict[Pointer, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Pointer, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Frame:
    """A mapping or list that is still open."""

    value: dict[str, object] | list[object]
    pointer: Pointer
    shape: Shape | Leaf | None
    anchor: str | None
    nodes_before: int
    start: int
    key: str | None = None


class Builder:
    """Turns parser events into values without recursion, and counts what it makes."""

    def __init__(self, path: str, source: str, shape: Shape | Leaf, *, keep_marks: bool) -> None:
        self.marks = Marks()
        self._path = path
        self._source = source
        self._has_pairs = "\\u" in source and PAIR.search(source) is not None
        self._shape = shape
        self._keep_marks = keep_marks
        self._problems: list[Problem] = []
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[object, int]] = {}
        self._unused: dict[str, yaml.NodeEvent] = {}
        self._has_begun = False
        self._nodes = 0
        self._aliased = 0
        self._last: yaml.Event | None = None
        self._root: object = None

    def build(self) -> object:
        """Build the document's value; raises `MessagesError` with every problem it can name."""
        if directive := find_directive(self._source):
            raise self._because(directive)
        source = with_stand_ins(self._source) if self._has_pairs else self._source
        try:
            for event in yaml.parse(source, Loader=_Parser):
                self._take(event)
        except yaml.MarkedYAMLError as error:
            raise self._seen_too_late() or self._syntax_error(error) from error
        except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
            raise MessagesError(
                [Problem(Place(self._path), "this is not YAML", rule="yaml")]
            ) from error
        for event in self._unused.values():
            self._complain_of_anchor(event)
        if self._problems:
            raise MessagesError(self._problems)
        return self._root

    def _take(self, event: yaml.Event) -> None:
        self._last = event
        if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)):
            self._begin(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._close(event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            if self._has_begun:
                raise self._stop(event, "a second document starts here", "one file holds one")
            self._has_begun = True

    def _begin(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._stop(event, f"holds more than {MAX_NODES:,} values", "use a data file")
        if event.tag is not None or event.anchor is not None:
            self._properties(event)
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        else:
            self._open(event, {} if isinstance(event, yaml.MappingStartEvent) else [])

    def _properties(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        """Refuse a tag, and remember an anchor until something refers to it."""
        if event.tag is not None:
            what = f"the tag {event.tag[:60]} is not used here"
            self._complain(event, what, self._hint_for_words(event, "remove it"))
        if event.anchor is not None:
            if event.anchor in self._unused:
                self._complain_of_anchor(self._unused[event.anchor])
            self._unused[event.anchor] = event

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        text = event.value
        if self._has_pairs or (event.style == '"' and not text.isascii()):
            text = self._whole_characters(event)
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.value, dict) and frame.key is None:
            self._key(frame, event, text)
            return
        value: object = text
        shape = self._shape_here()
        if event.style in (None, "") and shape != "id":
            value, wrong = core_value(text)
            value = _as_written(value, text, shape)
            if wrong:
                self._complain(event, wrong, "put text in quotes")
        if event.style not in ("'", '"') and (cause := self._loss(event, value, shape)):
            self._note(*cause)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._put(event, value)

    def _loss(
        self, event: yaml.ScalarEvent, value: object, shape: Shape | Leaf | None
    ) -> Cause | None:
        start, end = _index(event.start_mark), _index(event.end_mark)
        is_printed = shape == "printed" and isinstance(value, str)
        return find_loss(self._source, start, end, words=shape == "words", printed=is_printed)

    def _whole_characters(self, event: yaml.ScalarEvent) -> str:
        """The text with each character that was escaped in two halves; half a one is an error."""
        start, end = _index(event.start_mark), _index(event.end_mark)
        written = self._source[start:end]
        has_pairs = PAIR.search(written) is not None
        if event.style != '"':
            return as_written(event.value) if has_pairs else event.value
        if half := _HALF.search(PAIR.sub(lambda pair: "_" * len(pair[0]), written)):
            raise self._because(explain(self._source, start + half.start(), start))
        return put_together(event.value) if has_pairs else event.value

    def _key(self, frame: _Frame, event: yaml.ScalarEvent, key: str) -> None:
        if stranger := stranger_in(key):
            self._complain(event, *stranger)
        if key == "<<" and event.style in (None, ""):
            self._complain(event, "merge keys (<<) are not part of YAML 1.2", "write the keys out")
        elif isinstance(frame.value, dict) and key in frame.value:
            self._complain(event, f"duplicate key {_quoted(key)}", "keep one of the two")
        frame.key = key
        if self._keep_marks:
            self.marks.keys.setdefault((*frame.pointer, key), _index(event.start_mark))

    def _open(self, event: yaml.NodeEvent, value: dict[str, object] | list[object]) -> None:
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.value, dict) and frame.key is None:
            hint = self._hint_for_words(event, _KEY_HINT)
            raise self._stop(event, "a key must be plain text", hint)
        if len(self._stack) >= MAX_DEPTH:
            raise self._stop(event, f"nested more than {MAX_DEPTH} levels deep", "flatten it")
        pointer = self._pointer_here() if self._keep_marks else ()
        shape = self._shape_here()
        start = _index(event.start_mark)
        self._stack.append(_Frame(value, pointer, shape, event.anchor, self._nodes, start))

    def _close(self, event: yaml.Event) -> None:
        frame = self._stack.pop()
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (frame.value, self._nodes - frame.nodes_before + 1)
        self._put(event, frame.value, start=frame.start)

    def _alias(self, event: yaml.AliasEvent) -> None:
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.value, dict) and frame.key is None:
            raise self._stop(event, "an alias cannot be a key", "write the key out")
        if event.anchor not in self._anchors:
            raise self._stop(
                event,
                f"the alias *{str(event.anchor)[:60]} names nothing that is complete above it",
                self._hint_for_words(event, "put text that starts with * in quotes"),
            )
        self._unused.pop(event.anchor, None)
        value, size = self._anchors[event.anchor]
        if self._shape_here() == "id" and not _is_text(value):
            # Where the anchor is, nothing says that 0123 is an id and not the number 123.
            self._complain(event, f"what *{event.anchor[:60]} names is not text", "quote it there")
        self._aliased += size
        self._nodes += size
        if self._aliased > MAX_ALIASED_NODES:
            raise self._stop(event, "aliases make this file too large", "write the values out")
        self._put(event, value)

    def _put(self, event: yaml.Event, value: object, start: int | None = None) -> None:
        if self._keep_marks:
            begin = _index(event.start_mark) if start is None else start
            self.marks.values.setdefault(self._pointer_here(), (begin, _index(event.end_mark)))
        if not self._stack:
            self._root = value
            return
        frame = self._stack[-1]
        if isinstance(frame.value, list):
            frame.value.append(value)
        elif frame.key is not None:
            frame.value[frame.key] = value
            frame.key = None

    def _pointer_here(self) -> Pointer:
        if not self._stack:
            return ()
        frame = self._stack[-1]
        if isinstance(frame.value, list):
            return (*frame.pointer, len(frame.value))
        return (*frame.pointer, frame.key or "")

    def _shape_here(self) -> Shape | Leaf | None:
        if not self._stack:
            return self._shape
        frame = self._stack[-1]
        if isinstance(frame.value, list) or not isinstance(frame.shape, Mapping):
            return frame.shape
        return frame.shape.get(frame.key or "")

    def _complain_of_anchor(self, event: yaml.NodeEvent) -> None:
        name = f"&{str(event.anchor)[:60]}"
        what = f"nothing refers to the anchor {name}"
        hint = f"remove {name}, or quote it if it is text"
        self._complain(event, what, self._hint_for_words(event, hint))

    def _hint_for_words(self, event: yaml.Event, hint: str) -> str:
        return hint_for_words(self._source, _index(event.start_mark)) or hint

    def _complain(self, event: yaml.Event, what: str, hint: str) -> None:
        self._note(_index(event.start_mark), what, hint)

    def _note(self, index: int, what: str, hint: str) -> None:
        self._problems.append(self._problem(index, what, hint))
        if len(self._problems) >= MAX_PROBLEMS:
            raise MessagesError(self._problems)

    def _problem(self, index: int, what: str, hint: str) -> Problem:
        start = self._source.rfind("\n", 0, index) + 1
        line = self._source.count("\n", 0, index) + 1
        return Problem(Place(self._path, line, index - start + 1), what, hint, rule="yaml")

    def _stop(self, event: yaml.Event, what: str, hint: str) -> MessagesError:
        return self._because((_index(event.start_mark), what, hint))

    def _because(self, cause: Cause) -> MessagesError:
        return MessagesError([*self._problems, self._problem(*cause)])

    def _seen_too_late(self) -> MessagesError | None:
        """Say what is wrong with deep nesting, where a parser gave up while it looked ahead.

        It may have a limit of its own, and reads far before it tells of anything. What it had not
        told of is read again, as far as our own limit reaches.
        """
        read_to = _index(self._last.end_mark) if self._last else 0
        found = islice(_OPENING.finditer(self._source, read_to), 2 * MAX_DEPTH)
        end = max((each.end() for each in found), default=0)
        if not 0 < end < len(self._source):
            return None
        again = Builder(self._path, self._source[:end], self._shape, keep_marks=False)
        try:
            again.build()
        except MessagesError as error:
            is_end = len(error.problems) > len(again._problems)
            return error if is_end and error.__cause__ is None else None
        return None

    def _syntax_error(self, error: yaml.MarkedYAMLError) -> MessagesError:
        at = begun = _index(error.problem_mark)
        if isinstance(error, ScannerError) and error.context_mark:
            begun = _index(error.context_mark)
        elif self._stack and self._source[self._stack[-1].start] in "[{":
            begun = self._stack[-1].start
        return self._because(explain(self._source, at, begun))


def _as_written(value: object, text: str, shape: Shape | Leaf | None) -> object:
    """Keep the digits of a number that a template may print; elsewhere `2.0` is 2."""
    if shape is None and isinstance(value, float) and value.is_integer():
        return int(value)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    is_odd = shape == "printed" and is_number and str(value) != text
    return Written(text, value) if is_odd else value


def _index(mark: _Mark | None) -> int:
    return mark.index if mark else 0


def _is_text(value: object) -> bool:
    items = value if isinstance(value, list) else [value]
    return all(isinstance(item, str) for item in items)


def _quoted(text: str) -> str:
    return f'"{text[:60]}"'
