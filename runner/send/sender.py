"""The loop that sends: worker threads, intents before requests, and the rules for stopping."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from runner.errors import SurroundingsError
from runner.manifest.history import Settled
from runner.model import (
    Busy,
    Delivery,
    Direct,
    NoRecipients,
    NotConnected,
    Outcome,
    Rejected,
    Sent,
    Unknown,
)
from runner.toloka.pace import Pace, Stopped, wait_for

ATTEMPTS = 3
OUTAGE_FAILURES = 20
"""After so many failures running, every other call would be answered alike."""
_OUTAGE_S = 60.0
_LONGEST_WAIT_S = 120.0
_POLL_S = 0.1
_BAD_RECIPIENTS = "INCORRECT_RECIPIENTS"


class Deliver(Protocol):
    """Composes or replies, once; never raises for a failure of the network or the server."""

    def __call__(self, delivery: Delivery) -> Outcome: ...


class Log(Protocol):
    """Where intents and outcomes are on disk once the call returns."""

    def intend(self, delivery: Delivery) -> str: ...
    def settle(self, delivery_id: str, outcome: Settled) -> None: ...


class Halt(Enum):
    """Why a run stopped before its end."""

    CREDENTIALS = "credentials"
    SURROUNDINGS = "surroundings"
    QUOTA = "quota"
    OUTAGE = "outage"


@dataclass(slots=True)
class Tally:
    """What this run did, for as long as it runs."""

    begun: set[str] = field(default_factory=set)
    refused: list[tuple[Delivery, str, Rejected]] = field(default_factory=list)
    postponed: list[Delivery] = field(default_factory=list)
    """What was tried as often as one run may, and certainly not sent."""
    failed_at_s: dict[str, float] = field(default_factory=dict)
    """When each unknown outcome was seen to fail, by delivery id, monotonic."""
    why_unknown: dict[str, str] = field(default_factory=dict)
    echoes_exactly: bool = True
    halt: Halt | None = None
    halt_reason: str = ""
    done: int = 0

    @property
    def is_halted(self) -> bool:
        return self.halt is not None


class Sender:
    """Sends deliveries from worker threads; what happened is in `tally`.

    `echoes` tells whether a thread that came back is what was asked for.
    """

    def __init__(
        self,
        deliver: Deliver,
        log: Log,
        pace: Pace,
        *,
        jobs: int,
        echoes: Callable[[Delivery, Sent], bool],
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.tally = Tally()
        self._try_once = deliver
        self._log = log
        self._pace = pace
        self._jobs = jobs
        self._echoes = echoes
        self._on_progress = on_progress
        self._queue: deque[Delivery] = deque()
        self._in_flight = 0
        self._changed = threading.Condition()
        self._failures = 0
        self._busy = 0
        self._connected_at_s = time.monotonic()
        self._crash: BaseException | None = None

    def send(self, deliveries: Sequence[Delivery]) -> None:
        """Try each delivery; returns when nothing more will be, or soon after a stop.

        An outcome that stays unknown has an intent in the log and no outcome.
        """
        self._queue.extend(deliveries)
        self._connected_at_s = time.monotonic()
        workers = [
            threading.Thread(target=self._work, daemon=True)
            for _ in range(min(self._jobs, len(deliveries)))
        ]
        for worker in workers:
            worker.start()
        wait_for(workers, self._pace.stop, lambda: self._on_progress(self.tally.done))
        self._queue.clear()
        if self._crash is not None:
            raise self._crash

    def _work(self) -> None:
        while (delivery := self._take()) is not None:
            try:
                self._deliver(delivery)
            except SurroundingsError as error:
                self.stop(Halt.SURROUNDINGS, str(error))
            except BaseException as error:  # noqa: BLE001  (a thread's bug is raised by `send`)
                self._crash = error
                self.stop(Halt.SURROUNDINGS, "a bug")
            finally:
                with self._changed:
                    self._in_flight -= 1
                    self._changed.notify_all()

    def _take(self) -> Delivery | None:
        with self._changed:
            while not (self.tally.is_halted or self._pace.stop.is_set()):
                if self._queue:
                    self._in_flight += 1
                    return self._queue.popleft()
                if self._in_flight == 0:
                    return None
                # What is in flight may yet be split.
                self._changed.wait(_POLL_S)
        return None

    def _deliver(self, delivery: Delivery) -> None:
        delivery_id = self._log.intend(delivery)
        self.tally.begun.add(delivery_id)
        try:
            answer = self._try(delivery)
        except Stopped:
            answer = NotConnected("the run stopped before it was sent")
        if isinstance(answer, NoRecipients) and isinstance(delivery.recipients, Direct):
            # That a filter matches nobody is final; of ids it says that one of them is wrong.
            answer = Rejected(status=409, code=_BAD_RECIPIENTS, detail=answer.detail)
        self._record(delivery, delivery_id, answer)
        self.tally.done += 1

    def _record(self, delivery: Delivery, delivery_id: str, answer: Outcome) -> None:
        match answer:
            case Unknown():
                # The intent stays without an outcome: that is how the log says unknown.
                self.tally.failed_at_s[delivery_id] = time.monotonic()
                self.tally.why_unknown[delivery_id] = answer.detail
            case Sent():
                if not self._echoes(delivery, answer):
                    self.tally.echoes_exactly = False
                self._log.settle(delivery_id, answer)
            case NoRecipients():
                self._log.settle(delivery_id, answer)
            case Rejected():
                self._log.settle(delivery_id, answer)
                self._refused(delivery, delivery_id, answer)
            case Busy():
                later = Rejected(status=429, code="TOO_MANY_REQUESTS", detail=answer.detail)
                self._log.settle(delivery_id, later)
                self.tally.postponed.append(delivery)
                self._count_busy(answer)
            case NotConnected():
                later = Rejected(status=None, code=None, detail=answer.detail)
                self._log.settle(delivery_id, later)
                self.tally.postponed.append(delivery)

    def _count_busy(self, answer: Busy) -> None:
        """Stop for a server that is busy for one delivery after the other, as long as it likes."""
        with self._changed:
            self._busy += 1
            is_enough = self._busy >= OUTAGE_FAILURES
        if is_enough:
            self.stop(Halt.QUOTA, answer.detail)

    def _try(self, delivery: Delivery) -> Outcome:
        """Try until there is an answer; again only where nothing can have been sent."""
        attempt = 0
        while True:
            attempt += 1
            answer = self._try_once(delivery)
            self._note(answer)
            if not isinstance(answer, (Busy, NotConnected)):
                return answer
            wait_s = _wait_s(answer, attempt)
            if isinstance(answer, Busy) and (
                answer.interval in ("HOUR", "DAY") or wait_s > _LONGEST_WAIT_S
            ):
                self.stop(Halt.QUOTA, answer.detail)
            if attempt == ATTEMPTS or self.tally.is_halted:
                return answer
            self._pace.pause(wait_s)

    def _note(self, answer: Outcome) -> None:
        """Count failures running; a server that takes nothing is not asked for ever."""
        with self._changed:
            now_s = time.monotonic()
            if not isinstance(answer, NotConnected):
                self._connected_at_s = now_s
            if isinstance(answer, (Unknown, NotConnected)):
                self._failures += 1
            elif not isinstance(answer, Busy):
                self._failures = self._busy = 0
            unreachable = now_s - self._connected_at_s > _OUTAGE_S
            outage = self._failures >= OUTAGE_FAILURES or unreachable
        if outage and isinstance(answer, (Unknown, NotConnected)):
            self.stop(Halt.OUTAGE, answer.detail)

    def _refused(self, delivery: Delivery, delivery_id: str, answer: Rejected) -> None:
        if answer.is_about_credentials:
            self.stop(Halt.CREDENTIALS, answer.detail)
            return
        parts = _parts(delivery, answer)
        if not parts:
            self.tally.refused.append((delivery, delivery_id, answer))
            return
        with self._changed:
            self._queue.extendleft(reversed(parts))
            self._changed.notify_all()

    def stop(self, halt: Halt, reason: str) -> None:
        """Take nothing more from the queue; the first reason stays."""
        with self._changed:
            if self.tally.halt is None:
                self.tally.halt, self.tally.halt_reason = halt, reason
            self._changed.notify_all()


def _wait_s(answer: Busy | NotConnected, attempt: int) -> float:
    if isinstance(answer, NotConnected):
        return 0.5 * attempt
    if answer.retry_after_s is not None:
        return answer.retry_after_s
    # Spread out, so that several runs do not come back in step.
    return min(30.0, 2.0 ** (attempt - 1)) * random.uniform(0.7, 1.3)  # noqa: S311  (no secret)


def _parts(delivery: Delivery, answer: Rejected) -> list[Delivery]:
    """Split a refused batch: it sent nothing, and one bad id must not cost the others theirs.

    Empty where the ids are not to blame or one stands alone.
    """
    recipients = delivery.recipients
    is_about_ids = answer.status == 400 or answer.code == _BAD_RECIPIENTS
    if not isinstance(recipients, Direct) or len(recipients.ids) < 2 or not is_about_ids:
        return []
    if answer.fields and not any(name.startswith("recipients_ids") for name in answer.fields):
        return []
    ids = recipients.ids
    named = [ids[number] for number in _named(answer) if number < len(ids)]
    rest = tuple(toloker for toloker in ids if toloker not in set(named))
    if named and rest:
        groups = [rest, *((toloker,) for toloker in named)]
    else:
        half = len(ids) // 2
        groups = [ids[:half], ids[half:]]
    return [Delivery(message=delivery.message, recipients=Direct(group)) for group in groups]


def _named(answer: Rejected) -> list[int]:
    """The places in the list of ids that a refusal names (`recipients_ids.3`)."""
    steps = [name.split(".") for name in answer.fields]
    found = [step[1] for step in steps if step[0] == "recipients_ids" and len(step) > 1]
    return sorted({int(number) for number in found if number.isdecimal()})
