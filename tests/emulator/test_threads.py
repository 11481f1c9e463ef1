from __future__ import annotations

from typing import Any

import pytest

from .client import API, TOLOKER, Client, complaints, direct, filtered, to_all
from .conftest import Serve


def test_reply_becomes_the_newest_message(toloka: Client) -> None:
    thread = toloka.composed()
    answer = toloka.reply(thread["id"], "And again")
    assert answer.status_code == 201
    texts = [message["text"] for message in answer.json()["messages"]]
    assert texts == [{"EN": "And again"}, {"EN": "Amazing job!"}]
    assert answer.json()["messages"][0]["from"]["myself"] is True
    assert toloka.listed() == [answer.json()]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {"text": "VALUE_REQUIRED"}),
        ({"text": {"EN": ""}}, {"text.EN": "BLANK_STRING_NOT_ALLOWED"}),
        ({"text": {"EN": "a"}, "topic": {"EN": "b"}}, {"topic": "VALUE_NOT_ALLOWED"}),
    ],
)
def test_wrong_reply_is_refused(toloka: Client, body: Any, expected: Any) -> None:
    thread = toloka.composed()
    assert complaints(toloka.post(f"{API}/{thread['id']}/reply", body)) == expected
    assert toloka.listed() == [thread]


@pytest.mark.parametrize("thread_id", ["f" * 24, "nonsense"])
@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("reply", {"text": {"EN": "a"}}),
        ("add-to-folders", {"folders": ["IMPORTANT"]}),
        ("remove-from-folders", {"folders": ["IMPORTANT"]}),
    ],
)
def test_unknown_thread_is_not_found(toloka: Client, thread_id: str, call: str, body: Any) -> None:
    answer = toloka.post(f"{API}/{thread_id}/{call}", body)
    assert (answer.status_code, answer.json()["code"]) == (404, "DOES_NOT_EXIST")


def test_threads_move_between_folders(toloka: Client) -> None:
    path = f"{API}/{toloka.composed()['id']}"
    for call, folders, left in [
        ("add-to-folders", ["IMPORTANT", "IMPORTANT"], ["IMPORTANT", "OUTBOX"]),
        ("add-to-folders", ["UNREAD", "OUTBOX"], ["IMPORTANT", "OUTBOX", "UNREAD"]),
        ("remove-from-folders", ["INBOX", "UNREAD"], ["IMPORTANT", "OUTBOX"]),
        ("remove-from-folders", ["OUTBOX", "IMPORTANT"], []),
    ]:
        answer = toloka.post(f"{path}/{call}", {"folders": folders})
        assert (answer.status_code, answer.json()["folders"]) == (201, left)
        assert toloka.listed() == [answer.json()]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {"folders": "VALUE_REQUIRED"}),
        ({"folders": []}, {"folders": "ARRAY_SIZE_LESS_THAN_MIN"}),
        ({"folders": "INBOX"}, {"folders": "ARRAY_EXPECTED"}),
        ({"folders": ["INBOX", "SPAM"]}, {"folders.1": "UNKNOWN_ENUM_VALUE"}),
        ({"folders": [{}], "x": 1}, {"folders.0": "UNKNOWN_ENUM_VALUE", "x": "VALUE_NOT_ALLOWED"}),
    ],
)
def test_wrong_folders_are_refused(toloka: Client, body: Any, expected: Any) -> None:
    path = f"{API}/{toloka.composed()['id']}/add-to-folders"
    assert complaints(toloka.post(path, body)) == expected


def test_only_recipient_answers_in_the_thread_itself(toloka: Client) -> None:
    composed = toloka.composed()
    thread = toloka.answered(composed["id"])
    assert thread["id"] == composed["id"]
    assert thread["folders"] == ["INBOX", "OUTBOX", "UNREAD"]
    newest, oldest = thread["messages"]
    assert newest["from"] == {"id": TOLOKER, "role": "USER"}
    assert (newest["text"], oldest["text"]) == ({"EN": "Hello"}, {"EN": "Amazing job!"})
    assert toloka.listed() == [thread]


@pytest.mark.parametrize(
    "form",
    [
        direct("ann", "bob"),
        filtered({"or": [{"and": [{"category": "skill", "key": "1", "operator": "EQ"}]}]}),
        to_all(),
    ],
)
def test_one_of_several_answers_in_a_child_thread(toloka: Client, form: Any) -> None:
    parent = toloka.composed(form)
    child = toloka.answered(parent["id"], "bob", "One")
    again = toloka.answered(parent["id"], "bob", "Two")
    within = toloka.answered(child["id"], "bob", "Three")
    other = toloka.answered(parent["id"], "ann", "Me too")
    assert child["parent_id"] == parent["id"] == other["parent_id"]
    assert child["id"] == again["id"] == within["id"] != other["id"]
    assert child["folders"] == ["INBOX", "UNREAD"]
    assert "compose_details" not in child
    assert child["topic"] == parent["topic"]
    assert {who["id"] for who in child["interlocutors"]} >= {"bob"}
    texts = [message["text"]["EN"] for message in within["messages"]]
    assert texts == ["Three", "Two", "One"]
    assert toloka.listed() == [parent, within, other]


def test_reply_in_a_child_thread_puts_it_into_the_outbox(toloka: Client) -> None:
    parent = toloka.composed(direct("ann", "bob"))
    child = toloka.answered(parent["id"], "bob")
    answer = toloka.reply(child["id"])
    assert answer.json()["folders"] == ["INBOX", "OUTBOX", "UNREAD"]
    assert len(answer.json()["messages"]) == 2


@pytest.mark.parametrize(
    ("toloker_id", "thread_id", "status", "says"),
    [
        ("stranger", None, 400, "stranger is not a recipient"),
        (TOLOKER, "0" * 24, 404, "There is no thread 000000000000000000000000"),
        (7, None, 400, ""),
    ],
)
def test_wrong_answers_of_tolokers_are_refused(
    toloka: Client, toloker_id: Any, thread_id: str | None, status: int, says: str
) -> None:
    thread = toloka.composed()
    body = {"thread_id": thread_id or thread["id"], "toloker_id": toloker_id, "text": {"EN": "a"}}
    answer = toloka.post("/emulator/answer", body)
    assert answer.status_code == status
    assert says in answer.json()["message"]
    assert toloka.listed() == [thread]


def test_thread_that_is_not_answerable_takes_no_answer(toloka: Client) -> None:
    thread = toloka.composed(direct(answerable=False))
    body = {"thread_id": thread["id"], "toloker_id": TOLOKER, "text": {"EN": "a"}}
    answer = toloka.post("/emulator/answer", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT_STATE")
    assert "answerable=false" in answer.json()["message"]


def test_accounts_see_their_own_threads_only(serve: Serve) -> None:
    own, other = serve(), serve(account="other-requester")
    mine, theirs = own.composed(), other.composed()
    assert own.listed() == [mine]
    assert other.listed() == [theirs]
    assert [who["id"] for who in theirs["interlocutors"] if who.get("myself")] == [
        "other-requester"
    ]
    assert other.reply(mine["id"]).status_code == 404
    assert own.control("threads") == [mine, theirs]
