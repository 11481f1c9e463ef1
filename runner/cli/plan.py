"""`plan`, the dry run: the way of `send`, up to the wire."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from runner import clock
from runner.api.origin import origin_of
from runner.api.review import plan_for_review
from runner.api.settings import Where
from runner.cli import options
from runner.cli.annotations import annotate_in_job
from runner.cli.options import OUTPUT, Record, Volume
from runner.cli.results import append_failure, results_file, show_warnings
from runner.cli.say import say, wants_colour
from runner.cli.selection import selection
from runner.errors import ExitCode, MessagesError
from runner.files import append_text, size_of
from runner.plan.needs import find_needs
from runner.prepare import Selection
from runner.report.harmless import json_text
from runner.report.planjson import review_document
from runner.report.plantext import closing_lines, plan_lines
from runner.report.results import write_results
from runner.report.review import Review
from runner.report.samples import Detail
from runner.report.summary import summary_markdown
from runner.report.words import epilog
from runner.wording import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Where a dry run writes besides the terminal, what it prints of rows, and in which format."""

    out: Path | None = None
    summary: Path | None = None
    row: int | None = None
    output_format: str = "text"
    colour: str = "auto"


@click.command(epilog=epilog())
@selection
@options.where
@options.record
@partial(
    options.bundle,
    "outputs",
    Outputs,
    (
        click.option("--out", type=OUTPUT, metavar="FILE", help="Write the plan for --plan."),
        click.option(
            "--summary",
            type=OUTPUT,
            metavar="FILE",
            help="Append Markdown, as for $GITHUB_STEP_SUMMARY.",
        ),
        options.row,
        options.output_format(type=click.Choice(["text", "json"])),
        options.colour,
    ),
)
@options.volume
def plan(
    selection: Selection, where: Where, record: Record, outputs: Outputs, volume: Volume
) -> int:
    """Show what `send` would do, given the manifest: the dry run.

    PATHS are files or folders; the default is the messages folder. What changes comes first: the
    rules, then what would be sent, whole, and what was edited since; the rest is a count. Toloka
    is not asked, and nothing is recorded. With --out the plan is kept, and `send --plan` sends
    it and nothing else. Of personal messages some rows are shown: -v shows all, --row one.
    """
    return show_plan(selection, where, record, outputs, volume)


def show_plan(
    selection: Selection, where: Where, record: Record, outputs: Outputs, volume: Volume
) -> int:
    """Show and write what `send` would do; gives the exit code."""
    with results_file(record, where, dry_run=True) as (settings, finish):
        detail = Detail(all=volume.verbose, row=outputs.row)
        try:
            prepared, truth, review = plan_for_review(selection, settings, detail)
        except MessagesError as error:
            append_failure(outputs.summary, error.problems)
            annotate_in_job(error.problems)
            raise
        document: dict[str, object] = {}
        if outputs.out is not None or outputs.output_format == "json":
            origin = origin_of(settings, account=truth.history.account, babel=prepared.babel)
            document = review_document(review, origin)
        # The files first: whoever reads what is printed may go away, as `head` does.
        if outputs.out is not None:
            write_results(outputs.out, document)
        if outputs.summary is not None:
            digest = str(document["digest"]) if outputs.out is not None else None
            _append_summary(outputs.summary, review, digest)
        looks = settings.target.url is not None
        needs = find_needs(review.plan, looks=looks, now=clock.now())
        code = finish(review.plan.results, ExitCode.DONE, needs)
    if outputs.output_format == "text":
        _show(review, outputs, volume)
        if outputs.out is not None:
            say(f"The plan {shown(outputs.out)} is {document['digest']}")
    else:
        show_warnings(review.about.warnings)
        say(json_text(document))
    volume.log(f"target: {settings.shown_target}\nmanifest: {truth.told}")
    return code


def _append_summary(path: Path, review: Review, digest: str | None) -> None:
    text = summary_markdown(review, taken=size_of(path), digest=digest)
    append_text(path, text)
    if not text:
        say(f"warning: {shown(path)} is full: there is no room for the plan", err=True)


def _show(review: Review, outputs: Outputs, volume: Volume) -> None:
    is_coloured = wants_colour(outputs.colour, sys.stdout)
    for line in () if volume.quiet else plan_lines(review, is_coloured=is_coloured):
        say(line, colour=is_coloured)
    show_warnings(review.about.warnings)
    closing = list(closing_lines(review))
    for line in closing[-1:] if volume.quiet else closing:
        say(line)
