"""`status` and `resolve`: what the manifest knows, and a person's word on what it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from runner.cli import options
from runner.errors import ExitCode, LaterError, SurroundingsError

if TYPE_CHECKING:
    from datetime import datetime

    from runner.cli.options import Speed, Where
    from runner.cli.settings import Job
    from runner.lookup.conversation import Activity
    from runner.manifest.history import History
    from runner.model import Thread
    from runner.send.run import Report
    from runner.toloka.client import Client


@click.command()
@options.where
@click.option("--refresh", is_flag=True, help="Ask Toloka, and settle what is unknown.")
@options.speed
@options.form
def status(where: Where, refresh: bool, speed: Speed, form: str) -> int:
    """Show what the manifest knows: who got what, and what is in doubt.

    Without --refresh it needs no network and no token. With it, Toloka's list of threads is
    asked what became of deliveries in doubt, and for folders, answers and the last message in the
    threads; nothing is sent. With --format json every delivery
    is listed with its thread id.
    """
    from runner.cli.settings import load_job
    from runner.manifest.file import read_history

    job = load_job(where)
    history = read_history(job.manifest, job.target.url)
    if not refresh or history.target is None:
        _show(job, history, form, {})
        return ExitCode.DONE
    report, history, activity = _refresh(job, speed)
    _show(job, history, form, activity)
    for note in report.notes:
        click.echo(note, err=True)
    return report.exit_code


def _refresh(job: Job, speed: Speed) -> tuple[Report, History, Mapping[tuple[str, int], Activity]]:
    from dataclasses import replace

    from runner.cli.connection import find_token, open_line
    from runner.cli.settings import settled_pacing
    from runner.lookup.conversation import find_activity, query_for
    from runner.send.run import Order, Run

    pacing = settled_pacing(speed, job.config)
    with open_line(job, pacing, find_token(job)) as line:
        order = Order(messages=(), jobs=pacing.jobs, settle_s=pacing.settle_s, catches_up=False)
        report = Run(order, line.manifest, line.client, line.pace).refresh()
        history = line.manifest.history()
        query = query_for(history)
        threads = _listed(line.client, query) if query and not line.signals else []
    code = line.exit_code(report.exit_code)
    return replace(report, exit_code=code), history, find_activity(history, threads)


def _listed(client: Client, query: Mapping[str, str]) -> list[Thread]:
    from runner.errors import ListError

    try:
        return list(client.threads(query))
    except ListError as error:
        raise LaterError(f"Toloka's list of threads could not be had: {error}") from error


def _show(
    job: Job, history: History, form: str, activity: Mapping[tuple[str, int], Activity]
) -> None:
    from runner.report.printable import json_text
    from runner.report.status import status_document, status_lines, unknown_lines

    if form == "json":
        document = status_document(
            history, activity, target=job.target_name, manifest=job.shown_manifest
        )
        click.echo(json_text(document))
        return
    if not history.attempts:
        click.echo(f"nothing was sent to {job.target.name} yet; manifest: {job.shown_manifest}")
        return
    for line in (*status_lines(history, activity), *unknown_lines(history)):
        click.echo(line)
    click.echo(f"manifest: {job.shown_manifest}")


@click.command()
@options.where
@options.speed
@click.option(
    "--since",
    metavar="TIME",
    help="Only answers since then, as in 2026-11-22 or 2026-11-22T21:00:00Z.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    show_default=True,
    help="What to print.",
)
def replies(where: Where, speed: Speed, since: str | None, form: str) -> int:
    """Show what Tolokers answered to what we sent.

    An answer to a message with several recipients makes a thread of its own on Toloka; it is
    found here all the same. The times are UTC.
    """
    from runner.cli.connection import find_token, open_client
    from runner.cli.settings import load_job, settled_pacing
    from runner.lookup.conversation import find_answers, query_for
    from runner.manifest.file import read_history
    from runner.report.answers import answer_lines, answers_csv, answers_document
    from runner.report.printable import json_text
    from runner.report.text import plural

    begin = _time(since)
    job = load_job(where)
    pacing = settled_pacing(speed, job.config)
    with open_client(job, pacing, find_token(job)) as (client, target):
        history = read_history(job.manifest, target)
        query = query_for(history)
        threads = _listed(client, query) if query else []
    answers = find_answers(history, threads, begin)
    if form == "json":
        document = answers_document(answers, target=job.target_name)
        click.echo(json_text(document))
    elif form == "csv":
        click.echo(answers_csv(answers), nl=False)
    else:
        for line in answer_lines(answers):
            click.echo(line)
        click.echo(plural(len(answers), "answer"), err=True)
    return ExitCode.DONE


def _time(text: str | None) -> datetime | None:
    from runner import clock

    if text is None:
        return None
    try:
        return clock.read(text if "T" in text else f"{text}T00:00:00Z")
    except ValueError as error:
        raise click.UsageError("--since takes 2026-11-22 or 2026-11-22T21:00:00Z") from error


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
    from runner.cli.settings import load_job
    from runner.manifest.file import Manifest
    from runner.manifest.history import NotFound
    from runner.model import Sent, Thread
    from runner.toloka.responses import is_thread_id

    if (thread_id is not None) == not_sent:
        raise click.UsageError("say --sent THREAD_ID or --not-sent")
    if thread_id is not None and not is_thread_id(thread_id):
        raise click.UsageError("--sent takes a thread id, as in 63c15866757a4a1adad1d632")
    job = load_job(where)
    with Manifest.open(job.manifest, job.target.url, {"command": "resolve"}) as manifest:
        found = [each for each in manifest.unknown() if each.delivery.startswith(delivery)]
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
