from __future__ import annotations

import time
from collections.abc import Callable
from http.client import IncompleteRead, RemoteDisconnected
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from runner.emulator import FAULT_KINDS, LIST_FAULT_KINDS, Emulator, Fault, parse_fault

from .client import API, TOLOKER, Client, direct
from .conftest import Serve

Check = Callable[[requests.Response], bool]


def refused(status: int, code: str) -> Check:
    return lambda answer: (answer.status_code, answer.json()["code"]) == (status, code)


def html(answer: requests.Response) -> bool:
    return answer.status_code == 502 and answer.text.startswith("<html>")


def redirect(answer: requests.Response) -> bool:
    return answer.status_code == 302 and answer.headers["Location"].startswith("/api/")


# How a client sees each kind that answers, and whether the message is made.
ANSWERED: list[tuple[str, bool, Check]] = [
    ("400", False, refused(400, "VALIDATION_ERROR")),
    ("401", False, refused(401, "AUTHENTICATION_ERROR")),
    ("403", False, refused(403, "ACCESS_DENIED")),
    ("404", False, refused(404, "DOES_NOT_EXIST")),
    ("408", False, refused(408, "REQUEST_TIMEOUT")),
    ("409", False, refused(409, "CONFLICT_STATE")),
    ("413", False, refused(413, "PAYLOAD_TOO_LARGE")),
    ("415", False, refused(415, "UNSUPPORTED_MEDIA_TYPE")),
    ("429", False, refused(429, "TOO_MANY_REQUESTS")),
    ("500", False, refused(500, "INTERNAL_ERROR")),
    ("502-html", False, html),
    ("503", False, refused(503, "REMOTE_SERVICE_UNAVAILABLE")),
    ("504", False, refused(504, "GATEWAY_TIMEOUT")),
    ("incorrect-recipients", False, refused(409, "INCORRECT_RECIPIENTS")),
    ("redirect", False, redirect),
    ("accepted-then-408", True, refused(408, "REQUEST_TIMEOUT")),
    ("accepted-then-500", True, refused(500, "INTERNAL_ERROR")),
    ("accepted-then-502-html", True, html),
    ("accepted-then-503", True, refused(503, "REMOTE_SERVICE_UNAVAILABLE")),
    ("accepted-then-504", True, refused(504, "GATEWAY_TIMEOUT")),
    ("accepted-then-empty", True, lambda answer: answer.content == b""),
    ("accepted-then-no-id", True, lambda answer: "id" not in answer.json()),
    ("accepted-then-not-json", True, lambda answer: answer.text.startswith("OK")),
]
# What the client's library raises for each kind that does not, and what lies at its bottom.
UNANSWERED: list[tuple[str, bool, type[Exception], type[Exception]]] = [
    ("reset", False, requests.ConnectionError, ConnectionResetError),
    ("timeout,seconds=0.2", False, requests.ConnectionError, RemoteDisconnected),
    ("timeout", False, requests.ReadTimeout, TimeoutError),
    ("accepted-then-reset", True, requests.ConnectionError, ConnectionResetError),
    ("accepted-then-timeout,seconds=0.2", True, requests.ConnectionError, RemoteDisconnected),
    ("accepted-then-timeout", True, requests.ReadTimeout, TimeoutError),
    ("accepted-then-truncated", True, requests.exceptions.ChunkedEncodingError, IncompleteRead),
]


# What each kind makes of a page of three threads; ids stand for threads.
SPOILED: dict[str, Callable[[list[str]], dict[str, object]]] = {
    "hole": lambda ids: {"items": [ids[0], ids[2]], "has_more": False},
    "repeated-item": lambda ids: {"items": [*ids, ids[2]], "has_more": False},
    "unreadable-item": lambda ids: {"items": [*ids[:2], "?"], "has_more": False},
    "no-has-more": lambda ids: {"items": ids},
}


def test_every_kind_is_tried_here_and_described() -> None:
    tried = {row[0] for row in ANSWERED} | {row[0].partition(",")[0] for row in UNANSWERED}
    later = {"slow", "late-then-500", "late-then-reset"}
    assert tried | later | set(SPOILED) == set(FAULT_KINDS)
    assert set(SPOILED) == set(LIST_FAULT_KINDS)
    assert all(FAULT_KINDS.values())


@pytest.mark.parametrize(("kind", "done", "check"), ANSWERED)
def test_answered_kinds(serve: Serve, kind: str, done: bool, check: Check) -> None:
    toloka = serve(faults=[parse_fault(f"at=1,kind={kind}")])
    answer = toloka.compose()
    assert check(answer), answer.text
    (call,) = toloka.control("calls")
    assert (call["status"], call["fault"]) == (answer.status_code, kind)
    assert len(toloka.control("threads")) == done
    assert toloka.control("stats")["answers"] == {str(answer.status_code): 1}
    toloka.composed()


@pytest.mark.parametrize(("fault", "done", "error", "bottom"), UNANSWERED)
def test_unanswered_kinds(
    serve: Serve, fault: str, done: bool, error: type[Exception], bottom: type[Exception]
) -> None:
    toloka = serve(faults=[parse_fault(f"at=1,kind={fault}")])
    with pytest.raises(error) as caught:
        toloka.post(f"{API}/compose", direct(), timeout=1)
    seen: BaseException | None = caught.value
    while seen and seen.__context__:
        seen = seen.__context__
    # urllib3 has an IncompleteRead of its own.
    assert type(seen).__name__ == bottom.__name__
    (call,) = toloka.control("calls")
    truncated = "truncated" in fault
    assert (call["status"], call["fault"]) == (201 if truncated else None, fault.partition(",")[0])
    assert len(toloka.control("threads")) == done
    assert toloka.control("stats")["answers"] == {"201" if truncated else "none": 1}
    toloka.composed()


def test_slow_answer_is_right_but_late(serve: Serve) -> None:
    toloka = serve(faults=[parse_fault("kind=slow,seconds=0.4")])
    began = time.monotonic()
    assert [toloka.composed()] == toloka.control("threads")
    assert time.monotonic() - began >= 0.4


@pytest.mark.parametrize("kind", SPOILED)
def test_page_of_the_list_can_be_spoiled(serve: Serve, kind: str) -> None:
    toloka = serve(faults=[parse_fault(f"on=list,kind={kind},times=2")])
    empty = {name: value for name, value in SPOILED[kind]([""] * 3).items() if name != "items"}
    assert toloka.find().json() == {"items": [], **empty}
    ids = [toloka.composed()["id"] for _ in range(3)]
    page = toloka.find().json()
    page["items"] = [item if isinstance(item, str) else item["id"] for item in page["items"]]
    assert page == SPOILED[kind](ids)
    assert [thread["id"] for thread in toloka.listed()] == ids


def test_list_can_break_off(serve: Serve) -> None:
    toloka = serve(faults=[parse_fault("on=list,after=2,kind=500")])
    assert [toloka.find().status_code for _ in range(4)] == [200, 200, 500, 500]


@pytest.mark.parametrize("ending", ["500", "reset"])
def test_call_can_be_done_after_its_answer(serve: Serve, ending: str) -> None:
    toloka = serve(faults=[parse_fault(f"at=1,kind=late-then-{ending},seconds=0.5")])
    began = time.monotonic()
    if ending == "reset":
        with pytest.raises(requests.ConnectionError):
            toloka.compose()
    else:
        assert toloka.compose().status_code == 500
    second = toloka.composed(direct("second"))
    assert toloka.listed() == [second]
    assert time.monotonic() - began < 0.5
    while len(threads := toloka.listed()) < 2:
        assert time.monotonic() - began < 10
    assert time.monotonic() - began >= 0.5
    recipients = [thread["compose_details"]["recipients_ids"] for thread in threads]
    assert recipients == [["second"], [TOLOKER]]
    assert threads[0]["created"] < threads[1]["created"]


def test_late_call_that_would_be_refused_is_refused_at_once(serve: Serve) -> None:
    toloka = serve(faults=[parse_fault("kind=late-then-500,seconds=0")])
    assert toloka.compose({}).status_code == 400


def test_late_calls_are_dropped_when_it_stops(store: Path) -> None:
    began = time.monotonic()
    with Emulator(store, faults=[parse_fault("kind=late-then-500")]) as emulator:
        client = Client(emulator.url)
        assert client.compose().status_code == 500
        client.session.close()
    assert time.monotonic() - began < 10
    with Emulator(store) as emulator:
        client = Client(emulator.url)
        assert client.control("threads") == []
        client.session.close()


def test_followed_redirect_looks_like_success(serve: Serve) -> None:
    toloka = serve(faults=[parse_fault("kind=redirect")])
    answer = toloka.post(f"{API}/compose", direct(), allow_redirects=True)
    assert answer.status_code == 200
    assert [call["method"] for call in toloka.control("calls")] == ["POST", "GET"]
    assert toloka.control("threads") == []


def test_what_a_429_says(serve: Serve) -> None:
    toloka = serve(
        faults=[
            parse_fault("at=1,kind=429"),
            parse_fault("at=2,kind=429,interval=HOUR"),
            parse_fault("at=3,kind=429,interval=MIN,retry_after=0"),
        ]
    )
    answers = [toloka.compose() for _ in range(3)]
    payloads = [answer.json().get("payload") for answer in answers]
    assert payloads == [None, {"interval": "HOUR"}, {"interval": "MIN"}]
    assert [answer.headers.get("Retry-After") for answer in answers] == [None, None, "0"]


@pytest.mark.parametrize(
    ("fault", "hit"),
    [
        ("kind=500", [1, 2, 3, 4, 5, 6, 7]),
        ("every=3,kind=500", [3, 6]),
        ("at=2,kind=500", [2]),
        ("at=1+5+7,kind=500", [1, 5, 7]),
        ("after=4,kind=500", [5, 6, 7]),
        ("after=1,every=2,kind=500", [3, 5, 7]),
        ("after=3,at=1+2,kind=500", [4, 5]),
        ("times=2,kind=500", [1, 2]),
        ("every=2,times=2,kind=500", [2, 4]),
        (" kind = 500 , on = any , at = 1 ", [1]),
        ("on=list,kind=500", []),
    ],
)
def test_which_calls_are_hit(serve: Serve, fault: str, hit: list[int]) -> None:
    toloka = serve(faults=[parse_fault(fault)])
    statuses = [toloka.compose().status_code for _ in range(7)]
    assert [i for i, status in enumerate(statuses, 1) if status == 500] == hit


def test_first_fault_that_hits_wins_and_all_count(serve: Serve) -> None:
    faults = ["every=2,kind=500", "every=3,kind=503", "times=1,kind=408", "at=6,kind=404"]
    toloka = serve(faults=[parse_fault(text) for text in faults])
    statuses = [toloka.compose().status_code for _ in range(7)]
    assert statuses == [408, 500, 503, 500, 201, 500, 201]


def test_faults_choose_their_calls(toloka: Client) -> None:
    thread = toloka.composed()["id"]
    calls: dict[str, list[Callable[[], requests.Response]]] = {
        "compose": [toloka.compose],
        "reply": [lambda: toloka.reply(thread)],
        "folders": [
            lambda: toloka.post(f"{API}/{thread}/add-to-folders", {"folders": ["INBOX"]}),
            lambda: toloka.post(f"{API}/{thread}/remove-from-folders", {"folders": ["INBOX"]}),
        ],
        "list": [toloka.find],
        "other": [lambda: toloka.request("GET", "/nowhere"), lambda: toloka.post(API, {})],
    }
    for on in ("compose", "reply", "folders", "list", "any"):
        toloka.control("faults", {"faults": [f"on={on},kind=503"]})
        for name, same in calls.items():
            for call in same:
                assert (call().status_code == 503) == (on in ("any", name)), (on, name)


def test_list_can_lose_the_ids(serve: Serve) -> None:
    toloka = serve(faults=[parse_fault("on=list,kind=accepted-then-no-id")])
    toloka.composed()
    (thread,) = toloka.listed()
    assert "id" not in thread


def test_call_that_is_refused_keeps_its_answer(serve: Serve) -> None:
    toloka = serve(faults=[parse_fault("kind=accepted-then-500")])
    assert toloka.compose({}).status_code == 400
    (call,) = toloka.control("calls")
    assert call["fault"] is None


def test_faults_are_replaced_and_count_from_the_beginning(serve: Serve) -> None:
    toloka = serve(faults=[parse_fault("kind=500")])
    assert toloka.compose().status_code == 500
    taken = toloka.control("faults", {"faults": ["at=1,kind=503"]})
    assert taken == {"faults": ["at=1,kind=503"]}
    assert [toloka.compose().status_code for _ in range(2)] == [503, 201]
    toloka.control("faults", {"faults": []})
    toloka.composed()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"faults": ["kind=oops"]}, "kind=oops is wrong: one of 400, 401"),
        ({"faults": "kind=500"}, "is expected as the body"),
        ({"faults": [5]}, "is expected as the body"),
        ([], "is expected as the body"),
    ],
)
def test_wrong_faults_are_refused_and_the_old_stay(serve: Serve, body: object, says: str) -> None:
    toloka = serve(faults=[parse_fault("kind=500")])
    answer = toloka.post("/emulator/faults", body)
    assert answer.status_code == 400
    assert says in answer.json()["message"]
    assert toloka.compose().status_code == 500


def test_every_key_is_read() -> None:
    text = "kind=429,on=reply,at=1+5,after=2,times=3,interval=DAY,retry_after=60"
    assert parse_fault(text) == Fault(
        kind="429", on="reply", at=(1, 5), after=2, times=3, interval="DAY", retry_after=60
    )
    assert parse_fault("kind=slow,every=4,seconds=0") == Fault(kind="slow", every=4, seconds=0.0)
    assert parse_fault("kind=timeout").seconds == 30


@pytest.mark.parametrize("wrong", [{"kind": "oops"}, {"kind": "500", "on": "send"}])
def test_fault_of_no_kind_cannot_be_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="There is no fault"):
        Fault(**wrong)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'' is not one of kind=, on=, every="),
        ("500", "'500' is a kind: write kind=500"),
        ("kind=500,when=now", "'when=now' is not one of kind="),
        ("every=5", "kind= is missing: one of 400, 401"),
        ("kind=", "kind= is wrong: one of 400"),
        ("kind=500,kind=503", "kind= is given twice"),
        ("kind=500,every=2,at=3", "either every= or at= can be given"),
        ("kind=500,every=0", "every=0 is wrong: a whole number from 1 up is right"),
        ("kind=500,every=-2", "every=-2 is wrong"),
        ("kind=500,every=9999999999", "every=9999999999 is wrong"),
        ("kind=500,at=1+", "at=1+ is wrong: whole numbers from 1 up with + between"),
        ("kind=500,times=0", "times=0 is wrong"),
        ("kind=500,after=x", "after=x is wrong: a whole number from 0 up"),
        ("kind=500,on=send", "on=send is wrong: one of compose, reply, folders, list, any"),
        ("kind=500,seconds=3", "seconds= goes with the kinds timeout, accepted-then-timeout, slow"),
        ("kind=timeout,seconds=-1", "seconds=-1 is wrong: a number of seconds"),
        ("kind=timeout,seconds=nan", "seconds=nan is wrong"),
        ("kind=timeout,seconds=soon", "seconds=soon is wrong"),
        ("kind=500,interval=DAY", "interval= goes with kind=429 only"),
        ("kind=hole", "kind=hole goes with on=list only"),
        ("kind=503,retry_after=1", "retry_after= goes with kind=429 only"),
        ("kind=429,interval=WEEK", "interval=WEEK is wrong: one of MIN, HOUR, DAY is right"),
        ("kind=429,retry_after=1.5", "retry_after=1.5 is wrong: a whole number of seconds"),
    ],
)
def test_wrong_faults_say_what_would_be_right(text: str, says: str) -> None:
    with pytest.raises(ValueError, match="cannot be used") as caught:
        parse_fault(text)
    assert says in str(caught.value)


@given(st.text(alphabet="kindevryatsm0159=,+- ") | st.text())
def test_any_text_is_a_fault_or_a_value_error(text: str) -> None:
    try:
        fault = parse_fault(text)
    except ValueError:
        return
    assert fault.kind in FAULT_KINDS
