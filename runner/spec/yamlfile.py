"""YAML 1.2 text to plain values, and from any value back to its line and column.

The values are dict, list, str, int, float, bool and None, read by the core schema of YAML 1.2.2
(`runner.spec.yamlevents`): `NO` and `yes` are text, `0x1F` is 31. Mapping keys are always text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, islice
from pathlib import Path

from runner.errors import Fault, MessagesError, Place, Pointer, Problem
from runner.files import TooLargeError, read_bounded
from runner.spec.characters import UNFIT, why_unfit
from runner.spec.yamlevents import Builder, Leaf, Marks, Shape

MAX_BYTES = 8 * 1024 * 1024
# A place costs no more than this, whatever the file holds: nobody's message has so many lines, and
# what escapes hide is not looked for any further.
_MAX_LINES = 5_000
_MAX_SEARCHED = 1_000_000
_NEAR = 1_000
_BLOCK = 65_536


@dataclass(frozen=True)
class YamlFile:
    """A parsed file: its values, and where each of them stands."""

    path: str
    source: str = field(repr=False)
    data: object
    text_shape: Shape | Leaf = field(default_factory=dict, repr=False)

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
        line_start = self.source.rfind("\n", 0, index) + 1
        block = index // _BLOCK
        above = self._lines_above[block] + self.source.count("\n", block * _BLOCK, index)
        return Place(self.path, above + 1, index - line_start + 1)

    @cached_property
    def _lines_above(self) -> list[int]:
        # How many line ends stand above each block: a list of all lines would take too much room.
        starts = range(0, len(self.source) + 1, _BLOCK)
        counts = (self.source.count("\n", start, start + _BLOCK) for start in starts)
        return [0, *accumulate(counts)]


def read_yaml(path: Path, shown: str, text_shape: Shape | Leaf | None = None) -> YamlFile:
    """Read one YAML document; raises `MessagesError` with every problem it can name.

    `shown` is the path that problems print.
    """
    try:
        return parse_yaml(read_bounded(path, MAX_BYTES).decode("utf-8-sig"), shown, text_shape)
    except UnicodeDecodeError as error:
        good = error.object[: error.start].decode("utf-8-sig", errors="ignore")
        where = YamlFile(shown, good, None)._place_at(len(good))
        raise _one(where, "this is not UTF-8", "save the file as UTF-8") from error
    except TooLargeError as error:
        what = f"is larger than {MAX_BYTES // 1024**2} MiB"
        raise _one(Place(shown), what, "split it up") from error
    except OSError as error:
        raise _one(Place(shown), f"cannot be read: {error.strerror}") from error


def parse_yaml(source: str, shown: str, text_shape: Shape | Leaf | None = None) -> YamlFile:
    """Parse YAML text; raises `MessagesError` with every problem it can name."""
    if bad := UNFIT.search(source):
        where = YamlFile(shown, source, None)._place_at(bad.start())
        raise _one(where, *why_unfit(bad.group()))
    shape = text_shape or {}
    builder = Builder(shown, source, shape, keep_marks=False)
    return YamlFile(shown, source, builder.build(), shape)


def _one(where: Place, what: str, hint: str = "") -> MessagesError:
    return MessagesError([Problem(where, what, hint, rule="yaml")])


def _source_index(source: str, start: int, end: int, value: str, offset: int) -> int:
    """Map a character of a parsed text to its index in the source.

    Folding and indentation change white space only, so each source line, stripped, stands in the
    value in order. Where escapes hide a line, the nearest one before it answers.
    """
    best, cursor, searched = start, 0, 0
    is_block = source[start : start + 1] in ("|", ">")
    for index, line in islice(_lines_between(source, start, end), int(is_block), _MAX_LINES):
        text = line.strip().strip("\"'") if not is_block else line.strip()
        if not text:
            continue
        window = offset + len(text) + _NEAR
        found = value.find(text, cursor, window)
        if found > offset:
            break
        if found >= 0:
            best = index + line.index(text) + min(offset - found, len(text))
            cursor = found + len(text)
        else:
            searched += window - cursor
        if cursor > offset or searched > _MAX_SEARCHED:
            break
    return best


def _lines_between(source: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    """Each line of a part of the source, and the index at which it begins."""
    while start <= end:
        stop = source.find("\n", start, end)
        stop = end if stop < 0 else stop
        yield start, source[start:stop]
        start = stop + 1
