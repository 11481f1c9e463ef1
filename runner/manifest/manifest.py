"""The manifest open for writing, wherever its lines go: what is told, and what it knows by now."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from runner.errors import RunnerError, SurroundingsError
from runner.manifest.attempts import Attempt, Settled
from runner.manifest.contents import content_events
from runner.manifest.history import History
from runner.manifest.kinds import LINES, take_events
from runner.manifest.lines import (
    Event,
    adoption_events,
    anchor_values,
    doubt_events,
    intent_event,
    line_of,
    new_event,
    numbered,
    outcome_event,
    parts,
    rest_events,
    shortened,
)
from runner.manifest.state import VERSION, ManifestState
from runner.model import Delivery, Message, Place, Sent, Thread
from runner.toloka.anchor import Anchor
from runner.toloka.pace import Stopped

PlaceOf = Callable[[Delivery], Place | None]
"""What stands in the thread of a reply before it."""


class Log(Protocol):
    """Where lines go."""

    @property
    def is_shared(self) -> bool:
        """Whether other machines read it, and go by it."""
        ...

    @property
    def lost(self) -> RunnerError | None:
        """Why nothing more may be sent."""
        ...

    def append(self, lines: bytes) -> None:
        """Put lines where they stay; raises `RunnerError`."""
        ...

    def note(self, lines: bytes) -> None:
        """Put lines where they stay soon, and not after what is appended later."""
        ...


class Manifest:
    """A manifest open for writing, for many threads. A call returns once its line is on disk."""

    def __init__(
        self,
        where: str,
        target: str,
        run: Mapping[str, object],
        state: ManifestState,
        log: Log,
        *,
        acts_under: str | None = None,
        is_unborn: bool = False,
    ) -> None:
        if state.target is None:
            state.acts_under = acts_under
        elif state.acts_under != acts_under:
            raise SurroundingsError(
                f"{where} is the manifest of {_account(state.acts_under)}, and this run "
                f"acts under {_account(acts_under)}: name another with --manifest"
            )
        self.where = where
        """What people know it by."""
        self.is_unborn = is_unborn
        """Whether a branch knows nothing of this target, and nobody has said that it is new."""
        self.target = target
        self._run = run
        self._state = state
        self._account = state.account
        self.log = log
        self._lock = threading.Lock()
        self._history: History | None = None
        self._is_dated = False
        self.facts = 0
        """A number that is another one as soon as more is known of some delivery."""
        self._has_begun = False
        self._claimed: dict[int, tuple[str, Delivery]] = {}
        self._overtaken: set[str] = set()
        """The messages that another run turned out to have sent to somebody."""

    def history(self) -> History:
        """What the manifest knows by now: the same value until something more is recorded."""
        with self._lock:
            if self._history is None or self._history.facts != self.facts:
                self._history = replace(self._state.history(), facts=self.facts)
            elif self._is_dated:
                self._history = replace(self._history, **self._state.looks())
            self._is_dated = False
            return self._history

    def note_anchor(self, anchor: Anchor) -> None:
        """Record from which thread on this run's deliveries are looked for."""
        self._write(new_event("anchor", run=self._run.get("run"), **anchor_values(anchor)))

    def claim(
        self,
        deliveries: Iterable[Delivery],
        place_of: PlaceOf = lambda _: None,
        *,
        is_test: bool = False,
    ) -> None:
        """Record the words of what is about to be tried, and where machines share, all of it."""
        deliveries = list(deliveries)
        contents = content_events(deliveries, self.history())
        if not self.log.is_shared:
            self._write(*contents)
            return
        run, events, first = self._run.get("run"), [], f"{secrets.token_hex(12)}{0:08x}"
        for number, each in enumerate(deliveries):
            delivery_id, place = numbered(first, number), place_of(each)
            self._claimed[id(each)] = (delivery_id, each)
            events.append(intent_event(delivery_id, each, run=run, place=place, is_test=is_test))
        self._write(*contents, *shortened(events), at_once=True)

    def intend(
        self, delivery: Delivery, place: Place | None = None, *, is_test: bool = False
    ) -> str:
        """Record that a delivery is about to be tried; gives its fresh random id.

        Raises `Stopped` for one that another run turns out to have made.
        """
        if delivery.message.id in self._overtaken and self._is_reached(delivery):
            raise Stopped
        if id(delivery) not in self._claimed:
            # Until it is known to be written down, it is only claimed.
            delivery_id, run = secrets.token_hex(16), self._run.get("run")
            self._claimed[id(delivery)] = (delivery_id, delivery)
            event = intent_event(delivery_id, delivery, run=run, place=place, is_test=is_test)
            self._write(event, at_once=True)
            if self.log.lost is not None:
                raise self.log.lost
        return self._claimed.pop(id(delivery))[0]

    def release(self) -> None:
        """Record what was claimed and has not been tried."""
        ids, self._claimed = [each for each, _ in self._claimed.values()], {}
        self._write(*(new_event("not_tried", deliveries=some) for some in parts(ids)))

    def end(self) -> None:
        """Write that the run has come to its end: until then, lines may be missing."""
        if self._has_begun:
            with suppress(RunnerError):
                self.release()
                self._write(last=[("end", {"run": self._run.get("run")})])

    def say(self, event: Event) -> None:
        """Record a person's word."""
        self._write(event)

    def take_news(self, take: Callable[[], object]) -> None:
        """Take in what others have written meanwhile."""
        with self._lock:
            take()
            self.facts += 1
        claimed = [delivery for _, delivery in list(self._claimed.values())]
        self._overtaken |= {each.message.id for each in claimed if self._is_reached(each)}

    def catch_up(
        self,
        *,
        cursor: Anchor,
        rest: Sequence[str],
        adopted: Iterable[tuple[Delivery, Sent]] = (),
        doubts: Iterable[tuple[Delivery, Thread]] = (),
        unknown_doubts: Mapping[str, Iterable[str]] | None = None,
        shows_ours: bool = False,
        is_part: bool = False,
        is_long: bool = True,
    ) -> list[str]:
        """Record in one piece what a look found, and from where the next one begins.

        Gives the ids of the adopted deliveries. Where nothing is new, nothing is written; a look
        that was not `is_long` is no news to other machines.
        """
        history, adopted = self.history(), list(adopted)
        ids, events = adoption_events(adopted)
        events += content_events((each for each, _ in adopted), history)
        events += [
            {**intent_event(secrets.token_hex(16), delivery), "event": "doubt", "threads": [it.id]}
            for delivery, it in doubts
        ]
        if unknown_doubts:
            events += doubt_events(unknown_doubts, history)
        if shows_ours and not history.is_shown:
            events.append(new_event("shown"))
        new = rest_events(rest, history) if rest else []
        is_further = cursor != history.cursor and (is_long or not self.log.is_shared)
        if not (events or new or is_part or history.has_gap or is_further):
            return ids
        events += new
        values: dict[str, object] = {**anchor_values(cursor), **({"part": True} if is_part else {})}
        self._write(*events, last=[("looked", values)])
        return ids

    def note_shown(self) -> None:
        """Record that the list shows what this account composed."""
        self._write(new_event("shown"))

    def doubt(self, doubts: Mapping[str, Iterable[str]]) -> None:
        """Record the threads that put unknown outcomes in doubt."""
        self._write(*doubt_events(doubts, self.history()))

    def adopt(
        self, adopted: Iterable[tuple[Delivery, Sent]], *, keeps_words: bool = True
    ) -> list[str]:
        """Record what we sent though the manifest did not know; gives the ids of the deliveries.

        Each `Delivery` names whom its thread reached. The words of a letter to one person are not
        kept.
        """
        adopted = list(adopted)
        ids, events = adoption_events(adopted)
        kept = (each for each, _ in adopted if keeps_words)
        self._write(*events, *content_events(kept, self.history()))
        return ids

    def leave_out(self, message: Message, ids: Sequence[str]) -> None:
        """Record Tolokers who are left out of a message for good."""
        about = {"message": message.id, "revision": message.revision, "source": message.source}
        self._write(*(new_event("suppressed", **about, recipients_ids=some) for some in parts(ids)))

    def hold(self, message: Message, count: int) -> None:
        """Record how many Tolokers a limit keeps a message from."""
        about = {"message": message.id, "revision": message.revision}
        self._write(new_event("held", **about, tolokers=count))

    def note_folders(self, attempt: Attempt, folders: Sequence[str]) -> None:
        """Record that a thread was put into folders."""
        thread_id, delivery = attempt.thread_id, attempt.delivery
        self._write(
            new_event("folders", thread_id=thread_id, delivery=delivery, folders=list(folders))
        )

    def settle(
        self,
        delivery_id: str,
        outcome: Settled,
        how: str = "answer",
        left_out: Sequence[str] = (),
    ) -> None:
        """Record what became of an intent, how that was learned, and whom the answer leaves out."""
        # The outcome first: if the disk takes no more, what was sent counts more than who sent it.
        event = outcome_event(delivery_id, outcome, how)
        ids = {"delivery": delivery_id, "recipients_ids": list(left_out)}
        self._write(event, *([new_event("left_out", **ids)] if left_out else []))
        if isinstance(outcome, Sent):
            self.check_account(outcome.thread.account)

    def check_account(self, account: str | None) -> None:
        """Record the account as soon as it is known; raises `SurroundingsError` for another.

        A new manifest gets it as it begins.
        """
        if not account:
            return
        with self._lock:
            known, self._account = self._account, self._account or account
            is_news = known is None and self._state.target is not None
        if is_news:
            self._write(new_event("account", account=account))
        if known not in (None, account):
            raise SurroundingsError(
                f"{self.where} is the manifest of account {known}, and the token "
                f"belongs to {account}: use that account's token, or another --manifest"
            )

    def _write(
        self,
        *events: Event,
        at_once: bool = False,
        last: Sequence[tuple[str, Mapping[str, object]]] = (),
    ) -> None:
        """Write events; the `last` ones, by their names, say which deliveries stand before them.

        `at_once` is for what others must know before anything else is done.
        """
        if not (events or last):
            return
        self.begin()
        if not last:
            put = self.log.append if at_once else self.log.note
            put(b"".join(map(line_of, events)))
            with self._lock:
                self._take(events)
            return
        # Nobody writes at the same time: what stands before it must be what it counts.
        with self._lock:
            self._take(events)
            sums = {"deliveries": self._state.count, "checksum": self._state.checksum}
            lasts = [new_event(name, **sums, **values) for name, values in last]
            self.log.note(b"".join(map(line_of, (*events, *lasts))))
            self._take(lasts)

    def begin(self) -> None:
        """Write the first line of a new manifest, and the line that says who sends, once."""
        with self._lock:
            if self._has_begun:
                return
            events = [new_event("run", **self._run)]
            # On a branch, each run's own files begin with it.
            if self._state.target is None or self.log.is_shared:
                known = {"account": self._account, "acts_under": self._state.acts_under}
                known = {name: value for name, value in known.items() if value is not None}
                first = {"version": VERSION, "target": self.target, **known}
                events.insert(0, new_event("manifest", **first))
            # Whoever comes next must find them there: nothing stands above the first line.
            self.log.append(b"".join(map(line_of, events)))
            self._take(events)
            self._has_begun = True

    def _take(self, events: Sequence[Event]) -> None:
        names = {str(event["event"]) for event in events}
        take_events(events, self._state)
        self._is_dated = True
        # A look changes also from where on what is unknown is looked for.
        if self._state.pending or not all(LINES[name].is_of_run for name in names):
            self.facts += 1

    def _is_reached(self, delivery: Delivery) -> bool:
        reached = self.history().reached((delivery.message.id, delivery.message.revision))
        return any(key in reached and reached[key].was_sent for key in delivery.keys)


def _account(acts_under: str | None) -> str:
    return f"account {acts_under}" if acts_under else "the token's own account"
