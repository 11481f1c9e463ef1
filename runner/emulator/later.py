"""Calls that are carried out after they were answered."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Later:
    """Work that waits for its time; what still waits at the end is never done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = False
        self._waiting: set[threading.Timer] = set()

    def put(self, seconds: float, work: Callable[[], object]) -> None:
        """Do some work after so many seconds."""

        def run() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._waiting.discard(timer)

        timer = threading.Timer(seconds, run)
        timer.daemon = True
        with self._lock:
            if not self._ended:
                self._waiting.add(timer)
                timer.start()

    def end(self) -> None:
        """Drop what waits, and wait for what is being done."""
        with self._lock:
            self._ended = True
            waiting = list(self._waiting)
        for timer in waiting:
            timer.cancel()
            timer.join()
