"""This run's results as one JSON document, written atomically."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from runner import clock
from runner.errors import SurroundingsError
from runner.model import Result
from runner.paths import shown

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
    text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    write_atomically(path, [text.encode()])


def write_atomically(path: Path, chunks: Iterable[bytes]) -> None:
    """Put a file in place whole: a temporary one beside it, flushed, then renamed."""
    name = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.writelines(chunks)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except OSError as error:
        if name is not None:
            with suppress(OSError):
                Path(name).unlink()
        raise SurroundingsError(f"{shown(path)} cannot be written: {error.strerror}") from error


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
