"""What a shell may complete: targets and message ids, as the project here has them. It never fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from runner.errors import RunnerError

if TYPE_CHECKING:
    from runner.config import Config

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _completing(names: Callable[[Config], Iterable[str]], *, or_files: bool = False) -> Complete:
    """Complete names of the project in the current folder; where there are none, files too."""

    def complete(
        context: click.Context, _parameter: click.Parameter, begun: str
    ) -> list[CompletionItem]:
        # Imported here, because every command loads this and a shell alone needs it.
        from runner.config import load_config

        try:
            known = sorted(names(load_config(context.params.get("config"), Path.cwd())))
        except RunnerError:
            known = []
        found = [CompletionItem(name) for name in known if name.startswith(begun)]
        return found or [CompletionItem(begun, type="file")] * or_files

    return complete


def _targets(config: Config) -> Iterable[str]:
    from runner.config import BUILT_IN_URLS, LOCAL

    return {LOCAL, *BUILT_IN_URLS, *config.section("targets")} - {"sandbox"}


def _messages(config: Config) -> Iterable[str]:
    from runner.spec.specs import find_ids

    root = config.messages_root
    return find_ids(root) if root is not None and root.is_dir() else ()


complete_target = _completing(_targets)
complete_message = _completing(_messages)
complete_message_or_path = _completing(_messages, or_files=True)
