"""What a manifest knows: who got what. Small rows for all, values and indexes where one asks."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from runner import clock
from runner.manifest.attempts import Attempt, Identity, Pending, Row
from runner.model import Content, NoRecipients, Sent, Thread, compared_as
from runner.toloka.anchor import BEGINNING, Anchor
from runner.toloka.digest import short

_WORD = re.compile(r"[^ ]+")


@dataclass(frozen=True)
class History:
    """What a manifest knows at one moment. Each index is built when it is first asked for."""

    rows: Mapping[str, Row] = field(default_factory=dict, repr=False)
    """By delivery id, in the order in which they were made, tests left out."""
    tests: Mapping[str, Row] = field(default_factory=dict, repr=False)
    """They claim their threads, and change nobody's state."""
    topics: Mapping[Identity, str] = field(default_factory=dict, repr=False)
    """The mark of the topic of each message and revision, or of its first row."""
    pending: Mapping[str, Pending] = field(default_factory=dict, repr=False)
    """The intents that are looked for, tests included, in the order in which they were made."""
    doubts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The threads that put a delivery in doubt."""
    doubted: frozenset[tuple[str, Identity]] = frozenset()
    """The threads that were in doubt for a message, whatever somebody said of them since."""
    resolved: frozenset[str] = frozenset()
    """Deliveries of which a person said what became: no look has to show their threads."""
    cursor: Anchor | None = None
    """Where the next look begins; None where lines were lost, or there was no look."""
    is_whole: bool = True
    """Whether the last look was whole, and the last run has its end."""
    is_shown: bool = False
    """Whether Toloka's list has shown a thread that this account composed."""
    remembered: tuple[str, ...] = field(default=(), repr=False)
    suppressed: Mapping[Identity, frozenset[str]] = field(default_factory=dict)
    """The Tolokers who were left out of a message and revision for good."""
    held: Mapping[Identity, int] = field(default_factory=dict)
    """How many Tolokers a message and revision has not gone to, because of a limit."""
    folders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The folders that threads were put into, by thread id."""
    contents: Mapping[str, Content] = field(default_factory=dict, repr=False)
    """What digests stand for."""
    row_contents: Sequence[tuple[str, Content]] = field(default=(), repr=False)
    """The same for the rows of a message: which ones, and what they were put into."""
    target: str | None = None
    account: str | None = None
    acts_under: str | None = None
    """The shared account that is acted under."""
    being_sent: frozenset[str] = frozenset()
    """The deliveries that a run on another machine is about to make, or to tell of."""
    stopped: str | None = None
    """Who has stopped all sending, when and why."""
    facts: int = field(default=0, compare=False)
    _reached: dict[Identity, Mapping[str | None, Attempt]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def attempts(self) -> tuple[Attempt, ...]:
        """All attempts: many, where the manifest is long."""
        return tuple(map(self._attempt, self.rows))

    @cached_property
    def unknown(self) -> tuple[Attempt, ...]:
        """The attempts whose outcome is unknown or in doubt, tests left out."""
        return tuple(
            self._attempt(each)
            for each, row in self.rows.items()
            if row.outcome is None and each not in self.being_sent
        )

    @cached_property
    def open(self) -> tuple[Attempt, ...]:
        """The attempts that are looked for, tests included, in the order of their intents."""
        return tuple(map(self._attempt, self.pending))

    def is_in_doubt(self, delivery: str) -> bool:
        """Whether a thread that nobody claims may be a delivery's. A reply's own thread is no claim."""
        threads = self.doubts.get(delivery, ())
        row = self.rows.get(delivery) or self.tests[delivery]
        return any(row.kind.action == "reply" or each not in self.thread_ids for each in threads)

    @property
    def has_gap(self) -> bool:
        """Whether lines may be missing: what is sent may have been sent before."""
        return self.cursor is None or not self.is_whole

    @cached_property
    def must_show(self) -> Mapping[str, datetime | None]:
        """The threads that an answer or a look gave, and when they were made by Toloka's clock."""
        rows = {**self.rows, **self.tests} if self.resolved else {}
        told = {rows[each].outcome for each in self.resolved if each in rows}
        return {thread: made for thread, made in self.made.items() if thread not in told}

    @cached_property
    def replies(self) -> Mapping[str, Sequence[str]]:
        """The digests of the replies that were sent, by thread."""
        found: dict[str, list[str]] = defaultdict(list)
        for row in self.rows.values():
            if row.kind.action == "reply" and isinstance(row.outcome, str):
                found[str(row.whom)].append(row.digest)
        return dict(found)

    @property
    def rest(self) -> Iterator[tuple[str, str]]:
        """Threads of ours that no delivery claimed when they were seen, with their marks."""
        for line in self.remembered:
            for each in _WORD.finditer(line):
                thread, _, marks = each[0].partition(":")
                yield thread, marks

    @cached_property
    def first_revisions(self) -> Mapping[str, int]:
        """The lowest revision of each message that was tried."""
        # Of each message, the lowest comes last, and stays.
        return dict(sorted(self.by_identity, reverse=True))

    @cached_property
    def made(self) -> Mapping[str, datetime | None]:
        """Every thread that some compose claims, those of tests included, and when it was made."""
        return {
            row.outcome: row.created
            for rows in (self.rows, self.tests)
            for row in rows.values()
            if isinstance(row.outcome, str) and row.kind.action == "compose"
        }

    @property
    def thread_ids(self) -> Set[str]:
        """Every thread that some compose claims."""
        return self.made.keys()

    def attempts_of(self, identity: Identity) -> Iterator[Attempt]:
        """The attempts of one message and revision."""
        return map(self._attempt, self.by_identity.get(identity, ()))

    def reached(self, identity: Identity) -> Mapping[str | None, Attempt]:
        """The attempt that counts for a message and revision, by key.

        A key is a Toloker, the thread of a reply, or None for a whole filter. What was sent counts
        more than what is in doubt.
        """
        if identity in self._reached:
            return self._reached[identity]
        found: dict[str | None, Attempt] = {}
        for delivery in self.by_identity.get(identity, ()):
            row = self.rows[delivery]
            if not row.counts:
                continue
            attempt = self._attempt(delivery)
            for key in row.keys:
                if key not in found or (found[key].is_unknown and row.outcome is not None):
                    found[key] = attempt
        self._reached[identity] = found
        return found

    def tried_since(self, moment: datetime, *, to_all: bool) -> Sequence[datetime]:
        """When messages to ALL, or those to others, were sent since then, or perhaps sent."""
        times = self._tried_at[to_all]
        return times[bisect_right(times, moment) :]

    @cached_property
    def _tried_at(self) -> Mapping[bool, Sequence[datetime]]:
        """When messages to ALL, and those to others, were sent, or perhaps sent."""
        found: dict[bool, list[datetime]] = {True: [], False: []}
        for row in self.rows.values():
            if row.counts and row.kind.action == "compose":
                found[row.kind.select_type == "ALL"].append(row.at)
        return {to_all: sorted(times) for to_all, times in found.items()}

    def got_since(self, moment: datetime) -> dict[str, list[datetime]]:
        """When each Toloker got a message by id since then, or may have: by our own clock."""
        found: dict[str, list[datetime]] = defaultdict(list)
        for row in self.rows.values():
            if row.at > moment and row.counts and not isinstance(row.outcome, NoRecipients):
                for toloker in row.people:
                    found[compared_as(toloker)].append(row.at)
        return {toloker: sorted(times) for toloker, times in found.items()}

    def find_same(self, digests: Set[str]) -> Mapping[str, Set[Identity]]:
        """Find the messages and revisions that went out, or may have, by short digests of content."""
        found: dict[str, set[Identity]] = defaultdict(set)
        for row in self.rows.values():
            digest = short(row.digest)
            if digest in digests and row.counts:
                found[digest].add(row.kind[:2])
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
    def readers(self) -> Mapping[str, Sequence[str]]:
        """The Tolokers by id to whom each thread was sent."""
        rows = self.rows.values()
        return {
            row.outcome: row.people for row in rows if isinstance(row.outcome, str) and row.people
        }

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
    def by_identity(self) -> Mapping[Identity, Sequence[str]]:
        """The deliveries of each message and revision that was tried."""
        found: dict[Identity, list[str]] = defaultdict(list)
        for delivery, row in self.rows.items():
            found[row.kind[:2]].append(delivery)
        return dict(found)

    def _attempt(self, delivery: str) -> Attempt:
        """Build the value of a row."""
        row = self.rows.get(delivery) or self.tests[delivery]
        kind, outcome = row.kind, row.outcome
        pending = self.pending.get(delivery, Pending(None, BEGINNING, None))
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
            key=row.key,
            select_type=kind.select_type,
            recipients_ids=row.people,
            recipients_filter=row.whom if kind.select_type == "FILTER" else None,
            digest=row.digest,
            at=row.at,
            run=pending.run,
            anchor=pending.anchor,
            place=pending.place,
            was_looked_for=pending.was_looked_for,
            is_being_sent=delivery in self.being_sent,
            outcome=outcome,
        )
