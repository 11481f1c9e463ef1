"""The plan that was approved: the options about it, and what is refused because of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import click

from runner import clock
from runner.cli import options
from runner.cli.options import FILE, Volume
from runner.cli.origin import origin_of
from runner.cli.settings import Settings
from runner.errors import Fault, MessagesError, Place, Problem
from runner.plan.moved import find_moved, find_unapproved
from runner.plan.plan import Plan
from runner.plan.planfile import PlanFile, read_plan_file
from runner.prepare import Checked
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
    volume.log(printable(f"plan: {shown(file.path)}, {made}"))
    faults = find_unapproved(
        file, digest=approved.plan_digest, max_age=approved.max_plan_age, now=now
    )
    if faults:
        raise MessagesError([_problem(file, fault) for fault in faults])
    return file


def refuse_moved(file: PlanFile, settings: Settings, prepared: Checked, planned: Plan) -> None:
    """Raise `MessagesError` with whatever would be sent now and is not in the plan file."""
    account = planned.history.account
    origin = origin_of(settings, account=account, babel=prepared.babel)
    moved = find_moved(file, planned, origin)
    if moved:
        raise MessagesError(
            [
                prepared.problem(message, fault) if message else _problem(file, fault)
                for message, fault in moved
            ]
        )


def _problem(file: PlanFile, fault: Fault) -> Problem:
    return Problem(Place(shown(file.path)), fault.what, fault.hint, "plan")
