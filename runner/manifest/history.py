"""What a manifest knows: attempts in order, and who got what, indexed once, where it is asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from runner.model import Action, NoRecipients, Rejected, SelectType, Sent

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
    """`at` by Toloka's clock, where the run that wrote it knew."""
    is_test: bool = False
    outcome: Settled | None = None

    @property
    def is_unknown(self) -> bool:
        return self.outcome is None

    @property
    def was_sent(self) -> bool:
        return isinstance(self.outcome, Sent)

    @property
    def counts(self) -> bool:
        """Whether it keeps its recipients from being written to: sent, in doubt, or nobody there."""
        return self.outcome is None or isinstance(self.outcome, (Sent, NoRecipients))

    @property
    def thread_id(self) -> str | None:
        return self.outcome.thread.id if isinstance(self.outcome, Sent) else None

    @property
    def keys(self) -> tuple[str | None, ...]:
        """What it is about: Tolokers, the thread of a reply, or None for a whole filter."""
        if self.action == "reply":
            return (self.in_thread,)
        return self.recipients_ids if self.select_type == "DIRECT" else (None,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A thread of ours on Toloka's list that no delivery claimed then: somebody's, or forgotten."""

    thread_id: str
    created: str
    digest: str
    select_type: str
    recipients_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class History:
    """What a manifest knows at one moment. Each index is built when it is first asked for."""

    attempts: tuple[Attempt, ...] = ()
    """In the order in which they were made, tests left out."""
    tests: tuple[Attempt, ...] = ()
    """They claim their threads, and change nobody's state."""
    suppressed: Mapping[Identity, frozenset[str]] = field(default_factory=dict)
    """The Tolokers who were left out of a message and revision for good."""
    folders: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The folders that threads were put into, by thread id."""
    seen: tuple[Seen, ...] = ()
    """What catching up saw and could not give to any message then."""
    target: str | None = None
    account: str | None = None

    @cached_property
    def unknown(self) -> tuple[Attempt, ...]:
        """The attempts in doubt."""
        return tuple(each for each in self.attempts if each.outcome is None)

    @cached_property
    def thread_ids(self) -> frozenset[str]:
        """Every thread that some compose claims, those of tests included."""
        return frozenset(
            each.outcome.thread.id
            for attempts in (self.attempts, self.tests)
            for each in attempts
            if isinstance(each.outcome, Sent) and each.action == "compose"
        )

    @cached_property
    def reached(self) -> Mapping[Identity, Mapping[str | None, Attempt]]:
        """The attempt that counts, by message and revision, and then by key.

        A key is a Toloker, the thread of a reply, or None for a whole filter. What was sent counts
        more than what is in doubt.
        """
        found: dict[Identity, dict[str | None, Attempt]] = defaultdict(dict)
        for attempt in self.attempts:
            if attempt.counts:
                known = found[attempt.message, attempt.revision]
                for key in attempt.keys:
                    if key not in known or (known[key].is_unknown and not attempt.is_unknown):
                        known[key] = attempt
        return dict(found)

    @cached_property
    def by_digest(self) -> Mapping[str, frozenset[Identity]]:
        """The messages and revisions that went out, or may have, with some content."""
        found: dict[str, set[Identity]] = defaultdict(set)
        for attempt in self.attempts:
            if attempt.counts:
                found[attempt.digest].add((attempt.message, attempt.revision))
        return {digest: frozenset(identities) for digest, identities in found.items()}

    @cached_property
    def threads(self) -> Mapping[str, tuple[str, ...]]:
        """The threads that a message made, in all of its revisions, by message id."""
        found: dict[str, list[str]] = defaultdict(list)
        for attempt in self.attempts:
            if attempt.action == "compose" and attempt.thread_id:
                found[attempt.message].append(attempt.thread_id)
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
