"""Turns what jsonschema finds into sentences for authors, one for each cause."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from runner.errors import Fault, Pointer
from runner.toloka.filter_table import is_template
from runner.toloka.languages import meant_by
from runner.wording import either, kind, nearest, plain, quoted

if TYPE_CHECKING:
    from jsonschema import ValidationError

Data = Mapping[str, object]

BUILT_IN_TARGETS = ("local", "production", "sandbox", "yandex-tasks")
# Looking for the word that was meant takes time, and a file may hold a hundred thousand mistakes.
MAX_FAULTS = 200
_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}
_FLAGS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_FLAG_WORDS = {**_FLAGS, "true": "true", "false": "false"}
_WHEN_MISSING = {
    "recipients_ids": "DIRECT writes to Tolokers by id: add `recipients_ids` (a list), "
    "`recipients_file` or `recipients_from`",
    "recipients_filter": "FILTER writes to the Tolokers whom a condition selects: add "
    "`recipients_filter`",
    "recipients_select_type": "write DIRECT for a list of ids, FILTER for a condition, or ALL",
    "topic": 'write it per language: topic: {EN: "Thank you!"}',
    "text": 'write it per language: text: {EN: "Amazing job!"}',
    "url": "add url: https://toloka.dev",
    "messages": "write how many messages, such as messages: 3",
    "days": "write in how many days, such as days: 7",
    "message": "write the id of the message whose Tolokers get this one",
}
_OF_ROWS = 'recipients_ids: ["{{ row.toloker_id }}"]'
_FOR_REPLIES = ("topic", "recipients_select_type")
_RECIPIENTS = ("recipients_ids", "recipients_file", "recipients_from", "recipients_filter")


class Breach(NamedTuple):
    """One error of jsonschema's: the keyword that failed, its argument, and the schema around it."""

    at: Pointer
    keyword: str
    limit: Any
    value: Any
    schema: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The value's way from the top, `topic.EN`, without the numbers of list items."""
        return f"`{'.'.join(plain(step) for step in self.at if isinstance(step, str))}`"

    @property
    def hint(self) -> str:
        """What would be right, in the words that editors show too."""
        return str(self.schema.get("errorMessage", ""))


def breaches_in(errors: Iterable[ValidationError]) -> list[Breach]:
    """Take what the sentences need out of the errors."""
    return [
        Breach(
            tuple(error.absolute_path),
            str(error.validator),
            error.validator_value,
            error.instance,
            cast("Mapping[str, Any]", error.schema),
        )
        for error in errors
    ]


def keys_ruled_out(breaches: Iterable[Breach]) -> set[object]:
    """Name the top-level keys that another key rules out: what is below them is no matter."""
    return {breach.at[0] for breach in breaches if breach.keyword == "not"}


def translated(breaches: Iterable[Breach], data: Data, known: Iterable[str]) -> Iterator[Fault]:
    """Turn breaches into faults, without those that only follow from another one.

    `known` are the keys there are at the top.
    """
    breaches = list(breaches)
    ruled_out = keys_ruled_out(breaches)
    meant = _keys_meant(data, known)
    # Where whom it goes to is written for another select type, that is the one complaint.
    needless = set(_RECIPIENTS) if ruled_out & set(_RECIPIENTS) else set()
    for breach in breaches:
        if breach.keyword == "required":
            yield from _missing(breach, data, meant | needless)
        elif breach.keyword == "not":
            yield _ruled_out(breach, data)
        elif breach.at[:1] == () or breach.at[0] not in ruled_out:
            yield from _SENTENCES[breach.keyword](breach)


def _keys_meant(found: Data, known: Iterable[str]) -> set[str]:
    """Guess which missing keys stand there misspelt, and all that would be needless beside them."""
    known = tuple(known)
    unknown = [key for key in found if key not in known]
    guesses = {_meant(key, known, found) for key in unknown[:MAX_FAULTS]} - {None}
    meant = cast("set[str]", guesses)
    if meant & {"reply_to", "thread_id"}:
        meant |= set(_FOR_REPLIES)
    if meant & {"recipients_file", "recipients_from"}:
        meant.add("recipients_ids")
    return meant


def _meant(key: str, known: Iterable[str], found: Data) -> str | None:
    guess = nearest(key, known)
    return guess if guess not in found else None


def _missing(breach: Breach, data: Data, meant: set[str]) -> Iterator[Fault]:
    if breach.at:
        meant = _keys_meant(breach.value, breach.schema["properties"])
    for key in breach.limit:
        if key in breach.value or key in meant:
            continue
        at, hint = breach.at, _WHEN_MISSING[key]
        if key in ("recipients_ids", "recipients_filter"):
            at = ("recipients_select_type",)
        if key == "recipients_ids" and "for_each" in data:
            hint = f"the rows have the ids: write {_OF_ROWS}"
        if key == "recipients_select_type" and "recipients_ids" in data:
            hint = "write recipients_select_type: DIRECT"
        where = f" in {breach.name}" if at == breach.at and at else ""
        yield Fault(at, f"`{key}` is missing{where}", hint)


def _ruled_out(breach: Breach, data: Data) -> Fault:
    key = str(breach.at[0])
    other, hint = _why_ruled_out(key, data)
    return Fault(breach.at, f"`{key}` does not go with {other}", hint, at_key=True)


def _why_ruled_out(key: str, data: Data) -> tuple[str, str]:
    """Say what a key does not go with, and what to do about it."""
    if key == "only_answered":
        return _why_no_choice(data)
    if key == "reply_to":
        return "`thread_id`", "keep one of them: all threads of a message, or one thread"
    if key in ("columns", "when", "key", "languages") and "for_each" not in data:
        return "a message without rows", "remove it, or add `for_each`: a file of rows"
    for reply in ("reply_to", "thread_id"):
        if reply in data:
            return f"`{reply}`", f"remove it, a reply has only `text`; or remove `{reply}`"
    return _why_not_with_select(key, data)


def _why_not_with_select(key: str, data: Data) -> tuple[str, str]:
    select = data.get("recipients_select_type")
    if key == "at_most":
        return str(select), "remove it: whom that reaches, only Toloka knows"
    if select == "FILTER":
        return "FILTER", "write DIRECT to go by ids, or write `recipients_filter` instead"
    if select == "ALL":
        return "ALL", "remove it, or write another type: ALL is everybody who tried your tasks"
    return _why_not_with_direct(key, data)


def _why_no_choice(data: Data) -> tuple[str, str]:
    if "reply_to" in data and "for_each" in data and "thread_id" not in data:
        return "`for_each`", "remove it: the rows say who is answered"
    other = "`thread_id`" if "thread_id" in data else "a new message"
    return other, "remove it: it chooses among the threads of `reply_to`"


def _why_not_with_direct(key: str, data: Data) -> tuple[str, str]:
    if "recipients_from" in data and key != "recipients_filter":
        return "`recipients_from`", "keep one of them: each says whom it goes to"
    return _WITH_DIRECT[key]


_WITH_DIRECT = {
    "recipients_filter": ("DIRECT", "write FILTER to go by a condition, or write ids instead"),
    "recipients_ids": ("`recipients_file`", "keep one of them"),
    "recipients_column": (
        "`recipients_ids`",
        "remove it: it names a column of `recipients_file`",
    ),
    "for_each": (
        "`recipients_file`",
        f"the rows have the ids: write {_OF_ROWS} instead of the file",
    ),
}


def _type(breach: Breach) -> Iterator[Fault]:
    limit = breach.limit
    # A number is allowed beside text only for editors, which read ids of digits as numbers.
    names = [limit] if isinstance(limit, str) else [name for name in limit if name != "number"]
    value = breach.value
    if value is None:
        yield Fault(breach.at, f"{breach.name} has no value", breach.hint)
        return
    shown = quoted(value) if isinstance(value, float) else kind(value)
    what = f"{breach.name} is {shown}, not {either([_KINDS[name] for name in names])}"
    yield Fault(breach.at, what, _hint_on_quotes(breach, names[0]) or breach.hint)


def _hint_on_quotes(breach: Breach, wanted: str) -> str:
    value = breach.value
    if isinstance(value, (list, Mapping)) and breach.at[:1] in (("topic",), ("text",)):
        return f"put the text in quotes, or under `{breach.at[1]}: |`" if len(breach.at) > 1 else ""
    if wanted == "string" and isinstance(value, (bool, int, float)):
        helps = re.search(breach.schema.get("pattern", ""), str(value))
        return "put it in quotes" if helps else ""
    if not isinstance(value, str):
        return ""
    if is_template(value):
        return "this key takes no template"
    if wanted == "boolean":
        text = value.lower()
        plainly = "write true or false" if text not in _FLAG_WORDS else f"write {_FLAG_WORDS[text]}"
        return f"{plainly} without quotes" if text in ("true", "false") else plainly
    is_number = wanted in ("integer", "number") and re.fullmatch(r"-?[0-9]{1,15}", value)
    return f"write {value} without quotes" if is_number else ""


def _enum(breach: Breach) -> Iterator[Fault]:
    value, options = breach.value, [str(option) for option in breach.limit]
    choice = f"write {either(options)}"
    guess = nearest(value, options) if isinstance(value, str) else None
    if guess and guess.casefold() == str(value).casefold():
        choice = f"write {guess}"
    elif guess:
        choice = f"did you mean {guess}? There are {', '.join(options)}"
    yield Fault(breach.at, _cannot_be(breach, quoted(value)), choice)


def _cannot_be(breach: Breach, shown: str) -> str:
    if breach.value is None:
        return f"{breach.name} has no value"
    verb = "hold" if breach.at and isinstance(breach.at[-1], int) else "be"
    return f"{breach.name} cannot {verb} {shown}"


def _pattern(breach: Breach) -> Iterator[Fault]:
    value = str(breach.value)
    # What stands before an @ in an address may be a password.
    shown = "an address with @ in it" if "://" in value and "@" in value else quoted(value)
    what = _cannot_be(breach, shown) if value else f"{breach.name} is empty"
    yield Fault(breach.at, what, breach.hint)


def _range(breach: Breach) -> Iterator[Fault]:
    yield Fault(breach.at, _cannot_be(breach, quoted(breach.value)), breach.hint)


def _empty(breach: Breach) -> Iterator[Fault]:
    yield Fault(breach.at, f"{breach.name} is empty", breach.hint)


def _too_long(breach: Breach) -> Iterator[Fault]:
    what = f"{breach.name} is {len(breach.value)} characters long"
    yield Fault(breach.at, what, breach.hint)


def _unknown(breach: Breach) -> Iterator[Fault]:
    properties, patterns = (breach.schema.get(k) for k in ("properties", "patternProperties"))
    if patterns:
        for key in breach.value:
            if not any(re.search(pattern, key) for pattern in patterns):
                what, hint = _NAMES[str(breach.at[-1])](key)
                yield Fault((*breach.at, key), what, hint, at_key=True)
        return
    known = tuple(properties or ())
    unknown = [key for key in breach.value if key not in known]
    for key in unknown[:MAX_FAULTS]:
        where = f" in {breach.name}" if breach.at else ""
        hint = _hint_on_key(key, known, breach.value)
        yield Fault((*breach.at, key), f"unknown key {quoted(key)}{where}", hint, at_key=True)


def _hint_on_key(key: str, known: tuple[str, ...], found: Data) -> str:
    if guess := _meant(key, known, found):
        return f"did you mean `{guess}`?"
    if again := nearest(key, known):
        return f"remove it: `{again}` is there already"
    return f"the keys are {', '.join(known)}"


def _language(key: str) -> tuple[str, str]:
    meant = meant_by(key)
    hint = f"write {meant}" if meant else "a language is two upper-case letters, such as EN"
    return f"{quoted(key)} is not a language code", hint


def _variable(key: str) -> tuple[str, str]:
    hint = "use letters, digits and _, and no digit first"
    return f"{quoted(key)} cannot be the name of a variable", hint


def _target(key: str) -> tuple[str, str]:
    if key in BUILT_IN_TARGETS:
        return f"the target {key} is built in", f"give yours another name, such as my-{key}"
    hint = "use lower-case letters, digits and -, and a letter first"
    return f"{quoted(key)} cannot be the name of a target", hint


_NAMES: Mapping[str, Callable[[str], tuple[str, str]]] = {
    "topic": _language,
    "text": _language,
    "variables": _variable,
    "targets": _target,
}

_SENTENCES: Mapping[str, Callable[[Breach], Iterator[Fault]]] = {
    "type": _type,
    "enum": _enum,
    "pattern": _pattern,
    "minimum": _range,
    "maximum": _range,
    "exclusiveMinimum": _range,
    "minLength": _empty,
    "minItems": _empty,
    "minProperties": _empty,
    "maxLength": _too_long,
    "additionalProperties": _unknown,
}
