"""Messages and what the manifest knows, made into the deliveries still to make: pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby

from runner.errors import Fault
from runner.model import (
    MAX_RECIPIENTS,
    Attempt,
    Delivery,
    Direct,
    Everyone,
    Filtered,
    History,
    InThread,
    InThreads,
    Message,
    NoRecipients,
    Result,
    Status,
)

LATE = timedelta(days=14)
"""A message first sent so long ago may surprise whoever gets it now."""

Identity = tuple[str, int]
"""A message id and its revision."""

Answered = Mapping[str, Sequence[str]]
"""The threads in which Tolokers answered, by the thread that they answered to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the configuration forbids. `suppressed` Tolokers are written to by no DIRECT message."""

    allow_all: bool = True
    max_recipients: int | None = None
    suppressed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMessage:
    """One spec: what would be sent (`deliveries`), and what is settled already (`settled`).

    `messages` is one, or one for each row of its data file. `late_since` is when the message was
    first sent, where that is long ago and it has new recipients.
    """

    messages: tuple[Message, ...]
    deliveries: tuple[Delivery, ...] = ()
    settled: tuple[Result, ...] = ()
    late_since: datetime | None = None

    @property
    def message(self) -> Message:
        """The message, or its first row."""
        return self.messages[0]


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


@dataclass(slots=True)
class _Known:
    """What the manifest knows of one message and revision: the attempt that counts, by key.

    A key is a Toloker, the thread of a reply, or None for a whole filter. What was sent counts
    more than what is in doubt.
    """

    by_key: dict[str | None, Attempt] = field(default_factory=dict)
    types: set[str | None] = field(default_factory=set)
    first_at: datetime | None = None

    def take(self, attempt: Attempt) -> None:
        if not (_is_closed(attempt) or attempt.is_unknown):
            return
        self.types.add(attempt.select_type)
        if attempt.was_sent:
            self.first_at = min(self.first_at or attempt.at, attempt.at)
        for key in _keys(attempt):
            known = self.by_key.get(key)
            if known is None or (known.is_unknown and not attempt.is_unknown):
                self.by_key[key] = attempt


class _Book:
    """The history, indexed for planning."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.known: dict[Identity, _Known] = defaultdict(_Known)
        self.ids_by_content: dict[tuple[str, str | None], set[str]] = defaultdict(set)
        self.threads: dict[str, list[str]] = defaultdict(list)
        for attempt in history.attempts:
            self.known[attempt.message, attempt.revision].take(attempt)
            if _is_closed(attempt):
                for key in _keys(attempt):
                    self.ids_by_content[attempt.digest, key].add(attempt.message)
            if attempt.was_sent and attempt.action == "compose" and attempt.thread_id:
                self.threads[attempt.message].append(attempt.thread_id)


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
    book = _Book(history)
    planned: list[PlannedMessage] = []
    faults: list[tuple[Message, Fault]] = []
    for _, group in groupby(messages, key=lambda each: (each.id, each.revision)):
        one = _plan_spec(tuple(group), book, now, rules or Rules(), answered)
        planned.append(one)
        found = (*_find_faults(one, book, is_gone), *_find_policy(one, rules or Rules()))
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
    book: _Book,
    now: datetime,
    rules: Rules,
    answered: Answered | None,
) -> PlannedMessage:
    deliveries: list[Delivery] = []
    settled: list[Result] = []
    known = book.known[messages[0].id, messages[0].revision]
    for message in messages:
        settled += _find_settled(message, known)
        due = _find_due(message, book, known, answered)
        held = _held_back(message, now)
        if held:
            status, reason = held
            settled += [result_of(each, status, error=reason) for each in due]
            continue
        settled += _find_waiting(message, known, due, answered)
        kept, left_out = _without_suppressed(due, book, rules)
        deliveries += kept
        settled += left_out
    is_late = known.first_at is not None and now - known.first_at > LATE and bool(deliveries)
    return PlannedMessage(
        messages=messages,
        deliveries=tuple(deliveries),
        settled=tuple(settled),
        late_since=known.first_at if is_late else None,
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
    message: Message, book: _Book, known: _Known, answered: Answered | None
) -> list[Delivery]:
    """What is neither reached, nor finally without recipients, nor in doubt."""
    recipients = message.recipients
    if isinstance(recipients, Direct):
        ids = [toloker for toloker in recipients.ids if toloker not in known.by_key]
        return list(batches(message, ids))
    if isinstance(recipients, (InThread, InThreads)):
        threads = _reply_threads(recipients, book, answered)
        return [
            Delivery(message=message, recipients=InThread(thread))
            for thread in threads
            if thread not in known.by_key
        ]
    return [] if known.by_key else [Delivery(message=message, recipients=recipients)]


def _reply_threads(
    recipients: InThread | InThreads, book: _Book, answered: Answered | None
) -> Sequence[str]:
    if isinstance(recipients, InThread):
        return (recipients.thread_id,)
    threads = book.threads.get(recipients.message, [])
    if not recipients.only_answered:
        return threads
    return [child for thread in threads for child in (answered or {}).get(thread, ())]


def _find_waiting(
    message: Message, known: _Known, due: Sequence[Delivery], answered: Answered | None
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
    due: Sequence[Delivery], book: _Book, rules: Rules
) -> tuple[list[Delivery], list[Result]]:
    """Leave out who is on the suppression list, or was when the message went out."""
    kept: list[Delivery] = []
    left_out: list[Result] = []
    for delivery in due:
        message = delivery.message
        before = book.history.suppressed.get((message.id, message.revision), frozenset())
        out = tuple(each for each in delivery.people if each in rules.suppressed or each in before)
        if not out:
            kept.append(delivery)
            continue
        part = replace(delivery, recipients=Direct(out))
        left_out.append(result_of(part, "suppressed", error="on the suppression list"))
        rest = tuple(each for each in delivery.people if each not in out)
        kept += [replace(delivery, recipients=Direct(rest))] if rest else []
    return kept, left_out


def _is_closed(attempt: Attempt) -> bool:
    return attempt.was_sent or isinstance(attempt.outcome, NoRecipients)


def _keys(attempt: Attempt) -> tuple[str | None, ...]:
    if attempt.action == "reply":
        return (attempt.in_thread,)
    return attempt.recipients_ids if attempt.select_type == "DIRECT" else (None,)


def _find_settled(message: Message, known: _Known) -> Iterator[Result]:
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


def _find_faults(
    planned: PlannedMessage, book: _Book, is_gone: Callable[[str], bool]
) -> Iterator[Fault]:
    message = planned.message
    types = book.known[message.id, message.revision].types - {message.recipients.select_type}
    if types:
        before = ", ".join(sorted(each or "a reply" for each in types))
        yield Fault(
            ("recipients_select_type",),
            f"revision {message.revision} of {message.id} went out as {before}, and this is "
            f"{message.recipients.select_type or 'a reply'}",
            f"write `revision: {message.revision + 1}` to send it anew",
        )
    yield from _find_renamed(planned, book, is_gone)
    recipients = message.recipients
    if not isinstance(recipients, InThreads) or recipients.message in book.threads:
        return
    if is_gone(recipients.message):
        what = f'there is no message "{recipients.message}" to reply to'
        yield Fault(("reply_to",), what, "write the id of a message of yours")


def _find_renamed(
    planned: PlannedMessage, book: _Book, is_gone: Callable[[str], bool]
) -> Iterator[Fault]:
    """A renamed file would mail everybody again: the old name has to be kept as `id`."""
    for delivery in planned.deliveries:
        for key in delivery.keys:
            others = book.ids_by_content.get((delivery.message.digest, key), set())
            for other in sorted(others - {delivery.message.id}):
                if is_gone(other):
                    yield Fault(
                        ("id",),
                        f'this went to some of the same people as "{other}", whose file is gone',
                        f"if the file was renamed, write `id: {other}`; "
                        "if it is a new message, change its text",
                    )
                    return


def _find_policy(planned: PlannedMessage, rules: Rules) -> Iterator[Fault]:
    """Say which key of the policy stands in the way of what would be sent."""
    if not planned.deliveries:
        return
    if isinstance(planned.message.recipients, Everyone) and not rules.allow_all:
        yield Fault(
            ("recipients_select_type",),
            "the policy forbids messages to ALL",
            "to allow them, set `policy: {allow_all: true}` in runner.yaml",
        )
    count = sum(len(each.people) for each in planned.deliveries)
    if rules.max_recipients is not None and count > rules.max_recipients:
        yield Fault(
            ("recipients_ids",),
            f"the policy allows {rules.max_recipients:,} recipients a message, and this would "
            f"reach {count:,}",
            f"to allow it, set `policy: {{max_recipients: {count}}}` in runner.yaml",
        )
