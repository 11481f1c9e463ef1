"""What is unknown, as people are told of it: whom it concerns, since when, and what settles it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from shlex import quote

from runner import clock
from runner.manifest.attempts import Attempt
from runner.manifest.history import History
from runner.model import Result

MANY = 20
"""So many of one message are told one by one without `-v`."""
_SHOWN = 5
_UNKNOWN = "it is not known whether it was sent, and the next send looks first"


@dataclass(frozen=True, slots=True)
class Truth:
    """What could be read of a manifest, and where; `is_known` is whether anything could be."""

    history: History = field(default_factory=History)
    told: str = ""
    is_known: bool = True


def find_unselected(results: Sequence[Result], history: History) -> Iterator[str]:
    """Say what is unknown besides these results: of messages that this run was not given, above all."""
    told, selected = {each.delivery for each in results}, {each.message for each in results}
    left: dict[str, list[Attempt]] = defaultdict(list)
    for each in history.unknown:
        if each.delivery not in told:
            left[each.message].append(each)
    for message, some in left.items():
        # Of one Toloker a plan tells once, and several attempts may be unknown.
        which = "besides" if message in selected else "of a message that was not selected"
        if len(some) <= MANY:
            yield from (f"{which}: {describe(each, history)}" for each in some)
            continue
        status = (
            f"message-runner status {message}{target_option(history.target, history.acts_under)}"
        )
        yield f"{which}: {message}: {len(some):,} deliveries are unknown; `{status}` tells of them"


def describe(attempt: Attempt, history: History) -> str:
    """Say whom an unknown delivery concerns, when and by which run it was tried, and what to do."""
    return f"{attempt.message} to {whom(attempt)}: {reason(attempt, history)}"


def reason(attempt: Attempt, history: History) -> str:
    """Say why an outcome is unknown or in doubt, and both commands that settle it."""
    sent, not_sent = commands(attempt, history)
    return f"{lead(attempt, history)}; {tried(attempt)}; say `{sent}` or `{not_sent}`"


def lead(attempt: Attempt, history: History) -> str:
    """Say what is known of an outcome that is not."""
    threads = history.doubts.get(attempt.delivery, ())
    return f"thread {', '.join(threads[:_SHOWN])} may be it" if threads else _UNKNOWN


def tried(attempt: Attempt) -> str:
    """Say when and by which run a delivery was tried."""
    by = f" by run {attempt.run}" if attempt.run else ""
    return f"tried at {clock.written(attempt.at)}{by}"


def commands(attempt: Attempt, history: History) -> tuple[str, str]:
    """Give the commands that settle a delivery: it was sent, or it was not."""
    threads = history.doubts.get(attempt.delivery, ())
    thread = threads[0] if len(threads) == 1 else "THREAD_ID"
    resolve = f"message-runner resolve {attempt.delivery}"
    where = target_option(history.target, history.acts_under)
    return f"{resolve} --sent {thread}{where}", f"{resolve} --not-sent{where}"


def target_option(target: str | None, acts_under: str | None) -> str:
    """Name the target for a command, where one has to: a shared account has a name of its own."""
    return f" --target {quote(target)}" if target and "://" in target and not acts_under else ""


def whom(attempt: Attempt) -> str:
    """Name whom a delivery is for, the first few of many, and which of several letters it is."""
    if attempt.in_thread:
        return f"thread {attempt.in_thread}"
    ids = attempt.recipients_ids
    more = f" and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else ""
    key = f" ({attempt.key})" if attempt.key else ""
    return (", ".join(ids[:_SHOWN]) or str(attempt.select_type)) + more + key
