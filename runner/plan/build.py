"""Messages and what the manifest knows, made into the deliveries still to make: pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

from runner.errors import Fault
from runner.manifest.history import Attempt, History, Known, Ledger
from runner.model import (
    MAX_RECIPIENTS,
    Delivery,
    Direct,
    Filtered,
    InThread,
    InThreads,
    Message,
    NoRecipients,
    Result,
    Status,
)
from runner.plan.objections import PlannedMessage, Rules, find_objections, find_policy_breaches

__all__ = ["Plan", "PlannedMessage", "Rules", "batches", "build_plan", "result_of"]

LATE = timedelta(days=14)
"""A message first sent so long ago may surprise whoever gets it now."""

Answered = Mapping[str, Sequence[str]]
"""The threads in which Tolokers answered, by the thread that they answered to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What `send` would do. `faults` say what the manifest or the policy does not let pass."""

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
    rules: Rules | None = None,
    is_gone: Callable[[str], bool] = lambda _: False,
    answered: Answered | None = None,
) -> Plan:
    """Plan each message against the manifest.

    `now` is aware UTC. `is_gone` tells whether a message id of the manifest has no file any more.
    `answered` is None where Toloka has not been asked.
    """
    ledger = Ledger(history)
    planned: list[PlannedMessage] = []
    faults: list[tuple[Message, Fault]] = []
    for _, group in groupby(messages, key=lambda each: (each.id, each.revision)):
        one = _plan_spec(tuple(group), ledger, now, rules or Rules(), answered)
        planned.append(one)
        found = (
            *find_objections(one, ledger, is_gone),
            *find_policy_breaches(one, rules or Rules()),
        )
        faults += [(one.message, fault) for fault in found]
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
        action=message.action,
        select_type=recipients.select_type,
        recipients_ids=recipients.ids if isinstance(recipients, Direct) else None,
        digest=message.digest,
        headline=message.headline,
        topic=message.topic,
        recipients_filter=recipients.tree if isinstance(recipients, Filtered) else None,
        thread_id=recipients.thread_id if isinstance(recipients, InThread) else thread_id,
        delivery=delivery_id,
        error=error,
    )


def batches(message: Message, ids: Sequence[str]) -> tuple[Delivery, ...]:
    """Cut recipients into deliveries of at most 100, the last one smaller."""
    return tuple(
        Delivery(message=message, recipients=Direct(tuple(ids[start : start + MAX_RECIPIENTS])))
        for start in range(0, len(ids), MAX_RECIPIENTS)
    )


def _plan_spec(
    messages: tuple[Message, ...],
    ledger: Ledger,
    now: datetime,
    rules: Rules,
    answered: Answered | None,
) -> PlannedMessage:
    deliveries: list[Delivery] = []
    settled: list[Result] = []
    known = ledger.known[messages[0].id, messages[0].revision]
    for message in messages:
        settled += _find_settled(message, known)
        due = _find_due(message, ledger, known, answered)
        held = _held_back(message, now)
        if held:
            status, reason = held
            settled += [result_of(each, status, error=reason) for each in due]
            continue
        settled += _find_waiting(message, known, due, answered)
        kept, left_out = _without_suppressed(due, ledger, rules)
        deliveries += kept
        settled += left_out
    is_late = known.first_at is not None and now - known.first_at > LATE and bool(deliveries)
    return PlannedMessage(
        messages=messages,
        deliveries=tuple(deliveries),
        settled=tuple(settled),
        late_since=known.first_at if is_late else None,
        unguarded=0 if any(each.people for each in deliveries) else len(rules.suppressed),
    )


def _held_back(message: Message, now: datetime) -> tuple[Status, str] | None:
    if message.draft:
        return "draft", "it is marked as a draft"
    if message.not_before and now < message.not_before:
        return "outside_window", f"not before {message.not_before:%Y-%m-%dT%H:%M:%SZ}"
    if message.not_after and now > message.not_after:
        return "outside_window", f"not after {message.not_after:%Y-%m-%dT%H:%M:%SZ}"
    return None


def _find_due(
    message: Message, ledger: Ledger, known: Known, answered: Answered | None
) -> list[Delivery]:
    """What is neither reached, nor finally without recipients, nor in doubt."""
    recipients = message.recipients
    if isinstance(recipients, Direct):
        ids = [toloker for toloker in recipients.ids if toloker not in known.by_key]
        return list(batches(message, ids))
    if isinstance(recipients, (InThread, InThreads)):
        threads = _reply_threads(recipients, ledger, answered)
        return [
            Delivery(message=message, recipients=InThread(thread))
            for thread in threads
            if thread not in known.by_key
        ]
    return [] if known.by_key else [Delivery(message=message, recipients=recipients)]


def _reply_threads(
    recipients: InThread | InThreads, ledger: Ledger, answered: Answered | None
) -> Sequence[str]:
    if isinstance(recipients, InThread):
        return (recipients.thread_id,)
    threads = ledger.threads.get(recipients.message, [])
    if not recipients.only_answered:
        return threads
    return [child for thread in threads for child in (answered or {}).get(thread, ())]


def _find_waiting(
    message: Message, known: Known, due: Sequence[Delivery], answered: Answered | None
) -> Iterator[Result]:
    """A reply that has no thread to go into yet."""
    recipients = message.recipients
    if not isinstance(recipients, InThreads) or due:
        return
    if recipients.only_answered and answered is None:
        reason = f"only Toloka can tell who answered {recipients.message}"
    elif known.by_key:
        return
    elif recipients.only_answered:
        reason = f"nobody has answered {recipients.message} yet"
    else:
        reason = f"{recipients.message} has no threads yet"
    yield result_of(Delivery(message=message, recipients=recipients), "waiting", error=reason)


def _without_suppressed(
    due: Sequence[Delivery], ledger: Ledger, rules: Rules
) -> tuple[list[Delivery], list[Result]]:
    """Leave out who is on the suppression list, or was when the message went out."""
    kept: list[Delivery] = []
    left_out: list[Result] = []
    for delivery in due:
        message = delivery.message
        before = ledger.history.suppressed.get((message.id, message.revision), frozenset())
        out = tuple(each for each in delivery.people if each in rules.suppressed or each in before)
        if not out:
            kept.append(delivery)
            continue
        part = replace(delivery, recipients=Direct(out))
        left_out.append(result_of(part, "suppressed", error="on the suppression list"))
        rest = tuple(each for each in delivery.people if each not in out)
        kept += [replace(delivery, recipients=Direct(rest))] if rest else []
    return kept, left_out


def _find_settled(message: Message, known: Known) -> Iterator[Result]:
    """Report the attempts that concern today's recipients, each Toloker or thread once."""
    recipients = message.recipients
    wanted: Iterable[str | None] = known.by_key
    if isinstance(recipients, Direct):
        wanted = recipients.ids
    elif isinstance(recipients, InThread):
        wanted = (recipients.thread_id,)
    groups: dict[str, list[str]] = defaultdict(list)
    attempts: dict[str, Attempt] = {}
    for key in wanted:
        attempt = known.by_key.get(key)
        if attempt is not None:
            attempts[attempt.delivery] = attempt
            groups[attempt.delivery].append(key or "")
    for delivery, attempt in attempts.items():
        yield Result(
            message=message.id,
            revision=message.revision,
            source=message.source,
            status=_settled_status(attempt, message),
            action=message.action,
            select_type=recipients.select_type,
            recipients_ids=tuple(groups[delivery]) if isinstance(recipients, Direct) else None,
            digest=attempt.digest,
            headline=message.headline,
            topic=message.topic,
            recipients_filter=recipients.tree if isinstance(recipients, Filtered) else None,
            thread_id=attempt.thread_id or attempt.in_thread,
            delivery=delivery,
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
