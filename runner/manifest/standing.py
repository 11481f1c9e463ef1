"""What became of each delivery: one word for each Toloker, thread or filter, in one order.

A message may be tried several times for one Toloker: a batch that is refused is split, and what was
refused is tried again. What counts is that it was sent, else that nobody knows, else the last refusal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from runner.manifest.attempts import NotFound, Row
from runner.manifest.history import History
from runner.model import NoRecipients, Rejected, compared_as

State = Literal[
    "sent", "rejected", "unknown", "in_doubt", "being_sent", "no_recipients", "not_found", "not_tried"
]  # fmt: skip
"""What the manifest can say of a delivery."""
STATES: tuple[State, ...] = get_args(State)
_SENT, _OPEN, _NOBODY, _FAILED = 3, 2, 1, 0


class Standing(NamedTuple):
    """What became of a message for one Toloker, for one thread, or for all whom Toloka chose.

    `toloker` is None where the manifest does not name one. A test counts for nobody else.
    """

    delivery: str
    row: Row
    toloker: str | None
    status: State
    is_test: bool = False

    @property
    def message(self) -> str:
        return self.row.kind.message

    @property
    def revision(self) -> int:
        return self.row.kind.revision

    @property
    def in_thread(self) -> str | None:
        """The thread that a reply goes into."""
        return str(self.row.whom) if self.row.kind.action == "reply" else None

    @property
    def thread_id(self) -> str | None:
        """The thread that was made or replied in."""
        return self.row.outcome if isinstance(self.row.outcome, str) else None

    @property
    def error(self) -> str | None:
        """Toloka's words, where it sent nothing."""
        outcome = self.row.outcome
        return outcome.detail if isinstance(outcome, (Rejected, NoRecipients)) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which deliveries somebody wants to see; nothing said is all of them."""

    messages: frozenset[str] | None = None
    toloker: str | None = None
    only: State | None = None

    @property
    def is_all(self) -> bool:
        return self.messages is None and self.toloker is None and self.only is None

    def takes(self, standing: Standing) -> bool:
        """Whether a delivery is one of them."""
        return (
            (self.messages is None or standing.message in self.messages)
            and self.only in (None, standing.status)
            and (self.toloker is None or compared_as(standing.toloker or "") == self.toloker)
        )


ALL = Choice()


def find_standings(history: History) -> list[Standing]:
    """Find what became of every delivery, by message, revision, Toloker and time."""
    found: dict[tuple[object, ...], Standing] = {}
    owners = _owners(history)
    for delivery, row in history.rows.items():
        status = _status_of(delivery, row, history)
        for toloker, key in _whom(row, owners):
            identity = (*row.kind[:2], key)
            known = found.get(identity)
            if known is None or _weight(row) >= _weight(known.row):
                found[identity] = Standing(delivery, row, toloker, status)
    return sorted(found.values(), key=_order)


def find_tests(history: History) -> list[Standing]:
    """Find what became of every test, in the same order."""
    found = (
        Standing(delivery, row, each, _status_of(delivery, row, history), is_test=True)
        for delivery, row in history.tests.items()
        for each in row.people
    )
    return sorted(found, key=_order)


def _order(standing: Standing) -> tuple[object, ...]:
    row = standing.row
    whom = compared_as(standing.toloker or standing.in_thread or "")
    return (*row.kind[:2], whom, row.key or "", row.at, standing.delivery)


def _whom(row: Row, owners: Mapping[str, str]) -> Iterator[tuple[str | None, str | None]]:
    """Each Toloker of a delivery, where they are known, with what it reaches at most once."""
    if row.people:
        yield from zip(row.people, row.keys, strict=True)
    else:
        yield from ((owners.get(key or ""), key) for key in row.keys)


def _owners(history: History) -> dict[str, str]:
    """The Toloker of each thread that was made for one: a reply in it goes to nobody else."""
    rows = history.rows.values()
    if not any(row.kind.action == "reply" for row in rows):
        return {}
    return {
        row.outcome: row.people[0]
        for row in rows
        if isinstance(row.outcome, str) and len(row.people) == 1
    }


def _weight(row: Row) -> int:
    match row.outcome:
        case str():
            return _SENT
        case None:
            return _OPEN
        case NoRecipients():
            return _NOBODY
        case _:
            return _FAILED


def _status_of(delivery: str, row: Row, history: History) -> State:
    match row.outcome:
        case None:
            if delivery in history.being_sent:
                return "being_sent"
            return "in_doubt" if history.is_in_doubt(delivery) else "unknown"
        case NoRecipients():
            return "no_recipients"
        case NotFound():
            return "not_found"
        case Rejected():
            return "rejected" if row.outcome.is_refusal else "not_tried"
        case _:
            return "sent"
