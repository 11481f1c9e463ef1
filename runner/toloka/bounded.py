"""Connections whose answers end, whatever the server does, and whose requests leave now or never."""

from __future__ import annotations

import http.client
import io
import os
import socket
import struct
import time
from collections.abc import Hashable
from functools import lru_cache
from typing import Any, Protocol, cast

from urllib3.exceptions import NewConnectionError

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


class BoundedAnswer(http.client.HTTPResponse):
    """An answer that takes twice the socket's timeout at most, which is that of a single read."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._bounds = _Bounds(self.fp.detach(), sock.gettimeout() or 0.0)
        self.fp = io.BufferedReader(self._bounds)

    def begin(self) -> None:
        """Read the head: the status line, the headers, and whatever `100 Continue` is before."""
        self._bounds.left = _MAX_HEAD
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

    def send(self, data: Any) -> None:
        """Send, within twice the timeout: over TLS it counts anew for each record."""
        timeout_s = self.timeout if isinstance(self.timeout, (int, float)) else 0.0
        until_s = time.monotonic() + timeout_s
        for start in range(0, max(len(data), 1), _PIECE):
            if time.monotonic() > until_s:
                raise TimeoutError("the server does not take the request")
            # Whose `send` this is depends on the class that it is mixed into.
            super().send(data[start : start + _PIECE])  # type: ignore[misc]


class _PermittedConnection(_BoundedConnection):
    """One that begins a request only where its permit allows that."""

    sock: Any
    connect: Any
    permit: Permit
    _is_new = False
    _is_sending = False

    def putrequest(self, method: str, *args: Any, **kwargs: Any) -> None:
        """Begin a request: what changes nothing may always leave."""
        self._is_new = method == "POST"
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
            self.permit.leave()
        self._is_sending = False

    def send(self, data: Any) -> None:
        """Look at the permit when the connection stands, right before the first byte."""
        if self._is_new:
            if self.sock is None:
                self.connect()
            self._is_sending = self.permit.enter()
            if not self._is_sending:
                raise NewConnectionError(cast("Any", self), "this run may send nothing for now")
        self._is_new = False
        super().send(data)


@lru_cache
def bounded(kind: type, permit: Hashable = None) -> type:
    """Make a kind of connection that bounds its answers; one that does so already stays."""
    if issubclass(kind, _BoundedConnection):
        return kind
    if permit is None:
        return type("Bounded", (_BoundedConnection, kind), {})
    return type("Permitted", (_PermittedConnection, kind), {"permit": permit})
