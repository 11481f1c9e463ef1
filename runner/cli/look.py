"""`status`: what the manifest knows."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from runner.cli import options
from runner.errors import ExitCode


@click.command()
@options.config
@options.manifest
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def status(config: Path | None, target: str | None, manifest: Path | None, form: str) -> int:
    """Show what the manifest knows: who got what, and what is in doubt.

    No network, no token. With --format json every delivery is listed with its thread id.
    """
    from runner.config import choose_target, load_config, manifest_path
    from runner.manifest import read_history
    from runner.paths import shown
    from runner.report.status import status_document, status_lines, unknown_lines

    settings = load_config(config, Path.cwd())
    chosen = choose_target(settings, target, os.environ)
    path = manifest_path(settings, chosen, manifest)
    history = read_history(path, chosen.url)
    if form == "json":
        document = status_document(history, target=chosen.url or chosen.name, manifest=shown(path))
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
    elif not history.attempts:
        click.echo(f"nothing was sent to {chosen.name} yet (no manifest at {shown(path)})")
    else:
        for line in (*status_lines(history), *unknown_lines(history)):
            click.echo(line)
        click.echo(f"manifest: {shown(path)}")
    return ExitCode.DONE
