"""The lines of which there may be half a million, read by columns: intents, and what was sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from runner import clock
from runner.manifest.attempts import Kind, Row, pending_of, row_of
from runner.manifest.columns import Columns
from runner.manifest.lines import numbered
from runner.manifest.state import INTENT, OUTCOME, ManifestState, sums
from runner.model import Action, Place, SelectType
from runner.toloka.anchor import BEGINNING
from runner.toloka.digest import KIND

Intent = tuple[str, Row, int, str | None, Place | None, str | None, object]
"""A delivery, its row and checksum, the run, its place in a thread, the topic, whether a test."""
SentLine = tuple[str, str, datetime | None, int, object]
"""A delivery, its thread and when that was made, the checksum, how it was learned."""
_ABOUT = ("message", "revision", "source", "action", "recipients_select_type")


def read_intents(columns: Columns, state: ManifestState) -> Iterable[Intent]:
    """Read intents."""
    deliveries = columns["delivery"]
    return zip(
        deliveries,
        read_rows(columns, state),
        sums(INTENT, deliveries),
        columns["run"],
        [place and _place_of(place) for place in columns["place"]],
        columns["topic"],
        columns["test"],
        strict=True,
    )


def read_claims(columns: Columns, state: ManifestState) -> list[Iterable[Intent]]:
    """Read intents that were written short, many to a line."""
    return [read_intents(Columns([*_unfolded(event)]), state) for event in columns.events]


def read_rows(columns: Columns, state: ManifestState) -> list[Row]:
    """Read the rows of deliveries."""
    kinds, digests = [], []
    commons = zip(*map(columns.__getitem__, _ABOUT), strict=True)
    for common, digest in zip(commons, columns["digest"], strict=True):
        # What many rows have in common is kept once, the digest too unless each has its own.
        known = state.kinds.get(common) or state.kinds.setdefault(common, (_kind(*common), digest))
        kinds.append(known[0])
        digests.append(known[1] if known[1] == digest else digest)
    choices = map(columns.__getitem__, ("thread_id", "recipients_ids", "recipients_filter"))
    whom = map(_whom, kinds, *choices)
    at = map(moments(columns["at"], "at").__getitem__, columns["at"])
    nothing = (None,) * len(kinds)
    values = zip(kinds, whom, digests, at, nothing, nothing, columns["key"], strict=True)
    return [*map(row_of, values)]


def read_sent(columns: Columns, _state: ManifestState) -> Iterable[SentLine]:
    """Read what was sent."""
    deliveries, threads = columns["delivery"], columns["thread_id"]
    created = map(moments(filter(None, columns["created"]), "created").get, columns["created"])
    told = map("{} {}".format, deliveries, threads)
    return zip(deliveries, threads, created, sums(OUTCOME, told), columns["how"], strict=True)


def take_intent(state: ManifestState, intent: Intent) -> None:
    """Take in an intent."""
    delivery, row, checksum, run, place, topic, test = intent
    state.add_up(checksum)
    if topic is not None:
        state.topics.setdefault(row.kind, topic)
    known = state.rows.setdefault(delivery, row)
    if known is not row:
        if (known.kind, known.digest, known.at) != (row.kind, row.digest, row.at):
            raise ValueError("two intents with one delivery id")
        return
    if test is True:
        state.tests.add(delivery)
    if delivery in state.orphans:
        orphan = state.orphans.pop(delivery)
        state.rows[delivery] = row._replace(outcome=orphan.outcome, created=orphan.created)
        state.narrow(delivery)
    else:
        # Without its anchor, it may have been at any time.
        anchor = state.anchors.get(run or "", BEGINNING)
        state.pending[delivery] = pending_of((run, anchor, place, False))


def take_claim(state: ManifestState, intents: Iterable[Intent]) -> None:
    """Take in intents that were written short."""
    for intent in intents:
        take_intent(state, intent)


def take_sent(state: ManifestState, sent: SentLine) -> None:
    """Take in what was sent."""
    delivery, thread, created, checksum, how = sent
    state.add_up(checksum)
    if how == "resolved":
        state.resolved.add(delivery)
    state.settle(delivery, thread, created)


def moments(texts: Iterable[Any], key: str) -> dict[str, datetime]:
    """Read times, by their texts: many lines are of one moment. Raises `ValueError`."""
    try:
        return {text: clock.read(text) for text in {*texts}}
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"no time under {key!r}") from None


def _unfolded(event: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for number, row in enumerate(event["rows"]):
        toloker, digest, key = (f"{row} " if row.count(" ") == 1 else row).split(" ")
        own = {"delivery": numbered(event["delivery"], number), "recipients_ids": [toloker]}
        yield {**event, **own, "key": key or None, "digest": KIND + digest}


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
