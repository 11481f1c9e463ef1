"""The emulator's memory: threads, messages and folders in one SQLite file.

Several processes may have the same file open. Each write is one transaction, so that a killed
process leaves either all of a call or nothing of it.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from runner.emulator.query import Search
from runner.emulator.threads import (
    Interlocutor,
    NewThread,
    StoredMessage,
    StoredThread,
    dump,
    dump_interlocutors,
    load_interlocutors,
    now_ms,
)

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS threads (
        id TEXT PRIMARY KEY, account TEXT NOT NULL, parent_id TEXT, toloker_id TEXT,
        created_ms INTEGER NOT NULL, answerable INTEGER NOT NULL,
        topic TEXT NOT NULL, interlocutors TEXT NOT NULL, details TEXT)""",
    "CREATE INDEX IF NOT EXISTS threads_by_id ON threads (account, id, created_ms)",
    "CREATE INDEX IF NOT EXISTS threads_by_time ON threads (account, created_ms, id)",
    """CREATE INDEX IF NOT EXISTS threads_by_parent ON threads (parent_id, toloker_id)
        WHERE parent_id IS NOT NULL""",
    """CREATE TABLE IF NOT EXISTS messages (
        thread_id TEXT NOT NULL, n INTEGER NOT NULL, created_ms INTEGER NOT NULL,
        sender TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (thread_id, n)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS folders (
        thread_id TEXT NOT NULL, folder TEXT NOT NULL, since_ms INTEGER NOT NULL,
        PRIMARY KEY (thread_id, folder)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS quota (
        account TEXT NOT NULL, kind TEXT NOT NULL, n INTEGER NOT NULL, at_ms INTEGER NOT NULL,
        PRIMARY KEY (account, kind, n)) WITHOUT ROWID""",
)
_BUSY_S = 30.0
_FOREVER = 2**62


class Store:
    """One open SQLite file; its methods may be called from any thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            # SQLite would wait at a pipe, and try for long with a device.
            raise sqlite3.OperationalError("the store is not a file")
        self._lock = threading.RLock()
        self._db = sqlite3.connect(
            path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        try:
            self._turn_on_wal()
            self.store_id = self._prepare()
        except BaseException:
            self._db.close()
            raise
        # The part of a thread id that is the machine's in a real ObjectId.
        self._machine = sha256(f"machine:{self.store_id}".encode()).hexdigest()[:10]

    def close(self) -> None:
        """Close the file; harmless if it is closed already."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what is done inside one change, committed at the end or not done at all."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk makes SQLite roll back by itself.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def add_thread(self, new: NewThread, folders: Collection[str]) -> tuple[str, int]:
        """Store a thread without messages; gives its id and time. Needs a transaction."""
        at_ms = now_ms()
        thread_id = self._next_id(at_ms)
        details = None if new.details is None else dump(new.details)
        self._db.execute(
            "INSERT INTO threads (id, account, parent_id, toloker_id, created_ms, answerable,"
            " topic, interlocutors, details) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(thread_id, new.account, new.parent_id, new.toloker_id, at_ms, new.answerable),
                *(dump(new.topic), dump_interlocutors(new.interlocutors), details),
            ),
        )
        self.add_folders(thread_id, folders, at_ms)
        return thread_id, at_ms

    def add_message(
        self, thread_id: str, sender: Interlocutor, text: Mapping[str, str], at_ms: int
    ) -> None:
        """Store the newest message of a thread. Needs a transaction."""
        self._db.execute(
            "INSERT INTO messages SELECT ?, 1 + coalesce(max(n), 0), ?, ?, ? FROM messages"
            " WHERE thread_id = ?",
            (thread_id, at_ms, dump_interlocutors((sender,)), dump(text), thread_id),
        )

    def add_folders(self, thread_id: str, folders: Collection[str], at_ms: int) -> None:
        """Put a thread into folders; those it is in already stay as they are."""
        self._db.executemany(
            "INSERT OR IGNORE INTO folders VALUES (?, ?, ?)",
            [(thread_id, folder, at_ms) for folder in folders],
        )

    def remove_folders(self, thread_id: str, folders: Collection[str]) -> None:
        """Take a thread out of folders; not being in them is no error."""
        self._db.executemany(
            "DELETE FROM folders WHERE thread_id = ? AND folder = ?",
            [(thread_id, folder) for folder in folders],
        )

    def take_quota(self, account: str, kind: str, *, limit: int, window_ms: int) -> bool:
        """Count one use of a limited kind unless the limit is reached. Needs a transaction."""
        at_ms = now_ms()
        (newest,) = self._db.execute(
            "SELECT coalesce(max(n), 0) FROM quota WHERE account = ? AND kind = ?", (account, kind)
        ).fetchone()
        # Uses are numbered, so the one that must have left the window is found without counting.
        oldest = self._db.execute(
            "SELECT at_ms FROM quota WHERE account = ? AND kind = ? AND n = ?",
            (account, kind, newest + 1 - limit),
        ).fetchone()
        if limit and oldest is not None and oldest[0] > at_ms - window_ms:
            return False
        self._db.execute(
            "INSERT INTO quota VALUES (?, ?, ?, ?)", (account, kind, newest + 1, at_ms)
        )
        return True

    def find_thread(self, thread_id: str, account: str | None = None) -> StoredThread | None:
        """Look for a thread; `account` of `None` looks at everybody's."""
        with self._snapshot():
            found = self._load([thread_id], _FOREVER)
        return found[0] if found and account in (None, found[0].account) else None

    def find_child(self, parent_id: str, toloker_id: str) -> str | None:
        """Look for the thread in which a Toloker answers a message with several recipients."""
        with self._lock:
            row = self._db.execute(
                "SELECT id FROM threads WHERE parent_id = ? AND toloker_id = ?",
                (parent_id, toloker_id),
            ).fetchone()
        return None if row is None else str(row[0])

    def search(
        self, search: Search, account: str | None = None, *, until_ms: int = _FOREVER
    ) -> list[StoredThread]:
        """Find threads, at most one more than the search's limit.

        What happened after `until_ms` is left out; `account` of `None` finds everybody's.
        """
        where, values = _conditions(search, account, until_ms)
        order = ", ".join(f"{field} {'DESC' if down else 'ASC'}" for field, down in search.sort)
        sql = " ".join(("SELECT id FROM threads WHERE", where, "ORDER BY", order, "LIMIT ?"))
        with self._snapshot():
            rows = self._db.execute(sql, (*values, search.limit + 1)).fetchall()
            return self._load([str(row[0]) for row in rows], until_ms)

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Let several reads see one moment, whatever other processes write meanwhile."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._db.execute("COMMIT")

    def _load(self, ids: Sequence[str], until_ms: int) -> list[StoredThread]:
        wanted = dump(list(ids))
        messages: dict[str, list[StoredMessage]] = defaultdict(list)
        for thread_id, at_ms, sender, text in self._db.execute(
            "SELECT thread_id, created_ms, sender, text FROM messages WHERE created_ms <= ?"
            " AND thread_id IN (SELECT value FROM json_each(?)) ORDER BY thread_id, n",
            (until_ms, wanted),
        ):
            (who,) = load_interlocutors(sender)
            messages[thread_id].append(StoredMessage(who, json.loads(text), at_ms))
        folders: dict[str, list[str]] = defaultdict(list)
        for thread_id, folder in self._db.execute(
            "SELECT thread_id, folder FROM folders WHERE since_ms <= ?"
            " AND thread_id IN (SELECT value FROM json_each(?)) ORDER BY thread_id, folder",
            (until_ms, wanted),
        ):
            folders[thread_id].append(folder)
        found: dict[str, StoredThread] = {}
        for row in self._db.execute(
            "SELECT id, account, parent_id, toloker_id, created_ms, answerable, topic,"
            " interlocutors, details FROM threads"
            " WHERE id IN (SELECT value FROM json_each(?))",
            (wanted,),
        ):
            found[row[0]] = _thread(row, tuple(messages[row[0]]), tuple(folders[row[0]]))
        return [found[thread_id] for thread_id in ids if thread_id in found]

    def _turn_on_wal(self) -> None:
        # SQLite does not wait for its lock in this one statement, whatever the timeout.
        give_up = time.monotonic() + _BUSY_S
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > give_up:
                    raise
                time.sleep(0.01)
            else:
                break
        # In WAL mode this survives the end of the process, which is what is promised.
        self._db.execute("PRAGMA synchronous = NORMAL")

    def _prepare(self) -> str:
        with self.transaction():
            for statement in _SCHEMA:
                self._db.execute(statement)
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('store_id', ?)", (uuid4().hex,))
            row = self._db.execute("SELECT value FROM meta WHERE name = 'store_id'").fetchone()
        return str(row[0])

    def _next_id(self, at_ms: int) -> str:
        """Make an id that looks like an ObjectId and is above all others in the file."""
        (newest,) = self._db.execute("SELECT max(id) FROM threads").fetchone()
        fresh = int(f"{at_ms // 1000:08x}{self._machine}000000", 16)
        return f"{max(fresh, int(newest or '0', 16) + 1):024x}"


def _conditions(search: Search, account: str | None, until_ms: int) -> tuple[str, list[str | int]]:
    where = ["created_ms <= ?"]
    values: list[str | int] = [until_ms]
    if account is not None:
        where.append("account = ?")
        values.append(account)
    for bound in search.bounds:
        where.append(f"{bound.field} {bound.operator} ?")
        values.append(bound.value)
    for folders, verb in ((search.folders, "EXISTS"), (search.folders_ne, "NOT EXISTS")):
        if folders:
            marks = ", ".join("?" * len(folders))
            found = "(SELECT 1 FROM folders WHERE thread_id = threads.id AND since_ms <= ?"
            where.append(" ".join((verb, found, "AND folder IN (", marks, "))")))
            values += [until_ms, *folders]
    return " AND ".join(where), values


def _thread(
    row: tuple[str, str, str | None, str | None, int, int, str, str, str | None],
    messages: tuple[StoredMessage, ...],
    folders: tuple[str, ...],
) -> StoredThread:
    thread_id, account, parent_id, toloker_id, at_ms, answerable, topic, who, details = row
    return StoredThread(
        id=thread_id,
        account=account,
        parent_id=parent_id,
        toloker_id=toloker_id,
        created_ms=at_ms,
        answerable=bool(answerable),
        topic=json.loads(topic),
        interlocutors=load_interlocutors(who),
        details=None if details is None else json.loads(details),
        messages=messages,
        folders=folders,
    )
