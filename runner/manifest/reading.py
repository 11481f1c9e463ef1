"""A manifest's bytes, read in one pass: whole lines, a torn end, and what is damaged."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import BytesIO
from typing import BinaryIO

from runner.files import MANIFEST_START
from runner.manifest.kinds import LINES, check_events
from runner.manifest.state import Checked, ManifestState

_BLOCK = 64 * 1024
_LINE_END = ord("\n")
_LONGEST = 16 * 1024 * 1024
"""No line of ours has so many bytes."""
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class DamageError(ValueError):
    """A line that is not what a manifest holds; `line` counts from 1."""

    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        super().__init__(reason)


def read_state(stream: BinaryIO, state: ManifestState | None = None) -> tuple[ManifestState, int]:
    """Read the lines of a manifest, or more of them; gives also how many bytes they are.

    A torn last line is left out: it was never promised to be on disk. Raises `DamageError` for any
    other line that is not what a manifest holds.
    """
    state, end = state or ManifestState(), 0
    while block := stream.read(_BLOCK) + stream.readline(_LONGEST):
        if len(block) > _LONGEST and not block.endswith(b"\n"):
            raise DamageError(state.line + block.count(b"\n") + 1, "the line is too long")
        if block.endswith(b"\n") and not block.strip():
            state.line += block.count(b"\n")
            end += len(block)
            continue
        lines, before = BytesIO(block).readlines(), state.line
        try:
            for event in _parse(lines, is_first=not end):
                if event is not None:
                    if state.target is None and event["event"] != "manifest":
                        raise ValueError("the first line does not name the target")
                    LINES[event["event"]].take(state, event)
                state.line += 1
        except _DAMAGE as error:
            raise DamageError(state.line + 1, _reason(error)) from error
        end += sum(map(len, lines[: state.line - before]))
    return state, end


def _parse(lines: Sequence[bytes], *, is_first: bool) -> Iterator[Checked | None]:
    """Parse and check lines: together, which is quicker, or each by itself; a blank one is None.

    Ends before a torn one. Raises one of `_DAMAGE` where it comes to one that is damaged.
    `is_first` says whether these are the first lines.
    """
    events: list[Checked] = []
    if lines[-1][-1] == _LINE_END:
        with suppress(*_DAMAGE):
            together = json.loads(f"[{b','.join(lines).decode()}]")
            check_events(together)
            events = together
    if len(events) == len(lines):
        yield from events
        return
    for number, line in enumerate(lines):
        if line[-1] != _LINE_END and _is_torn(line, is_first=is_first and not number):
            return
        if is_first and not number and line.startswith(_UTF_16):
            raise ValueError("it is UTF-16, and has to be UTF-8")
        # A byte order mark stands before the first line only, and `loads` would take UTF-16, too.
        yield _read(line.decode("utf-8-sig")) if line.strip() else None


def _read(line: str) -> Checked:
    try:
        event: Checked = json.loads(line)
    except ValueError as error:
        # What Python says of a number that is too long is for programmers.
        raise json.JSONDecodeError("no JSON", "", 0) from error
    check_events([event])
    return event


def _reason(error: Exception) -> str:
    return str(error) if type(error) is ValueError else "not a line of a manifest"


def _is_torn(tail: bytes, *, is_first: bool) -> bool:
    """Whether the last line is half of one of ours; an editor may leave out a line end alone.

    Raises `ValueError` for an end that is not to be cut off.
    """
    try:
        return not isinstance(json.loads(tail), dict)
    except (ValueError, RecursionError):
        pass
    if b"\r" in tail.rstrip(b"\r\0"):
        raise ValueError("its lines end in CR alone")
    # A power cut may leave NULs; of a new file, only the beginning of its first line.
    begins = MANIFEST_START.startswith(tail.rstrip(b"\0")[: len(MANIFEST_START)])
    if is_first and not begins:
        raise ValueError("not a line of a manifest")
    return True
