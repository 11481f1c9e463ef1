"""Where to read and write, and how fast: what is asked for, the environment and `runner.yaml`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote
from typing import cast
from urllib.parse import urlsplit

from runner.config import (
    Config,
    ResultsBranch,
    Target,
    choose_target,
    load_config,
    manifest_path,
    results_branch,
)
from runner.errors import SurroundingsError
from runner.toloka.address import is_loopback
from runner.wording import shown

_LONGEST_TIMEOUT_S = 60
_OURS = {"rate": 285.0, "jobs": 64, "timeout": 30.0, "settle": 30.0}
_NEAR = {**_OURS, "settle": 1.0}
"""What runs on this machine is quick to show what it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which configuration, target and manifest."""

    config: Path | None = None
    target: str | None = None
    manifest: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast and how patiently to talk to Toloka; None is the configuration's, or ours."""

    rate: float | None = None
    jobs: int | None = None
    timeout: float | None = None
    settle: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where to read and write, once every source of settings has been asked."""

    config: Config
    target: Target
    manifest: Path
    branch: ResultsBranch | None
    """Where the manifest is instead, if machines share it."""
    target_name: str
    """The target as results name it: its URL, or `local`."""
    shown_target: str
    """The target as people read it."""
    shown_manifest: str
    """The manifest as printed: its path, or its branch."""
    tell: Callable[[str], object]
    """Takes what is to be told beside the results, in a line of its own."""

    @property
    def option(self) -> str:
        """Names the target in a command that people are told of; `local` need not be named."""
        return f" --target {quote(self.target.name)}" if self.target.url else ""

    def refuse_silent_ci(self) -> None:
        """Refuse to send from a CI job that names no target: it would believe that it sent."""
        if is_ci_job() and not self.target.is_named:
            raise SurroundingsError(
                "this is a CI job (CI is set), and nothing says where to send: name a --target "
                "(local, for a rehearsal), or set TOLOKA_TARGET, or `target:` in runner.yaml"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing:
    """How fast and how patiently to talk to Toloka, every number known."""

    rate: float
    jobs: int
    timeout_s: float
    settle_s: float


def is_ci_job() -> bool:
    """Whether this is a job of a CI system."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false", "no")


def load_settings(where: Where, folder: Path, tell: Callable[[str], object]) -> Settings:
    """Find out where to send and what to record it in; raises `SurroundingsError`.

    `runner.yaml` and the messages are in the folder, or above.
    """
    config = load_config(where.config, folder)
    target = choose_target(config, where.target, os.environ)
    manifest = manifest_path(config, target, where.manifest)
    branch = results_branch(config, target, where.manifest)
    here = "the local emulator on this machine; nothing leaves this machine"
    return Settings(
        config=config,
        target=target,
        manifest=manifest,
        branch=branch,
        target_name=target.url or target.name,
        shown_target=target.url or here,
        shown_manifest=f"the branch {branch.shown}" if branch else shown(manifest),
        tell=tell,
    )


def load_pacing(speed: Speed, settings: Settings) -> Pacing:
    """Take each number from its flag, else from the configuration, else from us."""
    flags = {name: value for name, value in asdict(speed).items() if value is not None}
    url = settings.target.url
    ours = _NEAR if url is None or is_loopback(urlsplit(url).hostname or "") else _OURS
    defaults = cast("Mapping[str, float]", settings.config.section("defaults"))
    number = {**ours, **defaults, **flags}
    if settings.branch is not None and number["timeout"] > _LONGEST_TIMEOUT_S:
        raise SurroundingsError(
            f"the timeout is {_LONGEST_TIMEOUT_S} seconds at most where machines share a branch"
        )
    return Pacing(
        rate=number["rate"],
        jobs=int(number["jobs"]),
        timeout_s=number["timeout"],
        settle_s=number["settle"],
    )
