"""`schema`: the JSON Schemas, as editors and other tools take them."""

from __future__ import annotations

import click

from runner.cli.say import say
from runner.errors import ExitCode
from runner.spec.schema import SCHEMA_NAMES, schema_text


@click.command()
@click.argument("name", default="message", required=False)
def schema(name: str) -> int:
    """Print a JSON Schema: message (the default), config, manifest or results.

    An editor with the YAML language server checks and completes a message whose first line is
    `# yaml-language-server: $schema=message.schema.json`.
    """
    if name not in SCHEMA_NAMES:
        raise click.UsageError(f"there is no schema {name!r}: use {', '.join(SCHEMA_NAMES)}")
    say(schema_text(name), nl=False)
    return ExitCode.DONE
