"""The emulator's memory: threads, messages and folders in one SQLite file.

Several processes may have the same file open. Each write is one transaction, so that a killed
process leaves either all of a call or nothing of it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from runner.emulator.query import Search, conditions, known, lag_ms
from runner.emulator.threads import (
    Interlocutor,
    NewThread,
    StoredMessage,
    StoredThread,
    dump,
    dump_interlocutors,
    load_interlocutors,
)
from runner.emulator.times import Stamp, View, now_ms

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS threads (
        id TEXT PRIMARY KEY, account TEXT NOT NULL, parent_id TEXT, toloker_id TEXT,
        created_ms INTEGER NOT NULL, made_ms INTEGER NOT NULL, answerable INTEGER NOT NULL,
        topic TEXT NOT NULL, interlocutors TEXT NOT NULL, details TEXT)""",
    "CREATE INDEX IF NOT EXISTS threads_in_id_order ON threads (account, id, created_ms, made_ms)",
    "CREATE INDEX IF NOT EXISTS threads_in_time_order"
    " ON threads (account, created_ms, id, made_ms)",
    "CREATE INDEX IF NOT EXISTS threads_by_server ON threads (substr(id, 9, 10), id)",
    """CREATE INDEX IF NOT EXISTS threads_by_parent ON threads (parent_id, toloker_id)
        WHERE parent_id IS NOT NULL""",
    """CREATE TABLE IF NOT EXISTS messages (
        thread_id TEXT NOT NULL, n INTEGER NOT NULL, created_ms INTEGER NOT NULL,
        made_ms INTEGER NOT NULL, sender TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (thread_id, n)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS folders (
        thread_id TEXT NOT NULL, folder TEXT NOT NULL, since_ms INTEGER NOT NULL,
        PRIMARY KEY (thread_id, folder)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS quota (
        account TEXT NOT NULL, kind TEXT NOT NULL, n INTEGER NOT NULL, at_ms INTEGER NOT NULL,
        PRIMARY KEY (account, kind, n)) WITHOUT ROWID""",
)
_BUSY_S = 30.0
_EVERYTHING = View()


class Store:
    """One open SQLite file; its methods may be called from any thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or (path.exists() and not path.is_file()):
            # SQLite would follow a link, wait at a pipe, and try for long with a device.
            raise sqlite3.OperationalError("the store is not a file")
        # Its owner's alone, and so is what SQLite puts beside it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
        self._lock = threading.RLock()
        self._db = sqlite3.connect(
            path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        try:
            self._db.create_function("lag", 4, lag_ms, deterministic=True)
            self._turn_on_wal()
            self.store_id = self._prepare()
        except BaseException:
            self._db.close()
            raise

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

    def add_thread(self, new: NewThread, folders: Collection[str], stamp: Stamp) -> str:
        """Store a thread without messages; gives its id. Needs a transaction."""
        thread_id = self._next_id(stamp)
        details = None if new.details is None else dump(new.details)
        self._db.execute(
            "INSERT INTO threads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(thread_id, new.account, new.parent_id, new.toloker_id),
                *(stamp.created_ms, stamp.made_ms, new.answerable),
                *(dump(new.topic), dump_interlocutors(new.interlocutors), details),
            ),
        )
        self.add_folders(thread_id, folders, stamp.made_ms)
        return thread_id

    def seed(
        self, sample: NewThread, sender: Interlocutor, folders: Collection[str], count: int
    ) -> None:
        """Store many threads of one message each, a second apart, up to now. Needs a transaction.

        `{i}` in the topic of the sample, which is its text too, and in its people is another number in every thread.
        """
        first_s = now_ms() // 1000 - count
        machine = _any_machine()
        details = None if sample.details is None else dump(sample.details)
        self._db.execute("DROP TABLE IF EXISTS temp.seed")
        self._db.execute("CREATE TEMP TABLE seed (id TEXT, at_ms INTEGER, i TEXT)")
        self._db.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " INSERT INTO temp.seed SELECT printf('%08x%s000000', ? + i, ?), (? + i) * 1000,"
            " printf('%032x', i) FROM n",
            (count, first_s, machine, first_s),
        )
        self._db.execute(
            "INSERT INTO threads SELECT id, ?, NULL, NULL, at_ms, at_ms, ?, replace(?, '{i}', i),"
            " replace(?, '{i}', i), replace(?, '{i}', i) FROM temp.seed",
            (
                *(sample.account, sample.answerable, dump(sample.topic)),
                *(dump_interlocutors(sample.interlocutors), details),
            ),
        )
        self._db.execute(
            "INSERT INTO messages SELECT id, 1, at_ms, at_ms, replace(?, '{i}', i),"
            " replace(?, '{i}', i) FROM temp.seed",
            (dump_interlocutors((sender,)), dump(sample.topic)),
        )
        for folder in folders:
            self._db.execute("INSERT INTO folders SELECT id, ?, at_ms FROM temp.seed", (folder,))
        self._db.execute("DROP TABLE temp.seed")

    def add_message(
        self, thread_id: str, sender: Interlocutor, text: Mapping[str, str], stamp: Stamp
    ) -> None:
        """Store the newest message of a thread. Needs a transaction."""
        self._db.execute(
            "INSERT INTO messages SELECT ?, 1 + coalesce(max(n), 0), ?, ?, ?, ? FROM messages"
            " WHERE thread_id = ?",
            (
                *(thread_id, stamp.created_ms, stamp.made_ms),
                *(dump_interlocutors((sender,)), dump(text), thread_id),
            ),
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
            found = self._load([thread_id], _EVERYTHING)
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
        self, search: Search, account: str | None = None, *, view: View = _EVERYTHING
    ) -> list[StoredThread]:
        """Find threads, at most one more than the search's limit.

        What the view does not show is left out; `account` of `None` finds everybody's.
        """
        where, values = conditions(search, account, view)
        order = ", ".join(f"{field} {'DESC' if down else 'ASC'}" for field, down in search.sort)
        sql = " ".join(("SELECT id FROM threads WHERE", where, "ORDER BY", order, "LIMIT ?"))
        with self._snapshot():
            rows = self._db.execute(sql, (*values, search.limit + 1)).fetchall()
            return self._load([str(row[0]) for row in rows], view)

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

    def _load(self, ids: Sequence[str], view: View) -> list[StoredThread]:
        wanted = dump(list(ids))
        shown, values = known("thread_id", "made_ms", view)
        messages: dict[str, list[StoredMessage]] = defaultdict(list)
        for thread_id, at_ms, sender, text in self._db.execute(
            " ".join(
                (
                    "SELECT thread_id, created_ms, sender, text FROM messages WHERE",
                    shown,
                    "AND thread_id IN (SELECT value FROM json_each(?)) ORDER BY thread_id, n",
                )
            ),
            (*values, wanted),
        ):
            (who,) = load_interlocutors(sender)
            messages[thread_id].append(StoredMessage(who, json.loads(text), at_ms))
        shown, values = known("thread_id", "since_ms", view)
        folders: dict[str, list[str]] = defaultdict(list)
        for thread_id, folder in self._db.execute(
            " ".join(
                (
                    "SELECT thread_id, folder FROM folders WHERE",
                    shown,
                    "AND thread_id IN (SELECT value FROM json_each(?)) ORDER BY thread_id, folder",
                )
            ),
            (*values, wanted),
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

    def _next_id(self, stamp: Stamp) -> str:
        """Make an id that looks like an ObjectId and is above all others of its server."""
        if stamp.server is None:
            return f"{stamp.id_ms // 1000:08x}{_any_machine()}000000"
        # The part of an ObjectId that is the machine's.
        machine = sha256(f"machine {stamp.server}:{self.store_id}".encode()).hexdigest()[:10]
        (newest,) = self._db.execute(
            "SELECT max(id) FROM threads WHERE substr(id, 9, 10) = ?", (machine,)
        ).fetchone()
        fresh = int(f"{stamp.id_ms // 1000:08x}{machine}000000", 16)
        return f"{max(fresh, int(newest or '0', 16) + 1):024x}"


def _any_machine() -> str:
    return uuid4().hex[:10]


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
