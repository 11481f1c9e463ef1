"""How the emulated platform behaves: its limits, its clocks, its list, and what comes back.

An emulator starts with one behaviour and can be given another while it runs.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from email.utils import formatdate

from runner.emulator.answers import Json
from runner.emulator.echo import ECHO_MODES
from runner.emulator.times import Stamp, View, now_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """The options of an emulator; of the limits, 0 turns one off.

    - `clock_skew_ms`: by how much `created` is ahead of the `Date` header. Several values are
      several servers behind one address, which take turns; each has ids of its own clock.
    - `date_skew_ms`: by how much `Date`, and `created` with it, is ahead of the real time.
    - `list_lag_ms`: how late the list shows what is new; of two numbers, every thread has a lag of
      its own between them, so that they appear in another order than they were made in.
    - `list_replicas`: how many servers answer the list in turn, each with lags of its own.
    - `list_forgets`: how many of the newest threads the list leaves out.

    Raises `ValueError` for what cannot be.
    """

    latency_ms: float = 0
    rate_limit: int = 300
    daily_limit: int = 100_000
    daily_all_limit: int = 1
    clock_skew_ms: int | tuple[int, ...] = 0
    date: bool = True
    date_skew_ms: int = 0
    list_lag_ms: float | tuple[float, float] = 0
    list_replicas: int = 1
    list_forgets: int = 0
    echo: str = "exact"
    refuse: Collection[str] = ()

    def __post_init__(self) -> None:
        for option in fields(self):
            check = _CHECKS[option.name]
            if wrong := check(getattr(self, option.name)):
                raise ValueError(f"{option.name} {wrong}.")

    @property
    def clocks(self) -> tuple[int, ...]:
        """The skew of each server."""
        skew = self.clock_skew_ms
        return skew if isinstance(skew, tuple) else (skew,)

    @property
    def lags(self) -> tuple[float, float]:
        """The least and the greatest lag of the list."""
        lag = self.list_lag_ms
        return lag if isinstance(lag, tuple) else (lag, lag)

    def changed(self, values: Mapping[str, Json]) -> Behaviour:
        """Give a behaviour with other values, as they come in JSON; raises `ValueError`."""
        known = [option.name for option in fields(self)]
        for name in values:
            if name not in known:
                raise ValueError(f"{name} is not one of {', '.join(known)}.")
        plain = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return replace(self, **plain)  # type: ignore[arg-type]  # each value is checked when made

    def as_json(self) -> dict[str, Json]:
        """Write it for the control call."""
        values = {option.name: getattr(self, option.name) for option in fields(self)}
        return {**values, "refuse": sorted(self.refuse)}


Check = Callable[[object], str]
"""Says what is wrong with a value; an empty text if nothing is."""


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _not_negative(value: object) -> str:
    if not isinstance(value, (int, float)) or not _is_number(value):
        return "is a number"
    return "cannot be negative" if value < 0 else ""


def _count_from(least: int) -> Check:
    def check(value: object) -> str:
        if not isinstance(value, int) or not _is_whole(value):
            return "is a whole number"
        if value < 0:
            return "cannot be negative"
        return f"is at least {least}" if value < least else ""

    return check


def _skews(value: object) -> str:
    skews = value if isinstance(value, tuple) else (value,)
    good = skews and all(_is_whole(skew) for skew in skews)
    return "" if good else "is a whole number, or several"


def _lag(value: object) -> str:
    if not isinstance(value, tuple):
        return _not_negative(value)
    if len(value) != 2 or not all(_is_number(end) for end in value):
        return "is a number, or two: the least and the greatest"
    low, high = value
    return _not_negative(low) or ("" if low <= high else "begins with the least")


def _echo(value: object) -> str:
    return "" if value in ECHO_MODES else f"{value!r} is none of {', '.join(ECHO_MODES)}"


def _ids(value: object) -> str:
    if isinstance(value, str) or not isinstance(value, Collection):
        return "is a list of ids"
    return "" if all(isinstance(who, str) for who in value) else "is a list of ids"


def _is_bool(value: object) -> str:
    return "" if isinstance(value, bool) else "is true or false"


_CHECKS: Mapping[str, Check] = {
    "latency_ms": _not_negative,
    "rate_limit": _count_from(0),
    "daily_limit": _count_from(0),
    "daily_all_limit": _count_from(0),
    "clock_skew_ms": _skews,
    "date": _is_bool,
    "date_skew_ms": lambda value: "" if _is_whole(value) else "is a whole number",
    "list_lag_ms": _lag,
    "list_replicas": _count_from(1),
    "list_forgets": _count_from(0),
    "echo": _echo,
    "refuse": _ids,
}


def parse_skews(text: str) -> tuple[int, ...]:
    """Read skews such as `-200,300`; raises `ValueError`."""
    return tuple(int(part) for part in text.split(","))


def parse_lag(text: str) -> float | tuple[float, float]:
    """Read a lag, `400`, or a range of lags, `100-400`; raises `ValueError`."""
    low, dash, high = text.partition("-")
    return (float(low), float(high)) if dash else float(low)


class Platform:
    """The platform as it is now: its behaviour, and whose turn it is to answer."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._lock = threading.Lock()
        self._made = 0
        self._listed = 0
        self.behaviour = behaviour

    def stamp(self) -> Stamp:
        """Give the time of something that is made now, by the clock of the server that does it."""
        with self._lock:
            clocks = self.behaviour.clocks
            server = self._made % len(clocks)
            self._made += 1
        made_ms = now_ms()
        clock_ms = made_ms + self.behaviour.date_skew_ms + clocks[server]
        return Stamp(made_ms=made_ms, created_ms=clock_ms, id_ms=clock_ms, server=server)

    def view(self) -> View:
        """Give what the list shows now, from the server whose turn it is."""
        behaviour = self.behaviour
        with self._lock:
            replica = self._listed % behaviour.list_replicas
            self._listed += 1
        low, high = behaviour.lags
        return View(now_ms(), low, high, replica, behaviour.list_forgets)

    def date(self) -> str | None:
        """Give the `Date` header of an answer that leaves now; `None` for no such header."""
        behaviour = self.behaviour
        if not behaviour.date:
            return None
        return formatdate((now_ms() + behaviour.date_skew_ms) / 1000, usegmt=True)
