"""What may go into a text, and what may come out of the sandbox."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from itertools import islice
from typing import NoReturn, TypeGuard

import jinja2

from runner.render.gaps import Gap
from runner.render.mistakes import TooLarge, Unusable
from runner.render.numbers import Number, check_size, is_number, plain_number
from runner.wording import caseless, kind

MAX_VALUES = 250_000

_MAX_ITEM = 20_000
FUNCTION = "this is a function, not text: call it with ()"
SERIES = "this is a series of values, not text: end it with |list or |join"
# A text that reads as no, in the words of programs and of spreadsheets in some languages.
_NO = frozenset(
    ("false", "no", "0", "off", "n", "falsch", "nein", "faux", "non", "falso", "ложь", "нет",
     "yanliş", "hayir", "onwaar", "fałsz", "falsk", "falskt", "usann", "epätosi", "nepravda",
     "hamis", "fals", "хибність", "ні", "tidak")
)  # fmt: skip
_NUMBER_KEY = "\0number"


class Series(list[object]):
    """What a filter gives one by one, as a list; it is not shown, for nobody means its brackets."""

    def __repr__(self) -> str:
        raise Unusable(SERIES)


def decoded(pairs: Mapping[str, object]) -> object:
    """Take the form in which numbers come here (`runner.render.templates`) back to numbers."""
    match pairs.get(_NUMBER_KEY):
        case [str() as plain, str() as text] if len(pairs) == 1:
            return Number(plain, text)
    return pairs


def check_shown(value: object, name: str) -> None:
    """Let only text and numbers into a text; raises `Unusable`."""
    if isinstance(value, Gap):
        str(value)  # It says why it holds nothing.
    if isinstance(value, (str, jinja2.Undefined)):
        return
    if not is_number(value):
        _refuse(value, name)
    elif isinstance(value, (int, Number)):
        check_size(value)
    else:
        plain_number(value)


def _refuse(value: object, name: str) -> NoReturn:
    if callable(value):
        raise Unusable(FUNCTION)
    if is_series(value) or isinstance(value, Series):
        raise Unusable(SERIES)
    if value is None or isinstance(value, (bool, list, tuple, dict)):
        what = "null" if value is None else kind(value)
        raise Unusable(f"{name} is {what}, and only text and numbers are printed", _hint(value))
    raise Unusable("this is neither text nor data")


def _hint(value: object) -> str:
    if value is None:
        return "give it a value, or leave it out by {% if … %}"
    if isinstance(value, bool):
        return "write {% if … %} and the words that you mean"
    if isinstance(value, dict):
        return "print one of its values"
    return "end it with |listed, or with |join(', ')"


def check_condition(value: object, name: str) -> None:
    """Refuse a text that reads as no where a condition stands: any text counts as yes."""
    if isinstance(value, str) and caseless(value) in _NO:
        hint = "cells are text: `columns: {paid: boolean}`, or compare it: == 'yes'"
        raise Unusable(f"{name} is text that reads as no, and would count as yes", hint)


def check_items(value: object, name: str) -> None:
    """Refuse one text where several values are wanted: it would be taken letter by letter."""
    if isinstance(value, str):
        hint = "cut it: .split(', ')"
        raise Unusable(f"{name} is one text, not a list", hint)


def plain(value: object, *, takes_list: bool) -> object:
    """Copy a value with what JSON knows and nothing else; a list only of single values."""
    if isinstance(value, dict):
        return {}
    if not (isinstance(value, (list, tuple)) or is_series(value)):
        return _short(_plain_leaf(value))
    if not takes_list:
        return []
    items = list(islice(value, MAX_VALUES + 1))
    if len(items) > MAX_VALUES:
        raise TooLarge(f"this is more than {MAX_VALUES:,} values")
    return [plain(item, takes_list=False) for item in items]


def _short(item: object) -> object:
    if isinstance(item, str) and len(item) > _MAX_ITEM:
        raise TooLarge(f"this is a value of more than {_MAX_ITEM:,} characters")
    return item


def _plain_leaf(item: object) -> object:
    if isinstance(item, (str, jinja2.Undefined, Gap)):
        return str(item)  # Undefined is strict: it complains, and so does a gap.
    if item is None or isinstance(item, bool):
        return item
    if is_number(item):
        return plain_number(item)
    _refuse(item, "this")


def is_series(item: object) -> TypeGuard[Iterable[object]]:
    """Whether a value gives others one by one, as `|map` and `range` do."""
    return isinstance(item, (Iterator, range, KeysView, ValuesView, ItemsView))
