"""`validate`: what can be said of messages with no manifest, no token and no network."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from runner.cli import options
from runner.cli.annotations import annotate, annotate_in_job
from runner.cli.options import Volume
from runner.cli.say import say, wants_colour
from runner.cli.selection import selection
from runner.config import load_config
from runner.errors import ExitCode
from runner.prepare import Checked, Selection, check
from runner.report import problems
from runner.wording import plural


@click.command()
@selection
@options.config
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json", "github", "junit"]),
    help="What to print; default text, with annotations beside it in a GitHub job.",
)
@options.colour
@options.volume
def validate(
    selection: Selection,
    config: Path | None,
    output_format: str | None,
    colour: str,
    volume: Volume,
) -> int:
    """Check messages: schema, templates, the request that they make, and house rules.

    PATHS are files or folders; the default is the messages folder. Every problem of every file is
    printed with its line. The policy is held against the files alone: what the manifest knows
    besides, `plan` says. No network, no token.
    """
    checked = check(selection, load_config(config, Path.cwd())).of_files_alone()
    if output_format == "json":
        say(problems.problems_document(checked.problems, checked.files))
    elif output_format == "junit":
        say(problems.junit_document(checked.problems, checked.files))
    elif output_format == "github":
        annotate(checked.problems)
    else:
        _show(checked, colour)
        if output_format is None:
            annotate_in_job(checked.problems, err=False)
        _sum_up(checked, volume)
    return ExitCode.MESSAGES if checked.errors else ExitCode.DONE


def _show(checked: Checked, colour: str) -> None:
    is_coloured = wants_colour(colour, sys.stdout)
    for line in problems.text_lines(checked.problems, checked.files, is_coloured=is_coloured):
        say(line, colour=is_coloured)


def _sum_up(checked: Checked, volume: Volume) -> None:
    warnings = len(checked.problems) - len(checked.errors)
    if checked.errors:
        files = len({problem.where.path for problem in checked.errors})
        said = f"{plural(len(checked.errors), 'problem')} in {plural(files, 'file')}"
        say(said, err=True)
    elif not volume.quiet:
        count = len(checked.files)
        say(f"{plural(count, 'message')} {'is' if count == 1 else 'are'} valid")
        policy = checked.policy
        limits = (policy.max_recipients, policy.max_recipients_per_run, policy.max_per_toloker)
        if any(each is not None for each in limits):
            said = "limits are checked on the files only; `plan` also counts what was sent before"
            say(said, err=True)
    if warnings:
        say(plural(warnings, "warning"), err=True)
