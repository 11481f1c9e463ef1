"""Every kind of line that a manifest holds: what its keys must hold, and how it is taken in."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any

from runner.manifest.attempts import NotFound, Settled
from runner.manifest.columns import Columns, check, values_of
from runner.manifest.contents import content_of
from runner.manifest.rows import (
    moments,
    read_intents,
    read_rows,
    read_sent,
    take_intents,
    take_sent,
    unfolded,
)
from runner.manifest.state import OUTCOME, VERSION, Checked, ManifestState, RunLine
from runner.manifest.wanted import NUMBERS, TEXTS, Wanted
from runner.model import NoRecipients, Rejected, compared_as
from runner.toloka.anchor import BEGINNING, Anchor
from runner.toloka.digest import short
from runner.wording import printable

_SELECT_TYPES = ("DIRECT", "FILTER", "ALL")
_CHOICE: Mapping[str, Wanted] = {"recipients_select_type": _SELECT_TYPES, "recipients_filter": dict}
_WHOM: Mapping[str, Wanted] = {**_CHOICE, "recipients_ids": TEXTS, "key": str}


_TOGETHER = ("intent", "sent")
"""What is taken in many at a time, in this order, whatever order it was written in."""


def taken(
    events: Sequence[Checked], state: ManifestState, *, are_ours: bool = False
) -> Iterator[int]:
    """Check events and take them in, many at a time; gives each time how many that were.

    Those that are ours, just written, are not checked. Raises `ValueError`, `KeyError` or
    `TypeError` where one does not hold what it must: what follows the last ones that were given
    can be taken in again, one by one.
    """
    names = [event["event"] for event in events]
    read = {name: _read(name, events, state, are_ours=are_ours) for name in dict.fromkeys(names)}
    for is_together, stretch in groupby(names, _TOGETHER.__contains__):
        if is_together:
            counts = Counter(stretch)
            for name in _TOGETHER:
                LINES[name].take(state, [*islice(read.get(name, ()), counts[name])])
            yield counts.total()
            continue
        for name in stretch:
            LINES[name].take(state, next(read[name]))
            yield 1


def _read(
    name: str, events: Sequence[Checked], state: ManifestState, *, are_ours: bool
) -> Iterator[Any]:
    alike, kind = [event for event in events if event["event"] == name], LINES.get(name)
    if kind is None:
        raise ValueError(f"unknown event {ascii(name)[:40]}: written by a later version?")
    values = values_of(alike)
    if not are_ours:
        check(values, kind.needed, kind.optional)
    return iter(kind.read(Columns(values), state) if kind.read else alike)


def take_events(events: Iterable[Checked], state: ManifestState, *, are_ours: bool = True) -> None:
    """Take in events, all of them; they were just written unless `are_ours` says else."""
    deque(taken([*events], state, are_ours=are_ours), maxlen=0)


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


def _take_claim(state: ManifestState, event: Checked) -> None:
    """Many intents that were written short."""
    intents = read_intents(Columns(values_of([*unfolded(event)])), state)
    take_intents(state, [*intents])


def _take_nothing(_state: ManifestState, _event: Checked) -> None:
    """A sign of life."""


def _take_not_tried(state: ManifestState, event: Checked) -> None:
    for delivery in event["deliveries"]:
        _settle(state, delivery, NotFound())


def _take_doubt(state: ManifestState, event: Checked) -> None:
    """A thread that may be a delivery's: of an intent, or of a message that has none for it."""
    delivery, threads = event["delivery"], tuple(event["threads"])
    state.doubts[delivery] = tuple(dict.fromkeys((*state.doubts.get(delivery, ()), *threads)))
    if event.get("message"):
        state.rows.setdefault(delivery, *read_rows(Columns(values_of([event])), state))
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
    times = moments(filter(None, [event.get("created")]), "created")
    return Anchor(*times.values()) if times else BEGINNING


def _take_rejected(state: ManifestState, event: Checked) -> None:
    status, code = event.get("status") or None, event.get("code") or None
    outcome = Rejected(status=status, code=code, detail=event.get("detail") or "")
    _settle(state, event["delivery"], outcome)


def _take_no_recipients(state: ManifestState, event: Checked) -> None:
    _settle(state, event["delivery"], NoRecipients(event.get("detail") or ""))


def _take_not_found(state: ManifestState, event: Checked) -> None:
    _settle(state, event["delivery"], NotFound())


def _settle(state: ManifestState, delivery: str, outcome: Settled) -> None:
    state.add_up(OUTCOME, [f"{delivery} "])
    state.settle(delivery, outcome)


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


@dataclass(frozen=True, slots=True)
class LineKind:
    """What one kind of line holds, and how it is taken in. Times are read as they are taken."""

    take: Callable[[ManifestState, Any], None]
    """Takes in one event, or a list of those that are taken in together."""
    needed: Mapping[str, Wanted] = field(default_factory=dict)
    optional: Mapping[str, Wanted] = field(default_factory=dict)
    is_of_run: bool = False
    """Whether it tells of a run or a look alone: no plan comes out otherwise for it."""
    read: Callable[[Columns, ManifestState], Iterable[Any]] | None = None
    """What is taken in instead of the events."""


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
        take_intents,
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
        read=read_intents,
    ),
    "claim": LineKind(
        _take_claim,
        {"delivery": str, "message": str, "revision": int, "source": str, "rows": TEXTS},
        {"action": ("compose",), "recipients_select_type": ("DIRECT",), "run": str},
    ),
    "sent": LineKind(take_sent, {"delivery": str, "thread_id": str}, read=read_sent),
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
