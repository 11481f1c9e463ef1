"""This run's results as one JSON document, written atomically."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from runner import clock
from runner.errors import SurroundingsError
from runner.manifest.lines import HEADER
from runner.model import Result
from runner.paths import SPEC_SUFFIXES
from runner.wording import shown, why

VERSION = 1
_CHANGES = frozenset({"planned", "sent", "adopted"})


def results_document(
    results: Sequence[Result], *, target: str, manifest: str, dry_run: bool, exit_code: int
) -> dict[str, object]:
    """Build the document; `has_changes` says whether something was sent, or would be."""
    return {
        "version": VERSION,
        "target": target,
        "manifest": manifest,
        "dry_run": dry_run,
        "has_changes": any(result.status in _CHANGES for result in results),
        "exit_code": exit_code,
        "finished_at": clock.written(clock.now()),
        "summary": dict(sorted(Counter(result.status for result in results).items())),
        "deliveries": [_entry(result) for result in results],
    }


def _entry(result: Result) -> dict[str, object]:
    entry: dict[str, object] = {
        "message": result.message,
        "revision": result.revision,
        "source": result.source,
        "status": result.status,
        "action": result.action,
        "recipients_select_type": result.select_type,
        "recipients_ids": None if result.recipients_ids is None else list(result.recipients_ids),
        "recipients_filter": result.recipients_filter,
        "thread_id": result.thread_id,
        "digest": result.digest,
        "error": result.error,
    }
    if result.topic:
        entry["topic"] = dict(result.topic)
    if result.delivery is not None:
        entry["delivery"] = result.delivery
    return entry


def write_results(path: Path, document: Mapping[str, object]) -> None:
    """Write a document so that a reader finds the old one or the new one, never a part.

    Repeating is safe. Raises `SurroundingsError`.
    """
    if path.suffix.lower() in SPEC_SUFFIXES:
        raise SurroundingsError(f"{shown(path)} looks like a message: name a .json file")
    text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    write_atomically(path, [text.encode()])


def write_atomically(path: Path, chunks: Iterable[bytes]) -> None:
    """Put a file in place whole: a temporary one beside it, flushed, then renamed.

    A link is replaced, not followed. Raises `SurroundingsError`.
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
            Path(name).chmod(0o666 & ~_umask())
            Path(name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise


def append_text(path: Path, text: str) -> None:
    """Add to the end of a file, a terminal or a pipe; raises `SurroundingsError`."""
    with surroundings(path):
        _check_writable(path, also_streams=True)
        # A pipe that nobody reads is refused instead of waited for.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
        handle = os.open(path, flags, 0o666)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            if os.name != "nt":
                os.set_blocking(handle, True)
            stream.write(text)


@contextmanager
def surroundings(path: Path) -> Iterator[None]:
    """Make of an `OSError` the `SurroundingsError` that names the file."""
    try:
        yield
    except OSError as error:
        raise SurroundingsError(f"{shown(path)} cannot be written: {why(error, path)}") from error


def _check_writable(path: Path, *, also_streams: bool = False) -> None:
    """Refuse what must not be written over, with an `OSError`: a folder, a device, a manifest."""
    if not path.is_file():
        if path.exists() and not (also_streams and not path.is_dir()):
            # A rename would put a file in the place of a pipe, and as root even of /dev/null.
            said = "it is a folder" if path.is_dir() else "it is a pipe or a device"
            raise OSError(errno.EINVAL, f"{said}, name a file")
        return
    with path.open("rb") as stream:
        if stream.read(len(HEADER)) == HEADER:
            raise OSError(errno.EINVAL, "it is a manifest, which says what was sent; name another")


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
