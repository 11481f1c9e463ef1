"""`replies`: what Tolokers answered."""

from __future__ import annotations

from functools import partial

import click

from runner.api.answers import AnswerChoice, load_answers
from runner.api.settings import Speed, Where
from runner.cli import options
from runner.cli.say import say
from runner.cli.settings import load_settings, warn_outside
from runner.errors import ExitCode
from runner.report.answers import answer_lines, answers_csv, answers_document, count_line
from runner.report.harmless import json_text
from runner.wording import plural


@click.command()
@options.where
@options.speed
@partial(
    options.bundle,
    "asked",
    AnswerChoice,
    (
        options.since("Only answers since then, as in 2026-11-22 or 2026-11-22T21:00:00Z."),
        click.option("--unread", is_flag=True, help="Only threads in Toloka's folder UNREAD."),
        click.option(
            "--unanswered",
            type=options.Number(0, 100_000),
            metavar="HOURS",
            help="Only what nobody has answered for so long; ends with 6 if there is any.",
        ),
    ),
)
@options.output_format(type=click.Choice(["text", "json", "csv"]))
@click.option("-v", "--verbose", is_flag=True, help="Show everything, however long.")
def replies(
    where: Where, speed: Speed, asked: AnswerChoice, output_format: str, verbose: bool
) -> int:
    """Show what Tolokers answered to what we sent.

    An answer to a message with several recipients makes a thread of its own on Toloka; it is
    found here all the same. The times are UTC, and ages go by Toloka's clock. UNREAD is the same
    folder for everybody who uses the account. A scheduled job with --unanswered 24 is an alarm.
    """
    settings = load_settings(where)
    warn_outside(where, settings)
    answers, truth, now = load_answers(settings, speed, asked)
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
