"""`preview`: what `plan` says, as a page to look at."""

from __future__ import annotations

from pathlib import Path

import click

from runner import clock
from runner.api.review import plan_for_review
from runner.api.settings import Where
from runner.cli import options
from runner.cli.options import OUTPUT, Volume
from runner.cli.results import show_warnings
from runner.cli.say import say
from runner.cli.selection import selection
from runner.cli.settings import load_settings
from runner.errors import ExitCode
from runner.files import write_whole
from runner.prepare import Selection
from runner.report.page import build_page
from runner.report.samples import Detail
from runner.wording import plural, shown


@click.command()
@selection
@click.option(
    "--output",
    type=OUTPUT,
    default="message-preview.html",
    show_default=True,
    metavar="FILE",
    help="The page to write.",
)
@options.row
@options.where
@options.volume
def preview(
    selection: Selection, output: Path, row: int | None, where: Where, volume: Volume
) -> int:
    """Write every message, as Tolokers would see it, to one HTML page.

    PATHS are files or folders; the default is the messages folder. For each message: its topic
    and text in each language, its recipients, what `send` would do with it. The page needs no
    network and no script. Toloka is not asked, and nothing is recorded. -v lists all recipients,
    and all rows of personal messages; --row shows one.
    """
    settings, now = load_settings(where), clock.now()
    detail = Detail(all=volume.verbose, row=row)
    _, truth, review = plan_for_review(selection, settings, detail)
    write_whole(output, [build_page(review, at=now).encode()])
    show_warnings(review.about.warnings)
    volume.log(f"target: {settings.shown_target}\nmanifest: {truth.told}")
    say(f"preview: {shown(output)}, {plural(len(review.entries), 'message')}")
    return ExitCode.DONE
