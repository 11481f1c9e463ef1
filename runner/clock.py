"""Times as the runner writes and reads them: aware UTC, RFC 3339 with milliseconds and `Z`."""

from __future__ import annotations

from datetime import datetime, timezone


def now() -> datetime:
    """The time of this machine."""
    return datetime.now(timezone.utc)


def written(moment: datetime) -> str:
    """Write a time: `2026-11-22T21:00:00.000Z`."""
    utc = moment.astimezone(timezone.utc).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds") + "Z"


def read(text: str) -> datetime:
    """Read a time of ours, or one of Toloka's, which are UTC without a zone.

    Raises `ValueError` for anything else.
    """
    plain = text.removesuffix("Z")
    whole, dot, fraction = plain.partition(".")
    if dot and not fraction.isdigit():
        raise ValueError(text)
    moment = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return moment.replace(microsecond=int(fraction[:6].ljust(6, "0")) if dot else 0)
