"""What the policy does not let pass, with the key that would."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property

from runner.errors import Fault, Pointer
from runner.manifest.attempts import Identity
from runner.model import (
    Delivery,
    Direct,
    Everyone,
    Filtered,
    InThread,
    Message,
    NoRecipients,
    ReachedBy,
    compared_as,
)
from runner.plan.limits import size_of
from runner.plan.plan import Plan, PlannedMessage, Policy
from runner.toloka.digest import short
from runner.toloka.filters import is_limited


def find_breaches(plan: Plan, policy: Policy) -> Iterator[tuple[Message, Fault]]:
    """Say which messages the policy does not let pass."""
    counts, total = _Counts(plan), 0
    for planned in plan.messages:
        if not (planned.sure or planned.possible):
            continue
        message = planned.message
        faults = [*_find_wide(message, policy), *_find_crowded(planned, policy)]
        if policy.max_recipients is not None:
            faults += _find_many(message, counts.reach_of(planned), policy.max_recipients)
        new = sum(counts.new_of(planned).values())
        # What is for later goes in a run of its own.
        total, run = (total, new) if planned.held else (total + new, total + new)
        most = policy.max_recipients_per_run
        if most is not None and new and run > most:
            what = f"the policy allows {most:,} recipients a run, and with this it would be {run:,}"
            hint = f"to allow it, set `policy: {{max_recipients_per_run: {run}}}` in runner.yaml"
            faults.append(Fault(_pointer(message), what, hint))
        yield from ((message, fault) for fault in faults)


def _find_wide(message: Message, policy: Policy) -> Iterator[Fault]:
    if isinstance(message.recipients, Everyone) and not policy.allow_all:
        yield Fault(
            ("recipients_select_type",),
            "the policy forbids messages to ALL",
            "to allow them, set `policy: {allow_all: true}` in runner.yaml",
        )
    if not isinstance(message.recipients, Filtered):
        return
    if policy.allow_filter is False:
        yield Fault(
            ("recipients_select_type",),
            "the policy forbids messages by FILTER",
            "to allow them, set `policy: {allow_filter: true}` in runner.yaml",
        )
    elif policy.allow_filter == "limited" and not is_limited(message.recipients.tree):
        yield Fault(
            ("recipients_filter",),
            "the policy allows a filter only where everybody in it has a skill",
            "add a `skill` condition with a value, joined by `and`; or set "
            "`policy: {allow_filter: true}` in runner.yaml",
        )


def _find_crowded(planned: PlannedMessage, policy: Policy) -> Iterator[Fault]:
    limit = policy.max_per_toloker
    for toloker in planned.crowded[:1] if limit else ():
        rest = len(planned.crowded) - 1
        more = f", and {rest:,} more of its recipients" if rest else ""
        what = f"the policy allows {limit}, and {toloker} would get more{more}"
        hint = "wait, raise `max_per_toloker`, or set its `over: later` in runner.yaml"
        yield Fault(_pointer(planned.message), what, hint)


def _find_many(message: Message, count: int, most: int) -> Iterator[Fault]:
    if count > most:
        yield Fault(
            _pointer(message),
            f"the policy allows {most:,} recipients a message, and this would reach {count:,}",
            f"to allow it, set `policy: {{max_recipients: {count}}}` in runner.yaml",
        )


def _pointer(message: Message) -> Pointer:
    """Where a message says whom it goes to."""
    match message.recipients:
        case ReachedBy():
            return ("recipients_from",)
        case InThread():
            return ("thread_id",)
        case Direct():
            return ("recipients_ids",)
        case _:
            return ("reply_to",)


@dataclass(frozen=True)
class _Counts:
    """Whom messages have reached and would reach: how many Tolokers, by an id or a thread."""

    plan: Plan

    @cached_property
    def _identities(self) -> Mapping[str, Sequence[Identity]]:
        found: dict[str, list[Identity]] = defaultdict(list)
        for identity in self.plan.history.by_identity:
            found[identity[0]].append(identity)
        return found

    @cached_property
    def _planned(self) -> Mapping[str, Sequence[PlannedMessage]]:
        """By id, and by digest, where the words are the same for all."""
        found: dict[str, list[PlannedMessage]] = defaultdict(list)
        for each in self.plan.messages:
            found[each.message.id].append(each)
            if each.message.row is None:
                found[short(each.message.digest)].append(each)
        return found

    @cached_property
    def _same(self) -> Mapping[str, Set[Identity]]:
        """What went out with the words of a message that says the same to all."""
        whole = (each.message.digest for each in self.plan.messages if each.message.row is None)
        return self.plan.history.find_same(set(map(short, whole)))

    def reach_of(self, planned: PlannedMessage) -> int:
        """How many a message reaches, and others with the same words: a list that was cut in two."""
        message = planned.message
        ids = {message.id}
        if message.row is None and isinstance(message.recipients, (Direct, ReachedBy)):
            digest = short(message.digest)
            ids |= {each.message.id for each in self._planned[digest]}
            ids |= {name for name, _ in self._same.get(digest, ())}
        found: dict[str, int] = {}
        for name in ids:
            for other in self._planned[name]:
                found |= self.new_of(other)
            for identity in self._identities.get(name, ()):
                found |= self._reached(identity)
        return sum(found.values())

    def new_of(self, planned: PlannedMessage) -> dict[str, int]:
        """Whom a message would reach, now or later, or may: up to its `at_most`."""
        message = planned.message
        found = self._sizes(planned.sure)
        possible = self._sizes(planned.possible)
        room = sum(possible.values())
        if message.at_most is not None:
            done = self._reached((message.id, message.revision))
            room = message.at_most - sum((found | done).values())
        for each, size in possible.items():
            if each not in found and room > 0:
                found[each] = min(size, room)
                room -= size
        return found

    def _sizes(self, deliveries: Sequence[Delivery]) -> dict[str, int]:
        """How many each Toloker, or thread, of these stands for."""
        found: dict[str, int] = {}
        for delivery in deliveries:
            if delivery.message.action == "reply":
                thread = str(delivery.keys[0])
                found[thread] = size_of(thread, self.plan.history)
            found |= dict.fromkeys(map(compared_as, delivery.people), 1)
        return found

    def _reached(self, identity: Identity) -> dict[str, int]:
        history = self.plan.history
        return {
            key.partition(" ")[0]: size_of(key, history) if attempt.action == "reply" else 1
            for key, attempt in history.reached(identity).items()
            if key and not isinstance(attempt.outcome, NoRecipients)
        }
