"""`validate` and `schema`: what needs no manifest, no token and no network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from runner.cli import options
from runner.cli.options import Values, Volume
from runner.errors import ExitCode, MessagesError


@click.command()
@options.paths
@options.config
@options.values
@options.volume
def validate(paths: Sequence[Path], config: Path | None, values: Values, volume: Volume) -> int:
    """Check messages: schema, templates, and the request that they make.

    PATHS are files or folders; the default is the messages folder. Every problem of every file is
    printed with its line. No network, no token.
    """
    from runner.config import load_config, load_variables
    from runner.prepare import prepare
    from runner.report.text import plural

    settings = load_config(config, Path.cwd())
    below, above = load_variables(settings, values.var_files, values.assignments)
    try:
        prepared = prepare(paths, settings, below, above)
    except MessagesError as error:
        for problem in error.problems:
            click.echo(str(problem))
        files = len({problem.where.path for problem in error.problems})
        click.echo(f"{plural(len(error.problems), 'problem')} in {plural(files, 'file')}", err=True)
        return ExitCode.MESSAGES
    if not volume.quiet:
        count = len(prepared.messages)
        click.echo(f"{plural(count, 'message')} {'is' if count == 1 else 'are'} valid")
    return ExitCode.DONE


@click.command()
@click.argument("name", default="message", required=False)
def schema(name: str) -> int:
    """Print a JSON Schema: message (the default), config, manifest or results.

    An editor with the YAML language server checks and completes a message whose first line is
    `# yaml-language-server: $schema=message.schema.json`.
    """
    from runner.schema import SCHEMA_NAMES, schema_text

    if name not in SCHEMA_NAMES:
        raise click.UsageError(f"there is no schema {name!r}: use {', '.join(SCHEMA_NAMES)}")
    click.echo(schema_text(name), nl=False)
    return ExitCode.DONE
