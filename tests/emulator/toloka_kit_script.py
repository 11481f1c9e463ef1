"""What the official client is asked to do; run in an environment of its own.

Arguments: the emulator's URL and a credential. Fails with an assertion, or says OK.
"""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

# The client is not installed where the types of this file are checked.
toloka: Any = import_module("toloka.client")
compose_form: Any = toloka.MessageThreadCompose
filters: Any = toloka.filter
PAGES_OF = 305


def form(**fields: Any) -> Any:
    # So that no two threads are of the same millisecond, and times tell them apart.
    time.sleep(0.002)
    texts = {"topic": {"EN": "Thank you!"}, "text": {"EN": "Amazing job!"}, "answerable": True}
    return compose_form(**{**texts, **fields})


def compose_three_ways(client: Any) -> list[Any]:
    direct = client.compose_message_thread(
        form(recipients_select_type="DIRECT", recipients_ids=["ann"])
    )
    assert direct.compose_details.recipients_ids == ["ann"]
    assert direct.created.tzinfo is datetime.timezone.utc
    assert [who.role.value for who in direct.interlocutors if who.myself] == ["REQUESTER"]
    bare = client.compose_message_thread(
        form(recipients_select_type="FILTER", recipients_filter=filters.Skill("224") > 70)
    )
    assert bare.compose_details.recipients_filter == (filters.Skill("224") > 70)
    tree = (filters.Languages.in_("EN") & (filters.Gender == "MALE")) | (
        filters.Skill("224").eq(None)
    )
    deep = client.compose_message_thread(
        form(recipients_select_type="FILTER", recipients_filter=tree)
    )
    assert deep.compose_details.recipients_filter == tree
    everyone = client.compose_message_thread(form(recipients_select_type="ALL"))
    assert everyone.compose_details.recipients_select_type.value == "ALL"
    return [direct, bare, deep, everyone]


def answer_and_move(client: Any, thread: Any) -> None:
    reply = toloka.MessageThreadReply(text={"EN": "And again"})
    replied = client.reply_message_thread(thread.id, reply)
    assert [message.text["EN"] for message in replied.messages] == ["And again", "Amazing job!"]
    moved = client.add_message_thread_to_folders(thread.id, ["IMPORTANT"])
    assert {folder.value for folder in moved.folders} == {"OUTBOX", "IMPORTANT"}
    assert [found.id for found in client.get_message_threads(folder="IMPORTANT")] == [thread.id]
    moved = client.remove_message_thread_from_folders(thread.id, ["IMPORTANT"])
    assert [folder.value for folder in moved.folders] == ["OUTBOX"]


def find(client: Any, made: list[Any]) -> None:
    def ids(**query: Any) -> list[str]:
        return [thread.id for thread in client.find_message_threads(**query).items]

    everything = [thread.id for thread in made]
    assert ids() == ids(sort="id") == ids(sort=["created", "id"]) == everything
    assert ids(sort=["-id"]) == ids(sort=["-created"]) == everything[::-1]
    first, second = made[0], made[1]
    for field in ("id", "created"):
        assert ids(**{f"{field}_gt": getattr(first, field)}) == everything[1:]
        assert ids(**{f"{field}_gte": getattr(second, field)}) == everything[1:]
        assert ids(**{f"{field}_lt": getattr(second, field)}) == everything[:1]
        assert ids(**{f"{field}_lte": getattr(first, field)}) == everything[:1]
    assert ids(folder="OUTBOX") == ids(folder=["OUTBOX", "UNREAD"]) == everything
    assert ids(folder_ne=["OUTBOX"]) == ids(folder=["INBOX"], folder_ne=["UNREAD"]) == []
    page = client.find_message_threads(limit=2)
    assert (len(page.items), page.has_more) == (2, True)


def turn_pages(client: Any, made: list[Any]) -> None:
    direct = form(recipients_select_type="DIRECT", recipients_ids=["ann", "bob"])
    known = [thread.id for thread in made]
    known += [client.compose_message_thread(direct).id for _ in range(PAGES_OF)]
    for size in (None, 100, 300):
        assert [thread.id for thread in client.get_message_threads(batch_size=size)] == known


def refusal(call: Callable[[], object]) -> Any:
    try:
        call()
    except toloka.exceptions.ApiError as error:
        return error
    raise AssertionError("it was not refused")


def be_refused(client: Any, url: str) -> None:
    wrong = form(recipients_select_type="DIRECT", recipients_ids=[], text={"EN": ""})
    error = refusal(lambda: client.compose_message_thread(wrong))
    assert isinstance(error, toloka.exceptions.ValidationApiError)
    assert sorted(error.invalid_fields) == ["recipients_ids", "text.EN"]
    reply = toloka.MessageThreadReply(text={"EN": "a"})
    error = refusal(lambda: client.reply_message_thread("0" * 24, reply))
    assert isinstance(error, toloka.exceptions.DoesNotExistApiError)
    other = toloka.TolokaClient("token", url=url, act_under_account_id="somebody-else")
    assert list(other.get_message_threads()) == []


def main(url: str, token: str) -> None:
    client = toloka.TolokaClient(token, url=url)
    made = compose_three_ways(client)
    answer_and_move(client, made[0])
    find(client, made)
    turn_pages(client, made)
    be_refused(client, url)
    sys.stdout.write("OK\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
