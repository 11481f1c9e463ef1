"""The results branch: one run at a time, and what it writes, pushed as it goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from runner.errors import LaterError, MovedError, RunnerError, SurroundingsError
from runner.files import write_whole
from runner.manifest.chain import Chain, path_of, pieces
from runner.manifest.lease import Lease
from runner.manifest.lines import line_of, new_event
from runner.manifest.shared import Pause, Pushed, SharedRef, waits
from runner.manifest.times import Times, now_s

LEFT = "left"
"""The folder of what could not be pushed."""


@dataclass(slots=True)
class _Pending:
    """What is being pushed; the start of the first push of this very commit."""

    lines: bytes
    upto: int
    files: Mapping[str, bytes]
    commit: str
    begun_s: float | None = None


@dataclass
class BranchLog:
    """The lines of one run, pushed by whoever appends, and by whoever calls `beat` again and again.

    `lost` says why nothing more may be sent.
    """

    shared: SharedRef
    chain: Chain
    folder: str
    times: Times
    lease: Lease
    pause: Pause
    take_news: Callable[[Callable[[], object]], object] = lambda take: take()
    lost: RunnerError | None = None
    is_shared = True
    _waiting: list[bytes] = field(default_factory=list)
    _taken: int = 0
    _safe: int = 0
    _files: int = 0
    _accepted_s: float = float("-inf")
    _next_s: float = 0.0
    _pending: _Pending | None = None
    _is_closing: bool = False
    _gathering: threading.Lock = field(default_factory=threading.Lock)
    _pushing: threading.RLock = field(default_factory=threading.RLock)

    def note(self, lines: bytes) -> None:
        """Take lines, which go along with what is pushed next; a run's first ones at once."""
        if not self._files:
            self.append(lines)
        else:
            self._gather(lines)

    def append(self, lines: bytes) -> None:
        """Push lines, and whatever was noted before; raises where they may not have arrived."""
        mine = self._gather(lines)
        with self._pushing:
            self._push_on(mine, self.times.retry)

    def beat(self) -> None:
        """Push what was noted, or a sign of life, where it is time to."""
        if not self._files or self.lost or not self._pushing.acquire(blocking=False):
            return
        try:
            self.lease.rest()
            if now_s() >= self._next_s:
                self._attempt()
                if now_s() - self._accepted_s > self.times.retry:
                    raise self._unreachable()
        except RunnerError as error:
            self._lose(error)
        finally:
            self._pushing.release()

    def close(self) -> None:
        """Push what is left, or keep it in a file for the next run on this machine."""
        self.lease.end()
        if not self._files:
            return
        # A signal must not end what records what was done.
        self.pause = self.shared.pause = self._pause_at_end
        with self._pushing:
            self._is_closing = True
            lost, self.lost = self.lost, None
            try:
                self._push_on(self._taken, self.times.retry)
                self.lost = lost
            except RunnerError as error:
                self.lost = lost if isinstance(lost, SurroundingsError) else error
                self._leave()
            self.lease.end()

    def _pause_at_end(self, seconds: float) -> None:
        self.lease.rest()
        time.sleep(seconds)

    def _gather(self, lines: bytes) -> int:
        with self._gathering:
            self._waiting.append(lines)
            self._taken += 1
            return self._taken

    def _push_on(self, upto: int, limit_s: float) -> None:
        """Push until so much is on the remote."""
        until_s = now_s() + limit_s
        for wait_s in waits():
            if self._safe >= upto:
                return
            if self.lost is not None:
                raise self.lost
            try:
                self._attempt()
            except RunnerError as error:
                self._lose(error)
                raise
            if self._safe < upto:
                if now_s() > until_s:
                    self._lose(self._unreachable())
                else:
                    self.pause(wait_s)

    def _attempt(self) -> None:
        """Push once; an answer that was lost is waited for by pushing the same commit again."""
        try:
            self._push_once()
        except OSError as error:
            said = f"git cannot be used in {self.shared.folder}: {error}"
            raise SurroundingsError(said) from error

    def _push_once(self) -> None:
        pending = self._pending = self._pending or self._next()
        begun_s = now_s()
        # What arrived, and was not answered, may have arrived the first time.
        pending.begun_s = pending.begun_s or begun_s
        self._next_s = begun_s + self.times.poll
        try:
            pushed = self.shared.push(pending.commit, self.lease.room_s)
            if pushed is Pushed.MOVED:
                self._go_on_from(self.shared.fetch(), pending)
        except LaterError:
            return
        if pushed is Pushed.ACCEPTED:
            self._accept(pending)

    def _next(self) -> _Pending:
        with self._gathering:
            lines, self._waiting = b"".join(self._waiting), []
            upto = self._taken
        lines = lines or line_of(new_event("alive"))
        names = (path_of(self.folder, number) for number in range(self._files + 1, 1_000_000))
        files = dict(zip(names, pieces(lines), strict=False))
        return _Pending(lines, upto, files, self._commit(files))

    def _commit(self, files: Mapping[str, bytes]) -> str:
        message = f"{self.folder.rsplit('/', 1)[-1]} to {self.chain.host} [skip ci]"
        return self.shared.repository.commit(self.chain.commit, files, message)

    def _accept(self, pending: _Pending) -> None:
        begun_s = pending.begun_s or now_s()
        self._accepted_s, self._next_s = begun_s, begun_s + self.times.alive
        self._files += len(pending.files)
        self._safe, self._pending = pending.upto, None
        self.chain.commit = pending.commit
        if self.lost is None and not self._is_closing:
            self.lease.renew(begun_s)

    def _go_on_from(self, tip: str | None, pending: _Pending) -> None:
        """Read the tip that moved, and make the commit anew on it."""
        git, before = self.shared.repository, self.chain.commit
        if tip is None or tip == before:
            return
        if git.is_ancestor(pending.commit, tip):
            self._accept(pending)
        if self._files:
            self.take_news(lambda: self.chain.move(tip))
            self._check_mine()
        elif git.tree_of(tip, self.chain.host) != (before and git.tree_of(before, self.chain.host)):
            raise MovedError(f"another run has written to {self.shared.shown}: run again")
        self.chain.commit = tip
        if self._pending is not None:
            pending.commit, pending.begun_s = self._commit(pending.files), None

    def _check_mine(self) -> None:
        """See whether somebody has ended this run, or all of them: facts are written all the same."""
        state = self.chain.state
        if self._is_closing:
            return
        if state.mine in state.over or state.mine in state.unlocked:
            self._lose(LaterError("another run has taken over, or `unlock` ended this one"))
        elif state.stopped is not None:
            self._lose(LaterError(state.stopped))

    def _lose(self, error: RunnerError) -> None:
        self.lost = self.lost or error
        self.lease.end()

    def _unreachable(self) -> LaterError:
        return LaterError(
            f"nothing could be pushed to {self.shared.shown} for {self.times.retry:.0f} seconds"
        )

    def _leave(self) -> None:
        """Keep in a file what could not be pushed."""
        pending, self._pending = self._pending, None
        with self._gathering:
            lines, self._waiting = [pending.lines if pending else b"", *self._waiting], []
        name = self.folder.rsplit("/", 1)[-1]
        path = self.shared.folder / LEFT / self.chain.host / f"{name}.jsonl"
        write_whole(path, lines, is_private=True)
