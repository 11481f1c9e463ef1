"""Times: how Toloka writes them, when something was made, and when a list shows it."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

TIME_FORM = "YYYY-MM-DDThh:mm:ss[.sss]"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?", re.ASCII)


def now_ms() -> int:
    """Say what time it is, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def toloka_time(ms: int) -> str:
    """Write a time as Toloka does: UTC, milliseconds, no zone."""
    moment = _EPOCH + timedelta(milliseconds=ms)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds")


def parse_microseconds(text: str) -> int | None:
    """Read Toloka's time form as microseconds since 1970; `None` if it is anything else."""
    if not _FORM.fullmatch(text):
        return None
    whole, _, fraction = text.partition(".")
    try:
        moment = datetime.fromisoformat(f"{whole}+00:00")
    except ValueError:
        return None
    return (moment - _EPOCH) // timedelta(microseconds=1) + int(fraction.ljust(6, "0"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """When something was made: in truth, as it says, and as its id says."""

    made_ms: int
    created_ms: int
    id_ms: int
    server: int | None
    """Which of the servers made it, each with ids of its own; `None` is any other."""

    def dated(self, created_ms: int) -> Stamp:
        """Give the stamp of what says that it was made at another time, elsewhere.

        Its id is of that time too, unless that is still to come: ids have no room for it.
        """
        id_ms = min(self.id_ms, created_ms)
        return replace(self, created_ms=created_ms, id_ms=id_ms, server=None)


@dataclass(frozen=True, slots=True)
class View:
    """What one replica of the list shows at a time; the default shows everything."""

    at_ms: int = 2**62
    low_ms: float = 0
    high_ms: float = 0
    replica: int = 0
    forgets: int = 0
