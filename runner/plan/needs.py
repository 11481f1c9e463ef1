"""What `send` has to do, besides what is due to be sent: record, file, look, and when: pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from runner.manifest.attempts import Attempt
from runner.manifest.history import History
from runner.model import (
    InOwnThread,
    InThreads,
    Message,
    ReachedBy,
    Result,
    asks_for_answers,
    compared_as,
)
from runner.plan.plan import Plan, PlannedMessage
from runner.plan.quota import fit
from runner.toloka.ids import count_people

Unfiled = tuple[Attempt, tuple[str, ...]]
"""A thread that was sent, and the folders that it is not in yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Whether `send` has anything to do: `is_now`, or (`due_at`) later."""

    is_now: bool = False
    due_at: datetime | None = None

    @property
    def action_needed(self) -> bool:
        return self.is_now or self.due_at is not None


def find_needs(plan: Plan, *, looks: bool, now: datetime) -> Needs:
    """Say whether `send` would send, look, file or record anything, and when.

    `looks` is whether it begins with a look at Toloka's list, as it does for a remote target. That
    look alone is no need, unless the last one may have missed something.
    """
    history = plan.history
    if history.stopped is not None:
        return Needs()
    messages = [message for each in plan.messages for message in each.messages]
    may_lack = looks and bool(history.rows) and history.has_gap
    fits = fit(plan.deliveries, history, now)
    is_now = bool(fits.today or history.pending or may_lack)
    is_now = is_now or any(_waits(each, history) for each in plan.messages)
    is_now = is_now or bool(find_unrecorded(plan) or find_unheld(plan))
    if is_now or find_unfiled(messages, history):
        return Needs(is_now=True)
    times = [each.held.opens_at for each in plan.messages if each.held and _will_send(each)]
    times += [fits.due_at, *(each.due_at for each in plan.messages)]
    return Needs(due_at=min(filter(None, times), default=None))


def find_unrecorded(plan: Plan) -> list[tuple[Message, tuple[str, ...]]]:
    """Find who is suppressed, so that taking them off the list releases no old mail."""
    found = []
    for planned in plan.messages:
        message = planned.message
        before = plan.history.suppressed.get((message.id, message.revision), frozenset())
        ids = {
            toloker: None
            for result in planned.skipped
            if result.status == "suppressed"
            for toloker in result.recipients_ids or ()
            if compared_as(toloker) not in before
        }
        if ids:
            found.append((message, tuple(ids)))
    return found


def find_unheld(plan: Plan) -> list[tuple[Message, int]]:
    """Find how many Tolokers limits hold back now, where the manifest says another number."""
    counts = [
        (planned.message, _count_held(held))
        for planned in plan.messages
        if planned.held is None
        for held in [planned.skipped_by_status.get("held", ())]
    ]
    known = plan.history.held
    return [each for each in counts if each[1] != known.get((each[0].id, each[0].revision), 0)]


def _count_held(held: Sequence[Result]) -> int:
    """How many Tolokers, or threads of whose readers nothing is known."""
    named = [each.recipients_ids for each in held]
    return count_people(named) + sum(not ids for ids in named)


def find_unfiled(messages: Iterable[Message], history: History) -> list[Unfiled]:
    """Find the threads that were sent and are not yet in the folders that their messages name."""
    wanted = {(each.id, each.revision): each.folders for each in messages if each.folders}
    found = []
    for identity, folders in wanted.items():
        for attempt in history.attempts_of(identity):
            known = history.folders.get(attempt.thread_id or "", ())
            missing = tuple(folder for folder in folders if folder not in known)
            if attempt.was_sent and missing:
                found.append((attempt, missing))
    return found


def _waits(planned: PlannedMessage, history: History) -> bool:
    """Whether only Toloka can tell what there is to send: who answered, now or by and by."""
    recipients = planned.message.recipients
    if planned.held or not asks_for_answers(recipients):
        return False
    wants_answers = isinstance(recipients, InThreads) or (
        isinstance(recipients, ReachedBy) and recipients.answered is True
    )
    return bool(planned.possible) or (wants_answers and recipients.message in history.threads)


def _will_send(planned: PlannedMessage) -> bool:
    """Whether there may be something to send once its window opens."""
    return bool(planned.later) or isinstance(
        planned.message.recipients, (InThreads, InOwnThread, ReachedBy)
    )
