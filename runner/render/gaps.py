"""Cells of a row that cannot be printed, as templates see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined

from runner.render.mistakes import Unusable


class Gap:
    """A cell with nothing to print: it can be compared and tested, and everything else says why not."""

    def __init__(self, text: str, why: str) -> None:
        self._text = text
        self._why = why

    def __eq__(self, other: object) -> bool:
        return other == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text.strip())

    def _fail(self, *_: object) -> Any:
        raise Unusable(self._why)

    __str__ = __repr__ = __len__ = __iter__ = __contains__ = __getitem__ = __call__ = _fail
    __int__ = __float__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _fail
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _fail
    __lt__ = __le__ = __gt__ = __ge__ = __neg__ = __pos__ = __round__ = __abs__ = _fail


class _Missing(StrictUndefined):
    """A cell that may be empty, and is: not defined, and false."""

    __slots__ = ()

    def __bool__(self) -> bool:  # type: ignore[override]  # its own is an error
        return False


def with_gaps(values: Mapping[str, object], gaps: Mapping[str, str]) -> dict[str, object]:
    """A row as templates see it; `gaps` says of cells why they cannot be printed, if not missing."""
    row = dict(values)
    for name, why in gaps.items():
        if why:
            row[name] = Gap(str(row[name]), why)
        else:
            hint = f"the cell of {name} is empty: test it with `if`, in `when` with `is defined`"
            row[name] = _Missing(hint=hint, exc=Unusable)
    return row
