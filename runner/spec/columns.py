"""What the columns of a `for_each` file are: cells to values, and cells that have none."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast

from runner.errors import Fault
from runner.toloka.filter_table import is_one_of
from runner.wording import caseless, either, kind, nearest, plain, quoted

TYPES = ("text", "integer", "number", "percent", "boolean", "date", "datetime")
_NUMBERS = ("integer", "number", "percent")
_TIMES = ("date", "datetime")
# Which types take a key, and what it must be.
_KEYS: Mapping[str, tuple[tuple[str, ...], type]] = {
    "type": (TYPES, str),
    "required": (TYPES, bool),
    "default": (TYPES, object),
    "decimal": (_NUMBERS, str),
    "group": (_NUMBERS, str),
    "unit": (_NUMBERS, str),
    "format": (_TIMES, str),
    "yes": (("boolean",), list),
    "no": (("boolean",), list),
}
_KIND_NAMES = {str: "text", bool: "true or false", list: "a list"}
_NAMED = re.compile(r"\brow(?:\.(\w+)|\[\s*['\"]([^'\"]+)['\"]\s*\])")
_DIRECTIVES = re.compile(r"(?:%[dmYyHMSz%]|[^%])+")
# What a format must tell of a moment: the rest would be guessed.
_TELLS = {"date": ("d", "m", "yY"), "datetime": ("d", "m", "yY", "H", "M", "z")}
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ISO_TIME = re.compile(
    _ISO_DATE.pattern
    + r"[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{3}(?:[0-9]{3})?)?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?"
)
_SIGNS: Mapping[str, tuple[re.Pattern[str], str]] = {
    "decimal": (re.compile("[.,\u066b]"), 'write ","'),
    "group": (re.compile(r"[.,'\u2019\u066c\s]"), 'write one sign, such as "."'),
    "unit": (
        re.compile(r"(?=.*[^\s.,])[^0-9+-]{1,20}"),
        'write a sign without digits, such as "€"',
    ),
}
_BROKEN = re.compile(
    r"#(?:REF|DIV/0|VALUE|NUM|NULL|SPILL|CALC|ДЕЛ/0|ССЫЛКА|ЗНАЧ|ЧИСЛО|ПУСТО|BEZUG|WERT|ZAHL|SAYI/0"
    r"|BAŞV|DEĞER|SAYI|¡REF|¡DIV/0|¡VALOR)!|#(?:NAME|ИМЯ|AD|¿NOMBRE)\?|#(?:N/A|Н/Д|NV|YOK|N/D)"  # noqa: RUF001
    r"|nan|NaN|NaT|<NA>|None|null|NULL|=.*",
    re.DOTALL,
)  # fmt: skip
_SHARE = "a percent has its sign, 85 %, and a share such as 0.85 is a `number`"
_SERIAL = re.compile(r"[34][0-9]{4}(?:\.[0-9]+)?")


class CellError(ValueError):
    """A cell that is not of its column's type; its text is the hint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What the cells of a column are, and how they are written."""

    type: str = "text"
    required: bool = True
    default: object = None
    decimal: str = "."
    group: str = ""
    unit: str = ""
    format: str = ""
    yes: tuple[str, ...] = ("true", "yes", "1")
    no: tuple[str, ...] = ("false", "no", "0")


def columns_named(text: str) -> set[str]:
    """The columns that templates name."""
    return {one or other for one, other in _NAMED.findall(text)}


def about_column(hint: str, name: str) -> str:
    """Name a column in a hint that shows how it is written in `columns`, there as `n`."""
    return hint.replace("{n: ", f"{{{plain(name)}: ")


def columns_in(given: Mapping[str, object]) -> Mapping[str, Column]:
    """Narrow `columns`, in which no fault was found."""
    found = {}
    for name, written in cast("Mapping[str, str | Mapping[str, Any]]", given).items():
        column = _column({"type": written} if isinstance(written, str) else written)
        is_given = column.default is not None
        found[name] = replace(column, default=_default(column)) if is_given else column
    return found


def _column(written: Mapping[str, Any]) -> Column:
    words = {key: tuple(map(caseless, written[key])) for key in ("yes", "no") if key in written}
    return Column(**{**written, **words})


def _default(column: Column) -> object:
    """The default, written as a cell or as a value of YAML; raises `CellError`."""
    given = column.default
    if column.type != "text":
        return converted(Decimal(repr(given)) if isinstance(given, float) else given, column)
    if isinstance(given, bool) or not isinstance(given, (str, int, float, Decimal)):
        raise CellError(f"this is {kind(given)}")
    return given


def find_column_faults(given: object) -> Iterator[Fault]:
    """Say what is wrong with `columns`."""
    hint = "write each as name: type, such as amount: number"
    if not isinstance(given, Mapping) or not given:
        said = "empty" if isinstance(given, Mapping) else f"{kind(given)}, not a mapping"
        yield Fault(("columns",), f"`columns` is {said}", hint)
        return
    for name, written in given.items():
        at = ("columns", name)
        keys = {"type": written} if isinstance(written, str) else written
        if not isinstance(keys, Mapping):
            yield Fault(at, f"the column {quoted(name)} is {kind(keys)}, not a type", hint)
        elif not is_one_of(keys.get("type", "text"), TYPES):
            guess = nearest(str(keys["type"]), TYPES)
            said = f"did you mean {guess}?" if guess else f"write {either(TYPES)}"
            yield Fault(at, f"{quoted(keys['type'])} is no type of a column", said)
        else:
            yield from _faults_of(name, keys)


def _faults_of(name: str, keys: Mapping[str, object]) -> Iterator[Fault]:
    of_type = str(keys.get("type", "text"))
    for key, value in keys.items():
        at = ("columns", name, key)
        types, wanted = _KEYS.get(key, ((), object))
        if not types:
            guess = nearest(key, _KEYS)
            hint = f"did you mean `{guess}`?" if guess else f"the keys are {', '.join(_KEYS)}"
            yield Fault(at, f"unknown key {quoted(key)} of a column", hint, at_key=True)
        elif of_type not in types:
            hint = f"it is for {either(types)}"
            yield Fault(at, f"`{key}` does not go with {of_type}", hint, at_key=True)
        elif not isinstance(value, wanted):
            yield Fault(at, f"`{key}` is {kind(value)}, not {_KIND_NAMES[wanted]}")
        elif wanted is list and not all(
            isinstance(each, str) for each in cast("list[object]", value)
        ):
            yield Fault(at, f"`{key}` holds something that is not text", "put it in quotes")
        elif key in _SIGNS and not _SIGNS[key][0].fullmatch(str(value)):
            yield Fault(at, f"`{key}` is {quoted(value)}", _SIGNS[key][1])
        elif key == "format" and (why := _why_no_format(str(value), _TELLS[of_type])):
            hint = "write it with %d %m %Y %y %H %M %S %z, such as %d.%m.%Y"
            yield Fault(at, f"{quoted(value)} {why}", hint)
        else:
            continue
        return
    yield from _faults_between(name, _column(keys), keys)


def _why_no_format(written: str, tells: Sequence[str]) -> str:
    if not _DIRECTIVES.fullmatch(written):
        return "is no format of numbers"
    said = set(re.findall("%(.)", written))
    lacks = [f"%{each[0]}" for each in tells if said.isdisjoint(each)]
    return f"has no {' and '.join(lacks)}, and nothing is guessed" if lacks else ""


def _faults_between(name: str, column: Column, keys: Mapping[str, object]) -> Iterator[Fault]:
    """Say which keys do not go together, and whether the default is of the type."""
    if column.group and column.group == column.decimal:
        at = ("columns", name, "group")
        what = f"`decimal` and `group` are both {quoted(column.group)}"
        yield Fault(at, what, f"say both: decimal: {quoted(',' if column.group == '.' else '.')}")
    if both := set(column.yes) & set(column.no):
        what = f"{quoted(min(both))} means both yes and no"
        yield Fault(("columns", name, "yes" if "yes" in keys else "no"), what, "say both lists")
    if "default" in keys:
        try:
            _default(column)
        except CellError as error:
            what = f"`default` is no {column.type}"
            yield Fault(("columns", name, "default"), what, about_column(str(error), name))


def why_empty(value: object) -> str:
    """Say why a cell cannot be printed; nothing if it can."""
    if not isinstance(value, str):
        return ""
    text = value.strip()
    if not text:
        return (
            "is empty: fill it, or delete the row; if it may be empty, test it with `if`, or give "
            "its column `required: false` or a `default`"
        )
    if text[0] in "#=<nN" and _BROKEN.fullmatch(text):
        return "holds an error of a spreadsheet or a program, and no text: mend it in the file"
    return ""


def is_empty(value: object) -> bool:
    """Tell whether nothing is in a cell."""
    return value is None or (isinstance(value, str) and not value.strip())


def converted(value: object, column: Column) -> object:
    """Turn a cell, which is not empty, into a value of its type; raises `CellError`."""
    if not isinstance(value, str):
        return _from_json(value, column)
    text = value.strip()
    if column.type in _NUMBERS:
        return _number(text, column)
    if column.type == "boolean":
        return _boolean(text, column)
    return _time(text, column) if column.type in _TIMES else value


def _from_json(value: object, column: Column) -> object:
    if isinstance(value, bool):
        if column.type == "boolean":
            return value
    elif isinstance(value, (int, Decimal)) and column.type in ("integer", "number"):
        return _whole(value) if column.type == "integer" else Decimal(value)
    elif isinstance(value, (int, Decimal)) and column.type == "percent":
        raise CellError(_SHARE)
    raise CellError(f"this is {kind(value)}{': put it in quotes' if column.type == 'text' else ''}")


def _whole(number: int | Decimal) -> int:
    if number != int(number):
        raise CellError("a whole number is expected: `number` has a fraction")
    return int(number)


def _number(text: str, column: Column) -> Decimal | int:
    written = text.replace("\u2212", "-")
    for sign in filter(None, (column.unit, "%" if column.type == "percent" else "")):
        # The sign of what is below nought may stand before that of the unit.
        minus = "-" if written.startswith(f"-{sign}") else ""
        bare = written.removeprefix(minus)
        one_side = bare.removeprefix(sign) if bare.startswith(sign) else bare.removesuffix(sign)
        written = minus + one_side.strip()
    group = re.escape(column.group)
    if column.group.isspace():
        group = r"\s"
    elif column.group in ("'", "\u2019"):
        group = "['\u2019]"
    pattern = rf"([+-]?(?:[0-9]+|[0-9]{{1,3}}(?:{group}[0-9]{{3}})+))(?:{re.escape(column.decimal)}([0-9]+))?"
    found = re.fullmatch(pattern if group else pattern.replace("(?:[0-9]{3})+", "(?!)"), written)
    if found is None:
        raise CellError(_hint_on_number(written, column))
    whole = re.sub(r"[^0-9+-]", "", found[1])
    digits = f"{whole}.{found[2]}" if found[2] else whole
    if column.type == "percent":
        if "%" not in text:
            raise CellError(_SHARE)
        return Decimal(f"{digits}e-2")
    return _whole(Decimal(digits)) if column.type == "integer" else Decimal(digits)


def _hint_on_number(text: str, column: Column) -> str:
    if re.search(r"[eE][+-]?[0-9]", text):
        return "a spreadsheet has shortened it: show the cell as a number"
    if not re.search("[0-9]", text):
        return "there is no digit in it"
    if re.fullmatch(r"[+-]?[0-9][0-9.,\s'\u2019]*", text):
        ways = [f"decimal: {quoted(column.decimal)}"]
        ways += [f"group: {quoted(column.group)}"] if column.group else []
        said = f"numbers are read with {' and '.join(ways)}: say how these are written"
        return f"{said}, `columns: {{n: {{type: {column.type}, {_ways_of(text)}}}}}`"
    if column.unit:
        return f"nothing but {quoted(column.unit)} may stand around it"
    # Of all signs, few are those of money: what many cells have in common is told once.
    sign = next((char for char in text if unicodedata.category(char) == "Sc"), "€")
    return f'a sign around it has a name: `columns: {{n: {{type: {column.type}, unit: "{sign}"}}}}`'


def _ways_of(text: str) -> str:
    """Show how a column says that its numbers are written like this one, as far as it is clear."""
    signs = re.findall("[^0-9+-]", text)
    group, decimal = (quoted(each) for each in (signs[0], signs[-1]))
    if group != decimal:
        return f"decimal: {decimal}, group: {group}"
    is_group = len(signs) > 1 or signs[0] not in ".,"
    if is_group:
        return f"group: {group}"
    may_be_group = re.search("[.,][0-9]{3}$", text)
    return f"decimal: {decimal}" + (f" (or group: {group})" if may_be_group else "")


def _boolean(text: str, column: Column) -> bool:
    word = caseless(text)
    if word in column.yes:
        return True
    if word in column.no:
        return False
    raise CellError('name its words with `yes: [x]` and `no: [""]`')


def _time(text: str, column: Column) -> str:
    """Read a date or a time; gives it as ISO 8601."""
    try:
        if column.format:
            moment = datetime.strptime(text, column.format)  # noqa: DTZ007  # the zone is looked at below
        elif not (_ISO_DATE if column.type == "date" else _ISO_TIME).fullmatch(text):
            raise ValueError
        elif column.type == "date":
            return date.fromisoformat(text).isoformat()
        else:
            moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise CellError(_hint_on_time(text, column)) from error
    if column.type == "date":
        return moment.date().isoformat()
    if moment.tzinfo is None:
        raise CellError("a time needs its zone, such as 2026-11-30T18:00:00Z")
    return moment.isoformat()


def _hint_on_time(text: str, column: Column) -> str:
    if _SERIAL.fullmatch(text):
        return "this is a spreadsheet's number of a day: show the cell as a date"
    if column.format:
        return f"the `format` of these is {quoted(column.format)}"
    return "write it by ISO 8601, such as 2026-11-30, or say its `format:`"
