from __future__ import annotations

import json
import re
from typing import Any

import pytest

from .client import API, TOLOKER, Client, complaints, direct, filtered, to_all
from .conftest import Serve

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}")


def test_direct_message_becomes_a_thread(toloka: Client) -> None:
    account = toloka.control("stats")["account"]
    thread = toloka.composed(direct("zz", "00"))
    requester = {"id": account, "role": "REQUESTER", "myself": True}
    created = thread["created"]
    assert TIME.fullmatch(created)
    assert re.fullmatch("[0-9a-f]{24}", thread.pop("id"))
    people = [{"id": "00", "role": "USER"}, requester, {"id": "zz", "role": "USER"}]
    assert thread == {
        "topic": {"EN": "Thank you!"},
        "interlocutors_inlined": True,
        "interlocutors": people,
        "messages_inlined": True,
        "messages": [{"text": {"EN": "Amazing job!"}, "from": requester, "created": created}],
        "compose_details": {"recipients_select_type": "DIRECT", "recipients_ids": ["zz", "00"]},
        "meta": {},
        "folders": ["OUTBOX"],
        "answerable": True,
        "created": created,
    }


def test_duplicate_recipients_count_once(toloka: Client) -> None:
    thread = toloka.composed(direct("b", "a", "b", answerable=False))
    assert thread["compose_details"]["recipients_ids"] == ["b", "a"]
    assert [who["id"] for who in thread["interlocutors"] if who["role"] == "USER"] == ["a", "b"]
    assert thread["answerable"] is False


def test_message_to_all_names_nobody(toloka: Client) -> None:
    thread = toloka.composed(to_all())
    assert thread["compose_details"] == {"recipients_select_type": "ALL"}
    assert [who["role"] for who in thread["interlocutors"]] == ["REQUESTER"]


SKILL = {"category": "skill", "key": "2022", "operator": "GT", "value": 90}


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ({"and": [SKILL]}, SKILL),
        ({"or": [SKILL]}, {"or": [SKILL]}),
        ({"and": [SKILL, SKILL]}, {"and": [SKILL, SKILL]}),
        ({"and": [{"or": [SKILL]}]}, {"and": [{"or": [SKILL]}]}),
    ],
)
def test_filter_of_one_condition_comes_back_bare(toloka: Client, sent: Any, shown: Any) -> None:
    details = toloka.composed(filtered(sent))["compose_details"]
    assert details == {"recipients_select_type": "FILTER", "recipients_filter": shown}


def test_ids_grow_and_identical_requests_make_separate_threads(toloka: Client) -> None:
    ids = [toloka.composed()["id"] for _ in range(20)]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize(
    "text",
    [
        "  padded \n",
        "a\r\nb\nc",
        "\U0001f389 \u017dlu\u200b \x00 \u2028 \ufeff",
        "</b>&amp;",
        "\"\\'",
    ],
)
def test_texts_come_back_exactly(toloka: Client, text: str) -> None:
    thread = toloka.composed(direct(topic={"EN": text}, text={"EN": text, "RU": text}))
    assert thread["topic"] == {"EN": text}
    assert thread["messages"][0]["text"] == {"EN": text, "RU": text}
    assert toloka.listed() == [thread]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"topic": ...}, {"topic": "VALUE_REQUIRED"}),
        ({"topic": None}, {"topic": "VALUE_REQUIRED"}),
        ({"topic": "Hi"}, {"topic": "OBJECT_EXPECTED"}),
        ({"topic": {}}, {"topic": "EMPTY_OBJECT_NOT_ALLOWED"}),
        ({"topic": {"EN": " \n"}}, {"topic.EN": "BLANK_STRING_NOT_ALLOWED"}),
        ({"text": ...}, {"text": "VALUE_REQUIRED"}),
        ({"text": {"EN": ""}}, {"text.EN": "BLANK_STRING_NOT_ALLOWED"}),
        ({"text": {"EN": 1}}, {"text.EN": "STRING_EXPECTED"}),
        ({"text": {"EN": None}}, {"text.EN": "STRING_EXPECTED"}),
        ({"text": {"en": "a"}}, {"text.en": "PATTERN_MISMATCH"}),
        ({"text": {"ENG": "a"}}, {"text.ENG": "PATTERN_MISMATCH"}),
        ({"answerable": ...}, {"answerable": "VALUE_REQUIRED"}),
        ({"answerable": "yes"}, {"answerable": "BOOLEAN_EXPECTED"}),
        ({"answerable": 1}, {"answerable": "BOOLEAN_EXPECTED"}),
        ({"recipients_select_type": ...}, {"recipients_select_type": "VALUE_REQUIRED"}),
        ({"recipients_select_type": "direct"}, {"recipients_select_type": "UNKNOWN_ENUM_VALUE"}),
        ({"recipients_select_type": []}, {"recipients_select_type": "UNKNOWN_ENUM_VALUE"}),
        ({"recipients_ids": ...}, {"recipients_ids": "VALUE_REQUIRED"}),
        ({"recipients_ids": []}, {"recipients_ids": "ARRAY_SIZE_LESS_THAN_MIN"}),
        ({"recipients_ids": TOLOKER}, {"recipients_ids": "ARRAY_EXPECTED"}),
        ({"recipients_ids": ["a", 7]}, {"recipients_ids.1": "STRING_EXPECTED"}),
        ({"recipients_ids": [None]}, {"recipients_ids.0": "VALUE_REQUIRED"}),
        ({"recipients_ids": ["a b"]}, {"recipients_ids.0": "PATTERN_MISMATCH"}),
        ({"recipients_ids": ["a"] * 101}, {"recipients_ids": "ARRAY_SIZE_GREATER_THAN_MAX"}),
        ({"recipients_filter": {"and": [SKILL]}}, {"recipients_filter": "VALUE_NOT_ALLOWED"}),
        (
            {"recipients_select_type": "ALL", "recipients_filter": {}},
            {"recipients_ids": "VALUE_NOT_ALLOWED", "recipients_filter": "VALUE_NOT_ALLOWED"},
        ),
        (
            {"recipients_select_type": "FILTER"},
            {"recipients_ids": "VALUE_NOT_ALLOWED", "recipients_filter": "VALUE_REQUIRED"},
        ),
        (
            {"recipients_select_type": "?", "recipients_ids": [], "recipients_filter": []},
            {
                "recipients_select_type": "UNKNOWN_ENUM_VALUE",
                "recipients_ids": "ARRAY_SIZE_LESS_THAN_MIN",
                "recipients_filter": "OBJECT_EXPECTED",
            },
        ),
        ({"subject": "Hi", "id": 1}, {"subject": "VALUE_NOT_ALLOWED", "id": "VALUE_NOT_ALLOWED"}),
    ],
)
def test_wrong_fields_are_refused_by_path(toloka: Client, changes: Any, expected: Any) -> None:
    assert complaints(toloka.compose(direct(**changes))) == expected
    assert toloka.control("threads") == []


def test_all_problems_are_told_at_once(toloka: Client) -> None:
    answer = toloka.compose({"topic": {"en": ""}, "x": 1})
    assert set(complaints(answer)) == {
        *("topic.en", "text", "recipients_select_type", "answerable", "x")
    }


def test_optional_fields_may_be_null(toloka: Client) -> None:
    toloka.composed(direct(recipients_filter=None))
    toloka.composed(to_all(recipients_filter=None, recipients_ids=None))


def test_a_hundred_recipients_are_allowed(toloka: Client) -> None:
    thread = toloka.composed(direct(*(f"t{i}" for i in range(100))))
    assert len(thread["interlocutors"]) == 101


def test_refused_recipients_are_not_named(serve: Serve) -> None:
    toloka = serve(refuse=["unwelcome", "unloved"])
    assert complaints(toloka.compose(direct("good", "unwelcome"))) == {
        "recipients_ids": "INVALID_VALUE"
    }
    assert "unwelcome" not in toloka.compose(direct("good", "unwelcome")).text
    toloka.composed(direct("good"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"hello",
        b'{"topic": NaN}',
        b'{"topic": {"EN": "\\ud800"}}',
        b'{"topic": {"EN": "\xff"}}',
        b"[" * 100_000,
        b"[1]",
        b'"text"',
        b"null",
        b"1" * 10_000,
    ],
)
def test_body_that_is_no_json_object_is_refused(toloka: Client, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = toloka.request("POST", f"{API}/compose", data=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["code"] == "VALIDATION_ERROR"
    toloka.composed()


def test_content_type_is_needed_but_may_say_more(toloka: Client) -> None:
    body = json.dumps(direct())
    answer = toloka.request("POST", f"{API}/compose", data=body)
    assert answer.status_code == 415
    for content_type in ("application/JSON", "application/json; charset=utf-8"):
        headers = {"Content-Type": content_type}
        answer = toloka.request("POST", f"{API}/compose", data=body, headers=headers)
        assert answer.status_code == 201


@pytest.mark.parametrize(
    ("echo", "topic", "text"),
    [
        ("exact", " a ", "b\nc\r\nd\n"),
        ("trimmed", "a", "b\nc\r\nd"),
        ("crlf", " a ", "b\r\nc\r\nd\r\n"),
        ("no-details", " a ", "b\nc\r\nd\n"),
    ],
)
def test_echo_can_be_inexact(serve: Serve, echo: str, topic: str, text: str) -> None:
    toloka = serve(echo=echo)
    composed = toloka.composed(direct(topic={"EN": " a "}, text={"EN": "b\nc\r\nd\n"}))
    for thread in (composed, *toloka.listed()):
        assert thread["topic"] == {"EN": topic}
        assert thread["messages"][0]["text"] == {"EN": text}
        assert ("compose_details" in thread) == (echo != "no-details")
    (kept,) = toloka.control("threads")
    assert kept["messages"][0]["text"] == {"EN": "b\nc\r\nd\n"}
    assert kept["compose_details"]["recipients_ids"] == [TOLOKER]
