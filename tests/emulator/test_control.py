from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.emulator import Emulator

from .client import API, Client, direct
from .conftest import Serve


def test_statistics_count_by_call_and_status(toloka: Client) -> None:
    thread = toloka.composed()["id"]
    toloka.reply(thread)
    toloka.compose({})
    toloka.find()
    toloka.post(f"{API}/{thread}/add-to-folders", {"folders": ["IMPORTANT"]})
    toloka.request("GET", "/nowhere")
    stats = toloka.control("stats")
    assert len(stats.pop("store_id")) == len(stats.pop("account")) == 32
    assert stats == {
        "calls": {"add-to-folders": 1, "compose": 2, "list": 1, "other": 1, "reply": 1},
        "answers": {"200": 1, "201": 3, "400": 1, "404": 1},
        "connections": 1,
        "max_in_one_second": 6,
    }


def test_statistics_name_the_store(serve: Serve, store: Path) -> None:
    toloka = serve()
    with Emulator(store) as same:
        assert toloka.control("stats")["store_id"] == same.store_id
        assert toloka.control("stats")["account"] == same.account


def test_calls_are_told_as_they_came(toloka: Client) -> None:
    toloka.composed()
    toloka.find(limit=2, folder="OUTBOX")
    toloka.request("POST", f"{API}/compose", data=b"not \xff json")
    composed, listed, wrong = toloka.control("calls")
    assert composed["body"] == direct()
    assert (composed["n"], composed["method"], composed["path"]) == (1, "POST", f"{API}/compose")
    assert composed["headers"]["Content-Type"] == "application/json"
    assert composed["at"].endswith("Z")
    assert (listed["query"], listed["body"], listed["status"]) == (
        "limit=2&folder=OUTBOX",
        None,
        200,
    )
    assert (wrong["body"], wrong["status"], wrong["fault"]) == ("not \ufffd json", 415, None)
    assert toloka.control("calls?after=2") == [wrong]
    assert toloka.control("calls?after=3") == []


@pytest.mark.parametrize(
    ("authorization", "shown"),
    [("OAuth secret", "OAuth"), ("ApiKey secret.a.b", "ApiKey"), ("secret", ""), ("se cret", "")],
)
def test_credentials_are_not_kept(serve: Serve, authorization: str, shown: str) -> None:
    toloka = serve(authorization=authorization)
    headers = {"Cookie": "secret", "Proxy-Authorization": "Basic secret"}
    toloka.request("GET", API, headers=headers)
    (call,) = toloka.control("calls")
    assert call["headers"]["Authorization"] == shown
    assert "cret" not in json.dumps(call)


def test_log_of_calls_is_bounded(toloka: Client) -> None:
    for _ in range(70):
        body = b" " * 1024 * 1024
        toloka.request("POST", f"{API}/compose", data=body)
    calls = toloka.control("calls")
    assert [call["n"] for call in calls] == list(range(7, 71))
    assert toloka.control("stats")["calls"] == {"compose": 70}


@pytest.mark.parametrize("query", ["after=x", "after=-1", "before=3", "after="])
def test_wrong_question_for_calls_is_refused(toloka: Client, query: str) -> None:
    assert toloka.request("GET", f"/emulator/calls?{query}").status_code == 400


def test_all_threads_are_told_in_full(toloka: Client) -> None:
    toloka.control("seed", {"count": 1001})
    last = toloka.composed()
    told = toloka.control("threads")
    assert len(told) == 1002
    assert last in told


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "toloka.example"},
        {"Host": ""},
        {"Host": "10.0.0.1:80"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "null"},
        {"Host": "[nonsense"},
    ],
)
@pytest.mark.parametrize(
    "path", ["emulator/faults", "emulator/nothing", "api/v1/message-threads/compose"]
)
def test_neither_web_pages_nor_other_names_are_answered(
    toloka: Client, headers: dict[str, str], path: str
) -> None:
    answer = toloka.request("POST", f"/{path}", json={"faults": []}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (421, "MISDIRECTED_REQUEST")
    assert toloka.control("calls") == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.9.9.9", "[::1]:80"])
def test_any_name_of_this_machine_will_do(toloka: Client, host: str) -> None:
    answer = toloka.request("GET", "/emulator/stats", headers={"Host": host})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/emulator", "/emulator/", "/emulator/help"])
def test_unknown_control_call_names_those_there_are(toloka: Client, path: str) -> None:
    answer = toloka.request("GET", path)
    assert answer.status_code == 404
    assert "/answer, /faults, /behaviour, /put, /seed, /stats" in answer.json()["message"]


def test_control_calls_need_no_credential_and_are_not_counted(serve: Serve) -> None:
    toloka = serve(authorization="", latency_ms=5000, rate_limit=1)
    toloka.control("threads")
    toloka.control("calls")
    stats = toloka.control("stats")
    assert (stats["calls"], stats["connections"]) == ({}, 0)


def test_control_call_needs_json(toloka: Client) -> None:
    answer = toloka.request("POST", "/emulator/faults", data='{"faults": []}')
    assert answer.status_code == 415
