"""How much is shown: of long lists a few, of personal messages some of each kind, or all, or one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from runner.model import Direct, InOwnThread, InThread, Message
from runner.plan.plan import PlannedMessage

SHOWN = 5
"""Ids and threads of one message that are shown without `-v`."""
_WAYS = 3
"""Of the ways that only this row goes, so many are named."""
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Detail:
    """How much is shown: of long lists a few or `all` of it, of rows a few, all, or one."""

    all: bool = False
    row: int | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A message to show, and why it is this one of many rows: `first, shortest`."""

    message: Message
    kind: str

    @property
    def to(self) -> tuple[str, ...]:
        """The Tolokers whom a row is for, or the thread that it goes into."""
        match self.message.recipients:
            case Direct(ids):
                return ids
            case InThread(thread_id):
                return (thread_id,)
            case InOwnThread(_, toloker):
                return (toloker,)
            case _:
                return ()


def first_few(items: Sequence[_Item], *, verbose: bool) -> Sequence[_Item]:
    """The items that are shown: all of them, or the first where there are more than a few."""
    return items if verbose or len(items) <= SHOWN + 1 else items[:SHOWN]


def id_words(ids: Sequence[str], *, everything: bool = False) -> str:
    """List ids, the first few of many: `t1, t2, t3, t4, t5 and 95 more`."""
    few = first_few(ids, verbose=everything)
    more = f" and {len(ids) - len(few):,} more" if len(few) < len(ids) else ""
    return ", ".join(few) + more


def rows_of(planned: PlannedMessage) -> list[Message]:
    """The rows of a message that would be sent, now or later; where none would, all of them."""
    due = (*planned.sure, *planned.possible)
    messages = [each.message for each in due] or planned.messages
    return list({each.row: each for each in messages}.values())


def samples_of(planned: PlannedMessage, rows: Sequence[Message], detail: Detail) -> list[Sample]:
    """Choose what to show of some of its rows; a message without rows is its own sample."""
    if rows[0].row is None or detail.all:
        return [Sample(each, "") for each in rows]
    if detail.row is not None:
        # Whoever asks for a row wants it, though it was sent long ago.
        return [Sample(each, "") for each in planned.messages if each.row == detail.row]
    return list(_chosen(rows))


def _chosen(rows: Sequence[Message]) -> Iterator[Sample]:
    """The first, the longest and the shortest row, and one for each way that others go."""
    kinds: dict[int | None, list[str]] = defaultdict(list)
    kinds[rows[0].row].append("first")
    longest, shortest = max(rows, key=_length), min(rows, key=_length)
    if longest is not shortest:
        kinds[longest.row].append("longest")
        kinds[shortest.row].append("shortest")
    seen: set[str] = set()
    for each in sorted(rows, key=lambda each: each.row not in kinds):
        new = [trait for trait in _traits(each) if trait not in seen]
        if new or each.row in kinds:
            # The others are held against what the first row does.
            ways = new if len(new) <= _WAYS else [*new[:_WAYS], f"{len(new) - _WAYS} ways more"]
            yield Sample(each, ", ".join([*kinds.get(each.row, ()), *(ways if seen else ())]))
            seen.update(new)


def _traits(message: Message) -> Iterator[str]:
    """In what rows of one message may differ besides their values."""
    yield "in " + ", ".join(message.text)
    yield from message.branches


def _length(message: Message) -> int:
    return sum(map(len, message.text.values()))
