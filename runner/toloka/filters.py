"""Filters: what is wrong with one, the form that Toloka wants, and the form to compare."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice

from runner.errors import Fault, Pointer
from runner.toloka.filter_table import (
    CATEGORIES,
    CONDITION_KEYS,
    OPERATORS,
    ORDER,
    SKILL,
    TABLE,
    Rule,
    converted,
    fits,
    integral,
    is_code,
    is_one_of,
    is_template,
    number_in,
    rule_of,
    takes_number,
    wanted,
)
from runner.toloka.ids import is_identifier
from runner.wording import either, kind, nearest, plain, quoted

__all__ = ["converted", "find_filter_faults", "normal_form", "takes_number", "wrapped"]

MAX_CHARACTERS = 10_000
MAX_DEPTH = 30
# Looking for the word that was meant takes time, and a file may hold a hundred thousand mistakes.
MAX_FAULTS = 200
_SYMBOLS = {"=": "EQ", "==": "EQ", "!=": "NE", ">": "GT", ">=": "GTE", "<": "LT", "<=": "LTE"}
_LOOKS = (
    "write a condition, {category: profile, key: country, operator: EQ, value: US}, "
    "or a list of them under `and` or `or`"
)


def find_filter_faults(
    tree: object, *, rendered: bool, at: Pointer = ("recipients_filter",)
) -> list[Fault]:
    """Say everything that is wrong with a filter.

    Before rendering, a template may stand for a value and for a skill's id.
    """
    faults = list(islice(_node(tree, rendered, at, 1), MAX_FAULTS))
    if rendered and not faults and (length := len(json.dumps(wrapped(tree)))) > MAX_CHARACTERS:
        what = f"the filter is {length:,} characters of JSON, and Toloka takes {MAX_CHARACTERS:,}"
        faults.append(Fault(at, what, "split the message in two with shorter filters"))
    return faults


def _node(tree: object, rendered: bool, at: Pointer, depth: int) -> Iterator[Fault]:
    if not isinstance(tree, Mapping) or not tree:
        what = f"{kind(tree)} where a condition should be" if tree != {} else "an empty condition"
        yield Fault(at, what, _LOOKS)
    elif depth > MAX_DEPTH:
        yield Fault(at, f"the filter is nested more than {MAX_DEPTH} deep", "make it flatter")
    elif any(key.casefold() in ("and", "or") for key in tree):
        yield from _group(tree, rendered, at, depth)
    else:
        yield from _condition(tree, rendered, at)


def _group(tree: Mapping[str, object], rendered: bool, at: Pointer, depth: int) -> Iterator[Fault]:
    joints = [key for key in tree if key.casefold() in ("and", "or")]
    if len(joints) > 1:
        hint = "put one inside the other: {and: [{or: [...]}, ...]}"
        yield Fault(
            (*at, joints[1]), f"`{joints[0]}` and `{joints[1]}` in one place", hint, at_key=True
        )
    for key in tree:
        if key not in joints:
            hint = f"make it a condition of its own in the list under `{joints[0].lower()}`"
            yield Fault((*at, key), f"{quoted(key)} stands beside `{joints[0]}`", hint, at_key=True)
    for key in joints:
        if key != key.lower():
            what = f"`{key}` is not in lower case"
            yield Fault((*at, key), what, f"write {key.lower()}, not {key}", at_key=True)
        yield from _children(tree[key], key.lower(), rendered, (*at, key), depth)


def _children(
    nodes: object, joint: str, rendered: bool, at: Pointer, depth: int
) -> Iterator[Fault]:
    if not isinstance(nodes, list):
        yield Fault(at, f"`{joint}` takes a list, not {kind(nodes)}", _LOOKS)
    elif not nodes:
        yield Fault(at, f"`{joint}` has no conditions", f"write at least one under `{joint}`")
    else:
        for index, node in enumerate(nodes):
            yield from _node(node, rendered, (*at, index), depth + 1)


def _condition(tree: Mapping[str, object], rendered: bool, at: Pointer) -> Iterator[Fault]:
    unknown = [key for key in tree if key not in CONDITION_KEYS]
    meant = {nearest(key, CONDITION_KEYS) for key in unknown[:10]}
    for key in unknown:
        yield _unknown_key(key, at)
    for key in CONDITION_KEYS[:3]:
        # A misspelt key has its complaint; that the right one is missing would be the same again.
        if key not in tree and key not in meant and "not" not in unknown:
            yield Fault(at, f"the condition has no {key}", _LOOKS)
    rule, name = rule_of(tree)
    yield from _category(tree, at)
    yield from _key(tree, rendered, at)
    yield from _operator(tree, rule, name, at)
    if rule and ("value" in tree or "value" not in meant):
        yield from _value(tree, rule, name, rendered, at)


def _unknown_key(key: str, at: Pointer) -> Fault:
    guess = nearest(key, CONDITION_KEYS)
    hint = f"did you mean {guess}?" if guess else f"it has {', '.join(CONDITION_KEYS)}"
    if key == "not":
        hint = "there is no `not`: use the operator NE or NOT_IN"
    return Fault((*at, key), f"unknown key {quoted(key)} in a condition", hint, at_key=True)


def _category(tree: Mapping[str, object], at: Pointer) -> Iterator[Fault]:
    category = tree.get("category", "skill")
    if category in CATEGORIES:
        return
    guess = nearest(category, CATEGORIES) if isinstance(category, str) else None
    hint = f"did you mean {guess}?" if guess else f"write {either(CATEGORIES)}"
    yield Fault((*at, "category"), f"unknown category {quoted(category)}", hint)


def _key(tree: Mapping[str, object], rendered: bool, at: Pointer) -> Iterator[Fault]:
    category, key = tree.get("category"), tree.get("key")
    if "key" not in tree:
        return
    if category == "skill":
        if not _is_skill(key, rendered):
            is_number = isinstance(key, (int, float)) and not isinstance(key, bool)
            hint = "write the skill's id as it is in Toloka, without spaces"
            hint = (
                "the expression should give text: put the number in quotes" if is_number else hint
            )
            yield Fault((*at, "key"), f"{quoted(key)} is not a skill id", hint)
    elif is_one_of(category, TABLE) and not is_one_of(key, TABLE[str(category)]):
        what = f"{category} has no key {quoted(key)}"
        yield Fault((*at, "key"), what, _key_hint(str(category), key))


def _is_skill(key: object, rendered: bool) -> bool:
    if isinstance(key, str):
        return is_identifier(key) or (not rendered and is_template(key))
    # An id that editors read as a number; the reader hands over the text as it was written.
    return not rendered and isinstance(key, (int, float)) and not isinstance(key, bool)


def _key_hint(category: str, key: object) -> str:
    for other, rules in TABLE.items():
        if is_one_of(key, rules):
            return f"{key} belongs to {other}: write category: {other}"
    guess = nearest(key, TABLE[category]) if isinstance(key, str) else None
    return f"did you mean {guess}?" if guess else f"write {either(tuple(TABLE[category]))}"


def _operator(
    tree: Mapping[str, object], rule: Rule | None, name: str, at: Pointer
) -> Iterator[Fault]:
    operator, allowed = tree.get("operator"), rule.operators if rule else OPERATORS
    if "operator" not in tree or is_one_of(operator, allowed):
        return
    where = (*at, "operator")
    if is_one_of(operator, OPERATORS):
        what = f"{name} takes {either(allowed)}, not {operator}"
        yield Fault(where, what, f"write operator: {allowed[0]}")
        return
    text = operator if isinstance(operator, str) else ""
    guess = _SYMBOLS.get(text) or nearest(text, allowed)
    hint = f"write {guess}" if guess in allowed else f"write {either(allowed)}"
    yield Fault(where, f"unknown operator {quoted(operator)}", hint)


def _value(
    tree: Mapping[str, object], rule: Rule, name: str, rendered: bool, at: Pointer
) -> Iterator[Fault]:
    value, where = tree.get("value"), (*at, "value") if "value" in tree else at
    if value is None:
        if rule is not SKILL:
            hint = f"write value: {rule.example}"
            yield Fault(where, f"the condition on {name} has no value", hint)
        elif is_one_of(tree.get("operator"), ORDER[1:]):
            what = f"{tree['operator']} on a skill has no value"
            hint = "write a number from 0 to 100; only EQ goes without, for 'has no such skill'"
            yield Fault(where, what, hint)
    elif not (is_template(value) and not rendered):
        is_negative = tree.get("operator") in ("NE", "NOT_IN")
        yield from _plain_value(value, rule, name, where, "and" if is_negative else "or")


def _plain_value(
    value: object, rule: Rule, name: str, where: Pointer, joint: str
) -> Iterator[Fault]:
    if isinstance(value, list):
        hint = f"write one value; for several, one condition each in a list under `{joint}`"
        yield Fault(where, f"{name} takes {wanted(rule)}, not a list", hint)
    elif not fits(value, rule):
        shown = quoted(value)
        yield Fault(where, f"{name} takes {wanted(rule)}, not {shown}", _value_hint(value, rule))


def _value_hint(value: object, rule: Rule) -> str:
    text = value if isinstance(value, str) else ""
    if rule.takes in ("number", "integer") and fits(number_in(text), rule):
        return f"write {plain(text)} without quotes"
    if rule.takes == "boolean" and text.lower() in ("true", "false"):
        return f"write {text.lower()} without quotes"
    if rule.takes == "code" and is_code(text.upper()):
        return f"write {text.upper()}"
    guess = nearest(text, rule.words)
    return f"did you mean {guess}?" if guess else f"for example, value: {rule.example}"


def is_limited(tree: object) -> bool:
    """Whether a filter has a skill condition with a value on a path of `and` alone."""
    if not isinstance(tree, Mapping):
        return False
    children = tree.get("and")
    if isinstance(children, list):
        return any(map(is_limited, children))
    return tree.get("category") == "skill" and tree.get("value") is not None


def wrapped(tree: object) -> object:
    """Give the API the `and` or `or` that it wants at the root: a bare condition goes into an `and`."""
    is_group = isinstance(tree, Mapping) and ("and" in tree or "or" in tree)
    return tree if is_group else {"and": [tree]}


def normal_form(tree: object) -> object:
    """Give one spelling to filters that mean the same, for comparing them and for digests.

    The order of conditions does not count. Applying it again changes nothing.
    """
    if not isinstance(tree, Mapping):
        return tree
    for joint in ("and", "or"):
        if (nodes := _nodes_under(joint, tree)) is not None:
            return _joined(joint, [normal_form(node) for node in nodes])
    there = (key for key in sorted(tree) if key != "value" or tree[key] is not None)
    return {key: integral(tree[key]) for key in there}


def _nodes_under(joint: str, tree: object) -> list[object] | None:
    nodes = tree.get(joint) if isinstance(tree, Mapping) and len(tree) == 1 else None
    return nodes if isinstance(nodes, list) else None


def _joined(joint: str, nodes: list[object]) -> object:
    flat: list[object] = []
    for node in nodes:
        inner = _nodes_under(joint, node)
        flat += [node] if inner is None else inner
    if len(flat) == 1:
        return flat[0]
    return {joint: sorted(flat, key=lambda node: json.dumps(node, sort_keys=True))}
