"""What comes back of what was sent, where a platform changes it."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import replace

from runner.emulator.answers import Json
from runner.emulator.threads import StoredThread

ECHO_MODES: Mapping[str, str] = {
    "exact": "topics and texts come back as they were sent",
    "trimmed": "topics and texts come back without leading and trailing white space",
    "crlf": "line ends in topics and texts come back as CR LF",
    "entities": "&, < and > in topics and texts come back as HTML entities",
    "nfd": "topics and texts come back with accents apart from their letters (Unicode NFD)",
    "cut": "texts come back without their second half",
    "answerable": "every thread comes back as answerable",
    "filter-reversed": "the conditions of a filter come back in the reverse order",
    "no-details": "threads come back without compose_details",
    "drops-recipient": "the first of several recipients does not come back",
}


def echoed(thread: StoredThread, echo: str) -> StoredThread:
    """Give a thread as it is shown; `echo` is one of `ECHO_MODES`."""
    if echo in _TEXTS:
        change = _TEXTS[echo]
        thread = replace(thread, topic=_each(thread.topic, change))
        return _with_texts(thread, change)
    if echo == "cut":
        return _with_texts(thread, lambda text: text[: (len(text) + 1) // 2])
    if echo == "answerable":
        return replace(thread, answerable=True)
    if echo == "drops-recipient":
        return _without_one(thread)
    if thread.details is None:
        return thread
    if echo == "no-details":
        return replace(thread, details=None)
    if echo == "filter-reversed" and "recipients_filter" in thread.details:
        tree = _reversed(thread.details["recipients_filter"])
        return replace(thread, details={**thread.details, "recipients_filter": tree})
    return thread


def _crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


_TEXTS: Mapping[str, Callable[[str], str]] = {
    "trimmed": str.strip,
    "crlf": _crlf,
    "entities": lambda text: html.escape(text, quote=False),
    "nfd": lambda text: unicodedata.normalize("NFD", text),
}


def _each(texts: Mapping[str, str], change: Callable[[str], str]) -> Mapping[str, str]:
    return {language: change(text) for language, text in texts.items()}


def _with_texts(thread: StoredThread, change: Callable[[str], str]) -> StoredThread:
    messages = (replace(each, text=_each(each.text, change)) for each in thread.messages)
    return replace(thread, messages=tuple(messages))


def _without_one(thread: StoredThread) -> StoredThread:
    tolokers = thread.tolokers
    if len(tolokers) < 2:
        return thread
    lost, details = tolokers[0], thread.details
    if details is not None and "recipients_ids" in details:
        kept: list[Json] = [who for who in tolokers if who != lost]
        details = {**details, "recipients_ids": kept}
    people = tuple(who for who in thread.interlocutors if who.id != lost)
    return replace(thread, interlocutors=people, details=details)


def _reversed(tree: Json) -> Json:
    if not isinstance(tree, Mapping):
        return tree
    return {
        name: [_reversed(member) for member in reversed(value)]
        if isinstance(value, list)
        else value
        for name, value in tree.items()
    }
