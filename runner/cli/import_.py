"""`import`: an account that was used by hand or by a notebook goes on under review."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

import click

from runner.api.connection import open_connection
from runner.api.origin import new_run
from runner.api.settings import Speed, Where, load_pacing
from runner.cli import options
from runner.cli.drafts import Draft, write_drafts
from runner.cli.ending import signals_caught
from runner.cli.options import Volume
from runner.cli.say import say
from runner.cli.settings import load_settings
from runner.errors import ExitCode
from runner.lookup.names import FOLDER, Named, Names
from runner.lookup.past import Past
from runner.model import compared_as
from runner.paths import MESSAGES_NAME, has_specs
from runner.prepare import Selection, prepare
from runner.send.importing import Importer
from runner.wording import plural, printable, shown

_SHOWN = 20
"""Messages that are shown without -v."""


@click.command("import")
@options.where
@options.speed
@options.since("Only threads since then, as in 2026-11-22 or 2026-11-22T21:00:00Z.")
@click.option(
    "--topic",
    "topics",
    multiple=True,
    metavar="TEXT",
    help="Only threads whose topic has this in it, in any language; may be given several times.",
)
@options.volume
def import_(
    where: Where, speed: Speed, since: datetime | None, topics: tuple[str, ...], volume: Volume
) -> int:
    """Take over an account used by hand: its contents as drafts, its people as reached.

    Nothing is sent. What went to several people becomes a draft in `imported/` of the messages
    folder. Everybody is recorded in the manifest, those who got a personal letter too: under
    `imported/personal/`, one message for each topic. What fits a message that is here already, to
    the letter, is recorded as that one. No file is changed, and repeating is safe.
    """
    settings = load_settings(where)
    root = settings.config.messages_root or settings.config.project / MESSAGES_NAME
    config = replace(settings.config, messages_root=root)
    messages = prepare(Selection(), config).messages if has_specs(root) else ()
    run = new_run(command="import")
    pacing = load_pacing(speed, settings)
    with (
        signals_caught() as interrupts,
        open_connection(settings, pacing, run, interrupts, at_once=True) as connection,
    ):
        volume.log(f"target: {settings.shown_target}")
        is_first = connection.manifest.history().has_gap and settings.target.url is not None
        once = " (a minute, once)" if is_first else ""
        volume.log(f"looking at what this account has sent{once}")
        importer = Importer(
            manifest=connection.manifest,
            toloka=connection.client,
            pace=connection.pace,
            settle_s=connection.pacing.settle_s,
            messages=messages,
        )
        past, count = importer.look(since, topics)
        taken = [path.stem for path in (root / FOLDER).glob("*")]
        names = Names(messages, connection.manifest.history(), taken, shown(root))
        named = names.name(past.contents.values())
        drafts = write_drafts([each for each in named if each.is_new], config, root)
        # The files first: what is cut off here is found in them the next time.
        importer.record(named)
        unknown = connection.manifest.history().unknown
    if not volume.quiet:
        for line in _told(named, drafts, verbose=volume.verbose):
            say(printable(line))
    for line in _warnings(past, drafts, bool(unknown)):
        say(printable(f"warning: {line}"), err=True)
    say(f"{_summary(named, count)}; nothing was sent; manifest: {settings.shown_manifest}")
    return connection.exit_code(ExitCode.UNKNOWN if past.open or unknown else ExitCode.DONE)


def _told(named: Sequence[Named], drafts: Sequence[Draft], *, verbose: bool) -> Iterator[str]:
    written = {each.id for each in drafts if not each.why_not}
    by_id: dict[str, list[Named]] = {}
    for each in named:
        by_id.setdefault(each.message.id, []).append(each)
    chosen = list(by_id.items())[: None if verbose else _SHOWN]
    for name, some in chosen:
        file = f"; draft: {some[0].message.source}" if name in written else ""
        yield f"{name}: {_count(some)}{file}"
    if len(chosen) < len(by_id):
        yield f"{len(by_id) - len(chosen):,} more messages (-v shows all)"


def _warnings(past: Past, drafts: Sequence[Draft], is_unknown: bool) -> Iterator[str]:
    for draft in drafts:
        if draft.why_not:
            yield f"{draft.id} is recorded, and has no draft: {draft.why_not}"
    if past.nameless:
        yield f"of {plural(past.nameless, 'thread')} Toloka does not say whom they reached"
    if past.open:
        yield f"{plural(past.open, 'thread')} may be of deliveries whose outcome is unknown, and were left"
    if past.open or is_unknown:
        yield "`message-runner status` lists what is unknown; settle it, and run import again"


def _summary(named: Sequence[Named], count: int) -> str:
    if not named and not count:
        return "nothing new was found"
    drafts = plural(sum(each.is_new for each in named), "draft")
    known = f"; {plural(count, 'thread')} of messages that are here" if count else ""
    return f"recorded {_count(named)}, {drafts}{known}"


def _count(named: Sequence[Named]) -> str:
    """Count threads and whom they reached, as far as that is known."""
    people = {compared_as(it) for each in named for it in each.written.people}
    threads = plural(sum(len(each.written.letters) for each in named), "thread")
    return f"{threads} to {plural(len(people), 'Toloker')}" if people else threads
