"""Carrying out a plan: wait for the turn, plan again under the lock, send, record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from runner import clock
from runner.api.connection import Connection, open_connection
from runner.api.interrupts import Interrupts
from runner.api.manifests import LOCK_TIMEOUT_S
from runner.api.origin import new_run, origin_of
from runner.api.settings import Pacing, Settings
from runner.base.reviewed import check_reviewed
from runner.errors import Fault, MessagesError, MovedError, Place, Problem, SurroundingsError
from runner.manifest.times import now_s
from runner.model import compared_as
from runner.plan.moved import find_moved
from runner.plan.needs import find_needs
from runner.plan.plan import Key, Plan
from runner.plan.planfile import PlanFile
from runner.prepare import Checked
from runner.report.progress import Progress
from runner.send.options import RunOptions
from runner.send.run import Run
from runner.send.tally import RunResult
from runner.send.trial import carry_out_trial, trial_messages
from runner.wording import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be sent where and how; `file` is the plan that was approved.

    `besides` may be sent too, though that plan does not hold it: what was in doubt when it was made.
    `limit` counts deliveries, and `test_to` is who gets every message as a test.
    """

    settings: Settings
    pacing: Pacing
    prepared: Checked
    file: PlanFile | None
    besides: frozenset[Key] = frozenset()
    approval: str | None = None
    limit: int | None = None
    test_to: str | None = None
    lock_timeout_s: float = LOCK_TIMEOUT_S
    agree: Callable[[Plan, Sequence[Problem]], object]
    """Is told what would be sent now, and the warnings; raises where that is not meant."""
    progress: Progress


def carry_through(order: Order, interrupts: Interrupts) -> RunResult:
    """Run, anew as often as another machine is quicker and the time to wait is not up.

    Raises what is found before anything was sent.
    """
    if order.test_to and compared_as(order.test_to) in order.prepared.policy.suppressed:
        raise SurroundingsError(f"--test-to {order.test_to}: on the suppression list")
    tell, until_s = order.settings.tell, now_s() + order.lock_timeout_s
    digest = order.file.digest if order.file else None
    while True:
        run = new_run(babel=order.prepared.babel, plan=digest, approval=order.approval)
        opened = open_connection(order.settings, order.pacing, run, interrupts, until_s=until_s)
        try:
            with opened as connection:
                report = _run(connection, order)
        except MovedError as error:
            tell(f"{error}; reading it again")
        else:
            return replace(report, exit_code=connection.exit_code(report.exit_code))


def _run(connection: Connection, order: Order) -> RunResult:
    """Plan, ask, and send."""
    settings, history = order.settings, connection.manifest.history()
    if history.stopped is not None:
        lift = f"`message-runner stop --lift{settings.option}`"
        raise SurroundingsError(f"{history.stopped}; {lift} ends that")
    if settings.target.url is not None and order.prepared.policy.reviewed is not None:
        # Here, because the wait for this run's turn may have been long.
        check_reviewed(
            order.prepared.policy.reviewed,
            settings.config,
            order.prepared.sources(),
            has_variables=order.prepared.has_variables,
            given=order.prepared.given_places,
        )
    planned, warnings = order.prepared.plan(history)
    if order.file is not None:
        _refuse_moved(order.file, settings, order.prepared, planned)
    order.agree(planned, warnings)
    if order.test_to is not None:
        report = carry_out_trial(
            trial_messages(order.prepared.messages, order.test_to),
            connection.manifest,
            connection.client,
            connection.pace,
            jobs=order.pacing.jobs,
            on_progress=order.progress,
        )
        looks = settings.target.url is not None
        return replace(report, needs=find_needs(planned, looks=looks, now=clock.now()))
    options = RunOptions(
        messages=order.prepared.messages,
        policy=order.prepared.policy,
        jobs=order.pacing.jobs,
        settle_s=order.pacing.settle_s,
        catches_up=settings.target.url is not None,
        other_messages=order.prepared.find_others,
        limit=order.limit,
        only=order.besides | order.file.digests.keys() if order.file else None,
        planned=planned,
        check=order.prepared.permit,
        tell=order.progress.note,
    )
    manifest, client, pace = connection.manifest, connection.client, connection.pace
    return Run(options, manifest, client, pace, order.progress).carry_out()


def _refuse_moved(file: PlanFile, settings: Settings, prepared: Checked, planned: Plan) -> None:
    """Raise `MessagesError` with whatever would be sent now and is not in the plan."""
    account = planned.history.account
    origin = origin_of(settings, account=account, babel=prepared.babel)
    moved = find_moved(file, planned, origin)
    if moved:
        raise MessagesError(
            [
                prepared.problem(message, fault) if message else problem_of_plan(file, fault)
                for message, fault in moved
            ]
        )


def problem_of_plan(file: PlanFile, fault: Fault) -> Problem:
    """Give a fault of a plan itself its address."""
    where = Place(shown(file.path)) if file.path else Place("this plan", 0)
    return Problem(where, fault.what, fault.hint, "plan")
