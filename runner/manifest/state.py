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
from zlib import crc32

from runner import clock
from runner.files import MANIFEST_START
from runner.manifest.history import History, Identity, Kind, NotFound, Pending, Row, Settled
from runner.model import Action, NoRecipients, Place, Rejected
from runner.toloka.anchor import BEGINNING, Anchor

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
    pending: dict[str, Pending] = field(default_factory=dict)
    """The intents without an outcome, in their order."""
    anchors: dict[str, Anchor] = field(default_factory=dict)
    """By the id of the run."""
    doubts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    doubted: set[tuple[str, Identity]] = field(default_factory=set)
    adoptable: set[str] = field(default_factory=set)
    """Deliveries that are no intents: threads in doubt for a message."""
    left_out: dict[str, set[str]] = field(default_factory=dict)
    resolved: set[str] = field(default_factory=set)
    cursor: Anchor | None = None
    is_part: bool = False
    is_ended: bool = True
    is_shown: bool = False
    remembered: list[str] = field(default_factory=list)
    count: int = 0
    checksum: int = 0
    """Over the deliveries so far, to tell whether lines were lost."""
    suppressed: dict[Identity, set[str]] = field(default_factory=dict)
    folders: dict[str, tuple[str, ...]] = field(default_factory=dict)
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
        for delivery in self._allayed():
            del rows[delivery]
        return History(
            tests={each: rows.pop(each) for each in self.tests},
            rows=rows,
            pending=self.pending.copy(),
            doubts=self.doubts.copy(),
            doubted=frozenset(self.doubted),
            resolved=frozenset(self.resolved),
            cursor=self.cursor,
            is_whole=self.is_ended and not self.is_part,
            is_shown=self.is_shown,
            remembered=tuple(self.remembered),
            suppressed={identity: frozenset(ids) for identity, ids in self.suppressed.items()},
            folders=self.folders.copy(),
            target=self.target,
            account=self.account,
        )

    def settle(
        self, delivery: str, outcome: str | Settled, created: datetime | None = None
    ) -> None:
        """Take in what became of a delivery; what is sent is given by its thread."""
        self.add_up("outcome", delivery, outcome if isinstance(outcome, str) else "")
        row = self.rows.get(delivery)
        known = row or self.orphans.get(delivery)
        if known and known.outcome and _STRENGTH[type(outcome)] < _STRENGTH[type(known.outcome)]:
            return
        if row is None:
            # Its intent may be lost, and others with it.
            self.orphans[delivery] = Orphan(outcome, created, self.line)
            self.cursor = None
        else:
            self.rows[delivery] = Row(*row[:4], outcome, created)
            self.pending.pop(delivery, None)

    def add_up(self, *parts: str) -> None:
        """Count a line about a delivery, whatever its place."""
        self.count += 1
        self.checksum = (self.checksum + crc32(" ".join(parts).encode())) % 2**64

    def knows(self, event: Checked) -> bool:
        """Whether an event was written with the same deliveries before it."""
        return (event["deliveries"], event["checksum"]) == (self.count, self.checksum)

    def narrow(self, delivery: str) -> None:
        """Take out of a delivery whom Toloka left out: they got nothing, and that is final."""
        row, ids = self.rows.get(delivery), self.left_out.get(delivery)
        if row is None or not ids:
            return
        out = tuple(key for key in row.keys if key in ids)
        kept = tuple(key for key in row.keys if key not in ids)
        self.rows[delivery] = row._replace(whom=kept)
        nobody = NoRecipients("Toloka's answer does not name them")
        self.rows[f"{delivery}-left-out"] = row._replace(whom=out, outcome=nobody, created=None)

    def _allayed(self) -> list[str]:
        """The doubts about threads that some delivery claims by now."""
        open_ones = [each for each in self.adoptable if self.rows[each].outcome is None]
        if not open_ones:
            return []
        claimed = {row.outcome for row in self.rows.values() if isinstance(row.outcome, str)}
        return [each for each in open_ones if claimed.issuperset(self.doubts[each])]


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


def _take_intent(state: ManifestState, event: Checked) -> None:
    delivery, row = event["delivery"], _row_of(state, event)
    state.add_up("intent", delivery)
    known = state.rows.setdefault(delivery, row)
    if known is not row:
        if (known.kind, known.digest, known.at) != (row.kind, row.digest, row.at):
            raise ValueError("two intents with one delivery id")
        return
    if event.get("test") is True:
        state.tests.add(delivery)
    orphan = state.orphans.pop(delivery, None)
    if orphan is not None:
        state.rows[delivery] = Row(*row[:4], orphan.outcome, orphan.created)
        state.narrow(delivery)
    else:
        run = event.get("run") or None
        # Without its anchor, it may have been at any time.
        anchor = state.anchors.get(run or "", BEGINNING)
        place = event.get("place")
        before = Place(ours=place[0], alike=place[1]) if place else None
        state.pending[delivery] = Pending(run, anchor, before)


def _take_anchor(state: ManifestState, event: Checked) -> None:
    state.anchors[event["run"]] = _anchor(event)


def _take_looked(state: ManifestState, event: Checked) -> None:
    # What was remembered is so, whatever else is missing.
    if event.get("rest"):
        state.remembered.append(event["rest"])
    state.cursor = _anchor(event) if state.knows(event) else None
    state.is_part = event.get("part") is True
    if state.cursor is not None and not state.is_part:
        for delivery, pending in state.pending.items():
            state.pending[delivery] = pending._replace(was_looked_for=True)


def _take_shown(state: ManifestState, _event: Checked) -> None:
    state.is_shown = True


def _take_run(state: ManifestState, _event: Checked) -> None:
    state.is_ended = False


def _take_end(state: ManifestState, event: Checked) -> None:
    state.is_ended = state.knows(event)


def _take_doubt(state: ManifestState, event: Checked) -> None:
    """A thread that may be a delivery's: of an intent, or of a message that has none for it."""
    delivery, threads = event["delivery"], tuple(event["threads"])
    state.doubts[delivery] = tuple(dict.fromkeys((*state.doubts.get(delivery, ()), *threads)))
    if "message" in event:
        state.rows.setdefault(delivery, _row_of(state, event))
        state.adoptable.add(delivery)
        identity = (event["message"], event["revision"])
        state.doubted.update((thread, identity) for thread in threads)
        orphan = state.orphans.pop(delivery, None)
        if orphan is not None:
            state.rows[delivery] = state.rows[delivery]._replace(outcome=orphan.outcome)


def _take_left_out(state: ManifestState, event: Checked) -> None:
    ids = state.left_out.setdefault(event["delivery"], set())
    ids.update(event["recipients_ids"])
    state.narrow(event["delivery"])


def _anchor(event: Checked) -> Anchor:
    return Anchor(_moment(event, "created")) if event.get("created") else BEGINNING


def _row_of(state: ManifestState, event: Checked) -> Row:
    message, revision, source = event["message"], event["revision"], event["source"]
    action: Action = event.get("action") or "compose"
    select_type = event.get("recipients_select_type")
    whom: object = event.get("recipients_filter")
    if action == "reply":
        select_type, whom = None, event.get("thread_id")
    elif select_type == "DIRECT":
        ids: list[str] = event.get("recipients_ids") or []
        whom = ids[0] if len(ids) == 1 else tuple(ids)
    kind = Kind(message, revision, source, action, select_type or None)
    # What many rows have in common is kept once.
    kind = state.kinds.setdefault(kind, kind)
    digest = state.digests.setdefault(kind, event["digest"])
    if digest != event["digest"]:
        digest = event["digest"]
    return Row(kind, whom or None, digest, _moment(event, "at"))


def _take_sent(state: ManifestState, event: Checked) -> None:
    created = _moment(event, "created") if event.get("created") else None
    if event.get("how") == "resolved":
        state.resolved.add(event["delivery"])
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
_PLACE: Check = (
    lambda value: type(value) is list and [type(each) for each in value] == [int, int],
    "no two numbers under {}",
)
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
    "run": LineKind(_take_run),
    "end": LineKind(_take_end, {"deliveries": _NUMBER, "checksum": _NUMBER}),
    "anchor": LineKind(_take_anchor, {"run": _TEXT}, {"created": _TEXT}),
    "looked": LineKind(
        _take_looked,
        {"deliveries": _NUMBER, "checksum": _NUMBER},
        {"created": _TEXT, "rest": _TEXT},
    ),
    "shown": LineKind(_take_shown),
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
            "run": _TEXT,
            "place": _PLACE,
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
    "doubt": LineKind(
        _take_doubt,
        {"delivery": _TEXT, "threads": _TEXTS},
        {
            "message": _TEXT,
            "revision": _NUMBER,
            "source": _TEXT,
            "digest": _TEXT,
            "recipients_select_type": _SELECT_TYPE,
            "recipients_ids": _TEXTS,
            "recipients_filter": _TREE,
        },
    ),
    "left_out": LineKind(_take_left_out, {"delivery": _TEXT, "recipients_ids": _TEXTS}),
}
"""Every kind of line: a new one is an entry here, and what uses it."""
