"""`send`: the plan, agreed to and carried out."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import TextIO

import click

from runner.api.manifests import LOCK_TIMEOUT_S
from runner.api.report import last_line
from runner.api.sending import Order, carry_through
from runner.api.settings import Settings, Speed, Where, is_ci_job, load_pacing
from runner.cli import options
from runner.cli.approved import Approved, approved_plan, load_plan
from runner.cli.ending import end_at_once, signals_caught
from runner.cli.options import Record, Volume
from runner.cli.plan import Outputs, show_plan
from runner.cli.results import results_file, show_warnings
from runner.cli.say import say
from runner.cli.selection import selection
from runner.errors import Problem, SurroundingsError
from runner.manifest.told import describe
from runner.plan.plan import Plan
from runner.prepare import Selection, prepare
from runner.report.progress import Progress, drawing_on
from runner.report.text import loud_lines, run_lines
from runner.report.words import epilog
from runner.send.tally import RunResult
from runner.toloka.ids import is_identifier
from runner.wording import listed, plural, printable

# Different refusals that are shown without -v.
_REFUSALS = 20
# So many messages are named where somebody is asked.
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """How much of what is due this run may send, and whether somebody has agreed already."""

    limit: int | None
    test_to: str | None
    yes: bool
    lock_timeout: float


@click.command(epilog=epilog())
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
            type=options.seconds(),
            default=LOCK_TIMEOUT_S,
            metavar="SECONDS",
            help="How long to wait for another run on the results branch; default 600.",
        ),
    ),
)
@options.output_format(type=click.Choice(["text", "json"]))
@options.volume
def send(
    selection: Selection,
    where: Where,
    speed: Speed,
    record: Record,
    dry_run: bool,
    approved: Approved,
    scope: Scope,
    output_format: str,
    volume: Volume,
) -> int:
    """Send what is due, and record the thread ids in the manifest.

    PATHS are files or folders; the default is the messages folder. What was sent already is not
    sent again: running the same command again finishes what was left. Without a target it goes
    to an emulator on this machine. A remote target takes its token from TOLOKA_TOKEN, or from the
    file that TOLOKA_TOKEN_FILE names. --format json prints what --results writes.
    """
    _check_usage(scope, approved, dry_run=dry_run)
    if dry_run:
        return show_plan(selection, where, record, Outputs(output_format=output_format), volume)
    is_json = output_format == "json"
    recorded = results_file(record, where, dry_run=False, test_to=scope.test_to, prints=is_json)
    with recorded as (settings, finish):
        settings.refuse_silent_ci()
        file = load_plan(approved, volume)
        prepared = prepare(selection, settings.config)
        for said in chain.from_iterable(prepared.notes.values()):
            volume.log(said)
        if file is not None:
            prepared = replace(prepared, messages=file.worded(prepared.messages))
        drawing = "nothing" if volume.quiet else drawing_on(sys.stderr, is_ci=is_ci_job())
        with (
            signals_caught() as interrupts,
            closing(Progress(sys.stderr, draws=drawing)) as progress,
        ):
            order = Order(
                settings=settings,
                pacing=load_pacing(speed, settings),
                prepared=prepared,
                file=file,
                approval=approved.approval,
                limit=scope.limit,
                test_to=scope.test_to,
                lock_timeout_s=scope.lock_timeout,
                agree=partial(_agree, settings, scope, volume),
                progress=progress,
            )
            report = carry_through(order, interrupts)
        # The file first: whoever reads what is printed may go away, as `head` does.
        try:
            return finish(report.results, report.exit_code, report.needs)
        finally:
            _show_report(order, report, volume, is_text=not is_json)


def _check_usage(scope: Scope, approved: Approved, *, dry_run: bool) -> None:
    is_test, is_planned = scope.test_to is not None, approved.plan is not None
    if scope.test_to is not None and (is_planned or not is_identifier(scope.test_to)):
        raise click.UsageError("--test-to takes one Toloker id, without spaces, and no --plan")
    if dry_run and (is_planned or is_test or scope.limit is not None):
        raise click.UsageError("--dry-run goes without --plan, --limit and --test-to")
    if (approved.plan_digest or approved.max_plan_age) and not is_planned:
        raise click.UsageError("--plan-digest and --max-plan-age are about a --plan")


def _agree(
    settings: Settings, scope: Scope, volume: Volume, planned: Plan, warnings: Sequence[Problem]
) -> None:
    """Show what somebody should know before anything is sent, and ask them on a terminal.

    Raises `SurroundingsError` where they say no.
    """
    volume.log(f"target: {settings.shown_target}")
    if scope.test_to is not None:
        volume.log(f"this is a test: each message goes to {scope.test_to} and to nobody else")
    show_warnings(warnings)
    for each in planned.history.unknown if volume.verbose else ():
        volume.log(printable(f"looked for: {describe(each, planned.history)}"))
    if not (scope.yes or _agreed(settings, planned, scope.test_to)):
        raise SurroundingsError("nothing was sent")


def _show_report(order: Order, report: RunResult, volume: Volume, *, is_text: bool) -> None:
    """Print what a run came to; where JSON is printed, only what people must not miss."""
    settings = order.settings
    if is_text and not volume.quiet:
        for line in run_lines(report.results, verbose=volume.verbose):
            say(line)
    refusals = {
        str(problem): None
        for delivery, refused in report.refused
        for problem in order.prepared.refusals(delivery.message, refused)
    }
    few = list(refusals) if volume.verbose else list(refusals)[:_REFUSALS]
    for said in few:
        say(printable(said), err=True)
    if len(few) < len(refusals):
        say(f"{len(refusals) - len(few):,} more refusals (-v shows all)", err=True)
    for line in (*loud_lines(report.results, verbose=volume.verbose), *report.notes):
        say(printable(line), err=True)
    say(last_line(settings, report, test_to=order.test_to), err=not is_text)


def _agreed(settings: Settings, planned: Plan, test_to: str | None) -> bool:
    """Ask on a terminal before anything goes to a remote target; a CI job has nobody to ask."""
    streams: tuple[TextIO | None, ...] = (sys.stdin, sys.stderr)
    has_terminal = all(stream is not None and stream.isatty() for stream in streams)
    if settings.target.url is None or not has_terminal or not planned.deliveries:
        return True
    if test_to is not None:
        what = f"{plural(len(planned.messages), 'test message')} to {test_to}"
    else:
        ids = list(dict.fromkeys(each.message.id for each in planned.deliveries))
        named = plural(len(ids), "message") if ids[_NAMED:] else listed(ids)
        what = f"{named} in {plural(len(planned.deliveries), 'thread')}"
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
