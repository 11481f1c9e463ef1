"""What happened, settled by looking at Toloka's list: unknown outcomes and adopted threads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from runner import clock
from runner.digest import digest_of
from runner.filters import normal_form
from runner.model import Attempt, Delivery, Direct, Filtered, History, Message, Sent, Thread

# The server's `Date` has whole seconds, and its clock may be read late.
_CLOCK_MARGIN = timedelta(seconds=5)
# A thread may be listed a little after it was made.
_LAG_MARGIN = timedelta(minutes=1)
_BEGINNING = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class Look:
    """What one list says of unknown outcomes, by delivery id."""

    found: Mapping[str, Thread]
    near: Mapping[str, Thread]
    """A thread that nearly matches: the outcome stays unknown, and this is shown beside it."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """A thread of ours that carries a planned message, though the manifest did not know."""

    message: Message
    thread: Thread


def since_unknown(unknown: Iterable[Attempt], server_ahead_s: float) -> datetime | None:
    """From when to list threads for these intents, by the server's clock; None for no intents."""
    ours = min((attempt.at for attempt in unknown), default=None)
    return ours and ours + timedelta(seconds=server_ahead_s) - _CLOCK_MARGIN


def since_newest(history: History) -> datetime:
    """From when to list what the manifest may have missed: its newest thread, else the beginning.

    Both times are the server's own, so no clock needs correcting.
    """
    created = [
        clock.read(attempt.outcome.thread.created)
        for attempt in history.attempts
        if isinstance(attempt.outcome, Sent) and attempt.outcome.thread.created
    ]
    return max(created) - _LAG_MARGIN if created else _BEGINNING


def query_since(moment: datetime) -> dict[str, str]:
    """The list query for threads made since then, in Toloka's own form: UTC without a zone."""
    if moment <= _BEGINNING:
        return {}
    plain = moment.astimezone(timezone.utc).replace(tzinfo=None)
    return {"created_gte": plain.isoformat(timespec="milliseconds")}


def look_for(
    unknown: Sequence[Attempt], threads: Iterable[Thread], claimed: frozenset[str]
) -> Look:
    """Match unknown outcomes with threads that no delivery claims; each thread serves once."""
    free = [thread for thread in threads if thread.id not in claimed and thread.parent_id is None]
    found = _find_exact(unknown, free)
    taken = {thread.id for thread in found.values()}
    left = [thread for thread in free if thread.id not in taken]
    near = {}
    for attempt in unknown:
        close = (
            [] if attempt.delivery in found else [each for each in left if _nearly(attempt, each)]
        )
        if close:
            near[attempt.delivery] = close[0]
    return Look(found, near)


def _find_exact(unknown: Sequence[Attempt], free: Sequence[Thread]) -> dict[str, Thread]:
    by_content: dict[str, list[Thread]] = defaultdict(list)
    for thread in free:
        if thread.select_type is not None:
            by_content[_digest(thread)].append(thread)
    found: dict[str, Thread] = {}
    for attempt in unknown:
        alike = by_content[attempt.digest]
        same = [each for each in alike if _same_recipients(attempt, each)]
        if same:
            found[attempt.delivery] = same[0]
            alike.remove(same[0])
    return found


def find_adoptions(
    messages: Iterable[Message], threads: Iterable[Thread], claimed: frozenset[str]
) -> Iterator[Adoption]:
    """Find threads that carry a planned message: same content, some of its recipients."""
    by_digest: dict[str, list[Message]] = defaultdict(list)
    for message in messages:
        by_digest[message.digest].append(message)
    for thread in threads:
        if thread.id in claimed or thread.parent_id is not None or thread.select_type is None:
            continue
        for message in by_digest.get(_digest(thread), ()):
            if _reaches(thread, message):
                yield Adoption(message, thread)
                break


def echoes(delivery: Delivery, sent: Sent) -> bool:
    """Whether the thread that came back is what was asked for.

    Where it is not, the list cannot be trusted to show our threads as we would know them.
    """
    thread, recipients = sent.thread, delivery.recipients
    if thread.select_type != recipients.select_type or _digest(thread) != delivery.message.digest:
        return False
    return not isinstance(recipients, Direct) or set(thread.recipients_ids) == set(recipients.ids)


def _digest(thread: Thread) -> str:
    return digest_of(
        topic=thread.topic,
        text=thread.text,
        answerable=bool(thread.answerable),
        select_type=str(thread.select_type),
        recipients_filter=thread.recipients_filter,
    )


def _same_recipients(attempt: Attempt, thread: Thread) -> bool:
    # For FILTER and ALL the digest has compared them already.
    return attempt.select_type != "DIRECT" or (
        set(thread.recipients_ids) == set(attempt.recipients_ids)
    )


def _nearly(attempt: Attempt, thread: Thread) -> bool:
    if not set(attempt.recipients_ids).isdisjoint(thread.recipients_ids):
        return True
    content = digest_of(
        topic=thread.topic,
        text=thread.text,
        answerable=bool(thread.answerable),
        select_type=str(attempt.select_type),
        recipients_filter=attempt.recipients_filter,
    )
    if content == attempt.digest:
        return True
    is_filtered = attempt.select_type == "FILTER" and thread.recipients_filter is not None
    return is_filtered and normal_form(thread.recipients_filter) == normal_form(
        attempt.recipients_filter
    )


def _reaches(thread: Thread, message: Message) -> bool:
    if isinstance(message.recipients, Direct):
        return not set(thread.recipients_ids).isdisjoint(message.recipients.ids)
    return isinstance(message.recipients, Filtered) or thread.select_type == "ALL"
