"""How long a run may go on sending after its last word on the branch."""

from __future__ import annotations

import signal
import threading

from runner.manifest.times import Times, now_s

_POLL_S = 0.05
_SOON_S = 0.001


class Lease:
    """Held for so long after the start of the last accepted push; before the first one, not at all.

    `kills` sets a timer of the system's besides: a process that was stopped between its look at the
    clock and the first byte of a request ends before it runs on.
    """

    def __init__(self, times: Times, *, kills: bool) -> None:
        self._times = times
        self._kills = kills and hasattr(signal, "setitimer")
        self._until_s = float("-inf")

    @property
    def holds(self) -> bool:
        return now_s() < self._until_s

    def renew(self, begun_s: float) -> None:
        """Count from the start of a push that was accepted."""
        self._until_s = begun_s + self._times.lease
        self._set(max(begun_s + self._times.ended - now_s(), _SOON_S))

    def end(self) -> None:
        """Let nothing more be sent. Repeating is safe."""
        self._until_s = float("-inf")
        self._set(0)

    def wait(self, stop: threading.Event) -> bool:
        """Wait until it holds; gives whether it does, and not a stop ended the wait."""
        while not self.holds:
            if stop.wait(_POLL_S):
                return False
        return True

    def _set(self, seconds: float) -> None:
        if self._kills:
            signal.setitimer(signal.ITIMER_REAL, seconds)
