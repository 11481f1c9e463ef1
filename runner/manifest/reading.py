"""A manifest's bytes, read in one pass: whole lines, a torn end, and what is damaged."""

from __future__ import annotations

import codecs
import gc
import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import Any, BinaryIO

from runner.files import MANIFEST_START
from runner.manifest.kinds import take_events, taken
from runner.manifest.state import Checked, ManifestState

_BLOCK = 128 * 1024
_LINE_END = ord("\n")
_LONGEST = 16 * 1024 * 1024
"""No line of ours has so many bytes."""
_MARK = secrets.token_hex(8)
"""What no line holds."""
_BETWEEN = f',"{_MARK}",'.encode()
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
    state, end, above = state or ManifestState(), 0, 0
    with _without_collector():
        while block := stream.read(_BLOCK) + stream.readline(_LONGEST):
            if len(block) > _LONGEST and not block.endswith(b"\n"):
                raise DamageError(above + block.count(b"\n") + 1, "the line is too long")
            if block.endswith(b"\n") and not block.strip():
                above, end = above + block.count(b"\n"), end + len(block)
                continue
            lines = BytesIO(block).readlines()
            count = _take_lines(lines, state, above, is_first=not end)
            above, end = above + count, end + sum(map(len, lines[:count]))
    return state, end


@contextmanager
def _without_collector() -> Iterator[None]:
    """Let Python look for no cycles: in half a million rows there are none, and it takes long."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _take_lines(lines: Sequence[bytes], state: ManifestState, above: int, *, is_first: bool) -> int:
    """Take in lines that have so many above them; gives how many they are without a torn one.

    `is_first` says whether these are the first lines.
    """
    count = 0
    with suppress(*_DAMAGE):  # It is found below, with its line.
        events = _read_together(lines)
        _check_first(events[0], state)
        for some in taken(events, state):
            count += some
    for number, line in enumerate(lines[count:], count + 1):
        try:
            if line[-1] != _LINE_END and _is_torn(line, is_first=is_first and number == 1):
                break
            if line.strip():
                event = _read(line, is_first=is_first and number == 1)
                _check_first(event, state)
                take_events([event], state, are_ours=False)
        except _DAMAGE as error:
            raise DamageError(above + number, _reason(error)) from error
        count = number
    return count


def _read_together(lines: Sequence[bytes]) -> Sequence[Checked]:
    """Read lines in one go, which is quicker; raises where one may be damaged, blank or torn."""
    events: list[Any] = json.loads(f"[{_BETWEEN.join(lines).decode()}]")
    # Two lines that are whole only together would have the mark between them inside.
    is_whole = events[1::2] == [_MARK] * (len(lines) - 1) and len(events) == 2 * len(lines) - 1
    if not is_whole or lines[-1][-1] != _LINE_END:
        raise ValueError
    return events[::2]


def _read(line: bytes, *, is_first: bool) -> Checked:
    if is_first and line.startswith(_UTF_16):
        raise ValueError("it is UTF-16, and has to be UTF-8")
    # A byte order mark stands before the first line only, and `loads` would take UTF-16, too.
    text = line.decode("utf-8-sig")
    try:
        event: Checked = json.loads(text)
    except ValueError as error:
        # What Python says of a number that is too long is for programmers.
        raise json.JSONDecodeError("no JSON", "", 0) from error
    return event


def _check_first(event: Checked, state: ManifestState) -> None:
    if state.target is None and event["event"] != "manifest":
        raise ValueError("the first line does not name the target")


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
