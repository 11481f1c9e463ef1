"""What is wrong with a template, in plain words and with its line, from what Jinja2 raised."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import NamedTuple

import jinja2
from jinja2 import UndefinedError
from jinja2.exceptions import SecurityError, TemplateAssertionError

from runner.spec.columns import about_column, columns_named
from runner.wording import nearest, quoted

PARTIALS = "_partials/"
"""What the names of partials begin with where a fault points at one."""

# What people type who know another program, and what it is here.
_ELSEWHERE = {
    "currency": "money", "currencyformat": "money", "format_currency": "money",
    "floatformat": "number", "format_decimal": "number", "format_number": "number",
    "intcomma": "number", "numberformat": "number", "number_format": "number",
    "format_percent": "percent", "percentformat": "percent",
    "dateformat": "date", "format_date": "date", "strftime": "date",
    "datetimeformat": "datetime", "format_datetime": "datetime",
    "date_format": "date", "localize": "number", "pct": "percent", "percentage": "percent",
    "format_list": "listed", "to_sentence": "listed", "oxford": "listed",
    "ngettext": "plural", "pluralize": "plural",
    "capfirst": "capitalize", "ucfirst": "capitalize", "upcase": "upper", "downcase": "lower",
    "size": "length", "strip": "trim", "default_if_none": "default", "split": ".split",
}  # fmt: skip
_BRACES = "braces that are text go between {% raw %} and {% endraw %}"
# A comment, and what stays as it is.
_PASSED = re.compile(r"\{#.*?#\}|\{%-?\s*raw\s*-?%\}.*?\{%-?\s*endraw\s*-?%\}", re.DOTALL)
# A tag that another one, or nothing, follows before its end; and braces that are text in it.
_LEFT_OPEN = re.compile(r"(\{[{%])(?:(?![%}]\}).)*?(?:\{[{%]|\Z)", re.DOTALL)
_BRACES_AS_TEXT = re.compile(r"(['\"])[{%}]+\1")
# A tag up to its end, and the texts in it that are closed on their line.
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_CLOSED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_MAX_SOURCE = 100_000
_MAX_NAMES = 12
_TEMPLATE = "<template>"
_MAX_COMPARED = 1_000


class TooLong(BaseException):
    """A template took more time than it may; raised from outside, between two of its steps.

    No `except Exception` of Jinja2's own may hold it up.
    """


class Unusable(jinja2.TemplateRuntimeError):
    """Something that a template wants and cannot have, said in plain words."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


class NotDefined(UndefinedError):
    """There is nothing of this name: no variable, or nothing in a value."""

    def __init__(self, what: str, *, name: str, is_variable: bool) -> None:
        super().__init__(what)
        self.name = name
        self.is_variable = is_variable


class TooLarge(Unusable):
    """More than anybody needs: other values would not make it less."""


class NoSuch(TemplateAssertionError):
    """A filter or a test that there is not; `kind` says which of the two."""

    def __init__(
        self, kind: str, name: str, known: Collection[str], line: int, filename: str | None
    ) -> None:
        super().__init__(f"there is no {kind} {quoted(name)}", line, filename=filename)
        self.wanted = name
        near = _ELSEWHERE.get(name) if kind == "filter" else None
        self.near = near or nearest(name, known)


class NeedsLocale(BaseException):
    """A filter for people wants a language whose words were not read; no fault of a template."""

    def __init__(self, language: str) -> None:
        super().__init__(language)
        self.language = language


class Mistake(NamedTuple):
    """What is wrong with a template, on which of its lines, at which word.

    `partial` is the file's name where the line is that of a partial. `rule` is `limit` where no
    other row of values needs to be tried, and `syntax` where no row's values are in these words.
    """

    what: str
    hint: str
    partial: str | None = None
    line: int = 1
    wanted: str | None = None
    rule: str = "template"


def mistake_of(
    error: BaseException,
    values: Mapping[str, object],
    source: str = "",
    partials: Collection[str] = (),
) -> Mistake:
    """Say what a template did wrong, at the line where it did; `partials` are those there are."""
    said = str(error).replace("\n", " ")[:200] or type(error).__name__
    partial, line = _innermost_line(error)
    if isinstance(error, NotDefined):
        return _undefined_fault(error, partial, line, values, source)
    if isinstance(error, jinja2.TemplateSyntaxError):
        return _syntax_fault(error)
    if isinstance(error, jinja2.TemplateNotFound):
        hint = f"a partial is a file in {PARTIALS} of the messages folder, with no link or .."
        if partials:
            hint = _meant(nearest(said, partials)) or f"{hint}: {_some(partials)}"
        return Mistake(f'there is no partial "{said[:60]}"', hint, partial, line)
    what, hint = _what_and_hint(error, said)
    if partial is None:
        hint = _with_column(hint, line, values, source)
    is_final = isinstance(error, (TooLong, MemoryError, TooLarge))
    rule = "limit" if is_final else "template"
    return Mistake(f"template: {what}", hint, partial, line, rule=rule)


def _syntax_fault(error: jinja2.TemplateSyntaxError) -> Mistake:
    partial = _partial_of(error.filename)
    if isinstance(error, NoSuch):
        hint = _meant(error.near) or "use one of Jinja2's, or one for people: number, money, date"
        what = f"template: {error.message}"
        return Mistake(what, hint, partial, error.lineno, error.wanted, "syntax")
    what = "template: this is no Jinja2 template"
    source = (error.source or "")[:_MAX_SOURCE]
    source = _PASSED.sub(lambda part: "\n" * part[0].count("\n"), source)
    open_at = _open_quote(source)
    if open_at is not None:
        hint = "a quote that opens here is not closed on its line"
        return Mistake(what, hint, partial, open_at, rule="syntax")
    bare = _BRACES_AS_TEXT.sub("", source)
    if left := _LEFT_OPEN.search(bare):
        end = {"{{": "}}", "{%": "%}"}[left[1]]
        hint = f"the {left[1]} that opens here is not closed: write {end}; {_BRACES}"
        line = bare.count("\n", 0, left.start()) + 1
        return Mistake(what, hint, partial, line, rule="syntax")
    said = str(error.message).replace("\n", " ")[:200]
    return Mistake(what, f"Jinja2 says: {said}; {_BRACES}", partial, error.lineno, rule="syntax")


def _open_quote(source: str) -> int | None:
    """The line of the first tag that opens a text and does not close it; None if there is none."""
    for tag in _TAG.finditer(source):
        rest = _CLOSED.sub("", tag[0])
        if "'" in rest or '"' in rest:
            return source.count("\n", 0, tag.start()) + 1
    return None


def _meant(near: str | None) -> str:
    return f'did you mean "{near}"?' if near else ""


def _some(names: Collection[str]) -> str:
    """Say which there are, the first of them by name."""
    first = ", ".join(map(quoted, islice(names, _MAX_NAMES)))
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return first + more


def _what_and_hint(error: BaseException, said: str) -> tuple[str, str]:
    if isinstance(error, SecurityError):
        return "this is not allowed", "use plain values"
    if isinstance(error, Unusable):
        return said, error.hint
    if isinstance(error, OSError):
        return "this needs what a template does not have", "fill in words, and nothing else"
    if isinstance(error, TooLong):
        return "this takes too long", "a template fills in words: compute elsewhere"
    if isinstance(error, MemoryError):
        return "this takes too much memory", "a template fills in words: compute elsewhere"
    if isinstance(error, RecursionError):
        return "this is nested too deep, or calls itself without end", "make it flatter"
    if isinstance(error, ZeroDivisionError):
        return "this divides by zero", ""
    return "this cannot be computed", "check the values"


def _with_column(hint: str, line: int, values: Mapping[str, object], source: str) -> str:
    """Name the column that a hint is about: the one of text on this line, if there is no other."""
    row = values.get("row")
    words = source[:_MAX_SOURCE].split("\n")[line - 1 : line]
    named = columns_named("".join(words)) if isinstance(row, dict) else set()
    names = [name for name in named if isinstance(row, dict) and isinstance(row.get(name), str)]
    return about_column(hint, names[0]) if len(names) == 1 else hint


def _undefined_fault(
    error: NotDefined, partial: str | None, line: int, values: Mapping[str, object], source: str
) -> Mistake:
    name, row = error.name, values.get("row")
    columns = row if isinstance(row, dict) else {}
    if not error.is_variable:
        hint = _meant(_near(name, columns))
        if not hint:
            hint = f"the row has {_some(columns)}" if columns else "check the name"
        what = f"template: there is no {quoted(name)} in this"
        return Mistake(what, hint, partial, line, name)
    near = f"row.{name}" if name in columns else _near(name, values)
    if near is None and (column := _near(name, columns)):
        near = f"row.{column}"
    hint = _meant(near) or f"add it to `variables:`, or --var {name}=…"
    if name == "row":
        hint = "`row` is that of a table: add `for_each: FILE.csv`"
    elif re.search(rf"\|\s*\w+\([^(){{}}]*\b{re.escape(name)}\b", source[:_MAX_SOURCE]):
        hint = f'if it is text, put it in quotes: "{name}"; if not, {hint}'
    if re.search(rf"[\\\w}}]\{{\{{{re.escape(name)}\}}\}}", source[:_MAX_SOURCE]):
        hint = f"{hint}; {_BRACES}"
    return Mistake(
        f'the variable "{name}" is not defined{_odd_letter(name)}', hint, partial, line, name
    )


def _near(name: str, known: Iterable[str]) -> str | None:
    return nearest(name, islice((each for each in known if isinstance(each, str)), _MAX_COMPARED))


def _odd_letter(name: str) -> str:
    """Name a letter of another script among Latin ones: it looks the same, and is another."""
    odd = next((char for char in name if not char.isascii() and char.isalpha()), None)
    if odd is None or not any(char.isascii() and char.isalpha() for char in name):
        return ""
    what = unicodedata.name(odd, "")
    return "" if what.startswith("LATIN") else f": its {quoted(odd)} is {what}"


def _innermost_line(error: BaseException) -> tuple[str | None, int]:
    """The innermost template line of an error's traceback: Jinja2 puts the lines there."""
    filename, line = _TEMPLATE, 1
    trace = error.__traceback__
    while trace is not None:
        names = trace.tb_frame.f_globals
        if "__jinja_exception__" in names:
            filename, line = trace.tb_frame.f_code.co_filename, trace.tb_lineno
        elif isinstance(compiled := names.get("__jinja_template__"), jinja2.Template):
            # What is no `Exception` passes Jinja2 by, and has the lines of its Python code.
            filename = compiled.filename or _TEMPLATE
            line = compiled.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return _partial_of(filename), line


def _partial_of(filename: str | None) -> str | None:
    if filename is None or not filename.startswith(PARTIALS):
        return None
    return filename.removeprefix(PARTIALS)
