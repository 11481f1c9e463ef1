"""This run's results as one JSON document, written atomically."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runner import clock
from runner.files import write_whole
from runner.model import Result
from runner.plan.needs import Needs

VERSION = 1
_CHANGES = frozenset({"planned", "sent", "adopted"})


def results_document(
    results: Sequence[Result],
    *,
    target: str,
    manifest: str,
    dry_run: bool,
    exit_code: int,
    needs: Needs,
    test_to: str | None = None,
) -> dict[str, object]:
    """Build the document; `has_changes` says whether something was sent, or would be.

    `needs` is what the next `send` has to do, and `test_to` who got everything, as a test.
    """
    return {
        "version": VERSION,
        "target": target,
        "manifest": manifest,
        "dry_run": dry_run,
        "test_to": test_to,
        "has_changes": any(result.status in _CHANGES for result in results),
        "action_needed": needs.action_needed,
        "due_at": clock.written(needs.due_at) if needs.due_at else None,
        "exit_code": exit_code,
        "finished_at": clock.written(clock.now()),
        "summary": dict(sorted(Counter(result.status for result in results).items())),
        "deliveries": [entry_of(result) for result in results],
    }


def entry_of(result: Result) -> dict[str, object]:
    """One delivery, as the document has it."""
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
    if result.key is not None:
        entry["key"] = result.key
    if result.delivery is not None:
        entry["delivery"] = result.delivery
    return entry


def outputs_text(document: Mapping[str, Any]) -> str:
    """Write what a document comes to as `name=value`: of two lines with one name the later counts."""
    count: Mapping[str, int] = document["summary"]
    values = {
        "planned": count.get("planned", 0),
        "sent": count.get("sent", 0),
        "failed": count.get("rejected", 0) + count.get("unknown", 0) + count.get("in_doubt", 0),
        "has_changes": json.dumps(document["has_changes"]),
        "action_needed": json.dumps(document["action_needed"]),
        "due_at": document["due_at"] or "",
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def write_results(path: Path, document: Mapping[str, object]) -> None:
    """Write a document so that a reader finds the old one or the new one, never a part.

    Repeating is safe. Raises `SurroundingsError`.
    """
    text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    write_whole(path, [text.encode()])
