"""What a program gives instead of a file: a message, and the rows of one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runner.errors import Place, Pointer
from runner.spec.yamlfile import YamlFile
from runner.wording import shown

_SOURCE = "Message("
_ROWS = ("for_each",)
ROWS_FILE = "rows.jsonl"
"""Stands for the rows in the data of a message that has no file."""


@dataclass(frozen=True)
class GivenValues(YamlFile):
    """The values of a message without a file: an address is the way to the value."""

    def place(self, pointer: Pointer = (), *, at_key: bool = False, offset: int = 0) -> Place:  # noqa: ARG002  (there are no lines)
        """Name the value at `pointer`, or its nearest parent that exists."""
        value, steps = self.data, self.path
        for number, step in enumerate(pointer):
            if not isinstance(value, (dict, list)) or not _has(value, step):
                break
            value = value[step]  # type: ignore[index]  # it is there
            steps += f"[{json.dumps(step, ensure_ascii=False)}]" if number else f".{step}"
        return Place(f"{self.path}.rows" if pointer[:1] == _ROWS else steps, 0)

    def text_place(self, pointer: Pointer, offset: int) -> Place:  # noqa: ARG002  (likewise)
        return self.place(pointer)


def _has(value: dict[str, object] | list[object], step: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(step, int) and step < len(value)
    return step in value


def given_values(message_id: str, data: Mapping[str, object]) -> GivenValues:
    """Take the values of a message; `data` is what a file of it would hold."""
    # Whoever looks for templates in a file's source finds them here.
    source = "\n".join(_texts(data))
    return GivenValues(f"{_SOURCE}{json.dumps(message_id)})", source, data)


def is_given(source: str) -> bool:
    """Tell whether the source of a message, as the manifest has it, is no file."""
    return source.startswith(_SOURCE)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


@dataclass(frozen=True, slots=True)
class GivenRows:
    """Rows that a program gives, each as a line of JSON; `name` is what complaints call them."""

    lines: tuple[str, ...] = field(repr=False)
    name: str = "rows"


Table = Path | GivenRows
"""Where the rows of a message are."""


@dataclass(frozen=True, slots=True)
class Given:
    """A message that a program gives: with rows for its file, or without a file."""

    source: Path | GivenValues
    rows: GivenRows | None = None


def name_of(table: Table) -> str:
    """What complaints call a table."""
    return table.name if isinstance(table, GivenRows) else shown(table)


def row_name(table: Table, row: int) -> str:
    """What complaints call a row: its line, or its index."""
    return f"{table.name}[{row}]" if isinstance(table, GivenRows) else f"{shown(table)}:{row}"


def place_in(table: Table, row: int, column: str | None = None) -> Place:
    """The address of a row, or of a cell where it has one."""
    if not isinstance(table, GivenRows):
        return Place(shown(table), row)
    cell = "" if column is None else f"[{json.dumps(column, ensure_ascii=False)}]"
    return Place(row_name(table, row) + cell, 0)
