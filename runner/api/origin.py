"""Who runs, with what and at which commit: for the manifest's `run` line, and for a plan."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping

from runner import __version__
from runner.api.settings import Settings
from runner.errors import SurroundingsError
from runner.git import Repository
from runner.plan.planfile import Origin


def new_run(**told: str | None) -> dict[str, object]:
    """Say who writes to the manifest now, and what else is told."""
    known = {name: value for name, value in told.items() if value is not None}
    run = {"run": secrets.token_hex(8), "version": __version__}
    return {**run, **known, **_who_runs(os.environ)}


def origin_of(settings: Settings, *, account: str | None, babel: str | None) -> Origin:
    """Say where a plan that is made now is for, and what makes it."""
    return Origin(
        target=settings.target_name,
        made_with=__version__,
        account=account,
        acts_under=settings.target.account_id,
        commit=_who_runs(os.environ).get("commit") or _head(settings),
        babel=babel,
    )


def _head(settings: Settings) -> str | None:
    """The commit that is checked out; None outside of a repository."""
    try:
        return Repository(settings.config.project, os.environ).tip("HEAD")
    except SurroundingsError:
        return None


def _who_runs(environ: Mapping[str, str]) -> dict[str, str]:
    """Say who sends, where the environment of a CI job tells.

    The names are those of GitHub Actions and of GitLab CI.
    """
    ci_run = environ.get("CI_JOB_URL")
    if environ.get("GITHUB_RUN_ID"):
        server, repository = environ.get("GITHUB_SERVER_URL"), environ.get("GITHUB_REPOSITORY")
        ci_run = f"{server}/{repository}/actions/runs/{environ['GITHUB_RUN_ID']}"
    told = {
        "commit": environ.get("GITHUB_SHA") or environ.get("CI_COMMIT_SHA"),
        "actor": environ.get("GITHUB_ACTOR") or environ.get("GITLAB_USER_LOGIN"),
        "ci_run": ci_run,
    }
    return {name: value[:300] for name, value in told.items() if value}
