"""The environment of all templates: Jinja2's sandbox, strict, without chance, with our checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sized, ValuesView
from functools import cached_property, partial, wraps
from typing import Any

import jinja2
from jinja2 import StrictUndefined, UndefinedError, nodes, pass_context, pass_environment
from jinja2.environment import TemplateModule
from jinja2.filters import make_attrgetter
from jinja2.runtime import Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from runner.render.gaps import Gap
from runner.render.grammar import Checks, OurLexer
from runner.render.mistakes import NeedsLocale, NotDefined, TooLarge, Unusable
from runner.render.numbers import (
    Number,
    absolute,
    added_up,
    calculate,
    compare,
    rounded,
    tidy,
    to_float,
    to_int,
)
from runner.render.values import FUNCTION, Series, check_condition, check_items, check_shown

# Filters that make text of what they are given, and filters that go through a list.
_MAKE_TEXT = frozenset(
    ("capitalize", "center", "e", "escape", "filesizeformat", "forceescape", "format", "indent",
     "lower", "pprint", "replace", "safe", "string", "striptags", "title", "tojson", "trim",
     "truncate", "upper", "urlencode", "urlize", "wordcount", "wordwrap", "xmlattr")
)  # fmt: skip
# What they are given beside goes into the text, too.
_FILL_IN = frozenset(("format", "replace"))
# They ask of each value whether it counts as yes, unless a test does.
_SELECT = frozenset(("reject", "rejectattr", "select", "selectattr"))
_TAKE_LISTS = frozenset(
    ("batch", "groupby", "join", "listed", "map", "max", "min", "reject", "rejectattr", "select",
     "selectattr", "slice", "sort", "sum", "unique")
)  # fmt: skip
_TESTS = {
    "==": "eq", "eq": "eq", "equalto": "eq", "!=": "ne", "ne": "ne", ">": "gt", "gt": "gt",
    "greaterthan": "gt", ">=": "gteq", "ge": "gteq", "<": "lt", "lt": "lt", "lessthan": "lt",
    "<=": "lteq", "le": "lteq", "in": "in",
}  # fmt: skip


# Of all rows together: 50 for each that there may be.
MAX_ROUNDS = 5_000_000


class _Function:
    """Something to call and nothing to look at: Python shows its address, new in every run."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *args: object, **options: object) -> object:
        if getattr(self._function, "__name__", "") in ("format", "format_map"):
            for each in (*args, *options.values()):
                _check_filled_in(each)
        return tidy(self._function(*args, **options))

    def __repr__(self) -> str:
        raise Unusable(FUNCTION)


# Complaints name what has no such attribute, and nobody knows of this class.
_Function.__module__, _Function.__name__ = "builtins", "function"


class _Absent(StrictUndefined):
    """What is not defined: its complaint knows the name, whatever Jinja2 calls it."""

    __slots__ = ()

    def __init__(
        self,
        hint: str | None = None,
        obj: object = missing,
        name: str | None = None,
        exc: type[jinja2.TemplateRuntimeError] = UndefinedError,
    ) -> None:
        super().__init__(hint, obj, name, exc)
        if exc is UndefinedError:
            is_variable = hint is None and obj is missing
            self._undefined_exception = partial(  # type: ignore[assignment]  # it is only called
                NotDefined, name=str(name), is_variable=is_variable
            )


class _Template(jinja2.Template):
    """Nothing of what an imported partial sets is there for the next message."""

    def _get_default_module(self, ctx: Context | None = None) -> TemplateModule:
        self._module = None
        return super()._get_default_module(ctx)


Way = tuple[str | None, int, int, bool]
"""An `if` by its file, None for the text's own, its line and its number there; and whether it is so."""


class Environment(ImmutableSandboxedEnvironment):
    """Gives the same text in every run, and looks at what a template does with its values.

    A mapping's own keys come before Python's methods: a column may be called `items`.
    """

    template_class = _Template
    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))
    intercepted_unops = frozenset(("+", "-"))
    # What a template calls by another name than here; see `Checks`.
    number = staticmethod(Number)
    compare = staticmethod(compare)
    language = "EN"
    """The language of the text that is rendered; of what is not a text, EN."""
    rounds = 0
    """How often the loops of all templates went round, so far."""
    branches: dict[Way, None]
    """Which ways the text went."""
    braces_from: str | None = None
    """Which value has brought the braces of a template into the text that was rendered last."""

    @cached_property
    def lexer(self) -> OurLexer:
        return OurLexer(self)

    def _generate(
        self,
        source: nodes.Template,
        name: str | None,
        filename: str | None,
        defer_init: bool = False,
    ) -> str:
        checks = Checks(self.filters, self.tests, _MAKE_TEXT, filename)
        return super()._generate(checks.visit(source), name, filename, defer_init)

    def shown(self, value: object, name: str | None) -> object:
        check_shown(value, name or "this")
        if name is not None and isinstance(value, str) and ("{{" in value or "{%" in value):
            self.braces_from = self.braces_from or name
        return value

    def condition(self, value: object, name: str | None) -> object:
        check_condition(value, name or "this")
        return value

    def branch(
        self, value: object, name: str | None, file: str | None, line: int, number: int
    ) -> bool:
        check_condition(value, name or "this")
        self.branches[file, line, number, bool(value)] = None
        return bool(value)

    def items(self, value: object, name: str | None) -> object:
        check_items(value, name or "this")
        self.rounds += len(value) if isinstance(value, Sized) else 0
        if self.rounds > MAX_ROUNDS:
            hint = "a template fills in words: compute elsewhere"
            most = f"all loops together go round {MAX_ROUNDS:,} times at most"
            raise TooLarge("this takes too long", f"{hint}; {most}")
        return value

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return _without_address(super().getattr(obj, attribute))

    def getitem(self, obj: Any, argument: Any) -> Any:
        return _without_address(super().getitem(obj, argument))

    def call_binop(
        self,
        context: Context,  # noqa: ARG002  # Jinja2's signature
        operator: str,
        left: Any,
        right: Any,
    ) -> Any:
        if operator == "%" and isinstance(left, str):
            _check_filled_in(right)
        result = calculate(operator, left, right)
        if isinstance(result, (set, frozenset)):
            raise Unusable("this has no order: use |reject or |select on a list")
        return result

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:  # noqa: ARG002  # same
        return calculate("-", 0, arg) if operator == "-" else calculate("+", 0, arg)


def _check_filled_in(value: object) -> None:
    """Look at what is put into a text by its own `%` or `format`."""
    items = value.values() if isinstance(value, dict) else value
    for item in items if isinstance(items, (tuple, ValuesView)) else (items,):
        check_shown(item, "this")


def _without_address(value: object) -> object:
    is_odd = callable(value) and not isinstance(value, (jinja2.Undefined, Macro, Gap))
    return _Function(value) if is_odd else value  # type: ignore[arg-type]  # it is callable


def _careful(name: str, give: Callable[..., object]) -> Callable[..., object]:
    """Hold what a filter takes and gives to the rules."""
    # Jinja2 hands some of them the context first.
    at = int(hasattr(give, "jinja_pass_arg"))

    @wraps(give)
    def filtered(*args: object, **options: object) -> object:
        value = args[at] if len(args) > at else None
        if name in _MAKE_TEXT:
            check_shown(value, "this")
        elif name in _TAKE_LISTS:
            check_items(value, "this")
        if name in _FILL_IN:
            for each in (*args[at + 1 :], *options.values()):
                check_shown(each, "this")
        if name in _SELECT and len(args) == at + 1 + name.endswith("attr"):
            args = (*args, "counting")
        given = give(*args, **options)
        return Series(given) if isinstance(given, Iterator) else tidy(given)

    return filtered


@pass_context
def _not_read(context: Context, *_args: object, **_options: object) -> str:
    language: str = context.environment.language  # type: ignore[attr-defined]  # ours has it
    raise NeedsLocale(language)


@pass_environment
def _added_up(
    environment: jinja2.Environment,
    values: Iterable[object],
    attribute: str | int | None = None,
    start: object = 0,
) -> object:
    return added_up(_of_each(environment, values, attribute), start)


@pass_environment
def _joined(
    environment: jinja2.Environment,
    values: Iterable[object],
    d: object = "",
    attribute: str | int | None = None,
) -> str:
    items = [*_of_each(environment, values, attribute)]
    for item in items:
        check_shown(item, "an item of this")
    check_shown(d, "this")
    return str(d).join(map(str, items))


def _of_each(
    environment: jinja2.Environment, values: Iterable[object], attribute: str | int | None
) -> Iterable[object]:
    return values if attribute is None else map(make_attrgetter(environment, attribute), values)


def _counts(value: object) -> bool:
    """The test of what is selected without one."""
    check_condition(value, "an item of this")
    return bool(value)


FOR_PEOPLE = ("number", "money", "percent", "date", "datetime", "listed", "plural")
_NOT_READ = dict.fromkeys(FOR_PEOPLE, _not_read)


def make_environment(
    load: Callable[[str], object], people: Mapping[str, Callable[..., object]] | None
) -> Environment:
    """Make the environment; `people` are the filters for people where their words were read."""
    environment = Environment(
        undefined=_Absent,
        keep_trailing_newline=True,
        optimized=False,  # Computing when compiling is no quicker for what is rendered once.
        autoescape=False,  # A message is plain text; a page that shows it escapes it.
        loader=jinja2.FunctionLoader(load),  # type: ignore[arg-type]  # its stub wants bool or None
    )
    environment.branches = {}
    # No chance: a rendering that was reviewed is the rendering that is sent.
    for name in ("lipsum", "cycler", "joiner"):
        del environment.globals[name]
    del environment.filters["random"]
    for name, found in environment.globals.items():
        environment.globals[name] = _without_address(found)
    environment.filters |= {
        "int": to_int,
        "float": to_float,
        "round": rounded,
        "abs": absolute,
        "sum": _added_up,
        "join": _joined,
        **(people or _NOT_READ),
    }
    for name, give in environment.filters.items():
        environment.filters[name] = _careful(name, give)
    environment.tests["counting"] = _counts
    for name, sign in _TESTS.items():
        environment.tests[name] = partial(compare, (sign,))  # type: ignore[assignment]  # it is called
    return environment
