"""What a template may do: Jinja2, sandboxed, strict, without chance.

It runs in the template process (`runner.render.process`), and knows nothing of files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from jinja2 import ChainableUndefined, TemplateError, nodes
from jinja2.environment import TemplateExpression

from runner.render.environment import Way, make_environment
from runner.render.mistakes import (
    PARTIALS,
    Mistake,
    NotDefined,
    TooLong,
    Unusable,
    mistake_of,
)
from runner.render.values import plain

MAX_CHARACTERS = 1_000_000

_MAX_PARTIALS = 500
_MAX_NAME = 200
_MAX_FOLDERS = 8
_MAX_COMPILED = 500
_MAX_NAMED_AT_ONCE = 20
# An expression that holds none of these ends where Jinja2 says that it ends.
_PLAIN_EXPRESSION = re.compile(r"\{\{(?![-+])([^{}%#'\"\\\r]*)(?<![-+])\}\}")
# Whatever a template does wrong is the author's mistake, and one of these: a template is code.
_FAULTS = (
    TemplateError, ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError,
    AssertionError, NameError, OSError, SyntaxError, TypeError, ValueError,
)  # fmt: skip


class Refusal(Exception):
    """A template that gave nothing, and why."""

    def __init__(self, faults: Sequence[Mistake]) -> None:
        super().__init__()
        self.faults = tuple(faults)


class Sandbox:
    """Renders templates, compiling equal ones once.

    `read_partial` gives a partial's text by its name, or the names that there are; `people` are
    the filters that need the words of a language, where these were read.
    """

    def __init__(
        self,
        read_partial: Callable[[str], str | Sequence[str]],
        people: Mapping[str, Callable[..., object]] | None = None,
    ) -> None:
        self._read_partial = read_partial
        self._partials: dict[str, str | Sequence[str]] = {}
        self._known: Sequence[str] = ()
        self._environment = make_environment(self._load, people)
        # A compiled template takes many times its text, so only those used last are kept.
        self._compiled = lru_cache(_MAX_COMPILED)(self._environment.from_string)
        self._expression = lru_cache(_MAX_COMPILED)(self._compile_expression)

    @property
    def braces_from(self) -> str | None:
        """Which value brought the braces of a template into the last text; None for none."""
        return self._environment.braces_from

    @property
    def branches(self) -> list[Way]:
        """Which ways the last text went; a file is a partial's name."""
        ways = self._environment.branches
        return [(way[0] and way[0].removeprefix(PARTIALS), *way[1:]) for way in ways]

    def text(self, template: str, values: Mapping[str, object], language: str = "EN") -> str:
        """Render a template to a text in a language; raises `Refusal`."""
        self._environment.language = language
        self._environment.braces_from = None
        self._environment.branches = {}
        try:
            rendered = self._quick(template, values)
            if rendered is None:
                rendered = self._compiled(template).render(values)
        except NotDefined as error:
            raise Refusal(self._find_undefined(template, values, error)) from error
        except (*_FAULTS, TooLong) as error:
            raise Refusal([self._mistake(error, values, template)]) from error
        return _short_enough(rendered)

    def value(self, template: str, values: Mapping[str, object], *, takes_list: bool) -> object:
        """Render a template to a text, or a lone `{{ expression }}` to its value, as plain data.

        What is not wanted, a list or a mapping, comes back empty. Raises `Refusal`.
        """
        self._environment.language = "EN"
        try:
            expression = self._expression(template)
            if expression is None:
                return self.text(template, values)
            return plain(expression(values), takes_list=takes_list)
        except (*_FAULTS, TooLong) as error:
            raise Refusal([self._mistake(error, values, template)]) from error

    def _quick(self, template: str, values: Mapping[str, object]) -> str | None:
        """Render a text that holds plain expressions only, compiling these and not the text.

        Texts differ, and what they insert is the same in most. None if it is not so simple, or
        does not render: the whole template then says what is wrong, and where.
        """
        literals, expressions = _split(template)
        if not expressions:
            return None
        try:
            compiled = [self._compiled(expression) for expression in expressions]
            context = compiled[0].new_context(dict(values))
            done = ["".join(each.root_render_func(context)) for each in compiled]
        except _FAULTS:
            return None
        return "".join(part for pair in zip(literals, [*done, ""], strict=True) for part in pair)

    def _compile_expression(self, template: str) -> TemplateExpression | None:
        """The compiled expression of a text that is nothing else; None for any other text."""
        stripped = template.strip()
        if not (stripped.startswith("{{") and stripped.endswith("}}")):
            return None
        if not _is_one_expression(self._environment.parse(stripped)):
            return None
        code = re.sub(r"^\{\{[-+]?|[-+]?\}\}$", "", stripped)
        return self._environment.compile_expression(code, undefined_to_none=False)

    def _find_undefined(
        self, source: str, values: Mapping[str, object], error: NotDefined
    ) -> list[Mistake]:
        """Name this undefined variable, and those that would be complained of after it."""
        faults = [self._mistake(error, values, source)]
        filled = dict(values)
        for _ in range(_MAX_NAMED_AT_ONCE):
            if not error.is_variable or error.name in filled:
                break
            filled[error.name] = ChainableUndefined(name=error.name)
            try:
                self._compiled(source).render(filled)
                break
            except NotDefined as following:
                error = following
                faults.append(self._mistake(error, values, source))
            except (*_FAULTS, TooLong):
                break
        return faults

    def _mistake(self, error: BaseException, values: Mapping[str, object], source: str) -> Mistake:
        return mistake_of(error, values, source, self._known)

    def _load(self, name: str) -> tuple[str, str, None] | None:
        """Ask for each partial once, and for so many only: the answer costs our parent time."""
        if name not in self._partials:
            if len(self._partials) >= _MAX_PARTIALS:
                raise Unusable(f"these templates ask for more than {_MAX_PARTIALS} partials")
            is_short = len(name) <= _MAX_NAME and name.count("/") <= _MAX_FOLDERS
            self._partials[name] = self._read_partial(name) if is_short else ()
        found = self._partials[name]
        if isinstance(found, str):
            return found, PARTIALS + name, None
        self._known = found
        return None


def _short_enough(text: str) -> str:
    if len(text) > MAX_CHARACTERS:
        what = f"the text is {len(text):,} characters once it is rendered"
        raise Refusal(
            [Mistake(what, f"no text may have more than {MAX_CHARACTERS:,}", rule="limit")]
        )
    return text


def _is_one_expression(parsed: nodes.Template) -> bool:
    if len(parsed.body) != 1 or not isinstance(parsed.body[0], nodes.Output):
        return False
    inner = parsed.body[0].nodes
    return len(inner) == 1 and not isinstance(inner[0], nodes.TemplateData)


def _split(template: str) -> tuple[list[str], list[str]]:
    """Cut a text into what is literal and its `{{ expressions }}`; none if it is not so simple."""
    parts = _PLAIN_EXPRESSION.split(template)
    literals, expressions = parts[::2], parts[1::2]
    if any("{{" in part or "{%" in part or "{#" in part for part in literals):
        return [], []
    # `{{{` is not a brace and an expression; and Jinja2 has its own idea of a lone return.
    if "\r" in template or any(part.endswith("{") for part in literals[:-1]):
        return [], []
    return literals, ["{{" + expression + "}}" for expression in expressions]
