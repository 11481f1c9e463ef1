"""One run of `send`: catch up, plan, send, look for what is in doubt, until nothing is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from runner import clock
from runner.errors import ExitCode, SurroundingsError
from runner.manifest.file import Manifest
from runner.model import Delivery, Direct, InThread, Message, Outcome, Rejected, Result, Unknown
from runner.plan.build import build_plan
from runner.plan.plan import Key, Plan, Policy, result_of
from runner.plan.quota import fit
from runner.send.catch_up import CatchUp, Lists
from runner.send.folders import file_threads, find_unfiled
from runner.send.sender import Deliver, Sender
from runner.send.tally import Halt, RunResult, Tally, exit_code
from runner.send.workers import ATTEMPTS, Workers
from runner.toloka.pace import Pace, Stopped


class Toloka(Lists, Protocol):
    """What a run needs of the wire."""

    @property
    def deliver(self) -> Deliver: ...

    def add_to_folders(self, thread_id: str, folders: Sequence[str]) -> Outcome: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
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


class Run:
    """Carries out what it was asked to do, with an open manifest."""

    def __init__(
        self,
        options: RunOptions,
        manifest: Manifest,
        toloka: Toloka,
        pace: Pace,
        on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> None:
        self._options = options
        self._manifest = manifest
        self._toloka = toloka
        self._pace = pace
        self._on_progress = on_progress
        self._catch_up = CatchUp(manifest, toloka, pace, options.settle_s)
        self._tally = Tally()
        self._workers = Workers(self._tally, pace, jobs=options.jobs)
        self._last_plan = options.planned
        self._planned: set[Key] = set()
        self._tried = 0
        self._left_by_limit = 0
        self._left_by_quota = 0
        self._quota_notes: tuple[str, ...] = ()
        self._is_filing = False
        self._unfiled = 0

    def carry_out(self) -> RunResult:
        """Send everything that is due, each revision to each Toloker at most once.

        Raises `SurroundingsError` for a token, account or disk that stops the run before anything
        was sent; once something was, that is in the report.
        """
        options, tally = self._options, self._tally
        try:
            self._catch_up.look_first(options.messages, catches_up=options.catches_up)
            plan = self._plan()
            options.check(plan)
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
            if not (tally.tried or self._catch_up.adopted or self._catch_up.found):
                raise
            # Something was done already, and has to be reported all the same.
            self._workers.stop(Halt.SURROUNDINGS, str(error))
        return self._report()

    def refresh(self) -> RunResult:
        """Settle what is in doubt without sending anything; repeating is safe."""
        try:
            self._catch_up.look_first((), catches_up=False)
            if self._manifest.unknown() and self._catch_up.failed is None:
                self._catch_up.look_for_unknown({}, absence_counts=True)
        except Stopped:
            pass
        return self._report()

    def _round(self) -> bool:
        """Send what is due and settle what is in doubt; gives whether another round may help."""
        # Without the list, what a lost manifest forgot would be sent again.
        if self._catch_up.failed is not None and self._options.catches_up:
            return False
        due = self._due()
        if due:
            total = self._tally.done + len(due)
            self._tried += len(due)
            sender = Sender(self._toloka.deliver, self._manifest, self._workers)
            sender.send(due, lambda: self._on_progress(self._tally.done, total))
        if self._must_stop():
            return False
        tally = self._tally
        if self._manifest.unknown():
            self._catch_up.look_for_unknown(tally.failed_at_s, absence_counts=tally.echoes_exactly)
        return not self._must_stop() and tally.halt is None and bool(self._due())

    def _must_stop(self) -> bool:
        halt = self._tally.halt
        return self._pace.stop.is_set() or halt in (Halt.CREDENTIALS, Halt.SURROUNDINGS)

    def _plan(self) -> Plan:
        """What is due now; planned again only where something has changed."""
        history, answered, now = self._manifest.history(), self._catch_up.answered, clock.now()
        last = self._last_plan
        if last is None or not last.still_holds(history, answered, now):
            last = build_plan(
                self._options.messages,
                history,
                now=now,
                policy=self._options.policy,
                answered=answered,
            )
            self._last_plan = last
        return last

    def _due(self) -> tuple[Delivery, ...]:
        """What is planned now, less what was refused or tried often enough, within the limits."""
        planned = self._not_refused(self._plan().deliveries, self._tally.postponed)
        fits = fit(planned, self._manifest.history(), clock.now())
        self._left_by_quota = len(fits.later)
        self._quota_notes = fits.quota_notes
        if self._options.limit is None:
            return fits.today
        room = max(self._options.limit - self._tried, 0)
        self._left_by_limit = len(fits.today[room:])
        return fits.today[:room]

    def _not_refused(
        self, deliveries: Sequence[Delivery], postponed: Sequence[Delivery] = ()
    ) -> list[Delivery]:
        """What has not been refused in this run, and need not wait for the next one."""
        refused = {key for each, _, _ in self._tally.refused for key in _keys(each)}
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
        return keys if self._options.only is None else keys & self._options.only

    def _leave_out(self) -> None:
        """Record who is suppressed, so that taking them off the list releases no old mail."""
        if self._catch_up.failed is not None:
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
        if self._must_stop() or self._tally.halt is not None:
            return
        self._is_filing = True
        todo = find_unfiled(self._options.messages, self._manifest.history())
        if todo:
            add, note = self._toloka.add_to_folders, self._manifest.note_folders
            workers = Workers(self._tally, self._pace, jobs=self._options.jobs)
            file_threads(todo, add, note, workers)
            self._unfiled = len(find_unfiled(self._options.messages, self._manifest.history()))

    def _report(self) -> RunResult:
        tally = self._tally
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
        return RunResult(
            results=tuple(results),
            refused=tuple((each, answer) for each, _, answer in tally.refused),
            notes=tuple(self._notes(results)),
            exit_code=self._exit_code(bool(left)),
        )

    def _told(self, result: Result) -> Result:
        """Tell what the manifest knows in the words of this run."""
        looked, delivery = self._catch_up, result.delivery or ""
        if result.status in ("already_sent", "edited"):
            if delivery in self._tally.tried:
                return replace(result, status="sent")
            if delivery in looked.adopted or delivery in looked.found:
                return replace(result, status="adopted")
        if result.status == "unknown":
            outcome = self._tally.outcomes.get(delivery)
            why = outcome.detail if isinstance(outcome, Unknown) else result.error
            near = looked.near.get(delivery)
            beside = (
                f"; thread {near.id} nearly matches: see `message-runner resolve`" if near else ""
            )
            return replace(result, error=f"{why}{beside}")
        return result

    def _why_left(self) -> str:
        tally = self._tally
        if self._pace.stop.is_set():
            return "the run was stopped"
        # What was left over before the filing was not left over because of it.
        if tally.halt is not None and not self._is_filing:
            return tally.halt_reason
        if self._catch_up.failed:
            return f"Toloka's list could not be had: {self._catch_up.failed}"
        if self._left_by_quota:
            return "Toloka's daily limit"
        if self._left_by_limit:
            return "--limit"
        return "it was tried as often as one run may"

    def _notes(self, results: Sequence[Result]) -> Iterator[str]:
        tally = self._tally
        yield from self._quota_notes
        if tally.halt is not None:
            yield f"stopped: {tally.halt_reason}"
        if self._catch_up.failed:
            yield f"Toloka's list of threads could not be had: {self._catch_up.failed}"
        if not tally.echoes_exactly:
            yield (
                "Toloka gave a thread back that differs from what was sent: "
                "what is not on its list is not taken for unsent in this run"
            )
        if self._unfiled and (tally.unfiled or tally.halt is not None):
            why = getattr(tally.unfiled[0], "detail", "") if tally.unfiled else tally.halt_reason
            yield f"threads that could not be put into their folders: {self._unfiled}: {why}"
        told = {result.delivery for result in results}
        others = [each for each in self._manifest.unknown() if each.delivery not in told]
        if others:
            yield f"unknown outcomes of messages that were not selected: {len(others)}"

    def _exit_code(self, is_left: bool) -> ExitCode:
        tally = self._tally
        other_reasons = self._left_by_quota or self._catch_up.failed or tally.postponed
        only_limit = self._left_by_limit and not other_reasons
        unfiled_for_now = any(not isinstance(each, Rejected) for each in tally.unfiled)
        return exit_code(
            tally.halt,
            unknown=bool(self._manifest.unknown()),
            later=unfiled_for_now or (is_left and not only_limit),
            refused=bool(tally.refused or self._unfiled),
        )


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
