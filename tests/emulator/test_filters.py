from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .client import Client, complaints, filtered

EQUALITY, MEMBERSHIP = ["EQ", "NE"], ["IN", "NOT_IN"]
ORDER = ["EQ", "NE", "GT", "GTE", "LT", "LTE"]
VERSIONS = ("os_version", "user_agent_version")

# Category, key, its operators, values that are right, values that are wrong.
TABLE: list[tuple[str, str, list[str], list[Any], list[Any]]] = [
    ("skill", "224", ORDER, [0, 70.5, 100], [-1, 100.1, "70", True]),
    ("profile", "gender", EQUALITY, ["MALE", "FEMALE"], ["male", 1]),
    ("profile", "country", EQUALITY, ["FR"], ["fr", "FRA", 33]),
    ("profile", "citizenship", EQUALITY, ["NO"], ["", False]),
    ("profile", "education", EQUALITY, ["BASIC", "MIDDLE", "HIGH"], ["LOW", ["HIGH"]]),
    ("profile", "adult_allowed", EQUALITY, [True, False], ["true", 1]),
    ("profile", "verified", EQUALITY, [True, False], [0]),
    ("profile", "date_of_birth", ORDER, [604972800, -1, 0], [1.5, "604972800", True]),
    ("profile", "city", MEMBERSHIP, [225], ["225", 1.0]),
    ("profile", "languages", MEMBERSHIP, ["EN"], ["en", ["EN"], "ENG"]),
    ("computed", "region_by_phone", MEMBERSHIP, [10**30], ["1"]),
    ("computed", "region_by_ip", MEMBERSHIP, [187], [False]),
    ("computed", "device_category", EQUALITY, ["SMARTPHONE", "WEARABLE_COMPUTER"], ["PHONE"]),
    ("computed", "client_type", EQUALITY, ["BROWSER", "TOLOKA_APP"], ["APP"]),
    ("computed", "os_family", EQUALITY, ["WINDOWS", "BLACKBERRY"], ["windows"]),
    ("computed", "user_agent_type", EQUALITY, ["OTHER"], [None]),
    ("computed", "user_agent_family", EQUALITY, ["IE", "MOBILE_SAFARI"], ["EDGE"]),
    ("computed", "os_version", ORDER, [10, 10.4], ["10", True]),
    ("computed", "user_agent_version", ORDER, [120, 0.5], [[120]]),
    *(
        ("computed", f"{key}_{part}", ORDER, [0, 10], [10.0, "10"])
        for key in VERSIONS
        for part in ("major", "minor", "bugfix")
    ),
]


def conditions(right: bool) -> Iterator[dict[str, object]]:
    for category, key, operators, good, bad in TABLE:
        for operator in operators:
            for value in good if right else bad:
                yield {"category": category, "key": key, "operator": operator, "value": value}


def test_whole_table_is_accepted(toloka: Client) -> None:
    for condition in conditions(right=True):
        toloka.composed(filtered({"and": [condition]}))


def test_wrong_values_are_refused_by_path(toloka: Client) -> None:
    for condition in conditions(right=False):
        answer = toloka.compose(filtered({"or": [condition]}))
        assert list(complaints(answer)) == ["recipients_filter.or.0.value"], condition


def test_wrong_operators_are_refused(toloka: Client) -> None:
    for category, key, operators, good, _ in TABLE:
        for operator in {*ORDER, *MEMBERSHIP, "eq", ""} - set(operators):
            condition = {"category": category, "key": key, "operator": operator, "value": good[0]}
            answer = toloka.compose(filtered({"and": [condition]}))
            assert complaints(answer) == {
                "recipients_filter.and.0.operator": "UNKNOWN_ENUM_VALUE"
            }, condition


def test_having_no_such_skill_can_be_asked_for(toloka: Client) -> None:
    skill = {"category": "skill", "key": "224", "operator": "EQ"}
    toloka.composed(filtered({"and": [skill]}))
    toloka.composed(filtered({"and": [{**skill, "value": None}]}))
    answer = toloka.compose(filtered({"and": [{**skill, "operator": "GT"}]}))
    assert complaints(answer) == {"recipients_filter.and.0.value": "VALUE_REQUIRED"}


CITY = {"category": "profile", "key": "city", "operator": "IN", "value": 225}


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ("x", {"": "OBJECT_EXPECTED"}),
        (CITY, {"": "VALUES_REQUIRED"}),
        ({}, {"": "VALUES_REQUIRED", ".category": "VALUE_REQUIRED"}),
        ({"AND": [CITY]}, {"": "VALUES_REQUIRED", ".AND": "VALUE_NOT_ALLOWED"}),
        ({"and": []}, {".and": "ARRAY_SIZE_LESS_THAN_MIN"}),
        ({"or": CITY}, {".or": "ARRAY_EXPECTED"}),
        ({"and": [7]}, {".and.0": "OBJECT_EXPECTED"}),
        ({"and": [CITY], "or": [CITY]}, {"": "MAX_ONE_PROPERTY_ALLOWED"}),
        ({"and": [CITY, {"or": [{}]}]}, {".and.1.or.0.category": "VALUE_REQUIRED"}),
        ({"and": [{**CITY, "x": 1}]}, {".and.0.x": "VALUE_NOT_ALLOWED"}),
        ({"and": [{**CITY, "category": "Profile"}]}, {".and.0.category": "UNKNOWN_ENUM_VALUE"}),
        ({"and": [{**CITY, "category": ["skill"]}]}, {".and.0.category": "STRING_EXPECTED"}),
        ({"and": [{**CITY, "key": "town"}]}, {".and.0.key": "UNKNOWN_ENUM_VALUE"}),
        ({"and": [{**CITY, "key": 5}]}, {".and.0.key": "STRING_EXPECTED"}),
        (
            {"and": [{"category": "skill", "key": " ", "operator": "EQ", "value": 1}]},
            {".and.0.key": "BLANK_STRING_NOT_ALLOWED"},
        ),
        (
            {"and": [{"category": "profile", "key": "city"}]},
            {".and.0.operator": "VALUE_REQUIRED", ".and.0.value": "VALUE_REQUIRED"},
        ),
    ],
)
def test_wrong_trees_are_refused_by_path(toloka: Client, tree: Any, expected: Any) -> None:
    found = complaints(toloka.compose(filtered(tree)))
    wanted = {f"recipients_filter{path}": code for path, code in expected.items()}
    assert wanted.items() <= found.items()


def test_filter_may_have_ten_thousand_characters(toloka: Client) -> None:
    def tree(length: int) -> object:
        skill = {"category": "skill", "key": "", "operator": "EQ", "value": 1}
        bare = len('{"and":[{"category":"skill","key":"","operator":"EQ","value":1}]}')
        return {"and": [{**skill, "key": "7" * (length - bare)}]}

    toloka.composed(filtered(tree(10_000)))
    answer = toloka.compose(filtered(tree(10_001)))
    assert complaints(answer) == {"recipients_filter": "STRING_LENGTH_GREATER_THAN_MAX"}


def test_deeply_nested_filter_is_no_trouble(toloka: Client) -> None:
    tree: object = CITY
    for _ in range(300):
        tree = {"and": [tree]}
    toloka.composed(filtered(tree))
