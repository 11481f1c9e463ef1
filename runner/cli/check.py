"""`validate` and `schema`: what needs no manifest, no token and no network."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli import options
from runner.cli.options import Values, Volume
from runner.errors import ExitCode

if TYPE_CHECKING:
    from runner.prepare import Checked


@click.command()
@options.paths
@options.config
@options.values
@options.strict
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github", "junit"]),
    help="What to print; default text, with annotations beside it in a GitHub job.",
)
@options.colour
@options.volume
def validate(
    paths: Sequence[Path],
    config: Path | None,
    values: Values,
    strict: bool,
    form: str | None,
    colour: str,
    volume: Volume,
) -> int:
    """Check messages: schema, templates, the request that they make, and house rules.

    PATHS are files or folders; the default is the messages folder. Every problem of every file is
    printed with its line. No network, no token.
    """
    from runner.config import load_config, load_variables
    from runner.prepare import check

    settings = load_config(config, Path.cwd())
    below, above = load_variables(settings, values.var_files, values.assignments)
    checked = check(paths, settings, below, above, strict=strict)
    _show(checked, form, colour, volume)
    return ExitCode.MESSAGES if checked.errors else ExitCode.DONE


def _show(checked: Checked, form: str | None, colour: str, volume: Volume) -> None:
    from runner.report import problems

    if form == "json":
        click.echo(problems.problems_document(checked.problems, checked.files))
    elif form == "junit":
        click.echo(problems.junit_document(checked.problems, checked.files))
    elif form == "github":
        for line in problems.github_lines(checked.problems):
            click.echo(line)
    else:
        is_coloured = options.wants_colour(colour, sys.stdout)
        for line in problems.text_lines(checked.problems, checked.files, is_coloured=is_coloured):
            click.echo(line, color=is_coloured)
        if form is None and os.environ.get("GITHUB_ACTIONS") == "true":
            for line in problems.github_lines(checked.problems):
                click.echo(line)
        _sum_up(checked, volume)


def _sum_up(checked: Checked, volume: Volume) -> None:
    from runner.report.text import plural

    warnings = len(checked.problems) - len(checked.errors)
    if checked.errors:
        files = len({problem.where.path for problem in checked.errors})
        said = f"{plural(len(checked.errors), 'problem')} in {plural(files, 'file')}"
        click.echo(said, err=True)
    elif not volume.quiet:
        count = len(checked.files)
        click.echo(f"{plural(count, 'message')} {'is' if count == 1 else 'are'} valid")
    if warnings:
        click.echo(plural(warnings, "warning"), err=True)


@click.command()
@click.argument("name", default="message", required=False)
def schema(name: str) -> int:
    """Print a JSON Schema: message (the default), config, manifest or results.

    An editor with the YAML language server checks and completes a message whose first line is
    `# yaml-language-server: $schema=message.schema.json`.
    """
    from runner.spec.schema import SCHEMA_NAMES, schema_text

    if name not in SCHEMA_NAMES:
        raise click.UsageError(f"there is no schema {name!r}: use {', '.join(SCHEMA_NAMES)}")
    click.echo(schema_text(name), nl=False)
    return ExitCode.DONE
