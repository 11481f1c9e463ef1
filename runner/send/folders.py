"""Threads into the folders that their messages name: safe to repeat, never a reason to send."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from runner.errors import SurroundingsError
from runner.manifest.history import Attempt, History
from runner.model import Busy, Message, Outcome, Rejected, Sent
from runner.send.sender import OUTAGE_FAILURES
from runner.toloka.pace import Pace, Stopped, wait_for

_ATTEMPTS = 3
_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Unfiled:
    """A thread that could not be put into its folders, and why."""

    attempt: Attempt
    answer: Outcome


def find_unfiled(
    messages: Iterable[Message], history: History
) -> list[tuple[Attempt, tuple[str, ...]]]:
    """Find the threads that were sent and are not yet in the folders that their messages name."""
    wanted = {(each.id, each.revision): each.folders for each in messages if each.folders}
    found = []
    for attempt in history.attempts:
        folders = wanted.get((attempt.message, attempt.revision), ())
        known = history.folders.get(attempt.thread_id or "", frozenset())
        missing = tuple(folder for folder in folders if folder not in known)
        if attempt.was_sent and missing:
            found.append((attempt, missing))
    return found


class Filer:
    """Puts threads into folders from worker threads; `left` is what did not work."""

    def __init__(
        self,
        add: Callable[[str, Sequence[str]], Outcome],
        note: Callable[[Attempt, Sequence[str]], None],
        pace: Pace,
    ) -> None:
        self.left: list[Unfiled] = []
        self._add = add
        self._note = note
        self._pace = pace
        self._queue: deque[tuple[Attempt, tuple[str, ...]]] = deque()
        self._failure: SurroundingsError | None = None
        self._failures = 0

    def file(self, todo: Iterable[tuple[Attempt, tuple[str, ...]]], jobs: int) -> None:
        """Make each call until it is answered, a few times at most.

        Raises `SurroundingsError` if the manifest cannot take what was done.
        """
        self._queue.extend(todo)
        workers = [
            threading.Thread(target=self._work, daemon=True)
            for _ in range(min(jobs, len(self._queue)))
        ]
        for worker in workers:
            worker.start()
        wait_for(workers, self._pace.stop)
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        while self._failure is None:
            try:
                attempt, folders = self._queue.popleft()
            except IndexError:
                return
            try:
                self._file_one(attempt, folders)
            except Stopped:
                return
            except SurroundingsError as error:
                self._failure = error

    def _file_one(self, attempt: Attempt, folders: Sequence[str]) -> None:
        answer = _try(attempt, folders, self._add, self._pace)
        if isinstance(answer, Sent):
            self._failures = 0
            self._note(attempt, folders)
            return
        if isinstance(answer, Rejected) and answer.is_about_credentials:
            raise SurroundingsError(f"Toloka refused the token: {answer.detail}")
        self.left.append(Unfiled(attempt, answer))
        self._failures = 0 if isinstance(answer, Rejected) else self._failures + 1
        if _is_quota(answer) or self._failures >= OUTAGE_FAILURES:
            self._leave_the_rest(answer)

    def _leave_the_rest(self, answer: Outcome) -> None:
        """Try nothing more: every other call would be answered alike."""
        with suppress(IndexError):
            while True:
                self.left.append(Unfiled(self._queue.popleft()[0], answer))


def _try(
    attempt: Attempt,
    folders: Sequence[str],
    add: Callable[[str, Sequence[str]], Outcome],
    pace: Pace,
) -> Outcome:
    answer: Outcome = add(attempt.thread_id or "", folders)
    for _ in range(_ATTEMPTS - 1):
        if isinstance(answer, (Sent, Rejected)) or _is_quota(answer):
            break
        wait_s = answer.retry_after_s if isinstance(answer, Busy) else None
        pace.pause(_PAUSE_S if wait_s is None else min(wait_s, 60.0))
        answer = add(attempt.thread_id or "", folders)
    return answer


def _is_quota(answer: Outcome) -> bool:
    """Whether Toloka takes nothing more for so long that the rest is for the next run."""
    return isinstance(answer, Busy) and answer.interval in ("HOUR", "DAY")
