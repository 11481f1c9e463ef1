"""Events of one kind, key by key: what many lines hold is checked and read together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from runner.manifest.wanted import Wanted, complaint, hold


class Columns:
    """The values of some events, by key."""

    def __init__(self, events: Sequence[Mapping[str, Any]]) -> None:
        self.events = events
        keys = dict.fromkeys(chain.from_iterable(events))
        self._values = {key: [event.get(key) for event in events] for key in keys}

    def __getitem__(self, key: str) -> list[Any]:
        """What the events hold under a key; None where they do not have it, or hold nothing."""
        return self._values.get(key) or [None] * len(self.events)

    def check(self, needed: Mapping[str, Wanted], optional: Mapping[str, Wanted]) -> None:
        """Hold the events against what they must hold and what they may; raises `ValueError`."""
        for key, wanted in needed.items():
            values = self[key]
            is_held = hold(values, wanted) and "" not in values
            if not is_held or (wanted is int and max(map(int.bit_length, values)) > 63):
                raise ValueError(complaint(key, wanted))
        for key, wanted in optional.items():
            values = self._values.get(key, [])
            if not all(values):
                # What is empty says nothing.
                self._values[key] = [each or None for each in values]
                values = [*filter(None, values)]
            if not hold(values, wanted):
                raise ValueError(complaint(key, wanted))
