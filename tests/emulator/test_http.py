from __future__ import annotations

import json
import os
import socket
import sqlite3
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from runner.emulator import Emulator

from .client import API, Client, direct
from .conftest import Serve

LINGER = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
KEY = "a" * 23 + ".b.c"


@contextmanager
def connected(toloka: Client) -> Iterator[socket.socket]:
    port = int(toloka.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        yield connection


def said(connection: socket.socket) -> bytes:
    """Everything that comes until the server closes the connection."""
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize(
    "authorization",
    ["", "token", "Bearer token", "OAuth", "OAuth ", "OAuth a b", "oauth token", "ApiKey x"]
    + [
        f"ApiKey {key}"
        for key in ("a" * 21 + ".b.c", "a" * 25 + ".b.c", "a" * 23 + ".b", KEY + ".")
    ],
)
def test_calls_without_a_credential_are_refused(serve: Serve, authorization: str) -> None:
    toloka = serve(authorization=authorization)
    for answer in (toloka.compose(), toloka.find()):
        assert (answer.status_code, answer.json()["code"]) == (401, "AUTHENTICATION_ERROR")
    assert toloka.control("threads") == []


def test_missing_authorization_is_refused(toloka: Client) -> None:
    del toloka.session.headers["Authorization"]
    assert toloka.compose().status_code == 401


@pytest.mark.parametrize("key", [KEY, "a" * 22 + "..", "a" * 24 + ".x.y"])
def test_api_keys_of_the_right_shape_are_taken(serve: Serve, key: str) -> None:
    serve(authorization=f"ApiKey {key}").composed()


@pytest.mark.parametrize(
    "path",
    ["/", "/api/v1", "/api/v1/pools", f"{API}/", f"{API}/x", f"{API}/x/delete", "/emulators"],
)
def test_unknown_paths_are_not_found(toloka: Client, path: str) -> None:
    answer = toloka.request("GET", path)
    assert (answer.status_code, answer.json()["code"]) == (404, "DOES_NOT_EXIST")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", f"{API}/compose", "POST"),
        ("PUT", f"{API}/compose", "POST"),
        ("DELETE", API, "GET"),
        ("POST", API, "GET"),
        ("PATCH", f"{API}/{'0' * 24}/reply", "POST"),
        ("BREW", API, "GET"),
        ("DELETE", "/emulator/stats", "GET"),
    ],
)
def test_other_methods_are_not_allowed(
    toloka: Client, method: str, path: str, allowed: str
) -> None:
    answer = toloka.request(method, path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
    assert answer.json()["code"] == "METHOD_NOT_ALLOWED"


def test_head_has_no_body_and_keeps_the_connection(toloka: Client) -> None:
    answer = toloka.request("HEAD", API)
    assert (answer.status_code, answer.content) == (405, b"")
    toloka.composed()
    assert toloka.control("stats")["connections"] == 1


def test_answers_are_dated_json_over_one_connection(toloka: Client) -> None:
    for answer in (toloka.compose(), toloka.find(), toloka.find(limit=0)):
        assert abs(parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time()) < 60
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert toloka.control("stats")["connections"] == 1


@pytest.mark.parametrize("size", [2 * 1024 * 1024, 17 * 1024 * 1024])
def test_too_large_a_body_is_refused_before_it_is_parsed(toloka: Client, size: int) -> None:
    with connected(toloka) as connection:
        head = (
            f"POST {API}/compose HTTP/1.1\r\nHost: localhost\r\nAuthorization: OAuth x\r\n"
            f"Content-Type: application/json\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
        )
        connection.sendall(head.encode())
        if size < 16 * 1024 * 1024:
            connection.sendall(b" " * size)
        answer = said(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"PAYLOAD_TOO_LARGE" in answer


def test_large_body_within_the_limit_is_taken(toloka: Client) -> None:
    text = "x" * 1_000_000
    assert toloka.composed(direct(text={"EN": text}))["messages"][0]["text"]["EN"] == text


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Transfer-Encoding: chunked", 411),
        ("Content-Length: many", 400),
        ("Content-Length: -5", 400),
    ],
)
@pytest.mark.parametrize("path", [f"{API}/compose", "/emulator/faults"])
def test_bodies_of_unknown_length_are_refused(
    toloka: Client, header: str, status: int, path: str
) -> None:
    with connected(toloka) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n".encode())
        assert said(connection).startswith(f"HTTP/1.1 {status} ".encode())


def test_half_a_body_is_not_carried_out(toloka: Client) -> None:
    with connected(toloka) as connection:
        body = json.dumps(direct())
        head = f"POST {API}/compose HTTP/1.1\r\nHost: localhost\r\nAuthorization: OAuth x\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body) + 1}\r\n\r\n"
        connection.sendall((head + body).encode())
        connection.shutdown(socket.SHUT_WR)
        assert said(connection) == b""
    assert toloka.control("stats")["calls"] == {}


def test_client_that_resets_is_no_trouble(
    toloka: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    with connected(toloka) as connection:
        connection.sendall(b"POST ")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
    toloka.composed()
    assert capfd.readouterr() == ("", "")


def test_client_may_ask_before_it_sends_the_body(toloka: Client) -> None:
    with connected(toloka) as connection:
        body = json.dumps(direct()).encode()
        head = f"POST {API}/compose HTTP/1.1\r\nHost: localhost\r\nAuthorization: OAuth x\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        connection.sendall((head + "Expect: 100-continue\r\nConnection: close\r\n\r\n").encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert said(connection).startswith(b"HTTP/1.1 201 ")


def test_broken_store_ends_the_connection_and_is_logged(
    toloka: Client, store: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(store)) as db:
        db.execute("DROP TABLE messages")
    with pytest.raises(requests.ConnectionError):
        toloka.compose()
    assert "a request could not be answered" in caplog.text
    assert capfd.readouterr().out == ""


def test_latency_is_per_answer_and_not_in_turn(serve: Serve) -> None:
    url = serve(latency_ms=300).url
    clients = [Client(url) for _ in range(10)]
    threads = [threading.Thread(target=client.composed) for client in clients]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.3 <= time.monotonic() - began < 1.5
    for client in clients:
        client.session.close()


def test_emulator_has_an_address_only_while_it_runs(store: Path) -> None:
    emulator = Emulator(store)
    before = emulator.store_id
    with pytest.raises(RuntimeError, match="before it is started"):
        _ = emulator.url
    with emulator:
        assert emulator.store_id == before
        assert requests.get(f"{emulator.url}/emulator/stats", timeout=5).json()["account"] == (
            emulator.account
        )
        with pytest.raises(RuntimeError, match="started already"):
            emulator.start()
        url = emulator.url
    emulator.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)
    assert Emulator(store).store_id == before


def test_store_id_is_known_after_starting(store: Path) -> None:
    with Emulator(store) as emulator:
        assert len(emulator.store_id) == 32


def test_emulator_can_be_started_again(store: Path) -> None:
    emulator = Emulator(store)
    for _ in range(2):
        with emulator:
            client = Client(emulator.url)
            client.composed()
            client.session.close()
    with emulator:
        client = Client(emulator.url)
        assert len(client.listed()) == 2
        client.session.close()


def test_serving_ends_with_stop(store: Path) -> None:
    emulator = Emulator(store)
    thread = threading.Thread(target=emulator.serve_forever)
    thread.start()
    for _ in range(100):
        time.sleep(0.02)
        try:
            answer = requests.get(f"{emulator.url}/emulator/stats", timeout=5)
        except RuntimeError:
            continue
        assert answer.status_code == 200
        break
    emulator.stop()
    thread.join(5)
    assert not thread.is_alive()


def test_stop_ends_what_is_under_way(store: Path) -> None:
    emulator = Emulator(store, latency_ms=60_000)
    with emulator:
        client = Client(emulator.url)
        thread = threading.Thread(target=client.compose)
        thread.start()
        idle = socket.create_connection(("127.0.0.1", int(emulator.url.rpartition(":")[2])))
        time.sleep(0.3)
        began = time.monotonic()
    assert time.monotonic() - began < 3
    thread.join(5)
    assert not thread.is_alive()
    idle.close()
    client.session.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org", "::", ""])
def test_other_hosts_than_loopback_are_refused(store: Path, host: str) -> None:
    with pytest.raises(ValueError, match="not loopback"):
        Emulator(store, host=host)


def test_localhost_is_taken(store: Path) -> None:
    with Emulator(store, host="LocalHost") as emulator:
        assert emulator.url.startswith("http://127.0.0.1:")


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_ipv6_loopback_is_taken(store: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with Emulator(store, host="::1") as emulator:
        assert emulator.url.startswith("http://[::1]:")
        assert requests.get(f"{emulator.url}/emulator/stats", timeout=5).status_code == 200


def test_unknown_echo_is_refused(store: Path) -> None:
    with pytest.raises(ValueError, match="echo 'loud' is none of exact, trimmed, crlf"):
        Emulator(store, echo="loud")


@pytest.mark.parametrize("option", ["latency_ms", "rate_limit", "daily_all_limit", "list_lag_ms"])
def test_negative_options_are_refused(store: Path, option: str) -> None:
    options: dict[str, Any] = {option: -1}
    with pytest.raises(ValueError, match=f"{option} cannot be negative"):
        Emulator(store, **options)


def test_port_that_is_taken_is_an_error(store: Path) -> None:
    with Emulator(store) as emulator:
        port = int(emulator.url.rpartition(":")[2])
        with pytest.raises(OSError, match=r"(?i)address"):
            Emulator(store, port=port).start()
