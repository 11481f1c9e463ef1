"""The manifest of a target, in a file or on the results branch: read, or opened for writing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.api.settings import Settings
from runner.config import host_of
from runner.errors import SurroundingsError
from runner.manifest.file import open_file, read_history
from runner.manifest.lease import Lease
from runner.manifest.manifest import Manifest
from runner.manifest.times import TIMES, now_s
from runner.manifest.told import Truth
from runner.toloka.pace import Stopped
from runner.wording import printable

if TYPE_CHECKING:
    from runner.manifest.turn import Shared

LOCK_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How a run waits for its turn: until when, and what ends the wait."""

    stop: threading.Event = field(default_factory=threading.Event)
    until_s: float | None = None
    """By `now_s`; None is as long as `--lock-timeout` without being told."""
    at_once: bool = False
    """Whether the turn is taken before anything is written."""

    def pause(self, seconds: float) -> None:
        """Wait; raises `Stopped`."""
        if self.stop.wait(seconds):
            raise Stopped


def read_truth(settings: Settings, target: str | None, *, may_lack: bool = False) -> Truth:
    """Read what was sent, and say where that stands, and who stopped all sending.

    Raises `SurroundingsError`, also where nothing can be known, unless the reader `may_lack` it.
    """
    if settings.branch is None:
        truth = Truth(read_history(settings.manifest, target), settings.shown_manifest)
    else:
        from runner.manifest.turn import read_branch

        truth = read_branch(open_shared(settings))
        if not truth.is_known and not may_lack:
            raise SurroundingsError(truth.told)
        if not truth.is_known:
            settings.tell(f"warning: {printable(truth.told)}")
    if truth.history.stopped is not None:
        settings.tell(f"warning: {truth.history.stopped}")
    return truth


@contextmanager
def open_manifest(
    settings: Settings,
    target: str | None,
    run: Mapping[str, object],
    patience: Patience,
    lease: Lease | None = None,
) -> Iterator[tuple[Manifest, Callable[[], object]]]:
    """Open it for writing, and give what has to be called again and again meanwhile.

    Raises `SurroundingsError`, and what waiting for the turn on a branch raises.
    """
    acts_under = settings.target.account_id
    if settings.branch is None:
        with open_file(settings.manifest, target, run, acts_under) as manifest:
            yield manifest, lambda: None
        return
    from runner.manifest.turn import open_branch

    shared = open_shared(settings, patience)
    lease = lease or Lease(TIMES, patience.stop, kills=False)
    opened = open_branch(shared, run, lease, acts_under, at_once=patience.at_once)
    with opened as (manifest, log):
        yield manifest, log.beat


def open_shared(settings: Settings, patience: Patience | None = None) -> Shared:
    """Find the branch, its repository and its remote."""
    # Imported here because a manifest in a file needs no git.
    from runner.manifest.shared import SharedRef
    from runner.manifest.turn import Shared

    branch, target = settings.branch, settings.target.url
    if branch is None or target is None:
        raise SurroundingsError("there is no results branch: `results:` in runner.yaml names one")
    patience = patience or Patience()
    until_s = now_s() + LOCK_TIMEOUT_S if patience.until_s is None else patience.until_s
    return Shared(
        ref=SharedRef(
            settings.config.project,
            branch.ref,
            branch.remote,
            pause=patience.pause,
            option=settings.option,
        ),
        host=host_of(settings.target),
        target=target,
        pause=patience.pause,
        tell=lambda said: settings.tell(printable(said)),
        deadline_s=until_s,
    )
