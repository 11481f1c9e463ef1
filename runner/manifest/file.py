"""The manifest: append-only JSON Lines of intents and outcomes, one writer at a time.

An intent is on disk before its request leaves, and a line once written never changes. What other
modules get is a `History`.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from runner.errors import SurroundingsError
from runner.files import surroundings
from runner.manifest.appender import Appender, sync_folder
from runner.manifest.history import Attempt, History, Seen, Settled
from runner.manifest.lines import (
    Event,
    intent_event,
    line_of,
    new_event,
    outcome_event,
    seen_event,
)
from runner.manifest.lock import MANIFEST, find_file, locked
from runner.manifest.reading import DamageError, read_state
from runner.manifest.state import LINES, VERSION, ManifestState
from runner.model import Delivery, Message, Sent
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
        self.server_ahead_s: float | None = None
        """How far Toloka's clock is ahead of ours, once an answer has told."""

    @classmethod
    @contextmanager
    def open(cls, path: Path, target: str | None, run: Mapping[str, object]) -> Iterator[Manifest]:
        """Lock, repair a torn last line, read, and check that it is this target's.

        `target` None takes the manifest of any target, and one has to be there. `run` says who
        sends; it is written with the first event, so that a run with nothing to do leaves no trace.
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
            appender = Appender(stream)
            try:
                yield cls(path, target, run, state, appender)
            finally:
                appender.close()

    def history(self) -> History:
        """What the manifest knows by now: the same value until something more is recorded."""
        with self._lock:
            if self._history is None:
                self._history = self._state.history()
            return self._history

    def unknown(self) -> tuple[Attempt, ...]:
        """The attempts in doubt by now."""
        return self.history().unknown

    def intend(self, delivery: Delivery, *, is_test: bool = False) -> str:
        """Record that a delivery is about to be tried; gives its fresh random id."""
        delivery_id = secrets.token_hex(16)
        self._write(
            intent_event(delivery_id, delivery, is_test=is_test, server_ahead_s=self.server_ahead_s)
        )
        return delivery_id

    def adopt(self, adopted: Iterable[tuple[Delivery, Sent]]) -> list[str]:
        """Record what we sent though the manifest did not know; gives the ids of the deliveries.

        Each `Delivery` names whom its thread reached.
        """
        ids: list[str] = []
        events: list[Event] = []
        for delivery, sent in adopted:
            delivery_id = secrets.token_hex(16)
            ids.append(delivery_id)
            outcome = outcome_event(delivery_id, sent, "adopted")
            intent = {**intent_event(delivery_id, delivery), "adopted": True}
            if "created" in outcome:
                # If only this line reached the disk, its thread must be found from here on.
                intent |= {"at": outcome["created"], "server_at": outcome["created"]}
            events += [intent, outcome]
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

    def note_seen(self, seen: Iterable[Seen]) -> None:
        """Record threads of ours that no delivery claims: they need not be listed again."""
        self._write(*map(seen_event, seen))

    def note_folders(self, attempt: Attempt, folders: Sequence[str]) -> None:
        """Record that a thread was put into folders."""
        thread_id, delivery = attempt.thread_id, attempt.delivery
        self._write(
            new_event("folders", thread_id=thread_id, delivery=delivery, folders=list(folders))
        )

    def settle(self, delivery_id: str, outcome: Settled, how: str = "answer") -> None:
        """Record what became of an intent, and how that was learned."""
        # The outcome first: if the disk takes no more, what was sent counts more than who sent it.
        self._write(outcome_event(delivery_id, outcome, how))
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

    def _write(self, *events: Event) -> None:
        if not events:
            return
        with surroundings(self.path, MANIFEST):
            self._begin()
            self._appender.append(b"".join(map(line_of, events)))
        with self._lock:
            self._take(events)

    def _begin(self) -> None:
        """Write the first line of a new manifest, and the line that says who sends."""
        with self._lock:
            if self._has_begun:
                return
            events = [new_event("run", **self._run)]
            if self._state.target is None:
                account = {} if self._account is None else {"account": self._account}
                first = {"version": VERSION, "target": self._target, **account}
                events.insert(0, new_event("manifest", **first))
            # Whoever comes next must find them there: nothing stands above the first line.
            self._appender.append(b"".join(map(line_of, events)))
            self._take(events)
            self._has_begun = True

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            LINES[str(event["event"])].take(self._state, event)
        self._history = None


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
