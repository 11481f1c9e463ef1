"""The policy, the suppression lists and the levels of house rules, out of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from runner import paths
from runner.config import Config
from runner.errors import MessagesError, Pointer, Problem, SurroundingsError
from runner.plan.plan import PerToloker, Policy
from runner.render.lint import Level, level_of
from runner.spec.datafile import DEFAULT_COLUMN
from runner.spec.idlist import load_ids


def levels_in(config: Config) -> Mapping[str, Level]:
    """How strict the configuration wants each house rule."""
    return cast("Mapping[str, Level]", config.section("lint"))


def load_policy(config: Config, warn: Callable[[Problem], object]) -> Policy:
    """Load the policy and the suppression list; raises `SurroundingsError`."""
    policy = cast("dict[str, Any]", {**config.section("policy")})
    if "max_per_toloker" in policy:
        policy["max_per_toloker"] = PerToloker(**policy["max_per_toloker"])
    is_one = isinstance(config.data.get("suppress"), str)
    suppressed: list[str] = []
    for index, name in enumerate(suppress_lists(config)):
        pointer: Pointer = ("suppress",) if is_one else ("suppress", index)
        suppressed += _load_suppressed(config, name, pointer, warn)
    return Policy(**policy, suppressed=frozenset(map(str.casefold, suppressed)))


def suppress_lists(config: Config) -> list[str]:
    """The files of Tolokers who must not be written to, as the configuration names them."""
    given = config.data.get("suppress", [])
    return [given] if isinstance(given, str) else cast("list[str]", given)


def _load_suppressed(
    config: Config, name: str, pointer: Pointer, warn: Callable[[Problem], object]
) -> tuple[str, ...]:
    column = str(config.data.get("suppress_column", DEFAULT_COLUMN))
    try:
        path = paths.find_data_file(name, config.project / paths.CONFIG_NAME, config.project)
        return load_ids(path, column, odd=level_of("odd-id", levels_in(config)), warn=warn)[0]
    except MessagesError as error:
        raise SurroundingsError(str(error)) from error
    except ValueError as error:
        raise config.wrong(pointer, f"`suppress`: {error}") from error
