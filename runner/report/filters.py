"""A filter in words."""

from __future__ import annotations

import json
from collections.abc import Mapping

_OPERATORS = {"EQ": "=", "NE": "≠", "GT": ">", "GTE": "≥", "LT": "<", "LTE": "≤"}


def describe_filter(tree: object) -> str:
    """Put a filter into words: `skill 224 ≥ 80 and (country = US or country = GB)`."""
    if not isinstance(tree, Mapping):
        return json.dumps(tree)
    for joint in ("and", "or"):
        children = tree.get(joint)
        if isinstance(children, list):
            parts = [_bracketed(child, len(children) > 1) for child in children]
            return f" {joint} ".join(parts)
    name = f"skill {tree.get('key')}" if tree.get("category") == "skill" else str(tree.get("key"))
    operator = str(tree.get("operator"))
    if tree.get("value") is None:
        return f"no {name}"
    value = json.dumps(tree.get("value"), ensure_ascii=False).strip('"')
    return f"{name} {_OPERATORS.get(operator, operator)} {value}"


def _bracketed(tree: object, is_one_of_many: bool) -> str:
    groups = [tree.get(key) for key in ("and", "or")] if isinstance(tree, Mapping) else []
    is_group = any(isinstance(group, list) and len(group) > 1 for group in groups)
    said = describe_filter(tree)
    return f"({said})" if is_group and is_one_of_many else said
