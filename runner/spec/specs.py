"""Spec files to `MessageSpec`s, checked against the schema; every problem of every file at once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from runner import clock, paths
from runner.errors import MessagesError, Place, Problem
from runner.files import read_bounded
from runner.model import ReachedBy, SelectType, Texts
from runner.spec.columns import Column, columns_in
from runner.spec.datafile import DEFAULT_COLUMN
from runner.spec.given import Given, GivenValues, Table
from runner.spec.schema import find_message_faults
from runner.spec.yamlevents import Leaf, Shape
from runner.spec.yamlfile import MAX_BYTES, YamlFile, read_yaml
from runner.wording import shown

_FILTER_SHAPE: dict[str, Shape | Leaf] = {"key": "id"}
_FILTER_SHAPE.update({"and": _FILTER_SHAPE, "or": _FILTER_SHAPE})
# An id is the text in the file: 0123 and 1e5 are ids, not numbers.
TEXT_SHAPE: Shape = {
    "recipients_ids": "id",
    "thread_id": "id",
    "key": "id",
    "recipients_filter": _FILTER_SHAPE,
    "topic": "words",
    "text": "words",
    "variables": "printed",
    "columns": "printed",
}
_HAS_ID = re.compile(rb"\bid['\"]?\s*:")
_ID = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSpec:
    """What the author wrote, valid by the schema, its templates not yet rendered.

    `recipients_ids` is a tuple of templates, or one expression that gives a list. A reply has
    `reply_to` or `thread_id`, and neither topic nor select type. Data files have been found.
    """

    file: YamlFile = field(repr=False)
    id: str
    revision: int = 1
    topic: Texts
    text: Texts
    select_type: SelectType | None
    answerable: bool = True
    recipients_ids: tuple[str, ...] | str | None = None
    recipients_filter: Mapping[str, object] | None = None
    recipients_file: Path | None = None
    recipients_column: str = DEFAULT_COLUMN
    recipients_from: ReachedBy | None = None
    for_each: Table | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)
    when: str | None = None
    languages: tuple[str, ...] | str = ()
    key: str | None = None
    reply_to: str | None = None
    only_answered: bool = False
    thread_id: str | None = None
    folders: tuple[str, ...] = ()
    variables: Mapping[str, object] = field(default_factory=dict)
    at_most: int | None = None
    draft: bool = False
    not_before: datetime | None = None
    not_after: datetime | None = None
    lint: Mapping[str, str] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The spec's path as printed."""
        return self.file.path


def load_specs(
    files: Sequence[Path | Given],
    messages_root: Path | None,
    notice: Callable[[MessageSpec], object] = lambda _: None,
) -> tuple[tuple[MessageSpec, ...], tuple[Problem, ...]]:
    """Load and check specs; gives the good ones and the problems of all the others.

    `notice` is told of each good one as soon as it is there.
    """
    problems: list[Problem] = []
    specs: list[MessageSpec] = []
    for each in files:
        try:
            specs.append(_load(each if isinstance(each, Given) else Given(each), messages_root))
        except MessagesError as error:
            problems.extend(error.problems)
        else:
            notice(specs[-1])
    return tuple(specs), tuple(problems)


def find_doubles(
    specs: Sequence[MessageSpec], others: Sequence[Path], messages_root: Path | None
) -> Iterator[Problem]:
    """Find ids that two have: of specs, and of other files, which are not loaded for it."""
    hint = "two messages need two ids"
    first: dict[str, MessageSpec] = {}
    for spec in specs:
        other = first.setdefault(spec.id, spec)
        if other is not spec:
            what = f'the id "{spec.id}" is already that of {other.source}'
            yield Problem(spec.file.place(("id",)), what, hint)
    for path in others:
        message_id = id_in(path, messages_root) if first else ""
        if message_id in first:
            what = f'the id "{message_id}" is also that of {shown(path)}'
            yield Problem(first[message_id].file.place(("id",)), what, hint)


def find_ids(messages_root: Path) -> dict[str, Path]:
    """Every id that some file below the messages root has, with its file, valid or not."""
    return {id_in(path, messages_root): path for path in paths.list_specs(messages_root)}


def id_in(path: Path, messages_root: Path | None) -> str:
    """The id that a file gives its message, valid or not."""
    with suppress(MessagesError, OSError):
        # Reading YAML takes its time, and few files say their id.
        if _HAS_ID.search(read_bounded(path, MAX_BYTES)):
            data = read_yaml(path, "", TEXT_SHAPE).data
            if isinstance(data, dict) and isinstance(data.get("id"), str):
                return str(data["id"])
    return _default_id(path, "", messages_root)[0]


def _load(given: Given, messages_root: Path | None) -> MessageSpec:
    source = given.source
    file = read_yaml(source, shown(source), TEXT_SHAPE) if isinstance(source, Path) else source
    problems = [file.problem(fault) for fault in find_message_faults(file.data)]
    data = cast("Mapping[str, object]", file.data if isinstance(file.data, dict) else {})
    tables: dict[str, Table] = {}
    for key in ("for_each", "recipients_file"):
        if isinstance(data.get(key), str) and not problems:
            if key == "for_each" and given.rows is not None:
                tables[key] = given.rows
                continue
            try:
                tables[key] = _data_file(str(data[key]), source, messages_root)
            except ValueError as error:
                what = f"`{key}` names no file that can be used"
                problems.append(Problem(file.place((key,)), what, str(error)))
    if given.rows is not None and not problems and "for_each" not in tables:
        what = "this message has no `for_each`, and so no rows"
        problems.append(Problem(file.place(), what, "name there the file that they stand for"))
    message_id = data.get("id")
    if message_id is None and isinstance(source, Path):
        message_id, problem = _default_id(source, file.path, messages_root)
        problems += [problem] if problem else []
    if problems:
        raise MessagesError(problems)
    return _narrowed(file, data, str(message_id), tables)


def _data_file(name: str, source: Path | GivenValues, messages_root: Path | None) -> Path:
    if not isinstance(source, Path):
        raise ValueError("a message without a file takes none: give what it holds")
    return paths.find_data_file(name, source, messages_root)


def _default_id(path: Path, source: str, root: Path | None) -> tuple[str, Problem | None]:
    """Name a message after its path below the messages root, without the ending."""
    absolute = Path(os.path.normpath(path.absolute()))
    if root is None or not absolute.is_relative_to(root):
        folder = shown(root) if root else "messages/, which is not here"
        what = f"outside the messages folder ({folder}) a message needs a name of its own"
        # Another folder has another manifest: a name alone would send again what was sent there.
        hint = "`cd` to the folder that holds the messages folder, and run this there"
        return "", Problem(Place(source), what, f"{hint}, or add `id: NAME`" if root else hint)
    name = absolute.relative_to(root).with_suffix("").as_posix()
    if not _ID.fullmatch(name):
        what = f'the path "{name[:60]}" makes no message id'
        return "", Problem(
            Place(source), what, "use letters, digits and . _ - in the name, or add an `id:`"
        )
    return name, None


def _narrowed(
    file: YamlFile, data: Mapping[str, object], message_id: str, tables: Mapping[str, Table]
) -> MessageSpec:
    # The casts hold because the schema has just been checked.
    ids = data.get("recipients_ids")
    reached_by = cast("Mapping[str, Any] | None", data.get("recipients_from"))
    languages = data.get("languages", [])
    window = ("not_before", "not_after")
    moments = {key: clock.read(str(data[key])) for key in window if key in data}
    return MessageSpec(
        file=file,
        id=message_id,
        revision=cast("int", data.get("revision", 1)),
        topic=cast("Texts", data.get("topic", {})),
        text=cast("Texts", data["text"]),
        select_type=cast("SelectType | None", data.get("recipients_select_type")),
        answerable=cast("bool", data.get("answerable", True)),
        recipients_ids=tuple(ids) if isinstance(ids, list) else cast("str | None", ids),
        recipients_filter=cast("Mapping[str, object] | None", data.get("recipients_filter")),
        recipients_file=cast("Path | None", tables.get("recipients_file")),
        recipients_column=cast("str", data.get("recipients_column", DEFAULT_COLUMN)),
        recipients_from=ReachedBy(**reached_by) if reached_by else None,
        for_each=tables.get("for_each"),
        columns=columns_in(cast("Mapping[str, object]", data.get("columns", {}))),
        when=cast("str | None", data.get("when")),
        key=cast("str | None", data.get("key")),
        languages=languages if isinstance(languages, str) else tuple(cast("list[str]", languages)),
        reply_to=cast("str | None", data.get("reply_to")),
        only_answered=cast("bool", data.get("only_answered", False)),
        thread_id=cast("str | None", data.get("thread_id")),
        folders=tuple(cast("list[str]", data.get("folders", []))),
        variables=cast("Mapping[str, object]", data.get("variables") or {}),
        at_most=cast("int | None", data.get("at_most")),
        draft=cast("bool", data.get("draft", False)),
        **moments,
        lint=cast("Mapping[str, str]", data.get("lint") or {}),
    )
