"""Threads as the API shows them, exactly or with a rehearsed inexactness."""

from __future__ import annotations

from collections.abc import Mapping

from runner.emulator.answers import Json
from runner.emulator.records import StoredThread
from runner.emulator.times import toloka_time

ECHO_MODES: Mapping[str, str] = {
    "exact": "topics and texts come back as they were sent",
    "trimmed": "topics and texts come back without leading and trailing white space",
    "crlf": "line ends in topics and texts come back as CR LF",
    "no-details": "threads come back without compose_details",
}


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
