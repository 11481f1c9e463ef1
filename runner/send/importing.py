"""`import`: an account's past is read from its list, and recorded. Nothing is sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from runner.lookup.names import Named
from runner.lookup.past import Past
from runner.manifest.manifest import Manifest
from runner.model import Message
from runner.send.catch_up import CatchUp
from runner.send.lists import Lister, Lists
from runner.toloka.anchor import made_since
from runner.toloka.pace import Pace

_AT_ONCE = 1_000
"""Threads that are recorded in one piece."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Importer:
    """Reads and records, with an open manifest; `messages` are all below the messages root."""

    manifest: Manifest
    toloka: Lists
    pace: Pace
    settle_s: float
    messages: Sequence[Message]

    def look(self, since: datetime | None, topics: Sequence[str]) -> tuple[Past, int]:
        """Give what no message claims, once catching up has had its share, and how much that was.

        Raises `LaterError` where the list cannot be had, and `Stopped`.
        """
        lister = Lister(self.manifest, self.toloka, self.pace)
        catch_up = CatchUp(self.manifest, lister, self.settle_s, self.messages)
        catch_up.catch_up()
        past = Past(self.manifest.history(), topics)
        if lister.failed is None:
            lister.each(made_since(since), past.take)
        if lister.failed is not None:
            raise lister.failure()
        return past, len(catch_up.adopted) + len(catch_up.found)

    def record(self, named: Iterable[Named]) -> None:
        """Record everybody as reached, so many at a time; what was recorded stays. May raise `Stopped`."""
        named = list(named)
        for is_personal in (False, True):
            some = [each for each in named if each.is_personal is is_personal]
            threads = (it for each in some for it in each.deliveries())
            while chunk := list(islice(threads, _AT_ONCE)):
                self.manifest.adopt(chunk, keeps_words=not is_personal)
                self.pace.live()
