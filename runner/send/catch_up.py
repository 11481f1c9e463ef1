"""Asking Toloka's list during a run: catching up, unknown outcomes, answers to reply to."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Protocol

from runner import clock
from runner.errors import ListError
from runner.lookup import evidence
from runner.manifest.file import Manifest
from runner.manifest.history import Attempt, History, NotFound
from runner.model import InThread, Message, Thread
from runner.plan.build import build_plan
from runner.plan.plan import Answered
from runner.toloka.pace import Pace, Stopped

_POLL_S = 0.1


class Lists(Protocol):
    """Toloka's list of threads."""

    @property
    def server_ahead_s(self) -> float: ...

    def threads(self, query: Mapping[str, str]) -> Iterator[Thread]: ...


@dataclass(slots=True)
class CatchUp:
    """Looks at what is not known, and remembers what it saw.

    `failed` says why the list could not be had, `near` which thread nearly matches a delivery.
    """

    manifest: Manifest
    lists: Lists
    pace: Pace
    settle_s: float
    started_s: float = field(default_factory=time.monotonic)
    adopted: set[str] = field(default_factory=set)
    found: set[str] = field(default_factory=set)
    near: dict[str, Thread] = field(default_factory=dict)
    unseen: frozenset[str] = frozenset()
    answered: Answered | None = None
    failed: str | None = None

    def look_first(self, messages: Sequence[Message], *, catches_up: bool) -> None:
        """List once: adopt what the manifest does not know, find what an earlier run left."""
        history = self.manifest.history()
        unknown = self.manifest.unknown()
        starts = [evidence.since_unknown(_composes(unknown), self.lists.server_ahead_s)]
        if catches_up:
            starts.append(evidence.since_newest(history))
        begin = min((start for start in starts if start), default=None)
        if begin is not None:
            threads = self._list(evidence.query_since(begin))
            for thread in threads:
                self.manifest.check_account(thread.account)
            ahead_s = self.lists.server_ahead_s
            self._take(evidence.look_for(unknown, threads, history.thread_ids, ahead_s))
            if catches_up and self.failed is None:
                self._catch_up(messages, threads)
            self.manifest.server_ahead_s = self.lists.server_ahead_s
        if self.failed is None:
            self._look_into_threads(messages, catches_up=catches_up)

    def look_for_unknown(self, failed_at_s: Mapping[str, float], *, absence_counts: bool) -> None:
        """Look at once; what is not there is looked for again after the settling time.

        `failed_at_s` is when this run saw each failure, monotonic. Raises `Stopped`.
        """
        self._look_again()
        unknown = self.manifest.unknown()
        if not unknown:
            return
        last_s = max(failed_at_s.get(each.delivery, self.started_s) for each in unknown)
        self._wait_until(last_s + self.settle_s)
        if not self._look_again():
            return
        for attempt in self.manifest.unknown():
            if absence_counts and attempt.delivery not in self.near.keys() | self.unseen:
                self.manifest.settle(attempt.delivery, NotFound(), "looked")

    def _catch_up(self, messages: Sequence[Message], threads: Sequence[Thread]) -> None:
        """Adopt what carries a message of this run; remember the rest for the others.

        What is remembered is not listed again: the next run begins after it, whatever messages it
        was given.
        """
        history = self.manifest.history()
        known = {each.thread_id for each in history.seen}
        new = [
            each
            for each in evidence.find_seen(threads, history.thread_ids)
            if each.thread_id not in known
        ]
        adopted = list(evidence.find_adoptions(messages, (*history.seen, *new), history))
        self._adopt(adopted)
        taken = {each.sent.thread.id for each in adopted}
        left = [each for each in new if each.thread_id not in taken and each.created]
        self.manifest.note_seen(left)

    def _look_into_threads(self, messages: Sequence[Message], *, catches_up: bool) -> None:
        """Read the threads that replies go into: what we wrote there, and who answered."""
        history = self.manifest.history()
        targets, with_later = evidence.reply_targets(messages, history)
        targets |= {each.in_thread for each in self.manifest.unknown() if each.in_thread}
        if not targets:
            self.answered = {}
            return
        listed = self._list(evidence.query_threads(targets, with_later=with_later))
        if self.failed is not None:
            return
        by_id = {thread.id: thread for thread in listed}
        self.answered = evidence.answered_threads(targets, listed)
        self._take(self._replies(by_id))
        if catches_up:
            self._adopt_replies(messages, by_id)

    def _adopt_replies(self, messages: Sequence[Message], by_id: Mapping[str, Thread]) -> None:
        history = self.manifest.history()
        planned = build_plan(messages, history, now=clock.now(), answered=self.answered)
        due = [each for each in planned.deliveries if isinstance(each.recipients, InThread)]
        claimed = evidence.claimed_posts(history)
        self._adopt(evidence.find_adopted_replies(due, by_id, claimed))

    def _look_again(self) -> bool:
        """Look for everything in doubt; gives whether the list could be had."""
        unknown = self.manifest.unknown()
        self.near.clear()
        self.unseen = frozenset()
        self.failed = None
        begin = evidence.since_unknown(_composes(unknown), self.lists.server_ahead_s)
        if begin is not None:
            threads = self._list(evidence.query_since(begin))
            claimed, ahead_s = self.manifest.history().thread_ids, self.lists.server_ahead_s
            self._take(evidence.look_for(unknown, threads, claimed, ahead_s))
        replied = {each.in_thread for each in unknown if each.in_thread}
        if replied and self.failed is None:
            listed = self._list(evidence.query_threads(replied, with_later=False))
            self._take(self._replies({thread.id: thread for thread in listed}))
        return self.failed is None

    def _replies(self, threads: Mapping[str, Thread]) -> evidence.Look:
        history: History = self.manifest.history()
        return evidence.look_for_replies(
            self.manifest.unknown(),
            threads,
            evidence.claimed_posts(history),
            self.lists.server_ahead_s,
        )

    def _list(self, query: Mapping[str, str]) -> list[Thread]:
        """List threads; what cannot be had is noted. Raises `Stopped` soon after a signal."""
        outcome: Future[list[Thread]] = Future()

        def fetch() -> None:
            try:
                outcome.set_result(list(self.lists.threads(query)))
            except BaseException as error:  # noqa: BLE001  (raised again by `result`)
                outcome.set_exception(error)

        # An answer may take long, and a signal must not have to wait for it.
        threading.Thread(target=fetch, daemon=True).start()
        while not outcome.done():
            wait([outcome], timeout=_POLL_S)
            if self.pace.stop.is_set() and not outcome.done():
                raise Stopped
        try:
            return outcome.result()
        except ListError as error:
            self.failed = str(error)
            return []

    def _take(self, look: evidence.Look) -> None:
        for delivery_id, sent in look.found.items():
            self.manifest.settle(delivery_id, sent, "found")
            self.found.add(delivery_id)
        self.near.update(look.near)
        self.unseen |= look.unseen

    def _adopt(self, adoptions: Iterable[evidence.Adoption]) -> None:
        pairs = [(each.delivery, each.sent) for each in adoptions]
        self.adopted.update(self.manifest.adopt(pairs))

    def _wait_until(self, moment_s: float) -> None:
        while (left_s := moment_s - time.monotonic()) > 0:
            if self.pace.stop.wait(min(left_s, _POLL_S)):
                raise Stopped


def _composes(unknown: Iterable[Attempt]) -> list[Attempt]:
    return [attempt for attempt in unknown if attempt.action == "compose"]
