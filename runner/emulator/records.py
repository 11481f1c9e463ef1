"""What the store keeps, as frozen values, and how they lie in the columns of SQLite."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from runner.emulator.answers import Json


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
