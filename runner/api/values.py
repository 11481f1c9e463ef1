"""Python's values, and those of NumPy and pandas, as the plain values that files hold.

Neither of the two is imported: what is theirs is known by what it can do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from runner.spec.columns import CellError, Column
from runner.spec.coreschema import Written

_MAX_DIGITS = 15
"""Of a float: beyond them it prints digits that nobody wrote."""
_TIMES = ("date", "datetime")


def plain(value: Any) -> object:
    """Give a value as None, text, a boolean, a number, a time, a list or a mapping.

    `nan`, `NaT` and `<NA>` are None. Raises `CellError` for what no file can hold.
    """
    # Nearly all cells of very many rows are of these.
    if type(value) in (str, int, bool):
        return value
    if _is_missing(value):
        return None
    if hasattr(value, "tolist"):
        return plain(_without_numpy(value))
    if isinstance(value, (Mapping, list, tuple)):
        return _container(value)
    return _scalar(value)


def _scalar(value: Any) -> object:
    if isinstance(value, float):
        return _number(value)
    # A scalar of pandas or an enumeration is a kind of these.
    for kind in (str, int):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, (Decimal, date)):
        return value
    raise CellError(f"a {type(value).__name__} is nothing that a file can hold")


def _container(value: Mapping[Any, Any] | Sequence[Any]) -> object:
    if not isinstance(value, Mapping):
        return [plain(each) for each in value]
    if not all(isinstance(name, str) for name in value):
        raise CellError("a name in it is no text")
    return {str(name): plain(each) for name, each in value.items()}


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, Decimal)) and math.isnan(value)


def _without_numpy(value: Any) -> object:
    """Give a scalar or an array of NumPy, or a series of pandas, as Python's own."""
    # Of nanoseconds it gives a bare number.
    is_time = type(value).__name__ == "datetime64"
    return (value.astype("datetime64[us]") if is_time else value).tolist()


def _number(value: float) -> Decimal:
    if not math.isfinite(value):
        raise CellError("this number has no end")
    number = Decimal(repr(value))
    if len(number.as_tuple().digits) > _MAX_DIGITS:
        raise CellError(f"this float has more than {_MAX_DIGITS} digits: round it, or use Decimal")
    return Written(f"{number:f}")


def cell(value: object, column: Column | None, *, as_text: bool) -> object:
    """Give a cell as the message's file would hold it; `as_text` where it has text alone.

    `column` is what `columns` says of it. Raises `CellError`.
    """
    given = plain(value)
    if isinstance(given, date):
        given = _time(given, column)
    is_whole = isinstance(given, Written) and given == given.to_integral_value()
    if is_whole and column is None:
        said = f"{given} may stand for {int(given)}"  # type: ignore[call-overload]  # it is whole
        raise CellError(f"{said}: say in `columns` whether it is an integer or a number")
    if is_whole:
        given = int(given)  # type: ignore[call-overload]  # likewise
    return _text(given, column or Column()) if as_text else given


def _time(given: date, column: Column | None) -> str:
    if column is None or column.type not in _TIMES:
        raise CellError("say in `columns` that it is a date or a datetime")
    moment = given if isinstance(given, datetime) else None
    if column.type == "date" and moment is not None:
        if moment.time() != datetime.min.time():
            raise CellError("it has a time of day: give a date, or say `datetime` in `columns`")
        given = moment.date()
    if column.type == "datetime" and (moment is None or moment.tzinfo is None):
        raise CellError("a time needs its zone, as by tz_localize or datetime.timezone.utc")
    return given.strftime(column.format) if column.format else given.isoformat()


def _text(given: object, column: Column) -> str:
    if isinstance(given, bool):
        return (column.yes if given else column.no)[0]
    if isinstance(given, (int, Decimal)):
        return (
            f"{given:f}".replace(".", column.decimal) if isinstance(given, Decimal) else str(given)
        )
    if isinstance(given, (list, dict)):
        raise CellError("a list or a mapping goes into a .json or .jsonl file alone")
    return "" if given is None else str(given)
