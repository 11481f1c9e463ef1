"""Whom a message goes to, as far as the manifest and Toloka's answers tell: pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from runner.manifest.history import History
from runner.model import Direct, InThread, InThreads, Message, ReachedBy, Recipients, compared_as

Answered = Mapping[str, Mapping[str, frozenset[str]]]
"""By the thread that was answered to: the threads that hold the answers, and of whom they are."""


@dataclass(frozen=True, slots=True)
class Whom:
    """To whom a message goes (`sure`), and to whom it may: of them only Toloka can tell.

    `named` is everybody who may ever be meant; `why` says what is waited for, and `asks` whether
    it is Toloka's word alone.
    """

    sure: Sequence[Recipients] = ()
    possible: Sequence[Recipients] = ()
    named: Recipients | None = None
    why: str | None = None
    asks: bool = False


class Spot(NamedTuple):
    """Where a message reached a Toloker; a shared thread is that of others too."""

    toloker: str
    revision: int
    thread: str
    is_shared: bool


@dataclass(frozen=True, slots=True)
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
        return Whom((recipients,), named=recipients)

    def _reached(self, message: str) -> Mapping[str, Sequence[Spot]]:
        """Where a message reached each Toloker whom it named, by ids as they are compared."""
        if message not in self._spots:
            self._spots[message] = _spots(self.history, message)
        return self._spots[message]


def _spots(history: History, message: str) -> Mapping[str, Sequence[Spot]]:
    found: dict[str, list[Spot]] = defaultdict(list)
    for identity in sorted(each for each in history.by_identity if each[0] == message):
        for row in map(history.rows.__getitem__, history.by_identity[identity]):
            if isinstance(row.outcome, str):
                for toloker in row.people:
                    spot = Spot(toloker, identity[1], row.outcome, len(row.people) > 1)
                    found[compared_as(toloker)].append(spot)
    return found


def _reached_by(
    wanted: ReachedBy, reached: Mapping[str, Sequence[Spot]], answered: Answered | None
) -> Whom:
    spots = {
        toloker: chosen
        for toloker, spots in reached.items()
        if (chosen := [each for each in spots if wanted.revision in (None, each.revision)])
    }
    everybody = Direct(tuple(chosen[0].toloker for chosen in spots.values()))
    if not spots:
        return Whom(named=everybody, why=f"{wanted.message} has reached nobody yet")
    if wanted.answered is None:
        return Whom((everybody,), named=everybody)
    if answered is None:
        why = f"only Toloka can tell who answered {wanted.message}"
        return Whom(possible=(everybody,), named=everybody, why=why)
    chosen_ids = tuple(
        chosen[0].toloker
        for toloker, chosen in spots.items()
        if _has_answered(toloker, chosen, answered) == wanted.answered
    )
    sure = (Direct(chosen_ids),) if chosen_ids else ()
    nobody = "nobody has answered" if wanted.answered else "everybody has answered"
    return Whom(sure, named=everybody, why=None if sure else f"{nobody} {wanted.message} yet")


def _has_answered(toloker: str, spots: Sequence[Spot], answered: Answered) -> bool:
    return any(toloker in who for spot in spots for who in answered.get(spot.thread, {}).values())


def _in_threads(wanted: InThreads, history: History, answered: Answered | None) -> Whom:
    threads: Sequence[str] = history.threads.get(wanted.message, ())
    why = f"{wanted.message} has no threads yet"
    if wanted.only_answered and answered is None:
        why = f"only Toloka can tell who answered {wanted.message}"
        return Whom(named=wanted, why=why, asks=True)
    if wanted.only_answered:
        threads = [child for thread in threads for child in (answered or {}).get(thread, ())]
        why = f"nobody has answered {wanted.message} yet"
    return Whom([InThread(thread) for thread in threads], named=wanted, why=why)
