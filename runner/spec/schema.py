"""The JSON Schemas, and everything that is wrong with a message or a configuration by them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from datetime import datetime
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner import clock
from runner.errors import Fault
from runner.spec.columns import find_column_faults
from runner.spec.holds import Test, compiled
from runner.spec.sentences import (
    BUILT_IN_TARGETS,
    MAX_FAULTS,
    Data,
    breaches_in,
    keys_ruled_out,
    translated,
)
from runner.toloka.filter_table import is_code, is_template
from runner.toloka.filters import find_filter_faults
from runner.toloka.ids import ID_HINT, why_no_id
from runner.wording import either, kind, nearest, quoted

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

SCHEMA_NAMES = ("message", "config", "manifest", "results")

_LOOKS = (
    'a message looks like this: topic: {EN: "Hello"}, text: {EN: "Thank you!"}, '
    "recipients_select_type: DIRECT, recipients_ids: [1ad097faba0eff85a04fe30bc04d53db]"
)
_WHEN = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})"
)


# In Python `$` allows a line end after it; in the schema's language it does not.
_END = re.compile(r'\$(?=["|)])')
# jsonschema does not say where a `false` was; of what is `not` anything it does.
_NEVER = re.compile(r'(?<!additionalProperties)": false')

Checks = tuple[tuple[Set[str], Callable[[Data], Iterable[Fault]]], ...]
"""What Python checks where one of these keys is there."""


@cache
def schema_text(name: str) -> str:
    """Read the schema of that name, one of `SCHEMA_NAMES`, as it is in its file."""
    if name not in SCHEMA_NAMES:
        raise KeyError(name)
    file = f"{name}.schema.json"
    here = Path(__file__).resolve().parent.parent
    # A wheel carries the schemas inside the package; in a checkout they are beside it.
    packed, beside = here / "schemas" / file, here.parent / "schemas" / file
    return (packed if packed.is_file() else beside).read_text(encoding="utf-8")


def find_message_faults(data: object) -> list[Fault]:
    """Say everything that is wrong with a message file, read but not yet rendered."""
    if not isinstance(data, Mapping) or not data:
        empty = data is None or data == {}
        return [Fault((), "the file is empty" if empty else f"{kind(data)} is no message", _LOOKS)]
    return _find_faults("message", data, _CHECKS)


def find_config_faults(data: object) -> list[Fault]:
    """Say everything that is wrong with the configuration, where an empty file is right."""
    if data is None:
        return []
    if not isinstance(data, Mapping):
        hint = "write each setting as name: value, such as target: local"
        return [Fault((), f"{kind(data)} is no configuration", hint)]
    return _find_faults("config", data, _CONFIG_CHECKS)


def _find_faults(name: str, data: Any, checks: Checks) -> list[Fault]:
    """What the schema says, in sentences, and what the checks of the keys that are there say.

    Each once, and of each part no more than anybody would read.
    """
    said: Iterable[Fault] = ()
    if not _holds(name)(data):
        breaches = breaches_in(list(islice(_validator(name).iter_errors(data), MAX_FAULTS)))
        said = translated(breaches, data, checked_schema(name)["properties"])
        ruled_out = keys_ruled_out(breaches)
        data = {key: value for key, value in data.items() if key not in ruled_out}
    parts = [said, *(check(data) for keys, check in checks if not keys.isdisjoint(data))]
    return list(dict.fromkeys(fault for part in parts for fault in islice(part, MAX_FAULTS)))


@cache
def _validator(name: str) -> Validator:
    # Importing it takes long, and only what is wrong needs it.
    from jsonschema import Draft7Validator

    return Draft7Validator(checked_schema(name))


@cache
def _holds(name: str) -> Test:
    return compiled(checked_schema(name))


@cache
def checked_schema(name: str) -> Mapping[str, Any]:
    """The schema of that name as it is asked: in Python's words, less what Python checks."""
    text = _END.sub(r"\\\\Z", schema_text(name))
    schema: dict[str, Any] = json.loads(_NEVER.sub('": {"not": {}}', text))
    if name == "message":
        # The checks below say more, and stay quick however much there is: jsonschema compares
        # every item with every other, and knows no limit to nesting.
        schema["properties"]["recipients_filter"] = True
        del schema["properties"]["recipients_ids"]["items"]
        schema["properties"]["columns"] = True
        for keyword in ("uniqueItems", "maxItems"):
            del schema["properties"]["folders"][keyword]
    return schema


def _of_filter(data: Data) -> list[Fault]:
    return find_filter_faults(data["recipients_filter"], rendered=False)


def _of_recipients(data: Data) -> Iterator[Fault]:
    ids = data["recipients_ids"]
    for index, item in enumerate(ids if isinstance(ids, list) else ()):
        at = ("recipients_ids", index)
        if isinstance(item, bool) or not isinstance(item, (str, int, float)):
            yield Fault(at, f"{kind(item)} where a Toloker id should be", ID_HINT)
        elif isinstance(item, str) and not is_template(item) and (why := why_no_id(item)):
            yield Fault(at, f"{quoted(item)} is not an id: {why}", ID_HINT)


def _of_folders(data: Data) -> Iterator[Fault]:
    folders, seen = data["folders"], set()
    for index, item in enumerate(folders if isinstance(folders, list) else ()):
        if isinstance(item, str) and item in seen:
            what = f"{quoted(item)} is in `folders` twice"
            yield Fault(("folders", index), what, "keep one of them")
        elif isinstance(item, str):
            seen.add(item)


def _of_columns(data: Data) -> Iterator[Fault]:
    return find_column_faults(data["columns"])


def _of_languages(data: Data) -> Iterator[Fault]:
    topic, text = data.get("topic"), data.get("text")
    if not (isinstance(topic, Mapping) and isinstance(text, Mapping) and topic and text):
        return
    # A lower-case code has its own complaint; here the language that it means counts.
    topics, texts = {key.upper() for key in topic}, {key.upper() for key in text}
    if topics == texts or not all(map(is_code, topics | texts)):
        return
    gaps = (("text", topics - texts), ("topic", texts - topics))
    said = " and ".join(f"`{name}` has no {', '.join(sorted(gap))}" for name, gap in gaps if gap)
    yield Fault(("text",), said, "write both in the same languages", at_key=True)


def _of_window(data: Data) -> Iterator[Fault]:
    moments: dict[str, datetime] = {}
    for key in ("not_before", "not_after"):
        text = str(data.get(key))
        if not _WHEN.fullmatch(text):
            continue
        try:
            moments[key] = clock.read(text)
        except ValueError:
            hint = "write a date and time that exist, such as 2026-11-30T18:00:00Z"
            yield Fault((key,), f"there is no such time as {quoted(text)}", hint)
    if len(moments) == 2 and moments["not_after"] < moments["not_before"]:
        what = "`not_after` is earlier than `not_before`: the message would never be sent"
        yield Fault(("not_after",), what, "correct one of them, or exchange them")


def _of_target(data: Data) -> Iterator[Fault]:
    target, own = data.get("target"), data.get("targets")
    names = [*BUILT_IN_TARGETS, *(own if isinstance(own, Mapping) else ())]
    if isinstance(target, str) and re.fullmatch(r"[a-z][a-z0-9-]*", target) and target not in names:
        guess = nearest(target, names[:MAX_FAULTS])
        choice = f"write {either(names[:20])}, or define it under `targets`"
        hint = f"did you mean {guess}?" if guess else choice
        yield Fault(("target",), f"there is no target {quoted(target)}", hint)


_CHECKS: Checks = (
    ({"recipients_ids"}, _of_recipients),
    ({"folders"}, _of_folders),
    ({"columns"}, _of_columns),
    ({"topic"}, _of_languages),
    ({"not_before", "not_after"}, _of_window),
    ({"recipients_filter"}, _of_filter),
)
_CONFIG_CHECKS: Checks = (({"target"}, _of_target),)
