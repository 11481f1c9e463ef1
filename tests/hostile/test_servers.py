"""Servers that mean harm, or are broken as badly: each answer is bounded, and said for what it is.

The command runs as a process against a real socket, and what it took is measured.
"""

from __future__ import annotations

import gzip
import itertools
import json
import re
import shutil
import socket
import ssl
import threading
import time
import zlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from conftest import StartScripted
from scripted import Raw, Request, Scripted, answer
from support import IS_THOROUGH, THANKS, TOKEN, TOLOKER, Project, Result, direct, one_in

from runner.errors import ListError
from runner.model import Delivery, Direct, Message, Rejected, Unknown
from runner.toloka.client import Client
from runner.toloka.responses import thread_of

from .limited import Cost, check_cheap, run_limited

pytestmark = pytest.mark.skipif("os.name == 'nt'", reason="limits are those of POSIX")

MIB = 1024 * 1024
HEAD = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
THREAD_ID = "63c15866757a4a1adad1d632"
BOMB_START = b" " * MIB

Serve = Callable[[Request], Raw]


class Toloka:
    """Keeps what it is sent and lists it, unless it was told what to say instead."""

    def __init__(self) -> None:
        self.threads: list[dict[str, Any]] = []
        self.says: Mapping[str, Raw | Serve] = {}
        """What to answer to a compose, by its topic; nothing is made then."""
        self.list_says: Raw | Serve | None = None
        self.breaks_list = False
        """Whether no list can be had any more once something has been posted."""
        self.posts: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Raw:
        if request.method == "GET":
            if self.breaks_list and self.posts:
                return answer(408, {"code": "GONE", "message": "no list"})
            page = {"items": self.threads, "has_more": False}
            return _said(self.list_says, request) or answer(200, page)
        form = json.loads(request.body)
        topic = form["topic"]["EN"]
        with self._lock:
            self.posts.append(topic)
            said = _said(self.says.get(topic), request)
            if said is not None:
                return said
            self.threads.append(thread(form, f"{len(self.threads) + 1:024x}"))
            return answer(201, self.threads[-1])


def _said(says: Raw | Serve | None, request: Request) -> Raw | None:
    return says(request) if callable(says) else says


def thread(form: Mapping[str, Any], thread_id: str = THREAD_ID, **more: object) -> dict[str, Any]:
    """The thread that a good server would make of a form."""
    names = ("recipients_select_type", "recipients_ids")
    return {
        "id": thread_id,
        "topic": form["topic"],
        "interlocutors": [{"id": "me", "role": "REQUESTER", "myself": True}],
        "messages": [{"text": form["text"], "from": {"id": "me", "myself": True}, "created": NOW}],
        "compose_details": {name: form[name] for name in names},
        "answerable": form["answerable"],
        "folders": ["OUTBOX"],
        "created": NOW,
        **more,
    }


def delivery(topic: str, text: str) -> Delivery:
    """A message to one Toloker, without its file."""
    message = Message(
        id="m",
        revision=1,
        source="m",
        topic={"EN": topic},
        text={"EN": text},
        answerable=True,
        recipients=Direct((TOLOKER,)),
        digest="",
    )
    return Delivery(message=message, recipients=message.recipients)


NOW = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 1))


GOOD = [f"good {number}" for number in range(99)]


def endless(first: bytes, piece: bytes, pause_s: float = 0.0) -> Serve:
    """Say something first, and then the same on and on, for as long as anybody listens."""

    def serve(_: Request) -> Iterator[bytes]:
        until = time.monotonic() + 30
        yield first
        while time.monotonic() < until:
            yield piece
            time.sleep(pause_s)

    return serve


def drip(text: bytes) -> Serve:
    """Say it byte by byte: each of them comes in time, and all of them take half a minute."""

    def serve(_: Request) -> Iterator[bytes]:
        for number in itertools.count():
            yield text[number : number + 1] or b" "
            time.sleep(0.1)
            if number > 300:
                return

    return serve


def packed(how: str, status: int = 201, headers: Mapping[str, str] | None = None) -> Serve:
    """Say little that unpacks to a quarter of a gibibyte."""

    def serve(_: Request) -> bytes:
        body = bomb()
        body = zlib.compress(BOMB_START) if how == "deflate" else body
        return answer(status, body, {"Content-Encoding": how, **(headers or {})})

    return serve


@cache
def bomb() -> bytes:
    """256 MiB of spaces, as gzip: its members may stand one after the other."""
    return gzip.compress(BOMB_START) * 256


def says(body: bytes | str | object, status: int = 201) -> bytes:
    return answer(status, body)


SLOW: dict[str, Raw | Serve] = {
    "the status line drips": drip(b"HTTP/1.1 201 " + b"Created " * 99),
    "the headers drip": drip(HEAD + b"X-Long: " + b"y" * 999),
    "headers without end, slowly": endless(HEAD, b"X: y\r\n", 0.1),
    "the body drips": endless(HEAD + b"\r\n", b" ", 0.1),
    "a body of promised length drips": endless(HEAD + b"Content-Length: 99999\r\n\r\n", b" ", 0.1),
    "the chunks drip": endless(CHUNKED, b"1\r\n \r\n", 0.1),
    "the size of a chunk drips": endless(CHUNKED, b"0", 0.1),
    "the trailers drip": endless(CHUNKED + b"0\r\n", b"X: y\r\n", 0.1),
    "100 Continue, slowly, for ever": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.1),
    "100 Continue and no more": endless(b"HTTP/1.1 100 Continue\r\n\r\n", b"", 0.1),
    "nothing": endless(b"", b"", 0.1),
}
BIG: dict[str, Raw | Serve] = {
    "a body without end": endless(HEAD + b'\r\n{"id": "', b"x" * 65536),
    "headers without end": endless(HEAD, b"X: y\r\n" * 4096),
    "one header without end": endless(HEAD + b"X: ", b"y" * 65536),
    "a status line without end": endless(b"HTTP/1.1 201 ", b"y" * 65536),
    "100 Continue for ever": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2048),
    "100 Continue with headers for ever": endless(
        b"", b"HTTP/1.1 100 Continue\r\n" + b"X: y\r\n" * 90 + b"\r\n"
    ),
    "chunks without end": endless(CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    "trailers without end": endless(CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: y\r\n" * 4096),
    "an extension of a chunk without end": endless(CHUNKED + b"1;", b"x" * 65536),
    "a chunk of 2**60": CHUNKED + b"1000000000000000\r\n{}",
    "a length of 10**18": HEAD + b"Content-Length: 1000000000000000000\r\n\r\n{}",
    "gzip": packed("gzip"),
    "deflate": packed("deflate"),
    "br": packed("br"),
}
BROKEN: dict[str, Raw | Serve] = {
    "a chunk without a size": CHUNKED + b"zz\r\n{}",
    "a chunk of less than nothing": CHUNKED + b"-5\r\n{}",
    "a length that is none": HEAD + b"Content-Length: -1\r\n\r\n{}",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "more is promised than comes": HEAD + b'Content-Length: 900\r\n\r\n{"id": "63c1',
    "no more is promised than half": HEAD + b'Content-Length: 9\r\n\r\n{"id": "63c15866"}',
    "closed in the middle of the head": HEAD,
    "an answer to nobody": b"\x00" * 999,
    "a status that is none": b"HTTP/1.1 20x Fine\r\n\r\n",
    "HTML": answer(201, "<html>Created</html>", {"Content-Type": "text/html"}),
    "a switch of protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "nothing at all": answer(204),
    "not UTF-8": says(b'{"id": "\xff\xfe"}'),
    "UTF-16": says('{"id": "63c15866757a4a1adad1d632"}'.encode("utf-16")),
    "half a document": says(b'{"id": "63c15866757a4a1adad1d632", "topic": {'),
}
JSONS: dict[str, Raw | Serve] = {
    "deep": says(b"[" * 300_000),
    "deep and whole": says(b'{"id":' * 50_000 + b"1" + b"}" * 50_000),
    "a million values": says(b'{"id":"63c15866757a4a1adad1d632","x":[' + b"[]," * 300_000 + b"0]}"),
    "a number of 900,000 digits": says(b'{"id": ' + b"9" * 900_000 + b"}"),
    "a number of 4,000 digits": says(
        b'{"id": "63c15866757a4a1adad1d632", "x": ' + b"9" * 4_000 + b"}"
    ),
    "NaN": says(b'{"id": "63c15866757a4a1adad1d632", "x": NaN}'),
    "Infinity": says(b'{"id": "63c15866757a4a1adad1d632", "x": -Infinity}'),
    "more than a number holds": says(b'{"id": "63c15866757a4a1adad1d632", "x": 1e999}'),
    "a list": says([{"id": THREAD_ID}]),
    "text": says(json.dumps(THREAD_ID)),
    "null": says(b"null"),
    "an error with 201": says({"code": "X", "message": "no", "payload": {"id": THREAD_ID}}),
    "the last of two ids": says(f'{{"id": "{THREAD_ID}", "id": 5}}'),
}
BAD_IDS: tuple[object, ...] = (
    *("../../x", "..", ".", "a/b", "a\\b", "a\nb", "a\r\nX: y", "%2f", "a%2fb", "a b", "a\x00"),
    *("", "x" * 129, "\ud800", "\u202ex", "::warning::x", 5, 1.5, True, None, [], {"id": "a"}),
)
IDS: dict[str, Raw | Serve] = {f"the id {bad!r:.30}": says({"id": bad}) for bad in BAD_IDS}


@pytest.fixture
def toloka() -> Toloka:
    return Toloka()


@pytest.fixture
def server(toloka: Toloka, start_scripted: StartScripted) -> Scripted:
    return start_scripted(toloka)


def write_messages(project: Project, names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        source = direct(f"toloker-{number:02}", topic=name)
        project.write(f"messages/m{number:02}.yaml", source)


def run(
    project: Project, command: str, url: str, *args: str, account: str = ""
) -> tuple[Result, Cost]:
    """Run a command with a token, quickly, and hold what holds whatever a server does."""
    where = (*command.split(), "--target", url, "--settle", "0", *args)
    environ = {"TOLOKA_TOKEN": TOKEN, "TOLOKA_ACT_UNDER_ACCOUNT_ID": account}
    shown, cost = run_limited(*where, cwd=project.root, env=environ)
    assert "Traceback" not in shown.err, shown.err
    assert TOKEN not in shown.out + shown.err
    assert max(map(len, [*shown.out.splitlines(), *shown.err.splitlines(), ""])) < 1_500
    return shown, cost


def send(project: Project, url: str, *args: str) -> tuple[Result, Cost]:
    shown, cost = run(project, "send", url, "--results", "results.json", *args)
    assert project.results()["exit_code"] == shown.code
    for path, content in project.files().items():
        assert TOKEN.encode() not in content, path
    return shown, cost


def statuses(project: Project) -> list[str]:
    """The status of each message, in their order."""
    found = {each["message"]: each["status"] for each in project.results()["deliveries"]}
    return [found[name] for name in sorted(found)]


# --- what a compose is answered -------------------------------------------------------------------


@pytest.mark.some(2)
@pytest.mark.parametrize(
    ("answers", "jobs", "timeout"),
    # What is big must end for its size, and what is slow for its time.
    [(SLOW, 16, 2), (BIG, 16, 20), ({**BROKEN, **JSONS, **IDS}, 1, 20)],
    ids=["slow", "big", "wrong"],
)
def test_an_answer_that_says_nothing_is_unknown_and_the_next_run_finishes(
    answers: Mapping[str, Raw | Serve],
    jobs: int,
    timeout: int,
    project: Project,
    toloka: Toloka,
    server: Scripted,
) -> None:
    # A good answer now and then, for twenty failures running would be an outage.
    answers = {name: answers[name] for name in one_in(2, answers)}
    names = [name for pair in zip(answers, GOOD, strict=False) for name in pair]
    write_messages(project, names)
    toloka.says, toloka.breaks_list = answers, True
    shown, cost = send(project, server.url, "--timeout", str(timeout), "--jobs", str(jobs))
    assert dict(zip(names, statuses(project), strict=True)) == {
        name: "unknown" if name in answers else "sent" for name in names
    }
    assert shown.code == 5
    check_cheap(cost)
    assert sorted(toloka.posts) == sorted(names)
    outcomes = [each["event"] for each in project.events(server)]  # type: ignore[arg-type]
    assert (outcomes.count("intent"), outcomes.count("sent")) == (len(names), len(names) // 2)
    toloka.says, toloka.breaks_list = {}, False
    shown, _ = send(project, server.url)
    assert shown.code == 0, shown.err
    assert sorted(each["topic"]["EN"] for each in toloka.threads) == sorted(names)


def test_a_redirect_is_refused_unread_and_nothing_goes_there(
    project: Project, toloka: Toloka, server: Scripted, start_scripted: StartScripted
) -> None:
    other = start_scripted([answer(201, {"id": THREAD_ID})])
    path = "/api/v1/message-threads/compose"
    said: dict[str, Raw | Serve] = {
        f"{status} to {where}": answer(status, b"", {"Location": where})
        for status in (301, 302, 303, 307, 308)
        for where in (other.url + path, path)
    }
    for where in ("http://[", "file:///etc/passwd", "//:@", ""):
        said[f"to {where}"] = answer(302, b"", {"Location": where})
    said["with a bomb"] = packed("gzip", 302, {"Location": other.url})
    moved = b"HTTP/1.1 302 Moved\r\nLocation: /x\r\n"
    cut: dict[str, Raw | Serve] = {
        "without end": endless(moved + b"\r\n", b"x" * 65536),
        "cut": moved[:9],
    }
    toloka.says = {**said, **cut}
    client = Client(server.url, TOKEN, timeout_s=2)
    for topic, wanted in {**dict.fromkeys(said, Rejected), **dict.fromkeys(cut, Unknown)}.items():
        found = client.deliver(delivery(topic, "x"))
        assert type(found) is wanted, (topic, found)
    client.close()
    # Every other call would be redirected alike.
    write_messages(project, [*said, "good"])
    shown, cost = send(project, server.url, "--timeout", "2", "--jobs", "1")
    check_cheap(cost)
    assert shown.code == 2
    assert "a redirect, which is not followed: correct the target's URL" in shown.err
    assert set(statuses(project)) == {"not_tried"}
    assert other.requests == []
    assert toloka.posts[:-1] == [*said, *cut]


@pytest.mark.dear
def test_what_was_sent_is_sent_whatever_else_the_answer_says(
    project: Project, toloka: Toloka, server: Scripted
) -> None:
    deep: object = "x"
    for _ in range(400):
        deep = {"and": [deep]}
    details = {"recipients_select_type": "DIRECT"}
    strange: dict[str, dict[str, object]] = {
        "a deep filter": {"compose_details": {**details, "recipients_filter": deep}},
        "half a character": {
            "topic": {"EN": "\ud800"},
            "messages": [{"text": {"\udfff": "\udc00"}}],
        },
        "half a character in a filter": {
            "compose_details": {**details, "recipients_filter": {"\ud800": "x"}}
        },
        "an account of lines": {"interlocutors": [{"id": "a\n::warning::b", "myself": True}]},
        "ids of everything": {
            "compose_details": {"recipients_ids": [deep, 1, None, "\n", {}, 1.5]}
        },
        "a type that is none": {"compose_details": {"recipients_select_type": ["DIRECT"]}},
        "another type": {"compose_details": {"recipients_select_type": "\x1b[2J"}},
        "a time before time": {"created": "0001-01-01T00:00:00"},
        "a time after time": {"created": "9999-12-31T23:59:59.999"},
        "a time that is long": {"created": "2026-11-22T00:00:00." + "9" * 9999},
        "a time that is a list": {"created": [[]] * 999},
        "wrong types": dict.fromkeys(("topic", "messages", "interlocutors", "folders"), 5),
    }
    heads = {
        "a clock at the end": {"Date": "Fri, 31 Dec 9999 23:59:59 GMT"},
        "a clock at the beginning": {"Date": "Mon, 01 Jan 0001 00:00:00 GMT"},
        "a clock that is none": {"Date": "Mon, 99 Jan 99999999999999999999"},
        "cookies": {"Set-Cookie": "a=" + "x" * 9999},
    }
    names = [*strange, *heads, "good"]
    ids = {name: f"{number:024x}" for number, name in enumerate(names, 1)}

    def says(request: Request) -> bytes:
        topic = json.loads(request.body)["topic"]["EN"]
        body = {**thread(json.loads(request.body), ids[topic]), **strange.get(topic, {})}
        return answer(201, body, heads.get(topic))

    write_messages(project, names)
    toloka.says = dict.fromkeys(names, says)
    shown, cost = send(project, server.url, "--jobs", "1")
    check_cheap(cost)
    assert shown.code == 0, shown.err
    assert [each["thread_id"] for each in project.results()["deliveries"]] == list(ids.values())
    assert not any("Cookie" in request.headers for request in server.requests)
    # What was kept of it can be read, and nothing is sent again.
    shown, _ = run(project, "status", server.url, "--format", "json")
    assert shown.code == 0, shown.err
    toloka.threads = [
        json.loads(says(request).partition(b"\r\n\r\n")[2]) for request in posts(server)
    ]
    for command in ("send", "status --refresh", "replies --format csv"):
        shown, cost = run(project, command, server.url)
        assert shown.code == 0, shown.err
        assert all(line.isprintable() for line in shown.out.splitlines()), shown.out
        check_cheap(cost)
    assert len(toloka.posts) == len(names)


def test_nothing_is_kept_of_a_thread_that_could_not_be_written_or_compared() -> None:
    def filter_of(tree: object) -> object:
        found = thread_of({"id": THREAD_ID, "compose_details": {"recipients_filter": tree}})
        return found and found.recipients_filter

    def nested(depth: int) -> object:
        return {"and": [nested(depth - 1)]} if depth else {"category": "skill"}

    assert filter_of(nested(40)) == nested(40)
    for unsound in (nested(200), {"\ud800": 1}, {"and": [{"value": "\udfff"}]}):
        assert filter_of(unsound) is None
    for created in (
        "0001-01-01T00:00:00",
        "9999-12-31T23:59:59",
        "2026-11-22T00:00:00." + "9" * 99,
    ):
        found = thread_of({"id": THREAD_ID, "created": created})
        assert found is not None
        assert found.created == ""


@pytest.mark.dear
@pytest.mark.parametrize(
    "date", ["Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0101 00:00:00 GMT", "x"]
)
def test_a_clock_beyond_all_clocks_is_not_believed(
    date: str, project: Project, toloka: Toloka, server: Scripted
) -> None:
    toloka.list_says = answer(200, {"items": [], "has_more": False}, {"Date": date})
    write_messages(project, ["message"])
    shown, _ = send(project, server.url)
    assert shown.code == 0, shown.err
    for event in project.events(server):  # type: ignore[arg-type]
        assert event["at"][:4] == event.get("server_at", event["at"])[:4] == NOW[:4]


def posts(server: Scripted) -> list[Request]:
    return [request for request in server.requests if request.method == "POST"]


def test_a_thread_that_another_message_has_is_not_taken_for_ours(
    project: Project, toloka: Toloka, server: Scripted
) -> None:
    write_messages(project, ["first"])
    assert send(project, server.url)[0].code == 0
    write_messages(project, ["first", "second", "third", "fourth"])
    first = toloka.threads[0]["id"]
    other = answer(201, {"id": f"{9:024x}"})
    toloka.says = {"second": answer(201, {"id": first}), "third": other, "fourth": other}
    toloka.breaks_list = True
    toloka.posts.clear()
    shown, _ = send(project, server.url, "--jobs", "1")
    assert shown.code == 5, shown.err
    assert f"the answer names thread {first}, which is of another" in shown.err
    found = dict(zip(["first", "fourth", "second", "third"], statuses(project), strict=True))
    assert found["first"] == "already_sent"
    assert sorted(found.values()) == ["already_sent", "sent", "unknown", "unknown"]


@pytest.mark.dear
def test_many_big_answers_at_once_do_not_fill_the_memory(
    project: Project, toloka: Toloka, server: Scripted
) -> None:
    names = [f"message {number}" for number in range(64 if IS_THOROUGH else 24)]
    write_messages(project, names)
    big = says(b'{"x": [' + b'{"":0},' * 110_000 + b"0]}")
    toloka.says, toloka.breaks_list = dict.fromkeys(names, big), True
    shown, cost = send(project, server.url)
    assert shown.code == 5
    assert cost.peak_mib < 200
    assert toloka.threads == []


@pytest.mark.parametrize("retry_after", ["9" * 9, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_429_for_years_ends_the_run(
    retry_after: str, project: Project, toloka: Toloka, server: Scripted
) -> None:
    write_messages(project, ["message"])
    headers = {"Retry-After": retry_after, "Date": "Sun, 22 Nov 2026 21:00:00 GMT"}
    toloka.says = {"message": answer(429, {"code": "X"}, headers)}
    shown, cost = send(project, server.url)
    check_cheap(cost)
    assert shown.code == 75, shown.err
    assert statuses(project) == ["not_tried"]
    assert toloka.posts == ["message"]


@pytest.mark.dear
def test_a_429_with_nonsense_is_waited_for_as_one_without(
    project: Project, toloka: Toloka, server: Scripted
) -> None:
    nonsense = iter(["-5", "9" * 5_000])
    write_messages(project, ["message"])

    def says(_: Request) -> Raw | None:
        value = next(nonsense, None)
        return None if value is None else answer(429, b"", {"Retry-After": value})

    toloka.says = {"message": says}  # type: ignore[dict-item]
    shown, cost = send(project, server.url)
    check_cheap(cost)
    assert shown.code == 0, shown.err
    assert len(toloka.posts) == 3


# --- what the list is answered --------------------------------------------------------------------

PAGE_HEAD = b"HTTP/1.1 200 OK\r\n"


def rising(request: Request) -> bytes:
    """A page with one more thread than the last one, and there is always more."""
    found = re.search(r"id_gt=(\w+)", request.path)
    number = int(found[1], 16) + 1 if found else 1
    return answer(200, {"items": [{"id": f"{number:024x}"}], "has_more": True})


LISTS: dict[str, tuple[Raw | Serve, str]] = {
    "a list without end": (endless(PAGE_HEAD + b'\r\n{"items": [', b"{}," * 9999), "too long"),
    "a list of everything": (answer(200, b'{"items":[' + b"[]," * 2_000_000 + b"0]}"), "too long"),
    "headers without end": (endless(PAGE_HEAD, b"X: y\r\n" * 4096), ""),
    "the body drips": (endless(PAGE_HEAD + b"\r\n", b" ", 0.1), "no whole answer in time"),
    "the headers drip": (drip(PAGE_HEAD + b"X: " + b"y" * 999), "no whole answer in time"),
    "a redirect with a bomb": (packed("gzip", 302, {"Location": "http://127.0.0.1:9"}), "HTTP 302"),
    "a bomb": (packed("gzip", 200), "HTTP 200 where"),
    "deep": (answer(200, b"[" * 300_000), "HTTP 200 where"),
    "wrong types": (answer(200, {"items": {}, "has_more": "no"}), "holds no items"),
    "it may go on": (answer(200, {"items": [], "has_more": "yes"}), "does not say whether"),
    "it goes on after nothing": (answer(200, {"items": [], "has_more": True}), "does not go on"),
    "the same page again": (
        answer(200, {"items": [{"id": THREAD_ID}], "has_more": True}),
        "does not go on",
    ),
    "refused for good": (answer(404, {}), "HTTP 404"),
}


LASTING_LISTS = ("a redirect with a bomb", "refused for good")
"""What waiting cannot help."""
BIG_LISTS = ("a list without end", "a list of everything", "headers without end")


@dataclass
class ManyLists:
    """A server that lists something else to each account."""

    good: Toloka
    is_good: bool = False
    asked: Counter[str] = field(default_factory=Counter)

    def __call__(self, request: Request) -> Raw:
        name = request.headers.get("X-Act-Under-Account-ID", "")
        if request.method == "POST" or self.is_good or not name:
            return self.good(request)
        self.asked[name] += 1
        says, _ = LISTS[name.replace("_", " ")]
        return says(request) if callable(says) else says


@pytest.mark.dear
def test_a_list_that_cannot_be_had_ends_the_run_before_anything_is_sent(
    project: Project, toloka: Toloka, start_scripted: StartScripted, tmp_path: Path
) -> None:
    lists = ManyLists(toloka)
    server = start_scripted(lists)
    write_messages(project, ["sent"])
    assert project.send(server.url).code == 0
    project.write("messages/new.yaml", THANKS)
    kept = project.manifest(server).read_bytes()  # type: ignore[arg-type]

    def run_one(command: str, name: str) -> tuple[str, str, Project, Result, Cost]:
        copy = Project(tmp_path / f"{command} {name}")
        shutil.copytree(project.root, copy.root)
        account = name.replace(" ", "_")
        manifest = copy.manifest(server)  # type: ignore[arg-type]
        head = kept.replace(b'"version":1,', f'"version":1,"acts_under":"{account}",'.encode(), 1)
        manifest.write_bytes(head)
        # What is big must end for its size, and what is slow for its time.
        quick = ("--timeout", "20" if name in BIG_LISTS else "0.2")
        shown, cost = run(copy, command, server.url, *quick, account=account)
        return command, name, copy, shown, cost

    both = ["a bomb", "refused for good"]
    names = dict.fromkeys([*one_in(5, LISTS), *both])
    runs = [("send --results results.json", name) for name in names]
    runs += [("replies", name) for name in both]
    runs += [("status --refresh", name) for name in one_in(2, ("the body drips", "wrong types"))]
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda each: run_one(*each), runs))
    for command, name, copy, shown, cost in done:
        _, said = LISTS[name]
        lasts = name in LASTING_LISTS
        assert shown.code == (2 if lasts else 75), (command, name, shown)
        assert lasts or "Toloka's list of threads could not be had" in shown.err
        assert said in shown.err, (command, name, shown)
        check_cheap(cost)
        assert copy.manifest(server).read_bytes().endswith(kept.partition(b"\n")[2])  # type: ignore[arg-type]
        if command.startswith("send") and not lasts:
            assert statuses(copy) == ["already_sent", "not_tried"]
    assert toloka.posts == ["sent"]
    # What is refused for good is asked for once, and what may pass three times.
    assert (lists.asked["refused_for_good"], lists.asked["a_bomb"]) == (2, 6)
    lists.is_good = True
    done[0][2].manifest(server).write_bytes(kept)  # type: ignore[arg-type]
    shown, _ = run(done[0][2], "send", server.url)
    assert shown.code == 0, shown
    assert toloka.posts == ["sent", "Thank you!"]


@pytest.mark.dear
def test_a_page_that_is_too_long_is_asked_for_in_parts(
    project: Project, toloka: Toloka, server: Scripted
) -> None:
    write_messages(project, [f"message {number}" for number in range(40)])
    assert project.send(server.url).code == 0
    project.manifest(server).unlink()  # type: ignore[arg-type]

    def pages(request: Request) -> bytes:
        limit = int(re.search(r"limit=(\d+)", request.path)[1])  # type: ignore[index]
        after = (re.search(r"id_gt=(\w+)", request.path) or ["", ""])[1]
        left = [each for each in toloka.threads if each["id"] > after]
        heavy = [{**each, "payload": "x" * 700_000} for each in left[:limit]]
        return answer(200, {"items": heavy, "has_more": len(left) > limit})

    toloka.list_says = pages
    shown, cost = send(project, server.url)
    assert shown.code == 0, shown.err
    assert cost.peak_mib < 200
    assert set(statuses(project)) == {"adopted"}
    assert len(toloka.posts) == 40


@pytest.mark.parametrize("late_s", [0.0, 0.3])
def test_a_list_that_goes_on_for_ever_ends_at_its_deadline(
    late_s: float, start_scripted: StartScripted
) -> None:
    def endless_list(request: Request) -> bytes:
        time.sleep(late_s)
        return rising(request)

    server = start_scripted(endless_list)
    client = Client(server.url, TOKEN, timeout_s=5, list_timeout_s=1.0)
    began_s = time.monotonic()
    with pytest.raises(ListError, match="has no end after 0 minutes; put the manifest"):
        list(client.threads({}))
    client.close()
    # However much it brings for its time: one page more, at most, is waited for.
    assert 1.0 <= time.monotonic() - began_s < 4.0
    assert len(server.requests) > 2


class LongList:
    """Thousands of threads: the first hundreds are long, and one is longer than any page."""

    def __init__(self, ours: dict[str, Any]) -> None:
        self.limits: list[int] = []
        count = 20_000
        self._ids = [f"{number:024x}" for number in range(1, count + 1)]
        text = {f"L{number}": "many words " * 300 for number in range(15)}
        long = [{"text": text, "from": {"id": "me", "myself": True}, "created": NOW}]
        post = {"text": {"EN": "a word"}, "from": {"id": "a"}, "created": NOW}
        threads = [{**ours, "id": each} for each in self._ids]
        for each in threads[:-1]:
            each["topic"] = {"EN": "Another"}
        for each in threads[:300]:
            each["messages"] = long
        threads[2_000]["messages"] = [post] * 250_000
        self._threads = [json.dumps(each).encode() for each in threads]

    def __call__(self, request: Request) -> bytes:
        limit = int(re.search(r"limit=(\d+)", request.path)[1])  # type: ignore[index]
        after = (re.search(r"id_gt=(\w+)", request.path) or ["", ""])[1]
        self.limits.append(limit)
        start = bisect_right(self._ids, after)
        items = b",".join(self._threads[start : start + limit])
        more = b"true" if start + limit < len(self._ids) else b"false"
        return answer(200, b'{"items": [' + items + b'], "has_more": ' + more + b"}")


@pytest.mark.thorough
def test_a_list_of_many_threads_some_of_them_long_is_read_to_its_end(
    project: Project, toloka: Toloka, server: Scripted
) -> None:
    write_messages(project, ["message"])
    assert project.send(server.url).code == 0
    project.manifest(server).unlink()  # type: ignore[arg-type]
    pages = LongList(toloka.threads[0])
    toloka.list_says = pages
    # As low a timeout and rate as somebody may set: they bound an answer, and not the list.
    shown = project.send(
        server.url, "--settle", "0", "--timeout", "2", "--rate", "50", "--results", "results.json"
    )
    assert shown.code == 0, shown.err
    assert statuses(project) == ["adopted"]
    assert toloka.posts == ["message"]
    # Each time the pages became short, and long again.
    assert {1, 15, 300} <= set(pages.limits)
    assert len(pages.limits) < 150


# --- over TLS, as the real one --------------------------------------------------------------------


@pytest.mark.dear
def test_the_time_of_an_answer_is_bounded_over_tls_too(
    certificate: Path, project: Project, toloka: Toloka
) -> None:
    server = Scripted(toloka, certificate=certificate)
    names = [name for pair in zip(SLOW, GOOD, strict=False) for name in pair]
    write_messages(project, names)
    toloka.says, toloka.breaks_list = SLOW, True
    quick = ("--timeout", "2", "--settle", "0", "--results", "results.json")
    environ = {"TOLOKA_TOKEN": TOKEN, "REQUESTS_CA_BUNDLE": str(certificate)}
    with server:
        shown, cost = run_limited(
            "send", "--target", server.url, *quick, cwd=project.root, env=environ
        )
    check_cheap(cost)
    assert dict(zip(names, statuses(project), strict=True)) == {
        name: "unknown" if name in SLOW else "sent" for name in names
    }
    assert shown.code == 5


def test_a_server_that_takes_a_request_slowly_is_not_waited_for(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    taken = 0

    def take(listening: socket.socket) -> None:
        nonlocal taken
        connection, _ = listening.accept()
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as stream:
            while taken < 48 * MIB and (got := stream.recv(65536)):
                taken += len(got)
                time.sleep(0.02)

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=take, args=(listening,), daemon=True).start()
        client = Client(f"https://127.0.0.1:{listening.getsockname()[1]}", TOKEN, timeout_s=0.5)
        began = time.monotonic()
        found = client.deliver(delivery("x", "x" * 48 * MIB))
        client.close()
    assert isinstance(found, Unknown)
    assert time.monotonic() - began < 5
    assert 0 < taken < 48 * MIB
