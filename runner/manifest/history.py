"""What a manifest knows: who got what. Small rows for all, values and indexes where one asks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple, cast

from runner import clock
from runner.model import Action, NoRecipients, Rejected, SelectType, Sent, Thread

Identity = tuple[str, int]
"""A message id and its revision."""


@dataclass(frozen=True, slots=True)
class NotFound:
    """Looked for on Toloka's list, and not there: it may be tried again."""


Settled = Sent | Rejected | NoRecipients | NotFound
"""An outcome that the manifest can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One intent in the manifest with its outcome; `outcome` None is unknown."""

    delivery: str
    message: str
    revision: int
    source: str
    select_type: SelectType | None
    recipients_ids: tuple[str, ...]
    digest: str
    at: datetime
    recipients_filter: object = None
    action: Action = "compose"
    in_thread: str | None = None
    """The thread that a reply goes into."""
    server_at: datetime | None = None
    """`at` by Toloka's clock, where the run that wrote it knew, as long as it is in doubt."""
    outcome: Settled | None = None

    @property
    def is_unknown(self) -> bool:
        return self.outcome is None

    @property
    def was_sent(self) -> bool:
        return isinstance(self.outcome, Sent)

    @property
    def thread_id(self) -> str | None:
        return self.outcome.thread.id if isinstance(self.outcome, Sent) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A thread of ours on Toloka's list that no delivery claimed then: somebody's, or forgotten."""

    thread_id: str
    created: str
    digest: str
    select_type: str
    recipients_ids: tuple[str, ...] = ()


class Kind(NamedTuple):
    """What the deliveries of one message have in common."""

    message: str
    revision: int
    source: str
    action: Action
    select_type: SelectType | None


class Row(NamedTuple):
    """One delivery, kept small: a manifest may hold hundreds of thousands."""

    kind: Kind
    whom: object
    """A Toloker, or several; the thread of a reply; or the tree of a filter."""
    digest: str
    at: datetime
    outcome: str | Settled | None = None
    """The thread where it was sent; else what became of it, or None for unknown."""
    created: datetime | None = None

    @property
    def counts(self) -> bool:
        """Whether it keeps its recipients from being written to: sent, in doubt, or nobody there."""
        return not isinstance(self.outcome, (Rejected, NotFound))

    @property
    def keys(self) -> tuple[str | None, ...]:
        """What it is about: Tolokers, the thread of a reply, or None for a whole filter."""
        if isinstance(self.whom, tuple):
            return self.whom
        return (self.whom,) if isinstance(self.whom, str) else (None,)


@dataclass(frozen=True)
class History:
    """What a manifest knows at one moment. Each index is built when it is first asked for."""

    rows: Mapping[str, Row] = field(default_factory=dict, repr=False)
    """By delivery id, in the order in which they were made, tests left out."""
    tests: Mapping[str, Row] = field(default_factory=dict, repr=False)
    """They claim their threads, and change nobody's state."""
    server_at: Mapping[str, datetime] = field(default_factory=dict, repr=False)
    """When deliveries in doubt were tried, by Toloka's clock."""
    suppressed: Mapping[Identity, frozenset[str]] = field(default_factory=dict)
    """The Tolokers who were left out of a message and revision for good."""
    folders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The folders that threads were put into, by thread id."""
    seen: tuple[Seen, ...] = ()
    """What catching up saw and could not give to any message then."""
    target: str | None = None
    account: str | None = None
    _reached: dict[Identity, Mapping[str | None, Attempt]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def attempts(self) -> tuple[Attempt, ...]:
        """All attempts: many, where the manifest is long."""
        return tuple(map(self._attempt, self.rows))

    @cached_property
    def unknown(self) -> tuple[Attempt, ...]:
        """The attempts in doubt."""
        return tuple(self._attempt(each) for each, row in self.rows.items() if row.outcome is None)

    @cached_property
    def thread_ids(self) -> frozenset[str]:
        """Every thread that some compose claims, those of tests included."""
        return frozenset(
            row.outcome
            for rows in (self.rows, self.tests)
            for row in rows.values()
            if isinstance(row.outcome, str) and row.kind.action == "compose"
        )

    def attempts_of(self, identity: Identity) -> Iterator[Attempt]:
        """The attempts of one message and revision."""
        return map(self._attempt, self._by_identity.get(identity, ()))

    def reached(self, identity: Identity) -> Mapping[str | None, Attempt]:
        """The attempt that counts for a message and revision, by key.

        A key is a Toloker, the thread of a reply, or None for a whole filter. What was sent counts
        more than what is in doubt.
        """
        if identity in self._reached:
            return self._reached[identity]
        found: dict[str | None, Attempt] = {}
        for delivery in self._by_identity.get(identity, ()):
            row = self.rows[delivery]
            if not row.counts:
                continue
            attempt = self._attempt(delivery)
            for key in row.keys:
                if key not in found or (found[key].is_unknown and row.outcome is not None):
                    found[key] = attempt
        self._reached[identity] = found
        return found

    def tried_since(self, moment: datetime) -> Counter[SelectType | None]:
        """How many composes there were since then, by select type: sent, or perhaps sent."""
        return Counter(
            row.kind.select_type
            for row in self.rows.values()
            if row.at > moment and row.counts and row.kind.action == "compose"
        )

    @cached_property
    def by_digest(self) -> Mapping[str, tuple[Identity, ...]]:
        """The messages and revisions that went out, or may have, with some content."""
        found: dict[str, tuple[Identity, ...]] = {}
        # Personal letters have a digest each: one tuple does for all of a message.
        alone = {identity: (identity,) for identity in self._by_identity}
        for row in self.rows.values():
            if row.counts:
                identity = row.kind[:2]
                known = found.setdefault(row.digest, alone[identity])
                if identity not in known:
                    found[row.digest] = (*known, identity)
        return found

    @cached_property
    def threads(self) -> Mapping[str, tuple[str, ...]]:
        """The threads that a message made, in all of its revisions, by message id."""
        found: dict[str, list[str]] = defaultdict(list)
        for row in self.rows.values():
            if row.kind.action == "compose" and isinstance(row.outcome, str):
                found[row.kind.message].append(row.outcome)
        return {message: tuple(ids) for message, ids in found.items()}

    @cached_property
    def by_thread(self) -> Mapping[str, Attempt]:
        """The attempt that began each thread; a reply only where nothing else of ours did."""
        found: dict[str, Attempt] = {}
        for attempt in self.attempts:
            thread = attempt.thread_id
            if thread and (attempt.action == "compose" or thread not in found):
                found[thread] = attempt
        return found

    @cached_property
    def _by_identity(self) -> Mapping[Identity, Sequence[str]]:
        found: dict[Identity, list[str]] = defaultdict(list)
        for delivery, row in self.rows.items():
            found[row.kind[:2]].append(delivery)
        return dict(found)

    def _attempt(self, delivery: str) -> Attempt:
        """Build the value of a row."""
        row = self.rows[delivery]
        kind, outcome = row.kind, row.outcome
        if isinstance(outcome, str):
            created = clock.written(row.created) if row.created else ""
            outcome = Sent(Thread(id=outcome, created=created))
        return Attempt(
            delivery=delivery,
            message=kind.message,
            revision=kind.revision,
            source=kind.source,
            action=kind.action,
            in_thread=row.keys[0] if kind.action == "reply" else None,
            select_type=kind.select_type,
            recipients_ids=cast("tuple[str, ...]", row.keys)
            if kind.select_type == "DIRECT"
            else (),
            recipients_filter=row.whom if kind.select_type == "FILTER" else None,
            digest=row.digest,
            at=row.at,
            server_at=self.server_at.get(delivery),
            outcome=outcome,
        )
