"""A message without a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from runner.api.rows import Form, Rows, take_rows
from runner.api.values import plain
from runner.errors import MessagesError, Problem
from runner.model import SelectType
from runner.spec.columns import CellError
from runner.spec.given import ROWS_FILE, Given, GivenRows, given_values
from runner.spec.specs import load_specs

_OURS = ("rows", "recipients_select_type")


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message without a file; each field is the key of that name in a message's file.

    It is checked as a file is, by `Project.plan`. `recipients_select_type` is needed for ALL only.
    `rows` stand for the file of `for_each`. The id is the message's name for ever: what reached a
    Toloker under it does not reach them again.
    """

    id: str
    text: Mapping[str, str]
    topic: Mapping[str, str] | None = None
    recipients_select_type: SelectType | None = None
    recipients_ids: Sequence[str] | str | None = None
    recipients_filter: Mapping[str, Any] | None = None
    recipients_from: Mapping[str, Any] | None = None
    rows: Rows | None = None
    columns: Mapping[str, Any] | None = None
    when: str | None = None
    languages: Sequence[str] | str | None = None
    key: str | None = None
    reply_to: str | None = None
    only_answered: bool | None = None
    thread_id: str | None = None
    answerable: bool | None = None
    folders: Sequence[str] | None = None
    variables: Mapping[str, Any] | None = None
    revision: int | None = None
    at_most: int | None = None
    draft: bool | None = None
    not_before: datetime | str | None = None
    not_after: datetime | str | None = None
    lint: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        # An iterator could be read once only.
        object.__setattr__(self, "rows", None if self.rows is None else tuple(self.rows))


def given(message: Message) -> Given:
    """Take a message; raises `MessagesError` with everything that is wrong with its values."""
    problems: list[Problem] = []
    data = _data(message, problems)
    if problems:
        raise MessagesError(problems)
    values = given_values(message.id, data)
    if message.rows is None:
        return Given(values)
    # What the columns are is known once the message itself is right.
    specs, faults = load_specs([Given(values, GivenRows(()))], None)
    if faults:
        raise MessagesError(faults)
    return Given(values, take_rows(message.rows, Form.of(specs[0], ROWS_FILE)))


def _data(message: Message, problems: list[Problem]) -> dict[str, object]:
    """What a file of the message would hold."""
    data: dict[str, object] = {}
    for name in (each.name for each in fields(message) if each.name not in _OURS):
        try:
            value = _written(plain(getattr(message, name)))
            if name == "recipients_ids" and not _are_texts(value):
                raise CellError("an id is text: keep it text where the list is read")
        except CellError as error:
            where = given_values(message.id, {name: ""}).place((name,))
            problems.append(Problem(where, "this value cannot be taken", str(error)))
        else:
            data |= {} if value is None else {name: value}
    if message.rows is not None:
        data["for_each"] = ROWS_FILE
    select_type = message.recipients_select_type or _select_type(data)
    return data | ({"recipients_select_type": select_type} if select_type else {})


def _are_texts(value: object) -> bool:
    return not isinstance(value, list) or all(isinstance(each, str) for each in value)


def _select_type(data: Mapping[str, object]) -> SelectType | None:
    if "recipients_filter" in data:
        return "FILTER"
    return "DIRECT" if {"recipients_ids", "recipients_from"} & data.keys() else None


def _written(value: object) -> object:
    """Write times as a file does; numbers keep what they are."""
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: _written(each) for name, each in value.items()}
    return [_written(each) for each in value] if isinstance(value, list) else value
