"""What digests stand for: the words of a message, kept once for each, to be shown when they change.

Of rows their template is kept, and of each only the beginning of its digest and a mark of its values:
what was told to people stands nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any

from runner.manifest.history import History
from runner.manifest.lines import Event, new_event, parts
from runner.model import Content, Delivery, Filtered, Message
from runner.toloka.digest import KIND, MARK, short

_DIGITS = 16
"""Of a digest that is kept short."""
_ROWS = 10_000
"""Rows in one line at most."""


def content_events(deliveries: Iterable[Delivery], history: History) -> list[Event]:
    """Build the lines that keep the words of what is about to be sent, where they are not kept yet."""
    messages = {each.message.digest: each.message for each in deliveries}
    known = {*history.contents, *(KIND + token[:_DIGITS] for token in _tokens(history))}
    new = [each for each in messages.values() if short(each.digest) not in known]
    events = [
        new_event("content", digest=each.digest, **_values(each))
        for each in new
        if not each.template
    ]
    rows = [each for each in new if each.template]
    for _, group in groupby(rows, key=lambda each: (each.id, each.revision)):
        for some in parts(list(group), _ROWS):
            told = [f"{_digits(each.digest)}:{_mark(each)}" for each in some]
            events.append(new_event("content", rows=told, **_values(some[0])))
    return events


def content_of(event: Mapping[str, Any]) -> Content:
    """Read a line of content; raises `ValueError`."""
    topic, text = event.get("topic") or {}, event["text"]
    if not all(isinstance(each, str) for each in (*topic.values(), *text.values())):
        raise ValueError("no texts under 'topic' or 'text'")
    return Content(
        topic=topic,
        text=text,
        answerable=event.get("answerable"),
        recipients_filter=event.get("recipients_filter"),
    )


def find_contents(digests: Collection[str], history: History) -> dict[str, Content]:
    """Find what digests stand for, as far as it was kept."""
    kept = history.contents
    found = {each: kept[short(each)] for each in digests if short(each) in kept}
    wanted = {_digits(each): each for each in digests if each not in found}
    for rows, content in history.row_contents if wanted else ():
        for token in rows.split():
            digest = wanted.get(token[:_DIGITS])
            if digest is not None:
                found[digest] = replace(content, mark=token[-MARK:])
    return found


def _tokens(history: History) -> Iterator[str]:
    return (token for rows, _ in history.row_contents for token in rows.split())


def _values(message: Message) -> Mapping[str, object]:
    """What a message says and whom it selects; of a row, the words as they are written."""
    words, recipients = message.template or message, message.recipients
    if message.action == "reply":
        return {"text": dict(words.text)}
    tree = {"recipients_filter": recipients.tree} if isinstance(recipients, Filtered) else {}
    return {
        "topic": dict(words.topic),
        "text": dict(words.text),
        "answerable": message.answerable,
        "recipients_select_type": recipients.select_type,
        **tree,
    }


def _digits(digest: str) -> str:
    return short(digest).removeprefix(KIND)


def _mark(message: Message) -> str:
    return message.template.mark if message.template else ""
