"""The bodies of the POST calls: checked field by field, all problems at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from runner.emulator.answers import FieldError, Json, bad_request, invalid
from runner.emulator.filters import filter_errors
from runner.emulator.times import TIME_FORM, parse_microseconds

FOLDERS = ("INBOX", "OUTBOX", "AUTOMATIC_NOTIFICATION", "IMPORTANT", "UNREAD")
MAX_RECIPIENTS = 100
MAX_SEED = 10_000_000

_SELECT_TYPES = ("DIRECT", "FILTER", "ALL")
_COMPOSE = (
    *("topic", "text", "recipients_select_type"),
    *("recipients_ids", "recipients_filter", "answerable"),
)
_STARTERS = ("requester", "toloker")
_LANGUAGE = re.compile(r"[A-Z]{2}")
_ID = re.compile(r"[^\s\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compose:
    """A compose form that passed every check; recipients are without duplicates."""

    topic: Mapping[str, str]
    text: Mapping[str, str]
    select_type: str
    recipients_ids: tuple[str, ...] = ()
    recipients_filter: Json = None
    answerable: bool


@dataclass(frozen=True, slots=True)
class TolokerAnswer:
    """A Toloker's answer that passed every check."""

    thread_id: str
    toloker_id: str
    text: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Put:
    """A thread that is put in by hand; without `created_ms` it is of now."""

    form: Compose
    by_toloker: bool
    created_ms: int | None


@dataclass(frozen=True, slots=True)
class Seed:
    """How many threads are put in at once, and who began them."""

    count: int
    by_toloker: bool


def parse_compose(body: Json) -> Compose:
    """Check a compose form; raises `Refused` with everything that is wrong."""
    form = _as_object(body)
    errors = [
        *_unknown_fields(form, _COMPOSE),
        *_text_errors(form, "topic"),
        *_text_errors(form, "text"),
        *_recipients_errors(form),
        *_answerable_errors(form.get("answerable")),
    ]
    if errors:
        raise invalid(errors)
    return Compose(
        topic=_texts(form.get("topic")),
        text=_texts(form.get("text")),
        select_type=str(form["recipients_select_type"]),
        recipients_ids=tuple(dict.fromkeys(_strings(form.get("recipients_ids")))),
        recipients_filter=form.get("recipients_filter"),
        answerable=form["answerable"] is True,
    )


def parse_reply(body: Json) -> Mapping[str, str]:
    """Check a reply and take its text out of it; raises `Refused`."""
    form = _as_object(body)
    errors = [*_unknown_fields(form, ("text",)), *_text_errors(form, "text")]
    if errors:
        raise invalid(errors)
    return _texts(form.get("text"))


def parse_folders(body: Json) -> tuple[str, ...]:
    """Check the body of a folders call and take the names out of it; raises `Refused`."""
    form = _as_object(body)
    folders = form.get("folders")
    errors = [*_unknown_fields(form, ("folders",)), *_list_errors(folders, "folders")]
    if isinstance(folders, list):
        errors += [
            FieldError(
                f"folders.{i}", "UNKNOWN_ENUM_VALUE", f"one of {', '.join(FOLDERS)} expected"
            )
            for i, name in enumerate(folders)
            if name not in FOLDERS
        ]
    if errors:
        raise invalid(errors)
    return tuple(dict.fromkeys(_strings(folders)))


def parse_toloker_answer(body: Json) -> TolokerAnswer:
    """Check the body of the control call that lets a Toloker answer; raises `Refused`."""
    form = _as_object(body)
    errors = [
        *_unknown_fields(form, ("thread_id", "toloker_id", "text")),
        *_id_errors(form.get("thread_id"), "thread_id"),
        *_id_errors(form.get("toloker_id"), "toloker_id"),
        *_text_errors(form, "text"),
    ]
    if errors:
        raise invalid(errors)
    return TolokerAnswer(str(form["thread_id"]), str(form["toloker_id"]), _texts(form.get("text")))


def parse_put(body: Json) -> Put:
    """Check the body of the control call that puts a thread; raises `Refused`."""
    form = _as_object(body)
    created, starter = form.get("created"), form.get("from", _STARTERS[0])
    errors = list(_starter_errors(starter))
    created_us = parse_microseconds(created) if isinstance(created, str) else None
    if created is not None and created_us is None:
        errors.append(FieldError("created", "INVALID_DATE_TIME_SYNTAX", f"{TIME_FORM} expected"))
    by_toloker = starter == "toloker"
    if by_toloker and len(_strings(form.get("recipients_ids"))) != 1:
        message = "the one Toloker who starts it expected"
        errors.append(FieldError("recipients_ids", "INVALID_VALUE", message))
    if errors:
        raise invalid(errors)
    rest = {name: value for name, value in form.items() if name not in ("created", "from")}
    created_ms = None if created_us is None else created_us // 1000
    return Put(parse_compose(rest), by_toloker, created_ms)


def parse_seed(body: Json) -> Seed:
    """Check the body of the control call that puts many threads; raises `Refused`."""
    form = _as_object(body)
    count, starter = form.get("count"), form.get("from", _STARTERS[0])
    errors = [*_unknown_fields(form, ("count", "from")), *_starter_errors(starter)]
    whole = isinstance(count, int) and not isinstance(count, bool)
    if not isinstance(count, int) or not whole or not 1 <= count <= MAX_SEED:
        expected = f"a whole number from 1 to {MAX_SEED} expected"
        errors.append(FieldError("count", "VALUE_OUT_OF_BOUNDS", expected))
        raise invalid(errors)
    if errors:
        raise invalid(errors)
    return Seed(count, starter == "toloker")


def _starter_errors(starter: Json) -> Iterator[FieldError]:
    if starter not in _STARTERS:
        yield FieldError("from", "UNKNOWN_ENUM_VALUE", f"one of {', '.join(_STARTERS)} expected")


def _as_object(body: Json) -> Mapping[str, Json]:
    if not isinstance(body, Mapping):
        raise bad_request("A JSON object is expected as the body")
    return body


def _texts(value: Json) -> Mapping[str, str]:
    members = value if isinstance(value, Mapping) else {}
    return {name: text for name, text in members.items() if isinstance(text, str)}


def _strings(value: Json) -> list[str]:
    members = value if isinstance(value, list) else []
    return [member for member in members if isinstance(member, str)]


def _unknown_fields(form: Mapping[str, Json], known: Collection[str]) -> Iterator[FieldError]:
    for name in sorted(form.keys() - set(known)):
        yield FieldError(name, "VALUE_NOT_ALLOWED", "unknown field")


def _text_errors(form: Mapping[str, Json], name: str) -> Iterator[FieldError]:
    value = form.get(name)
    if value is None:
        yield FieldError(name, "VALUE_REQUIRED", "a text in at least one language expected")
    elif not isinstance(value, Mapping):
        yield FieldError(name, "OBJECT_EXPECTED", "an object of texts by language expected")
    elif not value:
        yield FieldError(name, "EMPTY_OBJECT_NOT_ALLOWED", "at least one language expected")
    else:
        for language, text in value.items():
            yield from _language_errors(language, text, f"{name}.{language}")


def _language_errors(language: str, text: Json, at: str) -> Iterator[FieldError]:
    if not _LANGUAGE.fullmatch(language):
        yield FieldError(at, "PATTERN_MISMATCH", "two upper-case letters expected as the language")
    if not isinstance(text, str):
        yield FieldError(at, "STRING_EXPECTED", "a string expected")
    elif not text.strip():
        yield FieldError(at, "BLANK_STRING_NOT_ALLOWED", "a blank text is not allowed")


def _recipients_errors(form: Mapping[str, Json]) -> Iterator[FieldError]:
    kind = form.get("recipients_select_type")
    ids, tree = form.get("recipients_ids"), form.get("recipients_filter")
    if kind is None:
        yield FieldError("recipients_select_type", "VALUE_REQUIRED", "a value expected")
    elif kind not in _SELECT_TYPES:
        expected = f"one of {', '.join(_SELECT_TYPES)} expected"
        yield FieldError("recipients_select_type", "UNKNOWN_ENUM_VALUE", expected)
    if kind == "DIRECT" or (ids is not None and kind not in _SELECT_TYPES):
        yield from _ids_errors(ids)
    elif ids is not None:
        yield FieldError("recipients_ids", "VALUE_NOT_ALLOWED", "only DIRECT takes ids")
    if kind == "FILTER" or (tree is not None and kind not in _SELECT_TYPES):
        yield from _filter_errors(tree)
    elif tree is not None:
        yield FieldError("recipients_filter", "VALUE_NOT_ALLOWED", "only FILTER takes a filter")


def _filter_errors(tree: Json) -> Iterator[FieldError]:
    if tree is None:
        yield FieldError("recipients_filter", "VALUE_REQUIRED", "FILTER needs a filter")
    else:
        yield from filter_errors(tree, "recipients_filter")


def _ids_errors(ids: Json) -> Iterator[FieldError]:
    yield from _list_errors(ids, "recipients_ids")
    if not isinstance(ids, list):
        return
    if len(ids) > MAX_RECIPIENTS:
        limit = f"at most {MAX_RECIPIENTS} recipients allowed, {len(ids)} given"
        yield FieldError("recipients_ids", "ARRAY_SIZE_GREATER_THAN_MAX", limit)
    for i, member in enumerate(ids):
        yield from _id_errors(member, f"recipients_ids.{i}")


def _list_errors(value: Json, name: str) -> Iterator[FieldError]:
    if value is None:
        yield FieldError(name, "VALUE_REQUIRED", "a list expected")
    elif not isinstance(value, list):
        yield FieldError(name, "ARRAY_EXPECTED", "a list expected")
    elif not value:
        yield FieldError(name, "ARRAY_SIZE_LESS_THAN_MIN", "at least one member expected")


def _id_errors(value: Json, at: str) -> Iterator[FieldError]:
    if value is None:
        yield FieldError(at, "VALUE_REQUIRED", "an id expected")
    elif not isinstance(value, str):
        yield FieldError(at, "STRING_EXPECTED", "a string expected")
    elif not _ID.fullmatch(value):
        yield FieldError(at, "PATTERN_MISMATCH", "an id without white space expected")


def _answerable_errors(value: Json) -> Iterator[FieldError]:
    if value is None:
        yield FieldError("answerable", "VALUE_REQUIRED", "true or false expected")
    elif not isinstance(value, bool):
        yield FieldError("answerable", "BOOLEAN_EXPECTED", "true or false expected")
