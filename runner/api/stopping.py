"""The word that nothing is sent to a target any more, and that it may go on."""

from __future__ import annotations

import getpass

from runner.api.manifests import open_shared
from runner.api.origin import new_run
from runner.api.settings import Settings
from runner.manifest.file import add_word, open_file
from runner.manifest.lines import new_event
from runner.manifest.lock import InUseError


def stop_sending(settings: Settings, reason: str | None) -> None:
    """Stop all sending to a target, for this reason; None lifts that. Repeating is safe."""
    run = new_run(command="stop")
    run.setdefault("actor", _user())
    told = {"reason": reason} if reason else {}
    event = new_event("stop" if reason else "lift", **told, actor=run["actor"])
    if settings.branch is None:
        target = settings.target
        try:
            with open_file(settings.manifest, target.url, run, target.account_id) as manifest:
                manifest.say(event)
        except InUseError:
            if not add_word(settings.manifest, target.url, event):
                raise
        return
    # Imported here because a manifest in a file needs no git.
    from runner.manifest import turn

    turn.add_word(open_shared(settings), run, event)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "somebody"
