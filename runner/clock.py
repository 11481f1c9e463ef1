"""Times as the runner writes and reads them: aware UTC, RFC 3339 with milliseconds and `Z`."""

from __future__ import annotations

import re
from datetime import datetime, timezone

# Python 3.10 reads neither a Z nor a fraction that is not 3 or 6 digits long.
_FORM = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2})(?:(:[0-9]{2})(?:\.([0-9]+))?)?"
    r"(?:Z|([+-][0-9]{2}):?([0-9]{2}))?"
)

YEARS = range(1970, 3000)
"""The years that a time can be in: one outside them is no time that we can add to."""


def now() -> datetime:
    """The time of this machine."""
    return datetime.now(timezone.utc)


def written(moment: datetime) -> str:
    """Write a time: `2026-11-22T21:00:00.000Z`."""
    utc = moment.astimezone(timezone.utc).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds") + "Z"


def to_second(moment: datetime) -> str:
    """Write a time for people: `2026-11-22T21:00:00Z`."""
    return f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def read(text: str) -> datetime:
    """Read an RFC 3339 time; UTC where it names no zone, as Toloka writes it.

    A blank may stand for the `T`, and seconds may be left out. Raises `ValueError` for anything
    else, for a time that does not exist, and for one that leaves no room to calculate with.
    """
    # As `written` writes it, the quick way: a manifest may hold a million of them.
    if "1970" <= text < "3000" and text[4:20:3] == "--T::." and text[23:] == "Z":
        return datetime.fromisoformat(text[:23] + "+00:00")
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(text)
    day, minute, second, fraction, hours, minutes = found.groups()
    offset = f"{hours}:{minutes}" if hours else "+00:00"
    whole = f"{day}T{minute}{second or ':00'}.{(fraction or '')[:6]:0<6}{offset}"
    try:
        moment = datetime.fromisoformat(whole).astimezone(timezone.utc)
    except OverflowError as error:
        raise ValueError(text) from error
    if moment.year not in YEARS:
        raise ValueError(text)
    return moment
