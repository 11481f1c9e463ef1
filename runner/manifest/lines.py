"""One line of the manifest: values to events, and lines back to what they say.

Reading does not depend on the order of the lines: an outcome may stand before its intent, as it
does when two copies of a manifest are merged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import cast

from runner import clock
from runner.manifest.history import Attempt, History, NotFound, Seen, Settled
from runner.model import (
    Action,
    Delivery,
    Direct,
    Filtered,
    InThread,
    Message,
    NoRecipients,
    Rejected,
    SelectType,
    Sent,
    Thread,
)

VERSION = 1
HEADER = b'{"event":"manifest"'
"""What every manifest begins with."""

Event = Mapping[str, object]

# `sent` beats everything, whatever the order of the lines.
_STRENGTH: Mapping[type[Settled], int] = {NotFound: 0, Rejected: 1, NoRecipients: 2, Sent: 3}
_BLANK = re.compile(rb"\s*")
_ACTIONS = ("compose", "reply")
_TYPES = ("DIRECT", "FILTER", "ALL")
_OUTCOMES = ("sent", "rejected", "no_recipients", "not_found")


class DamageError(ValueError):
    """A line that is not what a manifest holds; `line` counts from 1."""

    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        super().__init__(reason)


@dataclass(slots=True)
class Book:
    """Everything that the lines of a manifest say, kept up to date while a run writes more."""

    attempts: dict[str, Attempt] = field(default_factory=dict)
    open: dict[str, None] = field(default_factory=dict)
    """The deliveries without an outcome, tests left out, in order."""
    outcomes: dict[str, Settled] = field(default_factory=dict)
    outcome_lines: dict[str, int] = field(default_factory=dict)
    suppressed: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    folders: dict[str, set[str]] = field(default_factory=dict)
    seen: dict[str, Seen] = field(default_factory=dict)
    target: str | None = None
    account: str | None = None

    def history(self) -> History:
        """What the manifest knows by now; tests change nobody's state and are left out."""
        attempts = tuple(self.attempts.values())
        composed = (each.thread_id for each in attempts if each.action == "compose")
        claimed = frozenset(thread for thread in composed if thread is not None)
        return History(
            attempts=tuple(each for each in attempts if not each.is_test),
            thread_ids=claimed,
            seen=tuple(each for each in self.seen.values() if each.thread_id not in claimed),
            suppressed={key: frozenset(ids) for key, ids in self.suppressed.items()},
            folders={thread: frozenset(names) for thread, names in self.folders.items()},
            target=self.target,
            account=self.account,
        )

    def unknown(self) -> list[Attempt]:
        """The attempts in doubt, tests left out."""
        return [self.attempts[delivery] for delivery in self.open]

    def take(self, event: Event, number: int = 0) -> None:
        """Take in one event; raises `ValueError`, `KeyError` or `TypeError` if it is damaged."""
        take = _READERS.get(str(event["event"]))
        if take is None:
            name = ascii(event["event"])[:40]
            raise ValueError(f"unknown event {name}: written by a later version?")
        take(self, event, number)


def read_book(raw: bytes) -> Book:
    """Read the lines of a manifest; raises `DamageError`."""
    book = Book()
    for number, line in _lines(raw):
        try:
            event = cast("Event", json.loads(line))
            if book.target is None and event["event"] != "manifest":
                raise ValueError("the first line does not name the target")
            book.take(event, number)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = str(error) if type(error) is ValueError else "not a line of a manifest"
            raise DamageError(number, reason) from error
    for delivery in book.outcomes.keys() - book.attempts.keys():
        raise DamageError(book.outcome_lines[delivery], "the intent of this outcome is missing")
    return book


def _lines(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Each line with something on it, and its number: blank ones may be millions."""
    number, start = 1, 0
    # The pattern matches nothing at all, too.
    while (at := _BLANK.match(raw, start).end()) < len(raw):  # type: ignore[union-attr]
        number += raw.count(b"\n", start, at)
        start = max(start, raw.rfind(b"\n", start, at) + 1)
        end = raw.find(b"\n", at)
        end = len(raw) if end < 0 else end
        yield number, raw[start:end]
        start = end


def line_of(event: Event) -> bytes:
    """Write an event as its line."""
    return (json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def header_event(target: str, account: str | None) -> Event:
    """Build the first line."""
    event: dict[str, object] = {"event": "manifest", "version": VERSION, "target": target}
    if account is not None:
        event["account"] = account
    return {**event, "at": clock.written(clock.now())}


def intent_event(
    delivery_id: str,
    delivery: Delivery,
    *,
    is_test: bool = False,
    server_ahead_s: float | None = None,
) -> Event:
    """Build the line that says: this is about to be tried.

    The time by Toloka's clock goes beside ours, because another machine may have to look for it.
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
    if is_test:
        event["test"] = True
    now = clock.now()
    if server_ahead_s is not None:
        event["server_at"] = clock.written(now + timedelta(seconds=server_ahead_s))
    return event | {"digest": message.digest, "at": clock.written(now)}


def outcome_event(delivery_id: str, outcome: Settled, how: str) -> Event:
    """Build the line that says what became of an intent. `how` tells the way that was learned."""
    event: dict[str, object]
    if isinstance(outcome, Sent):
        event = {"event": "sent", "delivery": delivery_id, "thread_id": outcome.thread.id}
        if outcome.created:
            event["created"] = _with_zone(outcome.created)
        event["how"] = how
    elif isinstance(outcome, Rejected):
        event = {
            "event": "rejected",
            "delivery": delivery_id,
            "status": outcome.status,
            "code": outcome.code,
            "detail": outcome.detail,
        }
    elif isinstance(outcome, NoRecipients):
        event = {"event": "no_recipients", "delivery": delivery_id, "detail": outcome.detail}
    else:
        event = {"event": "not_found", "delivery": delivery_id, "how": how}
    return event | {"at": clock.written(clock.now())}


def suppressed_event(message: Message, ids: Sequence[str]) -> Event:
    """Build the line that says who was left out of a message for good."""
    return {
        "event": "suppressed",
        "message": message.id,
        "revision": message.revision,
        "source": message.source,
        "recipients_ids": list(ids),
        "at": clock.written(clock.now()),
    }


def seen_event(seen: Seen) -> Event:
    """Build the line that says: this thread is on Toloka's list, and no delivery claims it."""
    event: dict[str, object] = {
        "event": "seen",
        "thread_id": seen.thread_id,
        "created": _with_zone(seen.created),
        "digest": seen.digest,
        "recipients_select_type": seen.select_type,
    }
    if seen.recipients_ids:
        event["recipients_ids"] = list(seen.recipients_ids)
    return event | {"at": clock.written(clock.now())}


def folders_event(attempt: Attempt, folders: Sequence[str]) -> Event:
    """Build the line that says into which folders a thread was put."""
    return {
        "event": "folders",
        "thread_id": attempt.thread_id,
        "delivery": attempt.delivery,
        "folders": list(folders),
        "at": clock.written(clock.now()),
    }


def _with_zone(created: str) -> str:
    """Toloka's times are UTC without a zone; ours say so."""
    with suppress(ValueError):
        return clock.written(clock.read(created))
    return clock.written(clock.now())


def _take_header(book: Book, event: Event, _number: int) -> None:
    if event["version"] != VERSION:
        raise ValueError("written by a later version")
    target = _text(event, "target")
    if book.target not in (None, target):
        raise ValueError("it names two targets")
    book.target = target
    account = _text_or_none(event, "account")
    if account and book.account not in (None, account):
        raise ValueError("it names two accounts")
    book.account = account or book.account


def _take_intent(book: Book, event: Event, _number: int) -> None:
    delivery = _text(event, "delivery")
    attempt = Attempt(
        delivery=delivery,
        message=_text(event, "message"),
        revision=_integer(event, "revision"),
        source=_text(event, "source"),
        action=cast("Action", _word(event, "action", _ACTIONS) or "compose"),
        in_thread=_text_or_none(event, "thread_id"),
        select_type=cast("SelectType | None", _word(event, "recipients_select_type", _TYPES)),
        recipients_ids=_texts(event, "recipients_ids"),
        recipients_filter=event.get("recipients_filter"),
        digest=_text(event, "digest"),
        at=_moment(event, "at"),
        server_at=_moment(event, "server_at") if "server_at" in event else None,
        is_test=event.get("test") is True,
    )
    known = book.attempts.get(delivery)
    if known is not None and replace(known, outcome=None) != attempt:
        raise ValueError("two intents with one delivery id")
    if delivery in book.outcomes:
        attempt = replace(attempt, outcome=book.outcomes[delivery])
    elif not attempt.is_test:
        book.open[delivery] = None
    book.attempts[delivery] = attempt


def _take_outcome(book: Book, event: Event, number: int) -> None:
    delivery = _text(event, "delivery")
    outcome = _outcome(event)
    known = book.outcomes.get(delivery)
    if known is None or _STRENGTH[type(outcome)] >= _STRENGTH[type(known)]:
        book.outcomes[delivery] = outcome
        book.open.pop(delivery, None)
        if delivery in book.attempts:
            book.attempts[delivery] = replace(book.attempts[delivery], outcome=outcome)
    book.outcome_lines.setdefault(delivery, number)


def _outcome(event: Event) -> Settled:
    kind = event["event"]
    if kind == "sent":
        if event.get("created"):
            _moment(event, "created")
        created = _text_or_none(event, "created") or ""
        return Sent(Thread(id=_text(event, "thread_id"), created=created))
    if kind == "rejected":
        return Rejected(
            status=None if event.get("status") is None else _integer(event, "status"),
            code=_text_or_none(event, "code"),
            detail=str(event.get("detail", "")),
        )
    return NoRecipients(str(event.get("detail", ""))) if kind == "no_recipients" else NotFound()


def _take_suppressed(book: Book, event: Event, _number: int) -> None:
    identity = (_text(event, "message"), _integer(event, "revision"))
    book.suppressed.setdefault(identity, set()).update(_texts(event, "recipients_ids"))


def _take_seen(book: Book, event: Event, _number: int) -> None:
    thread_id = _text(event, "thread_id")
    _moment(event, "created")
    book.seen[thread_id] = Seen(
        thread_id=thread_id,
        created=_text(event, "created"),
        digest=_text(event, "digest"),
        select_type=_text(event, "recipients_select_type"),
        recipients_ids=_texts(event, "recipients_ids"),
    )


def _take_folders(book: Book, event: Event, _number: int) -> None:
    book.folders.setdefault(_text(event, "thread_id"), set()).update(_texts(event, "folders"))


def _take_nothing(_book: Book, _event: Event, _number: int) -> None:
    """A line for people: who ran it."""


def _text(event: Event, key: str) -> str:
    value = event[key]
    if not isinstance(value, str) or not value:
        raise ValueError(f"no text under {key!r}")
    return value


_READERS: Mapping[str, Callable[[Book, Event, int], None]] = {
    "manifest": _take_header,
    "run": _take_nothing,
    "intent": _take_intent,
    "suppressed": _take_suppressed,
    "folders": _take_folders,
    "seen": _take_seen,
    **dict.fromkeys(_OUTCOMES, _take_outcome),
}


def _text_or_none(event: Event, key: str) -> str | None:
    # An empty text says nothing, too.
    return _text(event, key) if event.get(key) not in (None, "") else None


def _word(event: Event, key: str, known: Collection[str]) -> str | None:
    word = _text_or_none(event, key)
    if word is not None and word not in known:
        raise ValueError(f"an unknown word under {key!r}: written by a later version?")
    return word


def _texts(event: Event, key: str) -> tuple[str, ...]:
    values = event.get(key) or []
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise ValueError(f"no list of texts under {key!r}")
    return tuple(values)


def _integer(event: Event, key: str) -> int:
    value = event[key]
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"no whole number under {key!r}")
    return value


def _moment(event: Event, key: str) -> datetime:
    try:
        return clock.read(_text(event, key))
    except (ValueError, OverflowError):
        raise ValueError(f"no time under {key!r}") from None
