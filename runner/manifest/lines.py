"""One line of the manifest, to be written: an event with its keys in the order of reading."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from typing import TypeVar

from runner import clock
from runner.manifest.attempts import Settled
from runner.manifest.history import History
from runner.model import Delivery, Direct, Filtered, InThread, NoRecipients, Place, Rejected, Sent
from runner.toloka.anchor import BEGINNING, Anchor
from runner.toloka.digest import KIND, short, topic_mark

_A_LINE = 1_000
"""Ids in one line at most."""
_LATELY = 30
_LATELY_CHARACTERS = 1_000_000
_DIGITS = 8
_NUMBERED = re.compile(rf".*[0-9a-f]{{{_DIGITS}}}", re.DOTALL)
Event = Mapping[str, object]
_Item = TypeVar("_Item")


def line_of(event: Event) -> bytes:
    """Write an event as its line."""
    return (json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def new_event(name: str, /, **values: object) -> Event:
    """Build an event that happens now."""
    return {"event": name, **values, "at": clock.written(clock.now())}


def intent_event(
    delivery_id: str,
    delivery: Delivery,
    *,
    run: object = None,
    place: Place | None = None,
    is_test: bool = False,
) -> Event:
    """Build the line that says: this is about to be tried.

    `run` leads to the anchor from which on it is looked for; `place` is what stands in the thread
    of a reply before it.
    """
    message, recipients = delivery.message, delivery.recipients
    event: dict[str, object] = {
        "event": "intent",
        "delivery": delivery_id,
        "message": message.id,
        "revision": message.revision,
        "source": message.source,
        "action": message.action,
    }
    if isinstance(recipients, InThread):
        event["thread_id"] = recipients.thread_id
    else:
        event["recipients_select_type"] = recipients.select_type
    if isinstance(recipients, Direct):
        event["recipients_ids"] = list(recipients.ids)
    if isinstance(recipients, Filtered):
        event["recipients_filter"] = recipients.tree
    if message.topic:
        event["topic"] = topic_mark(message.topic)
    if place is not None:
        event["place"] = [place.ours, place.alike]
    if is_test:
        event["test"] = True
    if run is not None:
        event["run"] = run
    own = {} if message.key is None else {"key": message.key}
    return event | own | {"digest": message.digest, "at": clock.written(clock.now())}


def numbered(first: str, number: int) -> str:
    """Give the id of a delivery so many after the first one of a claim; raises `ValueError`."""
    if not _NUMBERED.fullmatch(first):
        raise ValueError("no number at the end of 'delivery'")
    return f"{first[:-_DIGITS]}{int(first[-_DIGITS:], 16) + number:0{_DIGITS}x}"


def shortened(intents: Iterable[Event]) -> Iterator[Event]:
    """Write intents, numbered one after the other, in few lines.

    Those that differ in one Toloker and the words are rows of a `claim` line.
    """
    for _, group in groupby(intents, _kind):
        for some in parts(list(group)):
            if len(some) == 1:
                yield some[0]
                continue
            rows = [_row(it) for it in some]
            first = {"event": "claim", "delivery": some[0]["delivery"]}
            yield {**first, **_common(some[0]), "rows": rows, "at": some[0]["at"]}


def _kind(event: Event) -> object:
    """What is equal in all rows of a `claim` line; what cannot be a row is like nothing else."""
    ids = event.get("recipients_ids")
    is_one = isinstance(ids, list) and len(ids) == 1
    return line_of(_common(event)) if is_one else event["delivery"]


def _common(event: Event) -> Event:
    own = ("event", "delivery", "recipients_ids", "key", "digest", "at")
    return {name: value for name, value in event.items() if name not in own}


def _row(event: Event) -> str:
    """The Toloker, the words, and the key if there is one."""
    ids = event["recipients_ids"]
    only = ids[0] if isinstance(ids, list) else ""
    return (
        f"{only} {short(str(event['digest'])).removeprefix(KIND)} {event.get('key', '')}".rstrip()
    )


def outcome_event(delivery_id: str, outcome: Settled, how: str) -> Event:
    """Build the line that says what became of an intent. `how` tells the way that was learned."""
    if isinstance(outcome, Sent):
        thread_id, created = outcome.thread.id, {}
        # Toloka's times are UTC without a zone; ours say so. What cannot be read is left out.
        with suppress(ValueError):
            created["created"] = clock.written(clock.read(outcome.created))
        return new_event("sent", delivery=delivery_id, thread_id=thread_id, **created, how=how)
    if isinstance(outcome, Rejected):
        why = {"status": outcome.status, "code": outcome.code, "detail": outcome.detail}
        return new_event("rejected", delivery=delivery_id, **why)
    if isinstance(outcome, NoRecipients):
        return new_event("no_recipients", delivery=delivery_id, detail=outcome.detail)
    return new_event("not_found", delivery=delivery_id, how=how)


def adoption_events(
    adopted: Iterable[tuple[Delivery, Sent]],
) -> tuple[list[str], list[Event]]:
    """Build the lines that say whom threads reached without a delivery, and give its fresh ids."""
    ids: list[str] = []
    events: list[Event] = []
    for delivery, sent in adopted:
        ids.append(secrets.token_hex(16))
        outcome = outcome_event(ids[-1], sent, "adopted")
        # Its thread may be of any time, so it has no run, and no anchor.
        intent = {**intent_event(ids[-1], delivery), "adopted": True}
        # What limits count by is when it went out, as far as that is known.
        events += [{**intent, "at": outcome.get("created", intent["at"])}, outcome]
    return ids, events


def doubt_events(doubts: Mapping[str, Iterable[str]], history: History) -> list[Event]:
    """Build the lines that put intents in doubt, for the threads that are new."""
    known = history.doubts
    new = {each: set(threads) - set(known.get(each, ())) for each, threads in doubts.items()}
    return [
        new_event("doubt", delivery=each, threads=sorted(threads))
        for each, threads in new.items()
        if threads
    ]


def rest_events(rest: Sequence[str], history: History) -> list[Event]:
    """Build the lines that remember threads of ours that no delivery claims: many in each.

    What was remembered lately is left out. What is remembered twice does no harm, and all of it
    may be a million.
    """
    lately = " ".join(history.remembered[-_LATELY:])[-_LATELY_CHARACTERS:].split()
    known = set(lately)
    new = [each for each in rest if each not in known]
    return [new_event("rest", threads=" ".join(some)) for some in parts(new)]


def parts(ids: Sequence[_Item], most: int = _A_LINE) -> list[list[_Item]]:
    """Cut what may be very many, so that no line is too long for a file of its own."""
    return [list(ids[start : start + most]) for start in range(0, len(ids), most)]


def anchor_values(anchor: Anchor) -> dict[str, str]:
    """Give an anchor's key; the beginning of the list has none."""
    return {} if anchor == BEGINNING else {"created": clock.written(anchor.created)}
