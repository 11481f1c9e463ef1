"""`preview`: what `plan` says, as a page to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from runner.cli import options
from runner.cli.options import Values, Volume, Where
from runner.errors import ExitCode


@click.command()
@options.paths
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default="message-preview.html",
    show_default=True,
    metavar="FILE",
    help="The page to write.",
)
@options.values
@options.where
@options.volume
def preview(
    paths: Sequence[Path], output: Path, values: Values, where: Where, volume: Volume
) -> int:
    """Write every message, as Tolokers would see it, to one HTML page.

    PATHS are files or folders; the default is the messages folder. For each message: its topic
    and text in each language, its recipients, what `send` would do with it. The page needs no
    network and no script. No request is made, and nothing is recorded. -v lists all recipients.
    """
    from runner import clock
    from runner.cli.dryrun import checked_plan, log, show_warnings
    from runner.cli.settings import NOTHING_LEAVES, load_job
    from runner.manifest.file import read_history
    from runner.paths import SPEC_SUFFIXES
    from runner.report.page import build_page
    from runner.report.results import write_atomically
    from runner.report.text import plural
    from runner.wording import shown

    if output.suffix.lower() in SPEC_SUFFIXES:
        # `--output messages/*.yaml` would put the page in the place of a message.
        raise click.UsageError(f"--output {shown(output)} looks like a message: name an .html file")
    job, now = load_job(where), clock.now()
    prepared = job.prepare(paths, values)
    plan, warnings = checked_plan(job, prepared, read_history(job.manifest, job.target.url))
    target = job.target.url or NOTHING_LEAVES
    page = build_page(
        plan, target=target, manifest=job.shown_manifest, at=now, verbose=volume.verbose
    )
    write_atomically(output, [page.encode()])
    show_warnings(warnings)
    log(f"target: {target}\nmanifest: {job.shown_manifest}", volume)
    click.echo(f"preview: {shown(output)}, {plural(len(plan.messages), 'message')}")
    return ExitCode.DONE
