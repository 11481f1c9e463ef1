"""The history, indexed for planning: who got what, which threads there are."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from runner.model import Attempt, History, NoRecipients

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
