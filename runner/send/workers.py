"""The one worker loop: threads that make calls, when a call is repeated, and when all of them stop."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from runner.errors import LaterError, SurroundingsError
from runner.model import Busy, NotConnected, Outcome, Unknown
from runner.send.tally import Halt, Tally
from runner.toloka.pace import BUSY_S, GRACE_S, Pace, Stopped, back_off_s

ATTEMPTS = 3
_OUTAGE_FAILURES = 20
"""After so many failures running, every other call would be answered alike."""
_OUTAGE_S = 60.0
_PAUSE_S = 0.5
_POLL_S = 0.1

Item = TypeVar("Item")


class Workers:
    """Makes the calls of one run, `jobs` at a time; why it stopped is in the tally."""

    def __init__(self, tally: Tally, pace: Pace, *, jobs: int) -> None:
        self.tally = tally
        self.pace = pace
        self._jobs = jobs
        self._in_flight = 0
        self._changed = threading.Condition()
        self._failures = 0
        self._busy_since_s: float | None = None
        self._connected_at_s = self.pace.now_s()
        self._crash: BaseException | None = None

    def work(
        self,
        items: Sequence[Item],
        do: Callable[[Item], Sequence[Item]],
        on_poll: Callable[[], object] = lambda: None,
    ) -> None:
        """Do each item and the parts that `do` gives back for it.

        Returns when nothing more will be done, or soon after a stop.
        """
        queue = deque(items)
        self._connected_at_s = self.pace.now_s()
        workers = [
            threading.Thread(target=self._work, args=(queue, do), daemon=True)
            for _ in range(min(self._jobs, len(queue)))
        ]
        for worker in workers:
            worker.start()
        stopped_at_s: float | None = None
        while alive := [worker for worker in workers if worker.is_alive()]:
            alive[0].join(_POLL_S)
            self.pace.beat()
            on_poll()
            if self.pace.stop.is_set():
                stopped_at_s = stopped_at_s or time.monotonic()
                if time.monotonic() - stopped_at_s > GRACE_S:
                    break
        queue.clear()
        self.pace.go_on()
        if self._crash is not None:
            raise self._crash

    def call(
        self,
        once: Callable[[], Outcome],
        repeats: tuple[type[Outcome], ...] = (Busy, NotConnected),
    ) -> Outcome:
        """Call until there is an outcome that is not to be repeated, a few times at most."""
        attempt = busy = 0
        while True:
            outcome = once()
            self._note(outcome)
            if isinstance(outcome, NotConnected) and outcome.lasts:
                self.stop(Halt.SURROUNDINGS, outcome.detail)
            if not isinstance(outcome, repeats) or self.tally.halt is not None:
                return outcome
            if isinstance(outcome, Busy):
                busy += 1
                wait_s = back_off_s(outcome, busy)
                if self._is_busy_too_long(outcome, wait_s):
                    self.stop(Halt.QUOTA, outcome.detail)
                    return outcome
            else:
                attempt += 1
                wait_s = _PAUSE_S * attempt
                if attempt == ATTEMPTS:
                    return outcome
            self.pace.pause(wait_s)

    def stop(self, halt: Halt, reason: str) -> None:
        """Let nothing more leave; the first reason stays."""
        self.pace.halt()
        with self._changed:
            if self.tally.halt is None:
                self.tally.halt, self.tally.halt_reason = halt, reason
            self._changed.notify_all()

    def _work(self, queue: deque[Item], do: Callable[[Item], Sequence[Item]]) -> None:
        while (item := self._take(queue)) is not None:
            parts: Sequence[Item] = ()
            try:
                parts = do(item)
            except Stopped:
                pass
            except SurroundingsError as error:
                self.stop(Halt.SURROUNDINGS, str(error))
            except LaterError as error:
                self.stop(Halt.OUTAGE, str(error))
            except BaseException as error:  # noqa: BLE001  (a thread's bug is raised by `work`)
                self._crash = error
                self.stop(Halt.SURROUNDINGS, "a bug")
            finally:
                with self._changed:
                    queue.extendleft(reversed(parts))
                    self._in_flight -= 1
                    self._changed.notify_all()

    def _take(self, queue: deque[Item]) -> Item | None:
        with self._changed:
            while self.tally.halt is None and not self.pace.stop.is_set():
                if queue:
                    self._in_flight += 1
                    return queue.popleft()
                if self._in_flight == 0:
                    return None
                # What is in flight may yet be split.
                self._changed.wait(_POLL_S)
        return None

    def _note(self, outcome: Outcome) -> None:
        """Count failures running; a server that takes nothing is not asked for ever."""
        with self._changed:
            now_s = self.pace.now_s()
            if not isinstance(outcome, NotConnected):
                self._connected_at_s = now_s
            if not isinstance(outcome, Busy):
                self._busy_since_s = None
            if isinstance(outcome, (Unknown, NotConnected)):
                self._failures += 1
            elif not isinstance(outcome, Busy):
                self._failures = 0
            unreachable = now_s - self._connected_at_s > _OUTAGE_S
            outage = self._failures >= _OUTAGE_FAILURES or unreachable
        if outage and isinstance(outcome, (Unknown, NotConnected)):
            self.stop(Halt.OUTAGE, outcome.detail)

    def _is_busy_too_long(self, busy: Busy, wait_s: float) -> bool:
        """Whether a wait would be longer than a server may be busy, for one call after the other."""
        with self._changed:
            now_s = self.pace.now_s()
            if self._busy_since_s is None:
                self._busy_since_s = now_s
            return busy.is_for_long or now_s + wait_s - self._busy_since_s > BUSY_S
