"""`plan` and `send`: one way through the code, up to the wire."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from runner.cli import options
from runner.errors import ExitCode

# Different refusals that are shown without -v.
_REFUSALS = 20

if TYPE_CHECKING:
    from runner.cli.connection import Line
    from runner.cli.options import Speed, Values, Volume, Where
    from runner.cli.settings import Job, Pacing
    from runner.plan.plan import Key, Plan
    from runner.prepare import Prepared
    from runner.send.run import Report


@click.command()
@options.paths
@options.values
@options.where
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the plan for --plan."
)
@click.option(
    "--summary",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Append Markdown, as for $GITHUB_STEP_SUMMARY.",
)
@options.strict
@options.results
@options.form
@options.volume
def plan(
    paths: Sequence[Path],
    values: Values,
    where: Where,
    out: Path | None,
    summary: Path | None,
    strict: bool,
    results: Path | None,
    form: str,
    volume: Volume,
) -> int:
    """Show what `send` would do, given the manifest: the dry run.

    PATHS are files or folders; the default is the messages folder. For each message: its
    recipients, its languages, the text itself. No request is made, and nothing is recorded. With
    --out the plan is kept, and `send --plan` sends it and nothing else.
    """
    from runner.cli.dryrun import Outputs, dry_run

    outputs = Outputs(out=out, summary=summary, results=results, form=form)
    return dry_run(paths, values, where, outputs, volume, strict=strict)


@click.command()
@options.paths
@options.values
@options.where
@options.speed
@options.results
@click.option("--dry-run", is_flag=True, help="Do what `plan` does: send nothing.")
@click.option(
    "--plan",
    "plan_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Send what this plan of `plan --out` holds; refuse if anything has moved since.",
)
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="Make at most so many deliveries."
)
@click.option(
    "--test-to",
    metavar="TOLOKER_ID",
    help="Send every message to this Toloker only, as a test that changes nobody's state.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask on a terminal.")
@options.strict
@options.volume
def send(
    paths: Sequence[Path],
    values: Values,
    where: Where,
    speed: Speed,
    results: Path | None,
    dry_run: bool,
    plan_path: Path | None,
    limit: int | None,
    test_to: str | None,
    yes: bool,
    strict: bool,
    volume: Volume,
) -> int:
    """Send what is due, and record the thread ids in the manifest.

    PATHS are files or folders; the default is the messages folder. What was sent already is not
    sent again: running the same command again finishes what was left. Without a target it goes
    to an emulator on this machine. A remote target takes its token from TOLOKA_TOKEN, or from the
    file that TOLOKA_TOKEN_FILE names.
    """
    from runner.cli import dryrun
    from runner.toloka.filter_table import is_identifier

    if test_to is not None and (plan_path is not None or not is_identifier(test_to)):
        raise click.UsageError("--test-to takes one Toloker id, without spaces, and no --plan")
    if dry_run and (plan_path is not None or limit is not None or test_to is not None):
        raise click.UsageError("--dry-run goes without --plan, --limit and --test-to")
    if dry_run:
        outputs = dryrun.Outputs(results=results)
        return dryrun.dry_run(paths, values, where, outputs, volume, strict=strict)
    wish = _Wish(plan_path=plan_path, limit=limit, test_to=test_to, yes=yes, strict=strict)
    return _for_real(paths, values, where, speed, results, wish, volume)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What `send` was asked for besides the messages."""

    plan_path: Path | None
    limit: int | None
    test_to: str | None
    yes: bool
    strict: bool


def _for_real(
    paths: Sequence[Path],
    values: Values,
    where: Where,
    speed: Speed,
    results: Path | None,
    wish: _Wish,
    volume: Volume,
) -> int:
    from runner.cli import dryrun
    from runner.cli.connection import find_token, open_line
    from runner.cli.settings import NOTHING_LEAVES, load_job, settled_pacing

    job = load_job(where, results)
    with dryrun.results_file(results, job, dry_run=False) as finish:
        job.refuse_silent_ci()
        prepared = job.prepare(paths, values, strict=wish.strict)
        pacing, token = settled_pacing(speed, job.config), find_token(job)
        dryrun.log(f"target: {NOTHING_LEAVES if job.target.is_local else job.target.url}", volume)
        with open_line(job, pacing, token) as line:
            planned, warnings = dryrun.checked_plan(job, prepared, line.manifest.history())
            dryrun.show_warnings(warnings)
            only = _reviewed(job, prepared, planned, wish.plan_path)
            if not (wish.yes or _agreed(job, planned, wish.test_to)):
                click.echo("nothing was sent", err=True)
                return finish((), ExitCode.SURROUNDINGS)
            report = _deliver(line, job, pacing, prepared, planned, wish, only, volume)
        # The file first: whoever reads what is printed may go away, as `head` does.
        try:
            return finish(report.results, line.exit_code(report.exit_code))
        finally:
            _show_report(job, prepared, report, volume)


def _reviewed(
    job: Job, prepared: Prepared, planned: Plan, path: Path | None
) -> frozenset[Key] | None:
    """What the plan file lets pass; raises `MessagesError` for whatever moved since."""
    from runner.errors import MessagesError, Place, Problem
    from runner.paths import shown
    from runner.plan.planfile import find_moved, read_plan_file

    if path is None:
        return None
    file = read_plan_file(path)
    moved = find_moved(file, planned, job.target_name)
    if moved:
        raise MessagesError(
            [
                prepared.problem(message, fault)
                if message is not None
                else Problem(Place(shown(path)), fault.what, fault.hint, "plan")
                for message, fault in moved
            ]
        )
    return frozenset(file.digests)


def _deliver(
    line: Line,
    job: Job,
    pacing: Pacing,
    prepared: Prepared,
    planned: Plan,
    wish: _Wish,
    only: frozenset[Key] | None,
    volume: Volume,
) -> Report:
    if wish.test_to is not None:
        return _send_tests(line, pacing, prepared, wish.test_to, volume)
    from runner.plan.objections import find_objections
    from runner.prepare import gone_ids, load_policy
    from runner.send.run import Order, Run

    policy, is_gone = load_policy(job.config), gone_ids(prepared, job.config)

    order = Order(
        messages=prepared.messages,
        policy=policy,
        jobs=pacing.jobs,
        settle_s=pacing.settle_s,
        catches_up=not job.target.is_local,
        limit=wish.limit,
        only=only,
        planned=planned,
        check=lambda plan: prepared.check(plan, find_objections(plan, policy, is_gone)),
    )
    with _progress(volume) as progress:
        return Run(order, line.manifest, line.client, line.pace, progress).carry_out()


def _send_tests(
    line: Line, pacing: Pacing, prepared: Prepared, toloker: str, volume: Volume
) -> Report:
    from runner.send.trial import carry_out_trial, trial_messages

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

    # Python has no stream where the file is closed.
    stream: TextIO | None = sys.stderr
    if stream is None:
        yield lambda _done, _total: None
        return
    progress = Progress(stream, is_quiet=volume.quiet)

    def show(done: int, total: int) -> None:
        # Nobody may be looking any more, and requests are on their way.
        with suppress(OSError):
            progress(done, total)

    try:
        yield show
    finally:
        with suppress(OSError):
            progress.close()


def _show_report(job: Job, prepared: Prepared, report: Report, volume: Volume) -> None:
    from runner.report.printable import printable
    from runner.report.text import loud_lines, run_lines, summary_line

    if not volume.quiet:
        for line in run_lines(report.results, verbose=volume.verbose):
            click.echo(line)
    refusals = {
        str(problem): None
        for delivery, refused in report.refused
        for problem in prepared.refusals(delivery.message, refused)
    }
    few = list(refusals) if volume.verbose else list(refusals)[:_REFUSALS]
    for said in few:
        click.echo(printable(said), err=True)
    if len(few) < len(refusals):
        click.echo(f"{len(refusals) - len(few):,} more refusals (-v shows all)", err=True)
    for line in (*loud_lines(report.results, verbose=volume.verbose), *report.notes):
        click.echo(printable(line), err=True)
    place = " on the local emulator" if job.target.is_local else ""
    said = summary_line(report.results, dry_run=False)
    click.echo(f"{said}{place}; manifest: {job.shown_manifest}")


def _agreed(job: Job, planned: Plan, test_to: str | None) -> bool:
    """Ask on a terminal before anything goes to a remote target; a CI job has nobody to ask."""
    from runner.report.text import plural

    streams: tuple[TextIO | None, ...] = (sys.stdin, sys.stderr)
    has_terminal = all(stream is not None and stream.isatty() for stream in streams)
    if job.target.is_local or not has_terminal or not planned.deliveries:
        return True
    if test_to is not None:
        what = f"{plural(len(planned.messages), 'test message')} to {test_to}"
    else:
        what = plural(len(planned.deliveries), "thread")
    return _asked(f"Send {what} on {job.target.url}?")


def _asked(question: str) -> bool:
    """Ask; Ctrl-C and a SIGTERM end the program here at once, for nothing is on its way yet."""
    import signal

    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        return click.confirm(question, err=True)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
