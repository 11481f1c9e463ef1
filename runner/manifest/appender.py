"""Lines that are on disk when `append` returns; threads that wait together share one flush."""

from __future__ import annotations

import errno
import os
import re
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_ENDING = ".tmp"


class Journal:
    """An append-only file for many threads.

    While one thread waits for the disk, the lines of the others gather, and the next flush takes
    all of them: at hundreds of lines a second that is a few flushes. After a failed flush the file
    is cut back to what is known to be on disk, and every further call raises the same `OSError`.
    `sync` puts an open file on disk.
    """

    def __init__(self, path: Path, sync: Callable[[int], object] = os.fsync) -> None:
        self._path = path
        self._sync = sync
        self._changed = threading.Condition()
        self._waiting: list[bytes] = []
        self._taken = 0
        self._on_disk = 0
        self._is_flushing = False
        self._failure: OSError | None = None
        self._stream = path.open("ab", buffering=0)
        _sync_folder(path.parent)

    def append(self, line: bytes) -> None:
        """Put a line, or several in one piece, on disk; raises `OSError` if it was not taken."""
        with self._changed:
            self._waiting.append(line)
            self._taken += 1
            mine = self._taken
            while self._on_disk < mine:
                if self._failure is not None:
                    raise self._failure
                if self._is_flushing:
                    self._changed.wait()
                else:
                    self._flush()

    def replace_first_line(self, line: bytes) -> None:
        """Rewrite the file with another first line, atomically."""
        with self._changed:
            while self._is_flushing:
                self._changed.wait()
            rest = self._path.read_bytes().partition(b"\n")[2]
            handle, name = tempfile.mkstemp(
                dir=self._path.parent, prefix=f".{self._path.name}.", suffix=_ENDING
            )
            try:
                with os.fdopen(handle, "wb") as copy:
                    copy.write(line + rest)
                    copy.flush()
                    self._sync(copy.fileno())
                self._stream.close()  # Windows replaces no file that is open.
                Path(name).chmod(self._path.stat().st_mode & 0o777)
                os.replace(name, self._path)  # noqa: PTH105  (it says what it does)
            except OSError:
                with suppress(OSError):
                    Path(name).unlink()
                raise
            finally:
                if self._stream.closed:
                    self._stream = self._path.open("ab", buffering=0)
            _sync_folder(self._path.parent)

    def close(self) -> None:
        """Close the file. Repeating is safe."""
        with self._changed:
            while self._is_flushing:
                self._changed.wait()
            self._stream.close()

    def _flush(self) -> None:
        """Write what waits, with the lock released meanwhile. Called with the lock held."""
        lines, upto = b"".join(self._waiting), self._taken
        self._waiting.clear()
        self._is_flushing = True
        self._changed.release()
        try:
            self._failure = self._write(lines)
        finally:
            self._changed.acquire()
            self._is_flushing = False
            self._changed.notify_all()
        if self._failure is None:
            self._on_disk = upto

    def _write(self, lines: bytes) -> OSError | None:
        good = None
        try:
            good = self._size()
            view = memoryview(lines)
            while view:
                view = view[self._stream.write(view) :]
            self._sync(self._stream.fileno())
        except OSError as error:
            with suppress(OSError):
                if good is not None:
                    self._stream.truncate(good)
            return error
        return None

    def _size(self) -> int:
        """The file's size in bytes; raises `OSError` if whoever looks for it would not find it."""
        ours = os.fstat(self._stream.fileno())
        if os.name == "nt":  # Windows removes and replaces no file that is open.
            return ours.st_size
        try:
            is_there = os.path.samestat(ours, self._path.stat())
        except FileNotFoundError:
            is_there = False
        if not is_there:
            # An open file takes lines after its name is gone, and nobody would ever read them.
            raise OSError(errno.ENOENT, "it was removed or replaced while this run wrote to it")
        return ours.st_size


def sweep(path: Path) -> None:
    """Remove what a process killed in `replace_first_line` left beside a file.

    Nobody else may be writing to the file meanwhile.
    """
    ours = re.compile(re.escape(f".{path.name}.") + r"\w{8}" + re.escape(_ENDING))
    with suppress(OSError):
        for each in path.parent.iterdir():
            if ours.fullmatch(each.name):
                each.unlink()


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder last. Windows opens no folders, and needs no such thing."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
