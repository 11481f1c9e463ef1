"""`status` and `resolve`: what the manifest knows, and a person's word on what it does not."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from runner.cli import options
from runner.errors import ExitCode, SurroundingsError

if TYPE_CHECKING:
    from runner.cli.job import Job
    from runner.cli.options import Speed, Where
    from runner.model import History


@click.command()
@options.where
@click.option("--refresh", is_flag=True, help="Ask Toloka, and settle what is unknown.")
@options.speed
@options.form
def status(where: Where, refresh: bool, speed: Speed, form: str) -> int:
    """Show what the manifest knows: who got what, and what is in doubt.

    Without --refresh it needs no network and no token. With it, Toloka's list of threads is
    asked what became of deliveries in doubt; nothing is sent. With --format json every delivery
    is listed with its thread id.
    """
    from runner.cli.job import load_job
    from runner.manifest import read_history

    job = load_job(where)
    notes: Iterable[str] = ()
    code = ExitCode.DONE
    if refresh and job.manifest.exists():
        notes, code = _refresh(job, speed)
    history = read_history(job.manifest, job.target.url)
    _show(job, history, form)
    for note in notes:
        click.echo(note, err=True)
    return code


def _refresh(job: Job, speed: Speed) -> tuple[tuple[str, ...], ExitCode]:
    from runner.cli.job import settled_pacing
    from runner.cli.wire import find_token, open_line
    from runner.run import Order, Run

    pacing = settled_pacing(speed, job.config)
    with open_line(job, pacing, find_token(job)) as line:
        order = Order(messages=(), jobs=pacing.jobs, settle_s=pacing.settle_s, catches_up=False)
        report = Run(order, line.manifest, line.client, line.pace).refresh()
    return report.notes, line.exit_code(report.exit_code)


def _show(job: Job, history: History, form: str) -> None:
    from runner.report.status import status_document, status_lines, unknown_lines

    if form == "json":
        document = status_document(history, target=job.target_name, manifest=job.shown_manifest)
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
        return
    if not history.attempts:
        click.echo(f"nothing was sent to {job.target.name} yet; manifest: {job.shown_manifest}")
        return
    for line in (*status_lines(history), *unknown_lines(history)):
        click.echo(line)
    click.echo(f"manifest: {job.shown_manifest}")


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
    from runner.answers import is_thread_id
    from runner.cli.job import load_job
    from runner.manifest import Manifest
    from runner.model import NotFound, Sent, Thread

    if (thread_id is not None) == not_sent:
        raise click.UsageError("say --sent THREAD_ID or --not-sent")
    if thread_id is not None and not is_thread_id(thread_id):
        raise click.UsageError("--sent takes a thread id, as in 63c15866757a4a1adad1d632")
    job = load_job(where)
    with Manifest.open(job.manifest, job.target.url, {"command": "resolve"}) as manifest:
        found = [each for each in manifest.unknown() if each.delivery.startswith(delivery)]
        if len(found) != 1:
            raise SurroundingsError(_not_one(delivery, len(found)))
        if thread_id is not None and thread_id in manifest.thread_ids():
            raise SurroundingsError(f"thread {thread_id} belongs to another delivery already")
        outcome = Sent(Thread(id=thread_id)) if thread_id is not None else NotFound()
        manifest.settle(found[0].delivery, outcome, "resolved")
    click.echo(f"{found[0].message}: {'sent' if thread_id else 'not sent'}, by your word")
    return ExitCode.DONE


def _not_one(delivery: str, count: int) -> str:
    if count:
        return f"{count} deliveries in doubt start with {delivery[:40]}: write more of the id"
    return f"no delivery in doubt is called {delivery[:40]}: `message-runner status` lists them"
