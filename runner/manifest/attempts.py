"""One delivery as a manifest knows it: a small row for all, an attempt where one asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import NamedTuple, cast

from runner import model
from runner.model import Action, NoRecipients, Place, Rejected, SelectType, Sent
from runner.toloka.anchor import BEGINNING, Anchor

Identity = tuple[str, int]
"""A message id and its revision."""


@dataclass(frozen=True, slots=True)
class NotFound:
    """Looked for on Toloka's list, and not there: it may be tried again."""


Settled = Sent | Rejected | NoRecipients | NotFound
"""An outcome that the manifest can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One intent in the manifest with its outcome; `outcome` None is unknown."""

    delivery: str
    message: str
    revision: int
    source: str
    select_type: SelectType | None
    recipients_ids: tuple[str, ...]
    digest: str
    at: datetime
    recipients_filter: object = None
    action: Action = "compose"
    in_thread: str | None = None
    """The thread that a reply goes into."""
    key: str | None = None
    run: str | None = None
    """The run that tried it; like what follows, known as long as it is looked for."""
    anchor: Anchor = BEGINNING
    place: Place | None = None
    was_looked_for: bool = False
    """Whether a look of a later run has begun at its anchor: the next ones begin at the cursor."""
    is_being_sent: bool = False
    """Whether a run on another machine is about to make it, or to tell of it."""
    outcome: Settled | None = None

    @property
    def is_unknown(self) -> bool:
        return self.outcome is None

    @property
    def was_sent(self) -> bool:
        return isinstance(self.outcome, Sent)

    @property
    def thread_id(self) -> str | None:
        return self.outcome.thread.id if isinstance(self.outcome, Sent) else None


class Pending(NamedTuple):
    """What an intent without an outcome is looked for by."""

    run: str | None
    anchor: Anchor
    place: Place | None
    was_looked_for: bool = False


class Kind(NamedTuple):
    """What the deliveries of one message have in common."""

    message: str
    revision: int
    source: str
    action: Action
    select_type: SelectType | None


class Row(NamedTuple):
    """One delivery, kept small: a manifest may hold hundreds of thousands."""

    kind: Kind
    whom: object
    """A Toloker, or several; the thread of a reply; or the tree of a filter."""
    digest: str
    at: datetime
    outcome: str | Settled | None = None
    """The thread where it was sent; else what became of it, or None for unknown."""
    created: datetime | None = None
    key: str | None = None

    @property
    def counts(self) -> bool:
        """Whether it keeps its recipients from being written to: sent, in doubt, or nobody there."""
        return not isinstance(self.outcome, (Rejected, NotFound))

    @property
    def people(self) -> tuple[str, ...]:
        """The Tolokers, where they are named."""
        if self.kind.select_type != "DIRECT":
            return ()
        return self.whom if isinstance(self.whom, tuple) else (str(self.whom),)

    @property
    def keys(self) -> tuple[str | None, ...]:
        """What it reaches at most once, as `Delivery.keys` has it."""
        if self.kind.select_type == "DIRECT":
            return tuple(model.reached_as(each, self.key) for each in self.people)
        return (self.whom if isinstance(self.whom, str) else None,)


row_of = cast(Callable[[tuple[object, ...]], Row], partial(tuple.__new__, Row))
pending_of = cast(Callable[[tuple[object, ...]], Pending], partial(tuple.__new__, Pending))
"""Build values of which there are very many, twice as quickly as `Row(...)`."""
