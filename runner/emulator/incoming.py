"""A request as the emulator sees it, and the checks that every call has in common."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from email.message import Message
from typing import NoReturn

from runner.emulator.answers import Answer, Json, Refused, bad_request, error_answer

MAX_BODY_BYTES = 1024 * 1024

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
