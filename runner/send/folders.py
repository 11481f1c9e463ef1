"""Threads into the folders that their messages name: safe to repeat, never a reason to send."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runner.manifest.attempts import Attempt
from runner.model import Busy, NoRecipients, NotConnected, Outcome, Rejected, Sent, Unknown
from runner.plan.needs import Unfiled
from runner.send.tally import Halt
from runner.send.workers import Workers
from runner.toloka.responses import reason_to_stop


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
