"""`plan` and `send`: one way through the code, up to the wire."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli import options
from runner.errors import ExitCode, RunnerError

if TYPE_CHECKING:
    from runner.cli.job import Job, Pacing
    from runner.cli.options import Speed, Values, Volume, Where
    from runner.cli.wire import Line
    from runner.model import History, Result
    from runner.plan import Plan
    from runner.prepare import Prepared
    from runner.run import Report


@click.command()
@options.paths
@options.values
@options.where
@options.results
@options.volume
def plan(
    paths: Sequence[Path], values: Values, where: Where, results: Path | None, volume: Volume
) -> int:
    """Show what `send` would do, given the manifest: the dry run.

    PATHS are files or folders; the default is the messages folder. For each message: its
    recipients, its languages, the text itself. No request is made, and nothing is recorded.
    """
    return _dry_run(paths, values, where, results, volume)


@click.command()
@options.paths
@options.values
@options.where
@options.speed
@options.results
@click.option("--dry-run", is_flag=True, help="Do what `plan` does: send nothing.")
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="Make at most so many deliveries."
)
@click.option(
    "--test-to",
    metavar="TOLOKER_ID",
    help="Send every message to this Toloker only, as a test that changes nobody's state.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask on a terminal.")
@options.volume
def send(
    paths: Sequence[Path],
    values: Values,
    where: Where,
    speed: Speed,
    results: Path | None,
    dry_run: bool,
    limit: int | None,
    test_to: str | None,
    yes: bool,
    volume: Volume,
) -> int:
    """Send what is due, and record the thread ids in the manifest.

    PATHS are files or folders; the default is the messages folder. What was sent already is not
    sent again: running the same command again finishes what was left. Without a target it goes
    to an emulator on this machine. A remote target takes its token from TOLOKA_TOKEN, or from the
    file that TOLOKA_TOKEN_FILE names.
    """
    if dry_run:
        return _dry_run(paths, values, where, results, volume)
    from runner.cli.job import NOTHING_LEAVES, load_job, settled_pacing
    from runner.cli.wire import find_token, open_line
    from runner.filter_table import is_identifier

    if test_to is not None and not is_identifier(test_to):
        raise click.UsageError("--test-to takes one Toloker id, without spaces")

    job = load_job(where)
    with _results_file(results, job, dry_run=False) as finish:
        job.refuse_silent_ci()
        prepared = job.prepare(paths, values)
        pacing, token = settled_pacing(speed, job.config), find_token(job)
        _log(f"target: {NOTHING_LEAVES if job.target.is_local else job.target.url}", volume)
        with open_line(job, pacing, token) as line:
            planned = _checked_plan(job, prepared, line.manifest.history())
            if not (yes or _agreed(job, planned, test_to)):
                click.echo("nothing was sent", err=True)
                return finish((), ExitCode.SURROUNDINGS)
            if test_to is not None:
                report = _send_tests(line, pacing, prepared, test_to, volume)
            else:
                report = _send(line, job, pacing, prepared, limit, volume)
        _show_report(job, prepared, report, volume)
        return finish(report.results, line.exit_code(report.exit_code))


def _dry_run(
    paths: Sequence[Path], values: Values, where: Where, results: Path | None, volume: Volume
) -> int:
    from runner.cli.job import load_job
    from runner.manifest import read_history

    job = load_job(where)
    with _results_file(results, job, dry_run=True) as finish:
        prepared = job.prepare(paths, values)
        history = read_history(job.manifest, job.target.url)
        planned = _checked_plan(job, prepared, history)
        return finish(_show_plan(job, planned, history, volume), ExitCode.DONE)


def _checked_plan(job: Job, prepared: Prepared, history: History) -> Plan:
    from runner import clock
    from runner.plan import build_plan
    from runner.prepare import gone_ids, load_rules

    planned = build_plan(
        prepared.messages,
        history,
        now=clock.now(),
        rules=load_rules(job.config),
        is_gone=gone_ids(prepared, job.config),
    )
    prepared.check(planned)
    return planned


def _send(
    line: Line, job: Job, pacing: Pacing, prepared: Prepared, limit: int | None, volume: Volume
) -> Report:
    from runner.prepare import load_rules
    from runner.run import Order, Run

    order = Order(
        messages=prepared.messages,
        rules=load_rules(job.config),
        jobs=pacing.jobs,
        settle_s=pacing.settle_s,
        catches_up=not job.target.is_local,
        limit=limit,
    )
    with _progress(volume) as progress:
        return Run(order, line.manifest, line.client, line.pace, progress).carry_out()


def _send_tests(
    line: Line, pacing: Pacing, prepared: Prepared, toloker: str, volume: Volume
) -> Report:
    from runner.trial import carry_out_trial, trial_messages

    with _progress(volume) as progress:
        return carry_out_trial(
            trial_messages(prepared.messages, toloker),
            line.manifest,
            line.client.deliver,
            line.pace,
            jobs=pacing.jobs,
            on_progress=progress,
        )


@contextmanager
def _progress(volume: Volume) -> Iterator[Callable[[int, int], None]]:
    from runner.report.progress import Progress

    progress = Progress(sys.stderr, is_quiet=volume.quiet)
    try:
        yield progress
    finally:
        progress.close()


def _show_plan(job: Job, planned: Plan, history: History, volume: Volume) -> Sequence[Result]:
    from runner import clock
    from runner.cli.job import NOTHING_LEAVES
    from runner.plan import result_of
    from runner.quota import fit
    from runner.report.text import plan_lines, summary_line

    results = (*planned.settled, *(result_of(each, "planned") for each in planned.deliveries))
    if not volume.quiet:
        for line in plan_lines(planned, verbose=volume.verbose):
            click.echo(line)
    click.echo(f"{summary_line(results, dry_run=True)}. Nothing was sent.")
    for said in fit(planned.deliveries, history, clock.now()).sums:
        click.echo(said)
    where = NOTHING_LEAVES if job.target.is_local else job.target.url
    _log(f"target: {where}\nmanifest: {job.shown_manifest}", volume)
    return results


def _show_report(job: Job, prepared: Prepared, report: Report, volume: Volume) -> None:
    from runner.report.printable import printable
    from runner.report.text import loud_lines, run_lines, summary_line

    if not volume.quiet:
        for line in run_lines(report.results, verbose=volume.verbose):
            click.echo(line)
    for delivery, refused in report.refused:
        for problem in prepared.refusals(delivery.message, refused):
            click.echo(printable(str(problem)), err=True)
    for line in (*loud_lines(report.results, verbose=volume.verbose), *report.notes):
        click.echo(printable(line), err=True)
    place = " on the local emulator" if job.target.is_local else ""
    said = summary_line(report.results, dry_run=False)
    click.echo(f"{said}{place}; manifest: {job.shown_manifest}")


def _log(text: str, volume: Volume) -> None:
    if not volume.quiet:
        click.echo(text, err=True)


def _agreed(job: Job, planned: Plan, test_to: str | None) -> bool:
    """Ask on a terminal before anything goes to a remote target; a CI job has nobody to ask."""
    from runner.report.text import plural

    has_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    if job.target.is_local or not has_terminal or not planned.deliveries:
        return True
    if test_to is not None:
        what = f"{plural(len(planned.messages), 'test message')} to {test_to}"
    else:
        what = plural(len(planned.deliveries), "thread")
    return click.confirm(f"Send {what} on {job.target.url}?", err=True)


@contextmanager
def _results_file(
    path: Path | None, job: Job, *, dry_run: bool
) -> Iterator[Callable[[Sequence[Result], int], int]]:
    """Write the results file at once, and again with what the run came to.

    A reader then never takes an older run's file for this one's, and a file that cannot be
    written stops the run before anything is sent.
    """
    from runner.report.results import results_document, write_results

    def write(results: Sequence[Result], code: int) -> int:
        if path is not None:
            document = results_document(
                results,
                target=job.target_name,
                manifest=job.shown_manifest,
                dry_run=dry_run,
                exit_code=int(code),
            )
            write_results(path, document)
        return int(code)

    write((), ExitCode.BUG)
    try:
        yield write
    except RunnerError as error:
        write((), error.exit_code)
        raise
