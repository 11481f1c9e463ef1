"""`send`: the plan, agreed to and carried out."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import TextIO

import click

from runner.base.reviewed import check_reviewed
from runner.cli import options
from runner.cli.approved import Approved, approved_plan, load_plan, refuse_moved
from runner.cli.connection import Connection, open_connection
from runner.cli.ending import end_at_once
from runner.cli.manifests import LOCK_TIMEOUT_S
from runner.cli.options import Record, Speed, Volume, Where
from runner.cli.origin import new_run
from runner.cli.plan import Outputs, show_plan
from runner.cli.results import results_file, show_warnings
from runner.cli.say import say
from runner.cli.selection import selection
from runner.cli.settings import Pacing, Settings, load_pacing
from runner.errors import (
    ExitCode,
    MovedError,
    SurroundingsError,
)
from runner.manifest.times import now_s
from runner.manifest.told import describe
from runner.plan.needs import find_needs
from runner.plan.plan import Plan
from runner.plan.planfile import PlanFile
from runner.prepare import Checked, Selection, prepare
from runner.report.progress import Progress
from runner.report.text import loud_lines, run_lines, summary_line
from runner.send.options import RunOptions
from runner.send.run import Run
from runner.send.tally import RunResult
from runner.send.trial import carry_out_trial, trial_messages
from runner.toloka.ids import is_identifier
from runner.wording import plural, printable

# Different refusals that are shown without -v.
_REFUSALS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """How much of what is due this run may send, and whether somebody has agreed already."""

    limit: int | None
    test_to: str | None
    yes: bool
    lock_timeout: float


@click.command()
@selection
@options.where
@options.speed
@options.record
@click.option("--dry-run", is_flag=True, help="Do what `plan` does: send nothing.")
@approved_plan
@partial(
    options.bundle,
    "scope",
    Scope,
    (
        click.option(
            "--limit", type=click.IntRange(1), metavar="N", help="Make at most so many deliveries."
        ),
        click.option(
            "--test-to",
            metavar="TOLOKER_ID",
            help="Send every message to this Toloker only, as a test that changes nobody's state.",
        ),
        click.option("-y", "--yes", is_flag=True, help="Do not ask on a terminal."),
        click.option(
            "--lock-timeout",
            type=click.FloatRange(0),
            default=LOCK_TIMEOUT_S,
            metavar="SECONDS",
            help="How long to wait for another run on the results branch; default 600.",
        ),
    ),
)
@options.volume
def send(
    selection: Selection,
    where: Where,
    speed: Speed,
    record: Record,
    dry_run: bool,
    approved: Approved,
    scope: Scope,
    volume: Volume,
) -> int:
    """Send what is due, and record the thread ids in the manifest.

    PATHS are files or folders; the default is the messages folder. What was sent already is not
    sent again: running the same command again finishes what was left. Without a target it goes
    to an emulator on this machine. A remote target takes its token from TOLOKA_TOKEN, or from the
    file that TOLOKA_TOKEN_FILE names.
    """
    is_test, is_planned = scope.test_to is not None, approved.plan is not None
    if scope.test_to is not None and (is_planned or not is_identifier(scope.test_to)):
        raise click.UsageError("--test-to takes one Toloker id, without spaces, and no --plan")
    if dry_run and (is_planned or is_test or scope.limit is not None):
        raise click.UsageError("--dry-run goes without --plan, --limit and --test-to")
    if (approved.plan_digest or approved.max_plan_age) and not is_planned:
        raise click.UsageError("--plan-digest and --max-plan-age are about a --plan")
    if dry_run:
        return show_plan(selection, where, record, Outputs(), volume)
    with results_file(record, where, dry_run=False) as (settings, finish):
        settings.refuse_silent_ci()
        file = load_plan(approved, volume)
        prepared = prepare(selection, settings.config)
        for said in chain.from_iterable(prepared.notes.values()):
            volume.log(said)
        if file is not None:
            prepared = replace(prepared, messages=file.worded(prepared.messages))
        order = Order(
            settings=settings,
            pacing=load_pacing(speed, settings),
            prepared=prepared,
            scope=scope,
            file=file,
            volume=volume,
        )
        connection, report = _carry_through(order, approved.approval)
        if report is None:
            say("nothing was sent", err=True)
            return finish((), ExitCode.SURROUNDINGS)
        # The file first: whoever reads what is printed may go away, as `head` does.
        try:
            code = connection.exit_code(report.exit_code)
            return finish(report.results, code, report.needs)
        finally:
            _show_report(settings, prepared, report, volume)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be sent where and how; `file` is the plan that was approved."""

    settings: Settings
    pacing: Pacing
    prepared: Checked
    scope: Scope
    file: PlanFile | None
    volume: Volume


def _carry_through(order: Order, approval: str | None) -> tuple[Connection, RunResult | None]:
    """Run, anew as often as another machine is quicker and the time to wait is not up."""
    until_s = now_s() + order.scope.lock_timeout
    digest = order.file.digest if order.file else None
    while True:
        run = new_run(babel=order.prepared.babel, plan=digest, approval=approval)
        try:
            with open_connection(order.settings, order.pacing, run, until_s=until_s) as connection:
                order.volume.log(f"target: {order.settings.shown_target}")
                return connection, _run(connection, order)
        except MovedError as error:
            order.volume.log(f"{error}; reading it again")


def _run(connection: Connection, order: Order) -> RunResult | None:
    """Plan, ask, and send; None where somebody said no."""
    settings, scope, history = order.settings, order.scope, connection.manifest.history()
    if history.stopped is not None:
        raise SurroundingsError(f"{history.stopped}; `message-runner stop --lift` ends that")
    if settings.target.url is not None and order.prepared.policy.reviewed is not None:
        # Here, because the wait for this run's turn may have been long.
        check_reviewed(
            order.prepared.policy.reviewed,
            settings.config,
            order.prepared.sources(),
            has_variables=order.prepared.has_variables,
        )
    planned, warnings = order.prepared.plan(history)
    show_warnings(warnings)
    for each in history.unknown if order.volume.verbose else ():
        order.volume.log(printable(f"looked for: {describe(each, history)}"))
    if order.file is not None:
        refuse_moved(order.file, settings, order.prepared, planned)
    if not (scope.yes or _agreed(settings, planned, scope.test_to)):
        return None
    with closing(Progress(sys.stderr, is_quiet=order.volume.quiet)) as progress:
        if scope.test_to is not None:
            report = carry_out_trial(
                trial_messages(order.prepared.messages, scope.test_to),
                connection.manifest,
                connection.client,
                connection.pace,
                jobs=order.pacing.jobs,
                on_progress=progress,
            )
            needs = find_needs(planned, looks=settings.target.url is not None)
            return replace(report, needs=needs)
        return _carry_out(connection, order, planned, progress)


def _carry_out(
    connection: Connection, order: Order, planned: Plan, progress: Callable[[int, int], None]
) -> RunResult:
    options = RunOptions(
        messages=order.prepared.messages,
        policy=order.prepared.policy,
        jobs=order.pacing.jobs,
        settle_s=order.pacing.settle_s,
        catches_up=order.settings.target.url is not None,
        other_messages=order.prepared.find_others,
        limit=order.scope.limit,
        only=frozenset(order.file.digests) if order.file else None,
        planned=planned,
        check=order.prepared.permit,
    )
    return Run(
        options, connection.manifest, connection.client, connection.pace, progress
    ).carry_out()


def _show_report(settings: Settings, prepared: Checked, report: RunResult, volume: Volume) -> None:
    if not volume.quiet:
        for line in run_lines(report.results, verbose=volume.verbose):
            say(line)
    refusals = {
        str(problem): None
        for delivery, refused in report.refused
        for problem in prepared.refusals(delivery.message, refused)
    }
    few = list(refusals) if volume.verbose else list(refusals)[:_REFUSALS]
    for said in few:
        say(printable(said), err=True)
    if len(few) < len(refusals):
        say(f"{len(refusals) - len(few):,} more refusals (-v shows all)", err=True)
    for line in (*loud_lines(report.results, verbose=volume.verbose), *report.notes):
        say(printable(line), err=True)
    place = " on the local emulator" if settings.target.url is None else ""
    said = summary_line(report.results)
    say(f"{said}{place}; manifest: {settings.shown_manifest}")


def _agreed(settings: Settings, planned: Plan, test_to: str | None) -> bool:
    """Ask on a terminal before anything goes to a remote target; a CI job has nobody to ask."""
    streams: tuple[TextIO | None, ...] = (sys.stdin, sys.stderr)
    has_terminal = all(stream is not None and stream.isatty() for stream in streams)
    if settings.target.url is None or not has_terminal or not planned.deliveries:
        return True
    if test_to is not None:
        what = f"{plural(len(planned.messages), 'test message')} to {test_to}"
    else:
        what = plural(len(planned.deliveries), "thread")
    return _asked(f"Send {what} on {settings.target.url}?")


def _asked(question: str) -> bool:
    """Ask; Ctrl-C and a SIGTERM end the program here at once, for nothing is on its way yet."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, end_at_once)
    try:
        return click.confirm(question, err=True)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
