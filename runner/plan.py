"""Messages and what the manifest knows, made into the deliveries still to make: pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from runner.errors import Fault
from runner.model import (
    MAX_RECIPIENTS,
    Attempt,
    Delivery,
    Direct,
    History,
    Message,
    NoRecipients,
    Result,
    Status,
)

Identity = tuple[str, int]
"""A message id and its revision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMessage:
    """One message: what would be sent (`deliveries`), and what is settled already (`settled`)."""

    message: Message
    deliveries: tuple[Delivery, ...] = ()
    settled: tuple[Result, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What `send` would do. `faults` say which messages the manifest does not let pass."""

    messages: tuple[PlannedMessage, ...]
    faults: tuple[tuple[Message, Fault], ...] = ()

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """Everything that would be sent, in the order of the messages."""
        return tuple(delivery for each in self.messages for delivery in each.deliveries)

    @property
    def settled(self) -> tuple[Result, ...]:
        """Everything that needs no sending, with its reason."""
        return tuple(result for each in self.messages for result in each.settled)


def build_plan(
    messages: Iterable[Message],
    history: History,
    *,
    now: datetime,
    is_gone: Callable[[str], bool] = lambda _: False,
) -> Plan:
    """Plan each message against the manifest.

    `now` is aware UTC. `is_gone` tells whether a message id of the manifest has no file any more.
    """
    known: dict[Identity, list[Attempt]] = defaultdict(list)
    by_digest: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in history.attempts:
        known[attempt.message, attempt.revision].append(attempt)
        by_digest[attempt.digest].append(attempt)
    planned, faults = [], []
    for message in messages:
        attempts = known[message.id, message.revision]
        found = [*_find_other_type(message, attempts)]
        found += _find_renamed(message, by_digest[message.digest], is_gone)
        faults += [(message, fault) for fault in found]
        planned.append(_plan_message(message, attempts, now))
    return Plan(messages=tuple(planned), faults=tuple(faults))


def result_of(
    delivery: Delivery,
    status: Status,
    *,
    thread_id: str | None = None,
    delivery_id: str | None = None,
    error: str | None = None,
) -> Result:
    """Say what became of a delivery."""
    message, recipients = delivery.message, delivery.recipients
    return Result(
        message=message.id,
        revision=message.revision,
        source=message.source,
        status=status,
        select_type=recipients.select_type,
        recipients_ids=recipients.ids if isinstance(recipients, Direct) else None,
        digest=message.digest,
        headline=message.headline,
        thread_id=thread_id,
        delivery=delivery_id,
        error=error,
    )


def batches(message: Message, ids: Sequence[str]) -> tuple[Delivery, ...]:
    """Cut recipients into deliveries of at most 100, the last one smaller."""
    return tuple(
        Delivery(message=message, recipients=Direct(tuple(ids[start : start + MAX_RECIPIENTS])))
        for start in range(0, len(ids), MAX_RECIPIENTS)
    )


def _plan_message(message: Message, attempts: Sequence[Attempt], now: datetime) -> PlannedMessage:
    settled = tuple(_find_settled(message, attempts))
    deliveries = _find_due(message, attempts)
    held = _held_back(message, now)
    if held:
        status, reason = held
        settled += tuple(result_of(each, status, error=reason) for each in deliveries)
        deliveries = ()
    return PlannedMessage(message=message, deliveries=deliveries, settled=settled)


def _held_back(message: Message, now: datetime) -> tuple[Status, str] | None:
    if message.draft:
        return "draft", "it is marked as a draft"
    if message.not_before and now < message.not_before:
        return "outside_window", f"not before {message.not_before:%Y-%m-%dT%H:%M:%SZ}"
    if message.not_after and now > message.not_after:
        return "outside_window", f"not after {message.not_after:%Y-%m-%dT%H:%M:%SZ}"
    return None


def _find_due(message: Message, attempts: Sequence[Attempt]) -> tuple[Delivery, ...]:
    """What is neither reached, nor finally without recipients, nor in doubt."""
    closed = [attempt for attempt in attempts if _is_closed(attempt) or attempt.is_unknown]
    if not isinstance(message.recipients, Direct):
        return () if closed else (Delivery(message=message, recipients=message.recipients),)
    taken = {toloker for attempt in closed for toloker in attempt.recipients_ids}
    return batches(message, [toloker for toloker in message.recipients.ids if toloker not in taken])


def _is_closed(attempt: Attempt) -> bool:
    return attempt.was_sent or isinstance(attempt.outcome, NoRecipients)


def _find_settled(message: Message, attempts: Sequence[Attempt]) -> Iterator[Result]:
    """Report the attempts that concern today's recipients, each Toloker once."""
    is_direct = isinstance(message.recipients, Direct)
    left = set(message.recipients.ids) if isinstance(message.recipients, Direct) else set()
    # What was sent is told first: a Toloker who was reached is not in doubt any more.
    for attempt in sorted(attempts, key=lambda each: each.is_unknown):
        if not (_is_closed(attempt) or attempt.is_unknown):
            continue
        ids = tuple(toloker for toloker in attempt.recipients_ids if toloker in left)
        if is_direct and not ids:
            continue
        left.difference_update(ids)
        yield Result(
            message=message.id,
            revision=message.revision,
            source=message.source,
            status=_settled_status(attempt, message),
            select_type=message.recipients.select_type,
            recipients_ids=ids if is_direct else None,
            digest=attempt.digest,
            headline=message.headline,
            thread_id=attempt.thread_id,
            delivery=attempt.delivery,
            error=_settled_reason(attempt),
        )


def _settled_status(attempt: Attempt, message: Message) -> Status:
    if attempt.is_unknown:
        return "unknown"
    if isinstance(attempt.outcome, NoRecipients):
        return "no_recipients"
    return "already_sent" if attempt.digest == message.digest else "edited"


def _settled_reason(attempt: Attempt) -> str | None:
    if attempt.is_unknown:
        return "an earlier run did not learn what became of it"
    return attempt.outcome.detail if isinstance(attempt.outcome, NoRecipients) else None


def _find_other_type(message: Message, attempts: Sequence[Attempt]) -> Iterator[Fault]:
    now = message.recipients.select_type
    for attempt in attempts:
        if attempt.select_type != now and (_is_closed(attempt) or attempt.is_unknown):
            yield Fault(
                ("recipients_select_type",),
                f"revision {message.revision} of {message.id} went out as "
                f"{attempt.select_type}, and this says {now}",
                f"write `revision: {message.revision + 1}` to send it again to others",
            )
            return


def _find_renamed(
    message: Message, alike: Sequence[Attempt], is_gone: Callable[[str], bool]
) -> Iterator[Fault]:
    """A renamed file would mail everybody again: the old name has to be kept as `id`."""
    for other in {attempt.message for attempt in alike if _is_closed(attempt)} - {message.id}:
        same_people = any(_overlaps(message, each) for each in alike if each.message == other)
        if same_people and is_gone(other):
            yield Fault(
                ("id",),
                f'this went to some of the same people as "{other}", whose file is gone',
                f"if the file was renamed, write `id: {other}`; "
                "if it is a new message, change its text",
            )
            return


def _overlaps(message: Message, attempt: Attempt) -> bool:
    if not isinstance(message.recipients, Direct):
        return attempt.select_type == message.recipients.select_type
    return not set(message.recipients.ids).isdisjoint(attempt.recipients_ids)
