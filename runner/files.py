"""Files: read where they are regular and bounded, written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from runner.errors import SurroundingsError
from runner.masking import Secret
from runner.wording import shown, why

MANIFEST_START = b'{"event":"manifest"'
"""How a manifest begins: it says what was sent, and nothing is written over it."""


class TooLargeError(OSError):
    """A file has more bytes than whoever reads it wants."""


# How files begin that are no text, whatever their names say.
_NO_TEXT = {
    b"PK\x03\x04": "an Excel file or another zip: save a table as CSV UTF-8",
    b"\xd0\xcf\x11\xe0": "an Excel or Word file: save a table as CSV UTF-8",
    b"%PDF": "a PDF: write what it says as text",
}


def open_bounded(path: Path, most: int) -> BinaryIO:
    """Open a regular file of at most so many bytes; raises `OSError`, `TooLargeError` among them.

    A pipe is not waited for, and a device not read for ever.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    found = os.fstat(handle)
    if stat.S_ISREG(found.st_mode) and found.st_size <= most:
        opened = os.fdopen(handle, "rb")
        no_text = _NO_TEXT.get(opened.peek(4)[:4])
        if no_text is None:
            return opened
        opened.close()
        raise OSError(errno.EINVAL, f"this is {no_text}")
    os.close(handle)
    if stat.S_ISREG(found.st_mode):
        raise TooLargeError(errno.EFBIG, "the file is too large")
    raise OSError(errno.EINVAL, "this is not a file")


def read_bounded(path: Path, most: int) -> bytes:
    """Read such a file; raises the same."""
    with open_bounded(path, most) as stream:
        raw = stream.read(most + 1)
    if len(raw) > most:  # It has grown meanwhile.
        raise TooLargeError(errno.EFBIG, "the file is too large")
    return raw


def read_secret(path: Path, most: int) -> tuple[Secret, bool]:
    """Read a text of so many bytes at most, out of a pipe too; tells also if others may read it.

    Raises `OSError`, and `ValueError` for what is not UTF-8.
    """
    with path.open("rb") as stream:
        mode = os.fstat(stream.fileno()).st_mode
        is_shared = stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH) != 0
        return Secret(stream.read(most).decode()), is_shared and os.name == "posix"


def make_folder(folder: Path, below: Path) -> None:
    """Make a folder and those above it; raises `OSError` for a link on the way from `below`."""
    for each in (folder, *folder.parents):
        if each != below and each.is_relative_to(below) and each.is_symlink():
            raise OSError(errno.ELOOP, f"{shown(each)} is a link, put a folder in its place")
    folder.mkdir(parents=True, exist_ok=True)


def write_whole(path: Path, chunks: Iterable[bytes], *, is_private: bool = False) -> None:
    """Put a file in place whole: a temporary one beside it, flushed, then renamed.

    A link is replaced, not followed; a private file is for its owner only. Raises
    `SurroundingsError`.
    """
    with surroundings(path):
        _check_writable(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.writelines(chunks)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).chmod(0o600 if is_private else 0o666 & ~_umask())
            Path(name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise


def size_of(path: Path) -> int:
    """How many bytes a file has; none where it is no file, or not there yet."""
    with suppress(OSError):
        return path.stat().st_size if path.is_file() else 0
    return 0


def append_text(path: Path, text: str) -> None:
    """Add to the end of a file, a terminal or a pipe; raises `SurroundingsError`.

    A link is followed only where it is the system's own, as `/dev/stdout` is.
    """
    with surroundings(path):
        if path.is_symlink() and not path.is_relative_to("/dev"):
            raise OSError(errno.ELOOP, "it is a link, name a file")
        _check_writable(path, also_streams=True)
        # A pipe that nobody reads is refused instead of waited for.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
        handle = os.open(path, flags, 0o666)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            if os.name != "nt":
                os.set_blocking(handle, True)
            stream.write(text)


@contextmanager
def surroundings(path: Path, what: str = "", done: str = "written") -> Iterator[None]:
    """Say of a file that cannot be had what and why, as a `SurroundingsError`."""
    try:
        yield
    except (OSError, MemoryError) as error:
        said = why(error, path) if isinstance(error, OSError) else "it does not fit into memory"
        named = f"the {what} {shown(path)}" if what else shown(path)
        raise SurroundingsError(f"{named} cannot be {done}: {said}") from error


def _check_writable(path: Path, *, also_streams: bool = False) -> None:
    """Refuse what must not be written over, with an `OSError`: a folder, a device, a manifest."""
    if not path.is_file():
        if path.exists() and not (also_streams and not path.is_dir()):
            # A rename would put a file in the place of a pipe, and as root even of /dev/null.
            said = "it is a folder" if path.is_dir() else "it is a pipe or a device"
            raise OSError(errno.EINVAL, f"{said}, name a file")
        return
    with path.open("rb") as stream:
        if stream.read(len(MANIFEST_START)) == MANIFEST_START:
            raise OSError(errno.EINVAL, "it is a manifest, which says what was sent; name another")


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
