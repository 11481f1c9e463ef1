"""How many Tolokers a message may reach: what is held back of it, and until when. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from runner.manifest.attempts import Attempt
from runner.manifest.history import History
from runner.model import Delivery, Direct, NoRecipients, compared_as

Reached = Mapping[str | None, Attempt]
"""What the manifest knows of one message and revision: the attempt that counts, by key."""


@dataclass(frozen=True)
class Sizes:
    """How many Tolokers read the threads that a manifest knows."""

    history: History

    @cached_property
    def _of_threads(self) -> Mapping[str, int]:
        rows = self.history.rows.values()
        return {row.outcome: len(row.people) for row in rows if isinstance(row.outcome, str)}

    def of(self, thread: str) -> int:
        """How many read a thread, as far as is known; one where nothing is known of it."""
        return self._of_threads.get(thread, 0) or 1


def cut(
    due: Iterable[Delivery], at_most: int, reached: Reached, sizes: Sizes
) -> tuple[list[Delivery], list[Delivery]]:
    """Keep the first of what is due until a message reaches so many Tolokers, and give the rest.

    Whom it has reached counts, and whom it may have.
    """
    counted = {
        key.partition(" ")[0]: sizes.of(key) if attempt.action == "reply" else 1
        for key, attempt in reached.items()
        if key and not isinstance(attempt.outcome, NoRecipients)
    }
    kept: list[Delivery] = []
    rest: list[Delivery] = []
    room = at_most - sum(counted.values())
    for delivery in due:
        if not delivery.people:
            room -= sizes.of(str(delivery.keys[0]))
            (kept if room >= 0 else rest).append(delivery)
            continue
        people = list(dict.fromkeys(map(compared_as, delivery.people)))
        new = [each for each in people if each not in counted]
        counted.update(dict.fromkeys(new[: max(room, 0)], 1))
        room -= len(new)
        fits, over = parted(delivery, [compared_as(each) in counted for each in delivery.people])
        kept += fits
        rest += over
    return kept, rest


def parted(delivery: Delivery, fits: Sequence[bool]) -> tuple[list[Delivery], list[Delivery]]:
    """Part a delivery to Tolokers by who fits."""
    if all(fits):
        return [delivery], []
    pairs = list(zip(delivery.people, fits, strict=True))
    parts = [tuple(toloker for toloker, it in pairs if it is which) for which in (True, False)]
    some = [[replace(delivery, recipients=Direct(ids))] if ids else [] for ids in parts]
    return some[0], some[1]
