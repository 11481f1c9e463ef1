"""Toloka's list during a run: asked on a thread of its own, for a signal must not wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Protocol, TypeVar

from runner.errors import LaterError, ListError
from runner.lookup.look import Look
from runner.manifest.manifest import Manifest
from runner.model import Thread
from runner.toloka.anchor import Anchor, anchor_of
from runner.toloka.pace import Pace, Stopped

_POLL_S = 0.1
_Value = TypeVar("_Value")


class Lists(Protocol):
    """Toloka's list of threads."""

    def threads(self, query: Mapping[str, str]) -> Iterator[Thread]: ...

    def newest(self) -> Sequence[Thread]: ...


@dataclass(slots=True)
class Lister:
    """Asks the list; `failed` says why it could not be had the last time. Raises `Stopped`."""

    manifest: Manifest
    lists: Lists
    pace: Pace
    tell: Callable[[str], object] = lambda _said: None
    """Is told what is waited for, for whoever looks on."""
    failed: str | None = None

    def failure(self) -> LaterError:
        """Say that the list could not be had the last time, for whoever needs it."""
        return LaterError(f"Toloka's list of threads could not be had: {self.failed}")

    def wait_until(self, moment_s: float, what: str) -> None:
        """Wait for the list to show more; `moment_s` is monotonic."""
        left_s = moment_s - self.pace.now_s()
        if left_s >= 1:
            self.tell(f"{what}: {left_s:,.0f} s")
        self.pace.wait_until(moment_s)

    def look(self, look: Look, since: Anchor) -> None:
        """Take in all threads since an anchor. What a list that breaks off showed is taken in."""
        self.each(since.query, look.take)

    def each(self, query: Mapping[str, str], take: Callable[[Thread], object]) -> None:
        """Take in threads one by one, so that a million need little memory."""

        def take_all() -> None:
            for thread in self.lists.threads(query):
                self.manifest.check_account(thread.account)
                take(thread)

        self._ask(take_all)

    def threads(self, *queries: Mapping[str, str]) -> list[Thread]:
        """List threads, each once; none where the list cannot be had."""

        def load() -> dict[str, Thread]:
            return {each.id: each for query in queries for each in self.lists.threads(query)}

        return list((self._ask(load) or {}).values())

    def newest(self) -> Anchor | None:
        """Ask for the newest page, and make the anchor of it; None where it cannot be had."""
        page = self._ask(self.lists.newest)
        return None if page is None else anchor_of([each.created for each in page])

    def _ask(self, ask: Callable[[], _Value]) -> _Value | None:
        outcome: Future[_Value] = Future()

        def run() -> None:
            try:
                outcome.set_result(ask())
            except BaseException as error:  # noqa: BLE001  (raised again by `result`)
                outcome.set_exception(error)

        self.failed = None
        threading.Thread(target=run, daemon=True).start()
        while not outcome.done():
            wait([outcome], timeout=_POLL_S)
            self.pace.beat()
            if self.pace.stop.is_set() and not outcome.done():
                raise Stopped
        try:
            return outcome.result()
        except ListError as error:
            self.failed = str(error)
            return None
