"""The manifest in a file: append-only JSON Lines, one writer at a time.

An intent is on disk before its request leaves, and a line once written never changes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO, FileIO
from pathlib import Path
from typing import BinaryIO

from runner.errors import LaterError, RunnerError, SurroundingsError
from runner.files import surroundings
from runner.manifest.appender import Appender, sync_folder
from runner.manifest.history import History
from runner.manifest.lines import Event, line_of
from runner.manifest.lock import MANIFEST, find_file, locked
from runner.manifest.manifest import Manifest
from runner.manifest.reading import DamageError, read_state
from runner.manifest.state import ManifestState, check_target
from runner.wording import shown

_MOST = 2 * 1024**3
"""Bytes of a manifest, some millions of lines: more does not fit into anybody's memory."""


def read_history(path: Path, target: str | None) -> History:
    """Read a manifest without locking or repairing it; a file that is not there is empty.

    `target` is what its first line must name, None where that is not known. Raises
    `SurroundingsError` for damage, with the line number, and for another target.
    """
    with surroundings(path, MANIFEST, "read"):
        file = find_file(path)
        if not file.exists():
            return History()
        with file.open("rb") as stream:
            state, _ = _read(stream, path, target)
    return state.history()


@contextmanager
def open_file(
    path: Path,
    target: str | None,
    run: Mapping[str, object],
    acts_under: str | None = None,
) -> Iterator[Manifest]:
    """Lock, repair a torn last line, read, and check that it is this target's.

    `target` None takes the manifest of any target, and one has to be there. `run` says who
    sends; it is written with the first event, so that a run with nothing to do leaves no trace.
    `acts_under` is the shared account that is acted under, and has to be the manifest's.
    Raises `SurroundingsError` at once if another run holds the lock.
    """
    with locked(path) as stream:
        if os.fstat(stream.fileno()).st_size:
            state, end = _read_and_repair(stream, path, target)
        else:
            state, end = ManifestState(), 0
            sync_folder(Path(str(stream.name)).parent)
        target = target or state.target
        if target is None:
            raise SurroundingsError(f"there is no manifest at {shown(path)}")
        log = _FileLog(path, stream, end)
        manifest = Manifest(shown(path), target, run, state, log, acts_under=acts_under)
        try:
            yield manifest
        finally:
            manifest.end()
            log.appender.close()


def add_word(path: Path, target: str | None, event: Event) -> bool:
    """Append a person's word beside the run that has the lock, which hears it as it writes next.

    Gives whether that could be done: not before the first line is there.
    """
    # On Windows, two who append at once may overwrite each other.
    if os.name == "nt" or read_history(path, target).target is None:
        return False
    with surroundings(path, MANIFEST):
        handle = os.open(find_file(path), os.O_WRONLY | os.O_APPEND)
        with FileIO(handle, "a") as stream:
            stream.write(line_of(event))
            os.fsync(handle)
    return True


class _FileLog:
    """Lines in a file: each is on disk when the call returns."""

    is_shared = False

    def __init__(self, path: Path, stream: FileIO, end: int) -> None:
        self.path = path
        self.appender = Appender(stream, hear=self._hear, begin=end)
        self.lost: RunnerError | None = None

    def _hear(self, lines: bytes) -> None:
        state = ManifestState(target="")
        # Whoever reads it next says what is wrong with it.
        with suppress(DamageError):
            read_state(BytesIO(lines), state)
        if state.stopped is not None:
            self.lost = LaterError(state.stopped)

    def append(self, lines: bytes) -> None:
        with surroundings(self.path, MANIFEST):
            self.appender.append(lines)

    note = append


def _read(stream: BinaryIO, path: Path, target: str | None) -> tuple[ManifestState, int]:
    """Read the whole lines, and tell how many bytes they are."""
    if os.fstat(stream.fileno()).st_size > _MOST:
        raise MemoryError
    try:
        state, end = read_state(stream)
    except DamageError as error:
        raise SurroundingsError(
            f"{shown(path)}:{error.line}:1: error: the manifest is damaged ({error}); "
            "take a copy of it that is whole: nothing was sent"
        ) from error
    check_target(state, target, shown(path))
    return state, end


def _read_and_repair(stream: FileIO, path: Path, target: str | None) -> tuple[ManifestState, int]:
    """Read, cut off a torn last line, and add a line end that an editor left out.

    Gives the end of what was read: a person's word may come behind it at any time.
    """
    with (
        surroundings(path, MANIFEST, "read"),
        open(stream.fileno(), "rb", closefd=False) as lines,
    ):
        lines.seek(0)
        state, end = _read(lines, path, target)
        is_torn = lines.tell() > end
        lines.seek(max(end - 1, 0))
        last = lines.read(1)
    with surroundings(path, MANIFEST):
        if is_torn:
            stream.truncate(end)
        if end and last != b"\n":
            end += stream.write(b"\n")
        os.fsync(stream.fileno())
    return state, end
