"""The ref that machines share: fetched, pushed, and what git and its host say in our words."""

from __future__ import annotations

import math
import os
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path

from runner.errors import LaterError, RunnerError, SurroundingsError
from runner.git import Answer, Repository
from runner.manifest.times import TIMES, Times
from runner.wording import printable

HEADS = "refs/heads/"
OURS = "refs/message-runner/"
_MOVED = re.compile(
    r"fetch first|non-fast-forward|stale info|cannot lock ref|failed to update ref|"
    r"incorrect old value|reference already exists|remote ref updated since checkout"
)
_CREDENTIALS = re.compile(
    r"could not read (?:Username|Password)|terminal prompts disabled|Authentication failed|"
    r"Permission (?:to \S+ )?denied|returned error: 40[134]|"
    r"[Rr]epository (?:'.*' )?not found|could not be found or you don't have permission|"
    r"not allowed to (?:push|upload)|Host key verification failed|Access denied"
)
_CURES: Mapping[str, str] = {
    r"GH006|GH013|protected branch|hook declined": (
        "a rule of the host protects it: allow ordinary pushes to it, and forbid only force "
        "pushes and deletion"
    ),
    r"hash algorithm|object.format|mismatched algorithms": (
        "this clone and the remote count their objects otherwise (sha1, sha256): clone it anew"
    ),
    r"unpack|No space|quota|unable to write|insufficient permission|read-only": (
        "the remote cannot write it down: make room there, or give its user the right to"
    ),
}
# A host says so of objects that another of its machines does not have yet.
_PASSES = re.compile(r"missing necessary objects")
_BEHIND = "it shows an older tip than it did before (a copy that lags)"
_MAY_PUSH = (
    "on GitHub give the job `permissions: contents: write`, on GitLab let job tokens push, or set "
    "RESULTS_TOKEN; on a laptop, `git push` must work"
)
_FIRST_FETCH_S = 600.0

Pause = Callable[[float], object]
"""Waits so many seconds, or raises."""


class Pushed(Enum):
    """What became of a push that no rule refused."""

    ACCEPTED = "accepted"
    MOVED = "the tip had moved"
    LOST = "no answer"


class SharedRef:
    """A ref of a remote, and what this clone has seen of it.

    Raises `LaterError` where the remote cannot be reached, `SurroundingsError` for what does not
    get better by waiting. `option` names the target in a command that it tells of.
    """

    def __init__(
        self,
        folder: Path,
        ref: str,
        remote: str,
        times: Times = TIMES,
        pause: Pause = time.sleep,
        *,
        option: str = "",
    ) -> None:
        self.ref = ref
        self.option = option
        self.repository = Repository(folder, os.environ)
        self.repository.check_ref(ref)
        self.remote = self.repository.remote(remote)
        self.name = ref.removeprefix(HEADS)
        self.private = OURS + self.name
        self.pause = pause
        self.folder = self.repository.common / "message-runner"
        """Where this clone keeps what is about the ref."""
        self._times = times

    @property
    def shown(self) -> str:
        return f"{self.name} of {self.remote.name}"

    @property
    def seen(self) -> str | None:
        """The commit that was fetched or pushed last."""
        return self.repository.tip(self.private)

    @property
    def seen_at_s(self) -> float | None:
        """When that was, by this machine's clock; None where it is not known."""
        try:
            return self._stamp.stat().st_mtime
        except OSError:
            return None

    def fetch(self) -> str | None:
        """Fetch the tip, and give its commit; None where there is no such branch yet."""
        until_s = time.monotonic() + self._times.behind
        for wait_s in waits():
            told = self._ask()
            seen = self.seen
            if told == seen:
                break
            if told is None:
                raise self._rewritten("it is gone from the remote")
            if seen is not None and self.repository.is_ancestor(told, seen):
                why = _BEHIND
            else:
                why = self._fetch(told, seen)
            if not why:
                break
            if time.monotonic() > until_s:
                kind = SurroundingsError if why == _BEHIND else LaterError
                raise kind(f"the remote {self.remote.name} cannot be used: {why}")
            self.pause(min(wait_s, self._times.poll))
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._stamp.touch()
        return self.seen

    def push(self, commit: str, limit_s: float = math.inf) -> Pushed:
        """Push a commit onto the tip that it was made on; raises where a rule refuses it."""
        before, limit_s = self.seen, min(limit_s, self._times.lease)
        answer = self.repository.push(self.remote, commit, self.ref, limit_s)
        if answer.code == 0:
            self.repository.run("update-ref", self.private, commit, *filter(None, [before]))
            return Pushed.ACCEPTED
        refused = [line for line in answer.text.splitlines() if line.startswith("!")]
        if any(map(_MOVED.search, (*refused, answer.err))):
            return Pushed.MOVED
        if refused and not _PASSES.search(refused[0]):
            told = "; ".join(line.strip() for line in answer.err.splitlines() if "remote:" in line)
            said = f"{told} {refused[0].split(chr(9))[-1]}"
            raise SurroundingsError(
                f"the remote does not take what is written to {self.shown}: "
                f"{printable(said)[:600].strip()}; {_cure(said) or _MAY_PUSH}"
            )
        if not isinstance(trouble(answer, self.shown), LaterError):
            raise trouble(answer, self.shown)
        return Pushed.LOST

    def accept(self) -> None:
        """Take the tip as it is now for the truth, whatever was seen before."""
        told = self._ask()
        if told is None:
            self.repository.run("update-ref", "-d", self.private)
            return
        refspec = f"+{self.ref}:{self.private}"
        answer = self.repository.fetch(self.remote, refspec, _FIRST_FETCH_S)
        if answer.code != 0:
            raise trouble(answer, self.shown)
        self.repository.fetch_missing(self.remote, self.private, _FIRST_FETCH_S)

    @property
    def _stamp(self) -> Path:
        return self.folder / f"{self.name.replace('/', '-')}.fetched"

    def _ask(self) -> str | None:
        """Ask for the commit at the tip; refuses the default branch."""
        ref = self.ref
        answer = self.repository.list_remote(self.remote, ref, self._times.lease)
        if answer.code != 0:
            raise trouble(answer, self.shown)
        found: dict[str, str] = {}
        for line in answer.text.splitlines():
            value, _, name = line.partition("\t")
            if value == f"ref: {ref}":
                raise SurroundingsError(
                    f"{self.name} is the default branch of {self.remote.name}: results need "
                    "a branch of their own, as in `results: {branch: message-results}`"
                )
            found[name] = value
        return found.get(ref)

    def _fetch(self, told: str, seen: str | None) -> str:
        """Fetch; gives why it has to be done again, which is nothing where it worked."""
        git = self.repository
        # In a shallow clone a second `--depth` would make every tip look rewritten.
        depth = 1 if seen is None and git.is_shallow else None
        limit_s = _FIRST_FETCH_S if seen is None else self._times.lease
        refspec = f"{self.ref}:{self.private}"
        answer = git.fetch(self.remote, refspec, limit_s, depth=depth)
        if answer.code == 0:
            git.fetch_missing(self.remote, self.private, limit_s)
            return ""
        if seen is not None and git.tip(told) and not git.is_ancestor(seen, told):
            raise self._rewritten("its tip does not come from the one that was seen last")
        if _MOVED.search(answer.err) or "unable to update local ref" in answer.err:
            return "another command in this clone fetches, too"
        raise trouble(answer, self.shown)

    def _rewritten(self, why: str) -> SurroundingsError:
        return SurroundingsError(
            f"{self.shown} was rewritten: {why}. What was sent may be missing in it: bring it back, "
            f"or say `message-runner unlock --rewritten{self.option}` if that was meant"
        )


def waits(first_s: float = 0.2, most_s: float = 5.0) -> Iterator[float]:
    """Growing pauses in seconds, random, so that many who wait do not come back in step."""
    pause_s = first_s
    while True:
        yield pause_s * random.uniform(0.5, 1.5)  # noqa: S311  (no secret)
        pause_s = min(pause_s * 1.6, most_s)


def trouble(answer: Answer, shown: str) -> RunnerError:
    """Say why a remote cannot be had, and whether that may get better by waiting."""
    said = f"{shown} cannot be reached: {answer.said}"
    if _CREDENTIALS.search(answer.err):
        return SurroundingsError(f"{said}; {_MAY_PUSH}")
    cure = _cure(answer.err)
    return SurroundingsError(f"{said}; {cure}") if cure else LaterError(said)


def _cure(said: str) -> str:
    return next((cure for sign, cure in _CURES.items() if re.search(sign, said)), "")
