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

    def _lock(handle: int) -> None:
        os.lseek(handle, _LOCKED_AT, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

    def _unlock(handle: int) -> None:
        os.lseek(handle, _LOCKED_AT, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)


_TRIES = 10
MANIFEST = "manifest"
"""What the file is called where it cannot be had."""


@contextmanager
def locked(path: Path) -> Iterator[FileIO]:
    """Open a manifest for appending, made if need be; raises `SurroundingsError` at once if in use.

    Beside it lies a note of who holds the lock, because a lock itself cannot say. What is still
    empty at the end is removed.
    """
    with surroundings(path, MANIFEST):
        file = real_path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
    with surroundings(path, MANIFEST, "read"):
        _check_kind(file)
    with surroundings(path, MANIFEST):
        stream = _open_locked(file)
    note = file.with_name(f"{file.name}.holder")
    try:
        if stream is None:
            raise SurroundingsError(
                f"{shown(path)} is in use by another run ({_holder(note)}): wait until it ends"
            )
        with surroundings(note, "note"):
            _leave_note(note)
        yield stream
    finally:
        if stream is not None:
            with suppress(OSError):
                note.unlink()
            with stream, suppress(OSError):
                _give_back(stream, file)


def read_file(path: Path) -> bytes:
    """Read a manifest without its lock; one that is not there is empty."""
    with surroundings(path, MANIFEST, "read"):
        file = real_path(path)
        if not file.exists():
            return b""
        _check_kind(file)
        return file.read_bytes()


def real_path(path: Path) -> Path:
    """Where a manifest really is: what lies beside it lies there, whatever the name it goes by."""
    for each in (path, *path.parents):
        if each.is_symlink() and not each.exists():
            # Its disk is not there now, perhaps, and everything would look unsent.
            raise SurroundingsError(
                f"the manifest {shown(path)} cannot be read: {shown(each)} is a link that leads "
                "nowhere; bring back what it leads to, or remove it"
            )
    return Path(os.path.realpath(path))


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
            _lock(stream.fileno())
            if is_in_place(stream):
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


def _for_its_owner(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _check_kind(path: Path) -> None:
    # Opening a pipe waits for whoever is at its other end, and reading a device need not end.
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise OSError(errno.EINVAL, "it is a folder, a link, a pipe or a device, not a file")


def _give_back(stream: FileIO, file: Path) -> None:
    """Remove the file if it is empty, and unlock it.

    Windows removes no file that is open, and once it is closed it may be another run's.
    """
    is_empty = os.fstat(stream.fileno()).st_size == 0
    if is_empty and os.name != "nt" and is_in_place(stream):
        file.unlink()
    _unlock(stream.fileno())


def _leave_note(note: Path) -> None:
    # Whatever lies here is an old note, or else nothing to write into: a link, or a pipe.
    note.unlink(missing_ok=True)
    with FileIO(note, "x", opener=_for_its_owner) as stream:
        at = clock.written(clock.now())
        stream.write(f"process {os.getpid()} on {socket.gethostname()}, since {at}".encode())


def _holder(note: Path) -> str:
    begun = "it has just begun"
    try:
        return (note.read_text(encoding="utf-8")[:200] if note.is_file() else "") or begun
    except (OSError, UnicodeDecodeError):
        return begun
