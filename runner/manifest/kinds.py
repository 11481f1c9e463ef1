"""Every kind of line that a manifest holds: what its keys must hold, and how it is taken in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter

from runner import clock
from runner.manifest.attempts import Kind, NotFound, Pending, Row
from runner.manifest.contents import content_of
from runner.manifest.lines import numbered
from runner.manifest.state import INTENT, VERSION, Checked, ManifestState, RunLine
from runner.manifest.wanted import NUMBERS, TEXTS, Wanted, complaint, hold
from runner.model import Action, NoRecipients, Place, Rejected, SelectType, compared_as
from runner.toloka.anchor import BEGINNING, Anchor
from runner.toloka.digest import KIND, short
from runner.wording import printable

_SELECT_TYPES = ("DIRECT", "FILTER", "ALL")
_CHOICE: Mapping[str, Wanted] = {"recipients_select_type": _SELECT_TYPES, "recipients_filter": dict}
_WHOM: Mapping[str, Wanted] = {**_CHOICE, "recipients_ids": TEXTS, "key": str}


def check_events(events: Iterable[Checked]) -> None:
    """Hold events against their kinds, those of one kind together, key by key.

    Raises `ValueError`, `KeyError` or `TypeError` for one that does not hold what it must.
    """
    kinds: dict[str, list[Checked]] = defaultdict(list)
    for event in events:
        kinds[event["event"]].append(event)
    for name, alike in kinds.items():
        kind = LINES.get(name)
        if kind is None:
            raise ValueError(f"unknown event {ascii(name)[:40]}: written by a later version?")
        for key, wanted in kind.needed.items():
            values = [*map(itemgetter(key), alike)]
            is_held = hold(values, wanted) and "" not in values
            if not is_held or (wanted is int and max(map(int.bit_length, values)) > 63):
                raise ValueError(complaint(key, wanted))
        for key, wanted in kind.optional.items():
            # What is empty says nothing.
            if not hold([value for event in alike if (value := event.get(key))], wanted):
                raise ValueError(complaint(key, wanted))


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
    state.acts_under = event.get("acts_under", state.acts_under)


def _take_intent(state: ManifestState, event: Checked) -> None:
    delivery, row = event["delivery"], _row_of(state, event)
    state.add_up(INTENT, delivery)
    if "topic" in event:
        state.topics.setdefault(row.kind, event["topic"])
    known = state.rows.setdefault(delivery, row)
    if known is not row:
        if (known.kind, known.digest, known.at) != (row.kind, row.digest, row.at):
            raise ValueError("two intents with one delivery id")
        return
    if event.get("test") is True:
        state.tests.add(delivery)
    if delivery in state.orphans:
        orphan = state.orphans.pop(delivery)
        state.rows[delivery] = row._replace(outcome=orphan.outcome, created=orphan.created)
        state.narrow(delivery)
    else:
        run, place = event.get("run") or None, event.get("place")
        # Without its anchor, it may have been at any time.
        anchor = state.anchors.get(run or "", BEGINNING)
        state.pending[delivery] = Pending(run, anchor, _place_of(place) if place else None)


def _take_claim(state: ManifestState, event: Checked) -> None:
    for number, row in enumerate(event["rows"]):
        toloker, digest, key = (f"{row} " if row.count(" ") == 1 else row).split(" ")
        own = {"delivery": numbered(event["delivery"], number), "recipients_ids": [toloker]}
        _take_intent(state, {**event, **own, "key": key, "digest": KIND + digest})


def _place_of(numbers: Sequence[int]) -> Place:
    if len(numbers) != 2:
        raise ValueError("no two numbers under 'place'")
    return Place(ours=numbers[0], alike=numbers[1])


def _take_anchor(state: ManifestState, event: Checked) -> None:
    state.anchors[event["run"]] = _anchor(event)


def _take_rest(state: ManifestState, event: Checked) -> None:
    # What is remembered is so, whatever else is missing.
    state.remembered.append(event["threads"])


def _take_looked(state: ManifestState, event: Checked) -> None:
    state.cursor = _anchor(event) if state.knows(event) else None
    state.is_part = event.get("part") is True
    if state.cursor is not None and not state.is_part:
        for delivery, pending in state.pending.items():
            state.pending[delivery] = pending._replace(was_looked_for=True)


def _take_shown(state: ManifestState, _event: Checked) -> None:
    state.is_shown = True


def _take_run(state: ManifestState, event: Checked) -> None:
    state.is_ended = False
    if not state.is_chained:
        return
    before = next(reversed(state.runs), None)
    if (event["number"], event.get("after")) != (len(state.runs) + 1, before):
        raise ValueError("the run before it is missing")
    state.runs[event["run"]] = RunLine(event["at"], event.get("actor") or "somebody")
    state.is_accepted = state.is_accepted or event.get("command") == "unlock"
    state.over.update(event.get("ends") or ())
    state.unlocked.update(event.get("unlocks") or ())


def _take_end(state: ManifestState, event: Checked) -> None:
    state.is_ended = state.knows(event)
    state.over.add(event.get("run") or "")


def _take_stop(state: ManifestState, event: Checked) -> None:
    who = event.get("actor") or "somebody"
    state.stopped = printable(f"{who} stopped all sending at {event['at']}: {event['reason']}")


def _take_lift(state: ManifestState, _event: Checked) -> None:
    state.stopped = None


def _take_nothing(_state: ManifestState, _event: Checked) -> None:
    """A sign of life."""


def _take_not_tried(state: ManifestState, event: Checked) -> None:
    for delivery in event["deliveries"]:
        state.settle(delivery, NotFound())


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
    action: Action = event.get("action") or "compose"
    select_type: SelectType | None = event.get("recipients_select_type") or None
    whom: object
    if action == "reply":
        select_type, whom = None, event.get("thread_id") or None
    elif select_type == "DIRECT":
        ids = event.get("recipients_ids") or []
        whom = ids[0] if len(ids) == 1 else tuple(ids)
    else:
        whom = event.get("recipients_filter") or None
    # What many rows have in common is kept once, the digest too unless each has its own.
    common = (event["message"], event["revision"], event["source"], action, select_type)
    digest = event["digest"]
    kind, known = state.kinds.get(common) or state.kinds.setdefault(common, (Kind(*common), digest))
    digest = known if known == digest else digest
    return Row(kind, whom, digest, _moment(event, "at"), None, None, event.get("key") or None)


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
    identity, ids = (event["message"], event["revision"]), event.get("recipients_ids") or ()
    state.suppressed.setdefault(identity, set()).update(map(compared_as, ids))


def _take_held(state: ManifestState, event: Checked) -> None:
    state.held[event["message"], event["revision"]] = event["tolokers"]


def _take_folders(state: ManifestState, event: Checked) -> None:
    known = state.folders.get(event["thread_id"], ())
    state.folders[event["thread_id"]] = (*dict.fromkeys((*known, *(event.get("folders") or ()))),)


def _take_content(state: ManifestState, event: Checked) -> None:
    if event.get("rows"):
        state.row_contents.append((" ".join(event["rows"]), content_of(event)))
    else:
        state.contents[short(event["digest"])] = content_of(event)


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
    is_of_run: bool = False
    """Whether it tells of a run or a look alone: no plan comes out otherwise for it."""


LINES: Mapping[str, LineKind] = {
    "manifest": LineKind(
        _take_about,
        {"version": int, "target": str},
        {"account": str, "acts_under": str},
        is_of_run=True,
    ),
    "account": LineKind(_take_about, {"account": str}, is_of_run=True),
    "run": LineKind(
        _take_run,
        optional={
            "run": str,
            "number": int,
            "after": str,
            "ends": TEXTS,
            "unlocks": TEXTS,
            "actor": str,
        },
        is_of_run=True,
    ),
    "alive": LineKind(_take_nothing),
    "stop": LineKind(_take_stop, {"reason": str, "at": str}, {"actor": str}),
    "lift": LineKind(_take_lift),
    "end": LineKind(_take_end, {"deliveries": int, "checksum": int}, {"run": str}, is_of_run=True),
    "anchor": LineKind(_take_anchor, {"run": str}, {"created": str}, is_of_run=True),
    "rest": LineKind(_take_rest, {"threads": str}, is_of_run=True),
    "looked": LineKind(
        _take_looked,
        {"deliveries": int, "checksum": int},
        {"created": str},
        is_of_run=True,
    ),
    "shown": LineKind(_take_shown, is_of_run=True),
    "intent": LineKind(
        _take_intent,
        {
            "delivery": str,
            "message": str,
            "revision": int,
            "source": str,
            "digest": str,
        },
        {
            "action": ("compose", "reply"),
            **_WHOM,
            "thread_id": str,
            "run": str,
            "topic": str,
            "place": NUMBERS,
        },
    ),
    "claim": LineKind(
        _take_claim,
        {"delivery": str, "message": str, "revision": int, "source": str, "rows": TEXTS},
        {"action": ("compose",), "recipients_select_type": ("DIRECT",), "run": str},
    ),
    "sent": LineKind(_take_sent, {"delivery": str, "thread_id": str}),
    "rejected": LineKind(
        _take_rejected,
        {"delivery": str},
        {"status": int, "code": str, "detail": str},
    ),
    "no_recipients": LineKind(_take_no_recipients, {"delivery": str}, {"detail": str}),
    "not_found": LineKind(_take_not_found, {"delivery": str}),
    "not_tried": LineKind(_take_not_tried, {"deliveries": TEXTS}),
    "suppressed": LineKind(
        _take_suppressed,
        {"message": str, "revision": int},
        {"recipients_ids": TEXTS},
    ),
    "held": LineKind(_take_held, {"message": str, "revision": int, "tolokers": int}),
    "folders": LineKind(_take_folders, {"thread_id": str}, {"folders": TEXTS}),
    "doubt": LineKind(
        _take_doubt,
        {"delivery": str, "threads": TEXTS},
        {
            "message": str,
            "revision": int,
            "source": str,
            "digest": str,
            **_WHOM,
        },
    ),
    "content": LineKind(
        _take_content,
        {"text": dict},
        {"digest": str, "rows": TEXTS, "topic": dict, "answerable": bool, **_CHOICE},
        is_of_run=True,
    ),
    "left_out": LineKind(_take_left_out, {"delivery": str, "recipients_ids": TEXTS}),
}
"""Every kind of line: a new one is an entry here, and what uses it."""
