"""Toloka's daily limits, and what of a plan fits into them: pure.

The limits are those of Toloka's rate-limit page: 100,000 DIRECT and FILTER compose requests and
one ALL message in a day. Whether rejected requests count is not said; they are not counted here,
and an answer 429 still stops the run in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from runner.manifest.history import History
from runner.model import Delivery

DAILY_REQUESTS = 100_000
DAILY_ALL = 1
_LIMITS = {True: DAILY_ALL, False: DAILY_REQUESTS}
"""By whether it goes to ALL."""
_DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The deliveries that may go today, those that may not, and the arithmetic.

    `due_at` is when the first of those may go that may not go today, where nothing may.
    """

    today: tuple[Delivery, ...]
    later: tuple[Delivery, ...]
    quota_notes: tuple[str, ...]
    due_at: datetime | None = None


def fit(deliveries: Sequence[Delivery], history: History, now: datetime) -> Fit:
    """Hold deliveries against the daily limits, with what was tried in the last 24 hours."""
    if not deliveries:
        # A manifest may be long.
        return Fit(today=(), later=(), quota_notes=())
    tried = {to_all: history.tried_since(now - _DAY, to_all=to_all) for to_all in _LIMITS}
    left = {to_all: max(limit - len(tried[to_all]), 0) for to_all, limit in _LIMITS.items()}
    today: list[Delivery] = []
    later: list[Delivery] = []
    for delivery in deliveries:
        is_all = _is_to_all(delivery)
        (today if left[is_all] > 0 else later).append(delivery)
        left[is_all] -= 1
    notes: list[str] = []
    if later:
        for is_all, times in tried.items():
            notes += _note(deliveries, later, is_all=is_all, used=len(times))
    moments = {tried[_is_to_all(each)][-_LIMITS[_is_to_all(each)]] for each in later if not today}
    due_at = min(moments) + _DAY if moments else None
    return Fit(today=tuple(today), later=tuple(later), quota_notes=tuple(notes), due_at=due_at)


def _is_to_all(delivery: Delivery) -> bool:
    return delivery.recipients.select_type == "ALL"


def _note(
    deliveries: Sequence[Delivery], later: Sequence[Delivery], *, is_all: bool, used: int
) -> list[str]:
    def count(some: Sequence[Delivery]) -> int:
        return sum(_is_to_all(each) == is_all for each in some)

    over = count(later)
    if not over:
        return []
    limit, name = _LIMITS[is_all], "ALL messages" if is_all else "requests"
    planned = count(deliveries)
    return [
        f"Toloka's daily limit is {limit:,} {name}: {used:,} in the last 24 hours and "
        f"{planned:,} planned leave {over:,} for later"
    ]
