"""What the emulator saw: the newest calls, one by one, and counts of all of them."""

from __future__ import annotations

import json
import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass

from runner.emulator.answers import Json

MAX_CALLS = 10_000
_MAX_BYTES = 64 * 1024 * 1024
_SCHEMES = ("ApiKey", "OAuth", "Bearer", "Basic")


@dataclass(slots=True, kw_only=True)
class Call:
    """One call as it came; `status` and `fault` are filled in when it is answered."""

    name: str
    at: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    n: int = 0
    status: int | None = None
    fault: str | None = None

    def as_json(self) -> dict[str, Json]:
        """Write it for the control call that lists calls."""
        return {
            "n": self.n,
            "at": self.at,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": self.headers,
            "body": _parsed(self.body),
            "status": self.status,
            "fault": self.fault,
        }


class Journal:
    """The newest calls and the counts; bounded in calls and in bytes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[Call] = deque()
        self._bytes = 0
        self._received = 0
        self._connections = 0
        self._by_name: Counter[str] = Counter()
        self._by_status: Counter[str] = Counter()

    def add(self, call: Call) -> None:
        """Number a call that has just come and keep it, dropping the oldest if need be."""
        with self._lock:
            self._received += 1
            call.n = self._received
            self._by_name[call.name] += 1
            self._calls.append(call)
            self._bytes += len(call.body)
            while len(self._calls) > MAX_CALLS or self._bytes > _MAX_BYTES:
                self._bytes -= len(self._calls.popleft().body)

    def connected(self) -> None:
        """Count a connection, when the first API call comes on it."""
        with self._lock:
            self._connections += 1

    def answered(self, status: int | None) -> None:
        """Count an answer; `None` is a call that got none."""
        with self._lock:
            self._by_status["none" if status is None else str(status)] += 1

    def calls_after(self, n: int) -> list[Json]:
        """List the calls that came after the one numbered `n`, oldest first."""
        with self._lock:
            return [call.as_json() for call in self._calls if call.n > n]

    def counts(self) -> dict[str, Json]:
        """Give the counts of calls by name, of answers by status, and of connections."""
        with self._lock:
            return {
                "calls": dict(sorted(self._by_name.items())),
                "answers": dict(sorted(self._by_status.items())),
                "connections": self._connections,
            }


def without_credentials(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Copy headers for the journal, with nothing but the scheme of any credential."""
    return {name: _safe(name, value) for name, value in headers}


def _safe(name: str, value: str) -> str:
    if name.lower() not in ("authorization", "proxy-authorization", "cookie"):
        return value
    scheme = value.partition(" ")[0]
    # A credential sent without a scheme would be the first word.
    return scheme if scheme in _SCHEMES else ""


def _parsed(body: bytes) -> Json:
    """Read a body; what is not JSON is given as text."""
    if not body:
        return None
    text = body.decode(errors="replace")
    try:
        value: Json = json.loads(text)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return text
    return value
