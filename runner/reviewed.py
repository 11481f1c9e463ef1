"""The policy `reviewed`: what is sent stands at the tip of a branch of the remote, as just fetched."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from runner.config import Config
from runner.errors import LaterError, MessagesError, Place, Problem, SurroundingsError
from runner.files import read_bounded, surroundings
from runner.git import Repository
from runner.manifest.shared import trouble
from runner.paths import CONFIG_NAME, real
from runner.spec.datafile import MAX_BYTES
from runner.wording import shown

_TIMEOUT_S = 600.0
_RULE = "reviewed"
_PLAIN_FILES = ("100644", "100755")


def check_reviewed(
    branch: str,
    config: Config,
    sources: Iterable[Path],
    *,
    has_variables: bool,
    given: Sequence[Place] = (),
) -> None:
    """Hold the files that messages come from against the branch that the policy names.

    Raises `MessagesError` for those that differ there or are not there, for variables of the
    command line and for what a program gave; `SurroundingsError` and `LaterError` where the branch cannot be had.
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
    remote = str(config.section("results").get("remote", "origin"))
    repository = Repository(config.project, os.environ)
    tip = _fetch(repository, remote, branch)
    stored = {each.path: each.id for each in repository.files(tip) if each.mode in _PLAIN_FILES}
    problems = list(_find_others(repository, sources, stored, f"{branch} of {remote}, {tip[:10]}"))
    if problems:
        raise MessagesError(problems)


def _fetch(repository: Repository, name: str, branch: str) -> str:
    """Fetch the branch; gives the commit at its tip. No ref moves."""
    ref, said = f"refs/heads/{branch}", f"{branch} of {name}"
    repository.check_ref(ref)
    remote = repository.remote(name)
    told = repository.list_remote(remote, ref, _TIMEOUT_S)
    if told.code != 0:
        raise trouble(told, said)
    named = (line.partition("\t") for line in told.text.splitlines())
    tip = next((commit for commit, _, found in named if found == ref), None)
    if tip is None:
        raise SurroundingsError(
            f"{CONFIG_NAME}: `policy: reviewed` names {said}, and there is no such branch"
        )
    fetched = repository.fetch(remote, ref, _TIMEOUT_S)
    if fetched.code != 0:
        raise trouble(fetched, said)
    if repository.tip(tip) is None:
        raise LaterError(f"{said} moved while it was fetched: run again")
    return tip


def _find_others(
    repository: Repository, sources: Iterable[Path], stored: Mapping[str, str], there: str
) -> Iterator[Problem]:
    """Complain of each file that is not, to the letter, what is stored; line ends are git's."""
    top = real(Path(repository.run("rev-parse", "--show-toplevel").text.strip()))
    for path in sources:
        # A link is not what it leads to.
        whole = real(path.absolute().parent) / path.name
        name = whole.relative_to(top).as_posix() if whole.is_relative_to(top) else ""
        with surroundings(path, done="read"):
            content = read_bounded(path, MAX_BYTES)
        known = stored.get(name)
        if known is None:
            hint = "have it merged there first, or move it away"
            yield Problem(Place(shown(path)), f"this file is not on {there}", hint, _RULE)
        elif known not in (_id_of(content, known), _id_of(content.replace(b"\r\n", b"\n"), known)):
            hint = "have the change merged there first, or take what is there with `git pull`"
            yield Problem(Place(shown(path)), f"this file is another one on {there}", hint, _RULE)


def _id_of(content: bytes, like: str) -> str:
    """The id that git gives to a blob, by the algorithm of another id."""
    kind = "sha1" if len(like) == 40 else "sha256"
    whole = hashlib.new(kind, b"blob %d\0" % len(content), usedforsecurity=False)
    whole.update(content)
    return whole.hexdigest()
