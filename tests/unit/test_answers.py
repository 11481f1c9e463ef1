from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.lookup.replies import answered_threads
from runner.model import (
    Busy,
    NoRecipients,
    NotConnected,
    Outcome,
    Rejected,
    Sent,
    Unknown,
)
from runner.toloka.responses import classify, json_of, plain, reason_to_stop, thread_of

THREAD = {
    "id": "63c15866757a4a1adad1d632",
    "topic": {"EN": "Thank you!"},
    "interlocutors": [
        {"id": "me", "role": "REQUESTER", "myself": True},
        {"id": "a", "role": "USER"},
    ],
    "messages": [
        {
            "text": {"EN": "newest"},
            "from": {"id": "a", "role": "USER"},
            "created": "2026-11-23T00:00:00",
        },
        {"text": {"EN": "oldest"}, "from": {"id": "me"}, "created": "2026-11-22T00:00:00.5"},
    ],
    "compose_details": {"recipients_select_type": "DIRECT", "recipients_ids": ["a", "b"]},
    "folders": ["OUTBOX"],
    "answerable": False,
    "created": "2026-11-22T00:00:00.5",
}


def error(code: str, message: str = "Said", payload: object = None) -> bytes:
    body = {"request_id": "r", "code": code, "message": message}
    return json.dumps(body if payload is None else {**body, "payload": payload}).encode()


def test_a_thread_is_read_with_its_oldest_message_and_its_account() -> None:
    answer = classify(201, json.dumps(THREAD).encode(), {})
    assert isinstance(answer, Sent)
    thread = answer.thread
    assert (thread.id, thread.created) == ("63c15866757a4a1adad1d632", "2026-11-22T00:00:00.5")
    assert (thread.topic, thread.text) == ({"EN": "Thank you!"}, {"EN": "oldest"})
    assert (thread.answerable, thread.account, thread.parent_id) == (False, "me", None)
    assert (thread.select_type, thread.recipients_ids) == ("DIRECT", ("a", "b"))
    assert [(post.sender, post.is_ours) for post in thread.posts] == [("me", True), ("a", False)]


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_any_2xx_with_a_thread_id_is_sent(status: int) -> None:
    answer = classify(status, b'{"id": "63c15866757a4a1adad1d632"}', {})
    assert isinstance(answer, Sent)
    assert answer.thread.account is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"{}",
        b"null",
        b"[]",
        b'"63c15866757a4a1adad1d632"',
        b'{"id": 5}',
        b'{"id": ""}',
        b'{"id": "../../x"}',
        b'{"id": "a b"}',
        b'{"id": "a\\n"}',
        b'{"id": "' + b"a" * 200 + b'"}',
        b'{"id": "63c15866757a4a1a',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_2xx_without_a_thread_id_is_unknown(body: bytes) -> None:
    assert classify(201, body, {}) == Unknown("HTTP 201 without a thread id")


@pytest.mark.parametrize(
    ("status", "code", "wanted"),
    [
        (400, "VALIDATION_ERROR", Rejected),
        (401, "AUTHENTICATION_ERROR", Rejected),
        (401, "OAUTH_AUTHENTICATION_ERROR", Rejected),
        (403, "ACCESS_DENIED", Rejected),
        (404, "DOES_NOT_EXIST", Rejected),
        (408, "REQUEST_TIMEOUT", Unknown),
        (409, "CONFLICT_STATE", Rejected),
        (409, "INCORRECT_RECIPIENTS", NoRecipients),
        (413, "PAYLOAD_TOO_LARGE", Rejected),
        (415, "UNSUPPORTED_MEDIA_TYPE", Rejected),
        (429, "TOO_MANY_REQUESTS", Busy),
        (500, "INTERNAL_ERROR", Unknown),
        (503, "REMOTE_SERVICE_UNAVAILABLE", Unknown),
        (504, "GATEWAY_TIMEOUT", Unknown),
    ],
)
def test_each_error_of_the_table_means_what_the_table_says(
    status: int, code: str, wanted: type[Outcome]
) -> None:
    answer = classify(status, error(code, "Why"), {})
    assert type(answer) is wanted
    assert not isinstance(answer, (Sent, NotConnected))
    assert answer.detail == f"HTTP {status} {code}".strip() + ": Why"
    if isinstance(answer, Rejected):
        assert (answer.status, answer.code) == (status, code)
        assert bool(reason_to_stop(answer)) == (status in (401, 403))


def test_a_gateway_s_page_is_unknown_and_not_quoted() -> None:
    answer = classify(502, b"<html><h1>502 Bad Gateway</h1></html>", {})
    assert answer == Unknown("HTTP 502, with an answer that is not Toloka's")


def test_a_redirect_was_not_followed_and_sent_nothing() -> None:
    answer = classify(302, b"", {"Location": "https://elsewhere.example"})
    detail = "HTTP 302, with an answer that is not Toloka's"
    assert answer == Rejected(status=302, code=None, detail=detail, is_foreign=True)


def test_a_validation_error_names_its_fields() -> None:
    payload = {
        "text.EN": {"code": "INVALID_VALUE", "message": "too long"},
        "recipients_ids.3": {"code": "NOT_FOUND"},
        "interval": "MIN",
    }
    answer = classify(400, error("VALIDATION_ERROR", "Wrong", payload), {})
    assert isinstance(answer, Rejected)
    assert answer.fields["text.EN"] == "too long"
    assert set(answer.fields) == {"text.EN", "recipients_ids.3"}
    assert answer.detail.startswith("HTTP 400 VALIDATION_ERROR: Wrong; text.EN: too long; ")


@pytest.mark.parametrize(
    ("payload", "headers", "interval", "seconds"),
    [
        (None, {}, "", None),
        ({"interval": "MIN"}, {"Retry-After": "7"}, "MIN", 7.0),
        ({"interval": "HOUR"}, {}, "HOUR", None),
        ({"interval": "DAY"}, {"Retry-After": "soon"}, "DAY", None),
        ({"interval": "WEEK"}, {"Retry-After": "-5"}, "", None),
        ({"interval": ["DAY"]}, {"Retry-After": "9" * 40}, "", None),
        ("DAY", {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, "", None),
        (None, {"Retry-After": ""}, "", None),
        (None, {"Retry-After": "\u00b2"}, "", None),
        (None, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 +99999999999999999999"}, "", None),
        (None, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 -0000"}, "", None),
    ],
)
def test_a_429_says_when_to_come_back(
    payload: object, headers: dict[str, str], interval: str, seconds: float | None
) -> None:
    answer = classify(429, error("TOO_MANY_REQUESTS", "Slow", payload), headers)
    assert isinstance(answer, Busy)
    assert (answer.interval, answer.retry_after_s) == (interval, seconds)


@pytest.mark.parametrize(
    ("date", "seconds"),
    [("Sun, 22 Nov 2026 21:00:00 GMT", 90.0), ("Mon, 23 Nov 2026 21:00:00 GMT", 0.0), (None, None)],
)
def test_a_429_may_name_a_date_which_goes_by_the_server_s_own(
    date: str | None, seconds: float | None
) -> None:
    headers = {"Retry-After": "Sun, 22 Nov 2026 21:01:30 GMT", **({"Date": date} if date else {})}
    answer = classify(429, b"", headers)
    assert isinstance(answer, Busy)
    assert answer.retry_after_s == seconds


@pytest.mark.parametrize("form", ["Sunday, 22-Nov-26 21:01:30 GMT", "Sun Nov 22 21:01:30 2026"])
def test_a_date_may_have_an_older_form(form: str) -> None:
    headers = {"Retry-After": form, "Date": "Sun, 22 Nov 2026 21:00:00 GMT"}
    answer = classify(429, b"", headers)
    assert isinstance(answer, Busy)
    assert answer.retry_after_s == 90.0


def test_words_from_outside_become_one_bounded_line() -> None:
    said = plain("a\x1b[2J\n::error::\u202e\u2028  b" + "x" * 5000)
    assert said.isprintable()
    assert said.startswith("a [2J ::error:: b")
    assert len(said) <= 500
    answer = classify(400, error("C\n::x", "m\x1b", {"f\n": {"message": "w\r\n::y"}}), {})
    assert isinstance(answer, Rejected)
    said = f"{answer.code}{answer.detail}{answer.fields}"
    assert said.isprintable()


# fmt: off
NAMES = [
    "id", "code", "message", "payload", "interval", "topic", "messages", "text",
    "from", "interlocutors", "myself", "compose_details", "recipients_ids", "folders", "created",
]
# fmt: on
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=12,
)
BODIES = st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode())


@given(
    st.integers(100, 599),
    BODIES,
    st.dictionaries(st.sampled_from(["Retry-After", "Date"]), st.text(max_size=30)),
)
def test_every_answer_has_a_meaning_and_only_a_thread_id_is_sent(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    answer = classify(status, body, headers)
    assert type(answer) in {Sent, Rejected, NoRecipients, Busy, Unknown}
    assert isinstance(answer, Sent) <= (
        200 <= status < 300 and thread_of(json_of(body)) is not None
    )
    if status >= 500 or status == 408:
        assert isinstance(answer, Unknown)
    if isinstance(answer, (Rejected, NoRecipients, Busy)):
        assert 300 <= status < 500
    if not isinstance(answer, Sent):
        assert answer.detail.isprintable()
        assert len(answer.detail) <= 500


@pytest.mark.parametrize(
    ("role", "who"), [("USER", {"x"}), ("ADMINISTRATOR", None), ("SYSTEM", None)]
)
def test_what_toloka_itself_writes_is_no_tolokers_answer(role: str, who: set[str] | None) -> None:
    post = {
        "text": {"EN": "Hello"},
        "from": {"id": "x", "role": role},
        "created": "2026-11-22T21:00",
    }
    thread = thread_of({"id": "63c15866757a4a1adad1d632", "messages": [post]})
    assert thread is not None
    assert answered_threads([thread.id], [thread])[thread.id].get(thread.id) == who
