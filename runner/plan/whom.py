"""Whom a message goes to, as far as the manifest and Toloka's answers tell: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runner.manifest.attempts import Spot
from runner.manifest.history import History
from runner.model import Direct, InThread, InThreads, Message, ReachedBy, Recipients

Answered = Mapping[str, Mapping[str, frozenset[str]]]
"""By the thread that was answered to: the threads that hold the answers, and of whom they are."""


@dataclass(frozen=True, slots=True)
class Whom:
    """To whom a message goes (`sure`), and to whom it may: of them only Toloka can tell.

    `named` is everybody who may ever be meant; `why` says what is waited for.
    """

    sure: Sequence[Recipients] = ()
    possible: Sequence[Recipients] = ()
    named: Recipients | None = None
    why: str | None = None


def find_whom(message: Message, history: History, answered: Answered | None) -> Whom:
    """Find whom a message goes to; `answered` is None where Toloka has not been asked."""
    recipients = message.recipients
    if isinstance(recipients, ReachedBy):
        return _reached_by(recipients, history, answered)
    if isinstance(recipients, InThreads):
        return _in_threads(recipients, history, answered)
    return Whom((recipients,), named=recipients)


def _reached_by(wanted: ReachedBy, history: History, answered: Answered | None) -> Whom:
    spots = {
        toloker: chosen
        for toloker, spots in history.spots(wanted.message).items()
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
    if wanted.only_answered:
        threads = [child for thread in threads for child in (answered or {}).get(thread, ())]
        why = f"nobody has answered {wanted.message} yet"
        if answered is None:
            why = f"only Toloka can tell who answered {wanted.message}"
    return Whom([InThread(thread) for thread in threads], named=wanted, why=why)
