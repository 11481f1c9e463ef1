"""`replies`: what Tolokers answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import click

from runner import clock
from runner.api.connection import load_threads, open_client
from runner.api.manifests import read_truth
from runner.api.settings import Speed, Where, load_pacing
from runner.cli import options
from runner.cli.say import say
from runner.cli.settings import load_settings
from runner.errors import ExitCode
from runner.lookup.conversation import Answer, find_answers
from runner.lookup.replies import query_families
from runner.report.answers import answer_lines, answers_csv, answers_document, count_line
from runner.report.harmless import json_text
from runner.wording import plural


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which answers are asked for."""

    since: datetime | None
    unread: bool
    unanswered: float | None

    def takes(self, answer: Answer, now: datetime) -> bool:
        """Whether an answer is one of them, at this time of Toloka's."""
        if self.unread and not answer.is_unread:
            return False
        if self.unanswered is None:
            return True
        # Toloka's time is told in whole seconds: what came just now is not of the future.
        age = max(now - answer.at, timedelta(0))
        return not answer.is_answered and age >= timedelta(hours=self.unanswered)


@click.command()
@options.where
@options.speed
@partial(
    options.bundle,
    "asked",
    Asked,
    (
        options.since("Only answers since then, as in 2026-11-22 or 2026-11-22T21:00:00Z."),
        click.option("--unread", is_flag=True, help="Only threads in Toloka's folder UNREAD."),
        click.option(
            "--unanswered",
            type=click.FloatRange(0, 100_000),
            metavar="HOURS",
            help="Only what nobody has answered for so long; ends with 6 if there is any.",
        ),
    ),
)
@options.output_format(type=click.Choice(["text", "json", "csv"]))
@click.option("-v", "--verbose", is_flag=True, help="Show everything, however long.")
def replies(where: Where, speed: Speed, asked: Asked, output_format: str, verbose: bool) -> int:
    """Show what Tolokers answered to what we sent.

    An answer to a message with several recipients makes a thread of its own on Toloka; it is
    found here all the same. The times are UTC, and ages go by Toloka's clock. UNREAD is the same
    folder for everybody who uses the account. A scheduled job with --unanswered 24 is an alarm.
    """
    settings = load_settings(where)
    pacing = load_pacing(speed, settings)
    with open_client(settings, pacing) as (client, target):
        truth = read_truth(settings, target)
        history = truth.history
        threads = load_threads(client, *query_families(history.by_thread, history.made))
        now = clock.now() + timedelta(seconds=client.server_ahead_s)
    found = find_answers(history, threads, asked.since)
    answers = [each for each in found if asked.takes(each, now)]
    if output_format == "json":
        say(json_text(answers_document(answers, target=settings.target_name)))
    elif output_format == "csv":
        say(answers_csv(answers), nl=False)
    else:
        for line in answer_lines(answers, now, verbose=verbose):
            say(line)
        say(count_line(answers, verbose=verbose), err=True)
        if settings.branch is not None:
            say(f"manifest: {truth.told}", err=True)
    if asked.unanswered is None or not answers:
        return ExitCode.DONE
    waiting = plural(len({each.thread_id for each in answers}), "thread")
    say(f"{waiting} without an answer of ours for {asked.unanswered:g} hours or more", err=True)
    return ExitCode.FOUND
