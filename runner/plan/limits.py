"""How many Tolokers a message may reach: what is held back of it, and until when. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from runner import clock
from runner.manifest.attempts import Attempt
from runner.manifest.history import History
from runner.model import Delivery, Direct, InThreads, NoRecipients, compared_as
from runner.plan.plan import PerToloker, PlannedMessage, result_of

Reached = Mapping[str | None, Attempt]
"""What the manifest knows of one message and revision: the attempt that counts, by key."""


def size_of(thread: str, history: History) -> int:
    """How many read a thread, as far as is known; one where nothing is known of it."""
    return len(history.readers.get(thread, ())) or 1


def most_of(planned: PlannedMessage, history: History) -> int | None:
    """How many Tolokers, or replies, it may come to once Toloka has told who answered.

    None where nobody knows: a thread that went out by a filter.
    """
    counts = [len(planned.candidates) or len(planned.possible)]
    if isinstance(planned.message.recipients, InThreads):
        # Each Toloker of a thread may answer in one of their own.
        threads = [str(key) for each in planned.possible for key in each.keys]
        counts = [len(history.readers.get(each, ())) for each in threads]
    known = [sum(counts)] if all(counts) else []
    limit = [] if planned.message.at_most is None else [planned.message.at_most]
    return min((*known, *limit), default=None)


def cut(
    due: Iterable[Delivery], at_most: int, reached: Reached, history: History
) -> tuple[list[Delivery], list[Delivery]]:
    """Keep the first of what is due until a message reaches so many Tolokers, and give the rest.

    Whom it has reached counts, and whom it may have.
    """
    counted = {
        key.partition(" ")[0]: size_of(key, history) if attempt.action == "reply" else 1
        for key, attempt in reached.items()
        if key and not isinstance(attempt.outcome, NoRecipients)
    }
    kept: list[Delivery] = []
    rest: list[Delivery] = []
    room = at_most - sum(counted.values())
    for delivery in due:
        if not delivery.people:
            room -= size_of(str(delivery.keys[0]), history)
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


def spread(
    planned: Iterable[PlannedMessage], limit: PerToloker, history: History, now: datetime
) -> Iterator[PlannedMessage]:
    """Hold back, or tell, what would be one message too many for a Toloker: in the order of a plan."""
    within = timedelta(days=limit.days)
    got = history.got_since(now - within)
    for each in planned:
        if each.message.action == "reply":
            yield each
            continue
        over = _Over(limit, got, now)
        kept = [part for delivery in each.deliveries for part in over.take(delivery)]
        moments = list(over.held)
        said = f"the policy allows {limit}, and this goes"
        held = [
            result_of(part, "held", error=f"{said} not before {clock.written(moment)}")
            for moment, parts in over.held.items()
            for part in parts
        ]
        yield replace(
            each,
            deliveries=tuple(kept),
            skipped=(*each.skipped, *held),
            crowded=tuple(over.crowded),
            due_at=min(moments, default=None),
        )


@dataclass(slots=True)
class _Over:
    """Sorts out the Tolokers of one message who got enough; `got` is when each got messages."""

    limit: PerToloker
    got: dict[str, list[datetime]]
    now: datetime
    held: dict[datetime, list[Delivery]] = field(default_factory=dict)
    crowded: list[str] = field(default_factory=list)

    def take(self, delivery: Delivery) -> Iterator[Delivery]:
        """Give the part of a delivery that may go."""
        later: dict[datetime, list[str]] = {}
        kept: list[str] = []
        for toloker in delivery.people:
            times = self.got.setdefault(compared_as(toloker), [])
            if len(times) < self.limit.messages:
                times.append(self.now)
            elif self.limit.over == "refuse":
                self.crowded.append(toloker)
            else:
                moment = times[-self.limit.messages] + timedelta(days=self.limit.days)
                later.setdefault(moment, []).append(toloker)
                continue
            kept.append(toloker)
        for moment, ids in later.items():
            part = replace(delivery, recipients=Direct(tuple(ids)))
            self.held.setdefault(moment, []).append(part)
        if kept or not delivery.people:
            is_whole = len(kept) == len(delivery.people)
            yield delivery if is_whole else replace(delivery, recipients=Direct(tuple(kept)))


def parted(delivery: Delivery, fits: Sequence[bool]) -> tuple[list[Delivery], list[Delivery]]:
    """Part a delivery to Tolokers by who fits."""
    if all(fits):
        return [delivery], []
    pairs = list(zip(delivery.people, fits, strict=True))
    parts = [tuple(toloker for toloker, it in pairs if it is which) for which in (True, False)]
    some = [[replace(delivery, recipients=Direct(ids))] if ids else [] for ids in parts]
    return some[0], some[1]
