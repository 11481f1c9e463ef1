"""Which rules are not as they were at a commit: they decide more than any text.

A rule is a setting, a waiver, a suppressed Toloker, and whatever of a message is not shown with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from types import NoneType
from typing import cast

from runner.base.commit import Base
from runner.config import Config
from runner.errors import MessagesError, Pointer
from runner.paths import CONFIG_NAME
from runner.spec.datafile import DEFAULT_COLUMN
from runner.spec.given import is_given
from runner.spec.idlist import load_ids
from runner.spec.specs import TEXT_SHAPE, MessageSpec
from runner.spec.yamlfile import YamlFile, parse_yaml
from runner.wording import plural, quoted, shown

# What a plan shows of a message itself, and as a difference.
_SHOWN_WITH_IT = (
    *(
        "topic",
        "text",
        "variables",
        "recipients_ids",
        "recipients_filter",
        "recipients_select_type",
    ),
    *("recipients_file", "recipients_column", "recipients_from", "for_each", "answerable"),
    *("reply_to", "only_answered", "thread_id"),
)
_FEW = 5
_Values = Mapping[str, object]
_Change = tuple[Pointer, object, object]


def find_changed_rules(
    base: Base, config: Config, specs: Iterable[MessageSpec], suppressed: Collection[str]
) -> Iterator[str]:
    """Say which rules of the configuration, of messages and of suppression are not as in `base`.

    `suppressed` are the Tolokers who are now, case folded.
    """
    file = config.file
    path = Path(file.path) if file else config.project / CONFIG_NAME
    was = _values(base.read([path]).get(path, b""))
    for pointer, before, now in _changes(was, config.data):
        yield f"{_place(path, file, pointer)}: {_words(pointer, before, now)}"
    yield from _changed_suppression(base, config.project, was, suppressed)
    known = {Path(spec.source): spec for spec in specs if not is_given(spec.source)}
    stored = base.read([changed for changed, _ in base.changed(known)])
    for changed, spec in known.items():
        if changed in stored or base.find(changed) is None:
            yield from _changed_in(spec, stored.get(changed))


def _changed_in(spec: MessageSpec, stored: bytes | None) -> Iterator[str]:
    """Say what has changed in a message; of a new one, what it waives."""
    now = cast("_Values", spec.file.data)
    was = _values(stored or b"")
    for pointer, before, after in _changes(was, now):
        if pointer[0] == "lint" or (stored is not None and pointer[0] not in _SHOWN_WITH_IT):
            is_waiver = pointer[0] == "lint" and after is not None
            said = f"waives {pointer[-1]}: {quoted(after)}" if is_waiver else ""
            where = _place(Path(spec.source), spec.file, pointer)
            yield f"{where}: {said or _words(pointer, before, after)}"


def _changed_suppression(
    base: Base, project: Path, was: _Values, suppressed: Collection[str]
) -> Iterator[str]:
    given = was.get("suppress")
    listed = given if isinstance(given, list) else [given]
    names = [each for each in listed if isinstance(each, str)]
    column = str(was.get("suppress_column", DEFAULT_COLUMN))
    before: set[str] = set()
    for path, content in base.read([project / name for name in names]).items():
        before.update(map(str.casefold, _ids(path, content, column)))
    for ids, verb in (
        (before - set(suppressed), "taken off"),
        (set(suppressed) - before, "put on"),
    ):
        few = ", ".join(sorted(ids)[:_FEW]) + (", …" if len(ids) > _FEW else "")
        if ids:
            yield f"{plural(len(ids), 'Toloker')} {verb} the suppression list: {few}"


def _ids(path: Path, content: bytes, column: str) -> tuple[str, ...]:
    """Read a list of ids as it was; none where it could not be read then."""
    with TemporaryDirectory(prefix="message-runner-") as folder, suppress(MessagesError):
        copy = Path(folder, path.name)
        copy.write_bytes(content)
        return load_ids(copy, column, odd=None)[0]
    return ()


def _values(raw: bytes) -> _Values:
    """What a file said, a message or the configuration; nothing where it could not be read then."""
    with suppress(MessagesError, UnicodeDecodeError):
        return _mapping(parse_yaml(raw.decode("utf-8-sig"), "", TEXT_SHAPE).data)
    return {}


def _mapping(value: object) -> _Values:
    return value if isinstance(value, Mapping) else {}


def _changes(was: _Values, now: _Values, above: Pointer = ()) -> Iterator[_Change]:
    """Each value below that is another one; None is not there."""
    for name in dict.fromkeys((*now, *was)):
        before, after = was.get(name), now.get(name)
        # A value that takes the place of others, or the other way round, is told with them.
        if all(isinstance(each, (Mapping, NoneType)) for each in (before, after)):
            yield from _changes(_mapping(before), _mapping(after), (*above, name))
        elif before != after:
            yield (*above, name), before, after


def _words(pointer: Pointer, before: object, after: object) -> str:
    name = ".".join(map(str, pointer))
    if pointer == ("draft",) and not after:
        return "it is no draft any more"
    if after is None:
        return f"{name} is gone, it was {_value(before)}"
    return f"{name}: {_value(after)}, " + ("new" if before is None else f"it was {_value(before)}")


def _value(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(quoted, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_value(each)}" for name, each in value.items()) + "}"
    return str(value) if isinstance(value, Decimal) else quoted(value)


def _place(path: Path, file: YamlFile | None, pointer: Pointer) -> str:
    return f"{shown(path)}:{file.place(pointer).line}" if file else shown(path)
