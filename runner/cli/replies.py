"""`replies`: what Tolokers answered."""

from __future__ import annotations

from datetime import datetime

import click

from runner.api.connection import load_threads, open_client
from runner.api.manifests import read_truth
from runner.api.settings import Speed, Where, load_pacing
from runner.cli import options
from runner.cli.say import say
from runner.cli.settings import load_settings
from runner.errors import ExitCode
from runner.lookup.conversation import find_answers
from runner.lookup.replies import query_families
from runner.report.answers import answer_lines, answers_csv, answers_document
from runner.report.harmless import json_text
from runner.wording import plural


@click.command()
@options.where
@options.speed
@options.since("Only answers since then, as in 2026-11-22 or 2026-11-22T21:00:00Z.")
@options.output_format(type=click.Choice(["text", "json", "csv"]))
def replies(where: Where, speed: Speed, since: datetime | None, output_format: str) -> int:
    """Show what Tolokers answered to what we sent.

    An answer to a message with several recipients makes a thread of its own on Toloka; it is
    found here all the same. The times are UTC.
    """
    settings = load_settings(where)
    pacing = load_pacing(speed, settings)
    with open_client(settings, pacing) as (client, target):
        truth = read_truth(settings, target)
        history = truth.history
        threads = load_threads(client, *query_families(history.by_thread, history.made))
    answers = find_answers(history, threads, since)
    if output_format == "json":
        say(json_text(answers_document(answers, target=settings.target_name)))
    elif output_format == "csv":
        say(answers_csv(answers), nl=False)
    else:
        for line in answer_lines(answers):
            say(line)
        say(plural(len(answers), "answer"), err=True)
        if settings.branch is not None:
            say(f"manifest: {truth.told}", err=True)
    return ExitCode.DONE
