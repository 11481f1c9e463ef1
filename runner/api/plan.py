"""What would be sent, and the sending of that and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Literal

from runner import clock
from runner.api.interrupts import Interrupts, interruptible
from runner.api.origin import origin_of
from runner.api.report import Report, last_line
from runner.api.sending import Order, carry_through
from runner.api.settings import Settings, Speed, is_ci_job, load_pacing
from runner.api.shown import Shown, framed
from runner.errors import Problem, SurroundingsError
from runner.manifest.told import Truth
from runner.model import Delivery, Result, compared_as, reached_as
from runner.plan.plan import Key, keys_of
from runner.plan.plan import Plan as Planned
from runner.plan.planfile import PlanFile, take_plan
from runner.prepare import Checked
from runner.report.page import build_page
from runner.report.planjson import review_document
from runner.report.plantext import closing_lines, plan_lines
from runner.report.progress import Progress, drawing_on
from runner.report.results import entry_of
from runner.report.review import Review
from runner.toloka.ids import is_identifier
from runner.wording import plural

Expected = int | Literal["unknown"]
_REACHED = frozenset({"already_sent", "adopted", "edited", "unknown", "in_doubt", "being_sent"})


class Plan(Shown[Result]):
    """What `send` would do, a `Result` for each delivery; what was sent already is in it too.

    A result has `message`, `revision`, `source`, `status`, `recipients_ids`, `topic`, `headline`,
    `thread_id`, `error` and others; `to_dicts` gives it for a data frame.
    It holds the messages as they were when it was made, and no lock. `warnings` and `notes` say
    what to know besides; `commit` is the one that was read, None outside of a repository.
    """

    def __init__(
        self, settings: Settings, prepared: Checked, truth: Truth, review: Review, told: list[str]
    ) -> None:
        self._settings = settings
        self._prepared = prepared
        self._truth = truth
        self._review = review
        self._planned = review.plan
        self.warnings: tuple[Problem, ...] = tuple(review.about.warnings)
        self.notes = tuple(told)
        self._origin = origin_of(settings, account=truth.history.account, babel=prepared.babel)
        super().__init__(self._planned.results, self._said())

    @property
    def commit(self) -> str | None:
        return self._origin.commit

    @property
    def tolokers(self) -> Expected:
        """How many Tolokers these messages reach, those whom they have reached already among them.

        The same before, in the middle of and after sending. "unknown" where only Toloka knows whom a
        filter, ALL or a reply is for.
        """
        return _tolokers(self._planned)

    def send(
        self,
        *,
        expect: Expected | None = None,
        limit: int | None = None,
        test_to: str | None = None,
    ) -> Report:
        """Send what the plan holds and nothing else, as often as it is called: never twice.

        Calling it again finishes what was left, whatever ended the call before; what is unknown is
        looked for first. `expect` is `tolokers` as you know it, needed for a remote target. `limit`
        counts deliveries. `test_to` sends each message to that Toloker alone, as a test that changes
        nobody's state, anew with each call. An interrupt (`KeyboardInterrupt`) ends it in good order,
        within five seconds: everything is recorded, and the lock given back. Any thread may call it.

        Raises a `RunnerError` for what was found before the first request: `MessagesError` with its
        `problems` where messages, data or policy say no or have moved since the plan was made,
        `SurroundingsError`, `LaterError`. What happened to each delivery is in the report.
        """
        if test_to is not None and not is_identifier(test_to):
            raise SurroundingsError("test_to takes one Toloker id, without spaces")
        told: list[str] = []
        settings, interrupts = replace(self._settings, tell=told.append), Interrupts()
        has_bar = drawing_on(sys.stderr, is_ci=is_ci_job()) == "bar"
        with closing(Progress(sys.stderr, draws="bar" if has_bar else "nothing")) as progress:
            order = Order(
                settings=settings,
                pacing=load_pacing(Speed(), settings),
                prepared=self._prepared,
                file=self._approved(),
                limit=limit,
                test_to=test_to,
                agree=partial(self._agree, expect) if test_to is None else lambda *_: None,
                progress=progress,
            )
            run = interruptible(lambda: carry_through(order, interrupts), interrupts)
        if interrupts.caught:
            again = "everything is recorded; calling send again goes on"
            raise KeyboardInterrupt(
                f"stopped: {last_line(settings, run, test_to=test_to)}; {again}"
            )
        refused = (self._prepared.refusals(each.message, answer) for each, answer in run.refused)
        problems = tuple(dict.fromkeys(problem for some in refused for problem in some))
        return Report(settings, run, problems, told, test_to=test_to)

    def to_dicts(self) -> list[dict[str, object]]:
        """Give the deliveries as plain dicts, as `deliveries` of `results.schema.json`."""
        return [entry_of(each) for each in self]

    def _said(self) -> Iterator[str]:
        yield from plan_lines(self._review)
        yield from map(str, self.warnings)
        yield from closing_lines(self._review)
        yield from self.notes
        yield f"target: {self._settings.shown_target}"
        yield f"manifest: {self._truth.told}"
        if self.commit is not None:
            yield f"commit: {self.commit}"

    def _repr_html_(self) -> str:
        return framed(build_page(self._review, at=clock.now()))

    def _approved(self) -> PlanFile:
        """The plan as one that was approved; what is in doubt may be sent too, as it says now."""
        file = take_plan(review_document(self._review, self._origin))
        doubtful = _doubtful(self._planned)
        messages = (each for planned in self._planned.messages for each in planned.messages)
        besides = {
            key: each.digest
            for each in messages
            for key in keys_of(Delivery(message=each, recipients=each.recipients)) & doubtful
        }
        return replace(file, digests={**besides, **file.digests})

    def _agree(self, expect: Expected | None, planned: Planned, _: Sequence[Problem]) -> None:
        """Refuse to write to more, or to fewer, than somebody expects."""
        now = _tolokers(planned)
        if expect == now or (expect is None and self._settings.target.url is None):
            return
        how = "whom these messages reach only Toloka knows"
        if now != "unknown":
            how = f"these messages reach {plural(now, 'Toloker')}"
        asked = "nothing is expected" if expect is None else f"{expect!r} is what was expected"
        raise SurroundingsError(f"{how}, and {asked}: say send(expect={now!r}) if that is meant")


def _tolokers(planned: Planned) -> Expected:
    people: set[str] = set()
    for each in planned.messages:
        done = [result for result in each.skipped if result.status in _REACHED]
        named = [delivery.people for delivery in each.deliveries]
        named += [result.recipients_ids or () for result in done]
        if (each.possible and each.held is None) or not all(named):
            return "unknown"
        people.update(compared_as(toloker) for ids in named for toloker in ids)
    return len(people)


def _doubtful(planned: Planned) -> set[Key]:
    """The keys of what is unknown or in doubt."""
    found: set[Key] = set()
    for each in planned.history.unknown:
        people = (reached_as(toloker, each.key) for toloker in each.recipients_ids)
        keys = (each.in_thread,) if each.in_thread else tuple(people) or (None,)
        found.update((each.message, each.revision, key) for key in keys)
    return found
