"""What a job of GitHub Actions shows beside the lines of a pull request."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from runner.cli.say import give_order
from runner.errors import Problem
from runner.report.problems import github_lines


def annotate(problems: Sequence[Problem], *, err: bool = False) -> None:
    """Print problems as GitHub reads them; paths begin at the top of the job's repository."""
    top = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd())
    for line in github_lines(problems, top):
        give_order(line, err=err)


def annotate_in_job(problems: Sequence[Problem], *, err: bool = True) -> None:
    """Do so in a job of GitHub Actions only."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        annotate(problems, err=err)
