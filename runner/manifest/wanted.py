"""What a key of a manifest's line holds, and what is said of one that does not."""

from __future__ import annotations

from types import GenericAlias

TEXTS = list[str]
NUMBERS = list[int]
Wanted = type | GenericAlias | tuple[str, ...]
"""What a key holds: a type, a list of texts or of numbers, or one of some words."""


def holds(value: object, wanted: Wanted) -> bool:
    """Whether a value is what is wanted, where that is more than a type."""
    if type(wanted) is tuple:
        return value in wanted
    inner = str if wanted is TEXTS else int if wanted is NUMBERS else None
    return type(value) is list and inner is not None and {*map(type, value)} <= {inner}


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
