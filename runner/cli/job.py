"""What `plan` and `send` share: settings from flags, the environment and `runner.yaml`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from runner.config import (
    Config,
    Target,
    choose_target,
    load_config,
    load_variables,
    manifest_path,
)
from runner.prepare import Prepared, prepare

RATE = 285.0
JOBS = 64
TIMEOUT_S = 30.0
SETTLE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Where a command reads and writes, once every source of settings has been asked."""

    config: Config
    target: Target
    manifest: Path

    def prepare(
        self, paths: Sequence[Path], assignments: Sequence[str], var_files: Sequence[Path]
    ) -> Prepared:
        """Load and render the messages; raises `MessagesError`."""
        below, above = load_variables(self.config, var_files, assignments)
        return prepare(paths, self.config, below, above)


def load_job(config: Path | None, target: str | None, manifest: Path | None) -> Job:
    """Settle where to send and what to record it in; raises `SurroundingsError`."""
    settings = load_config(config, Path.cwd())
    chosen = choose_target(settings, target, os.environ)
    return Job(config=settings, target=chosen, manifest=manifest_path(settings, chosen, manifest))


def number(flag: float | None, config: Config, name: str, otherwise: float) -> float:
    """A flag, else the configuration's default, else ours."""
    return (
        flag if flag is not None else cast("float", config.section("defaults").get(name, otherwise))
    )


def who_runs(environ: Mapping[str, str]) -> dict[str, object]:
    """Say who sends, where the environment of a CI job tells.

    The names are those of GitHub Actions and of GitLab CI.
    """
    found: dict[str, object] = {}
    commit = environ.get("GITHUB_SHA") or environ.get("CI_COMMIT_SHA")
    actor = environ.get("GITHUB_ACTOR") or environ.get("GITLAB_USER_LOGIN")
    ci_run = environ.get("CI_JOB_URL")
    if environ.get("GITHUB_RUN_ID"):
        server, repository = environ.get("GITHUB_SERVER_URL"), environ.get("GITHUB_REPOSITORY")
        ci_run = f"{server}/{repository}/actions/runs/{environ['GITHUB_RUN_ID']}"
    for name, value in (("commit", commit), ("actor", actor), ("ci_run", ci_run)):
        if value:
            found[name] = value[:300]
    return found


def is_ci(environ: Mapping[str, str]) -> bool:
    """Whether this is a CI job: `CI` is set, as every CI service does."""
    return environ.get("CI", "").lower() not in ("", "0", "false", "no")
