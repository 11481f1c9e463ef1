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
    is_plain = len(whole) == 19 and whole[4] == whole[7] == "-" and whole[10] == "T"
    if not is_plain or (dot and not (fraction.isascii() and fraction.isdigit())):
        raise ValueError(text)
    moment = datetime.fromisoformat(whole).replace(tzinfo=timezone.utc)
    return moment.replace(microsecond=int(fraction[:6].ljust(6, "0")) if dot else 0)
