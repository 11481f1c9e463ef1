"""`plan` and `send`: one way through the code, up to the wire."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli import options
from runner.cli.wire import Wire
from runner.errors import ExitCode, RunnerError, SurroundingsError

if TYPE_CHECKING:
    from runner.cli.job import Job
    from runner.model import Result
    from runner.plan import Plan
    from runner.prepare import Prepared
    from runner.run import Report

NOTHING_LEAVES = "the local emulator on this machine; nothing leaves this machine"


@click.command()
@options.paths
@options.config
@options.variables
@options.manifest
@options.results
@options.verbose
@options.quiet
def plan(
    paths: Sequence[Path],
    config: Path | None,
    assignments: Sequence[str],
    var_files: Sequence[Path],
    target: str | None,
    manifest: Path | None,
    results: Path | None,
    verbose: bool,
    quiet: bool,
) -> int:
    """Show what `send` would do, given the manifest: the dry run.

    PATHS are files or folders; the default is the messages folder. For each message: its
    recipients, its languages, the text itself. No request is made and nothing is written.
    """
    from runner.cli.job import load_job

    job = load_job(config, target, manifest)
    with _results_file(results, job, dry_run=True) as finish:
        prepared = job.prepare(paths, assignments, var_files)
        planned = _planned(job, prepared)
        return finish(_show_plan(job, planned, verbose=verbose, quiet=quiet), ExitCode.DONE)


@click.command()
@options.paths
@options.config
@options.variables
@options.manifest
@options.wire
@options.results
@click.option("--dry-run", is_flag=True, help="Do what `plan` does: send nothing.")
@click.option("--limit", type=click.IntRange(1), help="Make at most so many deliveries.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask on a terminal.")
@options.verbose
@options.quiet
def send(
    paths: Sequence[Path],
    config: Path | None,
    assignments: Sequence[str],
    var_files: Sequence[Path],
    target: str | None,
    manifest: Path | None,
    rate: float | None,
    jobs: int | None,
    timeout: float | None,
    settle: float | None,
    results: Path | None,
    dry_run: bool,
    limit: int | None,
    yes: bool,
    verbose: bool,
    quiet: bool,
) -> int:
    """Send what is due, and record the thread ids in the manifest.

    PATHS are files or folders; the default is the messages folder. What was sent already is not
    sent again: running the same command again finishes what was left. Without a target it goes
    to an emulator on this machine. A remote target takes its token from TOLOKA_TOKEN, or from the
    file that TOLOKA_TOKEN_FILE names.
    """
    from runner.cli.job import load_job

    job = load_job(config, target, manifest)
    with _results_file(results, job, dry_run=dry_run) as finish:
        if not dry_run:
            _refuse_silent_ci(job, target)
        prepared = job.prepare(paths, assignments, var_files)
        planned = _planned(job, prepared)
        if dry_run:
            return finish(_show_plan(job, planned, verbose=verbose, quiet=quiet), ExitCode.DONE)
        wire = Wire(job, rate=rate, jobs=jobs, timeout=timeout, settle=settle)
        _announce(job, quiet=quiet)
        if not (yes or job.target.is_local or _agreed(job, planned)):
            click.echo("nothing was sent", err=True)
            return finish((), ExitCode.SURROUNDINGS)
        report = wire.send(prepared, limit)
        _show_report(job, prepared, report, verbose=verbose, quiet=quiet)
        return finish(report.results, report.exit_code)


def _refuse_silent_ci(job: Job, flag: str | None) -> None:
    from runner.cli.job import is_ci
    from runner.config import names_a_target

    if is_ci(os.environ) and not names_a_target(job.config, flag, os.environ):
        raise SurroundingsError(
            "this is a CI job (CI is set), and nothing says where to send: name a --target "
            "(local, for a rehearsal), or set TOLOKA_TARGET, or `target:` in runner.yaml"
        )


def _planned(job: Job, prepared: Prepared) -> Plan:
    from runner import clock
    from runner.manifest import read_history
    from runner.plan import build_plan
    from runner.prepare import gone_ids

    history = read_history(job.manifest, job.target.url)
    planned = build_plan(
        prepared.messages, history, now=clock.now(), is_gone=gone_ids(prepared, job.config)
    )
    prepared.check(planned)
    return planned


def _show_plan(job: Job, planned: Plan, *, verbose: bool, quiet: bool) -> Sequence[Result]:
    from runner.paths import shown
    from runner.plan import result_of
    from runner.report.text import plan_lines, summary_line

    results = (*planned.settled, *(result_of(each, "planned") for each in planned.deliveries))
    if not quiet:
        for line in plan_lines(planned, verbose=verbose):
            click.echo(line)
    click.echo(f"{summary_line(results, dry_run=True)}. Nothing was sent.")
    where = NOTHING_LEAVES if job.target.is_local else job.target.url
    _log(f"target: {where}\nmanifest: {shown(job.manifest)}", quiet=quiet)
    return results


def _show_report(
    job: Job, prepared: Prepared, report: Report, *, verbose: bool, quiet: bool
) -> None:
    from runner.paths import shown
    from runner.report.printable import printable
    from runner.report.text import loud_lines, run_lines, summary_line

    if not quiet:
        for line in run_lines(report.results, verbose=verbose):
            click.echo(line)
    for delivery, refused in report.refused:
        for problem in prepared.refusals(delivery.message, refused):
            click.echo(printable(str(problem)), err=True)
    for line in (*loud_lines(report.results, verbose=verbose), *report.notes):
        click.echo(line, err=True)
    place = " on the local emulator" if job.target.is_local else ""
    said = summary_line(report.results, dry_run=False)
    click.echo(f"{said}{place}; manifest: {shown(job.manifest)}")


def _announce(job: Job, *, quiet: bool) -> None:
    where = NOTHING_LEAVES if job.target.is_local else f"{job.target.name} ({job.target.url})"
    _log(f"target: {where}", quiet=quiet)


def _log(text: str, *, quiet: bool) -> None:
    if not quiet:
        click.echo(text, err=True)


def _agreed(job: Job, planned: Plan) -> bool:
    """Ask on a terminal; where there is none, a CI job goes on."""
    from runner.report.text import plural

    if not (sys.stdin.isatty() and sys.stdout.isatty()) or not planned.deliveries:
        return True
    threads = plural(len(planned.deliveries), "thread")
    return click.confirm(f"Send {threads} to {job.target.url}?", err=True)


@contextmanager
def _results_file(
    path: Path | None, job: Job, *, dry_run: bool
) -> Iterator[Callable[[Sequence[Result], int], int]]:
    """Write the results file at once, and again with what the run came to.

    A reader then never takes an older run's file for this one's, and a file that cannot be
    written stops the run before anything is sent.
    """
    from runner.paths import shown
    from runner.report.results import results_document, write_results

    def write(results: Sequence[Result], code: int) -> int:
        if path is not None:
            document = results_document(
                results,
                target=job.target.url or job.target.name,
                manifest=shown(job.manifest),
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
