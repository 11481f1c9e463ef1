"""Whom a message goes to, as far as the manifest and Toloka's answers tell: pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import NoneType
from typing import NamedTuple

from runner.manifest.history import History
from runner.model import (
    Direct,
    InOwnThread,
    InThread,
    InThreads,
    Message,
    ReachedBy,
    Recipients,
    compared_as,
)
from runner.wording import plural

_SOMEBODY = ""
"""Of a message that went out by a filter nobody knows whom it reached."""
Answered = Mapping[str, Mapping[str, frozenset[str]]]
"""By the thread that was answered to: the threads that hold the answers, and of whom they are."""


@dataclass(frozen=True, slots=True)
class Whom:
    """To whom a message goes (`sure`), and to whom it may: of them only Toloka can tell.

    `named` is everybody who may ever be meant; `why` says what is waited for, and `fault` that
    nothing is.
    """

    sure: Sequence[Recipients] = ()
    possible: Sequence[Recipients] = ()
    named: Sequence[Recipients] = ()
    why: str | None = None
    fault: str | None = None


class Spot(NamedTuple):
    """Where a message reached a Toloker; a shared thread is that of others too.

    No thread: it is not known whether it did.
    """

    toloker: str
    revision: int
    thread: str
    is_shared: bool


@dataclass(frozen=True)
class Audiences:
    """Finds whom messages go to; `answered` is None where Toloka has not been asked."""

    history: History
    answered: Answered | None
    _spots: dict[str, Mapping[str, Sequence[Spot]]] = field(default_factory=dict, init=False)

    def find(self, message: Message) -> Whom:
        """Find whom a message goes to."""
        recipients = message.recipients
        if isinstance(recipients, ReachedBy):
            return _reached_by(recipients, self._reached(recipients.message), self.answered)
        if isinstance(recipients, InThreads):
            return _in_threads(recipients, self.history, self.answered)
        if isinstance(recipients, InOwnThread):
            return self._in_own_thread(recipients)
        return Whom((recipients,), named=(recipients,))

    def readers(self, recipients: Recipients) -> Sequence[str]:
        """The Tolokers whom a delivery reaches, as far as is known; none where nothing is."""
        if isinstance(recipients, Direct):
            return recipients.ids
        if isinstance(recipients, InOwnThread):
            return (recipients.toloker,)
        if not isinstance(recipients, InThread):
            return ()
        thread = recipients.thread_id
        return self.history.readers.get(thread) or self._children.get(thread, ())

    @cached_property
    def _children(self) -> Mapping[str, Sequence[str]]:
        """Of whom the threads are that hold answers."""
        return {
            child: tuple(who)
            for answers in (self.answered or {}).values()
            for child, who in answers.items()
        }

    def _in_own_thread(self, wanted: InOwnThread) -> Whom:
        reached, toloker = self._reached(wanted.message), compared_as(wanted.toloker)
        if not reached:
            return Whom(why=f"{wanted.message} has no threads yet")
        spots = (*reached.get(toloker, ()), *reached.get(_SOMEBODY, ()))
        shared = [each.thread for each in spots if each.is_shared]
        if shared and self.answered is None:
            return Whom(possible=(wanted,), why=_asking(wanted.message))
        own = _children(toloker, shared, self.answered or {})
        own += [each.thread for each in spots if each.thread and not each.is_shared]
        threads = tuple(map(InThread, own))
        if len(own) == 1:
            return Whom(threads, named=threads)
        if not own and any(not each.thread for each in spots):
            return Whom(why=f"it is not known whether {wanted.message} reached {wanted.toloker}")
        what = plural(len(own), "thread") if own else "no thread of their own"
        return Whom(named=threads, fault=f"{wanted.toloker} has {what} of {wanted.message}")

    def _reached(self, message: str) -> Mapping[str, Sequence[Spot]]:
        """Where a message reached each Toloker whom it named, by ids as they are compared."""
        if message not in self._spots:
            self._spots[message] = _spots(self.history, message)
        return self._spots[message]


def _spots(history: History, message: str) -> Mapping[str, Sequence[Spot]]:
    found: dict[str, list[Spot]] = defaultdict(list)
    for identity in sorted(each for each in history.by_identity if each[0] == message):
        for row in map(history.rows.__getitem__, history.by_identity[identity]):
            if row.kind.action == "compose" and isinstance(row.outcome, (str, NoneType)):
                is_shared = row.outcome is not None and len(row.people) != 1
                for toloker in row.people or (_SOMEBODY,):
                    spot = Spot(toloker, identity[1], row.outcome or "", is_shared)
                    found[compared_as(toloker)].append(spot)
    return found


def _children(toloker: str, shared: Sequence[str], answered: Answered) -> list[str]:
    """The threads that came out of shared ones because this Toloker answered."""
    return [
        child
        for thread in shared
        for child, who in answered.get(thread, {}).items()
        if child != thread and toloker in who
    ]


def _asking(message: str) -> str:
    return f"only Toloka can tell who answered {message}"


def _reached_by(
    wanted: ReachedBy, reached: Mapping[str, Sequence[Spot]], answered: Answered | None
) -> Whom:
    spots = {
        toloker: chosen
        for toloker, spots in reached.items()
        if (chosen := [each for each in spots if _is_reached(each, wanted.revision)])
    }
    everybody = Direct(tuple(chosen[0].toloker for chosen in spots.values()))
    if not spots:
        return Whom(why=f"{wanted.message} has reached nobody yet")
    if wanted.answered is None:
        return Whom((everybody,), named=(everybody,))
    if answered is None:
        return Whom(possible=(everybody,), named=(everybody,), why=_asking(wanted.message))
    chosen_ids = tuple(
        chosen[0].toloker
        for toloker, chosen in spots.items()
        if _has_answered(toloker, chosen, answered) == wanted.answered
    )
    sure = (Direct(chosen_ids),) if chosen_ids else ()
    nobody = "nobody has answered" if wanted.answered else "everybody has answered"
    return Whom(sure, named=(everybody,), why=f"{nobody} {wanted.message} yet")


def _is_reached(spot: Spot, revision: int | None) -> bool:
    return bool(spot.toloker and spot.thread) and revision in (None, spot.revision)


def _has_answered(toloker: str, spots: Sequence[Spot], answered: Answered) -> bool:
    return any(toloker in who for spot in spots for who in answered.get(spot.thread, {}).values())


def _in_threads(wanted: InThreads, history: History, answered: Answered | None) -> Whom:
    threads: Sequence[str] = history.threads.get(wanted.message, ())
    why = f"{wanted.message} has no threads yet"
    if threads and wanted.only_answered and answered is None:
        asked = [InThread(thread) for thread in threads]
        return Whom(possible=asked, named=(wanted,), why=_asking(wanted.message))
    if wanted.only_answered and answered is not None:
        threads = [child for thread in threads for child in answered.get(thread, ())]
        why = f"nobody has answered {wanted.message} yet"
    return Whom([InThread(thread) for thread in threads], named=(wanted,), why=why)
