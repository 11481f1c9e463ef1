"""The options that select messages: they arrive as one `Selection`, and `prepare` obeys it."""

from __future__ import annotations

from functools import partial

import click

from runner.cli.options import FILE, bundle
from runner.prepare import Selection

selection = partial(
    bundle,
    "selection",
    Selection,
    (
        click.argument("paths", nargs=-1, type=FILE),
        click.option(
            "--var",
            "assignments",
            multiple=True,
            metavar="NAME=VALUE",
            help="A template variable; beats every other place.",
        ),
        click.option(
            "--var-file",
            "var_files",
            multiple=True,
            type=FILE,
            metavar="FILE",
            help="Template variables from a YAML file; a later file wins.",
        ),
        click.option("--strict", is_flag=True, help="Make warnings errors."),
    ),
)
