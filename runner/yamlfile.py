"""YAML 1.2 text to plain values, and from any value back to its line and column.

The values are dict, list, str, int, float, bool and None, read by the core schema of YAML 1.2.2
(`runner.yamlevents`): `NO` and `yes` are text, `0x1F` is 31. Mapping keys are always text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from runner.errors import Fault, MessagesError, Place, Pointer, Problem
from runner.yamlevents import Builder, Marks, Shape

MAX_BYTES = 8 * 1024 * 1024
_NOT_ALLOWED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class YamlFile:
    """A parsed file: its values, and where each of them stands."""

    path: str
    source: str = field(repr=False)
    data: object
    text_shape: Shape = field(default_factory=dict, repr=False)

    @cached_property
    def _marks(self) -> Marks:
        # Positions are wanted only when there is something to complain about: a second pass then
        # is cheaper than remembering them for every good file.
        builder = Builder(self.path, self.source, self.text_shape, keep_marks=True)
        builder.build()
        return builder.marks

    def place(self, pointer: Pointer = (), *, at_key: bool = False, offset: int = 0) -> Place:
        """Find where the value at `pointer` stands, or its nearest parent that exists.

        `offset` counts characters inside a text value, folded and block scalars included.
        """
        while pointer and pointer not in self._marks.values:
            pointer, at_key, offset = pointer[:-1], False, 0
        if at_key and pointer in self._marks.keys:
            return self._place_at(self._marks.keys[pointer])
        span = self._marks.values.get(pointer)
        if span is None:
            return Place(self.path)
        start, end = span
        return self._place_at(self._inside(pointer, start, end, offset) if offset else start)

    def text_place(self, pointer: Pointer, offset: int) -> Place:
        """Like `place`, but the first character of a block scalar is on the line after its `|`."""
        span = self._marks.values.get(pointer)
        if span is None:
            return self.place(pointer)
        return self._place_at(self._inside(pointer, span[0], span[1], offset))

    def problem(self, fault: Fault) -> Problem:
        """Give a fault its address."""
        return Problem(self.place(fault.pointer, at_key=fault.at_key), fault.what, fault.hint)

    def _inside(self, pointer: Pointer, start: int, end: int, offset: int) -> int:
        value: object = self.data
        for step in pointer:
            value = value[step]  # type: ignore[index]  # the pointer was found in this very data
        if not isinstance(value, str):
            return start
        return _source_index(self.source, start, end, value, offset)

    def _place_at(self, index: int) -> Place:
        before = self.source[:index]
        line_start = before.rfind("\n") + 1
        return Place(self.path, before.count("\n") + 1, index - line_start + 1)


def read_yaml(path: Path, shown: str, text_shape: Shape | None = None) -> YamlFile:
    """Read one YAML document; raises `MessagesError` with every problem it can name.

    `shown` is the path that problems print.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise _one(Place(shown), f"cannot be read: {error.strerror}") from error
    if len(raw) > MAX_BYTES:
        raise _one(Place(shown), f"is larger than {MAX_BYTES // 1024**2} MiB", "split it up")
    return parse_yaml(_decoded(raw, shown), shown, text_shape)


def parse_yaml(source: str, shown: str, text_shape: Shape | None = None) -> YamlFile:
    """Parse YAML text; raises `MessagesError` with every problem it can name."""
    bad = _NOT_ALLOWED.search(source)
    if bad:
        where = YamlFile(shown, source, None)._place_at(bad.start())
        code = f"U+{ord(bad.group()):04X}"
        raise _one(where, f"the character {code} is not allowed in YAML", "remove it")
    shape = text_shape or {}
    builder = Builder(shown, source, shape, keep_marks=False)
    return YamlFile(shown, source, builder.build(), shape)


def _one(where: Place, what: str, hint: str = "") -> MessagesError:
    return MessagesError([Problem(where, what, hint, rule="yaml")])


def _decoded(raw: bytes, shown: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        good = raw[: error.start].decode("utf-8-sig", errors="ignore")
        where = YamlFile(shown, good, None)._place_at(len(good))
        raise _one(where, "this is not UTF-8", "save the file as UTF-8") from error


def _source_index(source: str, start: int, end: int, value: str, offset: int) -> int:
    """Map a character of a parsed text to its index in the source.

    Folding and indentation change white space only, so each source line, stripped, stands in the
    value in order. Where escapes hide a line, the nearest one before it answers.
    """
    best, cursor, index = start, 0, start
    is_block = source[start : start + 1] in ("|", ">")
    for number, line in enumerate(source[start:end].split("\n")):
        if number == 0 and is_block:
            index += len(line) + 1
            continue
        text = line.strip().strip("\"'") if not is_block else line.strip()
        found = value.find(text, cursor) if text else -1
        if found >= 0:
            if found > offset:
                break
            best = index + line.index(text) + min(offset - found, len(text))
            cursor = found + len(text)
        index += len(line) + 1
    return best
