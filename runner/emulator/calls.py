"""Calls as they come: what all must hold, how many came lately, and what is told of them."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import Message
from typing import NoReturn

from runner.emulator.answers import Answer, Json, Refused, bad_request, error_answer

MAX_BODY_BYTES = 1024 * 1024

MAX_CALLS = 10_000
_MAX_BYTES = 64 * 1024 * 1024
_SCHEMES = ("ApiKey", "OAuth", "Bearer", "Basic")
_WINDOW_S = 1.0
_CREDENTIAL = re.compile(r"(ApiKey|OAuth) ([\x21-\x7e]+)")
_API_KEY = re.compile(r"[^.]{22,24}\.[^.]*\.[^.]*")


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; `flaw` is the answer to one whose body could not be taken in."""

    method: str
    path: str
    query: str
    headers: Message
    body: bytes
    flaw: Answer | None = None


def check_credential(headers: Message) -> None:
    """Refuse a call whose `Authorization` header Toloka would not take."""
    match = _CREDENTIAL.fullmatch(headers.get("Authorization", ""))
    if match is None:
        raise _unauthorized("'Authorization: ApiKey <key>' or 'OAuth <token>' is expected")
    if match[1] == "ApiKey" and not _API_KEY.fullmatch(match[2]):
        raise _unauthorized("the API key is malformed")


def read_json(request: Request) -> Json:
    """Parse the body of a POST; raises `Refused` unless it says it is JSON, and is."""
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Refused(
            error_answer(
                415, "UNSUPPORTED_MEDIA_TYPE", "'Content-Type: application/json' is expected"
            )
        )
    try:
        value: Json = json.loads(request.body, parse_constant=_refuse_constant)
        # Half of a surrogate pair is valid JSON and no valid text.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise bad_request("The body is not valid JSON in UTF-8") from None
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _unauthorized(message: str) -> Refused:
    return Refused(error_answer(401, "AUTHENTICATION_ERROR", message))


class RateWindow:
    """A sliding window of one second over the calls."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arrived: deque[float] = deque()
        self._allowed: deque[float] = deque()
        self.max_in_one_second = 0

    def admit(self, limit: int) -> bool:
        """Count a call that arrives now; `False` if it is over the limit, which 0 turns off.

        Refused calls do not use up the limit, so that a client that waits gets through.
        """
        with self._lock:
            now = time.monotonic()
            self._arrived.append(now)
            for times in (self._arrived, self._allowed):
                while times and times[0] <= now - _WINDOW_S:
                    times.popleft()
            self.max_in_one_second = max(self.max_in_one_second, len(self._arrived))
            if limit and len(self._allowed) >= limit:
                return False
            self._allowed.append(now)
            return True


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
