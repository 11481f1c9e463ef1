"""The word that nothing is sent to a target any more, and that it may go on."""

from __future__ import annotations

import getpass

from runner.api.manifests import open_shared
from runner.api.origin import new_run
from runner.api.settings import Settings
from runner.manifest.file import open_file
from runner.manifest.lines import new_event


def stop_sending(settings: Settings, reason: str | None) -> None:
    """Stop all sending to a target, for this reason; None lifts that. Repeating is safe."""
    run = new_run(command="stop")
    run.setdefault("actor", _user())
    told = {"reason": reason} if reason else {}
    event = new_event("stop" if reason else "lift", **told, actor=run["actor"])
    if settings.branch is None:
        target = settings.target
        with open_file(settings.manifest, target.url, run, target.account_id) as manifest:
            manifest.say(event)
        return
    # Imported here because a manifest in a file needs no git.
    from runner.manifest.turn import add_word

    add_word(open_shared(settings), run, event)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "somebody"
