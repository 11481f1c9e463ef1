"""`import`: an account that was used by hand or by a notebook goes on under review."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import click

from runner.api.connection import Connection, open_connection
from runner.api.origin import new_run
from runner.api.settings import Speed, Where, load_pacing
from runner.cli import options
from runner.cli.drafts import Draft, write_drafts
from runner.cli.ending import signals_caught
from runner.cli.options import Volume
from runner.cli.say import say
from runner.cli.settings import load_settings
from runner.config import Config
from runner.errors import ExitCode
from runner.lookup.names import FOLDER, Named, Names
from runner.lookup.past import Past
from runner.model import Message, compared_as
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
    config, pacing = replace(settings.config, messages_root=root), load_pacing(speed, settings)
    messages = prepare(Selection(), config).messages if has_specs(root) else ()
    run = new_run(command="import")
    with (
        signals_caught() as interrupts,
        open_connection(settings, pacing, run, interrupts) as connection,
    ):
        volume.log(f"target: {settings.shown_target}")
        is_first = connection.manifest.history().has_gap and settings.target.url is not None
        once = " (a minute, once)" if is_first else ""
        volume.log(f"looking at what this account has sent{once}")
        taken = _take_over(connection, config, root, messages, Wanted(since, topics))
    if not volume.quiet:
        for line in _told(taken, verbose=volume.verbose):
            say(printable(line))
    for line in _warnings(taken, settings.option):
        say(printable(f"warning: {line}"), err=True)
    say(f"{_summary(taken)}; nothing was sent; manifest: {settings.shown_manifest}")
    if taken.written and config.section("policy").get("reviewed"):
        say(
            f"commit {shown(root / FOLDER)}/, and push it or have it merged, or move it away: until then `send` "
            "refuses, for `policy: reviewed`",
            err=True,
        )
    return connection.exit_code(ExitCode.UNKNOWN if taken.is_unknown else ExitCode.DONE)


class Wanted(NamedTuple):
    """Which part of the account."""

    since: datetime | None
    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What was taken over; `count` threads were of messages that are here."""

    past: Past
    count: int
    named: Sequence[Named]
    drafts: Sequence[Draft]
    is_unknown: bool
    """Whether the outcome of some delivery is, which has to be settled first."""

    @property
    def written(self) -> Set[str]:
        """The ids of the drafts that have a file."""
        return {each.id for each in self.drafts if not each.why_not}


def _take_over(
    connection: Connection,
    config: Config,
    root: Path,
    messages: tuple[Message, ...],
    wanted: Wanted,
) -> Taken:
    manifest = connection.manifest
    importer = Importer(
        manifest=manifest,
        toloka=connection.client,
        pace=connection.pace,
        settle_s=connection.pacing.settle_s,
        messages=messages,
    )
    past, count = importer.look(*wanted)
    files = [path.stem for path in (root / FOLDER).glob("*")]
    named = Names(messages, manifest.history(), files, shown(root)).name(past.contents.values())
    new = [each for each in named if each.is_new]
    drafts = write_drafts(new, config, root, connection.pace)
    # The files first: what is cut off here is found in them the next time.
    importer.record(named)
    is_unknown = bool(past.open or manifest.history().unknown)
    return Taken(past=past, count=count, named=named, drafts=drafts, is_unknown=is_unknown)


def _told(taken: Taken, *, verbose: bool) -> Iterator[str]:
    written = taken.written
    by_id: dict[str, list[Named]] = {}
    for each in sorted(taken.named, key=lambda each: each.is_personal):
        by_id.setdefault(each.message.id, []).append(each)
    chosen = list(by_id.items())[: None if verbose else _SHOWN]
    for name, some in chosen:
        file = f"; draft: {some[0].message.source}" if name in written else ""
        yield f"{name}: {_count(some)}{file}"
    if len(chosen) < len(by_id):
        yield f"{plural(len(by_id) - len(chosen), 'more message')} (-v shows all)"


def _warnings(taken: Taken, option: str) -> Iterator[str]:
    nameless, left = taken.past.nameless, taken.past.open
    for draft in taken.drafts:
        if draft.why_not:
            yield f"{draft.id} is recorded, and has no draft: {draft.why_not}"
    if nameless:
        yield f"Toloka does not say whom {plural(nameless, 'thread')} reached: nobody is recorded"
    if left:
        what = "may be of deliveries whose outcome is unknown, and were left"
        yield f"{plural(left, 'thread')} {what}"
    if taken.is_unknown:
        yield f"`message-runner status{option}` lists what is unknown; settle it, and run import again"


def _summary(taken: Taken) -> str:
    if not taken.named and not taken.count:
        return "nothing new was found"
    drafts = plural(len(taken.written), "draft")
    known = f"; {plural(taken.count, 'thread')} of messages that are here" if taken.count else ""
    return f"recorded {_count(taken.named)}, {drafts}{known}"


def _count(named: Sequence[Named]) -> str:
    """Count threads and whom they reached, as far as that is known."""
    people = {compared_as(it) for each in named for it in each.written.people}
    threads = plural(sum(len(each.written.letters) for each in named), "thread")
    return f"{threads} to {plural(len(people), 'Toloker')}" if people else threads
