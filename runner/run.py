"""One run of `send`: catch up, plan, send, look for what is in doubt, until nothing is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from runner import clock, reconcile
from runner.errors import ExitCode, ListError
from runner.manifest import Manifest
from runner.model import (
    Attempt,
    Delivery,
    Direct,
    Message,
    NotFound,
    Rejected,
    Result,
    Sent,
    Thread,
)
from runner.pacing import Pace, Stopped
from runner.plan import Plan, build_plan, result_of
from runner.quota import fit
from runner.send import ATTEMPTS, Compose, Halt, Sender

_POLL_S = 0.1


class Toloka(Protocol):
    """What a run needs of the wire."""

    @property
    def compose(self) -> Compose: ...

    @property
    def server_ahead_s(self) -> float: ...

    def threads(self, query: Mapping[str, str]) -> Iterator[Thread]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a run is asked to do. `limit` counts deliveries; None is no limit."""

    messages: tuple[Message, ...]
    jobs: int
    settle_s: float
    catches_up: bool
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run came to: every delivery's result, what to say loudly, and the exit code."""

    results: tuple[Result, ...]
    refused: tuple[tuple[Delivery, Rejected], ...] = ()
    notes: tuple[str, ...] = ()
    exit_code: ExitCode = ExitCode.DONE


@dataclass(slots=True)
class _Memory:
    """What only this run knows."""

    started_s: float
    adopted: set[str] = field(default_factory=set)
    settled_by_looking: set[str] = field(default_factory=set)
    near: dict[str, Thread] = field(default_factory=dict)
    sums: tuple[str, ...] = ()
    left_by_limit: int = 0
    left_by_quota: int = 0
    tried: int = 0
    list_failed: str | None = None


class Run:
    """Carries out an order with an open manifest."""

    def __init__(
        self,
        order: Order,
        manifest: Manifest,
        toloka: Toloka,
        pace: Pace,
        on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> None:
        self._order = order
        self._manifest = manifest
        self._toloka = toloka
        self._pace = pace
        self._memory = _Memory(started_s=time.monotonic())
        self._total = 0
        self._sender = Sender(
            toloka.compose,
            manifest,
            pace,
            jobs=order.jobs,
            echoes=reconcile.echoes,
            on_progress=lambda done: on_progress(done, self._total),
        )

    def carry_out(self) -> Report:
        """Send everything that is due, each revision to each Toloker at most once.

        Raises `SurroundingsError` for a token, account or disk that stops the run before anything
        was sent; once something was, that is in the report.
        """
        try:
            self._look_first()
            for _ in range(ATTEMPTS):
                if not self._round():
                    break
        except Stopped:
            pass
        return self._report()

    def refresh(self) -> Report:
        """Settle what is in doubt without sending anything; repeating is safe."""
        try:
            self._look_first()
            if self._unknown() and not self._memory.list_failed:
                self._settle_unknown()
        except Stopped:
            pass
        return self._report()

    def _round(self) -> bool:
        """Send what is due and settle what is in doubt; gives whether another round may help."""
        due = self._due()
        if self._memory.list_failed and self._order.catches_up:
            return False
        if due:
            self._total = self._sender.tally.done + len(due)
            self._memory.tried += len(due)
            self._sender.send(due)
        if self._must_stop():
            return False
        if self._unknown():
            self._settle_unknown()
        return not self._must_stop() and not self._sender.tally.is_halted and bool(self._due())

    def _must_stop(self) -> bool:
        halt = self._sender.tally.halt
        return self._pace.stop.is_set() or halt in (Halt.CREDENTIALS, Halt.SURROUNDINGS)

    def _plan(self) -> Plan:
        return build_plan(self._order.messages, self._manifest.history(), now=clock.now())

    def _due(self) -> tuple[Delivery, ...]:
        """What is planned now, less what was refused already, within the limits."""
        planned = self._not_refused(self._plan().deliveries)
        fits = fit(planned, self._manifest.history(), clock.now())
        self._memory.left_by_quota = len(fits.later)
        self._memory.sums = fits.sums
        if self._order.limit is None:
            return fits.today
        room = max(self._order.limit - self._memory.tried, 0)
        self._memory.left_by_limit = len(fits.today[room:])
        return fits.today[:room]

    def _not_refused(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        refused = {
            (each.message.id, toloker)
            for each, _, _ in self._sender.tally.refused
            for toloker in _ids(each)
        }
        left = []
        for delivery in deliveries:
            ids = tuple(
                each for each in _ids(delivery) if (delivery.message.id, each) not in refused
            )
            if isinstance(delivery.recipients, Direct) and ids != delivery.recipients.ids:
                delivery = replace(delivery, recipients=Direct(tuple(filter(None, ids))))
            if ids:
                left.append(delivery)
        return left

    def _unknown(self) -> list[Attempt]:
        return self._manifest.unknown()

    def _look_first(self) -> None:
        """List once: adopt what the manifest does not know, find what an earlier run left."""
        history = self._manifest.history()
        unknown = self._unknown()
        starts = [reconcile.since_unknown(unknown, self._toloka.server_ahead_s)]
        if self._order.catches_up:
            starts.append(reconcile.since_newest(history))
        begin = min((start for start in starts if start), default=None)
        if begin is None:
            return
        threads = self._list(begin)
        if threads is None:
            return
        for thread in threads:
            self._manifest.check_account(thread.account)
        self._take_found(reconcile.look_for(unknown, threads, history.thread_ids))
        if self._order.catches_up:
            self._adopt(threads)

    def _list(self, begin: datetime) -> list[Thread] | None:
        try:
            return list(self._toloka.threads(reconcile.query_since(begin)))
        except ListError as error:
            self._memory.list_failed = str(error)
            return None

    def _take_found(self, look: reconcile.Look) -> None:
        for delivery_id, thread in look.found.items():
            self._manifest.settle(delivery_id, Sent(thread), "found")
            self._memory.settled_by_looking.add(delivery_id)
            self._memory.near.pop(delivery_id, None)
        self._memory.near.update(look.near)

    def _adopt(self, threads: Sequence[Thread]) -> None:
        claimed = self._manifest.thread_ids()
        for adoption in reconcile.find_adoptions(self._order.messages, threads, claimed):
            self._memory.adopted.add(self._manifest.adopt(adoption.message, adoption.thread))

    def _settle_unknown(self) -> None:
        """Look at once; what is not there is looked for again after the settling time."""
        self._look_again()
        unknown = self._unknown()
        if not unknown:
            return
        failed_at_s = self._sender.tally.failed_at_s
        last_s = max(failed_at_s.get(each.delivery, self._memory.started_s) for each in unknown)
        self._wait_until(last_s + self._order.settle_s)
        if not self._look_again():
            return
        for attempt in self._unknown():
            is_near = attempt.delivery in self._memory.near
            if self._sender.tally.echoes_exactly and not is_near:
                self._manifest.settle(attempt.delivery, NotFound(), "looked")

    def _look_again(self) -> bool:
        unknown = self._unknown()
        begin = reconcile.since_unknown(unknown, self._toloka.server_ahead_s)
        threads = self._list(begin) if begin else []
        if threads is None:
            return False
        self._memory.list_failed = None
        self._memory.near.clear()
        claimed = self._manifest.thread_ids()
        self._take_found(reconcile.look_for(unknown, threads, claimed))
        return True

    def _wait_until(self, moment_s: float) -> None:
        while (left_s := moment_s - time.monotonic()) > 0:
            if self._pace.stop.wait(min(left_s, _POLL_S)):
                raise Stopped

    def _report(self) -> Report:
        tally = self._sender.tally
        plan = self._plan()
        results = [self._told(result) for result in plan.settled]
        results += [
            result_of(each, "rejected", delivery_id=delivery_id, error=answer.detail)
            for each, delivery_id, answer in tally.refused
        ]
        left = self._not_refused(plan.deliveries)
        results += [result_of(each, "not_tried", error=self._why_left()) for each in left]
        return Report(
            results=tuple(results),
            refused=tuple((each, answer) for each, _, answer in tally.refused),
            notes=tuple(self._notes(results)),
            exit_code=self._exit_code(bool(left)),
        )

    def _told(self, result: Result) -> Result:
        """Tell what the manifest knows in the words of this run."""
        memory, delivery = self._memory, result.delivery or ""
        if result.status in ("already_sent", "edited"):
            if delivery in self._sender.tally.begun:
                return replace(result, status="sent")
            if delivery in memory.adopted or delivery in memory.settled_by_looking:
                return replace(result, status="adopted")
        if result.status == "unknown":
            why = self._sender.tally.why_unknown.get(delivery) or result.error
            near = memory.near.get(delivery)
            beside = (
                f"; thread {near.id} nearly matches: see `message-runner resolve`" if near else ""
            )
            return replace(result, error=f"{why}{beside}")
        return result

    def _why_left(self) -> str:
        tally, memory = self._sender.tally, self._memory
        if self._pace.stop.is_set():
            return "the run was stopped"
        if tally.halt is not None:
            return tally.halt_reason
        if memory.list_failed:
            return f"Toloka's list could not be had: {memory.list_failed}"
        if memory.left_by_quota:
            return "Toloka's daily limit"
        if memory.left_by_limit:
            return "--limit"
        return "it was tried as often as one run may"

    def _notes(self, results: Sequence[Result]) -> Iterator[str]:
        tally, memory = self._sender.tally, self._memory
        yield from memory.sums
        if tally.halt is not None:
            yield f"stopped: {tally.halt_reason}"
        if memory.list_failed:
            yield f"Toloka's list of threads could not be had: {memory.list_failed}"
        if not tally.echoes_exactly:
            yield (
                "Toloka gave a thread back that differs from what was sent: "
                "what is not on its list is not taken for unsent in this run"
            )
        told = {result.delivery for result in results}
        others = [each for each in self._unknown() if each.delivery not in told]
        if others:
            yield f"{len(others)} unknown outcomes belong to messages that were not selected"

    def _exit_code(self, is_left: bool) -> ExitCode:
        tally, memory = self._sender.tally, self._memory
        if tally.halt in (Halt.CREDENTIALS, Halt.SURROUNDINGS):
            return ExitCode.SURROUNDINGS
        if self._unknown():
            return ExitCode.UNKNOWN
        only_limit = memory.left_by_limit and not (memory.left_by_quota or memory.list_failed)
        if tally.halt is not None or (is_left and not only_limit):
            return ExitCode.LATER
        return ExitCode.REFUSED if tally.refused else ExitCode.DONE


def _ids(delivery: Delivery) -> tuple[str | None, ...]:
    """The Tolokers of a delivery, or one None for a filter and for everybody."""
    recipients = delivery.recipients
    return recipients.ids if isinstance(recipients, Direct) else (None,)
