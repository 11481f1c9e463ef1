"""A proxy that tunnels as it is told to, one word for each connection."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

_RESET = struct.pack("ii", 1, 0)


class Tunnels:
    """Serves CONNECT on loopback while it is entered.

    `words` are `tunnel`, a status, `reset`, `close` or `garbage`; the last one goes for ever.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.asked: list[bytes] = []
        self._words = words
        self._listening = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> Tunnels:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listening.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(65536) or b"\r\n\r\n"
            word = self._words[min(len(self.asked), len(self._words) - 1)]
            self.asked.append(head)
            if word == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            elif word.isdecimal():
                connection.sendall(f"HTTP/1.1 {word} No\r\n\r\n<html>no".encode())
            elif word == "garbage":
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"no TLS " * 100)
                connection.recv(65536)
            elif word == "tunnel":
                self._pass_on(connection, head)

    def _pass_on(self, connection: socket.socket, head: bytes) -> None:
        host, _, port = head.split()[1].decode().rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port))) as other:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=_copy, args=(other, connection), daemon=True)
            back.start()
            _copy(connection, other)
            back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
