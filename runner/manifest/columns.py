"""Events of one kind, key by key: what many lines hold is checked and read together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from runner.manifest.wanted import Wanted, complaint, hold

Values = dict[str, list[Any]]
"""What some events hold, by key; None where one has no such key, or holds nothing."""


class Columns:
    """What some events hold under any key."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._none = [None] * len(next(iter(values.values()), ()))

    def __getitem__(self, key: str) -> list[Any]:
        return self._values.get(key, self._none)


def values_of(events: Sequence[Mapping[str, Any]]) -> Values:
    """Find what events hold."""
    keys = dict.fromkeys(chain.from_iterable(events))
    return {key: [event.get(key) for event in events] for key in keys}


def check(values: Values, needed: Mapping[str, Wanted], optional: Mapping[str, Wanted]) -> None:
    """Hold events against what they must hold and what they may; raises `ValueError`."""
    for key, wanted in needed.items():
        held = values.get(key, [None])
        if not hold(held, wanted) or "" in held or (wanted is int and not _are_short(held)):
            raise ValueError(complaint(key, wanted))
    for key, wanted in optional.items():
        held = values.get(key, [])
        if not all(held):
            # What is empty says nothing.
            values[key] = [each or None for each in held]
            held = [*filter(None, held)]
        if not hold(held, wanted):
            raise ValueError(complaint(key, wanted))


def _are_short(numbers: Sequence[int]) -> bool:
    return max(map(int.bit_length, numbers)) <= 63
