"""Threads: as the store keeps them, as the API shows them, and how both write a time."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from runner.emulator.answers import Json

ECHO_MODES: Mapping[str, str] = {
    "exact": "topics and texts come back as they were sent",
    "trimmed": "topics and texts come back without leading and trailing white space",
    "crlf": "line ends in topics and texts come back as CR LF",
    "no-details": "threads come back without compose_details",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?", re.ASCII)


def now_ms() -> int:
    """Say what time it is, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def toloka_time(ms: int) -> str:
    """Write a time as Toloka does: UTC, milliseconds, no zone."""
    moment = _EPOCH + timedelta(milliseconds=ms)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds")


def parse_microseconds(text: str) -> int | None:
    """Read Toloka's time form as microseconds since 1970; `None` if it is anything else."""
    if not _FORM.fullmatch(text):
        return None
    whole, _, fraction = text.partition(".")
    try:
        moment = datetime.fromisoformat(f"{whole}+00:00")
    except ValueError:
        return None
    return (moment - _EPOCH) // timedelta(microseconds=1) + int(fraction.ljust(6, "0"))


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


def thread_json(thread: StoredThread, echo: str = "exact") -> dict[str, Json]:
    """Write a thread as the API does; `echo` is one of `ECHO_MODES`."""
    view: dict[str, Json] = {
        "id": thread.id,
        "topic": _echoed(thread.topic, echo),
        "interlocutors_inlined": True,
        "interlocutors": [who.as_json() for who in thread.interlocutors],
        "messages_inlined": True,
        "messages": [
            {
                "text": _echoed(message.text, echo),
                "from": message.sender.as_json(),
                "created": toloka_time(message.created_ms),
            }
            for message in reversed(thread.messages)
        ],
    }
    if thread.details is not None and echo != "no-details":
        view["compose_details"] = thread.details
    view |= {"meta": {}, "folders": list(thread.folders), "answerable": thread.answerable}
    view["created"] = toloka_time(thread.created_ms)
    if thread.parent_id is not None:
        view["parent_id"] = thread.parent_id
    return view


def _echoed(texts: Mapping[str, str], echo: str) -> dict[str, Json]:
    if echo == "trimmed":
        return {language: text.strip() for language, text in texts.items()}
    if echo == "crlf":
        return {
            language: text.replace("\r\n", "\n").replace("\n", "\r\n")
            for language, text in texts.items()
        }
    return dict(texts)
