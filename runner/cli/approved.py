"""The plan that was approved: the options about it, and whether it is the one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import click

from runner import clock
from runner.api.sending import problem_of_plan
from runner.cli import options
from runner.cli.options import FILE, Volume
from runner.errors import MessagesError
from runner.plan.moved import find_unapproved
from runner.plan.planfile import PlanFile, read_plan_file
from runner.wording import age_words, printable, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """Which plan was approved, and how."""

    plan: Path | None
    plan_digest: str | None
    max_plan_age: timedelta | None
    approval: str | None


approved_plan = partial(
    options.bundle,
    "approved",
    Approved,
    (
        click.option(
            "--plan",
            type=FILE,
            metavar="FILE",
            help="Send what this plan of `plan --out` holds; refuse if anything has moved since.",
        ),
        click.option(
            "--plan-digest",
            metavar="DIGEST",
            help="What `plan --out` printed: refuse a plan that is another one.",
        ),
        click.option(
            "--max-plan-age",
            type=options.duration,
            metavar="TIME",
            help="Refuse a plan that is older: 48h, 90m, 2d.",
        ),
        click.option(
            "--approval",
            type=click.Choice(["pull-request", "dispatch", "environment"]),
            help="What approved this, for the manifest's `run` line.",
        ),
    ),
)


def load_plan(approved: Approved, volume: Volume) -> PlanFile | None:
    """Read the plan that was approved; raises `MessagesError` where it is another, or too old."""
    if approved.plan is None:
        return None
    file, now = read_plan_file(approved.plan), clock.now()
    at = f" at commit {file.origin.commit}" if file.origin.commit else ""
    made = f"made {age_words(now - file.made_at)} ago{at} with {file.origin.made_with}"
    volume.log(printable(f"plan: {shown(approved.plan)}, {made}"))
    faults = find_unapproved(
        file, digest=approved.plan_digest, max_age=approved.max_plan_age, now=now
    )
    if faults:
        raise MessagesError([problem_of_plan(file, fault) for fault in faults])
    return file
