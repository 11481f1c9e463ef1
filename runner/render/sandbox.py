"""What a template may do: Jinja2, sandboxed, strict, without chance.

It runs in the template process (`runner.render.process`), and knows nothing of files.
"""

from __future__ import annotations

import re
from collections.abc import (
    Callable,
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    Sequence,
    ValuesView,
)
from functools import lru_cache, wraps
from itertools import islice
from typing import Any, TypeGuard

import jinja2
from jinja2 import ChainableUndefined, StrictUndefined, TemplateError, UndefinedError, nodes
from jinja2.environment import TemplateExpression
from jinja2.runtime import Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment

from runner.render.gaps import Gap
from runner.render.mistakes import (
    PARTIALS,
    UNDEFINED_NAME,
    Mistake,
    TooLarge,
    TooLong,
    Unusable,
    mistake_of,
)

MAX_CHARACTERS = 1_000_000
MAX_VALUES = 250_000

_MAX_ITEM = 20_000
_MAX_PARTIALS = 500
_MAX_NAME = 200
_MAX_FOLDERS = 8
_MAX_COMPILED = 500
_MAX_NAMED_AT_ONCE = 20
_FUNCTION = "this is a function, not text: call it with ()"
_SERIES = "this is a series of values, not text: end it with |list or |join"
# An expression that holds none of these ends where Jinja2 says that it ends.
_PLAIN_EXPRESSION = re.compile(r"\{\{(?![-+])([^{}%#'\"\\\r]*)(?<![-+])\}\}")
# A number of more than 60 digits says nothing to anybody.
_MAX_BITS = 200

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
    """Renders templates, compiling equal ones once; `read_partial` gives a partial's text by name."""

    def __init__(self, read_partial: Callable[[str], str | None]) -> None:
        self._read_partial = read_partial
        self._partials: dict[str, str | None] = {}
        self._environment = _environment(self._load)
        # A compiled template takes many times its text, so only those used last are kept.
        self._compiled = lru_cache(_MAX_COMPILED)(self._environment.from_string)
        self._expression = lru_cache(_MAX_COMPILED)(self._compile_expression)

    def text(self, template: str, values: Mapping[str, object]) -> str:
        """Render a template to a text; raises `Refusal`."""
        try:
            rendered = self._quick(template, values)
            if rendered is None:
                rendered = self._compiled(template).render(values)
        except UndefinedError as error:
            raise Refusal(self._find_undefined(template, values, error)) from error
        except (*_FAULTS, TooLong) as error:
            raise Refusal([mistake_of(error, values)]) from error
        return _short_enough(rendered)

    def value(self, template: str, values: Mapping[str, object], *, takes_list: bool) -> object:
        """Render a template to a text, or a lone `{{ expression }}` to its value, as plain data.

        What is not wanted, a list or a mapping, comes back empty. Raises `Refusal`.
        """
        try:
            expression = self._expression(template)
            if expression is None:
                return self.text(template, values)
            return _plain(expression(values), takes_list=takes_list)
        except (*_FAULTS, TooLong) as error:
            raise Refusal([mistake_of(error, values)]) from error

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
        self, source: str, values: Mapping[str, object], error: UndefinedError
    ) -> list[Mistake]:
        """Name this undefined variable, and those that would be complained of after it."""
        faults = [mistake_of(error, values)]
        filled = dict(values)
        for _ in range(_MAX_NAMED_AT_ONCE):
            named = UNDEFINED_NAME.search(str(error))
            if not named or named[1] in filled:
                break
            filled[named[1]] = ChainableUndefined(name=named[1])
            try:
                self._compiled(source).render(filled)
                break
            except UndefinedError as following:
                error = following
                faults.append(mistake_of(error, values))
            except (*_FAULTS, TooLong):
                break
        return faults

    def _load(self, name: str) -> tuple[str, str, None] | None:
        """Ask for each partial once, and for so many only: the answer costs our parent time."""
        if name not in self._partials:
            if len(self._partials) >= _MAX_PARTIALS:
                raise Unusable(f"these templates ask for more than {_MAX_PARTIALS} partials")
            is_short = len(name) <= _MAX_NAME and name.count("/") <= _MAX_FOLDERS
            self._partials[name] = self._read_partial(name) if is_short else None
        text = self._partials[name]
        return None if text is None else (text, PARTIALS + name, None)


class _Function:
    """Something to call and nothing to look at: Python shows its address, new in every run."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *args: object, **options: object) -> object:
        return self._function(*args, **options)

    def __repr__(self) -> str:
        raise Unusable(_FUNCTION)


# Complaints name what has no such attribute, and nobody knows of this class.
_Function.__module__, _Function.__name__ = "builtins", "function"


class _Series(list[object]):
    """What a filter gives one by one, as a list; it is not shown, for nobody means its brackets."""

    def __repr__(self) -> str:
        raise Unusable(_SERIES)


class _Environment(ImmutableSandboxedEnvironment):
    """Gives the same text in every run: no address, and no order of a set.

    A mapping's own keys come before Python's methods: a column may be called `items`.
    """

    intercepted_binops = frozenset({"-"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return _without_address(super().getattr(obj, attribute))

    def getitem(self, obj: Any, argument: Any) -> Any:
        return _without_address(super().getitem(obj, argument))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, (set, frozenset)):
            raise Unusable("this has no order: use |reject or |select on a list")
        return result


def _without_address(value: object) -> object:
    is_odd = callable(value) and not isinstance(value, (jinja2.Undefined, Macro, Gap))
    return _Function(value) if is_odd else value  # type: ignore[arg-type]  # it is callable


def _in_order(give: Callable[..., object]) -> Callable[..., object]:
    """Make a filter give a list where it gives its values one by one."""

    @wraps(give)
    def filtered(*args: object, **options: object) -> object:
        given = give(*args, **options)
        return _Series(given) if isinstance(given, Iterator) else given

    return filtered


def _environment(load: Callable[[str], object]) -> _Environment:
    environment = _Environment(
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        optimized=False,  # Computing when compiling is no quicker for what is rendered once.
        autoescape=False,  # A message is plain text; a page that shows it escapes it.
        finalize=_shown,
        loader=jinja2.FunctionLoader(load),  # type: ignore[arg-type]  # its stub wants bool or None
    )
    # No chance: a rendering that was reviewed is the rendering that is sent.
    for name in ("lipsum", "cycler", "joiner"):
        del environment.globals[name]
    del environment.filters["random"]
    for name, found in environment.globals.items():
        environment.globals[name] = _without_address(found)
    for name, give in environment.filters.items():
        environment.filters[name] = _in_order(give)
    return environment


def _shown(value: object) -> object:
    """Let only data into a text, and into the lists and mappings in it."""
    inside: Iterable[object] = ()
    if isinstance(value, dict):
        inside = (*value.keys(), *value.values())
    elif isinstance(value, (list, tuple)):
        inside = value
    elif not isinstance(value, (str, jinja2.Undefined)):
        _plain_leaf(value)
    for item in inside:
        if isinstance(item, jinja2.Undefined):
            str(item)  # Inside a list it would not complain by itself.
        else:
            _shown(item)
    return value


def _plain(value: object, *, takes_list: bool) -> object:
    """Copy a value with what JSON knows and nothing else; a list only of single values."""
    if isinstance(value, dict):
        return {}
    if not (isinstance(value, (list, tuple)) or _is_series(value)):
        return _short(_plain_leaf(value))
    if not takes_list:
        return []
    items = list(islice(value, MAX_VALUES + 1))
    if len(items) > MAX_VALUES:
        raise TooLarge(f"this is more than {MAX_VALUES:,} values")
    return [_plain_item(item) for item in items]


def _plain_item(item: object) -> object:
    return _plain(item, takes_list=False)


def _short(item: object) -> object:
    if isinstance(item, str) and len(item) > _MAX_ITEM:
        raise TooLarge(f"this is a value of more than {_MAX_ITEM:,} characters")
    return item


def _plain_leaf(item: object) -> object:
    if isinstance(item, (str, jinja2.Undefined, Gap)):
        return str(item)  # Undefined is strict: it complains, and so does a gap.
    if isinstance(item, int) and item.bit_length() > _MAX_BITS:
        raise Unusable("this number is too large")
    if item is None or isinstance(item, (bool, int, float)):
        return item
    if callable(item):
        raise Unusable(_FUNCTION)
    if _is_series(item):
        raise Unusable(_SERIES)
    raise Unusable("this is neither text nor data")


def _is_series(item: object) -> TypeGuard[Iterable[object]]:
    """Whether a value gives others one by one, as `|map` and `range` do."""
    return isinstance(item, (Iterator, range, KeysView, ValuesView, ItemsView))


def _short_enough(text: str) -> str:
    if len(text) > MAX_CHARACTERS:
        what = f"the text is {len(text):,} characters once it is rendered"
        raise Refusal(
            [Mistake(what, f"no text may have more than {MAX_CHARACTERS:,}", is_final=True)]
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
