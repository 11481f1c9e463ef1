"""Parser events to plain values by the core schema of YAML 1.2.2, bounded in size and depth.

PyYAML only tokenises here; its own constructors follow YAML 1.1 and keep the last of two equal
keys (https://yaml.org/spec/1.2.2/#103-core-schema).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

import yaml
from yaml.scanner import ScannerError

from runner.errors import MessagesError, Place, Pointer, Problem
from runner.spec.yamlsyntax import explain

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

Shape = Mapping[str, "Shape | bool"]
"""Which values are taken as the text that was written: `{"recipients_ids": True}`."""


class _Mark(Protocol):
    """What the parser says of a spot in the text; libyaml's marks are a type of their own."""

    index: int


_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_CONSTANTS: Mapping[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_KEY_HINT = "put text that starts with {{ in quotes; a key has no brackets and no `?`"
_NUMBER_STARTS = frozenset("0123456789+-.")
_MAX_DIGITS = 400


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
    shape: Shape | bool
    anchor: str | None
    nodes_before: int
    start: int
    key: str | None = None


class Builder:
    """Turns parser events into values without recursion, and counts what it makes."""

    def __init__(self, path: str, source: str, shape: Shape, *, keep_marks: bool) -> None:
        self.marks = Marks()
        self._path = path
        self._source = source
        self._shape = shape
        self._keep_marks = keep_marks
        self._problems: list[Problem] = []
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[object, int]] = {}
        self._nodes = 0
        self._aliased = 0
        self._last: yaml.Event | None = None
        self._root: object = None

    def build(self) -> object:
        """Build the document's value; raises `MessagesError` with every problem it can name."""
        documents = 0
        try:
            for event in yaml.parse(self._source, Loader=_Parser):
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        raise self._stop(
                            event, "a second document starts here", "one file holds one"
                        )
                else:
                    self._take(event)
        except yaml.MarkedYAMLError as error:
            raise self._seen_too_late() or self._syntax_error(error) from error
        except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
            raise MessagesError(
                [Problem(Place(self._path), "this is not YAML", rule="yaml")]
            ) from error
        if self._problems:
            raise MessagesError(self._problems)
        return self._root

    def _take(self, event: yaml.Event) -> None:
        self._last = event
        if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)):
            self._nodes += 1
            if self._nodes > MAX_NODES:
                raise self._stop(event, f"holds more than {MAX_NODES:,} values", "use a data file")
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent):
            self._open(event, {})
        elif isinstance(event, yaml.SequenceStartEvent):
            self._open(event, [])
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._close(event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        if event.style == '"' and not event.value.isascii():
            start, end = _index(event.start_mark), _index(event.end_mark)
            if half := _HALF.search(self._source, start, end):
                raise self._not_yaml(half.start(), start)
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.value, dict) and frame.key is None:
            self._key(frame, event)
            return
        plain = event.implicit[0]
        if event.tag is not None and event.tag not in ("!", "tag:yaml.org,2002:str"):
            self._complain(event, f"the tag {event.tag[:60]} is not used here", "remove it")
        text = event.value
        if plain and event.style in (None, "") and self._shape_here() is not True:
            value = self._resolved(event, text)
        else:
            value = text
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._put(event, value)

    def _resolved(self, event: yaml.ScalarEvent, text: str) -> object:
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if text[0] not in _NUMBER_STARTS:
            return text
        if _INT.fullmatch(text) and len(text) <= _MAX_DIGITS:
            return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if math.isfinite(number) and len(text) <= _MAX_DIGITS:
                return number
            self._complain(event, "this number is too large", "put text in quotes")
        elif _NOT_FINITE.fullmatch(text):
            self._complain(event, f"{text} is not a number that JSON knows", "put text in quotes")
        return text

    def _key(self, frame: _Frame, event: yaml.ScalarEvent) -> None:
        key = event.value
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
            raise self._stop(event, "a key must be plain text", _KEY_HINT)
        tag = getattr(event, "tag", None)
        if tag is not None and tag != "!":
            self._complain(event, f"the tag {tag[:60]} is not used here", "remove it")
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
                "put text that starts with * in quotes",
            )
        value, size = self._anchors[event.anchor]
        if self._shape_here() is True and not _is_text(value):
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

    def _shape_here(self) -> Shape | bool:
        if not self._stack:
            return self._shape
        frame = self._stack[-1]
        if isinstance(frame.shape, bool) or isinstance(frame.value, list):
            return frame.shape
        return frame.shape.get(frame.key or "", False)

    def _complain(self, event: yaml.Event, what: str, hint: str) -> None:
        self._problems.append(self._problem(event, what, hint))
        if len(self._problems) >= MAX_PROBLEMS:
            raise MessagesError(self._problems)

    def _problem(self, event: yaml.Event, what: str, hint: str) -> Problem:
        mark = event.start_mark
        where = Place(self._path, mark.line + 1, mark.column + 1) if mark else Place(self._path)
        return Problem(where, what, hint, rule="yaml")

    def _stop(self, event: yaml.Event, what: str, hint: str) -> MessagesError:
        return MessagesError([*self._problems, self._problem(event, what, hint)])

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
        return self._not_yaml(at, begun)

    def _not_yaml(self, at: int, begun: int) -> MessagesError:
        index, what, hint = explain(self._source, at, begun)
        before = self._source[:index].rpartition("\n")[2]
        where = Place(self._path, self._source.count("\n", 0, index) + 1, len(before) + 1)
        return MessagesError([*self._problems, Problem(where, what, hint, rule="yaml")])


def _index(mark: _Mark | None) -> int:
    return mark.index if mark else 0


def _is_text(value: object) -> bool:
    items = value if isinstance(value, list) else [value]
    return all(isinstance(item, str) for item in items)


def _quoted(text: str) -> str:
    return f'"{text[:60]}"'
