"""How many calls have come lately: the rate limit, and what the statistics say of it."""

from __future__ import annotations

import threading
import time
from collections import deque

_WINDOW_S = 1.0


class RateWindow:
    """A sliding window of one second over the calls."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._arrived: deque[float] = deque()
        self._allowed: deque[float] = deque()
        self.max_in_one_second = 0

    def admit(self) -> bool:
        """Count a call that arrives now; `False` if it is over the limit.

        Refused calls do not use up the limit, so that a client that waits gets through.
        """
        with self._lock:
            now = time.monotonic()
            self._arrived.append(now)
            for times in (self._arrived, self._allowed):
                while times and times[0] <= now - _WINDOW_S:
                    times.popleft()
            self.max_in_one_second = max(self.max_in_one_second, len(self._arrived))
            if self._limit and len(self._allowed) >= self._limit:
                return False
            self._allowed.append(now)
            return True
