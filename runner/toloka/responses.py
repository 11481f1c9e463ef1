"""What Toloka's answers mean: total functions from status and body to values, without I/O.

Facts come from Toloka's OpenAPI description and its rate-limit page; where they are silent an
answer counts as unknown, because a message that may have been sent must not be sent again.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TypeVar, cast, get_args

from runner import clock
from runner.model import (
    Busy,
    NoRecipients,
    Outcome,
    Post,
    Rejected,
    SelectType,
    Sent,
    Texts,
    Thread,
    Unknown,
)

T = TypeVar("T")
Mask = Callable[[str], str]
"""Takes the token out of a text."""

MAX_WEIGHT = 24 * 1024 * 1024
"""What an answer may weigh by `weight_of`."""

_OF_GATEWAYS = frozenset({401, 403, 404, 405, 407, 421, 451, 495, 496})
_MAX_DETAIL = 500
_MAX_FIELDS = 200
_MAX_DIGITS = 40
_MAX_FILTER_DEPTH = 100
_VALUE_WEIGHT = 64
_THREAD_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_NAME = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,200}")
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_HALF = re.compile(r"[\ud800-\udfff]")


def classify(
    status: int, body: bytes, headers: Mapping[str, str], mask: Mask = lambda text: text
) -> Outcome:
    """Decide what an answer to a compose means. Total: every status and body has an outcome."""
    data = json_of(body)
    if 200 <= status < 300:
        thread = thread_of(data, mask)
        return Sent(thread) if thread else Unknown(f"HTTP {status} without a thread id")
    code, detail, fields = _complaint(status, data, mask)
    if code is None:
        detail = f"HTTP {status}, with an answer that is not Toloka's"
    if status == 429:
        return Busy(_interval(data), _retry_after_s(headers), detail)
    if 300 <= status < 500 and status != 408:
        if code == "INCORRECT_RECIPIENTS":
            return NoRecipients(detail)
        return Rejected(
            status=status, code=code, detail=detail, fields=fields, is_foreign=code is None
        )
    return Unknown(detail)


def reason_to_stop(refused: Rejected, *, is_list: bool = False) -> str:
    """Say why every other call would be refused alike; empty where it would not.

    No gateway has a reason of its own to refuse one list and not another.
    """
    status = refused.status or 0
    if status < 400:
        return f"HTTP {status}, a redirect, which is not followed: correct the target's URL"
    if refused.is_foreign and (is_list or status in _OF_GATEWAYS):
        return f"{refused.detail}: correct the target's URL, or see what is on the way to it"
    if status in (401, 403):
        return f"Toloka refused the token (HTTP {status}, {refused.code})"
    return ""


def is_thread_id(text: str) -> bool:
    """Whether a text is safe to keep, to print and to put into a path as a thread id."""
    return _THREAD_ID.fullmatch(text) is not None


def thread_of(data: object, mask: Mask = lambda text: text) -> Thread | None:
    """Read a thread from an answer; None unless it has an id that is safe to keep and to print.

    Texts of ours stay as they are, because they are compared and never printed.
    """
    if not isinstance(data, dict):
        return None
    thread_id = _name(data.get("id"), mask)
    if thread_id is None or not is_thread_id(thread_id):
        return None
    details = _typed(data.get("compose_details"), dict)
    answerable = data.get("answerable")
    select_type = _typed(details.get("recipients_select_type"), str)
    people = [_typed(each, dict) for each in _typed(data.get("interlocutors"), list)]
    ours = next((each.get("id") for each in people if each.get("myself") is True), None)
    account = _name(ours, mask)
    # The newest comes first there.
    posts = reversed(_typed(data.get("messages"), list))
    tree = details.get("recipients_filter")
    return Thread(
        id=thread_id,
        created=_time(data.get("created")),
        topic=_texts(data.get("topic")),
        posts=tuple(_post(_typed(each, dict), account, mask) for each in posts),
        answerable=answerable if isinstance(answerable, bool) else None,
        select_type=select_type if select_type in get_args(SelectType) else None,
        recipients_ids=_names(details.get("recipients_ids"), mask),
        recipients_filter=None if tree is None or not _is_sound(tree) else tree,
        tolokers=_names([each.get("id") for each in people if each.get("role") == "USER"], mask),
        parent_id=_name(data.get("parent_id"), mask),
        account=account,
        folders=_names(data.get("folders"), mask),
    )


def _post(message: Mapping[str, object], account: str | None, mask: Mask) -> Post:
    sender = _typed(message.get("from"), dict)
    sender_id = _name(sender.get("id"), mask)
    is_ours = sender.get("myself") is True or (account is not None and sender_id == account)
    text = _texts(message.get("text"))
    return Post(
        text=text if is_ours else {mask(each): mask(said) for each, said in text.items()},
        created=_time(message.get("created")),
        sender=sender_id,
        is_ours=is_ours,
        # Toloka itself may have written it.
        is_answer=not is_ours and sender.get("role") not in ("SYSTEM", "ADMINISTRATOR"),
    )


def _complaint(status: int, data: object, mask: Mask) -> tuple[str | None, str, Mapping[str, str]]:
    """The code, one plain line, and the words for each field of an error body."""
    body = _typed(data, dict)
    code = plain(_typed(body.get("code"), str), mask) or None
    named = [
        pair for pair in _typed(body.get("payload"), dict).items() if isinstance(pair[1], dict)
    ]
    fields = {
        plain(path, mask): plain(_words(_typed(said, dict)), mask)
        for path, said in named[:_MAX_FIELDS]
    }
    said = _typed(body.get("message"), str) or "no explanation"
    detail = f"HTTP {status} {code or ''}".strip() + f": {plain(said, mask)}"
    detail += "".join(f"; {path}: {words}" for path, words in fields.items())
    return code, plain(detail), fields


def _words(said: Mapping[str, object]) -> str:
    return _typed(said.get("message"), str) or _typed(said.get("code"), str) or "refused"


def _interval(data: object) -> str:
    interval = _typed(_typed(data, dict).get("payload"), dict).get("interval")
    return interval if interval in ("MIN", "HOUR", "DAY") else ""


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After`: seconds, or a date (RFC 9110, 10.2.3), which goes by the server's own."""
    value, date = headers.get("Retry-After", "").strip(), headers.get("Date")
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        if not date:
            return None
        until, now = map(parsedate_to_datetime, (value, date))
        # In the oldest form, the one of C, a date names no zone.
        wait = until.replace(tzinfo=until.tzinfo or now.tzinfo) - now
        return max(0.0, wait.total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def weight_of(body: bytes) -> int:
    """About how many bytes of memory a JSON text takes once it is read, before it is."""
    return len(body) + _VALUE_WEIGHT * sum(map(body.count, (b",", b"[", b"{")))


def json_of(body: bytes, max_weight: int = MAX_WEIGHT) -> object:
    """Read a body; None for what is not JSON, or too much of it."""
    if weight_of(body) > max_weight:
        return None
    try:
        return cast("object", _DECODER.decode(body.decode()))
    except (ValueError, RecursionError):
        return None


def _integer(text: str) -> int:
    # Reading a number takes the square of its digits, and no id of Toloka's is a number.
    if len(text) > _MAX_DIGITS:
        raise ValueError("too many digits")
    return int(text)


def _fraction(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("no JSON can hold this number")
    return number


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_fraction, parse_constant=_fraction)


def plain(text: str, mask: Mask = lambda text: text) -> str:
    """Bring a text from outside into one bounded line without control characters or the token."""
    # Masked before it is cut: half a token would pass for none.
    text = mask(text[: _MAX_DETAIL * 4])
    line = "".join(char if char.isprintable() else " " for char in text[: _MAX_DETAIL * 2])
    return " ".join(line.split())[:_MAX_DETAIL]


def _typed(value: object, kind: type[T]) -> T:
    """A field's value where it is of the kind that belongs there, else an empty one of it."""
    return value if isinstance(value, kind) else kind()


def _time(value: object) -> str:
    """A time as Toloka writes it; empty for anything that is none, or that nothing can add to."""
    text = value if isinstance(value, str) and len(value) <= _MAX_DIGITS else ""
    try:
        clock.read(text)
    except ValueError:
        return ""
    return text


def _name(value: object, mask: Mask) -> str | None:
    """An id or a code word; None for what cannot be kept and printed, a token included."""
    text = _typed(value, str)
    return text if text and _NAME.fullmatch(text) and mask(text) == text else None


def _names(values: object, mask: Mask) -> tuple[str, ...]:
    texts = [str(each) if type(each) is int else _typed(each, str) for each in _typed(values, list)]
    # Of very many ids it is found out at once that none of them holds the token.
    together = " ".join(texts)
    if mask(together) == together:
        return tuple(text for text in texts if _NAME.fullmatch(text))
    found = (_name(text, mask) for text in texts)
    return tuple(name for name in found if name is not None)


def _texts(value: object) -> Texts:
    """Texts by language. Half a character, which no UTF-8 can hold, becomes a question mark."""
    pairs = _typed(value, dict).items()
    return {
        _HALF.sub("?", each): _HALF.sub("?", text) for each, text in pairs if isinstance(text, str)
    }


def _is_sound(tree: object) -> bool:
    """Whether a filter is no deeper than anybody can have sent, and can be written as UTF-8."""
    level = [tree]
    for _ in range(_MAX_FILTER_DEPTH):
        if any(isinstance(node, str) and _HALF.search(node) for node in level):
            return False
        level = [inner for node in level for inner in _inside(node)]
        if not level:
            return True
    return False


def _inside(node: object) -> list[object]:
    return [*node, *node.values()] if isinstance(node, dict) else _typed(node, list)
