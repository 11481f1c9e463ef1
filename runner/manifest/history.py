"""What a manifest knows: attempts in order, and who got what, indexed for planning."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from runner.model import Action, NoRecipients, Rejected, SelectType, Sent


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
    def thread_id(self) -> str | None:
        return self.outcome.thread.id if isinstance(self.outcome, Sent) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A thread of ours on Toloka's list that no delivery claims: somebody's, or forgotten."""

    thread_id: str
    created: str
    digest: str
    select_type: str
    recipients_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """What a manifest knows: attempts in the order in which they were made, without tests."""

    attempts: tuple[Attempt, ...] = ()
    thread_ids: frozenset[str] = frozenset()
    """Every thread that some delivery claims, tests included."""
    suppressed: Mapping[tuple[str, int], frozenset[str]] = field(default_factory=dict)
    """The Tolokers who were left out of a message and revision for good."""
    folders: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The folders that threads were put into, by thread id."""
    seen: tuple[Seen, ...] = ()
    """What catching up saw and could not give to any message yet."""
    target: str | None = None
    account: str | None = None


Identity = tuple[str, int]
"""A message id and its revision."""


@dataclass(slots=True)
class Known:
    """What the manifest knows of one message and revision: the attempt that counts, by key.

    A key is a Toloker, the thread of a reply, or None for a whole filter. What was sent counts
    more than what is in doubt.
    """

    by_key: dict[str | None, Attempt] = field(default_factory=dict)
    types: set[str | None] = field(default_factory=set)
    first_at: datetime | None = None

    def take(self, attempt: Attempt) -> None:
        """Take in one more attempt."""
        if not (is_closed(attempt) or attempt.is_unknown):
            return
        self.types.add(attempt.select_type)
        if attempt.was_sent:
            self.first_at = min(self.first_at or attempt.at, attempt.at)
        for key in keys_of(attempt):
            known = self.by_key.get(key)
            if known is None or (known.is_unknown and not attempt.is_unknown):
                self.by_key[key] = attempt


class Ledger:
    """The history, indexed for planning."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.known: dict[Identity, Known] = defaultdict(Known)
        self.ids_by_content: dict[tuple[str, str | None], set[str]] = defaultdict(set)
        self.threads: dict[str, list[str]] = defaultdict(list)
        for attempt in history.attempts:
            self.known[attempt.message, attempt.revision].take(attempt)
            if is_closed(attempt) or attempt.is_unknown:
                for key in keys_of(attempt):
                    self.ids_by_content[attempt.digest, key].add(attempt.message)
            if attempt.was_sent and attempt.action == "compose" and attempt.thread_id:
                self.threads[attempt.message].append(attempt.thread_id)


def is_closed(attempt: Attempt) -> bool:
    """Whether an attempt is final: it reached somebody, or there was nobody to reach."""
    return attempt.was_sent or isinstance(attempt.outcome, NoRecipients)


def keys_of(attempt: Attempt) -> tuple[str | None, ...]:
    """What an attempt is about: Tolokers, the thread of a reply, or None for a whole filter."""
    if attempt.action == "reply":
        return (attempt.in_thread,)
    return attempt.recipients_ids if attempt.select_type == "DIRECT" else (None,)
