"""The filter table as data: every key, the operators and the value it takes, numbers from text."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from typing import Literal, NamedTuple, TypeVar

from runner.wording import either

Number = Literal["int", "float"]
T = TypeVar("T")

# Beyond this a JSON number may change on its way: many readers hold numbers as doubles.
MAX_NUMBER = 2**53 - 1

EQUALITY = ("EQ", "NE")
ORDER = ("EQ", "NE", "GT", "GTE", "LT", "LTE")
INCLUSION = ("IN", "NOT_IN")
OPERATORS = ORDER + INCLUSION


class Rule(NamedTuple):
    """What a key takes: its operators and the one kind of value that goes with them."""

    operators: tuple[str, ...]
    takes: Literal["number", "integer", "boolean", "word", "code"]
    words: tuple[str, ...] = ()
    example: str = ""


_NUMBER = Rule(ORDER, "number", example="10.5")
_INTEGER = Rule(ORDER, "integer", example="10")
_BOOLEAN = Rule(EQUALITY, "boolean", example="true")
_COUNTRY = Rule(EQUALITY, "code", example="US")
# IN and NOT_IN take one value, not a list: Toloka's pages show `"operator": "IN", "value": 87`,
# and its client declares a single int for city and both regions. Only for languages does the
# client also allow a list of codes, which the API's own description does not have.
_REGION = Rule(INCLUSION, "integer", example="225")
_LANGUAGE = Rule(INCLUSION, "code", example="EN")
SKILL = Rule(ORDER, "number", example="80")


def _words(*words: str) -> Rule:
    return Rule(EQUALITY, "word", words, words[0])


TABLE: Mapping[str, Mapping[str, Rule]] = {
    "profile": {
        "gender": _words("MALE", "FEMALE"),
        "country": _COUNTRY,
        "citizenship": _COUNTRY,
        "education": _words("BASIC", "MIDDLE", "HIGH"),
        "adult_allowed": _BOOLEAN,
        "verified": _BOOLEAN,
        "date_of_birth": Rule(ORDER, "integer", example="946684800"),
        "city": _REGION,
        "languages": _LANGUAGE,
    },
    "computed": {
        "region_by_phone": _REGION,
        "region_by_ip": _REGION,
        "device_category": _words("PERSONAL_COMPUTER", "SMARTPHONE", "TABLET", "WEARABLE_COMPUTER"),
        "client_type": _words("BROWSER", "TOLOKA_APP"),
        "os_family": _words(
            "WINDOWS", "OS_X", "MAC_OS", "LINUX", "BSD", "ANDROID", "IOS", "BLACKBERRY"
        ),
        "user_agent_type": _words("BROWSER", "MOBILE_BROWSER", "OTHER"),
        "user_agent_family": _words(
            *("IE", "CHROMIUM", "CHROME", "FIREFOX", "SAFARI", "YANDEX_BROWSER"),
            *("IE_MOBILE", "CHROME_MOBILE", "MOBILE_FIREFOX", "MOBILE_SAFARI"),
        ),
        "os_version": _NUMBER,
        "user_agent_version": _NUMBER,
        "os_version_major": _INTEGER,
        "os_version_minor": _INTEGER,
        "os_version_bugfix": _INTEGER,
        "user_agent_version_major": _INTEGER,
        "user_agent_version_minor": _INTEGER,
        "user_agent_version_bugfix": _INTEGER,
    },
}
"""Every key but a skill's, which is an id and always follows `SKILL`."""

CATEGORIES = ("skill", *TABLE)
CONDITION_KEYS = ("category", "key", "operator", "value")


def rule_of(tree: Mapping[str, object]) -> tuple[Rule | None, str]:
    """Find the rule of a condition and the name to call it by; none where the key is unknown."""
    category, key = tree.get("category"), tree.get("key")
    if category == "skill":
        return SKILL, "skill"
    if isinstance(category, str) and isinstance(key, str):
        return TABLE.get(category, {}).get(key), key
    return None, ""


def is_one_of(value: object, words: Container[str]) -> bool:
    """Tell whether a value, which may be anything, is one of some words."""
    return isinstance(value, str) and value in words


def wanted(rule: Rule) -> str:
    """Name what a rule takes, as in 'it takes a number from 0 to 100'."""
    if rule is SKILL:
        return "a number from 0 to 100"
    if rule.takes == "code":
        return "a code of two upper-case letters"
    names = {"number": "a number", "integer": "a whole number", "boolean": "true or false"}
    return names.get(rule.takes) or either(rule.words)


def fits(value: object, rule: Rule) -> bool:
    """Tell whether a value, neither null nor a template, is of the kind that a rule takes."""
    if rule.takes == "boolean":
        return isinstance(value, bool)
    if rule.takes == "word":
        return is_one_of(value, rule.words)
    if rule.takes == "code":
        return isinstance(value, str) and is_code(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if rule.takes == "integer" and isinstance(value, float) and not value.is_integer():
        return False
    return 0 <= value <= 100 if rule is SKILL else abs(value) <= MAX_NUMBER


def is_template(value: object) -> bool:
    """Tell whether a value is text that rendering would change."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def is_code(text: str) -> bool:
    """Tell whether a text has the shape of a language or country code: two upper-case letters."""
    return len(text) == 2 and text.isascii() and text.isalpha() and text.isupper()


def takes_number(category: object, key: object) -> Number | None:
    """Say which number a key takes; None for every other kind of value and unknown keys."""
    rule, _ = rule_of({"category": category, "key": key})
    kinds: dict[str, Number] = {"number": "float", "integer": "int"}
    return kinds.get(rule.takes) if rule else None


def converted(category: object, key: object, value: str) -> int | float | str:
    """Turn a numeric text into a number where the key takes one; give back any other text as it is."""
    return number_in(value) if takes_number(category, key) else value


def number_in(text: str) -> int | float | str:
    """Read a text as a JSON number, a whole one as int; give back any other text as it is."""
    if len(text) > 40 or not set(text) <= set("+-.0123456789eE"):
        return text
    try:
        number: int | float = json.loads(text)
    except ValueError:
        return text
    return integral(number) if abs(number) <= MAX_NUMBER else text


def integral(value: T) -> T | int:
    """Spell a whole number as an int; leave everything else alone."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
