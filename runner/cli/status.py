"""`status`: what the manifest knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import cast

import click

from runner.api.manifests import read_truth
from runner.api.settings import Settings, Speed, Where
from runner.cli import options
from runner.cli.completion import complete_message_or_path
from runner.cli.ending import signals_caught
from runner.cli.say import say
from runner.cli.settings import load_settings, warn_outside
from runner.errors import ExitCode
from runner.lookup.conversation import Activity
from runner.manifest.standing import STATES, Choice, State, find_standings
from runner.manifest.told import Truth
from runner.model import compared_as
from runner.report.deliveries import told_lines
from runner.report.harmless import json_text
from runner.report.status import status_document
from runner.report.words import epilog
from runner.wording import plural


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which deliveries are asked for, and how they are printed."""

    names: tuple[str, ...]
    toloker: str | None
    only: str | None
    output_format: str
    verbose: bool


@click.command(epilog=epilog())
@partial(
    options.bundle,
    "asked",
    Asked,
    (
        click.argument(
            "names",
            nargs=-1,
            metavar="[MESSAGE|PATH]...",
            shell_complete=complete_message_or_path,
        ),
        click.option("--toloker", metavar="ID", help="All that this person got, and when."),
        click.option(
            "--only",
            type=click.Choice(STATES),
            metavar="STATUS",
            help="Only deliveries of which this became: sent, rejected, unknown, in_doubt, ….",
        ),
        options.output_format(type=click.Choice(["text", "json", "csv"])),
        click.option("-v", "--verbose", is_flag=True, help="Show everything, however long."),
    ),
)
@options.where
@click.option("--refresh", is_flag=True, help="Ask Toloka, and settle what is unknown.")
@options.speed
def status(asked: Asked, where: Where, refresh: bool, speed: Speed) -> int:
    """Show what the manifest knows: who got what, and what is in doubt.

    A line for each message; all about one where you name it (by its id, what its id begins with,
    or its file). Without --refresh it needs no token and asks Toloka nothing. With it, the list of
    threads is asked what became of deliveries in doubt, and for folders, answers and the last
    message in the threads; nothing is sent.

    --format csv has a row for each delivery, and for each Toloker of it. With --only rejected it is
    the file of rows to mend: the columns of the message's own data file are there too, so that it
    can stand in that file's place once it is mended. JSON has every delivery too, and the tests.
    """
    settings = load_settings(where)
    warn_outside(where, settings)
    truth = read_truth(settings, settings.target.url)
    if not refresh or truth.history.target is None:
        _show(settings, truth, asked, {})
        return ExitCode.DONE
    # Imported here because without --refresh nothing of the network is needed.
    from runner.api import refresh as refreshing

    with signals_caught() as interrupts:
        report, history, activity = refreshing.refresh(settings, speed, interrupts)
    _show(settings, Truth(history, settings.shown_manifest), asked, activity)
    for note in report.notes:
        say(note, err=True)
    return report.exit_code


def _show(
    settings: Settings,
    truth: Truth,
    asked: Asked,
    activity: Mapping[tuple[str, int], Activity],
) -> None:
    manifest, history = truth.told, truth.history
    choice = _choice(settings, truth, asked)
    if asked.output_format == "json":
        target = settings.target_name
        document = status_document(
            history, activity, target=target, manifest=manifest, choice=choice
        )
        say(json_text(document))
    elif asked.output_format == "csv":
        _show_rows(settings, truth, choice)
    else:
        target = settings.target.name
        for line in told_lines(history, activity, choice, target, verbose=asked.verbose):
            say(line)
        say(f"manifest: {manifest}")


def _choice(settings: Settings, truth: Truth, asked: Asked) -> Choice:
    messages = None
    if asked.names:
        # Imported here because only a name may need the files.
        from runner.cli.origins import messages_named

        messages = messages_named(asked.names, truth.history, settings.config)
    toloker = None if asked.toloker is None else compared_as(asked.toloker)
    return Choice(messages=messages, toloker=toloker, only=cast("State | None", asked.only))


def _show_rows(settings: Settings, truth: Truth, choice: Choice) -> None:
    # Imported here because only this writes CSV, and only what is to be mended reads the files.
    from runner.report.rows import Origins, deliveries_csv

    chosen = [each for each in find_standings(truth.history) if choice.takes(each)]
    origins: Origins = {}
    if choice.only == "rejected":
        from runner.cli.origins import find_origins

        origins = find_origins({each.message for each in chosen}, settings.config)
    table, changed = deliveries_csv(chosen, truth.history, origins)
    say(table, nl=False)
    if changed:
        what = plural(changed, "cell")
        say(f"warning: {what} would be a formula in a spreadsheet, and got a ' for it", err=True)
