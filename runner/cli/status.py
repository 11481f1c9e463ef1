"""`status`: what the manifest knows."""

from __future__ import annotations

from collections.abc import Mapping

import click

from runner.cli import options
from runner.cli.manifests import read_truth
from runner.cli.options import Speed, Where
from runner.cli.say import say
from runner.cli.settings import Settings, load_settings
from runner.errors import ExitCode
from runner.lookup.conversation import Activity
from runner.manifest.told import Truth
from runner.report.harmless import json_text
from runner.report.status import held_lines, status_document, status_lines, unknown_lines


@click.command()
@options.where
@click.option("--refresh", is_flag=True, help="Ask Toloka, and settle what is unknown.")
@options.speed
@options.output_format(type=click.Choice(["text", "json"]))
def status(where: Where, refresh: bool, speed: Speed, output_format: str) -> int:
    """Show what the manifest knows: who got what, and what is in doubt.

    Without --refresh it needs no network and no token. With it, Toloka's list of threads is
    asked what became of deliveries in doubt, and for folders, answers and the last message in the
    threads; nothing is sent. With --format json every delivery
    is listed with its thread id.
    """
    settings = load_settings(where)
    truth = read_truth(settings, settings.target.url)
    if not refresh or truth.history.target is None:
        _show(settings, truth, output_format, {})
        return ExitCode.DONE
    # Imported here because without --refresh nothing of the network is needed.
    from runner.cli import refresh as refreshing

    report, history, activity = refreshing.refresh(settings, speed)
    _show(settings, Truth(history, settings.shown_manifest), output_format, activity)
    for note in report.notes:
        say(note, err=True)
    return report.exit_code


def _show(
    settings: Settings,
    truth: Truth,
    output_format: str,
    activity: Mapping[tuple[str, int], Activity],
) -> None:
    target, manifest, history = settings.target_name, truth.told, truth.history
    if output_format == "json":
        document = status_document(history, activity, target=target, manifest=manifest)
        say(json_text(document))
        return
    if not history.rows:
        say(f"nothing was sent to {settings.target.name} yet; manifest: {manifest}")
        return
    lines = (*status_lines(history, activity), *held_lines(history), *unknown_lines(history))
    for line in lines:
        say(line)
    say(f"manifest: {manifest}")
