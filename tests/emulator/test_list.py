from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from .client import TOLOKER, Client, complaints, direct
from .conftest import Serve


def ids(threads: list[dict[str, str]]) -> list[str]:
    return [thread["id"] for thread in threads]


def test_empty_store_lists_nothing(toloka: Client) -> None:
    assert toloka.find().json() == {"items": [], "has_more": False}


def test_pages_follow_one_another(toloka: Client) -> None:
    made = [toloka.composed()["id"] for _ in range(7)]
    seen: list[str] = []
    last, more = "0" * 24, True
    while more:
        page = toloka.find(sort="id", limit=3, id_gt=last).json()
        seen += ids(page["items"])
        last, more = seen[-1], page["has_more"]
        assert more == (len(seen) < 7)
    assert seen == made


def test_page_that_is_just_full_has_no_more(toloka: Client) -> None:
    for _ in range(3):
        toloka.composed()
    assert toloka.find(limit=3).json()["has_more"] is False
    assert toloka.find(limit=2).json()["has_more"] is True


def test_fifty_threads_are_listed_unless_told(toloka: Client) -> None:
    for _ in range(51):
        toloka.composed()
    assert len(toloka.listed()) == 50
    assert len(toloka.listed(limit=300)) == 51


def test_bounds_on_ids_and_times(toloka: Client) -> None:
    made = []
    for _ in range(4):
        made.append(toloka.composed())
        time.sleep(0.003)
    for field in ("id", "created"):
        middle = made[1][field]
        for op, expected in {
            "gt": made[2:],
            "gte": made[1:],
            "lt": made[:1],
            "lte": made[:2],
        }.items():
            assert toloka.listed(**{f"{field}_{op}": middle}) == expected, (field, op)
        both = {f"{field}_gte": made[1][field], f"{field}_lt": made[3][field]}
        assert toloka.listed(**both) == made[1:3]
    one = made[2]["id"]
    assert toloka.listed(id_gte=one, id_lte=one) == [made[2]]


def test_times_may_have_no_or_finer_fractions(toloka: Client) -> None:
    thread = toloka.composed()
    created = thread["created"]
    assert toloka.listed(created_gte=created.partition(".")[0]) == [thread]
    assert toloka.listed(created_gte=created + "000") == [thread]
    assert toloka.listed(created_gte=created + "001") == []
    assert toloka.listed(created_gt=created + "001") == []
    assert toloka.listed(created_lt=created + "001") == [thread]
    assert toloka.listed(created_lte=created + "001") == [thread]
    assert toloka.listed(created_lt=created + "000") == []


def test_sorting(toloka: Client) -> None:
    made = []
    for _ in range(3):
        made.append(toloka.composed()["id"])
        time.sleep(0.003)
    for sort in ("id", "created", "created,id", "id,-id,created", "created,-id"):
        assert ids(toloka.listed(sort=sort)) == made, sort
    for sort in ("-id", "-created", "-created,id", "-id,created"):
        assert ids(toloka.listed(sort=sort)) == made[::-1], sort


def test_equal_times_are_sorted_by_the_next_key(toloka: Client, store: Path) -> None:
    made = [toloka.composed()["id"] for _ in range(3)]
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("UPDATE threads SET created_ms = 1000")
    assert ids(toloka.listed(sort="created,-id")) == made[::-1]
    assert ids(toloka.listed(sort="-created,id")) == made
    assert ids(toloka.listed(sort="-created")) == made[::-1]
    assert toloka.listed()[0]["created"] == "1970-01-01T00:00:01.000"


def test_folders_choose_and_leave_out(toloka: Client) -> None:
    sent, answered = toloka.composed()["id"], toloka.composed()["id"]
    toloka.answered(answered)
    child = toloka.answered(toloka.composed(direct("a", "b"))["id"], "a")["id"]
    assert ids(toloka.listed(folder="INBOX")) == [answered, child]
    assert ids(toloka.listed(folder="INBOX, IMPORTANT")) == [answered, child]
    assert sent in ids(toloka.listed(folder="OUTBOX"))
    assert child not in ids(toloka.listed(folder="OUTBOX"))
    assert ids(toloka.listed(folder="INBOX", folder_ne="OUTBOX")) == [child]
    assert ids(toloka.listed(folder_ne="INBOX,UNREAD"))[0] == sent
    assert toloka.listed(folder="AUTOMATIC_NOTIFICATION") == []


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("limit=0", "limit"),
        ("limit=301", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("limit=1&limit=2", "limit"),
        ("offset=3", "offset"),
        ("folder=SPAM", "folder"),
        ("folder=", "folder"),
        ("folder_ne=INBOX,outbox", "folder_ne"),
        ("sort=topic", "sort"),
        ("sort=id,", "sort"),
        ("id_gt=5", "id_gt"),
        ("id_lte=" + "A" * 24, "id_lte"),
        ("created_gt=2026-11-22", "created_gt"),
        ("created_lt=2026-11-22T10:00:00Z", "created_lt"),
        ("created_gte=2026-11-22T10:00:00%2B00:00", "created_gte"),
        ("created_lte=2026-13-22T10:00:00", "created_lte"),
    ],
)
def test_wrong_queries_are_refused(toloka: Client, query: str, path: str) -> None:
    answer = toloka.request("GET", f"/api/v1/message-threads?{query}")
    assert list(complaints(answer)) == [path]


def test_lag_hides_what_is_new(serve: Serve) -> None:
    toloka = serve(list_lag_ms=400)
    thread = toloka.composed()
    assert toloka.listed() == []
    assert toloka.control("threads") == [thread]
    time.sleep(0.5)
    assert toloka.listed() == [thread]
    answered = toloka.answered(thread["id"], TOLOKER)
    assert toloka.listed() == [thread]
    assert toloka.listed(folder="INBOX") == []
    time.sleep(0.5)
    assert toloka.listed(folder="INBOX") == [answered]


FILL = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
INSERT INTO {table} SELECT {columns} FROM n"""
THREAD = "printf('%024x', i), ?, NULL, NULL, 1000 * i, 1000 * i, 1, '{}', '[]', NULL"
MESSAGE = (
    """printf('%024x', i), 1, 1000 * i, 1000 * i, '[{"id":"a","role":"REQUESTER"}]', '{"EN":"x"}'"""
)


def test_pages_of_a_large_store_are_quick(toloka: Client, store: Path) -> None:
    account = toloka.control("stats")["account"]
    with closing(sqlite3.connect(store)) as db, db:
        db.execute(FILL.format(table="threads", columns=THREAD), [account])
        db.execute(FILL.format(table="messages", columns=MESSAGE))
        db.execute(FILL.format(table="folders", columns="printf('%024x', i), 'OUTBOX', 1000 * i"))
    late = f"{90_000:024x}"
    for query in (
        {"sort": "id", "id_gt": late},
        {"sort": "-created"},
        {"sort": "created,-id", "created_gte": "1970-01-02T00:00:00"},
        {"folder": "OUTBOX", "folder_ne": "INBOX", "sort": "-id"},
    ):
        began = time.monotonic()
        page = toloka.find(limit=300, **query).json()
        assert time.monotonic() - began < 1.0, query
        assert (len(page["items"]), page["has_more"]) == (300, True)
    began = time.monotonic()
    assert toloka.listed(folder="IMPORTANT") == []
    assert time.monotonic() - began < 2.0
