"""What each kind of fault makes of a call: a refusal, or an answer that is lost or garbled."""

from __future__ import annotations

import json
from dataclasses import replace

from runner.emulator.answers import Answer, Json, error_answer
from runner.emulator.faults import ACCEPTED, Fault

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


def is_carried_out(fault: Fault) -> bool:
    """Say whether a call that this fault hits is carried out before it goes wrong."""
    return fault.kind.startswith(ACCEPTED) or fault.kind == "slow"


def refusal(fault: Fault) -> Answer:
    """Answer a call that a fault hits before anything is done."""
    if fault.kind == "incorrect-recipients":
        return error_answer(409, "INCORRECT_RECIPIENTS", _MESSAGE)
    if fault.kind == "redirect":
        # A client that follows it makes a GET of its POST, and gets a 200 for it.
        headers = {"Location": "/api/v1/message-threads?limit=1"}
        return Answer(302, b"", headers=headers)
    return _failure(fault, fault.kind)


def garbled(fault: Fault, answer: Answer) -> Answer:
    """Spoil the answer to a call that was carried out."""
    kind = fault.kind.removeprefix(ACCEPTED)
    if kind == "slow":
        return replace(answer, delay_s=fault.seconds)
    if kind == "empty":
        return replace(answer, body=b"")
    if kind == "no-id":
        return replace(answer, body=_without_ids(answer.body))
    if kind == "not-json":
        return replace(answer, body=b"OK: your message is on its way")
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
