"""From when on a look at Toloka's list begins: always by `created`, and by Toloka's own times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from runner import clock
from runner.toloka.listing import LIST_LIMIT

TEN_MINUTES = timedelta(minutes=10)
"""How far Toloka's clocks may be apart."""


@dataclass(frozen=True, slots=True, order=True)
class Anchor:
    """The lowest `created` on the newest page of the list, by id; or the beginning of it.

    What is made after that page was shown has a `created` not before the anchor less ten minutes.
    """

    created: datetime

    @property
    def query(self) -> dict[str, str]:
        """The list query for what may have been made since."""
        return made_since(self.begin)

    @property
    def begin(self) -> datetime | None:
        """From when on to look; None for everything."""
        return None if self == BEGINNING else self.created - TEN_MINUTES

    def reaches(self, created: datetime | None) -> bool:
        """Whether what was made at a time of Toloka's may have been made since. Unreadable: yes."""
        begin = self.begin
        return begin is None or created is None or created >= begin


def made_since(begin: datetime | None) -> dict[str, str]:
    """Give the list query for a time of Toloka's, in its form: UTC, no zone. None is everything."""
    if begin is None:
        return {}
    plain = begin.astimezone(timezone.utc).replace(tzinfo=None)
    return {"created_gte": plain.isoformat(timespec="milliseconds")}


BEGINNING = Anchor(datetime.min.replace(tzinfo=timezone.utc))


def anchor_of(newest: Iterable[str]) -> Anchor:
    """Make the anchor of the `created` times on the newest page.

    A list that is shorter than a page, and a time that cannot be read, give the beginning.
    """
    times = list(newest)
    if len(times) < LIST_LIMIT or not all(times):
        return BEGINNING
    # A time near the first year leaves no room for ten minutes before it.
    return max(BEGINNING, Anchor(min(map(clock.read, times))))
