"""What the emulator says back: an answer as a value, and Toloka's error bodies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from uuid import uuid4

Json: TypeAlias = (
    "Mapping[str, Json] | list[Json] | tuple[Json, ...] | str | int | float | bool | None"
)

JSON_TYPE = "application/json; charset=utf-8"


Ending = Literal["keep", "close", "reset", "silent", "truncated"]
"""What becomes of the connection; `reset` and `silent` end it without any answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, how long after the request it comes, and how the connection ends."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)
    ending: Ending = "keep"
    delay_s: float = 0.0

    @property
    def sent_status(self) -> int | None:
        """The status that the client sees; `None` where it gets no answer."""
        return None if self.ending in ("reset", "silent") else self.status


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field; `path` as in `recipients_filter.and.0.value`."""

    path: str
    code: str
    message: str


class Refused(Exception):
    """Raised to answer with an error; nothing was done."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(f"HTTP {answer.status}")


def json_answer(status: int, value: Json) -> Answer:
    """Answer with a JSON value in UTF-8."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Answer(status, text.encode())


def error_answer(
    status: int,
    code: str,
    message: str,
    *,
    payload: Json = None,
    headers: Mapping[str, str] | None = None,
    ending: Ending = "keep",
) -> Answer:
    """Answer with Toloka's error body; a payload of `None` is left out."""
    body: dict[str, Json] = {"request_id": uuid4().hex, "code": code, "message": message}
    if payload is not None:
        body["payload"] = payload
    text = json.dumps(body, ensure_ascii=False)
    return Answer(status, text.encode(), headers=headers or {}, ending=ending)


def invalid(errors: list[FieldError]) -> Refused:
    """Refuse a request for everything that is wrong with its fields, at once."""
    payload: dict[str, Json] = {}
    for error in errors:
        # The first complaint about a field is the one closest to its cause.
        payload.setdefault(error.path, {"code": error.code, "message": error.message})
    return Refused(error_answer(400, "VALIDATION_ERROR", "Validation failed", payload=payload))


def bad_request(message: str) -> Refused:
    """Refuse a request that is wrong as a whole rather than in one field."""
    return Refused(error_answer(400, "VALIDATION_ERROR", message))


def does_not_exist(message: str) -> Refused:
    """Refuse a call for a thread or a path that is not there."""
    return Refused(error_answer(404, "DOES_NOT_EXIST", message))


def too_many_requests(interval: str, message: str, *, retry_after_s: int | None = None) -> Refused:
    """Refuse a call for a limit; `interval` is MIN, HOUR or DAY."""
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return Refused(
        error_answer(
            429, "TOO_MANY_REQUESTS", message, payload={"interval": interval}, headers=headers
        )
    )
