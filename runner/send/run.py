"""One run of `send`: catch up, plan, send, look for what is in doubt, until nothing is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from runner import clock
from runner.errors import ExitCode, SurroundingsError
from runner.lookup import evidence
from runner.manifest.file import Manifest
from runner.model import Delivery, Direct, InThread, Message, Outcome, Rejected, Result
from runner.plan.build import build_plan
from runner.plan.plan import Key, Plan, Policy, result_of
from runner.plan.quota import fit
from runner.send.catch_up import Lists, Settler
from runner.send.folders import Filer, Unfiled, find_unfiled
from runner.send.sender import ATTEMPTS, Deliver, Halt, Sender
from runner.toloka.pace import Pace, Stopped


class Toloka(Lists, Protocol):
    """What a run needs of the wire."""

    @property
    def deliver(self) -> Deliver: ...

    def add_to_folders(self, thread_id: str, folders: Sequence[str]) -> Outcome: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a run is asked to do. `limit` counts deliveries; None is no limit.

    `only` are the message ids, revisions and Tolokers (threads) that a reviewed plan lets pass.
    """

    messages: tuple[Message, ...]
    jobs: int
    settle_s: float
    catches_up: bool
    limit: int | None = None
    policy: Policy = field(default_factory=Policy)
    only: frozenset[Key] | None = None
    planned: Plan | None = None
    """What was shown: it is taken as long as planning again would come to the same."""
    check: Callable[[Plan], object] = lambda _: None
    """Raises if a plan must not be carried out: catching up may have changed what is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run came to: every delivery's result, what to say loudly, and the exit code."""

    results: tuple[Result, ...]
    refused: tuple[tuple[Delivery, Rejected], ...] = ()
    notes: tuple[str, ...] = ()
    exit_code: ExitCode = ExitCode.DONE


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
        self._settler = Settler(manifest, toloka, pace, order.settle_s)
        self._sender = Sender(
            toloka.deliver,
            manifest,
            pace,
            jobs=order.jobs,
            echoes=evidence.echoes,
            on_progress=lambda done: on_progress(done, self._total),
        )
        self._last_plan = order.planned
        self._planned: set[Key] = set()
        self._total = 0
        self._tried = 0
        self._left_by_limit = 0
        self._left_by_quota = 0
        self._quota_notes: tuple[str, ...] = ()
        self._unfiled: list[Unfiled] = []

    def carry_out(self) -> Report:
        """Send everything that is due, each revision to each Toloker at most once.

        Raises `SurroundingsError` for a token, account or disk that stops the run before anything
        was sent; once something was, that is in the report.
        """
        order, tally = self._order, self._sender.tally
        try:
            self._settler.look_first(order.messages, catches_up=order.catches_up)
            plan = self._plan()
            order.check(plan)
            self._leave_out()
            self._planned = {key for each in plan.deliveries for key in _keys(each)}
            # A reply that turns out not to have been sent is tried again in this run.
            self._planned |= {
                (each.message, each.revision, each.in_thread) for each in self._manifest.unknown()
            }
            for _ in range(ATTEMPTS):
                if not self._round():
                    break
            self._file()
        except Stopped:
            pass
        except SurroundingsError as error:
            if not (tally.begun or self._settler.adopted or self._settler.found):
                raise
            # Something was done already, and has to be reported all the same.
            self._sender.stop(Halt.SURROUNDINGS, str(error))
        return self._report()

    def refresh(self) -> Report:
        """Settle what is in doubt without sending anything; repeating is safe."""
        try:
            self._settler.look_first((), catches_up=False)
            if self._manifest.unknown() and self._settler.failed is None:
                self._settler.settle_unknown({}, absence_counts=True)
        except Stopped:
            pass
        return self._report()

    def _round(self) -> bool:
        """Send what is due and settle what is in doubt; gives whether another round may help."""
        # Without the list, what a lost manifest forgot would be sent again.
        if self._settler.failed is not None and self._order.catches_up:
            return False
        due = self._due()
        if due:
            self._total = self._sender.tally.done + len(due)
            self._tried += len(due)
            self._sender.send(due)
        if self._must_stop():
            return False
        tally = self._sender.tally
        if self._manifest.unknown():
            self._settler.settle_unknown(tally.failed_at_s, absence_counts=tally.echoes_exactly)
        return not self._must_stop() and not tally.is_halted and bool(self._due())

    def _must_stop(self) -> bool:
        halt = self._sender.tally.halt
        return self._pace.stop.is_set() or halt in (Halt.CREDENTIALS, Halt.SURROUNDINGS)

    def _plan(self) -> Plan:
        """What is due now; planned again only where something has changed."""
        history, answered, now = self._manifest.history(), self._settler.answered, clock.now()
        last = self._last_plan
        if last is None or not last.still_holds(history, answered, now):
            last = build_plan(
                self._order.messages,
                history,
                now=now,
                policy=self._order.policy,
                answered=answered,
            )
            self._last_plan = last
        return last

    def _due(self) -> tuple[Delivery, ...]:
        """What is planned now, less what was refused or tried often enough, within the limits."""
        planned = self._not_refused(self._plan().deliveries, self._sender.tally.postponed)
        fits = fit(planned, self._manifest.history(), clock.now())
        self._left_by_quota = len(fits.later)
        self._quota_notes = fits.quota_notes
        if self._order.limit is None:
            return fits.today
        room = max(self._order.limit - self._tried, 0)
        self._left_by_limit = len(fits.today[room:])
        return fits.today[:room]

    def _not_refused(
        self, deliveries: Sequence[Delivery], postponed: Sequence[Delivery] = ()
    ) -> list[Delivery]:
        """What has not been refused in this run, and need not wait for the next one."""
        refused = {key for each, _, _ in self._sender.tally.refused for key in _keys(each)}
        refused |= {key for each in postponed for key in _keys(each)}
        parts = (_narrowed(each, self._allowed(each) - refused) for each in deliveries)
        return [part for part in parts if part is not None]

    def _allowed(self, delivery: Delivery) -> set[Key]:
        """What of a delivery somebody has seen in a plan: the rest waits for another run.

        A reply to a thread that this very run made was in no plan.
        """
        keys = _keys(delivery)
        if isinstance(delivery.recipients, InThread):
            keys &= self._planned
        return keys if self._order.only is None else keys & self._order.only

    def _leave_out(self) -> None:
        """Record who is suppressed, so that taking them off the list releases no old mail."""
        if self._settler.failed is not None:
            return
        known = self._manifest.history().suppressed
        for planned in self._plan().messages:
            message = planned.message
            before = known.get((message.id, message.revision), frozenset())
            ids = {
                toloker: None
                for result in planned.skipped
                if result.status == "suppressed"
                for toloker in result.recipients_ids or ()
                if toloker not in before
            }
            if ids:
                self._manifest.leave_out(message, list(ids))

    def _file(self) -> None:
        """Put what was sent into its folders."""
        if self._must_stop() or self._sender.tally.is_halted:
            return
        todo = find_unfiled(self._order.messages, self._manifest.history())
        filer = Filer(self._toloka.add_to_folders, self._manifest.note_folders, self._pace)
        filer.file(todo, self._order.jobs)
        self._unfiled = filer.left

    def _report(self) -> Report:
        tally = self._sender.tally
        plan = self._plan()
        results = [self._told(result) for result in plan.skipped]
        results += [
            result_of(each, "rejected", delivery_id=delivery_id, error=answer.detail)
            for each, delivery_id, answer in tally.refused
        ]
        left = self._not_refused(plan.deliveries)
        results += [result_of(each, "not_tried", error=self._why_left()) for each in left]
        new = [_narrowed(each, _keys(each) - self._allowed(each)) for each in plan.deliveries]
        why = "it was in no plan yet"
        results += [result_of(each, "waiting", error=why) for each in new if each is not None]
        return Report(
            results=tuple(results),
            refused=tuple((each, answer) for each, _, answer in tally.refused),
            notes=tuple(self._notes(results)),
            exit_code=self._exit_code(bool(left)),
        )

    def _told(self, result: Result) -> Result:
        """Tell what the manifest knows in the words of this run."""
        settler, delivery = self._settler, result.delivery or ""
        if result.status in ("already_sent", "edited"):
            if delivery in self._sender.tally.begun:
                return replace(result, status="sent")
            if delivery in settler.adopted or delivery in settler.found:
                return replace(result, status="adopted")
        if result.status == "unknown":
            why = self._sender.tally.why_unknown.get(delivery) or result.error
            near = settler.near.get(delivery)
            beside = (
                f"; thread {near.id} nearly matches: see `message-runner resolve`" if near else ""
            )
            return replace(result, error=f"{why}{beside}")
        return result

    def _why_left(self) -> str:
        tally = self._sender.tally
        if self._pace.stop.is_set():
            return "the run was stopped"
        if tally.halt is not None:
            return tally.halt_reason
        if self._settler.failed:
            return f"Toloka's list could not be had: {self._settler.failed}"
        if self._left_by_quota:
            return "Toloka's daily limit"
        if self._left_by_limit:
            return "--limit"
        return "it was tried as often as one run may"

    def _notes(self, results: Sequence[Result]) -> Iterator[str]:
        tally = self._sender.tally
        yield from self._quota_notes
        if tally.halt is not None:
            yield f"stopped: {tally.halt_reason}"
        if self._settler.failed:
            yield f"Toloka's list of threads could not be had: {self._settler.failed}"
        if not tally.echoes_exactly:
            yield (
                "Toloka gave a thread back that differs from what was sent: "
                "what is not on its list is not taken for unsent in this run"
            )
        if self._unfiled:
            why = getattr(self._unfiled[0].answer, "detail", "")
            yield f"threads that could not be put into their folders: {len(self._unfiled)}: {why}"
        told = {result.delivery for result in results}
        others = [each for each in self._manifest.unknown() if each.delivery not in told]
        if others:
            yield f"unknown outcomes of messages that were not selected: {len(others)}"

    def _exit_code(self, is_left: bool) -> ExitCode:
        tally = self._sender.tally
        if tally.halt in (Halt.CREDENTIALS, Halt.SURROUNDINGS):
            return ExitCode.SURROUNDINGS
        if self._manifest.unknown():
            return ExitCode.UNKNOWN
        other_reasons = self._left_by_quota or self._settler.failed or tally.postponed
        only_limit = self._left_by_limit and not other_reasons
        unfiled_for_now = any(not isinstance(each.answer, Rejected) for each in self._unfiled)
        if tally.halt is not None or unfiled_for_now or (is_left and not only_limit):
            return ExitCode.LATER
        return ExitCode.REFUSED if tally.refused or self._unfiled else ExitCode.DONE


def _keys(delivery: Delivery) -> set[Key]:
    return {(delivery.message.id, delivery.message.revision, key) for key in delivery.keys}


def _narrowed(delivery: Delivery, keys: set[Key]) -> Delivery | None:
    """The part of a delivery that reaches these keys; None for no part."""
    if not keys:
        return None
    if not delivery.people or len(keys) == len(delivery.people):
        return delivery
    wanted = {key for _, _, key in keys}
    ids = tuple(toloker for toloker in delivery.people if toloker in wanted)
    return replace(delivery, recipients=Direct(ids))
