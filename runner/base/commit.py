"""A commit that files are held against: the tip of a branch of the remote, or where this one left it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from runner.config import Config
from runner.errors import LaterError, SurroundingsError
from runner.files import read_bounded, surroundings
from runner.git import Remote, Repository
from runner.manifest.shared import trouble
from runner.paths import real
from runner.spec.datafile import MAX_BYTES

_ASK_S = 60.0
_FETCH_S = 600.0
_PLAIN_FILES = ("100644", "100755")
# What the job of a pull request says of the branch that it is to be merged into: GitHub, GitLab.
_TARGETS = ("GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME")


@dataclass(frozen=True, slots=True)
class Base:
    """A commit with the ids of its plain files, by their paths in the repository."""

    repository: Repository
    commit: str
    branch: str
    top: Path
    stored: Mapping[str, str] = field(repr=False)

    def __str__(self) -> str:
        return f"{self.branch}, {self.commit[:10]}"

    def changed(self, paths: Iterable[Path]) -> Iterator[tuple[Path, str | None]]:
        """Give each path whose file is not, to the letter, what is stored, and the id of what is.

        Line ends are git's; None is stored nowhere.
        """
        for path in paths:
            with surroundings(path, done="read"):
                content = read_bounded(path, MAX_BYTES)
            known = self.find(path)
            texts = (content, content.replace(b"\r\n", b"\n"))
            if known is None or known not in [_id_of(text, known) for text in texts]:
                yield path, known

    def find(self, path: Path) -> str | None:
        """The id of what is stored at a path of this machine."""
        # A link is not what it leads to.
        whole = real(path.absolute().parent) / path.name
        name = whole.relative_to(self.top).as_posix() if whole.is_relative_to(self.top) else ""
        return self.stored.get(name)

    def read(self, paths: Iterable[Path]) -> dict[Path, bytes]:
        """Read what is stored at these paths, as far as anything is."""
        ids = {path: found for path in paths if (found := self.find(path))}
        contents = self.repository.blobs(ids.values(), MAX_BYTES)
        return dict(zip(ids, contents, strict=True))


def fetch_tip(config: Config, branch: str) -> Base:
    """Fetch a branch of the remote, no ref moves; raises `SurroundingsError` and `LaterError`."""
    repository = Repository(config.project, os.environ)
    remote = repository.remote(_remote_name(config))
    return _base(repository, _fetched(repository, remote, branch), f"{branch} of {remote.name}")


def find_base(config: Config, environ: Mapping[str, str]) -> Base | None:
    """Find where this checkout left the branch that it is to be merged into.

    None where there is no repository, or no such branch in it. Only the job of a pull request
    fetches; raises as above.
    """
    folder = config.project.absolute()
    if not any((each / ".git").exists() for each in (folder, *folder.parents)):
        return None
    repository = Repository(folder, environ)
    try:
        remote = repository.remote(_remote_name(config))
    except SurroundingsError:
        return None
    asked = next(filter(None, map(environ.get, _TARGETS)), None)
    head = repository.run("symbolic-ref", "--quiet", "--short", f"refs/remotes/{remote.name}/HEAD")
    usual = head.text.strip().removeprefix(f"{remote.name}/")
    # Whoever edits the policy in a pull request must not choose what it is held against.
    branch = asked or usual or config.section("policy").get("reviewed")
    if not branch:
        return None
    tip = repository.tip(f"refs/remotes/{remote.name}/{branch}")
    if tip is None and asked is None:
        return None
    tip = tip or _fetched(repository, remote, str(branch))
    # A shallow clone may not know where they parted; GitLab says it.
    told = environ.get("CI_MERGE_REQUEST_DIFF_BASE_SHA")
    left = (told and repository.tip(told)) or repository.run("merge-base", "HEAD", tip).text.strip()
    return _base(repository, left or tip, f"{branch} of {remote.name}")


def _remote_name(config: Config) -> str:
    return str(config.section("results").get("remote", "origin"))


def _base(repository: Repository, commit: str, branch: str) -> Base:
    stored = {each.path: each.id for each in repository.files(commit) if each.mode in _PLAIN_FILES}
    top = real(Path(repository.run("rev-parse", "--show-toplevel").text.strip()))
    return Base(repository, commit, branch, top, stored)


def _fetched(repository: Repository, remote: Remote, branch: str) -> str:
    """Fetch a branch; gives the commit at its tip."""
    ref, said = f"refs/heads/{branch}", f"{branch} of {remote.name}"
    repository.check_ref(ref)
    told = repository.list_remote(remote, ref, _ASK_S)
    if told.code != 0:
        raise trouble(told, said)
    named = (line.partition("\t") for line in told.text.splitlines())
    tip = next((commit for commit, _, found in named if found == ref), None)
    if tip is None:
        raise SurroundingsError(
            f"there is no branch {branch} on {remote.name} yet, and files are held against it: commit "
            f"them, and `git push -u {remote.name} {quote(branch)}`"
        )
    depth = 1 if repository.is_shallow else None
    fetched = repository.fetch(remote, ref, _FETCH_S, depth=depth)
    if fetched.code != 0:
        raise trouble(fetched, said)
    if repository.tip(tip) is None:
        raise LaterError(f"{said} moved while it was fetched: run again")
    return tip


def _id_of(content: bytes, like: str) -> str:
    """The id that git gives to a blob, by the algorithm of another id."""
    kind = "sha1" if len(like) == 40 else "sha256"
    whole = hashlib.new(kind, b"blob %d\0" % len(content), usedforsecurity=False)
    whole.update(content)
    return whole.hexdigest()
