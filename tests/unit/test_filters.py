from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from support import IS_NIGHTLY, IS_THOROUGH, load_schema, one_in

from runner.errors import Pointer
from runner.toloka.filter_table import CATEGORIES, OPERATORS, ORDER, TABLE, Rule
from runner.toloka.filters import converted, find_filter_faults, normal_form, takes_number, wrapped

GOOD = {"category": "profile", "key": "country", "operator": "EQ", "value": "US"}
SKILL = {"category": "skill", "key": "30724", "operator": "GTE", "value": 80}
AT: Pointer = ("recipients_filter",)


def changed(condition: dict[str, Any], **changes: object) -> dict[str, object]:
    return {**condition, **changes}


def without(condition: dict[str, Any], *keys: str) -> dict[str, object]:
    return {key: value for key, value in condition.items() if key not in keys}


def profile(key: str, operator: object, value: object) -> dict[str, object]:
    return {"category": "profile", "key": key, "operator": operator, "value": value}


@pytest.mark.parametrize(
    "tree",
    [
        GOOD,
        SKILL,
        changed(SKILL, value=0),
        changed(SKILL, value=100),
        changed(SKILL, value=99.5),
        changed(SKILL, operator="EQ", value=None),
        without(changed(SKILL, operator="EQ"), "value"),
        profile("adult_allowed", "NE", False),
        profile("date_of_birth", "LT", -86400),
        profile("city", "NOT_IN", 225),
        profile("city", "IN", 225.0),
        profile("languages", "IN", "NO"),
        changed(GOOD, category="computed", key="os_version", operator="GTE", value=10.5),
        changed(GOOD, category="computed", key="user_agent_family", value="IE_MOBILE"),
        {"and": [GOOD, {"or": [SKILL, {"and": [GOOD]}]}]},
    ],
)
def test_nothing_is_wrong_with_a_right_filter(tree: object) -> None:
    assert find_filter_faults(tree, rendered=False) == []
    assert find_filter_faults(tree, rendered=True) == []


WRONG: list[tuple[object, Pointer, str, str]] = [
    (changed(GOOD, operator="GT"), ("operator",), "country takes EQ or NE, not GT", "write operator: EQ"),
    (changed(GOOD, operator="eq"), ("operator",), 'unknown operator "eq"', "write EQ"),
    (changed(GOOD, operator="!="), ("operator",), 'unknown operator "!="', "write NE"),
    (changed(SKILL, operator="LIKE"), ("operator",), 'unknown operator "LIKE"', "write EQ, NE, GT, GTE, LT or LTE"),
    (changed(GOOD, operator=None), ("operator",), "unknown operator null", "write EQ or NE"),
    (changed(GOOD, category="profle"), ("category",), 'unknown category "profle"', "did you mean profile?"),
    (changed(GOOD, category="PROFILE"), ("category",), 'unknown category "PROFILE"', "did you mean profile?"),
    (changed(GOOD, category="zzz"), ("category",), 'unknown category "zzz"', "write skill, profile or computed"),
    (changed(SKILL, key="my skill"), ("key",), '"my skill" is not a skill id', "write the skill's id as it is in Toloka, without spaces"),
    (changed(GOOD, value="us"), ("value",), 'country takes a code of two upper-case letters, not "us"', "write US"),
    (changed(GOOD, value="EN\n"), ("value",), 'country takes a code of two upper-case letters, not "EN\\n"', "for example, value: US"),
    (changed(GOOD, value=None), ("value",), "the condition on country has no value", "write value: US"),
    (changed(SKILL, value=None), ("value",), "GTE on a skill has no value", "write a number from 0 to 100; only EQ goes without, for 'has no such skill'"),
    (changed(SKILL, value="80"), ("value",), 'skill takes a number from 0 to 100, not "80"', "write 80 without quotes"),
    (changed(SKILL, value="180"), ("value",), 'skill takes a number from 0 to 100, not "180"', "for example, value: 80"),
    (changed(SKILL, value=True), ("value",), "skill takes a number from 0 to 100, not true", "for example, value: 80"),
    (changed(SKILL, value=float("nan")), ("value",), "skill takes a number from 0 to 100, not a number without end", "for example, value: 80"),
    (profile("adult_allowed", "EQ", "True"), ("value",), 'adult_allowed takes true or false, not "True"', "write true without quotes"),
    (profile("adult_allowed", "EQ", 1), ("value",), "adult_allowed takes true or false, not 1", "for example, value: true"),
    (profile("gender", "EQ", "male"), ("value",), 'gender takes MALE or FEMALE, not "male"', "did you mean MALE?"),
    (profile("city", "IN", 1.5), ("value",), "city takes a whole number, not 1.5", "for example, value: 225"),
    (profile("city", "IN", 2**53), ("value",), "city takes a whole number, not 9007199254740992", "for example, value: 225"),
    (profile("languages", "NOT_IN", ["EN"]), ("value",), "languages takes a code of two upper-case letters, not a list", "write one value; for several, one condition each in a list under `and`"),
    ({"or": GOOD}, ("or",), "`or` takes a list, not a mapping", "write a condition, {category: profile, key: country, operator: EQ, value: US}, or a list of them under `and` or `or`"),
    ({"and": [GOOD], "category": "skill"}, ("category",), '"category" stands beside `and`', "make it a condition of its own in the list under `and`"),
    ({**GOOD, "note": 1}, ("note",), 'unknown key "note" in a condition', "it has category, key, operator, value"),
    ({**without(GOOD, "value"), "valeu": "US"}, ("valeu",), 'unknown key "valeu" in a condition', "did you mean value?"),
    ({"and": [GOOD, "US"]}, ("and", 1), "text where a condition should be", "write a condition, {category: profile, key: country, operator: EQ, value: US}, or a list of them under `and` or `or`"),
    ({}, (), "an empty condition", "write a condition, {category: profile, key: country, operator: EQ, value: US}, or a list of them under `and` or `or`"),
    (None, (), "nothing where a condition should be", "write a condition, {category: profile, key: country, operator: EQ, value: US}, or a list of them under `and` or `or`"),
]  # fmt: skip


@pytest.mark.parametrize(("tree", "where", "what", "hint"), WRONG)
def test_one_mistake_is_one_sentence(tree: object, where: Pointer, what: str, hint: str) -> None:
    faults = find_filter_faults(tree, rendered=False)
    assert [(fault.pointer, fault.what, fault.hint) for fault in faults] == [
        ((*AT, *where), what, hint)
    ]


def test_all_mistakes_are_said_at_once_and_in_order() -> None:
    tree = {"and": [changed(GOOD, operator="GT", value="us"), {"OR": [changed(SKILL, value=-1)]}]}
    assert [fault.pointer[1:] for fault in find_filter_faults(tree, rendered=False)] == [
        ("and", 0, "operator"),
        ("and", 0, "value"),
        ("and", 1, "OR"),
        ("and", 1, "OR", 0, "value"),
    ]


def test_each_missing_key_is_named() -> None:
    said = [fault.what for fault in find_filter_faults({"category": "skill"}, rendered=True)]
    assert said == ["the condition has no key", "the condition has no operator"]


def test_a_template_stands_for_a_value_only_until_it_is_rendered() -> None:
    tree = changed(SKILL, key="{{ skill }}", value="{{ level }}")
    assert find_filter_faults(tree, rendered=False) == []
    assert [fault.pointer[-1] for fault in find_filter_faults(tree, rendered=True)] == [
        "key",
        "value",
    ]
    assert find_filter_faults(changed(GOOD, key="{{ key }}"), rendered=False)
    assert find_filter_faults(changed(GOOD, operator="{{ how }}"), rendered=False)


def test_a_rendered_skill_id_must_be_text() -> None:
    (fault,) = find_filter_faults(changed(SKILL, key=30724), rendered=True)
    assert fault.what == "30724 is not a skill id"
    assert fault.hint == "the expression should give text: put the number in quotes"


def test_a_rendered_filter_has_at_most_ten_thousand_characters_of_json() -> None:
    tree = {"or": [profile("city", "IN", number) for number in range(10_000, 10_130)]}
    assert 9_000 < len(json.dumps(tree)) < 10_000
    assert find_filter_faults(tree, rendered=True) == []
    longer = {"or": [*tree["or"], *tree["or"]]}
    assert find_filter_faults(longer, rendered=False) == []
    (fault,) = find_filter_faults(longer, rendered=True)
    assert fault.pointer == AT
    assert fault.what.endswith("characters of JSON, and Toloka takes 10,000")


def test_a_hundred_thousand_mistakes_are_cut_short() -> None:
    tree = {"and": [{f"categroy{number}": 1} for number in range(100_000)]}
    assert len(find_filter_faults(tree, rendered=False)) == 200


def test_a_complaint_shows_no_control_characters_and_is_short() -> None:
    (fault,) = find_filter_faults(changed(GOOD, value="\x1b[31m" + "x" * 500), rendered=True)
    assert "\\x1b[31m" in fault.what
    assert fault.what.isprintable()
    assert len(fault.what) < 140


def test_the_place_of_the_filter_can_be_given() -> None:
    (fault,) = find_filter_faults(changed(GOOD, value=1), rendered=True, at=("a", 2))
    assert fault.pointer == ("a", 2, "value")


def test_a_bare_condition_is_wrapped() -> None:
    assert wrapped(GOOD) == {"and": [GOOD]}
    assert wrapped({"or": [GOOD]}) == {"or": [GOOD]}


@pytest.mark.parametrize(
    ("tree", "normal"),
    [
        (GOOD, GOOD),
        ({"and": [GOOD]}, GOOD),
        ({"or": [{"and": [GOOD]}]}, GOOD),
        ({"and": [GOOD, {"and": [SKILL, GOOD]}]}, {"and": [GOOD, GOOD, SKILL]}),
        ({"and": [GOOD, {"or": [{"and": [SKILL, GOOD]}]}]}, {"and": [GOOD, GOOD, SKILL]}),
        ({"and": [{"or": [SKILL, GOOD]}, GOOD]}, {"and": [GOOD, {"or": [GOOD, SKILL]}]}),
        (changed(SKILL, value=80.0), SKILL),
        (changed(SKILL, value=80.5), changed(SKILL, value=80.5)),
        (changed(SKILL, operator="EQ", value=None), without(changed(SKILL, operator="EQ"), "value")),
        (profile("verified", "EQ", True), profile("verified", "EQ", True)),
        ({"and": []}, {"and": []}),
        ("not a tree", "not a tree"),
    ],
)  # fmt: skip
def test_normal_form(tree: object, normal: object) -> None:
    before = copy.deepcopy(tree)
    assert json.dumps(normal_form(tree)) == json.dumps(sorted_keys(normal))
    assert tree == before


def test_the_order_of_conditions_and_of_keys_does_not_count() -> None:
    assert normal_form({"and": [GOOD, SKILL]}) == normal_form({"and": [SKILL, GOOD]})
    assert normal_form({"and": [GOOD, SKILL]}) != normal_form({"or": [GOOD, SKILL]})
    turned = dict(reversed(GOOD.items()))
    assert json.dumps(normal_form(turned)) == json.dumps(normal_form(GOOD))


def sorted_keys(value: object) -> object:
    return json.loads(json.dumps(value, sort_keys=True))


@pytest.mark.parametrize(
    ("category", "key", "number"),
    [
        ("skill", "30724", "float"),
        ("computed", "os_version", "float"),
        ("computed", "os_version_major", "int"),
        ("profile", "city", "int"),
        ("profile", "country", None),
        ("profile", "adult_allowed", None),
        ("nonsense", "city", None),
        (None, ["city"], None),
    ],
)
def test_which_number_a_key_takes(category: object, key: object, number: str | None) -> None:
    assert takes_number(category, key) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *[("80", 80), ("-1", -1), ("80.5", 80.5), ("80.0", 80), ("1e2", 100)],
        *[
            (text, text)
            for text in ("", "x", "NaN", "Infinity", "-Infinity", "1e999", "007", "1_0")
        ],
        *[(text, text) for text in ("true", "[1]", "٣", "9" * 400, "--", "+")],
    ],
)
def test_numeric_text_becomes_a_number(text: str, number: object) -> None:
    result = converted("skill", "30724", text)
    assert (result, type(result)) == (number, type(number))
    assert converted("profile", "country", text) == text


# --- the table and the schema agree ---------------------------------------------------------------

SCHEMA = load_schema("message")
VALIDATOR = Draft7Validator({"definitions": SCHEMA["definitions"], "$ref": "#/definitions/filter"})
RULES = [(category, key, rule) for category in TABLE for key, rule in TABLE[category].items()]
TEMPLATES = st.sampled_from(["{{ x }}", "a{% if b %}c{% endif %}"])


def fitting(rule: Rule) -> st.SearchStrategy[object]:
    bound = 2**53 - 1
    whole = st.integers(-bound, bound)
    by_kind: dict[str, st.SearchStrategy[object]] = {
        "number": whole | st.floats(-bound, bound),
        "integer": whole | st.integers(-(2**40), 2**40).map(float),
        "boolean": st.booleans(),
        "word": st.sampled_from(rule.words or ("",)),
        "code": st.text("ABCXYZ", min_size=2, max_size=2),
    }
    return by_kind[rule.takes]


@st.composite
def good_conditions(draw: st.DrawFn, templates: bool = True) -> dict[str, object]:
    if draw(st.integers(0, 3)) == 0:
        operator = draw(st.sampled_from(ORDER))
        value: object = draw(st.integers(0, 100) | st.floats(0, 100))
        key = draw(st.text("abc012-_", min_size=1, max_size=64))
        condition: dict[str, object] = {"category": "skill", "key": key, "operator": operator}
        if operator != "EQ" or draw(st.booleans()):
            condition["value"] = value
        elif draw(st.booleans()):
            condition["value"] = None
    else:
        category, key, rule = draw(st.sampled_from(RULES))
        value = draw(fitting(rule))
        operator = draw(st.sampled_from(rule.operators))
        condition = {"category": category, "key": key, "operator": operator, "value": value}
    if templates and draw(st.integers(0, 4)) == 0:
        condition["value"] = draw(TEMPLATES)
    return condition


def grown(conditions: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        conditions,
        lambda nodes: st.builds(
            lambda joint, children: {joint: children},
            st.sampled_from(["and", "or"]),
            st.lists(nodes, min_size=1, max_size=3),
        ),
        max_leaves=6,
    )


WORDS = sorted({word for _, _, rule in RULES for word in rule.words})
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 120),
    st.sampled_from([2**53, -(2**53), 2**53 - 1, 0.5, 100.0, 100.5, 1e300]),
    st.sampled_from([*WORDS, "US", "us", "USA", "", " ", "a b", "80", "true", "{{ x }}", "{% x"]),
    st.sampled_from([[], ["EN"], {}, {"and": []}]),
)
NAMES = [*CATEGORIES, *(key for _, key, _ in RULES), *OPERATORS, "eq", "Profile", "30724"]
ANY_CONDITION = st.fixed_dictionaries(
    {},
    optional={
        "category": st.sampled_from(CATEGORIES) | JUNK,
        "key": st.sampled_from(NAMES) | JUNK,
        "operator": st.sampled_from(OPERATORS) | JUNK,
        "value": JUNK,
        "and": JUNK,
        "AND": JUNK,
        "extra": JUNK,
    },
)


@st.composite
def nearly_good(draw: st.DrawFn) -> dict[str, object]:
    condition = draw(good_conditions())
    change = draw(st.sampled_from(["drop", "junk", "operator", "key", "extra"]))
    key = draw(st.sampled_from(["category", "key", "operator", "value"]))
    if change == "drop":
        condition.pop(key, None)
    elif change == "junk":
        condition[key] = draw(JUNK)
    elif change == "operator":
        condition["operator"] = draw(st.sampled_from(OPERATORS))
    elif change == "key":
        condition["key"] = draw(st.sampled_from(NAMES))
    else:
        condition[draw(st.sampled_from(["and", "or", "note"]))] = draw(JUNK)
    return condition


@st.composite
def broken_groups(draw: st.DrawFn) -> object:
    joints = draw(st.lists(st.sampled_from(["and", "or", "AND", "Or"]), min_size=1, max_size=2))
    children = st.lists(good_conditions() | JUNK, max_size=3)
    return {joint: draw(children | JUNK) for joint in joints}


BY_THE_API = """
profile gender: EQ NE: MALE FEMALE
profile country citizenship: EQ NE: code
profile education: EQ NE: BASIC MIDDLE HIGH
profile adult_allowed verified: EQ NE: boolean
profile date_of_birth: EQ NE GT GTE LT LTE: integer
profile city: IN NOT_IN: integer
profile languages: IN NOT_IN: code
computed region_by_phone region_by_ip: IN NOT_IN: integer
computed device_category: EQ NE: PERSONAL_COMPUTER SMARTPHONE TABLET WEARABLE_COMPUTER
computed client_type: EQ NE: BROWSER TOLOKA_APP
computed os_family: EQ NE: WINDOWS OS_X MAC_OS LINUX BSD ANDROID IOS BLACKBERRY
computed user_agent_type: EQ NE: BROWSER MOBILE_BROWSER OTHER
computed user_agent_family: EQ NE: IE CHROMIUM CHROME FIREFOX SAFARI YANDEX_BROWSER IE_MOBILE CHROME_MOBILE MOBILE_FIREFOX MOBILE_SAFARI
computed os_version user_agent_version: EQ NE GT GTE LT LTE: number
computed os_version_major os_version_minor os_version_bugfix: EQ NE GT GTE LT LTE: integer
computed user_agent_version_major user_agent_version_minor user_agent_version_bugfix: EQ NE GT GTE LT LTE: integer
"""


def test_the_table_is_the_one_of_the_api() -> None:
    documented = {}
    for line in BY_THE_API.strip().splitlines():
        names, operators, values = (part.split() for part in line.split(":"))
        for key in names[1:]:
            documented[names[0], key] = (tuple(operators), values)
    assert documented == {
        (category, key): (rule.operators, list(rule.words) or [rule.takes])
        for category, key, rule in RULES
    }


def words_in_the_schema(schema: object) -> set[str]:
    if isinstance(schema, list):
        return {word for item in schema for word in words_in_the_schema(item)}
    if isinstance(schema, dict):
        own = [*schema.get("enum", ()), schema.get("const")]
        found = {word for word in own if isinstance(word, str)}
        return found | {word for item in schema.values() for word in words_in_the_schema(item)}
    return set()


def every_single_step_from_a_good_condition() -> Iterator[dict[str, object]]:
    words = sorted(words_in_the_schema(SCHEMA["definitions"]) | set(WORDS) | {*NAMES, "UK"})
    values: list[object] = [
        *words,
        True,
        None,
        0,
        1.0,
        0.5,
        -1,
        100,
        101,
        2**53 - 1,
        2**53,
        [],
        {},
        "{{ x }}",
    ]
    samples: dict[str, object] = {"number": 1.5, "integer": 7, "boolean": True, "code": "US"}
    conditions = [{"category": "skill", "key": "30724", "operator": "EQ", "value": 80}]
    for category, key, rule in RULES:
        value: Any = rule.words[0] if rule.words else samples[rule.takes]
        operator = rule.operators[0]
        conditions.append({"category": category, "key": key, "operator": operator, "value": value})
    for condition in conditions:
        yield from ({**condition, "category": word} for word in CATEGORIES)
        yield from ({**condition, "key": word} for word in words)
        yield from ({**condition, "operator": word} for word in words)
        yield from ({**condition, "value": value} for value in values)


def test_table_and_schema_agree_one_step_from_every_good_condition() -> None:
    for condition in one_in(4, every_single_step_from_a_good_condition()):
        right = not find_filter_faults(condition, rendered=False)
        assert VALIDATOR.is_valid(condition) == right, condition


@given(grown(good_conditions()))
def test_every_good_tree_is_right_by_table_and_schema(tree: object) -> None:
    assert find_filter_faults(tree, rendered=False) == []
    assert VALIDATOR.is_valid(tree)


@given(grown(good_conditions(templates=False)))
def test_every_good_tree_without_templates_is_right_when_rendered(tree: object) -> None:
    assert find_filter_faults(tree, rendered=True) == []


@settings(max_examples=1_000 if IS_THOROUGH else 100 if IS_NIGHTLY else 30)
@given(grown(ANY_CONDITION | nearly_good() | good_conditions() | broken_groups()) | JUNK)
def test_table_and_schema_agree_on_every_tree(tree: object) -> None:
    assert VALIDATOR.is_valid(tree) == (not find_filter_faults(tree, rendered=False))


@given(grown(ANY_CONDITION | nearly_good()) | JUNK, st.booleans())
def test_each_fault_has_a_hint_and_a_place_in_the_tree(tree: object, rendered: bool) -> None:
    for fault in find_filter_faults(tree, rendered=rendered, at=()):
        assert fault.what
        assert fault.hint
        assert not {"None", "True", "False"} & set(fault.what.split())
        here: Any = tree
        for step in fault.pointer:
            here = here[step]


def matches(tree: Any, known: dict[str, bool]) -> bool:
    """Evaluate a filter where `known` says which of its conditions hold."""
    for joint, combine in (("and", all), ("or", any)):
        if joint in tree:
            return combine(matches(node, known) for node in tree[joint])
    return known[json.dumps(normal_form(tree))]


@given(grown(good_conditions()), st.data())
def test_the_normal_form_is_one_and_means_the_same(tree: Any, data: st.DataObject) -> None:
    normal = normal_form(tree)
    assert normal_form(normal) == normal
    assert normal_form(wrapped(tree)) == normal
    known = {text: data.draw(st.booleans()) for text in sorted(conditions_in(tree))}
    assert matches(normal, known) == matches(tree, known)


def conditions_in(tree: Any) -> set[str]:
    nodes = tree.get("and", tree.get("or"))
    if nodes is None:
        return {json.dumps(normal_form(tree))}
    return {text for node in nodes for text in conditions_in(node)}
