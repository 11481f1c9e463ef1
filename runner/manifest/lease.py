"""How long a run may go on sending after its last word on the branch."""

from __future__ import annotations

import signal
import threading

from runner.manifest.times import Times, now_s
from runner.toloka.pace import Stopped

_POLL_S = 0.05
_SOON_S = 0.001


class Lease:
    """Held for so long after the start of the last accepted push; before the first one, not at all.

    `kills` sets a timer of the system's besides: a process that was stopped between its look at the
    clock and the last byte of a request ends before it runs on.
    """

    def __init__(self, times: Times, stop: threading.Event, *, kills: bool) -> None:
        self._times = times
        self._stop = stop
        self._kills = kills and hasattr(signal, "setitimer")
        self._lock = threading.Lock()
        self._until_s = float("-inf")
        self._killed_s = float("inf")
        self._sending = 0

    def wait(self) -> None:
        """Wait until it holds; raises `Stopped`."""
        while now_s() >= self._until_s:
            if self._stop.wait(_POLL_S):
                raise Stopped

    def enter(self) -> bool:
        """Begin to send a request, if the lease holds now; `leave` has to follow."""
        with self._lock:
            holds = now_s() < self._until_s
            self._sending += holds
            return holds

    def leave(self) -> None:
        """Say that a request has left whole, or never will."""
        with self._lock:
            self._sending -= 1

    def renew(self, begun_s: float) -> None:
        """Count from the start of a push that was accepted."""
        with self._lock:
            self._until_s = begun_s + self._times.lease
            self._set_timer(begun_s + self._times.ended)

    def end(self) -> None:
        """Let nothing more be sent. Repeating is safe."""
        with self._lock:
            self._until_s = float("-inf")
        self.rest()

    def rest(self) -> None:
        """Stop the timer where nothing can be on its way: a run may wait for the network."""
        with self._lock:
            if now_s() >= self._until_s and not self._sending:
                self._set_timer(None)

    @property
    def room_s(self) -> float:
        """How long something may take before the timer would end it."""
        return max(self._killed_s - now_s() - self._times.poll, self._times.poll)

    def _set_timer(self, moment_s: float | None) -> None:
        if self._kills:
            self._killed_s = float("inf") if moment_s is None else moment_s
            left_s = 0 if moment_s is None else max(moment_s - now_s(), _SOON_S)
            signal.setitimer(signal.ITIMER_REAL, left_s)
