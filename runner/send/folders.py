"""Threads into the folders that their messages name: safe to repeat, never a reason to send."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from runner.manifest.history import Attempt, History
from runner.model import Busy, Message, NoRecipients, NotConnected, Outcome, Rejected, Sent, Unknown
from runner.send.tally import Halt
from runner.send.workers import Workers
from runner.toloka.responses import reason_to_stop

Unfiled = tuple[Attempt, tuple[str, ...]]
"""A thread that was sent, and the folders that it is not in yet."""


def find_unfiled(messages: Iterable[Message], history: History) -> list[Unfiled]:
    """Find the threads that were sent and are not yet in the folders that their messages name."""
    wanted = {(each.id, each.revision): each.folders for each in messages if each.folders}
    found = []
    for identity, folders in wanted.items():
        for attempt in history.attempts_of(identity):
            known = history.folders.get(attempt.thread_id or "", ())
            missing = tuple(folder for folder in folders if folder not in known)
            if attempt.was_sent and missing:
                found.append((attempt, missing))
    return found


def file_threads(
    todo: Sequence[Unfiled],
    add: Callable[[str, Sequence[str]], Outcome],
    note: Callable[[Attempt, Sequence[str]], None],
    workers: Workers,
) -> None:
    """Put threads into folders; why one could not be is in the workers' tally."""

    def file(unfiled: Unfiled) -> Sequence[Unfiled]:
        attempt, folders = unfiled
        # To be in a folder twice is to be in it: an unknown outcome may be tried again, too.
        repeats = (Busy, NotConnected, Unknown, NoRecipients)
        outcome = workers.call(lambda: add(attempt.thread_id or "", folders), repeats)
        if isinstance(outcome, Sent):
            note(attempt, folders)
        elif isinstance(outcome, Rejected) and (reason := reason_to_stop(outcome)):
            workers.stop(Halt.SURROUNDINGS, reason)
        else:
            workers.tally.unfiled.append(outcome)
        return ()

    workers.work(todo, file)
