"""Who would get what, as bars: by message, and by the languages of the letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from runner.model import Delivery, compared_as
from runner.plan.plan import PlannedMessage
from runner.wording import plural

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Bar:
    """How many something is for, in words; `length` is of 100, None where only Toloka knows."""

    name: str
    words: str
    length: float | None


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars under a title; `more` says what is left out."""

    title: str
    bars: tuple[Bar, ...]
    more: str


def charts_of(messages: Iterable[PlannedMessage]) -> Iterator[Chart]:
    """Count whom each message, and each language, would go to now; bars of one length say nothing."""
    due = [each for planned in messages for each in planned.deliveries]
    yield from _chart("Who would get it, by message", [(each.message.id, each) for each in due])
    languages = [(language, each) for each in due for language in each.message.text]
    yield from _chart("Who would get it, by language: a letter may have several", languages)


def _chart(title: str, named: Sequence[tuple[str, Delivery]]) -> Iterator[Chart]:
    whom: dict[str, set[tuple[str, str | None]]] = {name: set() for name, _ in named}
    for name, delivery in named:
        unit, people = _unit(delivery), map(compared_as, delivery.people)
        whom[name].update((unit, each) for each in tuple(people) or delivery.keys)
    parts = {name: Counter(unit for unit, _ in some) for name, some in whom.items()}
    counts = {name: part["Toloker"] + part["thread"] for name, part in parts.items()}
    if len({*counts.values()}) < 2:
        return
    most = max(counts.values())
    ordered = sorted(parts, key=lambda name: (-counts[name], name))
    bars = tuple(
        Bar(
            name,
            ", ".join(
                plural(count, unit) if unit in ("Toloker", "thread") else unit
                for unit, count in sorted(parts[name].items())
            ),
            max(1.0, round(100 * counts[name] / most, 1)) if counts[name] else None,
        )
        for name in ordered[:_SHOWN]
    )
    left = len(ordered) - len(bars)
    yield Chart(title, bars, f"and {left:,} more" if left else "")


def _unit(delivery: Delivery) -> str:
    """What is counted of a delivery; of a filter and of ALL only Toloka knows how many."""
    if delivery.message.action == "reply":
        return "thread"
    select_type = delivery.recipients.select_type
    return (
        "Toloker" if select_type == "DIRECT" else "by filter" if select_type == "FILTER" else "ALL"
    )
