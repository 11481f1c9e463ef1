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
_DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The deliveries that may go today, those that may not, and the arithmetic."""

    today: tuple[Delivery, ...]
    later: tuple[Delivery, ...]
    quota_notes: tuple[str, ...]


def fit(deliveries: Sequence[Delivery], history: History, now: datetime) -> Fit:
    """Hold deliveries against the daily limits, with what was tried in the last 24 hours."""
    tried = history.tried_since(now - _DAY)
    used_all = tried["ALL"]
    used = tried.total() - used_all
    left = {True: max(DAILY_ALL - used_all, 0), False: max(DAILY_REQUESTS - used, 0)}
    today: list[Delivery] = []
    later: list[Delivery] = []
    for delivery in deliveries:
        is_all = delivery.recipients.select_type == "ALL"
        (today if left[is_all] > 0 else later).append(delivery)
        left[is_all] -= 1
    notes: list[str] = []
    if later:
        notes += _note(deliveries, later, is_all=True, used=used_all)
        notes += _note(deliveries, later, is_all=False, used=used)
    return Fit(today=tuple(today), later=tuple(later), quota_notes=tuple(notes))


def _note(
    deliveries: Sequence[Delivery], later: Sequence[Delivery], *, is_all: bool, used: int
) -> list[str]:
    def count(some: Sequence[Delivery]) -> int:
        return sum((each.recipients.select_type == "ALL") == is_all for each in some)

    over = count(later)
    if not over:
        return []
    limit, name = (DAILY_ALL, "ALL messages") if is_all else (DAILY_REQUESTS, "requests")
    planned = count(deliveries)
    return [
        f"Toloka's daily limit is {limit:,} {name}: {used:,} in the last 24 hours and "
        f"{planned:,} planned leave {over:,} for later"
    ]
