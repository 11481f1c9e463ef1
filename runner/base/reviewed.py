"""The policy `reviewed`: what is sent stands at the tip of a branch of the remote, as just fetched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from runner.base.commit import fetch_tip
from runner.config import Config
from runner.errors import MessagesError, Place, Problem
from runner.wording import shown

_RULE = "reviewed"


def check_reviewed(
    branch: str,
    config: Config,
    sources: Iterable[Path],
    *,
    has_variables: bool,
    given: Sequence[Place] = (),
) -> None:
    """Hold the files that messages come from against the branch that the policy names.

    Raises `MessagesError` for those that differ there or are not there, for variables of the command
    line and for what a program gave; `SurroundingsError` and `LaterError` where the branch cannot be had.
    """
    if has_variables and config.file is not None:
        what = "`policy: reviewed` takes no --var and no --var-file: nobody has reviewed them"
        hint = "write the values under `variables` in the message or here"
        where = config.file.place(("policy", "reviewed"))
        raise MessagesError([Problem(where, what, hint, _RULE)])
    if given:
        what = "`policy: reviewed` takes nothing that is in no file: nobody has reviewed it"
        hint = "write it into the project (`project.write` does rows), and have it merged"
        raise MessagesError([Problem(where, what, hint, _RULE) for where in given])
    base = fetch_tip(config, branch)
    problems = []
    for path, known in base.changed(sources):
        what = f"this file is not on {base}"
        hint = "commit it, and push it or have it merged; or move it away"
        if known is not None:
            what = f"this file says something else on {base}"
            hint = (
                "commit your change, and push it or have it merged; or take what is there with "
                "`git pull`"
            )
        problems.append(Problem(Place(shown(path)), what, hint, _RULE))
    if problems:
        raise MessagesError(problems)
