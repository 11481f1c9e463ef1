"""What Toloka's answers mean: total functions from status and body to values, without I/O.

Facts come from Toloka's OpenAPI description and its rate-limit page; where they are silent an
answer counts as unknown, because a message that may have been sent must not be sent again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import cast

from runner import clock
from runner.model import Answer, Busy, NoRecipients, Post, Rejected, Sent, Texts, Thread, Unknown

_MAX_DETAIL = 500
_THREAD_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def classify(status: int, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Decide what an answer to a compose means. Total: every status and body has an outcome."""
    data = json_of(body)
    if 200 <= status < 300:
        thread = thread_of(data)
        return Sent(thread) if thread else Unknown(f"HTTP {status} without a thread id")
    code, detail, fields = _complaint(status, data)
    if status == 429:
        return Busy(_interval(data), _retry_after_s(headers.get("Retry-After")), detail)
    if 300 <= status < 500 and status != 408:
        if code == "INCORRECT_RECIPIENTS":
            return NoRecipients(detail)
        return Rejected(status=status, code=code, detail=detail, fields=fields)
    return Unknown(detail)


def refusal_of_credentials(status: int, body: bytes) -> str:
    """Say that the token was refused, in the words of a run that stops for it."""
    code, _, _ = _complaint(status, json_of(body))
    return f"Toloka refused the token (HTTP {status}, {code or 'no code'})"


def is_thread_id(text: str) -> bool:
    """Whether a text is safe to keep, to print and to put into a path as a thread id."""
    return _THREAD_ID.fullmatch(text) is not None


def thread_of(data: object) -> Thread | None:
    """Read a thread from an answer; None unless it has an id that is safe to keep and to print."""
    if not isinstance(data, dict):
        return None
    thread_id = data.get("id")
    if not isinstance(thread_id, str) or not is_thread_id(thread_id):
        return None
    details = _mapping(data.get("compose_details"))
    ids = details.get("recipients_ids")
    answerable = data.get("answerable")
    account = _account(data.get("interlocutors"))
    return Thread(
        id=thread_id,
        created=_time(data.get("created")),
        topic=_texts(data.get("topic")),
        posts=_posts(data.get("messages"), account),
        answerable=answerable if isinstance(answerable, bool) else None,
        select_type=_string(details.get("recipients_select_type")),
        recipients_ids=tuple(map(str, ids)) if isinstance(ids, list) else (),
        recipients_filter=details.get("recipients_filter"),
        parent_id=_string(data.get("parent_id")),
        account=account,
        folders=tuple(each for each in _list(data.get("folders")) if isinstance(each, str)),
    )


def _posts(messages: object, account: str | None) -> tuple[Post, ...]:
    """Read a thread's messages, which come newest first, into the order they were written in."""
    return tuple(_post(_mapping(each), account) for each in reversed(_list(messages)))


def _post(message: Mapping[str, object], account: str | None) -> Post:
    sender = _mapping(message.get("from"))
    sender_id = _string(sender.get("id"))
    is_ours = sender.get("myself") is True or (account is not None and sender_id == account)
    return Post(
        text=_texts(message.get("text")),
        created=_time(message.get("created")),
        sender=sender_id,
        is_ours=is_ours,
    )


def _account(interlocutors: object) -> str | None:
    for each in _list(interlocutors):
        if isinstance(each, dict) and each.get("myself") is True:
            return _string(each.get("id"))
    return None


def _complaint(status: int, data: object) -> tuple[str | None, str, Mapping[str, str]]:
    """The code, one plain line, and the words for each field of an error body."""
    body = _mapping(data)
    code = _string(body.get("code"))
    fields = {
        plain(str(path)): plain(str(_mapping(said).get("message") or said))
        for path, said in _mapping(body.get("payload")).items()
        if isinstance(said, dict)
    }
    said = _string(body.get("message")) or "no explanation"
    detail = f"HTTP {status} {code or ''}".strip() + f": {said}"
    detail += "".join(f"; {path}: {words}" for path, words in fields.items())
    return (plain(code) if code else None), plain(detail), fields


def _interval(data: object) -> str:
    interval = _mapping(_mapping(data).get("payload")).get("interval")
    return interval if interval in ("MIN", "HOUR", "DAY") else ""


def _retry_after_s(value: str | None) -> float | None:
    """Read `Retry-After`, seconds or a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    if value.strip().isdecimal() and len(value.strip()) < 10:
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - clock.now()).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def json_of(body: bytes) -> object:
    """Read a body; None for what is not JSON."""
    try:
        return cast("object", json.loads(body))
    except (ValueError, RecursionError):
        return None


def plain(text: str) -> str:
    """Bring a text from outside into one bounded line without control characters."""
    line = "".join(char if char.isprintable() else " " for char in text[: _MAX_DETAIL * 2])
    return " ".join(line.split())[:_MAX_DETAIL]


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _time(value: object) -> str:
    """A time as Toloka writes it; empty for anything that is none."""
    try:
        clock.read(str(value))
    except ValueError:
        return ""
    return str(value)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: object) -> Texts:
    pairs = _mapping(value).items()
    return {language: text for language, text in pairs if isinstance(text, str)}
