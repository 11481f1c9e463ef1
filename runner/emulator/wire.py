"""HTTP on a socket: requests read, answers written, connections ended as the answer says."""

from __future__ import annotations

import logging
import os
import socket
import socketserver
import sqlite3
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import TypeAlias

from runner.emulator.answers import Answer, Ending, bad_request, error_answer
from runner.emulator.calls import MAX_BODY_BYTES, Request
from runner.emulator.service import Service, is_control

Accepted: TypeAlias = "socket.socket | tuple[bytes, socket.socket]"

_log = logging.getLogger(__name__)
_JOIN_S = 5.0
# A body over the limit is read to its end if that is near, so that the client sees the answer.
_MAX_DRAINED_BYTES = 16 * MAX_BODY_BYTES


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A thread per connection; `stop` ends them all."""

    daemon_threads = True
    request_queue_size = 256
    # On Windows it would let a second server take the same port.
    allow_reuse_address = os.name != "nt"

    def __init__(self, host: str, port: int, service: Service) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.service = service
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._to_reset: set[socket.socket] = set()
        super().__init__((host, port), Handler)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])

    def stop(self) -> None:
        """Stop listening, end every connection and wait for their threads."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        with self._lock:
            still_open = dict(self._open)
        for connection, thread in still_open.items():
            _hang_up(connection)
            thread.join(_JOIN_S)

    def reset(self, connection: socket.socket) -> None:
        """Have a connection end with a RST rather than in an orderly way."""
        with self._lock:
            self._to_reset.add(connection)

    def process_request(self, request: Accepted, client_address: object) -> None:
        connection = _as_socket(request)
        thread = threading.Thread(
            target=self.process_request_thread, args=(connection, client_address), daemon=True
        )
        # Known before it runs, so that no connection can slip past `stop`.
        with self._lock:
            self._open[connection] = thread
        thread.start()

    def shutdown_request(self, request: Accepted) -> None:
        connection = _as_socket(request)
        with self._lock:
            self._open.pop(connection, None)
            resetting = connection in self._to_reset
            self._to_reset.discard(connection)
        if not resetting:
            super().shutdown_request(connection)
            return
        # Closing with no time to linger throws away what is unsent and sends a RST.
        form = "hh" if os.name == "nt" else "ii"
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(form, 1, 0))
        connection.close()

    def handle_error(self, *_about: object) -> None:
        # A client that goes away is nothing to report, and nothing may be said on stdout.
        error = sys.exc_info()[1]
        if isinstance(error, sqlite3.Error):
            _log.error("a request could not be answered: %s", error)
        elif not isinstance(error, (ConnectionError, TimeoutError)):
            _log.exception("a request could not be answered")


class Handler(BaseHTTPRequestHandler):
    """One connection: reads its requests, one after another."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # Head and body leave in one piece; every answer is flushed.
    wbufsize = -1
    _counted = False

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Serve every method there is; which are allowed is decided further in."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def version_string(self) -> str:
        return "TolokaEmulator"

    def log_message(self, *_args: object) -> None:
        """Say nothing: the calls are kept for those who ask for them."""

    def handle_expect_100(self) -> bool:
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def _serve(self) -> None:
        began = time.monotonic()
        body, flaw = self._read_body()
        path, _, query = self.path.partition("?")
        service = self.server.service
        if not self._counted and not is_control(path):
            self._counted = True
            service.journal.connected()
        answer = service.respond(Request(self.command, path, query, self.headers, body, flaw))
        # Cut short only when the server stops.
        self.server.stopping.wait(max(0.0, began + answer.delay_s - time.monotonic()))
        self._finish_with(answer)

    def _read_body(self) -> tuple[bytes, Answer | None]:
        """Read the body, or say why not; raises `ConnectionError` if only a part of it comes."""
        if "Transfer-Encoding" in self.headers:
            message = "A Content-Length is expected"
            return b"", error_answer(411, "LENGTH_REQUIRED", message, ending="close")
        length = self.headers.get("Content-Length", "0").strip()
        if not length.isascii() or not length.isdigit() or len(length) > 15:
            answer = bad_request("The Content-Length is not a number").answer
            return b"", replace(answer, ending="close")
        if int(length) > MAX_BODY_BYTES:
            return b"", self._turn_away(int(length))
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionAbortedError
        return body, None

    def _turn_away(self, length: int) -> Answer:
        drained = length <= _MAX_DRAINED_BYTES
        if drained:
            while length > 0 and (piece := self.rfile.read(min(length, 65536))):
                length -= len(piece)
        message = f"A body of at most {MAX_BODY_BYTES} bytes is expected"
        ending: Ending = "keep" if drained else "close"
        return error_answer(413, "PAYLOAD_TOO_LARGE", message, ending=ending)

    def _finish_with(self, answer: Answer) -> None:
        if answer.ending != "keep":
            self.close_connection = True
        if answer.ending == "reset":
            self.server.reset(self.connection)
        if answer.sent_status is None:
            return
        self.send_response_only(answer.status)
        self.send_header("Server", self.version_string())
        date = self.server.service.platform.date()
        if date is not None:
            self.send_header("Date", date)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.ending == "close":
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            kept = len(answer.body) // 2 if answer.ending == "truncated" else len(answer.body)
            self.wfile.write(answer.body[:kept])


def _as_socket(request: Accepted) -> socket.socket:
    return request[1] if isinstance(request, tuple) else request


def _hang_up(connection: socket.socket) -> None:
    # It may have ended by itself meanwhile.
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
