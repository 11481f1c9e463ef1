"""`MessageSpec` to `Message`: sandboxed, strict Jinja2 on leaf strings, errors at their line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import jinja2
from jinja2 import ChainableUndefined, StrictUndefined, TemplateError, UndefinedError, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from runner import paths
from runner.digest import digest_of
from runner.errors import Fault, MessagesError, Place, Pointer, Problem
from runner.filters import converted, find_filter_faults, wrapped
from runner.model import Direct, Everyone, Filtered, Message, Recipients, Texts
from runner.spec import MessageSpec

PARTIALS_NAME = "_partials"
_TEMPLATE = "<template>"
_MARKERS = ("{{", "{%", "{#")
_UNDEFINED_NAME = re.compile(r"'(\w+)' is undefined")
_UNDEFINED_ATTRIBUTE = re.compile(r"has no attribute '(\w+)'")
_BAD_IN_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_BAD_IN_ID = re.compile("[\\s\x00-\x1f\x7f\x80-\x9f\ud800-\udfff]")
_MAX_NAMED_AT_ONCE = 20

# Whatever a template does wrong is the author's mistake, and one of these: a template is code.
_TEMPLATE_FAULTS = (
    TemplateError, ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError,
    TypeError, ValueError,
)  # fmt: skip


class _Refused(Exception):
    """A template that did not render, with the problems to report."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__()
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class _Source:
    """A template and where it is written."""

    spec: MessageSpec
    pointer: Pointer
    text: str

    def place(self, offset: int = 0) -> Place:
        return self.spec.file.text_place(self.pointer, offset)

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


class Renderer:
    """Renders specs with one Jinja2 environment, compiling equal templates once.

    `below` are the variables that a spec's own ones beat, `above` those that beat them.
    """

    def __init__(
        self,
        messages_root: Path | None,
        *,
        below: Mapping[str, object] | None = None,
        above: Mapping[str, object] | None = None,
    ) -> None:
        self._partials = messages_root / PARTIALS_NAME if messages_root else None
        self._below = below or {}
        self._above = above or {}
        self._environment = _environment(self._load_partial)
        self._compiled: dict[str, jinja2.Template] = {}

    def render(self, spec: MessageSpec) -> Message:
        """Render one spec; raises `MessagesError` with everything that is wrong in it."""
        problems: list[Problem] = []
        values = {**self._below, **spec.variables, **self._above}
        topic = self._texts(spec, "topic", spec.topic, values, problems)
        text = self._texts(spec, "text", spec.text, values, problems)
        recipients = self._recipients(spec, values, problems)
        if problems:
            raise MessagesError(problems)
        tree = recipients.tree if isinstance(recipients, Filtered) else None
        return Message(
            id=spec.id,
            revision=spec.revision,
            source=spec.source,
            topic=topic,
            text=text,
            answerable=spec.answerable,
            recipients=recipients,
            digest=digest_of(
                topic=topic,
                text=text,
                answerable=spec.answerable,
                select_type=recipients.select_type,
                recipients_filter=tree,
            ),
            draft=spec.draft,
            not_before=spec.not_before,
            not_after=spec.not_after,
        )

    def _texts(
        self,
        spec: MessageSpec,
        key: str,
        templates: Texts,
        values: Mapping[str, object],
        problems: list[Problem],
    ) -> Texts:
        rendered: dict[str, str] = {}
        for language, template in templates.items():
            source = _Source(spec, (key, language), template)
            try:
                rendered[language] = self._text(source, values)
            except _Refused as refused:
                problems.extend(refused.problems)
                continue
            problems.extend(_find_text_problems(source, rendered[language]))
        return rendered

    def _recipients(
        self, spec: MessageSpec, values: Mapping[str, object], problems: list[Problem]
    ) -> Recipients:
        if spec.select_type == "ALL":
            return Everyone()
        if spec.select_type == "FILTER":
            return self._filter(spec, values, problems)
        ids: list[str] = []
        for source, value in self._id_values(spec, values, problems):
            problem = _id_problem(source, value)
            problems.extend([problem] if problem else [])
            ids.append(str(value))
        if not ids and not problems:
            where = spec.file.place(("recipients_ids",))
            problems.append(Problem(where, "the list of recipients is empty", "name somebody"))
        return Direct(tuple(dict.fromkeys(ids)))

    def _id_values(
        self, spec: MessageSpec, values: Mapping[str, object], problems: list[Problem]
    ) -> Iterator[tuple[_Source, object]]:
        one_list = isinstance(spec.recipients_ids, str)
        items = [spec.recipients_ids] if one_list else spec.recipients_ids
        for number, template in enumerate(items or ()):
            pointer: Pointer = ("recipients_ids",) if one_list else ("recipients_ids", number)
            source = _Source(spec, pointer, str(template))
            try:
                value = self._value(source, values)
            except _Refused as refused:
                problems.extend(refused.problems)
                continue
            if not one_list:
                yield source, value
            elif isinstance(value, (list, tuple)):
                yield from ((source, item) for item in value)
            else:
                what = f"the expression gives {_kind(value)}, not a list of ids"
                problems.append(Problem(source.place(), what, "give a list, or write one here"))

    def _filter(
        self, spec: MessageSpec, values: Mapping[str, object], problems: list[Problem]
    ) -> Filtered:
        faults: list[Problem] = []
        tree = self._leaves(spec, ("recipients_filter",), spec.recipients_filter, values, faults)
        if not faults:
            found: list[Fault] = find_filter_faults(tree, rendered=True)
            faults = [spec.file.problem(fault) for fault in found]
        problems.extend(faults)
        root = wrapped(tree)
        return Filtered(root if isinstance(root, Mapping) else {})

    def _leaves(
        self,
        spec: MessageSpec,
        pointer: Pointer,
        value: object,
        values: Mapping[str, object],
        problems: list[Problem],
    ) -> object:
        """Render every text below `value`; a numeric text becomes a number where one is taken."""
        if isinstance(value, list):
            return [
                self._leaves(spec, (*pointer, number), item, values, problems)
                for number, item in enumerate(value)
            ]
        if isinstance(value, dict):
            done = {
                key: self._leaves(spec, (*pointer, key), item, values, problems)
                for key, item in value.items()
            }
            given, written = done.get("value"), value.get("value")
            if isinstance(given, str) and isinstance(written, str) and _has_markers(written):
                done["value"] = converted(done.get("category"), done.get("key"), given)
            return done
        if not isinstance(value, str):
            return value
        try:
            return self._value(_Source(spec, pointer, value), values)
        except _Refused as refused:
            problems.extend(refused.problems)
            return value

    def _text(self, source: _Source, values: Mapping[str, object]) -> str:
        if not _has_markers(source.text):
            return source.text
        template = self._template(source)
        try:
            return template.render(values)
        except UndefinedError as error:
            raise _Refused(self._find_undefined(source, template, values, error)) from error
        except _TEMPLATE_FAULTS as error:
            raise _Refused([_problem_of(source, error)]) from error

    def _value(self, source: _Source, values: Mapping[str, object]) -> object:
        """Render a text to a text, or a lone `{{ expression }}` to its value with its type."""
        if not _has_markers(source.text):
            return source.text
        try:
            if not _is_one_expression(self._environment, source.text):
                return self._text(source, values)
            code = re.sub(r"^\{\{[-+]?|[-+]?\}\}$", "", source.text.strip())
            expression = self._environment.compile_expression(code, undefined_to_none=False)
            value = expression(**values)
            if isinstance(value, StrictUndefined):
                str(value)  # a strict undefined value complains when it is used
        except _TEMPLATE_FAULTS as error:
            raise _Refused([_problem_of(source, error, values)]) from error
        return value

    def _template(self, source: _Source) -> jinja2.Template:
        known = self._compiled.get(source.text)
        if known is not None:
            return known
        try:
            template = self._environment.from_string(source.text)
        except _TEMPLATE_FAULTS as error:
            raise _Refused([_problem_of(source, error)]) from error
        self._compiled[source.text] = template
        return template

    def _find_undefined(
        self,
        source: _Source,
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
        real = self._partials.resolve().joinpath(*parts)
        if not path.is_file() or path.resolve() != real:
            return None
        text = path.read_text(encoding="utf-8-sig")
        return text.removesuffix("\n"), paths.shown(path), None


def _environment(load: object) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # A message is plain text; a page that shows it escapes it.
        loader=jinja2.FunctionLoader(load),  # type: ignore[arg-type]  # its stub wants bool or None
    )
    # No randomness: a rendering that was reviewed is the rendering that is sent.
    del environment.globals["lipsum"]
    del environment.filters["random"]
    return environment


def _has_markers(text: str) -> bool:
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
    source: _Source, error: Exception, values: Mapping[str, object] | None = None
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
    source: _Source, error: UndefinedError, said: str, values: Mapping[str, object]
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


def _runtime_place(source: _Source, error: Exception, wanted: str | None) -> Place:
    """The innermost template line of an error's traceback: Jinja2 puts the lines there."""
    filename, line = _TEMPLATE, 1
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if "__jinja_exception__" in trace.tb_frame.f_globals:
            filename, line = trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next
    return _where(source, filename, line, wanted)


def _where(source: _Source, filename: str | None, line: int, wanted: str | None) -> Place:
    if filename is not None and filename != _TEMPLATE:
        return Place(filename, line)
    return source.place(source.line_offset(line, wanted))


def _find_text_problems(source: _Source, rendered: str) -> list[Problem]:
    name = ".".join(map(str, source.pointer))
    if not rendered.strip():
        what = f"{name} is empty once it is rendered"
        return [Problem(source.place(), what, "write something, or drop the language")]
    bad = _BAD_IN_TEXT.search(rendered)
    if bad:
        what = f"{name} holds the control character U+{ord(bad.group()):04X}"
        return [Problem(source.place(), what, "remove it")]
    return []


def _id_problem(source: _Source, value: object) -> Problem | None:
    if not isinstance(value, str):
        what = f"a recipient id is text, and this is {_kind(value)}"
        return Problem(source.place(), what, "put the id in quotes where it is defined")
    if not value:
        return Problem(source.place(), "a recipient id is empty", "write the Toloker's id")
    if _BAD_IN_ID.search(value):
        what = "a recipient id holds white space or a control character"
        return Problem(source.place(), what, "one id an item, nothing around it")
    return None


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, (list, tuple)) else "a mapping"
