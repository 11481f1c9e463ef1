"""How a result shows itself: the command's words, and HTML without a script, all of it escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import TypeVar, overload

from runner.wording import printable

Item = TypeVar("Item")
_ROWS = 100
"""Of a table in a notebook: a browser stands still over very many."""
_FRAME = "width: 100%; height: 30em; border: 1px solid #8888"


class Shown(Sequence[Item]):
    """A sequence of results that shows itself as text, and in a notebook as HTML."""

    def __init__(self, items: Iterable[Item], lines: Iterable[str]) -> None:
        self._items = tuple(items)
        self._lines = tuple(lines)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return "\n".join(map(printable, self._lines))

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


class Listing(Shown[Mapping[str, object]]):
    """What the manifest or Toloka knows, a mapping each."""

    def to_dicts(self) -> list[dict[str, object]]:
        """Give it as plain dicts, as for `pandas.DataFrame`."""
        return [dict(each) for each in self]

    def _repr_html_(self) -> str:
        # The last lines say how many, and where from.
        table = "".join(_table(self[:_ROWS])) if self else ""
        if len(self) > _ROWS:
            table += f"<p>… and {len(self) - _ROWS:,} more: to_dicts() has all</p>"
        return f"{table}<pre>{escape(chr(10).join(self._lines[-3:]))}</pre>"


def _table(entries: Sequence[Mapping[str, object]]) -> Iterator[str]:
    names = dict.fromkeys(name for entry in entries for name in entry)
    yield f"<table><tr>{''.join(f'<th>{_cell(name)}</th>' for name in names)}</tr>"
    for entry in entries:
        yield f"<tr>{''.join(f'<td>{_cell(entry.get(name))}</td>' for name in names)}</tr>"
    yield "</table>"


def _cell(value: object) -> str:
    return "" if value is None else escape(printable(str(value)))


def framed(page: str) -> str:
    """Put a whole page into a frame of its own, in which no script runs."""
    return f'<iframe sandbox="" srcdoc="{escape(page)}" style="{_FRAME}"></iframe>'
