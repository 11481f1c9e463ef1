"""The filters for people: numbers, money, shares, dates, lists and plurals in a text's language.

The words are CLDR's, through Babel. What was written is shown: nothing is rounded, and no digit
is lost. Only the template process imports this, and only where a template uses one of the filters.
"""

from __future__ import annotations

import copy
import decimal
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache, wraps

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.dates import format_date, format_time, get_timezone_gmt
from babel.lists import format_list
from babel.numbers import NumberPattern, get_currency_precision
from jinja2 import Undefined, pass_context
from jinja2.runtime import Context

from runner.render.gaps import Gap
from runner.render.mistakes import NeedsLocale, Unusable
from runner.render.numbers import Number, check_size, is_number
from runner.render.values import check_shown
from runner.wording import quoted

# EN is for readers everywhere: days come before months and no comma before "and", as most of the
# world writes it. Signs of currencies, which CLDR keeps by country, are those of `en`.
_WORLD_ENGLISH = "en_001"
_WIDTHS = ("full", "long", "medium")
_FORMS = ("zero", "one", "two", "few", "many", "other")
_USUAL_NUMBERS = range(1_001)
# ISO 4217 gives these no smaller unit.
_WHOLE_CURRENCIES = frozenset(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ]
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_DATETIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?)(?:\.\d+)?(Z|[+-]\d\d:\d\d)")
_QUOTED = re.compile("'([^']*)'")
_COLUMNS = "cells are text: `columns: {n: number}`, or |float"


def people(languages: Iterable[str]) -> Mapping[str, Callable[..., object]]:
    """Give the filters for these languages, with all that they read from files read already."""
    decimal.getcontext().prec = 400
    ready = frozenset(languages)
    for language in ready:
        with suppress(Unusable):
            for name in (language, "EN"):
                _warm_up(name)
    filters = (number, money, percent, date_, datetime_, listed, plural)
    return {each.__name__.rstrip("_"): _in_language(each, ready) for each in filters}


def _warm_up(language: str) -> None:
    number(language, Number("1234.5"))
    money(language, 1, "USD")
    percent(language, 1)
    datetime_(language, "2026-02-01T14:30:00+02:00")
    listed(language, ["A", "B", "C"])
    _usual_forms(language)


def _in_language(give: Callable[..., str], ready: Collection[str]) -> Callable[..., str]:
    """Make a filter of a function whose first argument is the language of the text."""

    @pass_context
    @wraps(give)
    def filtered(context: Context, *args: object, **options: object) -> str:
        language: str = context.environment.language  # type: ignore[attr-defined]  # ours has it
        if language not in ready:
            raise NeedsLocale(language)
        try:
            text = give(language, *args, **options)
        except TypeError as error:
            name = give.__name__.rstrip("_")
            raise Unusable(f"|{name} does not take this", _USAGE[name]) from error
        return text.replace("\u202f", "\u00a0")

    return filtered


def number(language: str, value: object) -> str:
    """Write a number with the digits that it has: `1,234.50`."""
    amount, places = _amount(value, "number")
    return _formatted(_locale(language).decimal_formats[None], language, amount, places)


def money(language: str, value: object, currency: str) -> str:
    """Write an amount of a currency, with its usual digits or more: `$0.005`."""
    amount, places = _amount(value, "money")
    if currency not in _currencies():
        near = str(currency).upper()
        hint = f'did you mean "{near}"?' if near in _currencies() else "USD, EUR, TRY: ISO 4217"
        raise Unusable(f"{quoted(currency)} is not a currency of today", hint)
    if places and currency in _WHOLE_CURRENCIES:
        raise Unusable(f"{currency} has no smaller unit, and this has a fraction", "|round first")
    least = max(places, get_currency_precision(currency))
    pattern = _locale(language).currency_formats["standard"]
    return _formatted(pattern, language, amount, least, currency)


def percent(language: str, value: object) -> str:
    """Write a share of one as percent: `85.5%`."""
    amount, places = _amount(value, "percent")
    return _formatted(_locale(language).percent_formats[None], language, amount, max(places - 2, 0))


def date_(language: str, value: object, width: str = "long") -> str:
    """Write a day with the name of its month: `1 February 2026`."""
    _check_width(width)
    if isinstance(value, str) and (found := _DATETIME.fullmatch(value)):
        value = found[1][:10]
    if not (isinstance(value, str) and _DATE.fullmatch(value)):
        raise Unusable(_unfit(value, "date", "a date"), "ISO 8601: 2026-02-01")
    try:
        day = date.fromisoformat(value)
    except ValueError as error:
        raise Unusable("there is no such day") from error
    return format_date(day, width, locale=_words(language))


def datetime_(language: str, value: object, width: str = "long") -> str:
    """Write a time with its zone and without seconds."""
    _check_width(width)
    found = _DATETIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        what = _unfit(value, "datetime", "a time with its zone")
        raise Unusable(what, "ISO 8601: 2026-02-01T14:30:00+02:00, or Z for UTC")
    try:
        moment = datetime.fromisoformat(found[1] + found[2].replace("Z", "+00:00"))
    except ValueError as error:
        raise Unusable("there is no such time") from error
    locale = _words(language)
    zone = get_timezone_gmt(moment, "long", locale=locale) if moment.utcoffset() else "UTC"
    clock = f"{format_time(moment.replace(tzinfo=None), 'short', locale=locale)} {zone}"
    day = format_date(moment.date(), width, locale=locale)
    pattern = _QUOTED.sub(lambda part: part[1] or "'", str(locale.datetime_formats[width]))
    return pattern.replace("{1}", day).replace("{0}", clock)


def listed(language: str, value: object) -> str:
    """Write a list as a sentence has it: `A, B and C`."""
    if not isinstance(value, (list, tuple)):
        raise Unusable(_unfit(value, "listed", "a list"))
    for item in value:
        check_shown(item, "an item of this")
    if not value:
        raise Unusable("this list is empty: there is nothing to say", "ask before: {% if … %}")
    return format_list([str(item) for item in value], "standard", locale=_words(language))


def plural(language: str, value: object, **forms: object) -> str:
    """Choose the word that goes with a number, as it is printed."""
    amount, _ = _amount(value, "plural")
    for name, form in forms.items():
        if name not in _FORMS or not isinstance(form, str):
            raise Unusable(f"|plural takes texts for {', '.join(_FORMS)}", _USAGE["plural"])
    may_lack = ("zero", "two") if language == "AR" else ()
    needed = [name for name in _usual_forms(language) if name not in may_lack]
    chosen = _locale(language).plural_form(amount)
    if chosen not in forms and chosen not in needed:
        # Of FR, `many` is for millions.
        needed.append("other")
    missing = [name for name in _FORMS if name in needed and name not in forms]
    if missing:
        raise Unusable(f"{language} needs {', '.join(missing)} here", f"plural({missing[0]}=…)")
    return str(forms.get(chosen, forms.get("other")))


_USAGE = {
    "number": "{{ n|number }}",
    "money": '{{ n|money("USD") }}',
    "percent": "{{ n|percent }}",
    "date": '{{ day|date }}, or date("full")',
    "datetime": '{{ time|datetime }}, or datetime("full")',
    "listed": "{{ names|listed }}",
    "plural": '{{ n|plural(one="photo", other="photos") }}',
}


def _formatted(
    pattern: NumberPattern, language: str, amount: Decimal, places: int, currency: str | None = None
) -> str:
    exact = copy.copy(pattern)
    exact.frac_prec = (places, places)
    return str(exact.apply(amount, _locale(language), currency=currency, currency_digits=False))


def _amount(value: object, name: str) -> tuple[Decimal, int]:
    """A number, and how many digits it is written with after its point."""
    if not is_number(value):
        raise Unusable(_unfit(value, name, "a number"), _COLUMNS if isinstance(value, str) else "")
    if not isinstance(value, (int, Number)):
        raise Unusable("this quotient does not end", "say how many places: |round(2)")
    check_size(value)
    amount = Decimal(value)
    exponent = amount.as_tuple().exponent
    return amount, max(-exponent, 0) if isinstance(exponent, int) else 0


def _unfit(value: object, name: str, wanted: str) -> str:
    if isinstance(value, (Gap, Undefined)):
        str(value)  # It says why it holds nothing.
    what = "text" if isinstance(value, str) else "something else"
    return f"|{name} takes {wanted}, and this is {what}"


def _check_width(width: object) -> None:
    if width == "short":
        raise Unusable("a short date is read in two ways: 02/01", "leave it out, or use medium")
    if width not in _WIDTHS:
        raise Unusable(f"there is no such length of a date: {quoted(width)}", ", ".join(_WIDTHS))


@lru_cache
def _locale(language: str) -> Locale:
    try:
        return Locale.parse(language.lower())
    except (UnknownLocaleError, ValueError) as error:
        what = f"CLDR has no words for {language}"
        raise Unusable(what, "write numbers and dates out in that language") from error


def _words(language: str) -> Locale:
    return Locale.parse(_WORLD_ENGLISH) if language == "EN" else _locale(language)


@lru_cache
def _currencies() -> frozenset[str]:
    """The currencies that some country has today: neither gold nor a test nor none at all."""
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for country, entries in get_global("territory_currencies").items():
        found[country == "ZZ"].update(entry[0] for entry in entries if entry[2] is None)
    return frozenset(found[False] - found[True])


@lru_cache
def _usual_forms(language: str) -> frozenset[str]:
    """The forms that whole numbers up to a thousand take."""
    return frozenset(map(_locale(language).plural_form, _USUAL_NUMBERS))
