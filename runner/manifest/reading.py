"""A manifest, read line by line: a torn end is left out, any other damage has its line."""

from __future__ import annotations

import codecs
import json
from functools import partial
from typing import BinaryIO

from runner.files import MANIFEST_START
from runner.manifest.kinds import LINES, check_event
from runner.manifest.state import Checked, ManifestState

_LONGEST = 64 * 1024**2
"""Bytes of one line: what is longer was not written here."""
_decode = json.JSONDecoder().raw_decode


class DamageError(ValueError):
    """A line that is not what a manifest holds; `line` counts from 1."""

    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        super().__init__(reason)


def read_state(stream: BinaryIO) -> tuple[ManifestState, int]:
    """Read the lines of a manifest; gives also how many bytes they are.

    A torn last line is left out: it was never promised to be on disk. Raises `DamageError` for any
    other line that is not what a manifest holds.
    """
    state, end = ManifestState(), 0
    for number, line in enumerate(iter(partial(stream.readline, _LONGEST), b""), 1):
        state.line = number
        try:
            if not line.endswith(b"\n") and _is_torn(line, end):
                break
            text = (line if end else line.removeprefix(codecs.BOM_UTF8)).strip()
            if text:
                event = _parsed(text)
                check_event(event)
                if state.target is None and event["event"] != "manifest":
                    raise ValueError("the first line does not name the target")
                LINES[event["event"]].take(state, event)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = str(error) if type(error) is ValueError else "not a line of a manifest"
            if not end and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                reason = "it is UTF-16, and has to be UTF-8"
            raise DamageError(number, reason) from error
        end += len(line)
    return state, end


def _parsed(line: bytes) -> Checked:
    text = line.decode()
    event, end = _decode(text)
    if end != len(text) or type(event) is not dict:
        raise ValueError("not a line of a manifest")
    return event


def _is_torn(tail: bytes, end: int) -> bool:
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
    if len(tail) == _LONGEST or not (end or begins):
        raise ValueError("not a line of a manifest")
    return True
