"""What a plan holds, and what became of a delivery: values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, NamedTuple, get_args

from runner.manifest.history import History
from runner.model import (
    Delivery,
    Direct,
    Filtered,
    InThread,
    Message,
    Result,
    Status,
    asks_for_answers,
)
from runner.plan.whom import Answered
from runner.wording import plural

Key = tuple[str, int, str | None]
"""Message id, revision, and a Toloker, a thread, or None for a whole filter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerToloker:
    """How many messages a Toloker may get in so many days; one more is refused, or goes later."""

    messages: int
    days: int
    over: Literal["refuse", "later"] = "refuse"

    def __str__(self) -> str:
        return f"a Toloker {plural(self.messages, 'message')} in {plural(self.days, 'day')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the configuration forbids.

    `suppressed` Tolokers, case folded, are not written to, but by a filter or with others in a
    thread; `reviewed` is the branch
    of the remote that has to have every file. `max_refused` refusals stop a run.
    """

    allow_all: bool = True
    allow_filter: bool | Literal["limited"] = True
    max_recipients: int | None = None
    max_recipients_per_run: int | None = None
    max_per_toloker: PerToloker | None = None
    max_refused: int | None = None
    suppressed: frozenset[str] = frozenset()
    reviewed: str | None = None


Change = Literal["send", "perhaps", "later", "edited", "doubt", "stands"]
"""What `send` would make of a message, in the order in which it is shown; `stands` needs no look."""

_TO_COME = frozenset({"waiting", "outside_window"})
_IN_DOUBT = frozenset({"unknown", "in_doubt", "being_sent"})


class Held(NamedTuple):
    """Why nothing of a message is sent now; `opens_at` is when its window begins."""

    status: Status
    reason: str
    opens_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMessage:
    """One spec: what would be sent (`deliveries`), and what needs no sending (`skipped`).

    `messages` is one, or one for each row of its data file. `held` says why nothing is sent now,
    and `later` is what would be sent if its window had begun. `edited` are the digests that were
    sent, each with the message that it would be now. `possible` is what may be sent, now or in its
    window, as soon as Toloka has told who answered; `threadless` are the rows whose Toloker has no thread for them, or
    several. `crowded` are the Tolokers who
    would get more than the policy allows, and `due_at` is when the first goes of whom it holds
    back. `late_since` is when the message was
    first sent, where that is long ago and it has new recipients. `unguarded` is how many Tolokers
    the suppression list cannot be kept from it: by a filter, or with others in a thread.
    """

    messages: tuple[Message, ...]
    deliveries: tuple[Delivery, ...] = ()
    skipped: tuple[Result, ...] = ()
    held: Held | None = None
    later: tuple[Delivery, ...] = ()
    possible: tuple[Delivery, ...] = ()
    threadless: tuple[tuple[Message, str], ...] = ()
    edited: tuple[tuple[str, Message], ...] = ()
    crowded: tuple[str, ...] = ()
    due_at: datetime | None = None
    late_since: datetime | None = None
    unguarded: int = 0

    @property
    def message(self) -> Message:
        """The message, or its first row."""
        return self.messages[0]

    @property
    def change(self) -> Change:
        """What of it a reviewer has to know first."""
        statuses = {each.status for each in self.skipped}
        if self.deliveries or (self.possible and self.held is None):
            return "send" if self.deliveries else "perhaps"
        if self.possible or self.due_at or statuses & _TO_COME:
            return "later"
        if self.edited:
            return "edited"
        return "doubt" if statuses & _IN_DOUBT else "stands"

    @property
    def sure(self) -> tuple[Delivery, ...]:
        """What would be sent, now or as soon as its window opens, whatever Toloka tells."""
        return self.deliveries or self.later

    @property
    def people(self) -> tuple[str, ...]:
        """Every Toloker to whom it would go, where they are named."""
        return tuple(toloker for each in self.deliveries for toloker in each.people)

    @property
    def candidates(self) -> tuple[str, ...]:
        """Every Toloker to whom it may go, as soon as Toloka has told who answered."""
        return tuple(toloker for each in self.possible for toloker in each.people)

    @property
    def skipped_by_status(self) -> dict[Status, list[Result]]:
        """What needs no sending, grouped."""
        groups: dict[Status, list[Result]] = {}
        for result in self.skipped:
            groups.setdefault(result.status, []).append(result)
        return groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What `send` would do, from what was known: the manifest's history, and who answered.

    `answered` is None where Toloka was not asked; `changed_at` and `changes_at` are the last and
    the next time at which a message begins or stops to be sent.
    """

    messages: tuple[PlannedMessage, ...]
    history: History = field(default_factory=History)
    answered: Answered | None = None
    changed_at: datetime | None = None
    changes_at: datetime | None = None

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """Everything that would be sent, in the order of the messages."""
        return tuple(delivery for each in self.messages for delivery in each.deliveries)

    @property
    def skipped(self) -> tuple[Result, ...]:
        """Everything that needs no sending, with its reason."""
        return tuple(result for each in self.messages for result in each.skipped)

    @property
    def changes_first(self) -> tuple[PlannedMessage, ...]:
        """The messages as they are shown: what is sent first, and what stands as it is last."""
        order = get_args(Change)
        return tuple(sorted(self.messages, key=lambda each: order.index(each.change)))

    @property
    def results(self) -> tuple[Result, ...]:
        """What the dry run comes to."""
        return (*self.skipped, *(result_of(each, "planned") for each in self.deliveries))

    def still_holds(self, facts: int, answered: Answered | None, now: datetime) -> bool:
        """Whether planning the same messages again, by so many facts, would come to the same."""
        is_later = self.changes_at is not None and now >= self.changes_at
        # Toloka's clock may be behind ours.
        is_earlier = self.changed_at is not None and now < self.changed_at
        if facts != self.history.facts or is_later or is_earlier:
            return False
        return answered == self.answered or not any(
            asks_for_answers(message.recipients)
            for each in self.messages
            for message in each.messages
        )


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
        key=message.key,
        headline=message.headline,
        topic=message.topic,
        recipients_filter=recipients.tree if isinstance(recipients, Filtered) else None,
        thread_id=recipients.thread_id if isinstance(recipients, InThread) else thread_id,
        delivery=delivery_id,
        error=error,
    )


def keys_of(delivery: Delivery) -> set[Key]:
    """What a delivery reaches at most once."""
    return {(delivery.message.id, delivery.message.revision, key) for key in delivery.keys}


def narrowed(delivery: Delivery, keys: set[Key]) -> Delivery | None:
    """The part of a delivery that reaches these keys; None for no part."""
    if not keys:
        return None
    if not delivery.people or len(keys) == len(delivery.people):
        return delivery
    wanted = {key for _, _, key in keys}
    ids = tuple(
        each for each, key in zip(delivery.people, delivery.keys, strict=True) if key in wanted
    )
    return replace(delivery, recipients=Direct(ids))
