"""A server that says exactly what a test hands it: what no Toloka, and no emulator, would say."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Where many connect at once, the system resets some of them if fewer may wait.
    request_queue_size = 128


class Scripted:
    """Serves on loopback while it is entered; `requests` are those that came.

    Handed a list, it gives one answer after the other and then the last one for ever.
    """

    def __init__(self, answers: Answers) -> None:
        self.requests: list[Request] = []
        self.over = threading.Event()
        self._answers = answers
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())

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
        return f"http://127.0.0.1:{self._server.server_address[1]}"

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
