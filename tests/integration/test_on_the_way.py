"""What is between us and Toloka: TLS, proxies, connections that are kept and broken. All of it real."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from conftest import StartScripted
from scripted import Raw, Request, answer
from support import THANKS, TOKEN, TOLOKER, Project
from tunnels import Tunnels

from runner.model import Delivery, Direct, Message, NotConnected, Outcome, Sent, Unknown
from runner.toloka.client import Client

THREAD = {"id": "63c15866757a4a1adad1d632"}
MADE = answer(201, THREAD)
WHOM = Direct((TOLOKER,))
MESSAGE = Message(
    id="thank-you",
    revision=1,
    source="messages/thank-you.yaml",
    topic={"EN": "Thank you!"},
    text={"EN": "Amazing job!"},
    answerable=False,
    recipients=WHOM,
    digest="sha256:x",
)


def deliver(url: str, count: int = 1) -> list[Outcome]:
    client = Client(url, TOKEN, timeout_s=5)
    try:
        return [client.deliver(Delivery(message=MESSAGE, recipients=WHOM)) for _ in range(count)]
    finally:
        client.close()


# --- proxies --------------------------------------------------------------------------------------

REFUSALS = [
    ("503", False, "the proxy refused a connection to localhost (HTTP 503)"),
    ("403", True, "the proxy refused a connection to localhost (HTTP 403): have it allowed"),
    ("407", True, "(HTTP 407): HTTPS_PROXY needs a name and a password"),
    ("reset", False, "the connection to localhost failed: "),
    ("close", False, ""),
    ("garbage", False, "no TLS with localhost: "),
]


@pytest.mark.parametrize(("word", "lasts", "said"), REFUSALS)
def test_what_a_proxy_keeps_back_never_left(
    word: str,
    lasts: bool,
    said: str,
    certificate: Path,
    start_scripted: StartScripted,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = start_scripted([MADE], certificate=certificate, host="localhost")
    with Tunnels([word]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        (found,) = deliver(server.url)
    assert isinstance(found, NotConnected)
    assert found.lasts == lasts
    assert said in found.detail
    assert "(" not in found.detail.replace("(HTTP", "")
    assert server.requests == []


@pytest.mark.parametrize(("word", "code"), [("503", 75), ("407", 2)])
def test_a_proxy_that_refuses_in_the_middle_leaves_nothing_in_doubt(
    word: str, code: int, project: Project, certificate: Path, start_scripted: StartScripted
) -> None:
    def serve(request: Request) -> Raw:
        return MADE if request.method == "POST" else answer(200, {"items": [], "has_more": False})

    server = start_scripted(serve, certificate=certificate, host="localhost")
    project.write("messages/thanks.yaml", THANKS)
    surroundings = {"REQUESTS_CA_BUNDLE": str(certificate)}
    # The list is asked for twice: to catch up, and for the newest page.
    with Tunnels(["tunnel", "tunnel", word]) as proxy:
        found = project.send(server.url, "--settle", "0", HTTPS_PROXY=proxy.url, **surroundings)
    assert found.code == code, found.err
    assert f"the proxy refused a connection to localhost (HTTP {word})" in found.err
    assert {request.method for request in server.requests} == {"GET"}
    found = project.send(server.url, "--settle", "0", **surroundings)
    assert found.code == 0, found.err


def test_a_proxy_that_tunnels_is_used_and_sees_no_token(
    certificate: Path, start_scripted: StartScripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_scripted([MADE], certificate=certificate, host="localhost")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with Tunnels(["tunnel"]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("http://", "http://me:secret@"))
        assert isinstance(deliver(server.url)[0], Sent)
        (asked,) = proxy.asked
        assert asked.startswith(f"CONNECT localhost:{server.url.rpartition(':')[2]} ".encode())
        assert b"Proxy-Authorization: Basic" in asked
        assert TOKEN.encode() not in asked
        monkeypatch.setenv("NO_PROXY", "localhost")
        assert isinstance(deliver(server.url)[0], Sent)
        assert len(proxy.asked) == 1
    assert not any("Proxy-Authorization" in request.headers for request in server.requests)


# --- certificates, and settings that cannot be used -----------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_a_private_certificate_is_trusted_where_it_is_named(
    host: str,
    certificate: Path,
    start_scripted: StartScripted,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    try:
        server = start_scripted([MADE], certificate=certificate, host=host)
    except OSError:
        pytest.skip("this machine has no such loopback")
    (found,) = deliver(server.url)
    assert isinstance(found, NotConnected)
    assert found.lasts
    assert "is not trusted (self" in found.detail
    assert "REQUESTS_CA_BUNDLE names the file" in found.detail
    assert server.requests == []
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert isinstance(deliver(server.url)[0], Sent)


SETTINGS = [
    ("REQUESTS_CA_BUNDLE", "nowhere.pem", "REQUESTS_CA_BUNDLE names nowhere.pem, where no"),
    ("REQUESTS_CA_BUNDLE", "words.txt", "REQUESTS_CA_BUNDLE names words.txt, where no"),
    ("CURL_CA_BUNDLE", "nowhere.pem", "CURL_CA_BUNDLE names nowhere.pem, where no"),
    ("HTTPS_PROXY", "socks5://127.0.0.1:9", "the proxy of HTTPS_PROXY cannot be used"),
    ("HTTPS_PROXY", "ftp://127.0.0.1:9", "the proxy of HTTPS_PROXY cannot be used"),
    ("HTTPS_PROXY", "http://127.0.0.1:nine", "the proxy of HTTPS_PROXY cannot be used"),
    ("https_proxy", "http://", "the proxy of HTTPS_PROXY cannot be used"),
    ("ALL_PROXY", "socks5h://127.0.0.1:9", "the proxy of ALL_PROXY cannot be used"),
]


@pytest.mark.parametrize(("name", "value", "said"), SETTINGS)
def test_a_setting_that_cannot_be_used_is_named(
    name: str, value: str, said: str, project: Project
) -> None:
    project.write("messages/thanks.yaml", THANKS)
    project.write("words.txt", "no certificate")
    found = project.send("https://localhost:9", **{name: value})
    assert found.code == 2
    assert found.err.startswith(f"error: {said}")
    assert not any(word in found.err for word in ("Error(", "Pool", "Bounded", "object at"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes of a name")
def test_certificates_in_a_pipe_are_not_waited_for(project: Project) -> None:
    project.write("messages/thanks.yaml", THANKS)
    os.mkfifo(project.root / "pipe")
    found = project.send("https://localhost:9", REQUESTS_CA_BUNDLE="pipe")
    assert found.code == 2
    assert found.err.startswith("error: REQUESTS_CA_BUNDLE names pipe, where no")


PROXIES = [
    ("HTTPS_PROXY", "proxy.invalid:1", "the address of the proxy of HTTPS_PROXY cannot be found"),
    ("all_proxy", "http://127.0.0.1:1", "the connection to the proxy of ALL_PROXY failed: "),
]


@pytest.mark.parametrize(("name", "value", "said"), PROXIES)
def test_a_proxy_that_is_not_there_is_not_taken_for_the_target(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    (found,) = deliver("https://localhost:9")
    assert isinstance(found, NotConnected)
    assert found.detail.startswith(said)


def test_a_proxy_s_own_certificate_is_not_taken_for_the_target_s(
    certificate: Path, start_scripted: StartScripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = start_scripted([MADE], certificate=certificate, host="localhost")
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    (found,) = deliver("https://localhost:9")
    assert isinstance(found, NotConnected)
    assert found.lasts
    assert found.detail.startswith("the certificate that answers for the proxy of HTTPS_PROXY is")


# --- connections that are kept and broken ---------------------------------------------------------

KEPT = answer(201, THREAD, {"Connection": "keep-alive"})
HEAD, _, BODY = KEPT.partition(b"\r\n\r\n")
POINTS: list[tuple[str, int | None, Sequence[bytes], type[Outcome]]] = [
    ("right after an answer", 0, (), Sent),
    ("after a part of the request", 9, (), Unknown),
    ("after the request", None, (), Unknown),
    ("in the status line", None, (HEAD[:9],), Unknown),
    ("in the headers", None, (HEAD[:30],), Unknown),
    ("after the headers", None, (HEAD + b"\r\n\r\n",), Unknown),
    ("in the body", None, (HEAD + b"\r\n\r\n" + BODY[:9],), Unknown),
    ("after an answer that may go on", None, (KEPT,), Sent),
]


@contextmanager
def keeping(reads: int | None, says: Sequence[bytes]) -> Iterator[tuple[str, threading.Event]]:
    """Answer the first request of each connection well, and break off at the second one.

    The event says that a connection has ended.
    """
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            _read_request(connection)
            connection.sendall(KEPT)
            if reads == 0:
                return
            connection.recv(reads) if reads else _read_request(connection)
            for piece in says:
                connection.sendall(piece)

    def accept() -> None:
        with suppress(OSError):
            while True:
                serve(listening.accept()[0])
                ended.set()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", ended


def _read_request(connection: socket.socket) -> None:
    with connection.makefile("rb") as stream:
        length = 0
        while (line := stream.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        stream.read(length)


@pytest.mark.parametrize(
    ("reads", "says", "wanted"), [point[1:] for point in POINTS], ids=[point[0] for point in POINTS]
)
def test_a_kept_connection_may_end_at_every_point(
    reads: int | None, says: Sequence[bytes], wanted: type[Outcome]
) -> None:
    with keeping(reads, says) as (url, ended):
        client = Client(url, TOKEN, timeout_s=5)
        one = Delivery(message=MESSAGE, recipients=WHOM)
        first = client.deliver(one)
        # What ends while the next request is on its way may have been read: that is unknown.
        if reads == 0:
            assert ended.wait(5)
            ended.clear()
        second = client.deliver(one)
        assert ended.wait(5)
        third = client.deliver(one)
        client.close()
    assert isinstance(first, Sent)
    assert isinstance(second, wanted), second
    assert isinstance(third, Sent), third


def test_what_only_announces_an_answer_is_not_taken_for_it(start_scripted: StartScripted) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"
    server = start_scripted([b"HTTP/1.1 100 Continue\r\n\r\n" + hints * 3 + MADE, hints * 9999])
    sent, unknown = deliver(server.url, 2)
    assert isinstance(sent, Sent)
    assert isinstance(unknown, Unknown)
