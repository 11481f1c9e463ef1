"""What is wrong with a template, in plain words and with its line, from what Jinja2 raised."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple

import jinja2
from jinja2 import UndefinedError
from jinja2.exceptions import SecurityError

from runner.wording import quoted

PARTIALS = "_partials/"
"""What the names of partials begin with where a fault points at one."""

UNDEFINED_NAME = re.compile(r"'(\w+)' is undefined")
"""How a strict undefined variable is complained of."""

_UNDEFINED_ATTRIBUTE = re.compile(r"has no (?:attribute|element) '?(\w+)")
_TEMPLATE = "<template>"
_MAX_COMPARED = 1_000


class TooLong(BaseException):
    """A template took more time than it may; raised from outside, between two of its steps.

    No `except Exception` of Jinja2's own may hold it up.
    """


class Unusable(jinja2.TemplateRuntimeError):
    """Something that a template wants and cannot have, said in plain words."""


class TooLarge(Unusable):
    """More than anybody needs: other values would not make it less."""


class Mistake(NamedTuple):
    """What is wrong with a template, on which of its lines, at which word.

    `partial` is the file's name where the line is that of a partial. `is_final` says that no
    other row of values needs to be tried.
    """

    what: str
    hint: str
    partial: str | None = None
    line: int = 1
    wanted: str | None = None
    is_final: bool = False


def mistake_of(error: BaseException, values: Mapping[str, object]) -> Mistake:
    """Say what a template did wrong, at the line where it did."""
    said = str(error).replace("\n", " ")[:200] or type(error).__name__
    partial, line = _innermost_line(error)
    if isinstance(error, UndefinedError):
        return _undefined_fault(said, partial, line, values)
    if isinstance(error, jinja2.TemplateSyntaxError):
        partial = _partial_of(error.filename)
        what, hint = "template: this is no Jinja2 template", f"Jinja2 says: {said}"
        return Mistake(what, hint, partial, error.lineno)
    if isinstance(error, jinja2.TemplateNotFound):
        hint = f"a partial is a file in {PARTIALS} of the messages folder, with no link or .."
        return Mistake(f'there is no partial "{said[:60]}"', hint, partial, line)
    what, hint = _what_and_hint(error, said)
    is_final = isinstance(error, (TooLong, MemoryError, TooLarge))
    return Mistake(f"template: {what}", hint, partial, line, is_final=is_final)


def _what_and_hint(error: BaseException, said: str) -> tuple[str, str]:
    if isinstance(error, SecurityError):
        return "this is not allowed", "use plain values"
    if isinstance(error, Unusable):
        return said, ""
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
    return f"this cannot be computed: {type(error).__name__}", "check the values"


def _undefined_fault(
    said: str, partial: str | None, line: int, values: Mapping[str, object]
) -> Mistake:
    named = UNDEFINED_NAME.search(said)
    if not named:
        attribute = _UNDEFINED_ATTRIBUTE.search(said)
        wanted = attribute[1] if attribute else None
        what = f"there is no {quoted(wanted)} in this" if wanted else "there is nothing here"
        return Mistake(f"template: {what}", "check the name", partial, line, wanted)
    name = named[1]
    near = difflib.get_close_matches(name[:60], islice(values, _MAX_COMPARED), n=1)
    hint = f'did you mean "{near[0]}"?' if near else f"add it to `variables:`, or --var {name}=…"
    return Mistake(f'the variable "{name}" is not defined', hint, partial, line, name)


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
