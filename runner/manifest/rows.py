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

Intent = tuple[str, Row, str | None, Place | None, str | None, object]
"""A delivery, its row, the run, its place in a thread, the topic, whether a test."""
SentLine = tuple[str, str, datetime | None, object]
"""A delivery, its thread and when that was made, how it was learned."""
_ABOUT = ("message", "revision", "source", "action", "recipients_select_type")


def read_intents(columns: Columns, state: ManifestState) -> Iterable[Intent]:
    """Read intents."""
    places = [place and _place_of(place) for place in columns["place"]]
    own = map(columns.__getitem__, ("topic", "test"))
    return zip(
        columns["delivery"], read_rows(columns, state), columns["run"], places, *own, strict=True
    )


def take_intents(state: ManifestState, intents: Sequence[Intent]) -> None:
    """Take in intents; raises `ValueError` where two have one id and differ."""
    state.add_up(INTENT, [each[0] for each in intents])
    for delivery, row, run, place, topic, test in intents:
        if topic is not None:
            state.topics.setdefault(row.kind, topic)
        known = state.rows.setdefault(delivery, row)
        if known is not row:
            # Whom Toloka left out was taken out of it.
            whom = row.whom if delivery in state.left_out else known.whom
            if known._replace(whom=whom, outcome=None, created=None) != row:
                raise ValueError("two intents with one delivery id")
            continue
        if test is True:
            state.tests.add(delivery)
        if delivery in state.orphans:
            state.settle(delivery, *state.orphans.pop(delivery))
        else:
            # Without its anchor, it may have been at any time.
            anchor = state.anchors.get(run or "", BEGINNING)
            state.pending[delivery] = pending_of((run, anchor, place, False))
        if delivery in state.left_out:
            state.narrow(delivery)


def read_rows(columns: Columns, state: ManifestState) -> list[Row]:
    """Read the rows of deliveries."""
    abouts = [*zip(*map(columns.__getitem__, _ABOUT), strict=True)]
    for about in {*abouts}:
        if about not in state.kinds:
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


def read_sent(columns: Columns, _state: ManifestState) -> Iterable[SentLine]:
    """Read what was sent."""
    times = moments(filter(None, columns["created"]), "created")
    created = map(times.get, columns["created"])
    return zip(columns["delivery"], columns["thread_id"], created, columns["how"], strict=True)


def take_sent(state: ManifestState, lines: Sequence[SentLine]) -> None:
    """Take in what was sent."""
    state.add_up(OUTCOME, [f"{delivery} {thread}" for delivery, thread, _, _ in lines])
    for delivery, thread, created, how in lines:
        if how == "resolved":
            state.resolved.add(delivery)
        state.settle(delivery, thread, created)


def unfolded(event: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The intents that a `claim` line was written for."""
    for number, row in enumerate(event["rows"]):
        toloker, _, rest = row.partition(" ")
        digest, _, key = rest.partition(" ")
        if not digest or " " in key:
            raise ValueError("no Toloker and digest in a row under 'rows'")
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
