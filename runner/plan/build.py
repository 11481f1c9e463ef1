"""Messages and what the manifest knows, made into the deliveries still to make: pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import groupby

from runner.manifest.attempts import Attempt
from runner.manifest.history import History
from runner.manifest.told import reason
from runner.model import (
    MAX_RECIPIENTS,
    Delivery,
    Direct,
    InOwnThread,
    InThread,
    Message,
    NoRecipients,
    Recipients,
    Result,
    Status,
    compared_as,
    reached_as,
)
from runner.plan.limits import Reached, cut, spread
from runner.plan.plan import Held, Plan, PlannedMessage, Policy, result_of
from runner.plan.whom import Answered, Audiences, Whom
from runner.toloka.digest import short

LATE = timedelta(days=14)
"""A message first sent so long ago may surprise whoever gets it now."""


def build_plan(
    messages: Iterable[Message],
    history: History,
    *,
    now: datetime,
    policy: Policy | None = None,
    answered: Answered | None = None,
) -> Plan:
    """Plan each message against the manifest.

    `now` is aware UTC. `answered` is None where Toloka has not been asked.
    """
    known = policy or Policy()
    audiences = Audiences(history, answered)
    planned = tuple(
        _plan_spec(tuple(group), history, now, known, audiences)
        for _, group in groupby(messages, key=lambda each: (each.id, each.revision))
    )
    if known.max_per_toloker is not None:
        planned = tuple(spread(planned, known.max_per_toloker, history, now))
    edges = [
        edge
        for each in planned
        for message in each.messages
        for edge in (message.not_before, message.not_after)
        if edge is not None
    ]
    edges += [each.due_at for each in planned if each.due_at is not None]
    return Plan(
        messages=planned,
        history=history,
        answered=answered,
        changed_at=max((edge for edge in edges if edge <= now), default=None),
        changes_at=min((edge for edge in edges if edge > now), default=None),
    )


def _plan_spec(
    messages: tuple[Message, ...],
    history: History,
    now: datetime,
    policy: Policy,
    audiences: Audiences,
) -> PlannedMessage:
    identity = (messages[0].id, messages[0].revision)
    reached = history.reached(identity)
    held = _held_back(messages[0], now)
    left_out = history.suppressed.get(identity, frozenset())
    sorted_out = _Sorting(history, policy, audiences, reached, held, left_out)
    for message in messages:
        sorted_out.add(message)
    due, over = sorted_out.cut()
    deliveries = () if held else due
    if held is None:
        why = f"`at_most` is {messages[0].at_most}"
        sorted_out.skipped += [result_of(each, "held", error=why) for each in over]
    first_at = min((each.at for each in reached.values() if each.was_sent), default=now)
    return PlannedMessage(
        messages=messages,
        deliveries=deliveries,
        skipped=tuple(sorted_out.skipped),
        held=held,
        later=due if held and held.opens_at else (),
        possible=tuple(sorted_out.possible) if held is None or held.opens_at else (),
        edited=tuple(sorted_out.edited.items()),
        threadless=tuple(sorted_out.faults),
        late_since=first_at if deliveries and now - first_at > LATE else None,
        unguarded=_unguarded(deliveries, policy, audiences) if policy.suppressed else 0,
    )


@dataclass
class _Sorting:
    """The messages of one spec, sorted into what is due, what may be, and what is not.

    `left_out` are the Tolokers who were left out of this revision before, as suppressed.
    """

    history: History
    policy: Policy
    audiences: Audiences
    reached: Reached
    held: Held | None
    left_out: Set[str]
    due: list[Delivery] = field(default_factory=list)
    possible: list[Delivery] = field(default_factory=list)
    skipped: list[Result] = field(default_factory=list)
    edited: dict[str, Message] = field(default_factory=dict)
    faults: list[tuple[Message, str]] = field(default_factory=list)

    def add(self, message: Message) -> None:
        whom = self._whom(message)
        done: list[Result] = []
        if self.reached:
            for each in whom.named:
                done += _find_done(message, each, self.reached, self.history)
            self.edited.update((each.digest, message) for each in done if each.status == "edited")
            self.skipped += done
        due, possible = (
            _find_due(message, some, self.reached) for some in (whom.sure, whom.possible)
        )
        self.possible += self._guarded(possible, [])
        waiting: list[Delivery] = []
        # Toloka's word, or somebody who is not there yet.
        if whom.why and (possible or not done) and not due:
            some = [each.recipients for each in possible if each.people] or [message.recipients]
            waiting = [Delivery(message=message, recipients=each) for each in some]
        if self.held is not None:
            is_early = self.held.status != "missed"
            # Of what has not begun to be sent, nobody is left out yet.
            kept = self._guarded(due, [] if is_early else self.skipped)
            told = (due or waiting) if is_early else kept
            self.skipped += [
                result_of(each, self.held.status, error=self.held.reason) for each in told
            ]
        else:
            kept = self._guarded(due, self.skipped)
            if whom.fault and not done:
                self.faults.append((message, whom.fault))
            self.skipped += [result_of(each, "waiting", error=whom.why) for each in waiting]
        self.due += kept

    def cut(self) -> tuple[tuple[Delivery, ...], Sequence[Delivery]]:
        """What of it may go, and what `at_most` holds back."""
        at_most = self.due[0].message.at_most if self.due else None
        if at_most is None:
            return tuple(self.due), ()
        kept, over = cut(self.due, at_most, self.reached, self.history)
        return tuple(kept), over

    def _whom(self, message: Message) -> Whom:
        recipients = message.recipients
        if isinstance(recipients, InOwnThread):
            thread = self.replied.get(compared_as(recipients.toloker))
            if thread is not None:
                return Whom(named=(InThread(thread),))
            if self._is_suppressed(recipients.toloker):
                # Whatever thread Toloka may tell of: nobody has to ask.
                return Whom((recipients,))
        return self.audiences.find(message)

    @cached_property
    def replied(self) -> Mapping[str, str]:
        """The threads of Tolokers who have been answered by name, by their ids."""
        return {
            compared_as(each.key): each.in_thread
            for each in self.reached.values()
            if each.key and each.in_thread
        }

    def _guarded(self, due: list[Delivery], told: list[Result]) -> list[Delivery]:
        """Keep those whom nothing suppresses; the others are added to `told`.

        A thread that others read too cannot be kept from one of them.
        """
        if not (self.policy.suppressed or self.left_out):
            return due
        kept: list[Delivery] = []
        for delivery in due:
            readers = self.audiences.readers(delivery.recipients)
            out = tuple(filter(self._is_suppressed, readers))
            if not out or (len(out) < len(readers) and not delivery.people):
                kept.append(delivery)
                continue
            left = result_of(delivery, "suppressed", error="on the suppression list")
            told.append(replace(left, recipients_ids=out))
            rest = tuple(each for each in delivery.people if each not in out)
            kept += [replace(delivery, recipients=Direct(rest))] if rest else []
        return kept

    def _is_suppressed(self, toloker: str) -> bool:
        """Whether somebody is on the suppression list, or was when the message went out."""
        asked = compared_as(toloker)
        return asked in self.policy.suppressed or asked in self.left_out


def _held_back(message: Message, now: datetime) -> Held | None:
    if message.draft:
        return Held("draft", "it is marked as a draft")
    if message.not_before and now < message.not_before:
        said = f"not before {message.not_before:%Y-%m-%dT%H:%M:%SZ}"
        return Held("outside_window", said, message.not_before)
    if message.not_after and now > message.not_after:
        return Held("missed", f"not after {message.not_after:%Y-%m-%dT%H:%M:%SZ}")
    return None


def _find_due(message: Message, wanted: Iterable[Recipients], reached: Reached) -> list[Delivery]:
    """What of this is neither reached, nor finally without recipients, nor in doubt."""
    due: list[Recipients] = []
    for recipients in wanted:
        if isinstance(recipients, Direct):
            ids = [each for each in recipients.ids if reached_as(each, message.key) not in reached]
            starts = range(0, len(ids), MAX_RECIPIENTS)
            due += [Direct(tuple(ids[start : start + MAX_RECIPIENTS])) for start in starts]
        elif isinstance(recipients, InThread):
            due += [] if recipients.thread_id in reached else [recipients]
        elif isinstance(recipients, InOwnThread):
            # Whoever was answered by name has a thread by now.
            due.append(recipients)
        else:
            due += [] if reached else [recipients]
    return [Delivery(message=message, recipients=each) for each in due]


def _unguarded(deliveries: Iterable[Delivery], policy: Policy, audiences: Audiences) -> int:
    """How many of the suppression list a filter or a shared thread may reach all the same."""
    found: set[str] = set()
    for delivery in deliveries:
        readers = audiences.readers(delivery.recipients)
        if not readers:
            return len(policy.suppressed)
        if not delivery.people:
            found.update(map(compared_as, readers))
    return len(found & policy.suppressed)


def _find_done(
    message: Message, recipients: Recipients, reached: Reached, history: History
) -> Iterator[Result]:
    """Report the attempts that concern today's recipients, each Toloker or thread once."""
    wanted: Iterable[tuple[str, str | None]] = (("", key) for key in reached)
    if isinstance(recipients, Direct):
        wanted = ((each, reached_as(each, message.key)) for each in recipients.ids)
    elif isinstance(recipients, InThread):
        wanted = (("", recipients.thread_id),)
    groups: dict[str, list[str]] = defaultdict(list)
    attempts: dict[str, Attempt] = {}
    for toloker, key in wanted:
        attempt = reached.get(key)
        if attempt is not None:
            attempts[attempt.delivery] = attempt
            groups[attempt.delivery].append(toloker)
    for delivery, attempt in attempts.items():
        status, why = _state_of(attempt, message, history)
        part = Direct(tuple(groups[delivery])) if isinstance(recipients, Direct) else recipients
        found = Delivery(message=message, recipients=part)
        done = result_of(found, status, delivery_id=delivery, error=why)
        thread_id = attempt.thread_id or attempt.in_thread
        yield replace(done, digest=attempt.digest, thread_id=thread_id, run=attempt.run)


def _state_of(attempt: Attempt, message: Message, history: History) -> tuple[Status, str | None]:
    if attempt.outcome is None:
        is_doubtful = history.is_in_doubt(attempt.delivery)
        if attempt.is_being_sent:
            return "being_sent", f"run {attempt.run} is sending it"
        return "in_doubt" if is_doubtful else "unknown", reason(attempt, history)
    if isinstance(attempt.outcome, NoRecipients):
        return "no_recipients", attempt.outcome.detail
    if short(attempt.digest) == short(message.digest):
        return "already_sent", None
    again = f"`revision: {message.revision + 1}` would do so"
    return "edited", f"who has it is not written to again; {again}"
