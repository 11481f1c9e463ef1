"""Templates: sandboxed, strict Jinja2, and the line of whatever is wrong in one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import jinja2
from jinja2 import ChainableUndefined, StrictUndefined, TemplateError, UndefinedError, nodes
from jinja2.environment import TemplateExpression
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from runner import paths
from runner.errors import Place, Pointer, Problem
from runner.yamlfile import YamlFile

PARTIALS_NAME = "_partials"
_TEMPLATE = "<template>"
_MARKERS = ("{{", "{%", "{#")
_UNDEFINED_NAME = re.compile(r"'(\w+)' is undefined")
_UNDEFINED_ATTRIBUTE = re.compile(r"has no attribute '(\w+)'")
_MAX_NAMED_AT_ONCE = 20

# Whatever a template does wrong is the author's mistake, and one of these: a template is code.
_TEMPLATE_FAULTS = (
    TemplateError, ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError,
    SyntaxError, TypeError, ValueError,
)  # fmt: skip


class Refused(Exception):
    """A template that did not render, with the problems to report."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__()
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Source:
    """A template and where it is written."""

    file: YamlFile
    pointer: Pointer
    text: str

    def place(self, offset: int = 0) -> Place:
        """Find the place of a character of the template."""
        return self.file.text_place(self.pointer, offset)

    def line_offset(self, line: int, wanted: str | None = None) -> int:
        """Where a template line starts to matter: at `wanted`, else at its first marker."""
        lines = self.text.split("\n")
        line = min(max(line, 1), len(lines))
        start = sum(len(earlier) + 1 for earlier in lines[: line - 1])
        here = lines[line - 1]
        named = re.search(rf"\b{re.escape(wanted)}\b", here) if wanted else None
        marker = re.search(r"\{[{%#]", here)
        column = named.start() if named else marker.start() if marker else 0
        return start + (column or len(here) - len(here.lstrip()))


class Templates:
    """Renders templates with one environment, compiling equal ones once.

    `partials` is the folder that includes come from, None for no includes.
    """

    def __init__(self, partials: Path | None) -> None:
        self._partials = partials
        self._environment = _environment(self._load_partial)
        self._compiled: dict[str, jinja2.Template] = {}
        self._expressions: dict[str, TemplateExpression | None] = {}

    def text(self, source: Source, values: Mapping[str, object]) -> str:
        """Render a template to a text; raises `Refused`."""
        if not has_markers(source.text):
            return source.text
        template = self._template(source)
        try:
            return template.render(values)
        except UndefinedError as error:
            raise Refused(self._find_undefined(source, template, values, error)) from error
        except _TEMPLATE_FAULTS as error:
            raise Refused([_problem_of(source, error)]) from error

    def value(self, source: Source, values: Mapping[str, object]) -> object:
        """Render a text to a text, or a lone `{{ expression }}` to its value with its type.

        Raises `Refused`.
        """
        if not has_markers(source.text):
            return source.text
        try:
            expression = self._expression(source.text)
            if expression is None:
                return self.text(source, values)
            value = expression(values)
            if isinstance(value, StrictUndefined):
                str(value)  # a strict undefined value complains when it is used
        except _TEMPLATE_FAULTS as error:
            raise Refused([_problem_of(source, error, values)]) from error
        return value

    def _expression(self, text: str) -> TemplateExpression | None:
        """The compiled expression of a text that is nothing else; None for any other text."""
        if text not in self._expressions:
            expression = None
            if _is_one_expression(self._environment, text):
                code = re.sub(r"^\{\{[-+]?|[-+]?\}\}$", "", text.strip())
                expression = self._environment.compile_expression(code, undefined_to_none=False)
            self._expressions[text] = expression
        return self._expressions[text]

    def _template(self, source: Source) -> jinja2.Template:
        known = self._compiled.get(source.text)
        if known is not None:
            return known
        try:
            template = self._environment.from_string(source.text)
        except _TEMPLATE_FAULTS as error:
            raise Refused([_problem_of(source, error)]) from error
        self._compiled[source.text] = template
        return template

    def _find_undefined(
        self,
        source: Source,
        template: jinja2.Template,
        values: Mapping[str, object],
        error: UndefinedError,
    ) -> list[Problem]:
        """Name this undefined variable, and those that would be complained of after it."""
        problems = [_problem_of(source, error, values)]
        filled = dict(values)
        for _ in range(_MAX_NAMED_AT_ONCE):
            named = _UNDEFINED_NAME.search(str(error))
            if not named or named[1] in filled:
                break
            filled[named[1]] = ChainableUndefined(name=named[1])
            try:
                template.render(filled)
                break
            except UndefinedError as following:
                error = following
                problems.append(_problem_of(source, error, values))
            except _TEMPLATE_FAULTS:
                break
        return problems

    def _load_partial(self, name: str) -> tuple[str, str, None] | None:
        """Read `_partials/NAME`; nothing outside that folder can be reached."""
        parts = name.split("/")
        if self._partials is None or "\\" in name or ":" in name:
            return None
        if any(part in ("", ".", "..") or part.startswith(".") for part in parts):
            return None
        path = self._partials.joinpath(*parts)
        # The folder itself may be a link, too: a pull request can hold one to anywhere.
        real = self._partials.parent.resolve().joinpath(PARTIALS_NAME, *parts)
        if not path.is_file() or path.resolve() != real:
            return None
        text = path.read_text(encoding="utf-8-sig")
        return text.removesuffix("\n"), paths.shown(path), None


class _Environment(ImmutableSandboxedEnvironment):
    """Prefers a mapping's own keys to Python's methods: a column may be called `items`."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


def _environment(load: object) -> _Environment:
    environment = _Environment(
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # A message is plain text; a page that shows it escapes it.
        loader=jinja2.FunctionLoader(load),  # type: ignore[arg-type]  # its stub wants bool or None
    )
    # No randomness: a rendering that was reviewed is the rendering that is sent.
    del environment.globals["lipsum"]
    del environment.filters["random"]
    return environment


def has_markers(text: str) -> bool:
    """Whether a text is a template at all; one without markers is its own rendering."""
    return any(marker in text for marker in _MARKERS)


def _is_one_expression(environment: jinja2.Environment, text: str) -> bool:
    stripped = text.strip()
    if not (stripped.startswith("{{") and stripped.endswith("}}")):
        return False
    body = environment.parse(stripped).body
    if len(body) != 1 or not isinstance(body[0], nodes.Output):
        return False
    return len(body[0].nodes) == 1 and not isinstance(body[0].nodes[0], nodes.TemplateData)


def _problem_of(
    source: Source, error: Exception, values: Mapping[str, object] | None = None
) -> Problem:
    """Say what a template did wrong, at the line where it stands."""
    said = str(error).replace("\n", " ")[:200] or type(error).__name__
    if isinstance(error, UndefinedError):
        return _undefined_problem(source, error, said, values or {})
    if isinstance(error, jinja2.TemplateSyntaxError):
        where = _where(source, error.filename, error.lineno, None)
        return Problem(where, f"template: {said}", "see the Jinja2 template syntax", "template")
    if isinstance(error, jinja2.TemplateNotFound):
        where = _runtime_place(source, error, None)
        hint = f"a partial is a file in {PARTIALS_NAME}/ of the messages folder, with no link or .."
        return Problem(where, f'there is no partial "{said[:60]}"', hint, "template")
    if isinstance(error, SecurityError):
        where = _runtime_place(source, error, None)
        return Problem(where, f"template: not allowed: {said}", "use plain values", "template")
    where = _runtime_place(source, error, None)
    return Problem(where, f"template: {type(error).__name__}: {said}", "", "template")


def _undefined_problem(
    source: Source, error: UndefinedError, said: str, values: Mapping[str, object]
) -> Problem:
    named = _UNDEFINED_NAME.search(said)
    if not named:
        attribute = _UNDEFINED_ATTRIBUTE.search(said)
        where = _runtime_place(source, error, attribute[1] if attribute else None)
        return Problem(where, f"template: {said}", "check the name", "template")
    name = named[1]
    near = difflib.get_close_matches(name, list(values), n=1)
    hint = f'did you mean "{near[0]}"?' if near else f"add it to `variables:`, or --var {name}=…"
    where = _runtime_place(source, error, name)
    return Problem(where, f'the variable "{name}" is not defined', hint, "template")


def _runtime_place(source: Source, error: Exception, wanted: str | None) -> Place:
    """The innermost template line of an error's traceback: Jinja2 puts the lines there."""
    filename, line = _TEMPLATE, 1
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if "__jinja_exception__" in trace.tb_frame.f_globals:
            filename, line = trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next
    return _where(source, filename, line, wanted)


def _where(source: Source, filename: str | None, line: int, wanted: str | None) -> Place:
    if filename is not None and filename != _TEMPLATE:
        return Place(filename, line)
    return source.place(source.line_offset(line, wanted))
