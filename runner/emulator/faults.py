"""Faults: which calls go wrong, and how.

A fault is written as `key=value` pairs with commas between them: `every=5,kind=accepted-then-500`.

- `kind=` (required): one of `FAULT_KINDS`.
- `on=compose|reply|folders|list|any` (default compose): the calls that it counts and hits.
- `every=N`: each Nth of them; or `at=N`, `at=1+5+9`: those numbers; or neither: all of them.
- `after=N`: the first N are spared, and counting starts after them.
- `times=K`: at most K are hit.
- `seconds=S`: how long `timeout`, `accepted-then-timeout` and `slow` take, or how much later than
  its answer a `late-then-…` call is done (default 30).
- `interval=MIN|HOUR|DAY`, `retry_after=S`: what a `429` says, nothing unless given.

The first fault that hits a call wins; all of them count it.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from runner.emulator.answers import Answer, Json, error_answer

FAULT_KINDS: Mapping[str, str] = {
    "400": "VALIDATION_ERROR; nothing is done",
    "401": "AUTHENTICATION_ERROR; nothing is done",
    "403": "ACCESS_DENIED; nothing is done",
    "404": "DOES_NOT_EXIST; nothing is done",
    "408": "a request timeout that a gateway reports; nothing is done",
    "409": "CONFLICT_STATE; nothing is done",
    "413": "the body is called too large; nothing is done",
    "415": "the content type is called wrong; nothing is done",
    "429": "TOO_MANY_REQUESTS, with interval= and retry_after= if given; nothing is done",
    "500": "INTERNAL_ERROR; nothing is done",
    "502-html": "a gateway's HTML page; nothing is done",
    "503": "REMOTE_SERVICE_UNAVAILABLE; nothing is done",
    "504": "a gateway timeout; nothing is done",
    "incorrect-recipients": "409 INCORRECT_RECIPIENTS; nothing is done",
    "redirect": "302 to another path on this server; nothing is done",
    "reset": "the connection is reset; nothing is done",
    "timeout": "silence for seconds=, then the connection closes; nothing is done",
    "slow": "done, and answered rightly, but only after seconds=",
    "accepted-then-408": "done, then 408",
    "accepted-then-500": "done, then 500",
    "accepted-then-502-html": "done, then a gateway's HTML page",
    "accepted-then-503": "done, then 503",
    "accepted-then-504": "done, then 504",
    "accepted-then-empty": "done, then the right status with an empty body",
    "accepted-then-no-id": "done, then the right status and a thread without its id",
    "accepted-then-not-json": "done, then the right status with a body that is not JSON",
    "accepted-then-reset": "done, then the connection is reset",
    "accepted-then-timeout": "done, then silence for seconds=, and the connection closes",
    "accepted-then-truncated": "done, then an answer that is cut short",
    "late-then-500": "500 at once, and done seconds= later all the same",
    "late-then-reset": "the connection is reset at once, and done seconds= later all the same",
    "hole": "with on=list: the page leaves out the thread in its middle",
    "repeated-item": "with on=list: the page shows its last thread twice",
    "unreadable-item": "with on=list: the page shows no object for its last thread",
    "no-has-more": "with on=list: the page does not say whether there are more",
}
_ACCEPTED = "accepted-then-"
_LATE = "late-then-"
LIST_FAULT_KINDS = ("hole", "repeated-item", "unreadable-item", "no-has-more")
"""Those that only a page of the list can have, with on=list."""

_GATEWAY_PAGE = (
    b"<html>\n<head><title>502 Bad Gateway</title></head>\n"
    b"<body><center><h1>502 Bad Gateway</h1></center></body>\n</html>\n"
)
_CODES = {
    "400": "VALIDATION_ERROR",
    "401": "AUTHENTICATION_ERROR",
    "403": "ACCESS_DENIED",
    "404": "DOES_NOT_EXIST",
    "408": "REQUEST_TIMEOUT",
    "409": "CONFLICT_STATE",
    "413": "PAYLOAD_TOO_LARGE",
    "415": "UNSUPPORTED_MEDIA_TYPE",
    "429": "TOO_MANY_REQUESTS",
    "500": "INTERNAL_ERROR",
    "503": "REMOTE_SERVICE_UNAVAILABLE",
    "504": "GATEWAY_TIMEOUT",
}
_MESSAGE = "A fault that this emulator was told to make"
_ON = ("compose", "reply", "folders", "list", "any")
_INTERVALS = ("MIN", "HOUR", "DAY")
_TIMED = ("timeout", "accepted-then-timeout", "slow", "late-then-500", "late-then-reset")
_KEYS = ("kind", "on", "every", "at", "after", "times", "seconds", "interval", "retry_after")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Which calls go wrong and how; `parse_fault` makes and checks it."""

    kind: str
    on: str = "compose"
    every: int | None = None
    at: tuple[int, ...] = ()
    after: int = 0
    times: int | None = None
    seconds: float = 30.0
    interval: str | None = None
    retry_after: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in FAULT_KINDS or self.on not in _ON:
            raise ValueError(f"There is no fault of kind {self.kind!r} on {self.on!r}.")

    def hits(self, number: int) -> bool:
        """Say whether the call with this number, counted from 1, is one to hit."""
        counted = number - self.after
        if counted < 1:
            return False
        if self.every is not None:
            return counted % self.every == 0
        return not self.at or counted in self.at


def parse_fault(text: str) -> Fault:
    """Read a fault from its text form.

    Raises `ValueError` with a sentence that says what is wrong and what would be right.
    """
    pairs: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name not in _KEYS:
            said = f"is not one of {'=, '.join(_KEYS)}="
            if part.strip() in FAULT_KINDS:
                said = f"is a kind: write kind={part.strip()}"
            raise _wrong(text, f"{part.strip()!r} {said}")
        if name in pairs:
            raise _wrong(text, f"{name}= is given twice")
        pairs[name] = value
    _check_company(text, pairs)

    def read(name: str, convert: Callable[[str], _Value | None], right: str) -> _Value | None:
        if name not in pairs:
            return None
        value = convert(pairs[name])
        if value is None:
            raise _wrong(text, f"{name}={pairs[name]} is wrong: {right} is right")
        return value

    return Fault(
        kind=read("kind", _one_of(tuple(FAULT_KINDS)), "one of " + ", ".join(FAULT_KINDS)) or "",
        on=read("on", _one_of(_ON), "one of " + ", ".join(_ON)) or "compose",
        every=read("every", _positive, "a whole number from 1 up"),
        at=read("at", _numbers, "whole numbers from 1 up with + between, as in 1+5+9,") or (),
        after=read("after", _whole, "a whole number from 0 up") or 0,
        times=read("times", _positive, "a whole number from 1 up"),
        seconds=_or(read("seconds", _seconds, "a number of seconds from 0 up"), 30.0),
        interval=read("interval", _one_of(_INTERVALS), "one of " + ", ".join(_INTERVALS)),
        retry_after=read("retry_after", _whole, "a whole number of seconds"),
    )


def _check_company(text: str, pairs: Mapping[str, str]) -> None:
    """Refuse keys that say nothing together."""
    kind = pairs.get("kind")
    if kind is None:
        raise _wrong(text, f"kind= is missing: one of {', '.join(FAULT_KINDS)} is right")
    if "every" in pairs and "at" in pairs:
        raise _wrong(text, "either every= or at= can be given, not both")
    if "seconds" in pairs and kind not in _TIMED:
        raise _wrong(text, f"seconds= goes with the kinds {', '.join(_TIMED)} only")
    if kind in LIST_FAULT_KINDS and pairs.get("on") != "list":
        raise _wrong(text, f"kind={kind} goes with on=list only")
    for name in ("interval", "retry_after"):
        if name in pairs and kind != "429":
            raise _wrong(text, f"{name}= goes with kind=429 only")


def _wrong(text: str, what: str) -> ValueError:
    return ValueError(f"The fault {text!r} cannot be used: {what}.")


def _or(value: _Value | None, default: _Value) -> _Value:
    return default if value is None else value


def _one_of(allowed: Sequence[str]) -> Callable[[str], str | None]:
    return lambda text: text if text in allowed else None


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _positive(text: str) -> int | None:
    return _whole(text) or None


def _numbers(text: str) -> tuple[int, ...] | None:
    numbers = [_positive(part) for part in text.split("+")]
    known = tuple(number for number in numbers if number is not None)
    return known if len(known) == len(numbers) else None


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


class FaultPlan:
    """The faults of a running emulator and how many calls each has counted and hit."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._lock = threading.Lock()
        self.replace(faults)

    def replace(self, faults: Sequence[Fault]) -> None:
        """Take other faults, and count from the beginning."""
        with self._lock:
            self._faults = tuple(faults)
            self._hits = [0] * len(self._faults)
            self._seen = dict.fromkeys(_ON, 0)

    def choose(self, group: str | None) -> Fault | None:
        """Count a call and give the fault that hits it; `group` of `None` is no known call."""
        with self._lock:
            self._seen["any"] += 1
            if group is not None:
                self._seen[group] += 1
            for i, fault in enumerate(self._faults):
                spent = fault.times is not None and self._hits[i] >= fault.times
                if fault.on in ("any", group) and not spent and fault.hits(self._seen[fault.on]):
                    self._hits[i] += 1
                    return fault
        return None


def is_carried_out(fault: Fault) -> bool:
    """Say whether a call that this fault hits is carried out before it goes wrong."""
    return fault.kind.startswith(_ACCEPTED) or fault.kind in ("slow", *LIST_FAULT_KINDS)


def is_late(fault: Fault) -> bool:
    """Say whether a call that this fault hits is carried out after it was answered."""
    return fault.kind.startswith(_LATE)


def refusal(fault: Fault) -> Answer:
    """Answer a call that a fault hits, where nothing was done yet."""
    if fault.kind == "incorrect-recipients":
        return error_answer(409, "INCORRECT_RECIPIENTS", _MESSAGE)
    if fault.kind == "redirect":
        # A client that follows it makes a GET of its POST, and gets a 200 for it.
        headers = {"Location": "/api/v1/message-threads?limit=1"}
        return Answer(302, b"", headers=headers)
    return _failure(fault, fault.kind.removeprefix(_LATE))


def garbled(fault: Fault, answer: Answer) -> Answer:
    """Spoil the answer to a call that was carried out."""
    kind = fault.kind.removeprefix(_ACCEPTED)
    if kind == "slow":
        return replace(answer, delay_s=fault.seconds)
    if kind == "empty":
        return replace(answer, body=b"")
    if kind == "no-id":
        return replace(answer, body=_without_ids(answer.body))
    if kind == "not-json":
        return replace(answer, body=b"OK: your message is on its way")
    if kind in LIST_FAULT_KINDS:
        return replace(answer, body=_spoiled_page(kind, answer.body))
    if kind == "truncated":
        return replace(answer, ending="truncated")
    return _failure(fault, kind)


def _failure(fault: Fault, kind: str) -> Answer:
    if kind == "reset":
        return Answer(0, b"", ending="reset")
    if kind == "timeout":
        return Answer(0, b"", ending="silent", delay_s=fault.seconds)
    if kind == "502-html":
        return Answer(502, _GATEWAY_PAGE, content_type="text/html")
    payload: Json = None
    if kind == "400":
        payload = {"text": {"code": "INVALID_VALUE", "message": _MESSAGE}}
    elif fault.interval is not None:
        payload = {"interval": fault.interval}
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return error_answer(int(kind), _CODES[kind], _MESSAGE, payload=payload, headers=headers)


def _without_ids(body: bytes) -> bytes:
    value = json.loads(body)
    for thread in value.get("items", [value]):
        thread.pop("id")
    return json.dumps(value).encode()


def _spoiled_page(kind: str, body: bytes) -> bytes:
    page = json.loads(body)
    items = page["items"]
    if kind == "no-has-more":
        del page["has_more"]
    elif kind == "hole":
        del items[len(items) // 2 : len(items) // 2 + 1]
    elif kind == "repeated-item":
        items += items[-1:]
    else:
        items[-1:] = ["?"] * len(items[-1:])
    return json.dumps(page).encode()
