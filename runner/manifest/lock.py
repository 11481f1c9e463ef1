"""The manifest's file: found, read, and opened by one writer at a time, its owner's alone.

The lock is on the open file itself: it ends with its process, `kill -9` included, and removing the
file lets nobody in beside whoever has it open.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from io import FileIO
from pathlib import Path

from runner import clock
from runner.errors import SurroundingsError
from runner.files import surroundings
from runner.wording import shown

if sys.platform == "win32":
    import msvcrt

    # Far beyond the file's end, because nobody else can read a byte that is locked there.
    _LOCKED_AT = 2**31 - 2

    def _set_lock(handle: int, *, on: bool) -> None:
        os.lseek(handle, _LOCKED_AT, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK if on else msvcrt.LK_UNLCK, 1)

    def _keep_private(_handle: int) -> None:
        """Who may read a file there is said by its folder."""

else:
    import fcntl

    def _set_lock(handle: int, *, on: bool) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB if on else fcntl.LOCK_UN)

    def _keep_private(handle: int) -> None:
        """Take back what a copy or a checkout gave to others."""
        # It may be somebody else's, and some file systems know no owners.
        with suppress(OSError):
            os.fchmod(handle, 0o600)


_TRIES = 10
MANIFEST = "manifest"
"""What the file is called where it cannot be had."""
_for_its_owner = partial(os.open, mode=0o600)


class InUseError(SurroundingsError):
    """Another run has the lock."""


@contextmanager
def locked(path: Path) -> Iterator[FileIO]:
    """Open a manifest for appending, made if need be; raises `InUseError` at once if in use.

    Beside it lies a note of who holds the lock, because a lock itself cannot say. What is still
    empty at the end is removed.
    """
    with surroundings(path, MANIFEST, "read"):
        file = find_file(path)
    with surroundings(path, MANIFEST):
        file.parent.mkdir(parents=True, exist_ok=True)
        stream = _open_locked(file)
    note = file.with_name(f"{file.name}.holder")
    if stream is None:
        raise InUseError(
            f"{shown(path)} is in use by another run ({_holder(note)}): wait until it ends"
        )
    try:
        with surroundings(note, "note"):
            # Whatever lies here is an old note, or else nothing to write into: a link, or a pipe.
            note.unlink(missing_ok=True)
            at = clock.written(clock.now())
            with FileIO(note, "x", opener=_for_its_owner) as written:
                written.write(
                    f"process {os.getpid()} on {socket.gethostname()}, since {at}".encode()
                )
        yield stream
    finally:
        with suppress(OSError):
            note.unlink()
        with stream, suppress(OSError):
            # Windows removes no file that is open, and once it is closed it may be another run's.
            if not os.fstat(stream.fileno()).st_size and os.name != "nt" and is_in_place(stream):
                file.unlink()
            _set_lock(stream.fileno(), on=False)


def find_file(path: Path) -> Path:
    """Where a manifest really is: what lies beside it lies there, whatever the name it goes by.

    Raises `SurroundingsError` for a link that leads nowhere, `OSError` for what is no file.
    """
    for each in (path, *path.parents):
        if each.is_symlink() and not each.exists():
            # Its disk is not there now, perhaps, and everything would look unsent.
            raise SurroundingsError(
                f"the manifest {shown(path)} cannot be read: {shown(each)} is a link that leads "
                "nowhere; bring back what it leads to, or remove it"
            )
    file = Path(os.path.realpath(path))
    # Opening a pipe waits for whoever is at its other end, and reading a device need not end.
    if file.is_symlink() or (file.exists() and not file.is_file()):
        raise OSError(errno.EINVAL, "it is a folder, a link, a pipe or a device, not a file")
    return file


def is_in_place(stream: FileIO) -> bool:
    """Whether whoever looks for the file by its path finds the one that is open here."""
    if os.name == "nt":  # Windows removes and replaces no file that is open.
        return True
    try:
        return os.path.samestat(os.fstat(stream.fileno()), Path(str(stream.name)).stat())
    except FileNotFoundError:
        return False


def _open_locked(file: Path) -> FileIO | None:
    """Open and lock; None if another run holds the lock."""
    for _ in range(_TRIES):
        stream = FileIO(file, "a+", opener=_for_its_owner)
        try:
            _set_lock(stream.fileno(), on=True)
            if is_in_place(stream):
                _keep_private(stream.fileno())
                return stream
            # A run that had nothing to record has just removed it.
        except (BlockingIOError, PermissionError):
            stream.close()
            return None
        except OSError as error:
            stream.close()
            said = "the file system has no locks, keep the manifest on another one"
            raise OSError(errno.ENOSYS, said) from error
        stream.close()
    raise OSError(errno.EAGAIN, "it is removed again and again")


def _holder(note: Path) -> str:
    begun = "it has just begun"
    try:
        return (note.read_text(encoding="utf-8")[:200] if note.is_file() else "") or begun
    except (OSError, UnicodeDecodeError):
        return begun
