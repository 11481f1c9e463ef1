"""Threads: as the store keeps them and as the API shows them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runner.emulator.answers import Json
from runner.emulator.forms import Compose
from runner.emulator.times import toloka_time


@dataclass(frozen=True, slots=True)
class Interlocutor:
    """Somebody in a thread, as seen by the account that the thread belongs to."""

    id: str
    role: str
    myself: bool = False

    def as_json(self) -> dict[str, Json]:
        """Write it as the API does: `myself` only where it is true."""
        value: dict[str, Json] = {"id": self.id, "role": self.role}
        return {**value, "myself": True} if self.myself else value


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message of a thread."""

    sender: Interlocutor
    text: Mapping[str, str]
    created_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewThread:
    """What a thread is made of; the store adds the id and the time."""

    account: str
    topic: Mapping[str, str]
    answerable: bool
    interlocutors: tuple[Interlocutor, ...]
    details: Mapping[str, Json] | None = None
    parent_id: str | None = None
    toloker_id: str | None = None

    @property
    def tolokers(self) -> tuple[str, ...]:
        """The Tolokers in the thread, as far as they are known."""
        return tuple(who.id for who in self.interlocutors if who.role == "USER")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredThread(NewThread):
    """A thread with its messages (oldest first) and folders, as one moment sees them."""

    id: str
    created_ms: int
    messages: tuple[StoredMessage, ...]
    folders: tuple[str, ...]


def dump(value: Json) -> str:
    """Write a value for a text column; plain ASCII, so that every string survives."""
    return json.dumps(value, separators=(",", ":"))


def dump_interlocutors(interlocutors: tuple[Interlocutor, ...]) -> str:
    """Write interlocutors for a text column."""
    return dump([who.as_json() for who in interlocutors])


def load_interlocutors(text: str) -> tuple[Interlocutor, ...]:
    """Read what `dump_interlocutors` wrote."""
    return tuple(
        Interlocutor(who["id"], who["role"], who.get("myself", False)) for who in json.loads(text)
    )


def requester(account: str) -> Interlocutor:
    """Give the requester of an account, as the account itself sees them."""
    return Interlocutor(account, "REQUESTER", myself=True)


def new_thread(account: str, form: Compose) -> NewThread:
    """Make a thread of a form that passed every check."""
    details: dict[str, Json] = {"recipients_select_type": form.select_type}
    if form.select_type == "DIRECT":
        details["recipients_ids"] = list(form.recipients_ids)
    elif form.select_type == "FILTER":
        details["recipients_filter"] = _shown_filter(form.recipients_filter)
    return NewThread(
        account=account,
        topic=form.topic,
        answerable=form.answerable,
        interlocutors=people(account, form.recipients_ids),
        details=details,
    )


def people(account: str, tolokers: Iterable[str]) -> tuple[Interlocutor, ...]:
    """Give the interlocutors of a thread in the order in which they are shown."""
    everybody = [requester(account), *(Interlocutor(who, "USER") for who in tolokers)]
    return tuple(sorted(everybody, key=lambda who: who.id))


def _shown_filter(tree: Json) -> Json:
    """Give a filter as threads show it: an `and` of one condition comes back without the `and`."""
    if not isinstance(tree, Mapping):
        return tree
    members = tree.get("and")
    if not isinstance(members, list) or len(members) != 1:
        return tree
    only = members[0]
    return only if isinstance(only, Mapping) and "category" in only else tree


def thread_json(thread: StoredThread) -> dict[str, Json]:
    """Write a thread as the API does."""
    view: dict[str, Json] = {
        "id": thread.id,
        "topic": thread.topic,
        "interlocutors_inlined": True,
        "interlocutors": [who.as_json() for who in thread.interlocutors],
        "messages_inlined": True,
        "messages": [
            {
                "text": message.text,
                "from": message.sender.as_json(),
                "created": toloka_time(message.created_ms),
            }
            for message in reversed(thread.messages)
        ],
    }
    if thread.details is not None:
        view["compose_details"] = thread.details
    view |= {"meta": {}, "folders": list(thread.folders), "answerable": thread.answerable}
    view["created"] = toloka_time(thread.created_ms)
    if thread.parent_id is not None:
        view["parent_id"] = thread.parent_id
    return view
