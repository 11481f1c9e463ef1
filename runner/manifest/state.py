"""Lines of the manifest, taken in: what they say together, kept up to date while a run writes more.

Reading does not depend on the order of the lines: an outcome may stand before its intent, as it
does when two copies of a manifest are merged. No line becomes a value of its own: a manifest may
have half a million.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, BinaryIO, NamedTuple

from runner import clock
from runner.files import MANIFEST_START
from runner.manifest.history import History, Identity, Kind, NotFound, Row, Seen, Settled
from runner.model import NoRecipients, Rejected

VERSION = 1
"""What every manifest begins with."""
_LONGEST = 64 * 1024**2
"""Bytes of one line: what is longer was not written here."""
_decode = json.JSONDecoder().raw_decode
# `sent`, of which the thread is kept, beats everything, whatever the order of the lines.
_STRENGTH: Mapping[type, int] = {NotFound: 0, Rejected: 1, NoRecipients: 2, str: 3}
Checked = Mapping[str, Any]
"""An event whose keys hold what `LINES` says."""


class DamageError(ValueError):
    """A line that is not what a manifest holds; `line` counts from 1."""

    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        super().__init__(reason)


class Orphan(NamedTuple):
    """An outcome whose intent has not been read yet, with the number of its line."""

    outcome: str | Settled
    created: datetime | None
    line: int


@dataclass(slots=True)
class ManifestState:
    """What the lines of a manifest say so far; `history` is what is planned with."""

    rows: dict[str, Row] = field(default_factory=dict)
    """By delivery id, tests included."""
    tests: set[str] = field(default_factory=set)
    orphans: dict[str, Orphan] = field(default_factory=dict)
    server_at: dict[str, datetime] = field(default_factory=dict)
    """Of what is in doubt."""
    suppressed: dict[Identity, set[str]] = field(default_factory=dict)
    folders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seen: dict[str, Seen] = field(default_factory=dict)
    target: str | None = None
    account: str | None = None
    kinds: dict[Kind, Kind] = field(default_factory=dict)
    digests: dict[Kind, str] = field(default_factory=dict)
    """The first digest of each kind."""
    line: int = 0
    """The number of the line that is being read."""

    def history(self) -> History:
        """What the manifest knows by now."""
        rows = self.rows.copy()
        return History(
            tests={each: rows.pop(each) for each in self.tests},
            rows=rows,
            server_at=self.server_at.copy(),
            suppressed={identity: frozenset(ids) for identity, ids in self.suppressed.items()},
            folders=self.folders.copy(),
            seen=tuple(self.seen.values()),
            target=self.target,
            account=self.account,
        )

    def settle(
        self, delivery: str, outcome: str | Settled, created: datetime | None = None
    ) -> None:
        """Take in what became of a delivery; what is sent is given by its thread."""
        row = self.rows.get(delivery)
        known = row or self.orphans.get(delivery)
        if known and known.outcome and _STRENGTH[type(outcome)] < _STRENGTH[type(known.outcome)]:
            return
        if row is None:
            self.orphans[delivery] = Orphan(outcome, created, self.line)
        else:
            self.rows[delivery] = Row(*row[:4], outcome, created)
            self.server_at.pop(delivery, None)


def read_state(stream: BinaryIO) -> tuple[ManifestState, int]:
    """Read the lines of a manifest; gives also how many bytes they are.

    A torn last line is left out: it was never promised to be on disk. Raises `DamageError` for any
    other line that is not what a manifest holds.
    """
    state, end = ManifestState(), 0
    for number, line in enumerate(iter(partial(stream.readline, _LONGEST), b""), 1):
        state.line = number
        try:
            if not line.endswith(b"\n") and _is_torn(line, end):
                break
            text = (line if end else line.removeprefix(codecs.BOM_UTF8)).strip()
            if text:
                event = _parsed(text)
                check_event(event)
                if state.target is None and event["event"] != "manifest":
                    raise ValueError("the first line does not name the target")
                LINES[event["event"]].take(state, event)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = str(error) if type(error) is ValueError else "not a line of a manifest"
            if not end and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                reason = "it is UTF-16, and has to be UTF-8"
            raise DamageError(number, reason) from error
        end += len(line)
    for orphan in state.orphans.values():
        raise DamageError(orphan.line, "the intent of this outcome is missing")
    return state, end


def check_event(event: Checked) -> None:
    """Hold an event against `LINES`; raises `ValueError`, `KeyError` or `TypeError`."""
    kind = LINES.get(event["event"])
    if kind is None:
        raise ValueError(f"unknown event {ascii(event['event'])[:40]}: written by a later version?")
    for key, (is_so, otherwise) in kind.needed.items():
        if not is_so(event[key]):
            raise ValueError(otherwise.format(ascii(key)))
    for key, (is_so, otherwise) in kind.optional.items():
        # What is empty says nothing.
        if (value := event.get(key)) and not is_so(value):
            raise ValueError(otherwise.format(ascii(key)))


def _parsed(line: bytes) -> Checked:
    text = line.decode()
    event, end = _decode(text)
    if end != len(text) or type(event) is not dict:
        raise ValueError("not a line of a manifest")
    return event


def _is_torn(tail: bytes, end: int) -> bool:
    """Whether the last line is half of one of ours; an editor may leave out a line end alone.

    Raises `ValueError` for an end that is not to be cut off.
    """
    try:
        return not isinstance(json.loads(tail), dict)
    except (ValueError, RecursionError):
        pass
    if b"\r" in tail.rstrip(b"\r\0"):
        raise ValueError("its lines end in CR alone")
    # A power cut may leave NULs; of a new file, only the beginning of its first line.
    begins = MANIFEST_START.startswith(tail.rstrip(b"\0")[: len(MANIFEST_START)])
    if len(tail) == _LONGEST or not (end or begins):
        raise ValueError("not a line of a manifest")
    return True


def _take_about(state: ManifestState, event: Checked) -> None:
    """What the manifest is about: its target, its account."""
    if event.get("version", VERSION) != VERSION:
        raise ValueError("written by a later version")
    target, account = event.get("target", state.target), event.get("account", state.account)
    if state.target not in (None, target):
        raise ValueError("it names two targets")
    if state.account not in (None, account):
        raise ValueError("it names two accounts")
    state.target, state.account = target, account


def _take_nothing(_state: ManifestState, _event: Checked) -> None:
    """A line for people: who ran it."""


def _take_intent(state: ManifestState, event: Checked) -> None:
    delivery, row = event["delivery"], _row_of(state, event)
    known = state.rows.setdefault(delivery, row)
    if known is not row:
        if known[:4] != row[:4]:
            raise ValueError("two intents with one delivery id")
        return
    if event.get("test") is True:
        state.tests.add(delivery)
    orphan = state.orphans.pop(delivery, None)
    if orphan is not None:
        state.settle(delivery, orphan.outcome, orphan.created)
    elif "server_at" in event:
        state.server_at[delivery] = _moment(event, "server_at")


def _row_of(state: ManifestState, event: Checked) -> Row:
    message, revision, source = event["message"], event["revision"], event["source"]
    action, select_type = event.get("action") or "compose", event.get("recipients_select_type")
    if action == "reply":
        select_type, whom = None, event.get("thread_id")
    elif select_type == "DIRECT":
        ids = event.get("recipients_ids") or ()
        whom = ids[0] if len(ids) == 1 else tuple(ids)
    else:
        whom = event.get("recipients_filter")
    kind = Kind(message, revision, source, action, select_type or None)
    # What many rows have in common is kept once.
    kind = state.kinds.setdefault(kind, kind)
    digest = state.digests.setdefault(kind, event["digest"])
    if digest != event["digest"]:
        digest = event["digest"]
    return Row(kind, whom or None, digest, _moment(event, "at"))


def _take_sent(state: ManifestState, event: Checked) -> None:
    created = _moment(event, "created") if event.get("created") else None
    state.settle(event["delivery"], event["thread_id"], created)


def _take_rejected(state: ManifestState, event: Checked) -> None:
    status, code = event.get("status") or None, event.get("code") or None
    outcome = Rejected(status=status, code=code, detail=event.get("detail") or "")
    state.settle(event["delivery"], outcome)


def _take_no_recipients(state: ManifestState, event: Checked) -> None:
    state.settle(event["delivery"], NoRecipients(event.get("detail") or ""))


def _take_not_found(state: ManifestState, event: Checked) -> None:
    state.settle(event["delivery"], NotFound())


def _take_suppressed(state: ManifestState, event: Checked) -> None:
    identity = (event["message"], event["revision"])
    state.suppressed.setdefault(identity, set()).update(event.get("recipients_ids") or ())


def _take_folders(state: ManifestState, event: Checked) -> None:
    known = state.folders.get(event["thread_id"], ())
    folders = tuple(dict.fromkeys((*known, *(event.get("folders") or ()))))
    state.folders[event["thread_id"]] = folders


def _take_seen(state: ManifestState, event: Checked) -> None:
    _moment(event, "created")
    state.seen[event["thread_id"]] = Seen(
        thread_id=event["thread_id"],
        created=event["created"],
        digest=event["digest"],
        select_type=event["recipients_select_type"],
        recipients_ids=tuple(event.get("recipients_ids") or ()),
    )


def _moment(event: Checked, key: str) -> datetime:
    try:
        return clock.read(event[key])
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"no time under {key!r}") from None


def _is_text(value: object) -> bool:
    return type(value) is str and value != ""


def _are_texts(value: object) -> bool:
    return type(value) is list and all(type(each) is str for each in value)


Check = tuple[Callable[[object], bool], str]
"""What a key must hold, and what is said otherwise."""
_TEXT: Check = (_is_text, "no text under {}")
_TEXTS: Check = (_are_texts, "no list of texts under {}")
_NUMBER: Check = (lambda value: type(value) is int, "no whole number under {}")
_TREE: Check = (lambda value: type(value) is dict, "no filter under {}")
_LATER = "an unknown word under {}: written by a later version?"
_ACTION: Check = (("compose", "reply").__contains__, _LATER)
_SELECT_TYPE: Check = (("DIRECT", "FILTER", "ALL").__contains__, _LATER)


@dataclass(frozen=True, slots=True)
class LineKind:
    """What one kind of line holds, and how it is taken in. Times are read as they are taken."""

    take: Callable[[ManifestState, Checked], None]
    needed: Mapping[str, Check] = field(default_factory=dict)
    optional: Mapping[str, Check] = field(default_factory=dict)


LINES: Mapping[str, LineKind] = {
    "manifest": LineKind(
        _take_about,
        {"version": _NUMBER, "target": _TEXT},
        {"account": _TEXT},
    ),
    "account": LineKind(_take_about, {"account": _TEXT}),
    "run": LineKind(_take_nothing),
    "intent": LineKind(
        _take_intent,
        {
            "delivery": _TEXT,
            "message": _TEXT,
            "revision": _NUMBER,
            "source": _TEXT,
            "digest": _TEXT,
        },
        {
            "action": _ACTION,
            "recipients_select_type": _SELECT_TYPE,
            "recipients_ids": _TEXTS,
            "recipients_filter": _TREE,
            "thread_id": _TEXT,
        },
    ),
    "sent": LineKind(_take_sent, {"delivery": _TEXT, "thread_id": _TEXT}),
    "rejected": LineKind(
        _take_rejected,
        {"delivery": _TEXT},
        {"status": _NUMBER, "code": _TEXT, "detail": _TEXT},
    ),
    "no_recipients": LineKind(_take_no_recipients, {"delivery": _TEXT}, {"detail": _TEXT}),
    "not_found": LineKind(_take_not_found, {"delivery": _TEXT}),
    "suppressed": LineKind(
        _take_suppressed,
        {"message": _TEXT, "revision": _NUMBER},
        {"recipients_ids": _TEXTS},
    ),
    "folders": LineKind(_take_folders, {"thread_id": _TEXT}, {"folders": _TEXTS}),
    "seen": LineKind(
        _take_seen,
        {
            "thread_id": _TEXT,
            "created": _TEXT,
            "digest": _TEXT,
            "recipients_select_type": _TEXT,
        },
        {"recipients_ids": _TEXTS},
    ),
}
"""Every kind of line: a new one is an entry here, and what uses it."""
