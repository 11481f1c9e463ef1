"""The client against an emulator, and against servers that say what no Toloka would."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import StartEmulator, StartScripted
from scripted import Raw, Request, answer
from support import TOKEN, TOLOKER, calls, control, threads

from runner import __version__
from runner.emulator import Emulator
from runner.errors import ListError, SurroundingsError
from runner.model import (
    Busy,
    Delivery,
    Direct,
    Everyone,
    Filtered,
    InThread,
    Message,
    NotConnected,
    Outcome,
    Recipients,
    Rejected,
    Sent,
    Unknown,
)
from runner.toloka.client import Client, payload_of
from runner.toloka.listing import LIST_LIMIT
from runner.toloka.pace import Pace

THREAD = {"id": "63c15866757a4a1adad1d632"}
TREE = {"and": [{"category": "skill", "key": "224", "operator": "GTE", "value": 80}]}


def message(recipients: Recipients | None = None) -> Message:
    return Message(
        id="thank-you",
        revision=1,
        source="messages/thank-you.yaml",
        topic={"EN": "Thank you!"},
        text={"EN": "Amazing job! We have just trained our first model."},
        answerable=False,
        recipients=recipients or Direct((TOLOKER,)),
        digest="sha256:x",
    )


def delivery(recipients: Recipients | None = None) -> Delivery:
    one = message(recipients)
    return Delivery(message=one, recipients=one.recipients)


def deliver(url: str, token: str = TOKEN, timeout_s: float = 5) -> Outcome:
    client = Client(url, token, timeout_s=timeout_s)
    try:
        return client.deliver(delivery())
    finally:
        client.close()


# --- what is sent ---------------------------------------------------------------------------------


def test_the_payload_is_that_of_the_recipe_field_for_field(emulator: Emulator) -> None:
    answer = deliver(emulator.url)
    assert isinstance(answer, Sent)
    (call,) = calls(emulator)
    assert (call["method"], call["path"], call["status"]) == (
        "POST",
        "/api/v1/message-threads/compose",
        201,
    )
    # The arguments of the recipe's compose_message_thread(), and nothing else.
    assert call["body"] == {
        "recipients_select_type": "DIRECT",
        "recipients_ids": ["1ad097faba0eff85a04fe30bc04d53db"],
        "topic": {"EN": "Thank you!"},
        "text": {"EN": "Amazing job! We have just trained our first model."},
        "answerable": False,
    }
    (thread,) = threads(emulator)
    assert (thread["id"], thread["topic"]) == (answer.thread.id, {"EN": "Thank you!"})


@pytest.mark.parametrize(
    ("recipients", "own"),
    [
        (Everyone(), {}),
        (Filtered(TREE), {"recipients_filter": TREE}),
        (Direct(("a", "b")), {"recipients_ids": ["a", "b"]}),
    ],
    ids=["ALL", "FILTER", "DIRECT"],
)
def test_each_select_type_has_its_own_fields_only(
    recipients: Recipients, own: dict[str, object]
) -> None:
    payload = payload_of(message(recipients), recipients)
    common = {"recipients_select_type", "topic", "text", "answerable"}
    assert {key: payload[key] for key in set(payload) - common} == own


def test_every_select_type_and_a_reply_are_taken(emulator: Emulator) -> None:
    client = Client(emulator.url, TOKEN, timeout_s=5)
    thread_id = ""
    recipients: Recipients
    for recipients in (Everyone(), Filtered(TREE), Direct((TOLOKER,))):
        found = client.deliver(delivery(recipients))
        assert isinstance(found, Sent)
        assert found.thread.select_type == recipients.select_type
        assert found.thread.account == emulator.account
        thread_id = found.thread.id
    reply = client.deliver(delivery(InThread(thread_id)))
    assert isinstance(reply, Sent)
    assert reply.thread.id == thread_id
    assert reply.created == reply.thread.posts[-1].created
    assert len(reply.thread.posts) == 2
    moved = client.add_to_folders(thread_id, ["IMPORTANT"])
    assert isinstance(moved, Sent)
    assert "IMPORTANT" in moved.thread.folders
    client.close()
    client.close()


@pytest.mark.parametrize(
    ("token", "scheme"),
    [
        ("y0_AgAAAABoauth", "OAuth"),
        ("a" * 22 + ".b.c", "ApiKey"),
        ("a" * 24 + "..", "ApiKey"),
        ("a" * 21 + ".b.c", "OAuth"),
        ("a" * 25 + ".b.c", "OAuth"),
        ("a" * 23 + ".b", "OAuth"),
        ("a" * 23 + ".b.c.d", "OAuth"),
        ("a.b.c", "OAuth"),
    ],
)
def test_the_scheme_follows_the_shape_of_the_token(
    token: str, scheme: str, start_scripted: StartScripted
) -> None:
    server = start_scripted([answer(201, THREAD)])
    assert isinstance(deliver(server.url, token), Sent)
    (request,) = server.requests
    assert request.headers["Authorization"] == f"{scheme} {token}"


def test_every_header_is_what_toloka_wants(start_scripted: StartScripted) -> None:
    server = start_scripted([answer(201, THREAD)])
    client = Client(server.url, TOKEN, timeout_s=5, account_id="shared-7")
    client.deliver(delivery())
    client.close()
    deliver(server.url)
    shared, own = server.requests
    assert shared.headers["X-Act-Under-Account-ID"] == "shared-7"
    assert "X-Act-Under-Account-ID" not in own.headers
    assert own.headers["User-Agent"] == f"message-runner/{__version__}"
    assert own.headers["Content-Type"] == "application/json"
    assert own.headers["Accept"] == "application/json"
    assert json.loads(own.body)["topic"] == {"EN": "Thank you!"}


def test_text_leaves_as_utf_8(emulator: Emulator) -> None:
    client = Client(emulator.url, TOKEN, timeout_s=5)
    text = 'Спасибо 👋 \u2028 "\\\n'
    one = Message(
        **{
            **{name: getattr(message(), name) for name in Message.__dataclass_fields__},
            "text": {"RU": text},
            "topic": {"RU": text},
        }
    )
    found = client.deliver(Delivery(message=one, recipients=one.recipients))
    client.close()
    assert isinstance(found, Sent)
    assert found.thread.text == {"RU": text}
    assert threads(emulator)[0]["messages"][0]["text"] == {"RU": text}


def test_one_connection_serves_many_calls(emulator: Emulator) -> None:
    client = Client(emulator.url, TOKEN, timeout_s=5)
    for _ in range(20):
        assert isinstance(client.deliver(delivery()), Sent)
    assert len(list(client.threads({}))) == 20
    client.close()
    stats = control(emulator, "stats")
    assert (stats["calls"], stats["connections"]) == ({"compose": 20, "list": 1}, 1)


NETRC = """
import sys
from runner.toloka.client import Client
from runner.model import Delivery, Direct, Message
whom = Direct(("a",))
message = Message(id="m", revision=1, source="m", topic={"EN": "x"}, text={"EN": "x"}, answerable=True, recipients=whom, digest="")
client = Client(sys.argv[1], sys.argv[2], timeout_s=5)
print(type(client.deliver(Delivery(message=message, recipients=whom))).__name__)
print(len(list(client.threads({}))))
"""


def test_a_netrc_does_not_replace_the_token(start_scripted: StartScripted, tmp_path: Path) -> None:
    def serve(request: Request) -> Raw:
        return (
            answer(201, THREAD)
            if request.method == "POST"
            else answer(200, {"items": [], "has_more": False})
        )

    server = start_scripted(serve)
    for name in (".netrc", "_netrc"):
        (tmp_path / name).write_text(
            "machine 127.0.0.1 login eve password hunter2\ndefault login eve password hunter2\n"
        )
        (tmp_path / name).chmod(0o600)
    done = subprocess.run(
        [sys.executable, "-c", NETRC, server.url, TOKEN],
        env={
            **os.environ,
            "HOME": str(tmp_path),
            "USERPROFILE": str(tmp_path),
            "NETRC": str(tmp_path / ".netrc"),
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.split() == ["Sent", "0"]
    assert [each.headers["Authorization"] for each in server.requests] == [f"OAuth {TOKEN}"] * 2


# --- what comes back ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_carries_the_token_nowhere(
    status: int, start_scripted: StartScripted
) -> None:
    other = start_scripted([answer(201, THREAD)])
    here = start_scripted(
        [answer(status, b"", {"Location": f"{other.url}/api/v1/message-threads"})]
    )
    found = deliver(here.url)
    assert isinstance(found, Rejected)
    assert found.status == status
    assert len(here.requests) == 1
    assert other.requests == []


def test_a_redirected_list_is_not_followed(start_scripted: StartScripted) -> None:
    other = start_scripted([answer(200, {"items": [], "has_more": False})])
    here = start_scripted([answer(302, b"", {"Location": f"{other.url}/api/v1/message-threads"})])
    client = Client(here.url, TOKEN, timeout_s=5)
    with pytest.raises(SurroundingsError):
        list(client.threads({}))
    client.close()
    assert other.requests == []


FAULTS: list[tuple[str, type[Outcome], int]] = [
    ("400", Rejected, 0),
    ("401", Rejected, 0),
    ("403", Rejected, 0),
    ("404", Rejected, 0),
    ("408", Unknown, 0),
    ("409", Rejected, 0),
    ("413", Rejected, 0),
    ("415", Rejected, 0),
    ("429", Busy, 0),
    ("500", Unknown, 0),
    ("502-html", Unknown, 0),
    ("503", Unknown, 0),
    ("504", Unknown, 0),
    ("redirect", Rejected, 0),
    ("reset", Unknown, 0),
    ("accepted-then-408", Unknown, 1),
    ("accepted-then-500", Unknown, 1),
    ("accepted-then-502-html", Unknown, 1),
    ("accepted-then-503", Unknown, 1),
    ("accepted-then-504", Unknown, 1),
    ("accepted-then-empty", Unknown, 1),
    ("accepted-then-no-id", Unknown, 1),
    ("accepted-then-not-json", Unknown, 1),
    ("accepted-then-reset", Unknown, 1),
    ("accepted-then-truncated", Unknown, 1),
]


def test_every_fault_is_one_call_and_never_called_sent(emulator: Emulator) -> None:
    for kind, wanted, made in FAULTS:
        control(emulator, "faults", {"faults": [f"kind={kind}"]})
        before = len(threads(emulator)), len(calls(emulator))
        found = deliver(emulator.url)
        assert type(found) is wanted, (kind, found)
        after = len(threads(emulator)), len(calls(emulator))
        assert after == (before[0] + made, before[1] + 1), kind


def test_a_timeout_is_unknown_whether_or_not_it_was_accepted(start_emulator: StartEmulator) -> None:
    emulator = start_emulator()
    for kind, made in (("timeout", 0), ("accepted-then-timeout", 1), ("slow", 2)):
        control(emulator, "faults", {"faults": [f"kind={kind},seconds=3"]})
        started = time.monotonic()
        found = deliver(emulator.url, timeout_s=0.3)
        assert isinstance(found, Unknown), kind
        assert time.monotonic() - started < 2
        assert len(threads(emulator)) == made


def test_a_connection_that_was_never_made_is_not_connected() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        # Bound and not listening: the system refuses, and nobody else can take the port.
        found = deliver(f"http://127.0.0.1:{closed.getsockname()[1]}")
    assert isinstance(found, NotConnected)
    assert "Connection" in found.detail
    found = deliver("http://name.invalid")
    assert isinstance(found, NotConnected)


def test_a_server_without_tls_is_not_connected_or_unknown_but_never_sent(
    start_scripted: StartScripted,
) -> None:
    server = start_scripted([answer(201, THREAD)])
    found = deliver(server.url.replace("http://", "https://"))
    assert isinstance(found, (NotConnected, Unknown))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 201",
        b'HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{"id": "63c1',
        b"HTTP/1.1 201 Created\r\nContent-Length: -1\r\n\r\n{}",
        b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        b'HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"id',
        b"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 201 Created\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        answer(201, "<html>Created</html>", {"Content-Type": "text/html"}),
        answer(200, ["63c15866757a4a1adad1d632"]),
        answer(201, {"id": "63c15866757a4a1adad1d632\r\nX"}),
        answer(204),
        answer(599, {"code": 5, "message": [], "payload": "x"}),
        answer(500, THREAD, {"Date": "Thu, 01 Jan 1970 00:00:00 +99999999999999999999"}),
    ],
)
def test_an_answer_that_says_nothing_is_unknown(raw: bytes, start_scripted: StartScripted) -> None:
    server = start_scripted([raw])
    assert isinstance(deliver(server.url), Unknown)
    assert len(server.requests) == 1


def test_a_gigantic_answer_is_not_kept(start_scripted: StartScripted) -> None:
    sent_bytes = 0

    def endless(_: Request) -> Iterator[bytes]:
        nonlocal sent_bytes
        yield (
            b"HTTP/1.1 201 Created\r\nConnection: close\r\n\r\n"
            + b'{"id": "63c15866757a4a1adad1d632", "x": "'
        )
        while not server.over.is_set():
            sent_bytes += 1024 * 64
            yield b"x" * 1024 * 64

    server = start_scripted(endless)
    found = deliver(server.url)
    assert isinstance(found, Unknown)
    assert "too long" in found.detail
    assert sent_bytes < 32 * 1024 * 1024


def test_an_answer_that_drips_takes_a_bounded_time(start_scripted: StartScripted) -> None:
    def drip(_: Request) -> Iterator[bytes]:
        yield b"HTTP/1.1 201 Created\r\nConnection: close\r\n\r\n"
        # Each byte comes within the timeout, and all of them would take a minute.
        while not server.over.wait(0.1):
            yield b" "

    server = start_scripted(drip)
    started = time.monotonic()
    found = deliver(server.url, timeout_s=0.5)
    assert isinstance(found, Unknown)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("status", [201, 400, 403, 409, 429, 500])
def test_a_token_that_a_server_echoes_is_masked(status: int, start_scripted: StartScripted) -> None:
    def echo(request: Request) -> Raw:
        said = request.headers["Authorization"]
        body = {"code": said, "message": f"no: {said}", "payload": {said: {"message": said}}}
        return answer(status, body)

    server = start_scripted(echo)
    found = deliver(server.url)
    assert TOKEN not in repr(found)
    assert status == 201 or "***" in repr(found)


def test_a_broken_answer_that_echoes_the_token_is_masked(start_scripted: StartScripted) -> None:
    broken = start_scripted(
        lambda request: b"HTTP/1.1 " + request.headers["Authorization"].encode() + b"\r\n\r\n"
    )
    assert TOKEN not in repr(deliver(broken.url))
    client = Client(broken.url, TOKEN, timeout_s=5)
    with pytest.raises(ListError) as caught:
        list(client.threads({}))
    assert TOKEN not in str(caught.value)
    assert TOKEN not in repr(vars(client))
    client.close()


# --- the list -------------------------------------------------------------------------------------


def test_the_list_is_read_page_after_page(start_scripted: StartScripted) -> None:
    pages = [
        {"items": [{"id": f"{page}{number:03}"} for number in range(3)], "has_more": page < 2}
        for page in range(3)
    ]
    server = start_scripted([answer(200, page) for page in pages])
    client = Client(server.url, TOKEN, timeout_s=5)
    found = [thread.id for thread in client.threads({"created_gte": "2026-11-22T00:00:00"})]
    client.close()
    assert found == [f"{page}{number:03}" for page in range(3) for number in range(3)]
    queries = [request.path.partition("?")[2] for request in server.requests]
    assert queries[0] == f"created_gte=2026-11-22T00%3A00%3A00&sort=id&limit={LIST_LIMIT}"
    assert [query.partition("id_gt=")[2].partition("&")[0] for query in queries] == [
        "",
        "0002",
        "1002",
    ]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (answer(500, {"code": "INTERNAL_ERROR"}), "HTTP 500 where a list of threads was asked for"),
        (answer(200, "{"), "HTTP 200 where a list of threads was asked for"),
        (answer(200, {"items": 5}), "the list of threads holds no items"),
        (
            answer(200, {"items": [], "has_more": True}),
            "the list of threads does not go on after a page",
        ),
        (
            answer(200, {"items": [{"id": "a"}], "has_more": True}),
            "the list of threads does not go on after a page",
        ),
    ],
)
def test_a_list_that_cannot_be_had_is_said(
    raw: bytes, said: str, start_scripted: StartScripted
) -> None:
    server = start_scripted([raw])
    client = Client(server.url, TOKEN, timeout_s=5)
    with pytest.raises(ListError) as caught:
        list(client.threads({}))
    client.close()
    assert str(caught.value) == said
    # Reading is safe to repeat, and it is not repeated for ever.
    assert 1 <= len(server.requests) <= 3


class Patient(Pace):
    """Waits in no time, and knows how long it would have been."""

    def __init__(self) -> None:
        super().__init__(285)
        self.pauses: list[float] = []

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


def test_a_busy_list_is_waited_for_as_long_as_it_says(start_scripted: StartScripted) -> None:
    busy = answer(429, {"code": "TOO_MANY_REQUESTS"}, {"Retry-After": "40"})
    long = answer(429, {"code": "TOO_MANY_REQUESTS", "payload": {"interval": "DAY"}})
    server = start_scripted([*[busy] * 5, answer(200, {"items": [], "has_more": False}), long])
    pace = Patient()
    client = Client(server.url, TOKEN, timeout_s=5, pace=pace)
    assert list(client.threads({})) == []
    assert pace.pauses == [40.0] * 5
    with pytest.raises(ListError, match="HTTP 429 TOO_MANY_REQUESTS"):
        list(client.threads({}))
    client.close()
    assert len(server.requests) == 7


LISTS_THAT_STAY = [
    (
        answer(403, {"code": "ACCESS_DENIED", "message": TOKEN}),
        "Toloka refused the token (HTTP 403, ACCESS_DENIED)",
    ),
    (
        answer(401, {"code": "AUTHENTICATION_ERROR"}),
        "Toloka refused the token (HTTP 401, AUTHENTICATION_ERROR)",
    ),
    *(
        (answer(status, page), f"HTTP {status}, with an answer that is not Toloka's: correct the")
        for status, page in [
            (403, "<h1>Blocked"),
            (404, ""),
            (405, '{"message": "no"}'),
            (410, "Gone"),
        ]
    ),
    (answer(301), "HTTP 301, a redirect, which is not followed: correct the target's URL"),
    (answer(400, {"code": "VALIDATION_ERROR"}), "Toloka does not take the question for its list"),
    (answer(404, {"code": "DOES_NOT_EXIST"}), "the target's URL is not that of Toloka's API: HTTP"),
    (answer(200, "\ufeff<html>Sign in"), "HTTP 200 with a page, and not with a list of threads"),
    (answer(200, {"version": 7}), "HTTP 200 with a page, and not with a list of threads"),
]


@pytest.mark.parametrize(("raw", "said"), LISTS_THAT_STAY)
def test_a_list_that_stays_away_stops_the_run_and_names_what_to_change(
    raw: bytes, said: str, start_scripted: StartScripted
) -> None:
    server = start_scripted([raw])
    client = Client(server.url, TOKEN, timeout_s=5)
    with pytest.raises(SurroundingsError) as caught:
        list(client.threads({}))
    client.close()
    assert str(caught.value).startswith(said)
    assert len(server.requests) == 1


def test_the_server_s_clock_is_known_after_an_answer(start_scripted: StartScripted) -> None:
    ahead = {"Date": "Wed, 01 Jan 2300 00:00:00 GMT"}
    server = start_scripted(
        [answer(201, THREAD, ahead), answer(201, THREAD, {"Date": "yesterday"})]
    )
    client = Client(server.url, TOKEN, timeout_s=5)
    assert client.server_ahead_s == 0
    client.deliver(delivery())
    first = client.server_ahead_s
    assert first > 365 * 86400 * 100
    client.deliver(delivery())
    assert client.server_ahead_s == first
    client.close()


def test_the_pace_is_asked_before_each_request(emulator: Emulator) -> None:
    seen = []

    class Seeing(Pace):
        def __call__(self) -> None:
            seen.append(len(calls(emulator)))

    client = Client(emulator.url, TOKEN, timeout_s=5, pace=Seeing(1))
    client.deliver(delivery())
    client.deliver(delivery())
    list(client.threads({}))
    client.close()
    assert seen == [0, 1, 2]
