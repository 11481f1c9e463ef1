"""Every kind of line that a manifest holds: what its keys must hold, and how it is taken in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from runner import clock
from runner.manifest.history import Kind, NotFound, Pending, Row
from runner.manifest.state import VERSION, Checked, ManifestState
from runner.model import Action, NoRecipients, Place, Rejected
from runner.toloka.anchor import BEGINNING, Anchor


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
