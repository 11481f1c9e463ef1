"""One run of `send`: catch up, plan, send, look for what is in doubt, until nothing is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from runner import clock
from runner.errors import ExitCode, LaterError, SurroundingsError
from runner.manifest.manifest import Manifest
from runner.manifest.told import find_unselected
from runner.model import (
    Delivery,
    InOwnThread,
    InThread,
    InThreads,
    Outcome,
    ReachedBy,
    Rejected,
    Result,
    Unknown,
    asks_for_answers,
    compared_as,
)
from runner.plan.build import build_plan
from runner.plan.needs import find_needs, find_unfiled, find_unheld, find_unrecorded
from runner.plan.plan import Key, Plan, keys_of, narrowed, result_of
from runner.plan.quota import fit
from runner.send.catch_up import CatchUp
from runner.send.folders import file_threads
from runner.send.lists import Lister, Lists
from runner.send.notes import find_changed, find_lacks, find_left_unfiled
from runner.send.options import RunOptions
from runner.send.sender import Sender
from runner.send.tally import Halt, RunResult, Tally, exit_code
from runner.send.unknown import UnknownOutcomes
from runner.send.workers import ATTEMPTS, Workers
from runner.toloka.pace import Pace, Stopped


class Toloka(Lists, Protocol):
    """What a run needs of the wire."""

    def deliver(self, delivery: Delivery) -> Outcome: ...

    @property
    def server_ahead_s(self) -> float: ...

    def add_to_folders(self, thread_id: str, folders: Sequence[str]) -> Outcome: ...


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
        self._lister = Lister(manifest, toloka, pace, options.tell)
        self._catch_up = CatchUp(
            manifest, self._lister, options.settle_s, options.messages, options.other_messages
        )
        self._unknown = UnknownOutcomes(manifest, self._lister, options.settle_s, pace.now_s())
        self._tally = Tally()
        self._workers = Workers(self._tally, pace, jobs=options.jobs)
        self._last_plan = options.planned
        self._planned: set[Key] = set()
        self._tried = 0
        self._left_by_limit = 0
        self._left_by_quota = 0
        self._quota_notes: tuple[str, ...] = ()
        self._is_filing = False
        self._is_anchored = False
        self._unfiled = 0

    def carry_out(self) -> RunResult:
        """Send everything that is due, each revision to each Toloker at most once.

        Raises `SurroundingsError` for a token, account or disk that stops the run before anything
        was sent; once something was, that is in the report.
        """
        options, tally = self._options, self._tally
        try:
            self._look_first()
            plan = self._plan()
            if plan is not options.planned:
                options.check(plan)
            self._leave_out()
            self._planned = {key for each in plan.deliveries for key in keys_of(each)}
            # What turns out not to have been sent is tried again in this run.
            self._planned |= {
                (each.message, each.revision, key)
                for each in plan.history.unknown
                for key in (each.in_thread, *map(compared_as, each.recipients_ids))
            }
            for _ in range(ATTEMPTS):
                if not self._round():
                    break
            self._file()
        except Stopped:
            pass
        except (SurroundingsError, LaterError) as error:
            if not (tally.tried or self._catch_up.adopted or self._found):
                raise
            # Something was done already, and has to be reported all the same.
            is_later = isinstance(error, LaterError)
            self._workers.stop(Halt.OUTAGE if is_later else Halt.SURROUNDINGS, str(error))
        return self._report()

    def refresh(self) -> RunResult:
        """Settle what is in doubt without sending anything; repeating is safe."""
        with suppress(Stopped):
            self._unknown.settle({}, self._tally.last_success_s)
        return self._report()

    def _look_first(self) -> None:
        """Catch up with what the list has, and read the threads that replies go into."""
        history, catches_up = self._manifest.history(), self._options.catches_up
        if catches_up:
            self._catch_up.catch_up()
        actions = {each.action for each in self._options.messages}
        actions |= {each.action for each in self._manifest.history().open}
        asks = any(asks_for_answers(each.recipients) for each in self._options.messages)
        if self._lister.failed is None and ("reply" in actions or asks):
            self._catch_up.look_into_threads()
            if self._lister.failed is None and catches_up and history.has_gap:
                self._catch_up.adopt_replies()

    @property
    def _found(self) -> set[str]:
        return self._catch_up.found | self._unknown.found

    def _round(self) -> bool:
        """Send what is due and settle what is in doubt; gives whether another round may help."""
        # Without the list, what a lost manifest forgot would be sent again.
        if self._lister.failed is not None and self._options.catches_up:
            return False
        due = self._due()
        if due and self._has_anchor():
            total = self._tally.done + len(due)
            self._tried += len(due)
            place_of = self._catch_up.place_of
            self._manifest.claim(due, place_of)
            known = self._manifest.history().thread_ids
            sender = Sender(
                self._toloka.deliver,
                self._manifest,
                self._workers,
                known,
                place_of,
                now=self._now,
                max_refused=self._options.policy.max_refused,
            )
            self._workers.work(due, sender.send, lambda: self._on_progress(self._tally.done, total))
            self._manifest.release()
        if self._must_stop():
            return False
        tally = self._tally
        if self._lister.failed is None and self._manifest.history().open:
            self._unknown.settle(tally.failed_at_s, tally.last_success_s)
        return not self._must_stop() and tally.halt is None and bool(self._due())

    def _has_anchor(self) -> bool:
        """Ask for the newest page before the first compose: from there on it is looked for."""
        if not self._is_anchored:
            anchor = self._lister.newest()
            if anchor is not None:
                self._manifest.note_anchor(anchor)
                self._is_anchored = True
        return self._is_anchored

    def _must_stop(self) -> bool:
        return self._pace.stop.is_set() or self._tally.halt is Halt.SURROUNDINGS

    def _plan(self) -> Plan:
        """What is due now; planned again only where something has changed."""
        answered = self._catch_up.answered
        last, now = self._last_plan, self._now()
        if last is None or not last.still_holds(self._manifest.facts, answered, now):
            last = build_plan(
                self._options.messages,
                self._manifest.history(),
                now=now,
                policy=self._options.policy,
                answered=answered,
            )
            self._last_plan = last
        return last

    def _now(self) -> datetime:
        """The time by Toloka's clock, as the last answer told it: windows go by it."""
        return clock.now() + timedelta(seconds=self._toloka.server_ahead_s)

    def _due(self) -> tuple[Delivery, ...]:
        """What is planned now, less what was refused or tried often enough, within the limits."""
        plan = self._plan()
        postponed = [delivery for delivery, _ in self._tally.postponed]
        planned = self._not_refused(plan.deliveries, postponed)
        if self._catch_up.threads:
            planned = [each for each in planned if not self._catch_up.is_behind(each)]
        fits = fit(planned, plan.history, clock.now())
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
        refused = {key for each, _, _ in self._tally.refused for key in keys_of(each)}
        refused |= {key for each in postponed for key in keys_of(each)}
        parts = (narrowed(each, self._allowed(each) - refused) for each in deliveries)
        return [part for part in parts if part is not None]

    def _allowed(self, delivery: Delivery) -> set[Key]:
        """What of a delivery somebody has seen in a plan: the rest waits for another run.

        What goes by threads or Tolokers that this very run reached was in no plan.
        """
        keys = keys_of(delivery)
        if isinstance(delivery.message.recipients, (InThread, InThreads, InOwnThread, ReachedBy)):
            keys &= self._planned
        return self._options.let_pass(delivery, keys, self._catch_up.origins)

    def _leave_out(self) -> None:
        """Record who is suppressed, so that taking them off the list releases no old mail.

        And how many a limit holds back, so that everybody can see it.
        """
        if self._lister.failed is not None:
            return
        plan = self._plan()
        for message, ids in find_unrecorded(plan):
            self._manifest.leave_out(message, ids)
        for message, count in find_unheld(plan):
            self._manifest.hold(message, count)

    def _file(self) -> None:
        """Put what was sent into its folders."""
        wants_folders = any(message.folders for message in self._options.messages)
        if not wants_folders or self._must_stop() or self._tally.halt is not None:
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
            for each, delivery_id, answer in tally.refused_in_order
        ]
        left = self._not_refused(plan.deliveries)
        results += [result_of(each, "not_tried", error=self._why_left()) for each in left]
        new = [narrowed(each, keys_of(each) - self._allowed(each)) for each in plan.deliveries]
        why = "it was in no plan yet"
        results += [result_of(each, "waiting", error=why) for each in new if each is not None]
        # Its end line is not there yet, and says nothing of it.
        has_looked = self._lister.failed is None and plan.history.cursor is not None
        looks = self._options.catches_up and not has_looked
        return RunResult(
            results=tuple(results),
            refused=tuple((each, answer) for each, _, answer in tally.refused_in_order),
            notes=tuple(self._notes(results)),
            needs=find_needs(plan, looks=looks, now=clock.now()),
            exit_code=self._exit_code(bool(left)),
        )

    def _told(self, result: Result) -> Result:
        """Tell what the manifest knows in the words of this run."""
        looked, delivery = self._catch_up, result.delivery or ""
        if result.status in ("already_sent", "edited"):
            if delivery in self._tally.tried:
                return replace(result, status="sent")
            if delivery in looked.adopted:
                told = f"its thread is of {looked.adopted[delivery]}"
                return replace(result, status="adopted", error=told)
            if delivery in self._found:
                return replace(result, status="adopted")
        outcome = self._tally.outcomes.get(delivery)
        if result.status in ("unknown", "in_doubt") and isinstance(outcome, Unknown):
            return replace(result, error=f"{outcome.detail}; {result.error}")
        return result

    def _why_left(self) -> str:
        tally = self._tally
        if self._pace.stop.is_set():
            return str(self._manifest.log.lost or "the run was stopped: run it again for the rest")
        # What was left over before the filing was not left over because of it.
        if tally.halt is not None and not self._is_filing:
            return tally.halt_reason
        if self._lister.failed:
            return f"Toloka's list could not be had: {self._lister.failed}"
        if self._left_by_quota:
            return "Toloka's daily limit"
        if self._left_by_limit:
            return "--limit"
        why = [detail for _, detail in tally.postponed[-1:]]
        return ": ".join(["it was tried as often as one run may", *why])

    def _notes(self, results: Sequence[Result]) -> Iterator[str]:
        tally = self._tally
        yield from self._quota_notes
        if tally.halt is not None or self._manifest.log.lost is not None:
            yield f"stopped: {tally.halt_reason or self._manifest.log.lost}"
        if self._lister.failed:
            yield f"Toloka's list of threads could not be had: {self._lister.failed}"
        yield from find_changed(tally)
        yield from find_left_unfiled(tally, self._unfiled)
        yield from find_lacks(results, self._catch_up.adopted)
        yield from find_unselected(results, self._manifest.history())

    def _exit_code(self, is_left: bool) -> ExitCode:
        tally = self._tally
        # What a limit or too many refusals leave over waits for nothing.
        is_left = is_left and not self._left_by_limit
        waits = self._left_by_quota or (
            tally.halt is not Halt.REFUSED and (tally.postponed or is_left)
        )
        unfiled_for_now = any(not isinstance(each, Rejected) for each in tally.unfiled)
        return exit_code(
            tally.halt,
            unknown=bool(self._manifest.history().unknown),
            later=bool(unfiled_for_now or waits or self._lister.failed),
            refused=bool(tally.refused or self._unfiled),
        )
