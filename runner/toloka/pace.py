"""One limiter for the whole process: how fast calls may leave, and the word to stop."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable

from runner.model import Busy

_WINDOW_S = 1.0
# With none, a call that a busy machine makes late would make the one late that comes a second after
# it, and that the next.
_MORE = 1.01
_CEILING = 300.0
"""Calls a second that Toloka takes."""
# How far behind its even schedule the limiter may catch up after threads woke late.
_CATCH_UP_S = 0.05
_STEP_S = 0.1


GRACE_S = 3.5
"""How long what is in flight may take after a signal: within five seconds all is recorded."""


BUSY_S = 600.0
"""How long a server may be busy before the rest is left for another run."""


def back_off_s(busy: Busy, number: int) -> float:
    """How long to wait after so many 429 running: what the server says, but never shorter."""
    # Spread out, so that several runs do not come back in step.
    usual = min(30.0, 2.0 ** min(number - 1, 5)) * random.uniform(0.7, 1.3)  # noqa: S311  (no secret)
    return max(usual, busy.retry_after_s or 0.0)


class Stopped(Exception):
    """The run stops: the call that waited must not be made."""


class Pace:
    """Lets calls leave evenly, `rate` a second.

    In any second it is at most one in a hundred more, where that is within what Toloka takes.
    `stop` and `halt` wake every call that waits, and each of them raises `Stopped`.
    """

    def __init__(self, rate: float, stop: threading.Event | None = None) -> None:
        self._spacing_s = 1.0 / rate
        self._window_s = max(_WINDOW_S, self._spacing_s)
        most = max(rate, min(rate * _MORE, _CEILING))
        self._left_at: deque[float] = deque(maxlen=max(1, int(most)))
        self._next_s = 0.0
        self._paused_until_s = 0.0
        self._turn = threading.Lock()
        self._is_halted = False
        self.stop = stop or threading.Event()
        self.beat: Callable[[], object] = lambda: None
        """What whoever waits in a loop calls again and again."""

    def __call__(self) -> None:
        """Wait until one call may leave; raises `Stopped`."""
        # Whoever has the turn sleeps with it: the stamps are then those of the real departures.
        with self._turn:
            is_full = len(self._left_at) == self._left_at.maxlen
            free_s = self._left_at[0] + self._window_s if is_full else 0.0
            # A pause may begin while this one waits.
            while (
                wait_s := max(self._next_s, free_s, self._paused_until_s) - time.monotonic()
            ) > 0 and self.is_open():
                self.stop.wait(min(wait_s, _STEP_S))
            if not self.is_open():
                raise Stopped
            now_s = time.monotonic()
            self._left_at.append(now_s)
            self._next_s = max(self._next_s, now_s - _CATCH_UP_S) + self._spacing_s

    def is_open(self) -> bool:
        """Whether anything may leave."""
        return not (self._is_halted or self.stop.is_set())

    def halt(self) -> None:
        """Let nothing leave any more, whoever waits for its turn, until `go_on`."""
        self._is_halted = True

    def go_on(self) -> None:
        """Let calls leave again: those that were halted have all been turned away."""
        self._is_halted = False

    def now_s(self) -> float:
        """The time that waiting goes by, monotonic."""
        return time.monotonic()

    def wait_until(self, moment_s: float) -> None:
        """Wait until a moment, monotonic; raises `Stopped`."""
        while (left_s := moment_s - self.now_s()) > 0:
            self.beat()
            if self.stop.wait(min(left_s, _STEP_S)):
                raise Stopped

    def live(self) -> None:
        """Give a sign of life between two pieces of work; raises `Stopped`."""
        self.beat()
        if self.stop.is_set():
            raise Stopped

    def pause(self, seconds: float) -> None:
        """Let nothing leave for so long; a longer pause that is already on stays."""
        self._paused_until_s = max(self._paused_until_s, time.monotonic() + seconds)
