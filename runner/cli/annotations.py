"""What a job of GitHub Actions shows beside the lines of a pull request."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from runner.errors import Problem
from runner.report.problems import github_lines


def annotate(problems: Sequence[Problem], *, err: bool = False) -> None:
    """Print problems as GitHub reads them; paths begin at the top of the job's repository."""
    top = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd())
    for line in github_lines(problems, top):
        click.echo(line, err=err)


def is_github_job() -> bool:
    """Whether this is a job of GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true"
