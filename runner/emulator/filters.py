"""The filter tree of a compose form: its whole table of categories, keys, operators, values."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from runner.emulator.answers import FieldError, Json

MAX_FILTER_CHARACTERS = 10_000

_EQUALITY = ("EQ", "NE")
_ORDER = ("EQ", "NE", "GT", "GTE", "LT", "LTE")
_MEMBERSHIP = ("IN", "NOT_IN")
_TWO_LETTERS = re.compile(r"[A-Z]{2}")

ValueCheck = Callable[[Json], tuple[str, str] | None]
"""Says what is wrong with a value, as a code and a sentence; `None` if nothing is."""


@dataclass(frozen=True, slots=True)
class _Key:
    operators: tuple[str, ...]
    check: ValueCheck


def _is_number(value: Json) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _boolean(value: Json) -> tuple[str, str] | None:
    return None if isinstance(value, bool) else ("BOOLEAN_EXPECTED", "true or false expected")


def _integer(value: Json) -> tuple[str, str] | None:
    good = isinstance(value, int) and not isinstance(value, bool)
    return None if good else ("INTEGER_EXPECTED", "an integer expected")


def _number(value: Json) -> tuple[str, str] | None:
    return None if _is_number(value) else ("FLOAT_EXPECTED", "a number expected")


def _percentage(value: Json) -> tuple[str, str] | None:
    if not isinstance(value, (int, float)) or not _is_number(value):
        return ("FLOAT_EXPECTED", "a number expected")
    return None if 0 <= value <= 100 else ("VALUE_OUT_OF_BOUNDS", "a number from 0 to 100 expected")


def _two_letters(value: Json) -> tuple[str, str] | None:
    if not isinstance(value, str):
        return ("STRING_EXPECTED", "a string expected")
    good = _TWO_LETTERS.fullmatch(value)
    return None if good else ("PATTERN_MISMATCH", "two upper-case letters expected")


def _one_of(*allowed: str) -> ValueCheck:
    def check(value: Json) -> tuple[str, str] | None:
        good = isinstance(value, str) and value in allowed
        return None if good else ("UNKNOWN_ENUM_VALUE", f"one of {', '.join(allowed)} expected")

    return check


_PROFILE: Mapping[str, _Key] = {
    "gender": _Key(_EQUALITY, _one_of("MALE", "FEMALE")),
    "country": _Key(_EQUALITY, _two_letters),
    "citizenship": _Key(_EQUALITY, _two_letters),
    "education": _Key(_EQUALITY, _one_of("BASIC", "MIDDLE", "HIGH")),
    "adult_allowed": _Key(_EQUALITY, _boolean),
    "verified": _Key(_EQUALITY, _boolean),
    "date_of_birth": _Key(_ORDER, _integer),
    "city": _Key(_MEMBERSHIP, _integer),
    "languages": _Key(_MEMBERSHIP, _two_letters),
}

_COMPUTED: Mapping[str, _Key] = {
    "region_by_phone": _Key(_MEMBERSHIP, _integer),
    "region_by_ip": _Key(_MEMBERSHIP, _integer),
    "device_category": _Key(
        _EQUALITY, _one_of("PERSONAL_COMPUTER", "SMARTPHONE", "TABLET", "WEARABLE_COMPUTER")
    ),
    "client_type": _Key(_EQUALITY, _one_of("BROWSER", "TOLOKA_APP")),
    "os_family": _Key(
        _EQUALITY,
        _one_of("WINDOWS", "OS_X", "MAC_OS", "LINUX", "BSD", "ANDROID", "IOS", "BLACKBERRY"),
    ),
    "user_agent_type": _Key(_EQUALITY, _one_of("BROWSER", "MOBILE_BROWSER", "OTHER")),
    "user_agent_family": _Key(
        _EQUALITY,
        _one_of(
            *("IE", "CHROMIUM", "CHROME", "FIREFOX", "SAFARI", "YANDEX_BROWSER"),
            *("IE_MOBILE", "CHROME_MOBILE", "MOBILE_FIREFOX", "MOBILE_SAFARI"),
        ),
    ),
    **{name: _Key(_ORDER, _number) for name in ("os_version", "user_agent_version")},
    **{
        f"{name}_{part}": _Key(_ORDER, _integer)
        for name in ("os_version", "user_agent_version")
        for part in ("major", "minor", "bugfix")
    },
}

_TABLES: Mapping[str, Mapping[str, _Key]] = {"profile": _PROFILE, "computed": _COMPUTED}
_SKILL = _Key(_ORDER, _percentage)


def filter_errors(tree: Json, path: str) -> Iterator[FieldError]:
    """Find everything that is wrong with a filter; `path` is where it stands in the form."""
    if not isinstance(tree, Mapping):
        yield FieldError(path, "OBJECT_EXPECTED", "an object expected")
        return
    text = json.dumps(tree, ensure_ascii=False, separators=(",", ":"))
    if len(text) > MAX_FILTER_CHARACTERS:
        limit = f"at most {MAX_FILTER_CHARACTERS} characters of JSON allowed"
        yield FieldError(path, "STRING_LENGTH_GREATER_THAN_MAX", limit)
        return
    if not {"and", "or"} & tree.keys():
        yield FieldError(path, "VALUES_REQUIRED", "'and' or 'or' expected at the root")
    yield from _tree_errors(tree, path)


def _tree_errors(tree: Json, path: str) -> Iterator[FieldError]:
    # A stack and not recursion: a filter of 10,000 characters can be a thousand levels deep.
    todo: list[tuple[str, Json]] = [(path, tree)]
    while todo:
        at, node = todo.pop()
        if not isinstance(node, Mapping):
            yield FieldError(at, "OBJECT_EXPECTED", "an object expected")
        elif {"and", "or"} & node.keys():
            yield from _group_errors(node, at)
            todo.extend(_children(node, at))
        else:
            yield from _condition_errors(node, at)


def _children(node: Mapping[str, Json], path: str) -> Iterator[tuple[str, Json]]:
    for name in ("and", "or"):
        members = node.get(name)
        if isinstance(members, list):
            yield from ((f"{path}.{name}.{i}", member) for i, member in enumerate(members))


def _group_errors(node: Mapping[str, Json], path: str) -> Iterator[FieldError]:
    if len(node) > 1:
        yield FieldError(path, "MAX_ONE_PROPERTY_ALLOWED", "'and' or 'or' expected, and no more")
    for name in ("and", "or"):
        if name not in node:
            continue
        members = node[name]
        if not isinstance(members, list):
            yield FieldError(f"{path}.{name}", "ARRAY_EXPECTED", "a list of conditions expected")
        elif not members:
            yield FieldError(
                f"{path}.{name}", "ARRAY_SIZE_LESS_THAN_MIN", "at least one condition expected"
            )


def _condition_errors(node: Mapping[str, Json], path: str) -> Iterator[FieldError]:
    for name in sorted(node.keys() - {"category", "key", "operator", "value"}):
        yield FieldError(f"{path}.{name}", "VALUE_NOT_ALLOWED", "unknown field")
    category, key = node.get("category"), node.get("key")
    yield from _text_errors(node, "category", (*_TABLES, "skill"), path)
    if category == "skill":
        yield from _text_errors(node, "key", None, path)
        yield from _comparison_errors(node, _SKILL, path)
    elif isinstance(category, str) and category in _TABLES:
        table = _TABLES[category]
        yield from _text_errors(node, "key", tuple(table), path)
        if isinstance(key, str) and key in table:
            yield from _comparison_errors(node, table[key], path)


def _comparison_errors(node: Mapping[str, Json], key: _Key, path: str) -> Iterator[FieldError]:
    yield from _text_errors(node, "operator", key.operators, path)
    value = node.get("value")
    if value is None:
        # Comparing a skill with nothing asks for those who have no such skill.
        if key is not _SKILL or node.get("operator") != "EQ":
            yield FieldError(f"{path}.value", "VALUE_REQUIRED", "a value expected")
        return
    wrong = key.check(value)
    if wrong:
        yield FieldError(f"{path}.value", *wrong)


def _text_errors(
    node: Mapping[str, Json], name: str, allowed: Collection[str] | None, path: str
) -> Iterator[FieldError]:
    """Check a field that is a word; `allowed` of `None` takes any but an empty one."""
    value = node.get(name)
    at = f"{path}.{name}"
    if value is None:
        yield FieldError(at, "VALUE_REQUIRED", "a value expected")
    elif not isinstance(value, str):
        yield FieldError(at, "STRING_EXPECTED", "a string expected")
    elif allowed is None:
        if not value.strip():
            yield FieldError(at, "BLANK_STRING_NOT_ALLOWED", "a blank string is not allowed")
    elif value not in allowed:
        yield FieldError(at, "UNKNOWN_ENUM_VALUE", f"one of {', '.join(allowed)} expected")
