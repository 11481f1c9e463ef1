"""Numbers in templates: shown as they were written, calculated with exactly, never mixed with text.

Every calculation is one of fractions. What ends is a `Number` again; a quotient that does not end
stays a `Fraction`, which is not printed before somebody rounds it.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import partial, reduce
from typing import Any, TypeGuard

from jinja2 import Undefined

from runner.render.gaps import Gap
from runner.render.mistakes import Unusable

_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
# A number of more than 60 digits says nothing to anybody.
_MAX_BITS = 200
_MAX_PLACES = 60
_MAX_WRITTEN = 400
_TOO_LARGE = "this number is too large"
_MIXED_HINT = (
    "cells are text: `columns: {n: integer}` makes numbers of them, and so do |int and |float"
)
_FLAG = "true or false"

_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "//": operator.floordiv, "%": operator.mod, "**": operator.pow,
}  # fmt: skip
COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq, "ne": operator.ne, "gt": operator.gt, "gteq": operator.ge,
    "lt": operator.lt, "lteq": operator.le,
    "in": lambda item, items: item in items, "notin": lambda item, items: item not in items,
}  # fmt: skip
_ROUNDINGS: Mapping[str, Callable[[Fraction], int]] = {
    "ceil": math.ceil,
    "floor": math.floor,
    "common": lambda exact: math.floor(abs(exact) + Fraction(1, 2)) * (1 if exact >= 0 else -1),
}


class Number(Decimal):
    """A number with a fraction, or one that is written in an odd way; shown as it was written."""

    text: str

    def __new__(cls, value: Decimal | str, text: str | None = None) -> Number:
        made = super().__new__(cls, value)
        made.text = format(Decimal(made), "f") if text is None else text
        return made

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__

    def __format__(self, spec: str, /, *rest: object) -> str:
        return super().__format__(spec) if spec else self.text


def is_number(value: object) -> TypeGuard[int | Decimal | Fraction]:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, (int, Decimal, Fraction)) and not isinstance(value, bool)


def tidy(value: object) -> object:
    """Make what Python computed a number of ours; anything else stays what it is."""
    if isinstance(value, Fraction):
        return _from_fraction(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Unusable("this is no finite number")
        return Number(repr(value))
    if isinstance(value, Decimal) and not isinstance(value, Number):
        return _from_fraction(Fraction(value))
    return value


def calculate(sign: str, left: Any, right: Any) -> object:
    """Do a calculation, exactly; raises `Unusable` for one of a text with a number."""
    if is_number(left) and is_number(right):
        if isinstance(left, int) and isinstance(right, int) and sign in ("+", "-", "*", "//", "%"):
            return _OPERATORS[sign](left, right)
        return _exactly(sign, Fraction(left), Fraction(right))
    formats = sign == "%" and isinstance(left, str) and "%" in left
    if not formats:
        check_alike(left, right)
    if isinstance(left, bool) or isinstance(right, bool):
        raise Unusable(f"this calculates with {_FLAG}", "count with |select|list|length")
    return _OPERATORS[sign](left, right)


def _exactly(sign: str, left: Fraction, right: Fraction) -> object:
    if sign == "**":
        if right.denominator != 1:
            raise Unusable("this is no whole power, and has no exact value")
        bits = max(left.numerator.bit_length(), left.denominator.bit_length())
        if bits > 1 and abs(right) * (bits - 1) > 2 * _MAX_BITS:
            raise Unusable(_TOO_LARGE)
    return tidy(_OPERATORS[sign](left, right))


def _from_fraction(value: Fraction) -> object:
    if value.denominator == 1:
        return value.numerator
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > 2 * _MAX_BITS:
        raise Unusable(_TOO_LARGE)
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return value
    places = max(twos, fives)
    return Number(_scaled(value.numerator * 10**places // value.denominator, places))


def _scaled(digits: int, places: int) -> Decimal:
    """A whole number of ten-to-the-minus-`places`."""
    return Decimal((int(digits < 0), tuple(map(int, str(abs(digits)))), -places))


def check_alike(left: object, right: object) -> None:
    """Refuse a text with a number, or either with a boolean; raises `Unusable`."""
    kinds = {kind for value in (left, right) if (kind := _kind(value))}
    if len(kinds) > 1:
        what = f"this calculates with {' and '.join(sorted(kinds, reverse=True))}, or compares them"
        raise Unusable(what, _MIXED_HINT if _FLAG not in kinds else "write `if x`, or `if not x`")


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return _FLAG
    return "text" if isinstance(value, str) else "a number" if is_number(value) else ""


def added_up(values: Iterable[object], start: object = 0) -> object:
    """The filter `sum`, exactly."""
    return reduce(partial(calculate, "+"), values, start)


def absolute(value: object) -> object:
    """The filter `abs`."""
    if not is_number(value):
        raise Unusable("|abs takes a number")
    return calculate("-", 0, value) if value < 0 else value


def compare(signs: Sequence[str], *values: Any) -> object:
    """Compare values in a row, as in `1 < x <= 5`; raises `Unusable` for values unlike each other."""
    result: object = True
    for sign, left, right in zip(signs, values, values[1:], strict=False):
        others = right if sign in ("in", "notin") and isinstance(right, (list, tuple)) else [right]
        for other in others:
            check_alike(left, other)
        result = COMPARISONS[sign](left, right)
        if not result:
            break
    return result


def to_int(value: object, *default: object) -> int:
    """The filter `int`: a whole number, or the part of one before the point."""
    return int(_read(value, default, "int"))


def to_float(value: object, *default: object) -> object:
    """The filter `float`: a number of what may be text."""
    return _read(value, default, "float")


def _read(value: object, default: Sequence[object], name: str) -> int | Decimal | Fraction:
    if default:
        raise Unusable(f"|{name} takes nothing but the number", "what is no number is an error")
    if isinstance(value, (Gap, Undefined)):
        str(value)  # It says why it holds nothing.
    if is_number(value):
        return value
    if isinstance(value, str) and len(value) <= _MAX_WRITTEN and _JSON_NUMBER.fullmatch(value):
        return int(value) if value.lstrip("-").isdecimal() else Number(value, value)
    raise Unusable(
        f"|{name} takes a number, or text that is one as JSON writes it",
        "write 1234.5, or say how the column writes it: `columns: {n: {type: number, …}}`",
    )


def rounded(value: object, precision: object = 0, method: object = "common") -> object:
    """The filter `round`: to so many places, of which all are shown; half is away from zero."""
    if not is_number(value):
        raise Unusable("|round takes a number")
    is_fit = isinstance(precision, int) and abs(precision) <= _MAX_PLACES
    if not is_fit or method not in _ROUNDINGS:
        raise Unusable(
            f"|round takes up to {_MAX_PLACES} places, and common, ceil or floor after them"
        )
    places = int(precision)  # type: ignore[call-overload]  # it is a whole number
    exact = Fraction(value) * Fraction(10) ** places
    digits = _ROUNDINGS[str(method)](exact)
    return digits * 10**-places if places <= 0 else Number(_scaled(digits, places))


def plain_number(value: object) -> object:
    """Check a number that leaves the sandbox, and give it as JSON knows it."""
    if isinstance(value, (int, Number)):
        check_size(value)
    if isinstance(value, int):
        return value
    if isinstance(value, Number):
        return int(value) if value == value.to_integral_value() else float(value)
    raise Unusable("this quotient does not end", "say how many places: |round(2)")


def check_size(value: int | Number) -> None:
    """Refuse a number that nobody can read; raises `Unusable`."""
    if isinstance(value, int):
        is_large = value.bit_length() > _MAX_BITS
    else:
        is_large = not value.is_finite() or abs(value.adjusted()) > _MAX_PLACES
    if is_large:
        raise Unusable(_TOO_LARGE)
