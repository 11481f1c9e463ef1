"""The manifest: append-only JSON Lines of intents and outcomes, one writer at a time.

An intent is on disk before its request leaves, and a line once written never changes. What other
modules get is a `History`.
"""

from __future__ import annotations

import codecs
import json
import os
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from runner.errors import SurroundingsError
from runner.files import MANIFEST_START, surroundings
from runner.manifest.appender import Appender
from runner.manifest.history import Attempt, History, Seen, Settled
from runner.manifest.lines import (
    Event,
    account_event,
    folders_event,
    header_event,
    intent_event,
    line_of,
    outcome_event,
    run_event,
    seen_event,
    suppressed_event,
)
from runner.manifest.lock import MANIFEST, locked, read_file
from runner.manifest.state import DamageError, ManifestState, read_state
from runner.model import Delivery, Message, Sent
from runner.wording import shown


def read_history(path: Path, target: str | None) -> History:
    """Read a manifest without locking or repairing it; a file that is not there is empty.

    `target` is what its first line must name, None where that is not known. Raises
    `SurroundingsError` for damage, with the line number, and for another target.
    """
    return _parse(read_file(path), path, target)[0].history()


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
            with surroundings(path, MANIFEST, "read"):
                stream.seek(0)
                raw = stream.read()
            state, end = _parse(raw, path, target)
            target = target or state.target
            if target is None:
                raise SurroundingsError(f"there is no manifest at {shown(path)}")
            with surroundings(path, MANIFEST):
                _repair(stream, raw, end)
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
        self._write(suppressed_event(message, ids))

    def note_seen(self, seen: Iterable[Seen]) -> None:
        """Record threads of ours that no delivery claims: they need not be listed again."""
        self._write(*map(seen_event, seen))

    def note_folders(self, attempt: Attempt, folders: Sequence[str]) -> None:
        """Record that a thread was put into folders."""
        self._write(folders_event(attempt, folders))

    def settle(self, delivery_id: str, outcome: Settled, how: str = "answer") -> None:
        """Record what became of an intent, and how that was learned."""
        # The outcome first: if the disk takes no more, what was sent counts more than who sent it.
        self._write(outcome_event(delivery_id, outcome, how))
        if isinstance(outcome, Sent):
            self.note_account(outcome.thread.account)
            self.check_account(outcome.thread.account)

    def note_account(self, account: str | None) -> None:
        """Record the account, once, as soon as it is known; a new manifest gets it as it begins."""
        with self._lock:
            if account is None or self._account is not None:
                return
            self._account = account
            is_new = self._state.target is None
        if not is_new:
            self._write(account_event(account))

    def check_account(self, account: str | None) -> None:
        """Refuse an account that is not the manifest's; raises `SurroundingsError`."""
        known = self._account
        if account and known and account != known:
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
            is_new = self._state.target is None
            header = [header_event(self._target, self._account)] if is_new else []
            events = [*header, run_event(self._run)]
            # Whoever comes next must find them there: nothing stands above the first line.
            self._appender.append(b"".join(map(line_of, events)))
            self._take(events)
            self._has_begun = True

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            self._state.take(event)
        self._history = None


def _parse(raw: bytes, path: Path, target: str | None) -> tuple[ManifestState, int]:
    """Read the whole lines, and tell how many bytes they are."""
    try:
        end = _complete(raw)
        state = read_state(raw[:end])
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


def _complete(raw: bytes) -> int:
    """How many bytes hold whole lines. A torn last line was never promised to be on disk.

    Raises `DamageError` for an end that is no torn line of ours: it is not cut off.
    """
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DamageError(1, "it is UTF-16, and has to be UTF-8")
    end = raw.rfind(b"\n") + 1
    tail = raw[end:]
    if not tail or _is_whole(tail):
        return len(raw)
    if b"\r" in tail.rstrip(b"\r\0"):
        raise DamageError(raw.count(b"\n") + 1, "its lines end in CR alone")
    # A power cut may leave NULs; of a new file, only the beginning of its first line.
    if end == 0 and not MANIFEST_START.startswith(tail.rstrip(b"\0")[: len(MANIFEST_START)]):
        raise DamageError(1, "not a line of a manifest")
    return end


def _is_whole(tail: bytes) -> bool:
    """Whether only the line end is missing: an editor does that."""
    try:
        return isinstance(json.loads(tail), dict)
    except (ValueError, RecursionError):
        return False


def _repair(stream: FileIO, raw: bytes, end: int) -> None:
    if not raw:
        return
    stream.truncate(end)
    if end and raw[end - 1 : end] != b"\n":
        stream.write(b"\n")
    os.fsync(stream.fileno())
