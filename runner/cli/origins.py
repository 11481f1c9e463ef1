"""Which messages are meant on the command line of `status`, and which rows deliveries came from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path

from runner.cli.say import say
from runner.config import Config
from runner.errors import RunnerError, SurroundingsError
from runner.manifest.history import History
from runner.model import Direct, InOwnThread, InThread, Message, compared_as, reached_as
from runner.paths import find_specs
from runner.prepare import Selection, check
from runner.spec.datafile import has_suffix
from runner.spec.specs import MessageSpec, find_ids, id_in
from runner.spec.table import load_rows
from runner.wording import nearest, plain

Found = tuple[tuple[str, str], Mapping[str, object]]
"""A row, by its message and what it reaches at most once."""


def messages_named(names: Sequence[str], history: History, config: Config) -> frozenset[str]:
    """Find the ids that are meant by ids, by what ids begin with, and by files and folders.

    Raises `SurroundingsError` for a name that means nothing.
    """
    sent = {message for message, _ in history.by_identity}
    return frozenset(found for name in names for found in _named(name, sent, config))


def _named(name: str, sent: set[str], config: Config) -> Iterator[str]:
    root = config.messages_root
    folder = name.rstrip("/") + "/"
    found = {each for each in sent if each == name or each.startswith(folder)}
    # Unlike `Path.exists` it takes what is too long for a name.
    if not found and os.path.exists(name):  # noqa: PTH110
        found = {id_in(path, root) for path in find_specs([Path(name)])}
    if not found:
        known = {*sent, *(find_ids(root) if root is not None and root.is_dir() else ())}
        if name not in known:
            guess = nearest(name, known)
            hint = f"; did you mean {plain(guess)}?" if guess else ""
            raise SurroundingsError(
                f"{plain(name)} is no message that was sent, no file and no folder{hint}"
            )
        found = {name}
    yield from found


def find_origins(messages: Set[str], config: Config) -> dict[tuple[str, str], Mapping[str, object]]:
    """Find the rows of the data files that messages are made from, by what each reaches.

    What cannot be known now is said on the standard error, and is not there.
    """
    found: dict[tuple[str, str], Mapping[str, object]] = {}
    try:
        files = find_ids(config.messages_root) if config.messages_root is not None else {}
        paths = tuple(path for each, path in files.items() if each in messages)
        checked = check(Selection(paths=paths), config) if paths else None
    except RunnerError as error:
        say(f"warning: the rows of the data files are not here: {error}", err=True)
        return found
    for spec in checked.specs if checked else ():
        found.update(_rows_of(spec, checked.messages if checked else ()))
    for fault in checked.faults[:1] if checked else ():
        say(f"warning: not all rows of the data files are here: {fault}", err=True)
    return found


def _rows_of(spec: MessageSpec, messages: Sequence[Message]) -> Iterator[Found]:
    if spec.for_each is not None:
        rows = {row.number: row.values for row in load_rows(spec.for_each, {*spec.columns})}
        for message in messages:
            if message.id == spec.id and message.row in rows:
                for key in _keys_of(message):
                    yield (spec.id, key), rows[message.row]
    elif spec.recipients_file is not None and has_suffix(spec.recipients_file, ".csv", ".tsv"):
        column = spec.recipients_column
        for row in load_rows(spec.recipients_file, {column}):
            yield (spec.id, compared_as(str(row.values.get(column, "")))), row.values


def _keys_of(message: Message) -> Iterator[str]:
    match message.recipients:
        case Direct(ids):
            yield from (reached_as(each, message.key) for each in ids)
        case InThread(thread_id):
            yield thread_id
        case InOwnThread(_, toloker):
            yield reached_as(toloker, message.key)
        case _:
            return
