"""Lines of the manifest, read back: what they say together, kept up to date while a run writes more.

Reading does not depend on the order of the lines: an outcome may stand before its intent, as it
does when two copies of a manifest are merged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import cast

from runner import clock
from runner.manifest.history import Attempt, History, Identity, NotFound, Seen, Settled
from runner.manifest.lines import VERSION, Event
from runner.model import Action, NoRecipients, Rejected, SelectType, Sent, Thread

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
class ManifestState:
    """What the lines of a manifest say so far; `history` is what is planned with."""

    attempts: dict[str, Attempt] = field(default_factory=dict)
    """By delivery id, tests included."""
    orphans: dict[str, tuple[Settled, int]] = field(default_factory=dict)
    """Outcomes whose intent has not been read yet, with the number of their line."""
    suppressed: dict[Identity, set[str]] = field(default_factory=dict)
    folders: dict[str, set[str]] = field(default_factory=dict)
    seen: dict[str, Seen] = field(default_factory=dict)
    target: str | None = None
    account: str | None = None

    def history(self) -> History:
        """What the manifest knows by now."""
        attempts = self.attempts.values()
        return History(
            attempts=tuple(each for each in attempts if not each.is_test),
            tests=tuple(each for each in attempts if each.is_test),
            suppressed={identity: frozenset(ids) for identity, ids in self.suppressed.items()},
            folders={thread: frozenset(names) for thread, names in self.folders.items()},
            seen=tuple(self.seen.values()),
            target=self.target,
            account=self.account,
        )

    def take(self, event: Event, number: int = 0) -> None:
        """Take in one event; raises `ValueError`, `KeyError` or `TypeError` if it is damaged."""
        take = _READERS.get(str(event["event"]))
        if take is None:
            name = ascii(event["event"])[:40]
            raise ValueError(f"unknown event {name}: written by a later version?")
        take(self, event, number)


def read_state(raw: bytes) -> ManifestState:
    """Read the lines of a manifest; raises `DamageError`."""
    state = ManifestState()
    for number, line in _lines(raw):
        try:
            event = cast("Event", json.loads(line))
            if state.target is None and event["event"] != "manifest":
                raise ValueError("the first line does not name the target")
            state.take(event, number)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = str(error) if type(error) is ValueError else "not a line of a manifest"
            raise DamageError(number, reason) from error
    for _, number in state.orphans.values():
        raise DamageError(number, "the intent of this outcome is missing")
    return state


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


def _take_header(state: ManifestState, event: Event, number: int) -> None:
    if event["version"] != VERSION:
        raise ValueError("written by a later version")
    target = _text(event, "target")
    if state.target not in (None, target):
        raise ValueError("it names two targets")
    state.target = target
    if "account" in event:
        _take_account(state, event, number)


def _take_account(state: ManifestState, event: Event, _number: int) -> None:
    account = _text(event, "account")
    if state.account not in (None, account):
        raise ValueError("it names two accounts")
    state.account = account


def _take_intent(state: ManifestState, event: Event, _number: int) -> None:
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
    known = state.attempts.get(delivery)
    if known is None:
        outcome, _ = state.orphans.pop(delivery, (None, 0))
        state.attempts[delivery] = attempt if outcome is None else replace(attempt, outcome=outcome)
    elif replace(known, outcome=None) != attempt:
        raise ValueError("two intents with one delivery id")


def _take_outcome(state: ManifestState, event: Event, number: int) -> None:
    delivery = _text(event, "delivery")
    outcome = _outcome(event)
    attempt = state.attempts.get(delivery)
    if attempt is None:
        known, number = state.orphans.get(delivery, (None, number))
        state.orphans[delivery] = (_stronger(known, outcome), number)
    else:
        known = attempt.outcome
        state.attempts[delivery] = replace(attempt, outcome=_stronger(known, outcome))


def _stronger(known: Settled | None, new: Settled) -> Settled:
    if known is None or _STRENGTH[type(new)] >= _STRENGTH[type(known)]:
        return new
    return known


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


def _take_suppressed(state: ManifestState, event: Event, _number: int) -> None:
    identity = (_text(event, "message"), _integer(event, "revision"))
    state.suppressed.setdefault(identity, set()).update(_texts(event, "recipients_ids"))


def _take_seen(state: ManifestState, event: Event, _number: int) -> None:
    thread_id = _text(event, "thread_id")
    _moment(event, "created")
    state.seen[thread_id] = Seen(
        thread_id=thread_id,
        created=_text(event, "created"),
        digest=_text(event, "digest"),
        select_type=_text(event, "recipients_select_type"),
        recipients_ids=_texts(event, "recipients_ids"),
    )


def _take_folders(state: ManifestState, event: Event, _number: int) -> None:
    state.folders.setdefault(_text(event, "thread_id"), set()).update(_texts(event, "folders"))


def _take_nothing(_state: ManifestState, _event: Event, _number: int) -> None:
    """A line for people: who ran it."""


def _text(event: Event, key: str) -> str:
    value = event[key]
    if not isinstance(value, str) or not value:
        raise ValueError(f"no text under {key!r}")
    return value


_READERS: Mapping[str, Callable[[ManifestState, Event, int], None]] = {
    "manifest": _take_header,
    "account": _take_account,
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
