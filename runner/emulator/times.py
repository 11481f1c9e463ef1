"""The two clocks' worth of time that the emulator needs: milliseconds, and Toloka's text form."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta, timezone

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
