"""What the commands share: settings from flags, the environment and `runner.yaml`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from runner.cli.options import Speed, Values, Where
from runner.config import (
    Config,
    Target,
    choose_target,
    load_config,
    load_variables,
    manifest_path,
    names_a_target,
)
from runner.errors import SurroundingsError
from runner.prepare import Prepared, prepare
from runner.report.results import results_document, write_results
from runner.wording import shown

NOTHING_LEAVES = "the local emulator on this machine; nothing leaves this machine"
_RATE = 285.0
_JOBS = 64
_TIMEOUT_S = 30.0
_SETTLE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Where a command reads and writes, once every source of settings has been asked."""

    config: Config
    target: Target
    manifest: Path
    is_target_named: bool

    @property
    def target_name(self) -> str:
        """The target as results name it: its URL, or `local`."""
        return self.target.url or self.target.name

    @property
    def shown_manifest(self) -> str:
        """The manifest's path as printed."""
        return shown(self.manifest)

    def prepare(self, paths: Sequence[Path], values: Values, *, strict: bool = False) -> Prepared:
        """Load and render the messages; raises `MessagesError`."""
        below, above = load_variables(self.config, values.var_files, values.assignments)
        return prepare(paths, self.config, below, above, strict=strict)

    def refuse_silent_ci(self) -> None:
        """Refuse to send from a CI job that names no target: it would believe that it sent."""
        is_ci = os.environ.get("CI", "").lower() not in ("", "0", "false", "no")
        if is_ci and not self.is_target_named:
            raise SurroundingsError(
                "this is a CI job (CI is set), and nothing says where to send: name a --target "
                "(local, for a rehearsal), or set TOLOKA_TARGET, or `target:` in runner.yaml"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing:
    """How fast and how patiently to talk to Toloka, settled."""

    rate: float
    jobs: int
    timeout_s: float
    settle_s: float


def load_job(where: Where, results: Path | None = None, *, dry_run: bool = False) -> Job:
    """Settle where to send and what to record it in; raises `SurroundingsError`.

    `results` is then written all the same: an older file must not pass for this run's.
    """
    try:
        return _load_job(where)
    except SurroundingsError as error:
        if results is not None:
            document = results_document(
                (),
                target=_without_credentials(where.target),
                manifest="",
                dry_run=dry_run,
                exit_code=int(error.exit_code),
            )
            write_results(results, document)
        raise


def _without_credentials(target: str | None) -> str:
    """A target as it was asked for, unless it may hold what no file shall keep."""
    return "" if target is None or set(target) & set("@?#") else target


def _load_job(where: Where) -> Job:
    config = load_config(where.config, Path.cwd())
    target = choose_target(config, where.target, os.environ)
    return Job(
        config=config,
        target=target,
        manifest=manifest_path(config, target, where.manifest),
        is_target_named=names_a_target(config, where.target, os.environ),
    )


def settled_pacing(speed: Speed, config: Config) -> Pacing:
    """Take each number from its flag, else from the configuration, else from us."""
    defaults = cast("Mapping[str, float]", config.section("defaults"))

    def pick(flag: float | None, name: str, ours: float) -> float:
        return flag if flag is not None else defaults.get(name, ours)

    return Pacing(
        rate=pick(speed.rate, "rate", _RATE),
        jobs=int(pick(speed.jobs, "jobs", _JOBS)),
        timeout_s=pick(speed.timeout, "timeout", _TIMEOUT_S),
        settle_s=pick(speed.settle, "settle", _SETTLE_S),
    )


def who_runs(environ: Mapping[str, str]) -> dict[str, object]:
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
