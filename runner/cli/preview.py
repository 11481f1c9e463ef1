"""`preview`: what `plan` says, as a page to look at."""

from __future__ import annotations

from pathlib import Path

import click

from runner import clock
from runner.api.manifests import read_truth
from runner.api.settings import Where
from runner.cli import options
from runner.cli.options import FILE, Volume
from runner.cli.results import show_warnings
from runner.cli.say import say
from runner.cli.selection import selection
from runner.cli.settings import load_settings
from runner.errors import ExitCode
from runner.files import write_whole
from runner.paths import SPEC_SUFFIXES
from runner.prepare import Selection, prepare
from runner.report.page import build_page
from runner.wording import plural, shown


@click.command()
@selection
@click.option(
    "--output",
    type=FILE,
    default="message-preview.html",
    show_default=True,
    metavar="FILE",
    help="The page to write.",
)
@options.where
@options.volume
def preview(selection: Selection, output: Path, where: Where, volume: Volume) -> int:
    """Write every message, as Tolokers would see it, to one HTML page.

    PATHS are files or folders; the default is the messages folder. For each message: its topic
    and text in each language, its recipients, what `send` would do with it. The page needs no
    network and no script. No request is made, and nothing is recorded. -v lists all recipients.
    """
    if output.suffix.lower() in SPEC_SUFFIXES:
        # `--output messages/*.yaml` would put the page in the place of a message.
        raise click.UsageError(f"--output {shown(output)} looks like a message: name an .html file")
    settings, now = load_settings(where), clock.now()
    prepared = prepare(selection, settings.config)
    truth = read_truth(settings, settings.target.url, may_lack=True)
    planned, warnings = prepared.plan(truth.history)
    target, manifest = settings.shown_target, truth.told
    page = build_page(planned, target=target, manifest=manifest, at=now, verbose=volume.verbose)
    write_whole(output, [page.encode()])
    show_warnings(warnings)
    volume.log(f"target: {target}\nmanifest: {manifest}")
    say(f"preview: {shown(output)}, {plural(len(planned.messages), 'message')}")
    return ExitCode.DONE
