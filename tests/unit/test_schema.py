from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from support import IS_NIGHTLY, load_schema

from runner.errors import Pointer
from runner.spec.holds import compiled
from runner.spec.schema import (
    SCHEMA_NAMES,
    checked_schema,
    find_config_faults,
    find_message_faults,
    schema_text,
)

OK: Mapping[str, Any] = {
    "topic": {"EN": "Thank you, {{ team }}!", "NO": "Takk!"},
    "text": {"EN": "Amazing job!", "NO": "Bra jobba!"},
    "recipients_select_type": "DIRECT",
    "recipients_ids": ["1ad097faba0eff85a04fe30bc04d53db", "{{ winner }}", "0123", "1e5"],
    "answerable": False,
    "variables": {"team": "cat labellers"},
}
CONDITION = {"category": "profile", "key": "country", "operator": "EQ", "value": "US"}
REPLY: Mapping[str, Any] = {"reply_to": "thank-you", "text": {"EN": "Thanks!"}}
LOOKS = (
    'a message looks like this: topic: {EN: "Hello"}, text: {EN: "Thank you!"}, '
    "recipients_select_type: DIRECT, recipients_ids: [1ad097faba0eff85a04fe30bc04d53db]"
)


def message(*left_out: str, **changes: object) -> dict[str, object]:
    return {key: value for key, value in {**OK, **changes}.items() if key not in left_out}


def filtered(**changes: object) -> dict[str, object]:
    to_filter = {"recipients_select_type": "FILTER", "recipients_filter": CONDITION}
    return message("recipients_ids", **{**to_filter, **changes})


def said(data: object) -> list[tuple[Pointer, str, str]]:
    return [(fault.pointer, fault.what, fault.hint) for fault in find_message_faults(data)]


RIGHT = [
    message(),
    message(id="bonus/may_2026.v1", revision=3, draft=True, folders=["IMPORTANT", "INBOX"]),
    message(recipients_ids="{{ winners }}"),
    message(recipients_ids="  {{ winners |\n list }} "),
    message("recipients_ids", recipients_file="winners.txt"),
    message("recipients_ids", recipients_file="lists/winners.csv", recipients_column="worker"),
    message(recipients_ids=["{{ row.toloker_id }}"], for_each="bonuses.jsonl"),
    message(not_before="2026-11-22T09:00:00Z", not_after="2026-11-22T12:30+03:00"),
    message(not_before="2026-11-22 09:00:00.123456789-0330"),
    message(lint={"contact-details": "a public address"}),
    filtered(),
    filtered(recipients_filter={"and": [CONDITION, {"or": [{**CONDITION, "value": "{{ x }}"}]}]}),
    message("recipients_ids", recipients_select_type="ALL"),
    REPLY,
    {**REPLY, "only_answered": True, "draft": True, "variables": {"a": None}},
    {"thread_id": "63c15866757a4a1adad1d632", "text": {"EN": "Hi"}, "folders": ["IMPORTANT"]},
    {"thread_id": "{{ thread }}", "text": {"EN": "Hi"}},
]


@pytest.mark.parametrize("data", RIGHT)
def test_nothing_is_wrong_with_a_right_message(data: object) -> None:
    assert said(data) == []
    assert list(Draft7Validator(load_schema("message")).iter_errors(data)) == []


NO_ID = "an id has 1 to 64 letters, digits, - and _, and nothing around it"
IDS = "write a list of Toloker ids, each after a dash, or one {{ expression }} that gives a list"
TYPES = "write DIRECT, FILTER or ALL"
REPLIES = "remove it, a reply has only `text`; or remove `reply_to`"
ID_HINT = "use up to 200 letters, digits, dots, _ and -, with / between parts, such as bonus/may"
WHEN = "write a date and time with a zone, such as 2026-11-22T09:00:00Z"
REAL = "write a date and time that exist, such as 2026-11-30T18:00:00Z"
PER_LANGUAGE = 'write it per language: topic: {EN: "Thank you!"}'
TEXT_PER_LANGUAGE = 'write it per language: text: {EN: "Amazing job!"}'
WORDING = 'write what Tolokers should read, such as EN: "Thank you!"'
TYPE = "recipients_select_type"
COMPARED = "write both in the same languages"

WRONG: list[tuple[object, Pointer, str, str]] = [
    # Not a message at all.
    (None, (), "the file is empty", LOOKS),
    ("Hello", (), "text is no message", LOOKS),
    # Keys.
    (message(recipient_ids=["a"]), ("recipient_ids",), 'unknown key "recipient_ids"', "remove it: `recipients_ids` is there already"),
    (message("recipients_ids", recipients_fle="a.txt"), ("recipients_fle",), 'unknown key "recipients_fle"', "did you mean `recipients_file`?"),
    (message("topic", Topic={"EN": "x", "NO": "y"}), ("Topic",), 'unknown key "Topic"', "did you mean `topic`?"),
    ({"reply_too": "x", "text": {"EN": "x"}}, ("reply_too",), 'unknown key "reply_too"', "did you mean `reply_to`?"),
    (message("topic"), (), "`topic` is missing", PER_LANGUAGE),
    ({"reply_to": "thank-you"}, (), "`text` is missing", TEXT_PER_LANGUAGE),
    # Who gets it.
    (message(recipients_select_type=None), (TYPE,), "`recipients_select_type` has no value", TYPES),
    (message(recipients_select_type=5), (TYPE,), "`recipients_select_type` cannot be 5", TYPES),
    (message(recipients_select_type=True), (TYPE,), "`recipients_select_type` cannot be true", TYPES),
    (message(recipients_filter=CONDITION), ("recipients_filter",), "`recipients_filter` does not go with DIRECT", "write FILTER to go by a condition, or write ids instead"),
    (message("recipients_ids", recipients_filter={"nonsense": 1}), ("recipients_filter",), "`recipients_filter` does not go with DIRECT", "write FILTER to go by a condition, or write ids instead"),
    (message(recipients_select_type="FILTER", recipients_ids=[None]), ("recipients_ids",), "`recipients_ids` does not go with FILTER", "write DIRECT to go by ids, or write `recipients_filter` instead"),
    (message("recipients_ids", recipients_file="a.txt", for_each="a.csv"), ("for_each",), "`for_each` does not go with `recipients_file`", 'the rows have the ids: write recipients_ids: ["{{ row.toloker_id }}"] instead of the file'),
    (message(recipients_column="id"), ("recipients_column",), "`recipients_column` does not go with `recipients_ids`", "remove it: it names a column of `recipients_file`"),
    (message(recipients_ids=None), ("recipients_ids",), "`recipients_ids` has no value", IDS),
    (message(recipients_ids={}), ("recipients_ids",), "`recipients_ids` is a mapping, not a list or text", IDS),
    (message(recipients_ids=["a\u0085"]), ("recipients_ids", 0), '"a\\x85" is not an id: it holds a control character (U+0085)', NO_ID),
    (message(recipients_ids=["a", ["b"]]), ("recipients_ids", 1), "a list where a Toloker id should be", NO_ID),
    (message(for_each="rows.yaml"), ("for_each",), '`for_each` cannot be "rows.yaml"', "name a .csv, .tsv, .json or .jsonl file"),
    (filtered(recipients_filter={**CONDITION, "operator": "GT"}), ("recipients_filter", "operator"), "country takes EQ or NE, not GT", "write operator: EQ"),
    (filtered(recipients_filter=None), ("recipients_filter",), "nothing where a condition should be", "write a condition, {category: profile, key: country, operator: EQ, value: US}, or a list of them under `and` or `or`"),
    # Languages.
    (message(text=["Hello"]), ("text",), "`text` is a list, not a mapping", TEXT_PER_LANGUAGE),
    (message(topic=None), ("topic",), "`topic` has no value", PER_LANGUAGE),
    (message(topic={}), ("topic",), "`topic` is empty", PER_LANGUAGE),
    (message(text={"EN": "x", "NO": "y", "DE\n": "z"}), ("text", "DE\n"), '"DE\\n" is not a language code', "a language is two upper-case letters, such as EN"),
    (message(text={"EN": "x", "NO": None}), ("text", "NO"), "`text.NO` has no value", WORDING),
    (message(text={"EN": "x", "NO": True}), ("text", "NO"), "`text.NO` is true, not text", "put it in quotes"),
    # Single values.
    (message(id="/a"), ("id",), '`id` cannot be "/a"', ID_HINT),
    (message(id="a/"), ("id",), '`id` cannot be "a/"', ID_HINT),
    (message(id="a\n"), ("id",), '`id` cannot be "a\\n"', ID_HINT),
    (message(id=""), ("id",), "`id` is empty", ID_HINT),
    (message(id="a" * 201), ("id",), "`id` is 201 characters long", ID_HINT),
    (message(id=7), ("id",), "`id` is a number, not text", "put it in quotes"),
    (message(revision="2"), ("revision",), "`revision` is text, not a whole number", "write 2 without quotes"),
    (message(revision="{{ n }}"), ("revision",), "`revision` is text, not a whole number", "this key takes no template"),
    (message(revision=True), ("revision",), "`revision` is true, not a whole number", "write a whole number from 1 up"),
    (message(revision=1.5), ("revision",), "`revision` is 1.5, not a whole number", "write a whole number from 1 up"),
    (message(answerable="yes"), ("answerable",), "`answerable` is text, not true or false", "write true"),
    (message(draft=1), ("draft",), "`draft` is a number, not true or false", "write true or false"),
    (message(folders=[]), ("folders",), "`folders` is empty", "write a list, such as [IMPORTANT]"),
    (message(folders=["INBOX", "INBOX"]), ("folders", 1), '"INBOX" is in `folders` twice', "keep one of them"),
    (message(folders=["important"]), ("folders", 0), '`folders` cannot hold "important"', "write IMPORTANT"),
    (message(variables=["a"]), ("variables",), "`variables` is a list, not a mapping", "write each as name: value"),
    (message(lint={"html": " "}), ("lint", "html"), '`lint.html` cannot be " "', "say in a few words why the rule does not apply here"),
    (message(lint={"htlm": "x"}), ("lint", "htlm"), 'unknown key "htlm" in `lint`', "did you mean `html`?"),
    # The window.
    (message(not_before="2026-11-22"), ("not_before",), '`not_before` cannot be "2026-11-22"', WHEN),
    (message(not_after="2026-02-03T25:00Z"), ("not_after",), 'there is no such time as "2026-02-03T25:00Z"', REAL),
    (message(not_after="2026-02-03T05:00+24:00"), ("not_after",), 'there is no such time as "2026-02-03T05:00+24:00"', REAL),
    (message(not_after="0001-01-01T00:00+01:00"), ("not_after",), 'there is no such time as "0001-01-01T00:00+01:00"', REAL),
    (message(not_before="2026-03-30T00:00Z", not_after="2026-03-30T00:59+01:00"), ("not_after",), "`not_after` is earlier than `not_before`: the message would never be sent", "correct one of them, or exchange them"),
    (message(not_before="2026-03-30T00:00-01:00", not_after="2026-03-30T00:30Z"), ("not_after",), "`not_after` is earlier than `not_before`: the message would never be sent", "correct one of them, or exchange them"),
    # Replies.
    ({**REPLY, "topic": {"en": 5}}, ("topic",), "`topic` does not go with `reply_to`", REPLIES),
    ({**REPLY, "answerable": True}, ("answerable",), "`answerable` does not go with `reply_to`", REPLIES),
    ({"thread_id": "x y", "text": {"EN": "x"}}, ("thread_id",), '`thread_id` cannot be "x y"', "write the thread's id as it is in Toloka, without spaces"),
    ({"thread_id": "x", "text": {"EN": "x"}, "only_answered": True}, ("only_answered",), "`only_answered` does not go with `thread_id`", "remove it: it chooses among the threads of `reply_to`"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "where", "what", "hint"), WRONG)
def test_one_mistake_is_one_sentence(data: object, where: Pointer, what: str, hint: str) -> None:
    assert said(data) == [(where, what, hint)]


def test_an_unknown_key_that_resembles_none_lists_them_all() -> None:
    ((where, what, hint),) = said(message(zzzzzz=1))
    assert (where, what) == (("zzzzzz",), 'unknown key "zzzzzz"')
    assert hint == f"the keys are {', '.join(load_schema('message')['properties'])}"


def test_a_complaint_about_a_key_points_at_the_key() -> None:
    faults = find_message_faults(message("recipients_ids", recipient_ids=["a"], text={"EN": "x"}))
    assert [(fault.pointer, fault.at_key) for fault in faults] == [
        (("recipient_ids",), True),
        (("text",), True),
    ]
    (fault,) = find_message_faults(message("recipients_ids"))
    assert not fault.at_key


def test_all_mistakes_are_said_at_once() -> None:
    data = filtered(
        topic={"en": "x"},
        revision="2",
        recipients_filter={"and": [{**CONDITION, "key": "contry"}, {**CONDITION, "value": "us"}]},
        folders=["INBOX", "Inbox"],
        not_before="2026-13-01T00:00Z",
        drafft=True,
    )
    assert {where for where, _, _ in said(data)} == {
        ("topic", "en"),
        ("text",),
        ("revision",),
        ("recipients_filter", "and", 0, "key"),
        ("recipients_filter", "and", 1, "value"),
        ("folders", 1),
        ("not_before",),
        ("drafft",),
    }


def test_what_is_quoted_is_short_and_cannot_move_the_cursor() -> None:
    for value in ("\x1b[2J" + "x" * 1000, "\u202ereversed", "a\nb"):
        for data in (message(id=value + " "), message(**{value: 1}), message(topic={value: "x"})):
            for _, what, hint in said(data):
                assert what.isprintable()
                assert hint.isprintable()
                assert len(what) < 120


def test_a_thousand_ordinary_messages_are_checked_in_well_under_a_second() -> None:
    find_message_faults(OK)
    started = time.process_time()
    for _ in range(1000):
        find_message_faults(OK)
    # A quarter of a second on an old laptop's core; the rest is for a busy machine.
    assert time.process_time() - started < 1.5


@pytest.mark.parametrize(
    "data",
    [
        message(recipients_ids=[f"toloker-{number}" for number in range(200_000)]),
        message(recipients_ids=[f"not an id {number}" for number in range(200_000)]),
        message(folders=[{"a": number} for number in range(50_000)]),
        message(**{f"recipient{number}": 1 for number in range(50_000)}),
        message("topic", **{f"recipient{number}": 1 for number in range(50_000)}),
        message(topic={f"e{number}": 1 for number in range(50_000)}),
        message(recipients_ids="{{" + "}} " * 100_000),
        message(id="a/" * 100_000),
        message(lint={f"htm{number}": 1 for number in range(50_000)}),
        filtered(recipients_filter={"or": [{"categroy": "x"}] * 50_000}),
        filtered(recipients_filter={f"key{number}": 1 for number in range(50_000)}),
    ],
    ids=range(11),
)
def test_a_huge_file_takes_a_bounded_time(data: object) -> None:
    started = time.process_time()
    assert len(find_message_faults(data)) < 1000
    assert time.process_time() - started < 5


# --- whatever is in the file ----------------------------------------------------------------------

NOISE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 500),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from(["DIRECT", "FILTER", "ALL", "a.csv", "{{ x }}", "2026-11-22T09:00Z", "a b"]),
    st.lists(st.text("AB ", max_size=2) | st.none(), max_size=2),
    st.dictionaries(st.sampled_from(["EN", "en", "a b", "url", "html"]), st.text(max_size=2)),
)
LEAKS = re.compile(
    r"is not valid|required property|does not match|is not of type|not one of|schema|\^|\\Z"
    r"|\bNone\b|\bTrue\b|\bFalse\b|dict|regex"
)


def variations(base: st.SearchStrategy[Any], keys: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    extra = st.dictionaries(st.sampled_from([*keys, "recipient_ids", "topics"]), NOISE, max_size=3)
    gone = st.sets(st.sampled_from(keys), max_size=2)
    return st.builds(
        lambda start, added, removed: {
            key: value for key, value in {**start, **added}.items() if key not in removed
        },
        base,
        extra,
        gone,
    )


MESSAGES = variations(st.sampled_from(RIGHT), list(load_schema("message")["properties"]))
CONFIGS = variations(
    st.just({"target": "local", "targets": {"my-team": {"url": "https://toloka.dev"}}}),
    list(load_schema("config")["properties"]),
)


@settings(max_examples=400 if IS_NIGHTLY else 100)
@given(MESSAGES)
def test_no_message_that_the_schema_refuses_goes_without_a_complaint(data: object) -> None:
    faults = find_message_faults(data)
    if not Draft7Validator(load_schema("message")).is_valid(data):
        assert faults
    for fault in faults:
        assert fault.hint
        assert not LEAKS.search(re.sub(r'"[^"]*"', "", fault.what))
        assert not LEAKS.search(fault.hint)
    assert len(faults) == len({(fault.pointer, fault.what) for fault in faults})


@settings(max_examples=200 if IS_NIGHTLY else 50)
@given(MESSAGES)
def test_what_the_schema_takes_fails_only_where_python_knows_more(data: object) -> None:
    if Draft7Validator(load_schema("message")).is_valid(data):
        for fault in find_message_faults(data):
            assert fault.pointer[0] in ("text", "not_before", "not_after"), fault


@given(MESSAGES)
def test_each_complaint_points_into_the_file(data: Any) -> None:
    for fault in find_message_faults(data):
        here = data
        for step in fault.pointer:
            here = here[step]


# --- the configuration ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"targets": {"my-team": {"url": "https://toloka.example:8443/base/"}}},
        {"target": "my-team", "targets": {"my-team": {"url": "http://localhost:8080"}}},
        {
            "messages": "messages",
            "targets": {"a": {"url": "https://a.dev/", "act_under_account_id": "ac1e"}},
            "defaults": {"rate": 0.5, "jobs": 256, "timeout": 30, "settle": 0},
            "variables": {"team": ["a"]},
            "policy": {"allow_all": False, "max_recipients": 0},
            "lint": {"html": "off", "contact-details": "error"},
            "suppress": "suppress.txt",
        },
    ],
)
def test_nothing_is_wrong_with_a_right_configuration(data: object) -> None:
    assert find_config_faults(data) == []


URL_HINT = "write an address such as https://toloka.dev, without /api and without a password"
TARGET_HINT = (
    "write local, production, sandbox, yandex-tasks, or a name from targets; "
    "a URL goes under targets, or after --target"
)


def target(**settings: object) -> dict[str, object]:
    return {"targets": {"me": settings}}


@pytest.mark.parametrize(
    ("data", "where", "what", "hint"),
    [
        ([], (), "a list is no configuration", "write each setting as name: value, such as target: local"),
        ({"mesages": "x"}, ("mesages",), 'unknown key "mesages"', "did you mean `messages`?"),
        ({"target": "prodction"}, ("target",), 'there is no target "prodction"', "did you mean production?"),
        ({"target": "zzz"}, ("target",), 'there is no target "zzz"', "write local, production, sandbox or yandex-tasks, or define it under `targets`"),
        ({"target": "https://toloka.dev"}, ("target",), '`target` cannot be "https://toloka.dev"', TARGET_HINT),
        ({"target": "https://me:secret@toloka.dev"}, ("target",), "`target` cannot be an address with @ in it", TARGET_HINT),
        (target(url="https://me:secret@toloka.dev"), ("targets", "me", "url"), "`targets.me.url` cannot be an address with @ in it", URL_HINT),
        (target(url="toloka.dev"), ("targets", "me", "url"), '`targets.me.url` cannot be "toloka.dev"', URL_HINT),
        (target(url="https://toloka.dev/api/"), ("targets", "me", "url"), '`targets.me.url` cannot be "https://toloka.dev/api/"', URL_HINT),
        (target(), ("targets", "me"), "`url` is missing in `targets.me`", "add url: https://toloka.dev"),
        (target(ulr="https://toloka.dev"), ("targets", "me", "ulr"), 'unknown key "ulr" in `targets.me`', "did you mean `url`?"),
        (target(url="https://a.dev", act_under_account_id=5), ("targets", "me", "act_under_account_id"), "`targets.me.act_under_account_id` is a number, not text", "put it in quotes"),
        ({"targets": {"local": {"url": "https://a.dev"}}}, ("targets", "local"), "the target local is built in", "give yours another name, such as my-local"),
        ({"targets": {"Me": {"url": "https://a.dev"}}}, ("targets", "Me"), '"Me" cannot be the name of a target', "use lower-case letters, digits and -, and a letter first"),
        ({"targets": {"me": "https://a.dev"}}, ("targets", "me"), "`targets.me` is text, not a mapping", "write it as {url: https://toloka.dev}"),
        ({"defaults": {"rate": 0}}, ("defaults", "rate"), "`defaults.rate` cannot be 0", "write a number above 0, up to 300"),
        ({"defaults": {"rate": 301}}, ("defaults", "rate"), "`defaults.rate` cannot be 301", "write a number above 0, up to 300"),
        ({"defaults": {"jobs": 257}}, ("defaults", "jobs"), "`defaults.jobs` cannot be 257", "write a whole number from 1 to 256"),
        ({"defaults": {"timeout": "30"}}, ("defaults", "timeout"), "`defaults.timeout` is text, not a number", "write 30 without quotes"),
        ({"defaults": {"settle": -1}}, ("defaults", "settle"), "`defaults.settle` cannot be -1", "write a number of seconds, 0 or more"),
        ({"policy": {"allow_all": "no"}}, ("policy", "allow_all"), "`policy.allow_all` is text, not true or false", "write false"),
        ({"policy": None}, ("policy",), "`policy` has no value", "write each as name: value, such as allow_all: false"),
        ({"lint": {"html": "Warn"}}, ("lint", "html"), '`lint.html` cannot be "Warn"', "did you mean warning? There are off, warning, error"),
        ({"lint": {"html": False}}, ("lint", "html"), "`lint.html` cannot be false", "write off, warning or error"),
        ({"suppress": "a.xls"}, ("suppress",), '`suppress` cannot be "a.xls"', "name a .txt file with one id a line, a .csv or .tsv file, or a list of such files"),
    ],
)  # fmt: skip
def test_one_mistake_in_the_configuration_is_one_sentence(
    data: object, where: Pointer, what: str, hint: str
) -> None:
    faults = find_config_faults(data)
    assert [(fault.pointer, fault.what, fault.hint) for fault in faults] == [(where, what, hint)]


@given(CONFIGS)
def test_no_configuration_that_the_schema_refuses_goes_without_a_complaint(data: object) -> None:
    faults = find_config_faults(data)
    if not Draft7Validator(load_schema("config")).is_valid(data):
        assert faults
    assert all(fault.hint for fault in faults)


# --- the schemas themselves -----------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_each_schema_is_draft_07(name: str) -> None:
    schema = load_schema(name)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    Draft7Validator.check_schema(schema)
    assert schema["title"]
    assert schema["description"]


def described(schema: Mapping[str, Any], name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Find everything an editor would show, under conditions excepted: they only repeat keys."""
    yield name, schema
    for group in ("properties", "patternProperties", "definitions"):
        for key, below in schema.get(group, {}).items():
            yield from described(below, f"{name}.{key}")


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_everything_in_a_schema_has_a_title_a_description_and_right_examples(name: str) -> None:
    root = load_schema(name)
    for where, found in described(root, name):
        key = found.get("$ref", "#/").removeprefix("#/definitions/")
        schema = root["definitions"][key] if "$ref" in found else found
        assert schema.get("title"), where
        assert schema.get("description", "").endswith("."), where
        assert schema.get("examples"), where
        validator = Draft7Validator({**schema, "definitions": root.get("definitions", {})})
        for example in schema["examples"]:
            assert list(validator.iter_errors(example)) == [], where


def test_examples_of_messages_and_configurations_are_right_in_all_respects() -> None:
    for example in load_schema("message")["examples"]:
        assert find_message_faults(example) == []
    for example in load_schema("config")["examples"]:
        assert find_config_faults(example) == []


def test_schemas_need_no_network() -> None:
    for name in SCHEMA_NAMES:
        references = re.findall(r'"\$ref": "([^"]*)"', schema_text(name))
        assert all(reference.startswith("#/definitions/") for reference in references)
        assert "markdownDescription" not in schema_text(name)


NOW = "2026-11-22T21:00:00.402Z"
DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("line", "valid"),
    [
        ({"event": "sent", "delivery": "d", "thread_id": "t", "at": NOW, "later": 1}, True),
        ({"event": "sent", "delivery": "d", "thread_id": "t", "at": NOW[:-1]}, False),
        ({"event": "sent", "delivery": "d", "at": NOW}, False),
        ({"event": "sent", "delivery": "d", "thread_id": "t", "at": NOW, "how": "luck"}, False),
        ({"event": "rejected", "delivery": "d", "status": None, "code": None, "detail": "", "at": NOW}, True),
        ({"event": "no_recipients", "delivery": "d", "at": NOW}, True),
        ({"event": "not_found", "delivery": "d", "at": NOW, "how": "resolved"}, True),
        ({"event": "folders", "thread_id": "t", "delivery": "d", "folders": ["TRASH"], "at": NOW}, False),
        ({"event": "intent", "delivery": "d", "message": "m", "revision": 1, "source": "m.yaml", "action": "reply", "thread_id": "t", "digest": DIGEST, "at": NOW}, True),
        ({"event": "intent", "delivery": "d", "message": "m", "revision": 0, "source": "m.yaml", "action": "reply", "digest": DIGEST, "at": NOW}, False),
        ({"event": "intent", "delivery": "d", "message": "m", "revision": 1, "source": "m.yaml", "action": "reply", "digest": "0", "at": NOW}, False),
        ({"event": "manifest", "version": 2, "target": "x", "at": NOW}, False),
        ({"event": "unheard-of"}, False),
        ({}, False),
    ],
)  # fmt: skip
def test_manifest_lines(line: object, valid: bool) -> None:
    assert Draft7Validator(load_schema("manifest")).is_valid(line) == valid


def test_results_know_every_status() -> None:
    (example,) = load_schema("results")["examples"]
    validator = Draft7Validator(load_schema("results"))
    statuses = (
        "planned sent already_sent adopted edited rejected unknown no_recipients suppressed "
        "outside_window missed held draft waiting not_tried in_doubt being_sent"
    )
    for status in statuses.split():
        delivery = {**example["deliveries"][0], "status": status, "recipients_select_type": None}
        assert validator.is_valid({**example, "summary": {status: 2}, "deliveries": [delivery]})
    assert not validator.is_valid({**example, "summary": {"lost": 1}})
    assert not validator.is_valid({**example, "version": 2})


# --- where the schemas are ------------------------------------------------------------------------


def test_the_text_is_the_file() -> None:
    folder = Path(__file__).parents[2] / "schemas"
    assert {file.name for file in folder.glob("*.json")} == {
        f"{n}.schema.json" for n in SCHEMA_NAMES
    }
    for name in SCHEMA_NAMES:
        assert schema_text(name) == (folder / f"{name}.schema.json").read_text(encoding="utf-8")


def test_there_is_no_other_schema() -> None:
    with pytest.raises(KeyError):
        schema_text("../pyproject")


def test_each_load_is_a_fresh_copy() -> None:
    assert load_schema("message") is not load_schema("message")


def test_importing_does_not_load_the_validator() -> None:
    program = "import runner.spec.schema, sys; print('jsonschema' in sys.modules)"
    command = [sys.executable, "-c", program]
    here = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# --- the quick answer -----------------------------------------------------------------------------

_NAMES = sorted({*load_schema("message")["properties"], "unknown", "EN", "en", "toloka_id"})
_WORDS = st.sampled_from(["DIRECT", "FILTER", "ALL", "{{ x }}", "", "x", "IMPORTANT", "2026"])
_ANY = st.recursive(
    _WORDS | st.none() | st.booleans() | st.sampled_from([0, 1, 1.0, -1, 0.5]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("name", ["message", "config"])
@given(data=st.data())
def test_the_quick_answer_is_that_of_jsonschema(name: str, data: st.DataObject) -> None:
    schema = checked_schema(name)
    base = data.draw(st.sampled_from([{}, *schema["examples"]]))
    names = st.sampled_from(sorted({*schema["properties"], "unknown"}))
    changes = data.draw(st.dictionaries(names, _ANY, max_size=4))
    left_out = data.draw(st.sets(names, max_size=2))
    changed = {key: value for key, value in {**base, **changes}.items() if key not in left_out}
    assert compiled(schema)(changed) == Draft7Validator(schema).is_valid(changed)
