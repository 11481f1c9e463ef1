"""Answers that end, in time and in size, whatever the server does."""

from __future__ import annotations

import http.client
import io
import socket
import time
from functools import lru_cache
from typing import Any

_MAX_HEAD = 128 * 1024
_MAX_FRAME = 16 * 1024 * 1024
"""A limit on what frames an answer in tiny chunks; its reader limits what is in them."""
_PIECE = 16 * 1024


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


@lru_cache
def bounded(kind: type) -> type:
    """Make a kind of connection that bounds its answers; one that does so already stays."""
    if issubclass(kind, _BoundedConnection):
        return kind
    return type("Bounded", (_BoundedConnection, kind), {})
