"""A server that says exactly what a test hands it: what no Toloka, and no emulator, would say."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

Raw = bytes | Iterable[bytes]
"""An answer from its status line on, whole or piece by piece."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


Answers = Sequence[Raw] | Callable[[Request], Raw]


def answer(
    status: int, body: bytes | str | object = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    """Write an answer; a body that is neither bytes nor text becomes JSON."""
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    lines = {"Content-Length": str(len(body)), "Connection": "close", **(headers or {})}
    head = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in lines.items())]
    return "\r\n".join([*head, "", ""]).encode() + body


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Where many connect at once, the system resets some of them if fewer may wait.
    request_queue_size = 128

    def handle_error(self, *_about: object) -> None:
        """Stay quiet: a client that goes away is what a test may want."""


class Scripted:
    """Serves on loopback while it is entered; `requests` are those that came.

    Handed a list, it gives one answer after the other and then the last one for ever.
    """

    def __init__(
        self, answers: Answers, *, certificate: Path | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.requests: list[Request] = []
        self.over = threading.Event()
        self._answers = answers
        self._lock = threading.Lock()
        self._host = f"[{host}]" if ":" in host else host
        self._scheme = "http" if certificate is None else "https"
        kind = type("Server", (_Server,), {"address_family": _family(host)})
        self._server: _Server = kind((host, 0), self._handler())
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def __enter__(self) -> Scripted:
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"{self._scheme}://{self._host}:{self._server.server_address[1]}"

    @property
    def paths(self) -> list[str]:
        """Where the requests went, without their queries."""
        return [request.path.partition("?")[0] for request in self.requests]

    def _next(self, request: Request) -> Raw:
        with self._lock:
            self.requests.append(request)
            number = len(self.requests) - 1
        if callable(self._answers):
            return self._answers(request)
        return self._answers[min(number, len(self._answers) - 1)]

    def _handler(scripted) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.close_connection = True
                size = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(size)
                request = Request(self.command, self.path, dict(self.headers), body)
                raw = scripted._next(request)
                with suppress(OSError):
                    for piece in [raw] if isinstance(raw, bytes) else raw:
                        if scripted.over.is_set():
                            return
                        self.wfile.write(piece)

            do_GET = do_POST

            def log_message(self, format: str, *args: object) -> None:
                """Stay quiet: the test says what went wrong."""

        return Handler
