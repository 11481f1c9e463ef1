"""Toloka's list of threads: page after page, to its end or to its deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

from runner.errors import ListError, SurroundingsError
from runner.model import Busy, Rejected, Thread
from runner.toloka.pace import BUSY_S, Pace, back_off_s
from runner.toloka.responses import (
    MAX_WEIGHT,
    Mask,
    classify,
    json_of,
    reason_to_stop,
    thread_of,
    weight_of,
)

LIST_LIMIT = 300
"""Threads on one page of the list (Toloka's API reference, `limit`)."""
LIST_TIMEOUT_S = 3600.0
"""How long a whole list may take: an account of a million threads needs minutes."""

_MAX_PAGE_BYTES = 8 * 1024 * 1024
_LONG_THREAD = 8
"""By how much a page of a single thread may be longer: a Toloker can answer often in it."""
_SHRINK = 20
_ATTEMPTS = 3
_PAUSE_S = 0.5
_PAGE = (b"<", b"\xef\xbb\xbf<")
_NO_API = (
    "HTTP {} with a page, and not with a list of threads: the target's URL is not that of Toloka's "
    "API, or a proxy on the way wants a login"
)
_NO_LIST = "Toloka does not take the question for its list of threads, and waiting does not help"
_ENDLESS = (
    "the list of threads has no end after {:,.0f} minutes; put the manifest from its branch into "
    "its place: then only newer ones are listed"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, as it came."""

    status: int
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """What one answer of the list holds, as it came."""

    items: Sequence[object]
    has_more: bool


class PassingError(ListError):
    """The list may be had at another attempt."""


class TooLongError(ListError):
    """A page is too long to be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadList:
    """Lists threads by id. That a list ends is not left to the server.

    `get` asks for a page of the list, of at most so many bytes.
    """

    get: Callable[[Mapping[str, str], int], Answer]
    pace: Pace
    mask: Mask
    timeout_s: float

    def threads(self, query: Mapping[str, str]) -> Iterator[Thread]:
        """List threads, page after page; raises `ListError` when one cannot be had."""
        until_s = time.monotonic() + self.timeout_s
        limit, last = LIST_LIMIT, ""
        while True:
            after = {"id_gt": last} if last else {}
            page, limit = self._page({**query, **after, "sort": "id"}, limit)
            threads = list(self._read(page))
            yield from threads
            if not page.has_more:
                return
            if not threads or threads[-1].id <= last:
                raise ListError("the list of threads does not go on after a page")
            if time.monotonic() > until_s:
                raise ListError(_ENDLESS.format(self.timeout_s / 60))
            # Short pages become long again.
            limit, last = min(2 * limit, LIST_LIMIT), threads[-1].id

    def newest(self) -> list[Thread]:
        """List the newest page of threads, by id; raises `ListError`."""
        threads: list[Thread] = []
        while len(threads) < LIST_LIMIT:
            before = {"id_lt": threads[-1].id} if threads else {}
            page, _ = self._page({**before, "sort": "-id"}, LIST_LIMIT - len(threads))
            threads += self._read(page)
            if not page.has_more or not page.items:
                break
        return threads

    def _read(self, page: Page) -> Iterator[Thread]:
        for item in page.items:
            thread = thread_of(item, self.mask)
            if thread is None:
                # It may be the very thread that somebody looks for.
                raise ListError("the list of threads holds something that is no thread")
            yield thread

    def _page(self, query: Mapping[str, str], limit: int) -> tuple[Page, int]:
        """Get one page of the list, and its length: a shorter one where it is too long to read."""
        while limit > 1:
            with suppress(TooLongError):
                return self._page_of(query, limit), limit
            limit = max(1, limit // _SHRINK)
        return self._page_of(query, limit), limit

    def _page_of(self, query: Mapping[str, str], limit: int) -> Page:
        """Reading is safe to repeat, so it is tried more than once where that may help."""
        longer = _LONG_THREAD if limit == 1 else 1
        query = {**query, "limit": str(limit)}
        failures = busy = 0
        busy_s = 0.0
        while True:
            try:
                answer = self.get(query, _MAX_PAGE_BYTES * longer)
                if answer.status != 429:
                    return page_in(answer, self.mask, MAX_WEIGHT * longer)
                busy += 1
                busy_s += self._wait_out(answer, busy, busy_s)
            except PassingError:
                failures += 1
                if failures == _ATTEMPTS:
                    raise
                self.pace.pause(_PAUSE_S * failures)

    def _wait_out(self, answer: Answer, number: int, busy_s: float) -> float:
        """Let nothing leave while the server is busy, and say how long; raises `ListError`."""
        # A 429 is nothing else.
        busy = cast("Busy", classify(answer.status, answer.content, answer.headers, self.mask))
        wait_s = back_off_s(busy, number)
        if busy.is_for_long or busy_s + wait_s > BUSY_S:
            raise ListError(busy.detail)
        self.pace.pause(wait_s)
        return wait_s


def page_in(answer: Answer, mask: Mask = lambda text: text, max_weight: int = MAX_WEIGHT) -> Page:
    """Read a page; raises `ListError` or `SurroundingsError` for what is none. Total."""
    status, content = answer.status, answer.content
    if status == 200 and weight_of(content) > max_weight:
        raise TooLongError("the answer is too long")
    data = json_of(content, max_weight)
    if status == 200 and isinstance(data, dict) and "items" in data:
        return _read_page(data)
    if 200 <= status < 300 and (data is not None or content.lstrip().startswith(_PAGE)):
        raise SurroundingsError(_NO_API.format(status))
    outcome = classify(status, content, answer.headers, mask)
    if isinstance(outcome, Rejected):
        why = reason_to_stop(outcome, is_list=True) or f"{_NO_LIST}: {outcome.detail}"
        if status in (404, 405) and not outcome.is_foreign:
            why = f"the target's URL is not that of Toloka's API: {outcome.detail}"
        raise SurroundingsError(why)
    raise PassingError(f"HTTP {status} where a list of threads was asked for")


def _read_page(data: Mapping[str, object]) -> Page:
    items, has_more = data["items"], data.get("has_more")
    if not isinstance(items, list):
        raise ListError("the list of threads holds no items")
    if not isinstance(has_more, bool):
        raise ListError("the list of threads does not say whether it goes on")
    return Page(items, has_more)
