"""What is unknown, as people are told of it: whom it concerns, since when, and what settles it."""

from __future__ import annotations

from dataclasses import dataclass, field

from runner import clock
from runner.manifest.attempts import Attempt
from runner.manifest.history import History

_SHOWN = 5
_UNKNOWN = "it is not known whether it was sent, and the next send looks first"


@dataclass(frozen=True, slots=True)
class Truth:
    """What could be read of a manifest, and where; `is_known` is whether anything could be."""

    history: History = field(default_factory=History)
    told: str = ""
    is_known: bool = True


def describe(attempt: Attempt, history: History) -> str:
    """Say whom an unknown delivery concerns, when and by which run it was tried, and what to do."""
    return f"{attempt.message} to {_whom(attempt)}: {reason(attempt, history)}"


def reason(attempt: Attempt, history: History) -> str:
    """Say why an outcome is unknown or in doubt, and both commands that settle it."""
    threads = history.doubts.get(attempt.delivery, ())
    tried = f"tried at {clock.written(attempt.at)}"
    tried += f" by run {attempt.run}" if attempt.run else ""
    why = f"thread {', '.join(threads[:_SHOWN])} may be it" if threads else _UNKNOWN
    resolve = f"message-runner resolve {attempt.delivery}"
    sent = threads[0] if len(threads) == 1 else "THREAD_ID"
    # The local target is named by no URL, and needs no naming.
    at = f" --target {history.target}" if "://" in (history.target or "") else ""
    return f"{why}; {tried}; say `{resolve} --sent {sent}{at}` or `{resolve} --not-sent{at}`"


def _whom(attempt: Attempt) -> str:
    if attempt.in_thread:
        return f"thread {attempt.in_thread}"
    ids = attempt.recipients_ids
    more = f" and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else ""
    return (", ".join(ids[:_SHOWN]) or str(attempt.select_type)) + more
