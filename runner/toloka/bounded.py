"""Connections whose answers end, whatever the server does, and whose requests leave now or never."""

from __future__ import annotations

import http.client
import io
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

_MAX_HEAD = 128 * 1024
_MAX_FRAME = 16 * 1024 * 1024
"""A limit on what frames an answer in tiny chunks; its reader limits what is in them."""
_PIECE = 16 * 1024


_UNDELIVERED_MS = 20_000
_LINGER = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
# What the system still holds when a process dies, or cannot deliver, must never arrive later.
SOCKET_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_LINGER, _LINGER),
]
if hasattr(socket, "TCP_USER_TIMEOUT"):
    SOCKET_OPTIONS.append((socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNDELIVERED_MS))


class NothingLeftError(OSError):
    """Nothing may be sent now, and nothing was."""


class Permit(Protocol):
    """Whether anything may be sent now: a run on another machine may have taken over."""

    def wait(self) -> object:
        """Wait until there is one; raises where there never will be."""
        ...

    def enter(self) -> bool:
        """Begin to send a request, if that is allowed now; `leave` has to follow."""
        ...

    def leave(self) -> object:
        """Say that a request has left whole, or never will."""
        ...


class Door(threading.local):
    """Where the requests of a client leave; `has_left` is of this thread's last one."""

    def __init__(self, is_open: Callable[[], bool], permit: Permit | None) -> None:
        self.has_left = False
        self._is_open = is_open
        self._permit = permit

    def enter(self) -> None:
        """Begin to send what changes something; raises `NothingLeftError`. `leave` has to follow."""
        if not self._is_open() or not (self._permit is None or self._permit.enter()):
            raise NothingLeftError("this run may send nothing for now")

    def leave(self) -> None:
        """Say that a request has left whole, or never will."""
        if self._permit is not None:
            self._permit.leave()


class BoundedAnswer(http.client.HTTPResponse):
    """An answer that takes twice the socket's timeout at most, which is that of a single read."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._bounds = _Bounds(self.fp.detach(), sock.gettimeout() or 0.0)
        self.fp = io.BufferedReader(self._bounds)

    def begin(self) -> None:
        """Read the head: the status line and the headers, past those that only announce it."""
        self._bounds.left = _MAX_HEAD
        super().begin()
        while 102 <= self.status < 200:
            # `begin` takes a head that is there for the answer's.
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin()
        self._bounds.left = _MAX_FRAME

    def read(self, amt: int | None = None) -> bytes:
        """Read of the body, of which each byte that is handed out no longer counts."""
        content = super().read(amt)
        self._bounds.left += len(content)
        return content


class _Bounds(io.RawIOBase):
    """Reads on until the time or `left`, in bytes, is used up."""

    def __init__(self, raw: io.RawIOBase, timeout_s: float) -> None:
        self.left = _MAX_HEAD
        self._raw = raw
        self._until_s = time.monotonic() + timeout_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if time.monotonic() > self._until_s:
            raise TimeoutError("the answer takes too long")
        count = self._raw.readinto(buffer)
        self.left -= count or 0
        if self.left < 0:
            raise http.client.HTTPException("the answer is too long")
        return count

    def close(self) -> None:
        super().close()
        self._raw.close()


class _BoundedConnection:
    """What a connection gets on top, whichever of the kinds of urllib3 it is."""

    response_class = BoundedAnswer
    # Prints every header where somebody turned it on for all connections.
    debuglevel = 0
    timeout: Any
    sock: Any
    door: Door
    _is_connecting = False
    _is_post = False
    _is_at_its_head = False
    _is_sending = False

    def connect(self) -> None:
        """Connect: what a proxy is told meanwhile is nothing of the request."""
        self._is_connecting = True
        try:
            super().connect()  # type: ignore[misc]
        finally:
            self._is_connecting = False

    def putrequest(self, method: str, *args: Any, **kwargs: Any) -> None:
        """Begin a request: what changes nothing may always leave."""
        self._is_post, self._is_at_its_head = method == "POST", True
        super().putrequest(method, *args, **kwargs)  # type: ignore[misc]

    def getresponse(self) -> Any:
        """Wait for the answer: the request has left."""
        self._leave()
        return super().getresponse()  # type: ignore[misc]

    def close(self) -> None:
        super().close()  # type: ignore[misc]
        self._leave()

    def _leave(self) -> None:
        if self._is_sending:
            self.door.leave()
        self._is_sending = False

    def send(self, data: Any) -> None:
        """Send, within twice the timeout: over TLS it counts anew for each record.

        The door is looked at when the connection stands, right before the first byte.
        """
        timeout_s = self.timeout if isinstance(self.timeout, (int, float)) else 0.0
        if self._is_at_its_head and not self._is_connecting:
            if self.sock is None:
                self.connect()
            if self._is_post:
                self.door.enter()
                self._is_sending = True
            self.door.has_left, self._is_at_its_head = True, False
        until_s = time.monotonic() + timeout_s
        for start in range(0, max(len(data), 1), _PIECE):
            if time.monotonic() > until_s:
                raise TimeoutError("the server does not take the request")
            # Whose `send` this is depends on the class that it is mixed into.
            super().send(data[start : start + _PIECE])  # type: ignore[misc]


@lru_cache
def bounded(kind: type, door: Door) -> type:
    """Make a kind of connection that bounds its answers; one that does so already stays."""
    if issubclass(kind, _BoundedConnection):
        return kind
    return type("Bounded", (_BoundedConnection, kind), {"door": door})
