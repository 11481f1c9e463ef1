"""The lines of which there may be half a million, read by columns: intents, and what was sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from runner import clock
from runner.manifest.attempts import Kind, Row, pending_of, row_of
from runner.manifest.columns import Columns
from runner.manifest.lines import numbered
from runner.manifest.state import INTENT, OUTCOME, ManifestState
from runner.model import Action, Place, SelectType
from runner.toloka.anchor import BEGINNING
from runner.toloka.digest import KIND

_ABOUT = ("message", "revision", "source", "action", "recipients_select_type")


def take_intents(state: ManifestState, columns: Columns) -> None:
    """Take in intents; raises `ValueError`, and takes in none, where two have one id and differ."""
    deliveries, rows = columns["delivery"], read_rows(columns, state)
    new = dict(zip(deliveries, rows, strict=True))
    if len(new) < len(rows):
        # One of them is there twice.
        for each in columns.apart():
            take_intents(state, each)
        return
    for delivery in state.rows.keys() & new:
        row, known = new.pop(delivery), state.rows[delivery]
        if (known.kind, known.digest, known.at) != (row.kind, row.digest, row.at):
            raise ValueError("two intents with one delivery id")
    state.add_up(INTENT, deliveries)
    for row, topic in zip(rows, columns["topic"], strict=True):
        if topic is not None:
            state.topics.setdefault(row.kind, topic)
    state.rows.update(new)
    state.tests.update(
        each for each, test in zip(deliveries, columns["test"], strict=True) if test is True
    )
    # Without its anchor, it may have been at any time.
    runs = ((run, state.anchors.get(run or "", BEGINNING)) for run in columns["run"])
    places = (place and _place_of(place) for place in columns["place"])
    looked_for = (pending_of((*run, place, False)) for run, place in zip(runs, places, strict=True))
    pending = dict(zip(deliveries, looked_for, strict=True))
    state.pending.update(
        pending if len(new) == len(rows) else {each: pending[each] for each in new}
    )
    state.join(new.keys())


def read_rows(columns: Columns, state: ManifestState) -> list[Row]:
    """Read the rows of deliveries."""
    abouts = [*zip(*map(columns.__getitem__, _ABOUT), strict=True)]
    for about in {*abouts} - state.kinds.keys():
        state.kinds[about] = _kind(*about)
    kinds = [*map(state.kinds.__getitem__, abouts)]
    # Many rows may have one digest, which is kept once then.
    digests = {each: each for each in columns["digest"]}
    choices = map(columns.__getitem__, ("thread_id", "recipients_ids", "recipients_filter"))
    times = moments(columns["at"], "at")
    nothing = (None,) * len(kinds)
    values = zip(
        kinds,
        map(_whom, kinds, *choices),
        map(digests.__getitem__, columns["digest"]),
        map(times.__getitem__, columns["at"]),
        nothing,
        nothing,
        columns["key"],
        strict=True,
    )
    return [*map(row_of, values)]


def take_sent(state: ManifestState, columns: Columns) -> None:
    """Take in what was sent."""
    deliveries, threads = columns["delivery"], columns["thread_id"]
    times = moments(filter(None, columns["created"]), "created")
    state.add_up(OUTCOME, [*map("{} {}".format, deliveries, threads)])
    state.resolved.update(
        each for each, how in zip(deliveries, columns["how"], strict=True) if how == "resolved"
    )
    for delivery, thread, created in zip(deliveries, threads, columns["created"], strict=True):
        state.settle(delivery, thread, times.get(created))


def unfolded(event: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The intents that a `claim` line was written for."""
    for number, row in enumerate(event["rows"]):
        toloker, digest, key = (f"{row} " if row.count(" ") == 1 else row).split(" ")
        own = {"delivery": numbered(event["delivery"], number), "recipients_ids": [toloker]}
        yield {**event, **own, "key": key or None, "digest": KIND + digest}


def moments(texts: Iterable[Any], key: str) -> dict[str, datetime]:
    """Read times, by their texts: many lines are of one moment. Raises `ValueError`."""
    try:
        return {text: clock.read(text) for text in {*texts}}
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"no time under {key!r}") from None


def _place_of(numbers: Sequence[int]) -> Place:
    if len(numbers) != 2:
        raise ValueError("no two numbers under 'place'")
    return Place(ours=numbers[0], alike=numbers[1])


def _kind(
    message: str, revision: int, source: str, action: Action | None, select_type: SelectType | None
) -> Kind:
    if action == "reply":
        return Kind(message, revision, source, action, None)
    return Kind(message, revision, source, "compose", select_type)


def _whom(kind: Kind, thread_id: str | None, ids: Sequence[str] | None, tree: object) -> object:
    if kind.action == "reply":
        return thread_id
    if kind.select_type == "DIRECT":
        return ids[0] if ids and len(ids) == 1 else tuple(ids or ())
    return tree
