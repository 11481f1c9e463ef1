"""The manifest: append-only JSON Lines of intents and outcomes, one writer at a time.

An intent is on disk before its request leaves, and a line once written never changes. What other
modules get is a `History`.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from runner.errors import SurroundingsError
from runner.files import surroundings
from runner.manifest.appender import Appender, sync_folder
from runner.manifest.history import Attempt, History, Settled
from runner.manifest.kinds import LINES
from runner.manifest.lines import (
    Event,
    adoption_events,
    anchor_values,
    doubt_events,
    intent_event,
    line_of,
    new_event,
    outcome_event,
)
from runner.manifest.lock import MANIFEST, find_file, locked
from runner.manifest.reading import DamageError, read_state
from runner.manifest.state import VERSION, ManifestState
from runner.model import Delivery, Message, Place, Sent, Thread
from runner.toloka.anchor import Anchor
from runner.wording import shown

_MOST = 2 * 1024**3
"""Bytes of a manifest, some millions of lines: more does not fit into anybody's memory."""


def read_history(path: Path, target: str | None) -> History:
    """Read a manifest without locking or repairing it; a file that is not there is empty.

    `target` is what its first line must name, None where that is not known. Raises
    `SurroundingsError` for damage, with the line number, and for another target.
    """
    with surroundings(path, MANIFEST, "read"):
        file = find_file(path)
        if not file.exists():
            return History()
        with file.open("rb") as stream:
            state, _ = _read(stream, path, target)
    return state.history()


class Manifest:
    """A manifest open for writing, for many threads. A call returns once its line is on disk."""

    def __init__(
        self,
        path: Path,
        target: str,
        run: Mapping[str, object],
        state: ManifestState,
        appender: Appender,
    ) -> None:
        self.path = path
        self._target = target
        self._run = run
        self._state = state
        self._account = state.account
        self._appender = appender
        self._lock = threading.Lock()
        self._history: History | None = None
        self._has_begun = False

    @classmethod
    @contextmanager
    def open(
        cls,
        path: Path,
        target: str | None,
        run: Mapping[str, object],
        acts_under: str | None = None,
    ) -> Iterator[Manifest]:
        """Lock, repair a torn last line, read, and check that it is this target's.

        `target` None takes the manifest of any target, and one has to be there. `run` says who
        sends; it is written with the first event, so that a run with nothing to do leaves no trace.
        `acts_under` is the shared account that is acted under, and has to be the manifest's.
        Raises `SurroundingsError` at once if another run holds the lock.
        """
        with locked(path) as stream:
            if os.fstat(stream.fileno()).st_size:
                state = _read_and_repair(stream, path, target)
            else:
                state = ManifestState()
                sync_folder(Path(str(stream.name)).parent)
            target = target or state.target
            if target is None:
                raise SurroundingsError(f"there is no manifest at {shown(path)}")
            if state.target is None:
                state.acts_under = acts_under
            elif state.acts_under != acts_under:
                raise SurroundingsError(
                    f"{shown(path)} is the manifest of {_account(state.acts_under)}, and this run "
                    f"acts under {_account(acts_under)}: name another with --manifest"
                )
            appender = Appender(stream)
            manifest = cls(path, target, run, state, appender)
            try:
                yield manifest
            finally:
                manifest._end()
                appender.close()

    def history(self) -> History:
        """What the manifest knows by now: the same value until something more is recorded."""
        with self._lock:
            if self._history is None:
                self._history = self._state.history()
            return self._history

    def note_anchor(self, anchor: Anchor) -> None:
        """Record from which thread on this run's deliveries are looked for."""
        self._write(new_event("anchor", run=self._run.get("run"), **anchor_values(anchor)))

    def intend(
        self, delivery: Delivery, place: Place | None = None, *, is_test: bool = False
    ) -> str:
        """Record that a delivery is about to be tried; gives its fresh random id."""
        delivery_id, run = secrets.token_hex(16), self._run.get("run")
        self._write(intent_event(delivery_id, delivery, run=run, place=place, is_test=is_test))
        return delivery_id

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
    ) -> list[str]:
        """Record in one piece what a look found, and from where the next one begins.

        Gives the ids of the adopted deliveries. Where nothing is new, nothing is written.
        """
        history = self.history()
        ids, events = adoption_events(adopted)
        events += [
            {**intent_event(secrets.token_hex(16), delivery), "event": "doubt", "threads": [it.id]}
            for delivery, it in doubts
        ]
        events += doubt_events(unknown_doubts or {}, history)
        if shows_ours and not history.is_shown:
            events.append(new_event("shown"))
        new = history.not_remembered(rest)
        if not (events or new or is_part or history.has_gap or cursor != history.cursor):
            return ids
        values: dict[str, object] = {**anchor_values(cursor)}
        if new:
            values["rest"] = " ".join(new)
        if is_part:
            values["part"] = True
        self._write(*events, looked=values)
        return ids

    def note_shown(self) -> None:
        """Record that the list shows what this account composed."""
        self._write(new_event("shown"))

    def doubt(self, delivery_id: str, threads: Iterable[str]) -> None:
        """Record that threads put an unknown outcome in doubt."""
        self._write(*doubt_events({delivery_id: threads}, self.history()))

    def adopt(self, adopted: Iterable[tuple[Delivery, Sent]]) -> list[str]:
        """Record what we sent though the manifest did not know; gives the ids of the deliveries.

        Each `Delivery` names whom its thread reached.
        """
        ids, events = adoption_events(adopted)
        self._write(*events)
        return ids

    def leave_out(self, message: Message, ids: Sequence[str]) -> None:
        """Record Tolokers who are left out of a message for good."""
        self._write(
            new_event(
                "suppressed",
                message=message.id,
                revision=message.revision,
                source=message.source,
                recipients_ids=list(ids),
            )
        )

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
                f"{shown(self.path)} is the manifest of account {known}, and the token "
                f"belongs to {account}: use that account's token, or another --manifest"
            )

    def _write(self, *events: Event, **last: Mapping[str, object]) -> None:
        """Write events; a `last` one, by its name, says which deliveries stand before it."""
        if not (events or last):
            return
        with surroundings(self.path, MANIFEST):
            self._begin()
            self._append(events, last)

    def _append(self, events: Sequence[Event], last: Mapping[str, Mapping[str, object]]) -> None:
        if not last:
            self._appender.append(b"".join(map(line_of, events)))
            with self._lock:
                self._take(events)
            return
        # Nobody writes at the same time: what stands before it must be what it counts.
        with self._lock:
            self._take(events)
            sums = {"deliveries": self._state.count, "checksum": self._state.checksum}
            lasts = [new_event(name, **sums, **values) for name, values in last.items()]
            self._appender.append(b"".join(map(line_of, (*events, *lasts))))
            self._take(lasts)

    def _end(self) -> None:
        """Write that the run has come to its end: until then, lines may be missing."""
        if self._has_begun:
            with suppress(SurroundingsError):
                self._write(end={"run": self._run.get("run")})

    def _begin(self) -> None:
        """Write the first line of a new manifest, and the line that says who sends."""
        with self._lock:
            if self._has_begun:
                return
            events = [new_event("run", **self._run)]
            if self._state.target is None:
                known = {"account": self._account, "acts_under": self._state.acts_under}
                known = {name: value for name, value in known.items() if value is not None}
                first = {"version": VERSION, "target": self._target, **known}
                events.insert(0, new_event("manifest", **first))
            # Whoever comes next must find them there: nothing stands above the first line.
            self._appender.append(b"".join(map(line_of, events)))
            self._take(events)
            self._has_begun = True

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            LINES[str(event["event"])].take(self._state, event)
        self._history = None


def _account(acts_under: str | None) -> str:
    return f"account {acts_under}" if acts_under else "the token's own account"


def _read(stream: BinaryIO, path: Path, target: str | None) -> tuple[ManifestState, int]:
    """Read the whole lines, and tell how many bytes they are."""
    if os.fstat(stream.fileno()).st_size > _MOST:
        raise MemoryError
    try:
        state, end = read_state(stream)
    except DamageError as error:
        raise SurroundingsError(
            f"{shown(path)}:{error.line}:1: error: the manifest is damaged ({error}); "
            "restore it from its branch: nothing was sent"
        ) from error
    if state.target is not None and target is not None and state.target != target:
        raise SurroundingsError(
            f"{shown(path)} is the manifest of {state.target}, not of {target}: "
            "name another with --manifest, or move this one away"
        )
    return state, end


def _read_and_repair(stream: FileIO, path: Path, target: str | None) -> ManifestState:
    """Read, cut off a torn last line, and add a line end that an editor left out."""
    with (
        surroundings(path, MANIFEST, "read"),
        open(stream.fileno(), "rb", closefd=False) as lines,
    ):
        lines.seek(0)
        state, end = _read(lines, path, target)
        lines.seek(max(end - 1, 0))
        last = lines.read(1)
    with surroundings(path, MANIFEST):
        stream.truncate(end)
        if end and last != b"\n":
            stream.write(b"\n")
        os.fsync(stream.fileno())
    return state
