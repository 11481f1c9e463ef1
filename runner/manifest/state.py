"""What the lines of a manifest say together, kept up to date while a run writes more.

The order of the lines is no matter: an outcome may stand before its intent, as it does when two
copies of a manifest are merged. No line becomes a value of its own: there may be half a million.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import GenericAlias
from typing import Any, NamedTuple

from runner import clock
from runner.manifest.history import History, Identity, Kind, NotFound, Row, Seen, Settled
from runner.model import Action, NoRecipients, Rejected, SelectType

VERSION = 1
"""What every manifest begins with."""
TEXTS = list[str]
Wanted = type | GenericAlias | tuple[str, ...]
"""What a key holds: a type, texts, or one of some words."""
# `sent`, of which the thread is kept, beats everything, whatever the order of the lines.
_STRENGTH: Mapping[type, int] = {NotFound: 0, Rejected: 1, NoRecipients: 2, str: 3}
Checked = Mapping[str, Any]
"""An event whose keys hold what `LINES` says."""


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
    kinds: dict[tuple[object, ...], tuple[Kind, str]] = field(default_factory=dict)
    """Each kind, with its first digest."""
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
            self.rows[delivery] = Row(row.kind, row.whom, row.digest, row.at, outcome, created)
            self.server_at.pop(delivery, None)


def check_event(event: Checked) -> None:
    """Hold an event against `LINES`; raises `ValueError`, `KeyError` or `TypeError`."""
    kind = LINES.get(event["event"])
    if kind is None:
        raise ValueError(f"unknown event {ascii(event['event'])[:40]}: written by a later version?")
    for key, wanted in kind.needed.items():
        value = event[key]
        if value == "" or (type(value) is not wanted and not _holds(value, wanted)):
            raise ValueError(_complaint(key, wanted))
    for key, wanted in kind.optional.items():
        value = event.get(key)
        # What is empty says nothing.
        if value and type(value) is not wanted and not _holds(value, wanted):
            raise ValueError(_complaint(key, wanted))


def _holds(value: object, wanted: Wanted) -> bool:
    """Whether a value is what is wanted, where that is more than a type."""
    if wanted is TEXTS:
        return type(value) is list and all(type(each) is str for each in value)
    return type(wanted) is tuple and value in wanted


def _complaint(key: str, wanted: Wanted) -> str:
    if isinstance(wanted, tuple):
        return f"an unknown word under {key!r}: written by a later version?"
    names = {str: "text", int: "whole number", dict: "filter"}
    name = names.get(wanted) if isinstance(wanted, type) else "list of texts"
    return f"no {name} under {key!r}"


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
    action: Action = event.get("action") or "compose"
    select_type: SelectType | None = event.get("recipients_select_type") or None
    whom = event.get("recipients_filter") or None
    if action == "reply":
        select_type, whom = None, event.get("thread_id") or None
    elif select_type == "DIRECT":
        whom = tuple(event.get("recipients_ids") or ())
        whom = whom[0] if len(whom) == 1 else whom
    # What many rows have in common is kept once, the digest too unless each has its own.
    common = (event["message"], event["revision"], event["source"], action, select_type)
    digest = event["digest"]
    kind, known = state.kinds.get(common) or state.kinds.setdefault(common, (Kind(*common), digest))
    return Row(kind, whom, known if known == digest else digest, _moment(event, "at"))


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


@dataclass(frozen=True, slots=True)
class LineKind:
    """What one kind of line holds, and how it is taken in. Times are read as they are taken."""

    take: Callable[[ManifestState, Checked], None]
    needed: Mapping[str, Wanted] = field(default_factory=dict)
    optional: Mapping[str, Wanted] = field(default_factory=dict)


LINES: Mapping[str, LineKind] = {
    "manifest": LineKind(_take_about, {"version": int, "target": str}, {"account": str}),
    "account": LineKind(_take_about, {"account": str}),
    "run": LineKind(_take_nothing),
    "intent": LineKind(
        _take_intent,
        {"delivery": str, "message": str, "revision": int, "source": str, "digest": str},
        {
            "action": ("compose", "reply"),
            "recipients_select_type": ("DIRECT", "FILTER", "ALL"),
            "recipients_ids": TEXTS,
            "recipients_filter": dict,
            "thread_id": str,
        },
    ),
    "sent": LineKind(_take_sent, {"delivery": str, "thread_id": str}),
    "rejected": LineKind(
        _take_rejected, {"delivery": str}, {"status": int, "code": str, "detail": str}
    ),
    "no_recipients": LineKind(_take_no_recipients, {"delivery": str}, {"detail": str}),
    "not_found": LineKind(_take_not_found, {"delivery": str}),
    "suppressed": LineKind(
        _take_suppressed, {"message": str, "revision": int}, {"recipients_ids": TEXTS}
    ),
    "folders": LineKind(_take_folders, {"thread_id": str}, {"folders": TEXTS}),
    "seen": LineKind(
        _take_seen,
        {"thread_id": str, "created": str, "digest": str, "recipients_select_type": str},
        {"recipients_ids": TEXTS},
    ),
}
"""Every kind of line: a new one is an entry here, and what uses it."""
