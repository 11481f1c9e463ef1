"""The dry run: what `plan` and `send --dry-run` show, and the files that a plan leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from runner import clock
from runner.cli.options import Values, Volume, Where
from runner.cli.settings import NOTHING_LEAVES, Job, load_job
from runner.errors import ExitCode, MessagesError, Problem, RunnerError, SurroundingsError
from runner.manifest.file import read_history
from runner.manifest.history import History
from runner.model import Result
from runner.plan.build import build_plan
from runner.plan.objections import find_objections
from runner.plan.plan import Plan, result_of
from runner.plan.planfile import plan_document
from runner.plan.quota import fit
from runner.prepare import Prepared, gone_ids, load_policy
from runner.report.printable import json_text, printable
from runner.report.results import append_text, results_document, write_results
from runner.report.summary import failure_markdown, summary_markdown
from runner.report.text import plan_lines, summary_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Where a dry run writes besides the terminal, and in which form it prints."""

    out: Path | None = None
    summary: Path | None = None
    results: Path | None = None
    form: str = "text"


def dry_run(
    paths: Sequence[Path],
    values: Values,
    where: Where,
    outputs: Outputs,
    volume: Volume,
    *,
    strict: bool = False,
) -> int:
    """Show and write what `send` would do; gives the exit code."""
    job = load_job(where, outputs.results, dry_run=True)
    with results_file(outputs.results, job, dry_run=True) as finish:
        try:
            prepared = job.prepare(paths, values, strict=strict)
            history = read_history(job.manifest, job.target.url)
            planned, warnings = checked_plan(job, prepared, history)
        except MessagesError as error:
            markdown = failure_markdown(error.problems)
            _besides(lambda: _append(outputs.summary, markdown))
            raise
        quota_notes = fit(planned.deliveries, history, clock.now()).quota_notes
        document = plan_document(
            planned, target=job.target_name, manifest=job.shown_manifest, quota_notes=quota_notes
        )
        target = NOTHING_LEAVES if job.target.is_local else job.target_name
        shown_results = _results(planned)
        markdown = summary_markdown(
            planned, shown_results, target=target, quota_notes=quota_notes, warnings=warnings
        )
        # The files first: whoever reads what is printed may go away, as `head` does.
        if outputs.out is not None:
            write_results(outputs.out, document)
        _append(outputs.summary, markdown)
        code = finish(shown_results, ExitCode.DONE)
    _show(job, planned, shown_results, quota_notes, outputs, volume)
    show_warnings(warnings)
    if outputs.form == "json":
        click.echo(json_text(document))
    return code


def checked_plan(job: Job, prepared: Prepared, history: History) -> tuple[Plan, list[Problem]]:
    """Plan, and give the warnings beside; raises `MessagesError` with what does not pass."""
    policy = load_policy(job.config)
    planned = build_plan(
        prepared.messages,
        history,
        now=clock.now(),
        policy=policy,
    )
    objections = find_objections(planned, policy, gone_ids(prepared, job.config))
    return planned, prepared.check(planned, objections)


def show_warnings(warnings: Sequence[Problem]) -> None:
    """Print warnings where logs go."""
    for problem in warnings:
        click.echo(printable(str(problem)), err=True)


def log(text: str, volume: Volume) -> None:
    """Print what is not a result."""
    if not volume.quiet:
        click.echo(text, err=True)


@contextmanager
def results_file(
    path: Path | None, job: Job, *, dry_run: bool
) -> Iterator[Callable[[Sequence[Result], int], int]]:
    """Write the results file at once, and again with what the run came to.

    A reader then never takes an older run's file for this one's, and a file that cannot be
    written stops the run before anything is sent.
    """
    is_ending = False

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

    def finish(results: Sequence[Result], code: int) -> int:
        nonlocal is_ending
        is_ending = True
        return write(results, code)

    write((), ExitCode.BUG)
    try:
        yield finish
    except RunnerError as error:
        # Where the last document did not fit, an empty one must not say that nothing was sent.
        if not is_ending:
            code = error.exit_code
            _besides(lambda: write((), code))
        raise


def _besides(write: Callable[[], object]) -> None:
    """Write what belongs to a run that fails: if that fails too, it must not hide the reason."""
    try:
        write()
    except SurroundingsError as error:
        click.echo(f"error: {error}", err=True)


def _append(path: Path | None, markdown: str) -> None:
    if path is not None:
        append_text(path, markdown)


def _results(planned: Plan) -> tuple[Result, ...]:
    return (*planned.skipped, *(result_of(each, "planned") for each in planned.deliveries))


def _show(
    job: Job,
    planned: Plan,
    results: Sequence[Result],
    quota_notes: Sequence[str],
    outputs: Outputs,
    volume: Volume,
) -> None:
    if outputs.form == "text":
        if not volume.quiet:
            for line in plan_lines(planned, verbose=volume.verbose):
                click.echo(line)
        click.echo(f"{summary_line(results, dry_run=True)}. Nothing was sent.")
        for said in quota_notes:
            click.echo(said)
    where = NOTHING_LEAVES if job.target.is_local else job.target.url
    log(f"target: {where}\nmanifest: {job.shown_manifest}", volume)
