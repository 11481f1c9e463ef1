"""Lines that are on disk when `append` returns; threads that wait together share one flush."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path

from runner.manifest.lock import is_in_place


class Appender:
    """Appends to a file that was opened by its path, for many threads.

    While one thread waits for the disk, the lines of the others gather, and the next flush takes
    all of them: at hundreds of lines a second that is a few flushes. After a failed flush the file
    is cut back to what is known to be on disk, and every further call raises the same `OSError`.
    `sync` puts an open file on disk, and `hear` is given what somebody else has appended, from the
    byte `begin` on, or else from the end of the file as it is now.
    """

    def __init__(
        self,
        stream: FileIO,
        sync: Callable[[int], object] = os.fsync,
        hear: Callable[[bytes], object] = lambda _lines: None,
        begin: int | None = None,
    ) -> None:
        self._stream = stream
        self._sync = sync
        self._hear = hear
        self._end = os.fstat(stream.fileno()).st_size if begin is None else begin
        self._changed = threading.Condition()
        self._is_flushing = False
        self._waiting: list[bytes] = []
        self._taken = 0
        self._on_disk = 0
        self._failure: OSError | None = None

    def append(self, line: bytes) -> None:
        """Put a line, or several in one piece, on disk; raises `OSError` if it was not taken."""
        with self._changed:
            self._waiting.append(line)
            self._taken += 1
            mine = self._taken
            self._wait_while_flushing(mine)
            if self._on_disk >= mine:
                return
            if self._failure is not None:
                raise self._failure
            self._is_flushing = True
            lines, self._waiting, upto = self._waiting, [], self._taken
        try:
            self._write(b"".join(lines))
            self._on_disk = upto
        except BaseException:
            # Of what was cut off, nobody knows how much is there.
            self._failure = self._failure or OSError(errno.EIO, "a write was cut off")
            raise
        finally:
            with self._changed:
                self._is_flushing = False
                self._changed.notify_all()

    def close(self) -> None:
        """Take no more lines; the file stays open. Repeating is safe."""
        with self._changed:
            self._wait_while_flushing(self._taken + 1)
            self._failure = self._failure or OSError(errno.EBADF, "this run has ended")

    def _wait_while_flushing(self, mine: int) -> None:
        """Wait for the flush that is on, and for whoever takes this line along in the next."""
        while self._is_flushing and self._on_disk < mine:
            self._changed.wait()

    def _write(self, lines: bytes) -> None:
        good = None
        try:
            if not is_in_place(self._stream):
                # An open file takes lines after its name is gone, and nobody would ever read them.
                gone = "it was removed or replaced while this run wrote to it"
                raise OSError(errno.ENOENT, gone)
            good = os.fstat(self._stream.fileno()).st_size
            if good < self._end:
                raise OSError(errno.EIO, "it was cut short while this run wrote to it")
            view = memoryview(lines)
            while view:
                view = view[self._stream.write(view) :]
            self._sync(self._stream.fileno())
            self._listen(len(lines))
        except OSError as error:
            self._failure = error
            with suppress(OSError):
                if good is not None:
                    self._stream.truncate(good)
            raise

    def _listen(self, written: int) -> None:
        """Hear what stands there besides what was written: before it, or behind."""
        begin, self._end = self._end, os.fstat(self._stream.fileno()).st_size
        if self._end != begin + written:
            self._stream.seek(begin)
            self._hear(self._stream.read(self._end - begin))


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder last. Windows opens no folders, and needs no such thing."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
