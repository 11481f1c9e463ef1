"""How long a run on the results branch may be silent: every number in one place.

All machines that share a branch must go by the same ones.
"""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """In seconds. The order of the four is what keeps two runs apart."""

    alive: float = 15
    """How often a run gives a sign of life."""
    lease: float = 60
    """So long after the start of its last accepted push, a run sends nothing more."""
    ended: float = 90
    """So long after it, the system ends the process, whatever it was about to do."""
    silence: float = 120
    """So long after it was seen, the newest file of a silent run lets another one take over."""
    retry: float = 120
    """So long a push at the end is tried again, and a run goes on without one."""
    behind: float = 60
    """So long a remote that shows an older tip is asked again."""
    poll: float = 5
    """How often a run that waits asks again."""

    def scaled(self, factor: float) -> Times:
        """The same order, quicker: for tests."""
        return Times(**{name: getattr(self, name) * factor for name in self.__slots__})


TIMES = Times()


def now_s() -> float:
    """A clock that never goes back, and counts the time asleep where the system has such a one."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)
