"""The manifest: append-only JSON Lines of intents and outcomes, one writer at a time.

An intent is on disk before its request leaves, and a line once written never changes but for the
first, which learns the account. What other modules get is a `History`.
"""

from __future__ import annotations

import codecs
import errno
import json
import os
import secrets
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from runner import clock
from runner.errors import SurroundingsError
from runner.manifest.appender import Journal, sweep
from runner.manifest.history import Attempt, History, Seen, Settled
from runner.manifest.lines import (
    HEADER,
    Book,
    DamageError,
    Event,
    folders_event,
    header_event,
    intent_event,
    line_of,
    outcome_event,
    read_book,
    seen_event,
    suppressed_event,
)
from runner.model import Delivery, Message, Sent
from runner.wording import shown, why


def read_history(path: Path, target: str | None) -> History:
    """Read a manifest without locking or repairing it; a file that is not there is empty.

    `target` is what its first line must name, None where that is not known. Raises
    `SurroundingsError` for damage, with the line number, and for another target.
    """
    return _parse(_read(path), path, target)[0].history()


class Manifest:
    """A manifest open for writing, for many threads. A call returns once its line is on disk."""

    def __init__(
        self, path: Path, target: str, run: Mapping[str, object], book: Book, journal: Journal
    ) -> None:
        self.path = path
        self._target = target
        self._run = run
        self._book = book
        self._journal = journal
        self._lock = threading.Lock()
        self._has_begun = False
        self.server_ahead_s: float | None = None
        """How far Toloka's clock is ahead of ours, once an answer has told."""

    @classmethod
    @contextmanager
    def open(cls, path: Path, target: str | None, run: Mapping[str, object]) -> Iterator[Manifest]:
        """Lock, repair a torn last line, read, and check that it is this target's.

        `target` None takes the manifest of any target, and one has to be there. `run` says who sends; it is written with the first event, so that a run with nothing to do
        leaves no trace. Raises `SurroundingsError` at once if another run holds the lock.
        """
        with locked(path) as file:
            sweep(file)
            raw = _read(path)
            book, end = _parse(raw, path, target)
            target = target or book.target
            if target is None:
                raise SurroundingsError(f"there is no manifest at {shown(path)}")
            with _surroundings(path):
                _repair(file, len(raw), end)
                journal = Journal(file)
            try:
                yield cls(path, target, run, book, journal)
            finally:
                journal.close()
                with suppress(OSError):
                    # A run with nothing to do leaves no file behind.
                    if file.stat().st_size == 0:
                        file.unlink()

    def history(self) -> History:
        """What the manifest knows by now."""
        with self._lock:
            return self._book.history()

    def unknown(self) -> list[Attempt]:
        """The attempts in doubt by now; quicker than the whole history."""
        with self._lock:
            return self._book.unknown()

    def thread_ids(self) -> frozenset[str]:
        """Every thread that some delivery claims by now, tests included."""
        return self.history().thread_ids

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
        # The outcome first: a full disk may have room for a line, and none for a copy of the file.
        self._write(outcome_event(delivery_id, outcome, how))
        if isinstance(outcome, Sent):
            self.note_account(outcome.thread.account)
            self.check_account(outcome.thread.account)

    def note_account(self, account: str | None) -> None:
        """Let the first line name the account, once, as soon as it is known."""
        with self._lock:
            if account is None or self._book.account is not None:
                return
            self._book.account = account
            has_begun = self._book.target is not None
        if has_begun:
            with _surroundings(self.path):
                self._journal.replace_first_line(line_of(header_event(self._target, account)))

    def check_account(self, account: str | None) -> None:
        """Refuse an account that is not the manifest's; raises `SurroundingsError`."""
        known = self._book.account
        if account and known and account != known:
            raise SurroundingsError(
                f"{shown(self.path)} is the manifest of account {known}, and the token "
                f"belongs to {account}: use that account's token, or another --manifest"
            )

    def _write(self, *events: Event) -> None:
        if not events:
            return
        with _surroundings(self.path):
            self._begin()
            self._journal.append(b"".join(map(line_of, events)))
        with self._lock:
            for event in events:
                self._book.take(event)

    def _begin(self) -> None:
        """Write the first line of a new manifest, and the line that says who sends."""
        with self._lock:
            if self._has_begun:
                return
            if self._book.target is None:
                header = header_event(self._target, self._book.account)
                self._journal.append(line_of(header))
                self._book.take(header)
            at = clock.written(clock.now())
            self._journal.append(line_of({"event": "run", **self._run, "at": at}))
            self._has_begun = True


@contextmanager
def locked(path: Path) -> Iterator[Path]:
    """Hold the manifest's lock, and give its real path; raises `SurroundingsError` at once.

    The lock belongs to the process, so one that was killed does not block. Beside it lies a note
    of who holds it, because a lock itself cannot say.
    """
    # Imported here because only a run that writes needs it.
    from filelock import FileLock, Timeout

    with _surroundings(path):
        file = _real(path)
        file.parent.mkdir(parents=True, exist_ok=True)
    lock_file, note = (file.with_name(file.name + ending) for ending in (".lock", ".holder"))
    with _surroundings(lock_file, "lock"):
        _check_file(lock_file)
        lock = FileLock(lock_file)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise SurroundingsError(
                f"{shown(path)} is in use by another run ({_holder(note)}): wait until it ends"
            ) from None
        except NotImplementedError as error:
            said = "the file system has no locks, keep the manifest on another one"
            raise OSError(errno.ENOSYS, said) from error
    try:
        with _surroundings(note, "note"):
            _leave_note(note)
        yield file
    finally:
        with suppress(OSError):
            note.unlink()
        lock.release()


def _real(path: Path) -> Path:
    """Where a manifest really is: two names of one file must meet at one lock."""
    for each in (path, *path.parents):
        if each.is_symlink() and not each.exists():
            # Its disk is not there now, perhaps, and everything would look unsent.
            raise SurroundingsError(
                f"the manifest {shown(path)} cannot be read: {shown(each)} is a link that leads "
                "nowhere; bring back what it leads to, or remove it"
            )
    return Path(os.path.realpath(path))


def _leave_note(note: Path) -> None:
    # Whatever lies here is an old note, or else nothing to write into: a link, or a pipe.
    note.unlink(missing_ok=True)
    with note.open("x", encoding="utf-8") as stream:
        at = clock.written(clock.now())
        stream.write(f"process {os.getpid()} on {socket.gethostname()}, since {at}")


def _holder(note: Path) -> str:
    begun = "it has just begun"
    try:
        return (note.read_text(encoding="utf-8")[:200] if note.is_file() else "") or begun
    except (OSError, UnicodeDecodeError):
        return begun


@contextmanager
def _surroundings(path: Path, what: str = "manifest", done: str = "written") -> Iterator[None]:
    try:
        yield
    except (OSError, MemoryError) as error:
        said = why(error, path) if isinstance(error, OSError) else "it does not fit into memory"
        raise SurroundingsError(f"the {what} {shown(path)} cannot be {done}: {said}") from error


def _read(path: Path) -> bytes:
    with _surroundings(path, done="read"):
        file = _real(path)
        if not file.exists():
            return b""
        _check_file(file)
        return file.read_bytes()


def _check_file(path: Path) -> None:
    # Opening a pipe waits for whoever is at its other end, and reading a device need not end.
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise OSError(errno.EINVAL, "it is a folder, a link, a pipe or a device, not a file")


def _parse(raw: bytes, path: Path, target: str | None) -> tuple[Book, int]:
    """Read the whole lines, and tell how many bytes they are."""
    try:
        end = _complete(raw)
        book = read_book(raw[:end])
    except DamageError as error:
        raise SurroundingsError(
            f"{shown(path)}:{error.line}:1: error: the manifest is damaged ({error}); "
            "restore it from its branch: nothing was sent"
        ) from error
    if book.target is not None and target is not None and book.target != target:
        raise SurroundingsError(
            f"{shown(path)} is the manifest of {book.target}, not of {target}: "
            "name another with --manifest, or move this one away"
        )
    return book, end


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
    if end == 0 and not HEADER.startswith(tail.rstrip(b"\0")[: len(HEADER)]):
        raise DamageError(1, "not a line of a manifest")
    return end


def _is_whole(tail: bytes) -> bool:
    """Whether only the line end is missing: an editor does that."""
    try:
        return isinstance(json.loads(tail), dict)
    except (ValueError, RecursionError):
        return False


def _repair(path: Path, size: int, end: int) -> None:
    if size == 0:
        return
    with path.open("r+b") as stream:
        stream.truncate(end)
        stream.seek(max(end - 1, 0))
        if end and stream.read(1) != b"\n":
            stream.write(b"\n")
        stream.flush()
        os.fsync(stream.fileno())
