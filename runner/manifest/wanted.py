"""What a key of a manifest's line holds, and what is said of one that does not."""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain
from types import GenericAlias
from typing import Any

TEXTS = list[str]
NUMBERS = list[int]
Wanted = type | GenericAlias | tuple[str, ...]
"""What a key holds: a type, a list of texts or of numbers, or one of some words."""


def hold(values: Collection[Any], wanted: Wanted) -> bool:
    """Whether all of some values are what is wanted."""
    if isinstance(wanted, tuple):
        return all(map(wanted.__contains__, values))
    types = {*map(type, values)}
    if wanted is TEXTS or wanted is NUMBERS:
        inner = str if wanted is TEXTS else int
        return types <= {list} and {*map(type, chain.from_iterable(values))} <= {inner}
    return types <= {wanted}


def complaint(key: str, wanted: Wanted) -> str:
    """Say what a key does not hold."""
    if isinstance(wanted, tuple):
        return f"an unknown word under {key!r}: written by a later version?"
    # Python 3.10 takes `list[str]` for a type, so what it is cannot be asked.
    names: dict[Wanted, str] = {
        str: "text",
        int: "whole number",
        dict: "mapping",
        bool: "yes or no",
    }
    name = names.get(wanted, "list of texts" if wanted == TEXTS else "list of numbers")
    return f"no {name} under {key!r}"
