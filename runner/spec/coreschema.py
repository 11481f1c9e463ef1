"""What a plain scalar is by the core schema of YAML 1.2.2.

https://yaml.org/spec/1.2.2/#103-core-schema
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_CONSTANTS: Mapping[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_NUMBER_STARTS = frozenset("0123456789+-.")
_MAX_DIGITS = 400


def core_value(text: str) -> tuple[object, str]:
    """Read a plain scalar; gives the value, and what is wrong with a number, mostly nothing."""
    if text in _CONSTANTS:
        return _CONSTANTS[text], ""
    if text[0] not in _NUMBER_STARTS:
        return text, ""
    if _INT.fullmatch(text) and len(text) <= _MAX_DIGITS:
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text), ""
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isfinite(number) and len(text) <= _MAX_DIGITS:
            # What Python takes for zero may have a billion places.
            is_small = not number and re.search("[1-9]", text.lower().partition("e")[0])
            return number, "this number is too small" if is_small else ""
        return text, "this number is too large"
    return text, f"{text} is not a number that JSON knows" if _NOT_FINITE.fullmatch(text) else ""


class Written(Decimal):
    """A number as its author wrote it, such as `10.50` or `0123`; `str` gives that back."""

    text: str

    def __new__(cls, text: str, value: object = None) -> Written:
        made = super().__new__(cls, value if isinstance(value, (int, Decimal)) else text)
        made.text = text
        return made

    def __reduce__(self) -> tuple[type[Written], tuple[str, Decimal]]:  # type: ignore[override]
        return Written, (self.text, Decimal(self))

    def __str__(self) -> str:
        return self.text
