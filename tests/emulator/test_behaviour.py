from __future__ import annotations

import time
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from runner.emulator import Behaviour, parse_lag, parse_skews

from .client import TOLOKER, Client, complaints, direct, filtered
from .conftest import Serve

HOUR_S = 3600
HOUR_MS = HOUR_S * 1000


def seconds(created: str) -> float:
    return datetime.fromisoformat(f"{created}+00:00").timestamp()


def date_of(answer: requests.Response) -> float:
    return parsedate_to_datetime(answer.headers["Date"]).timestamp()


def ids(threads: list[dict[str, Any]]) -> list[str]:
    return [thread["id"] for thread in threads]


def id_seconds(thread: dict[str, Any]) -> int:
    return int(thread["id"][:8], 16)


def near(seconds: float) -> Any:
    return pytest.approx(seconds, abs=20)


@pytest.mark.parametrize("skew", [-HOUR_S, 0, HOUR_S])
def test_created_can_differ_from_the_date(serve: Serve, skew: int) -> None:
    toloka = serve(clock_skew_ms=skew * 1000)
    answer = toloka.compose()
    thread = answer.json()
    assert date_of(answer) == near(time.time())
    assert seconds(thread["created"]) == near(date_of(answer) + skew)
    assert id_seconds(thread) == int(seconds(thread["created"]))
    assert toloka.listed() == [thread]
    replied = toloka.reply(thread["id"]).json()
    assert seconds(replied["messages"][0]["created"]) == near(time.time() + skew)


def test_several_clocks_take_turns_and_ids_grow_with_each(serve: Serve) -> None:
    toloka = serve(clock_skew_ms=(-HOUR_MS, HOUR_MS))
    made = [toloka.composed() for _ in range(6)]
    now = time.time()
    behind, ahead = made[::2], made[1::2]
    assert [seconds(thread["created"]) for thread in behind] == [near(now - HOUR_S)] * 3
    assert [seconds(thread["created"]) for thread in ahead] == [near(now + HOUR_S)] * 3
    assert toloka.listed(sort="id") == [*behind, *ahead]
    assert toloka.listed(sort="created") == [*behind, *ahead]
    assert len({thread["id"][8:18] for thread in made}) == 2


def test_date_can_be_wrong_and_created_goes_with_it(serve: Serve) -> None:
    toloka = serve(date_skew_ms=-HOUR_MS, clock_skew_ms=2 * HOUR_MS)
    answer = toloka.compose()
    assert date_of(answer) == near(time.time() - HOUR_S)
    assert seconds(answer.json()["created"]) == near(time.time() + HOUR_S)


def test_date_can_be_missing(serve: Serve) -> None:
    toloka = serve(date=False)
    assert "Date" not in toloka.compose().headers
    assert toloka.find().headers["Server"] == "TolokaEmulator"


def until_all_are_shown(toloka: Client, count: int) -> list[str]:
    """Poll the list; gives the ids in the order in which they appeared."""
    appeared: list[str] = []
    give_up = time.monotonic() + 20
    while len(appeared) < count:
        assert time.monotonic() < give_up
        shown = ids(toloka.listed(limit=300))
        assert set(appeared) <= set(shown)
        appeared += [each for each in shown if each not in appeared]
    return appeared


def test_threads_appear_in_another_order(serve: Serve) -> None:
    toloka = serve(list_lag_ms=(200, 1200))
    made = [toloka.composed()["id"] for _ in range(20)]
    assert toloka.listed() == []
    appeared = until_all_are_shown(toloka, 20)
    assert appeared != made
    assert sorted(appeared) == made


def test_replicas_take_turns_and_each_has_its_own_lag(serve: Serve) -> None:
    toloka = serve(list_lag_ms=(0, HOUR_MS), list_replicas=2)
    for _ in range(20):
        toloka.composed()
    toloka.control("put", direct("old", created="2020-01-01T00:00:00"))
    toloka.control("behaviour", {"list_lag_ms": [0, 1000]})
    differed = False
    give_up = time.monotonic() + 20
    views: list[list[str]] = [[], []]
    while not all(len(view) == 21 for view in views):
        assert time.monotonic() < give_up
        fresh = [ids(toloka.listed()), ids(toloka.listed())]
        for before, now in zip(views, fresh, strict=True):
            assert set(before) <= set(now)
        views = fresh
        differed |= set(views[0]) != set(views[1])
    assert differed


def test_answers_lag_with_their_thread(serve: Serve) -> None:
    toloka = serve()
    thread = toloka.composed()["id"]
    toloka.control("behaviour", {"list_lag_ms": [600, 600]})
    time.sleep(0.7)
    answered = toloka.answered(thread)
    assert len(toloka.listed()[0]["messages"]) == 1
    assert toloka.listed(folder="INBOX") == []
    time.sleep(0.7)
    assert toloka.listed(folder="INBOX") == [answered]


def test_list_can_forget_the_newest(serve: Serve) -> None:
    toloka = serve(list_forgets=2)
    assert toloka.listed() == []
    made = [toloka.composed()["id"] for _ in range(5)]
    assert ids(toloka.listed()) == made[:3]
    assert ids(toloka.listed(limit=2, sort="-id")) == made[2:0:-1]
    assert len(toloka.control("threads")) == 5
    toloka.control("behaviour", {"list_forgets": 0})
    assert ids(toloka.listed()) == made


TREE = {
    "and": [
        {"category": "profile", "key": "country", "operator": "EQ", "value": "FR"},
        {"category": "skill", "key": "7", "operator": "GT", "value": 50},
    ]
}


@pytest.mark.parametrize(
    ("echo", "sent", "text"),
    [
        ("entities", '<b> & "c"', '&lt;b&gt; &amp; "c"'),
        ("nfd", "caf\u00e9", "cafe\u0301"),
        ("cut", "Amazing", "Amaz"),
        ("answerable", "Amazing", "Amazing"),
    ],
)
def test_words_can_come_back_otherwise(serve: Serve, echo: str, sent: str, text: str) -> None:
    toloka = serve(echo=echo)
    words = {"EN": sent}
    composed = toloka.composed(direct(topic=words, text=words, answerable=False))
    assert toloka.listed() == [composed]
    assert composed["messages"][0]["text"] == {"EN": text}
    assert composed["topic"] == ({"EN": sent} if echo == "cut" else {"EN": text})
    assert composed["answerable"] == (echo == "answerable")
    (kept,) = toloka.control("threads")
    assert (kept["topic"], kept["answerable"]) == (words, False)


def test_filter_can_come_back_in_another_order(serve: Serve) -> None:
    toloka = serve(echo="filter-reversed")
    trees = (TREE, {"or": [TREE, TREE["and"][0]]})
    made = [toloka.composed(filtered(tree)) for tree in trees]
    for tree, composed in zip(trees, made, strict=True):
        shown = composed["compose_details"]["recipients_filter"]
        assert shown != tree
        assert str(TREE["and"][::-1]) in str(shown)
    assert toloka.listed() == made
    toloka.composed(direct())


def test_recipient_can_be_dropped(serve: Serve) -> None:
    toloka = serve(echo="drops-recipient")
    both = toloka.composed(direct("b", "a"))
    assert both["compose_details"]["recipients_ids"] == ["b"]
    assert "a" not in ids(both["interlocutors"])
    one = toloka.composed(direct("c"))
    assert one["compose_details"]["recipients_ids"] == ["c"]
    assert toloka.listed() == [both, one]
    assert toloka.control("threads")[0]["compose_details"]["recipients_ids"] == ["b", "a"]


def test_behaviour_changes_while_it_runs(toloka: Client) -> None:
    whole = toloka.control("behaviour", {})
    assert whole == Behaviour(rate_limit=0).as_json()
    changed = toloka.control("behaviour", {"echo": "cut", "refuse": [TOLOKER]})
    assert changed == {**whole, "echo": "cut", "refuse": [TOLOKER]}
    assert toloka.compose().status_code == 400
    toloka.control("behaviour", {"refuse": [], "rate_limit": 2})
    assert [toloka.compose().status_code for _ in range(2)] == [201, 429]
    toloka.control("behaviour", {"rate_limit": 0, "daily_limit": 1})
    assert toloka.compose().status_code == 429


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ([], "is expected as the body"),
        ({"speed": 1}, "speed is not one of latency_ms, rate_limit"),
        ({"latency_ms": "1"}, "latency_ms is a number"),
        ({"latency_ms": True}, "latency_ms is a number"),
        ({"latency_ms": -1}, "latency_ms cannot be negative"),
        ({"rate_limit": 1.5}, "rate_limit is a whole number"),
        ({"list_replicas": 0}, "list_replicas is at least 1"),
        ({"list_lag_ms": [1]}, "list_lag_ms is a number, or two"),
        ({"list_lag_ms": [2, 1]}, "list_lag_ms begins with the least"),
        ({"list_lag_ms": [-1, 1]}, "list_lag_ms cannot be negative"),
        ({"clock_skew_ms": []}, "clock_skew_ms is a whole number, or several"),
        ({"clock_skew_ms": [1, None]}, "clock_skew_ms is a whole number, or several"),
        ({"date_skew_ms": [1]}, "date_skew_ms is a whole number"),
        ({"date": 0}, "date is true or false"),
        ({"echo": []}, "echo () is none of exact"),
        ({"echo": "cut", "refuse": "me"}, "refuse is a list of ids"),
        ({"refuse": [1]}, "refuse is a list of ids"),
    ],
)
def test_wrong_behaviour_is_refused_and_the_old_stays(
    toloka: Client, body: object, says: str
) -> None:
    answer = toloka.post("/emulator/behaviour", body)
    assert answer.status_code == 400
    assert says in answer.json()["message"]
    assert toloka.control("behaviour", {}) == Behaviour(rate_limit=0).as_json()


def test_forms_of_options() -> None:
    assert (parse_lag("400"), parse_lag("0-2.5")) == (400, (0, 2.5))
    assert (parse_skews("-5"), parse_skews("-5, 0,7")) == ((-5,), (-5, 0, 7))
    for wrong in ("", "x", "1-", "1-x"):
        with pytest.raises(ValueError, match=r"."):
            parse_lag(wrong)


def test_thread_can_be_put_by_hand(serve: Serve) -> None:
    toloka = serve(daily_limit=1, echo="cut", refuse=[TOLOKER])
    put = toloka.control("put", direct())
    (shown,) = toloka.listed()
    assert shown["messages"][0]["text"] == {"EN": "Amazin"}
    assert put["messages"][0] == {
        "text": {"EN": "Amazing job!"},
        "from": {
            "id": toloka.control("stats")["account"],
            "role": "REQUESTER",
            "myself": True,
        },
        "created": put["created"],
    }
    assert put["folders"] == ["OUTBOX"]
    assert put["compose_details"]["recipients_ids"] == [TOLOKER]
    toloka.composed(direct("a"))


def test_toloker_can_begin_a_thread(toloka: Client) -> None:
    put = toloka.control("put", direct(**{"from": "toloker"}))
    assert "compose_details" not in put
    assert put["messages"][0]["from"] == {"id": TOLOKER, "role": "USER"}
    assert toloka.listed(folder="INBOX") == [put]
    assert toloka.answered(put["id"])["id"] == put["id"]


def test_put_threads_are_of_any_time(toloka: Client) -> None:
    late = toloka.control("put", direct(created="2999-01-01T00:00:00"))
    old = toloka.control("put", direct(created="2020-01-01T00:00:00.500"))
    now = toloka.composed()
    assert late["created"] == "2999-01-01T00:00:00.000"
    assert late["messages"][0]["created"] == late["created"]
    assert (id_seconds(late), id_seconds(now)) == (near(time.time()), near(time.time()))
    moment = datetime(2020, 1, 1, tzinfo=timezone.utc)
    assert id_seconds(old) == int(moment.timestamp())
    assert toloka.listed(sort="-created") == [late, now, old]
    assert toloka.listed()[0] == old


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"from": "me"}, "from"),
        ({"created": "yesterday"}, "created"),
        ({"created": 5}, "created"),
        ({"text": {}}, "text"),
        ({"from": "toloker", "recipients_ids": ["a", "b"]}, "recipients_ids"),
    ],
)
def test_wrong_thread_is_not_put(toloka: Client, changes: dict[str, Any], path: str) -> None:
    answer = toloka.post("/emulator/put", direct(**changes))
    assert list(complaints(answer)) == [path]
    assert toloka.control("threads") == []


def test_many_threads_are_put_at_once(toloka: Client) -> None:
    assert toloka.control("seed", {"count": 5_000}) == {"count": 5_000}
    toloka.control("seed", {"count": 3, "from": "toloker"})
    own = toloka.composed()
    page = toloka.listed(sort="-created", limit=300, folder="OUTBOX")
    assert page[0] == own
    assert page[1]["created"] > page[2]["created"]
    assert len({thread["interlocutors"][-1]["id"] for thread in page[1:]}) == 299
    assert page[1]["compose_details"]["recipients_ids"] == [page[1]["interlocutors"][-1]["id"]]
    assert page[1]["topic"] == page[1]["messages"][0]["text"]
    begun = toloka.listed(folder="INBOX,UNREAD")
    assert len(begun) == 3
    assert all("compose_details" not in thread for thread in begun)
    assert begun[0]["messages"][0]["from"] == begun[0]["interlocutors"][-1]
    last, count = "0" * 24, 0
    while page := toloka.listed(id_gt=last, limit=300):
        count, last = count + len(page), page[-1]["id"]
    assert count == 5_004


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "count"),
        ({"count": 0}, "count"),
        ({"count": True}, "count"),
        ({"count": 10_000_001}, "count"),
        ({"count": 1, "from": "us"}, "from"),
        ({"count": 1, "speed": 1}, "speed"),
    ],
)
def test_wrong_seed_is_refused(toloka: Client, body: object, path: str) -> None:
    assert list(complaints(toloka.post("/emulator/seed", body))) == [path]
