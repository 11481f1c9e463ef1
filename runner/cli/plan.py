"""`plan`, the dry run: the way of `send`, up to the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from runner import clock
from runner.api.manifests import read_truth
from runner.api.origin import origin_of
from runner.api.settings import Where
from runner.cli import options
from runner.cli.annotations import annotate_in_job
from runner.cli.options import FILE, Record, Volume
from runner.cli.results import append_failure, results_file, show_warnings
from runner.cli.say import say
from runner.cli.selection import selection
from runner.errors import ExitCode, MessagesError
from runner.files import append_text
from runner.model import Result
from runner.plan.needs import find_needs
from runner.plan.plan import Plan
from runner.plan.planfile import plan_document
from runner.plan.quota import fit
from runner.prepare import Selection, prepare
from runner.report.harmless import json_text
from runner.report.results import write_results
from runner.report.summary import summary_markdown
from runner.report.text import plan_lines, summary_line
from runner.report.words import epilog
from runner.wording import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Where a dry run writes besides the terminal, and in which format it prints."""

    out: Path | None = None
    summary: Path | None = None
    output_format: str = "text"


@click.command(epilog=epilog())
@selection
@options.where
@options.record
@partial(
    options.bundle,
    "outputs",
    Outputs,
    (
        click.option("--out", type=FILE, metavar="FILE", help="Write the plan for --plan."),
        click.option(
            "--summary",
            type=FILE,
            metavar="FILE",
            help="Append Markdown, as for $GITHUB_STEP_SUMMARY.",
        ),
        options.output_format(type=click.Choice(["text", "json"])),
    ),
)
@options.volume
def plan(
    selection: Selection, where: Where, record: Record, outputs: Outputs, volume: Volume
) -> int:
    """Show what `send` would do, given the manifest: the dry run.

    PATHS are files or folders; the default is the messages folder. For each message: its
    recipients, its languages, the text itself. No request is made, and nothing is recorded. With
    --out the plan is kept, and `send --plan` sends it and nothing else.
    """
    return show_plan(selection, where, record, outputs, volume)


def show_plan(
    selection: Selection, where: Where, record: Record, outputs: Outputs, volume: Volume
) -> int:
    """Show and write what `send` would do; gives the exit code."""
    with results_file(record, where, dry_run=True) as (settings, finish):
        try:
            prepared = prepare(selection, settings.config)
            truth = read_truth(settings, settings.target.url, may_lack=True)
            planned, warnings = prepared.plan(truth.history)
        except MessagesError as error:
            append_failure(outputs.summary, error.problems)
            annotate_in_job(error.problems)
            raise
        quota_notes = fit(planned.deliveries, truth.history, clock.now()).quota_notes
        document: dict[str, object] = {}
        if outputs.out is not None or outputs.output_format == "json":
            origin = origin_of(settings, account=truth.history.account, babel=prepared.babel)
            document = plan_document(planned, origin, manifest=truth.told, quota_notes=quota_notes)
        results = planned.results
        # The files first: whoever reads what is printed may go away, as `head` does.
        if outputs.out is not None:
            write_results(outputs.out, document)
        if outputs.summary is not None:
            markdown = summary_markdown(
                planned,
                results,
                target=settings.shown_target,
                quota_notes=quota_notes,
                warnings=warnings,
                digest=str(document["digest"]) if outputs.out is not None else None,
            )
            append_text(outputs.summary, markdown)
        needs = find_needs(planned, looks=settings.target.url is not None, now=clock.now())
        code = finish(results, ExitCode.DONE, needs)
    if outputs.output_format == "text":
        _show(planned, results, quota_notes, volume)
        _show_digest(outputs, document)
    volume.log(f"target: {settings.shown_target}\nmanifest: {truth.told}")
    for said in prepared.notes:
        volume.log(said)
    show_warnings(warnings)
    if outputs.output_format == "json":
        say(json_text(document))
    return code


def _show_digest(outputs: Outputs, document: Mapping[str, object]) -> None:
    if outputs.out is not None:
        say(f"The plan {shown(outputs.out)} is {document['digest']}")


def _show(
    planned: Plan, results: Sequence[Result], quota_notes: Sequence[str], volume: Volume
) -> None:
    if not volume.quiet:
        for line in plan_lines(planned, verbose=volume.verbose):
            say(line)
    say(f"{summary_line(results, dry_run=True)}. Nothing was sent.")
    for said in quota_notes:
        say(said)
