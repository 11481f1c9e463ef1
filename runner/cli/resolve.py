"""`resolve`: a person's word on what the manifest does not know."""

from __future__ import annotations

import click

from runner.cli import options
from runner.cli.options import Where
from runner.cli.settings import load_settings
from runner.errors import ExitCode, SurroundingsError
from runner.manifest.file import Manifest
from runner.manifest.history import NotFound
from runner.model import Sent, Thread
from runner.toloka.responses import is_thread_id


@click.command()
@click.argument("delivery")
@click.option("--sent", "thread_id", metavar="THREAD_ID", help="It was sent: this is its thread.")
@click.option("--not-sent", is_flag=True, help="It was not sent: the next `send` tries it again.")
@options.where
def resolve(delivery: str, thread_id: str | None, not_sent: bool, where: Where) -> int:
    """Settle an unknown outcome by hand.

    DELIVERY is the id that `status` shows, or its first characters. Look at Toloka's own list of
    messages first: with --not-sent, what was sent after all is sent again.
    """
    if (thread_id is not None) == not_sent:
        raise click.UsageError("say --sent THREAD_ID or --not-sent")
    if thread_id is not None and not is_thread_id(thread_id):
        raise click.UsageError("--sent takes a thread id, as in 63c15866757a4a1adad1d632")
    settings = load_settings(where)
    with Manifest.open(settings.manifest, settings.target.url, {"command": "resolve"}) as manifest:
        found = [each for each in manifest.history().unknown if each.delivery.startswith(delivery)]
        if len(found) != 1:
            raise SurroundingsError(_not_one(delivery, len(found)))
        if thread_id is not None and thread_id in manifest.history().thread_ids:
            raise SurroundingsError(f"thread {thread_id} belongs to another delivery already")
        outcome = Sent(Thread(id=thread_id)) if thread_id is not None else NotFound()
        manifest.settle(found[0].delivery, outcome, "resolved")
    click.echo(f"{found[0].message}: {'sent' if thread_id else 'not sent'}, by your word")
    return ExitCode.DONE


def _not_one(delivery: str, count: int) -> str:
    if count:
        return f"{count} deliveries in doubt start with {delivery[:40]}: write more of the id"
    return f"no delivery in doubt is called {delivery[:40]}: `message-runner status` lists them"
