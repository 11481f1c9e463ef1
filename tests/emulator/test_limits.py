from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from .client import Client, direct, filtered, to_all
from .conftest import Serve

TREE = {"and": [{"category": "profile", "key": "languages", "operator": "IN", "value": "EN"}]}


def test_calls_over_the_rate_are_refused(serve: Serve) -> None:
    toloka = serve(rate_limit=5)
    answers = [toloka.find() for _ in range(8)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 3
    refused = answers[-1]
    assert refused.headers["Retry-After"] == "1"
    assert refused.json()["code"] == "TOO_MANY_REQUESTS"
    assert refused.json()["payload"] == {"interval": "MIN"}
    # What is refused does not push the end of the wait away.
    time.sleep(1.01)
    toloka.composed()
    assert toloka.control("stats")["max_in_one_second"] == 8


def test_refused_calls_do_nothing(serve: Serve) -> None:
    toloka = serve(rate_limit=1)
    toloka.composed()
    assert toloka.compose().status_code == 429
    assert len(toloka.control("threads")) == 1


def test_direct_and_filter_messages_share_a_daily_limit(serve: Serve) -> None:
    toloka = serve(daily_limit=2)
    toloka.composed()
    assert toloka.compose({}).status_code == 400
    thread = toloka.composed(filtered(TREE))
    for form in (direct(), filtered(TREE)):
        answer = toloka.compose(form)
        assert (answer.status_code, answer.json()["payload"]) == (429, {"interval": "DAY"})
        assert "Retry-After" not in answer.headers
    toloka.composed(to_all())
    assert toloka.reply(thread["id"]).status_code == 201
    assert len(toloka.control("threads")) == 3


def test_one_message_to_all_a_day(serve: Serve) -> None:
    toloka = serve()
    toloka.composed(to_all())
    assert toloka.compose(to_all()).json()["payload"] == {"interval": "DAY"}
    serve(account="another").composed(to_all())


def test_daily_limit_rolls_and_outlives_the_emulator(serve: Serve, store: Path) -> None:
    serve(daily_limit=2).composed()
    serve(daily_limit=2).composed()
    toloka = serve(daily_limit=2)
    assert toloka.compose().status_code == 429
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("UPDATE quota SET at_ms = at_ms - 86400000 WHERE n = 1")
    toloka.composed()
    assert toloka.compose().status_code == 429


def test_nought_turns_limits_off(serve: Serve) -> None:
    toloka: Client = serve(rate_limit=0, daily_limit=0, daily_all_limit=0)
    for _ in range(3):
        toloka.composed()
        toloka.composed(to_all())
