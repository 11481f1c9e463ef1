"""What the lines of a manifest say together, kept up to date while a run writes more.

The order of the lines is no matter: an outcome may stand before its intent, as it does when two
copies of a manifest are merged. No line becomes a value of its own: there may be half a million.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import repeat
from typing import Any, NamedTuple
from zlib import crc32

from runner.errors import SurroundingsError
from runner.manifest.attempts import Identity, Kind, NotFound, Pending, Row, Settled, row_of
from runner.manifest.history import History
from runner.model import Content, NoRecipients, Rejected
from runner.toloka.anchor import Anchor

VERSION = 1
"""What every manifest begins with."""
# `sent`, of which the thread is kept, beats everything, whatever the order of the lines.
_STRENGTH: Mapping[type, int] = {NotFound: 0, Rejected: 1, NoRecipients: 2, str: 3}
# What the checksums of these lines begin with.
INTENT = crc32(b"intent ")
OUTCOME = crc32(b"outcome ")
Checked = Mapping[str, Any]
"""An event whose keys hold what `LINES` says."""


class Orphan(NamedTuple):
    """An outcome whose intent has not been read yet: until it is, it claims nothing."""

    outcome: str | Settled
    created: datetime | None


class RunLine(NamedTuple):
    """A run in the chain of those that share a branch: who it is, and since when."""

    at: str
    who: str


@dataclass(slots=True)
class ManifestState:
    """What the lines of a manifest say so far; `history` is what is planned with."""

    is_chained: bool = False
    """Whether it is on a branch: no line is lost there, and runs name the one before them."""
    mine: str | None = None
    """The run that writes here, on a branch."""
    runs: dict[str, RunLine] = field(default_factory=dict)
    """On a branch, by their ids, in the order in which they came."""
    over: set[str] = field(default_factory=set)
    """The runs that have ended, or were taken over."""
    unlocked: set[str] = field(default_factory=set)
    """The runs that a person has ended: they send nothing more, as soon as they see it."""
    is_accepted: bool = False
    """Whether a person has taken the branch for the truth, or ended a run on it."""
    stopped: str | None = None
    rows: dict[str, Row] = field(default_factory=dict)
    """By delivery id, tests included."""
    tests: set[str] = field(default_factory=set)
    orphans: dict[str, Orphan] = field(default_factory=dict)
    topics: dict[Kind, str] = field(default_factory=dict)
    """The mark of the first topic of each kind."""
    pending: dict[str, Pending] = field(default_factory=dict)
    """The intents without an outcome, in their order."""
    anchors: dict[str, Anchor] = field(default_factory=dict)
    """By the id of the run."""
    doubts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    doubted: set[tuple[str, Identity]] = field(default_factory=set)
    adoptable: set[str] = field(default_factory=set)
    """Deliveries that are no intents: threads in doubt for a message."""
    left_out: dict[str, set[str]] = field(default_factory=dict)
    resolved: set[str] = field(default_factory=set)
    cursor: Anchor | None = None
    is_part: bool = False
    is_ended: bool = True
    is_shown: bool = False
    remembered: list[str] = field(default_factory=list)
    count: int = 0
    checksum: int = 0
    """Over the deliveries so far, to tell whether lines were lost."""
    suppressed: dict[Identity, set[str]] = field(default_factory=dict)
    held: dict[Identity, int] = field(default_factory=dict)
    folders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    contents: dict[str, Content] = field(default_factory=dict)
    row_contents: list[tuple[str, Content]] = field(default_factory=list)
    target: str | None = None
    account: str | None = None
    acts_under: str | None = None
    """The shared account that is acted under."""
    kinds: dict[tuple[object, ...], Kind] = field(default_factory=dict)
    """By what tells one from the others."""

    def history(self) -> History:
        """What the manifest knows by now."""
        rows = self.rows.copy()
        if self.adoptable:
            for delivery in self._allayed():
                del rows[delivery]
        return History(
            stopped=self.stopped,
            being_sent=self._being_sent() if self.is_chained else frozenset(),
            tests={each: rows.pop(each) for each in self.tests},
            rows=rows,
            topics={kind[:2]: mark for kind, mark in self.topics.items()},
            pending=self.pending.copy(),
            doubts=self.doubts.copy(),
            doubted=frozenset(self.doubted),
            resolved=frozenset(self.resolved),
            held={identity: count for identity, count in self.held.items() if count},
            suppressed={identity: frozenset(ids) for identity, ids in self.suppressed.items()},
            folders=self.folders.copy(),
            contents=self.contents.copy(),
            row_contents=tuple(self.row_contents),
            **self.looks(),
        )

    def looks(self) -> dict[str, Any]:
        """What a history tells of runs and looks, and not of deliveries."""
        is_ended = not self.unended if self.is_chained else self.is_ended
        return {
            "cursor": self.cursor,
            "is_whole": is_ended and not self.is_part,
            "is_shown": self.is_shown,
            "remembered": tuple(self.remembered),
            "target": self.target,
            "account": self.account,
            "acts_under": self.acts_under,
        }

    @property
    def unended(self) -> list[str]:
        """The runs on a branch that have neither ended nor been taken over."""
        return [run for run in self.runs if run not in self.over]

    def settle(
        self, delivery: str, outcome: str | Settled, created: datetime | None = None
    ) -> None:
        """Take in what became of a delivery; what is sent is given by its thread."""
        row = self.rows.get(delivery)
        known = row or self.orphans.get(delivery)
        if known and known.outcome and _STRENGTH[type(outcome)] < _STRENGTH[type(known.outcome)]:
            return
        if row is None:
            # Its intent may be lost, and others with it.
            self.orphans[delivery] = Orphan(outcome, created)
            self.cursor = None
        else:
            kind, whom, digest, at, _, _, key = row
            self.rows[delivery] = row_of((kind, whom, digest, at, outcome, created, key))
            self.pending.pop(delivery, None)

    def add_up(self, kind: int, told: Sequence[str]) -> None:
        """Count lines about deliveries, whatever their place."""
        self.count += len(told)
        self.checksum += sum(map(crc32, map(str.encode, told), repeat(kind)))

    def knows(self, event: Checked) -> bool:
        """Whether an event was written with the same deliveries before it."""
        return self.is_chained or (
            (event["deliveries"], event["checksum"]) == (self.count, self.checksum)
        )

    def narrow(self, delivery: str) -> None:
        """Take out of a delivery whom Toloka left out: they got nothing, and that is final."""
        row, ids = self.rows.get(delivery), self.left_out.get(delivery, ())
        out = tuple(each for each in row.people if each in ids) if row else ()
        if row is None or not out:
            return
        kept = tuple(each for each in row.people if each not in ids)
        self.rows[delivery] = row._replace(whom=kept)
        name = f"{delivery}-left-out"
        # Of a line that is there twice, the second one finds nobody more.
        known = self.rows[name].people if name in self.rows else ()
        nobody = NoRecipients("Toloka's answer does not name them")
        self.rows[name] = row._replace(whom=(*known, *out), outcome=nobody, created=None)

    def _being_sent(self) -> frozenset[str]:
        """What the open runs of others claim: they say themselves what becomes of it."""
        runs = {*self.unended} - self.unlocked - {self.mine}
        return frozenset(each for each, pending in self.pending.items() if pending.run in runs)

    def _allayed(self) -> list[str]:
        """The doubts about threads that some delivery claims by now."""
        open_ones = [each for each in self.adoptable if self.rows[each].outcome is None]
        claimed = {row.outcome for row in self.rows.values() if isinstance(row.outcome, str)}
        return [each for each in open_ones if claimed.issuperset(self.doubts[each])]


def check_target(state: ManifestState, target: str | None, where: str) -> None:
    """Refuse the manifest of another target."""
    if state.target is not None and target is not None and state.target != target:
        raise SurroundingsError(
            f"{where} is the manifest of {state.target}, not of {target}: "
            "name another with --manifest, or move this one away"
        )
