"""What `--var` says: text that takes the type of the default that it beats, and is used somewhere."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal

from runner.errors import MessagesError, Problem
from runner.render.parity import variables
from runner.spec.coreschema import Written, core_value
from runner.spec.specs import MessageSpec
from runner.wording import kind, quoted


def typed_variables(
    spec: MessageSpec, assigned: Mapping[str, str], defaults: Mapping[str, object]
) -> dict[str, object]:
    """What a spec's templates see of `--var`; raises `MessagesError` for what has another type."""
    problems: list[Problem] = []
    typed: dict[str, object] = {}
    for name, text in assigned.items():
        default = defaults.get(name)
        try:
            typed[name] = _typed(text, default)
        except ValueError as error:
            what = f"--var {name} is {quoted(text)}, and beats {kind(default)}"
            where = spec.file.place(("variables", name), at_key=True)
            problems.append(Problem(where, what, str(error)))
    if problems:
        raise MessagesError(problems)
    return typed


def _typed(text: str, default: object) -> object:
    if isinstance(default, (list, Mapping)):
        raise ValueError("give it in a --var-file")
    if isinstance(default, bool):
        if text not in ("true", "false"):
            raise ValueError("write true or false")
        return text == "true"
    if isinstance(default, (int, float, Decimal)):
        value, wrong = core_value(text) if text else (None, "")
        if wrong or isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError("write a number, such as 12.50, or make the default text")
        return Written(text, value)
    return text


def unused_names(
    names: Iterable[str], specs: Iterable[MessageSpec], partials: Iterable[str]
) -> Iterator[tuple[str, Collection[str]]]:
    """Find the names that no message uses, each with those that messages know."""
    known = {name for spec in specs for name in _names_in(spec)}
    for text in partials:
        known.update(_first_words(text))
    yield from ((name, known) for name in names if name not in known)


def _names_in(spec: MessageSpec) -> Iterator[str]:
    yield from spec.variables
    yield from _first_words(spec.file.source)
    yield from re.findall(r"[^\W\d]\w*", spec.when or "")


def _first_words(text: str) -> Iterator[str]:
    return (name.partition(".")[0] for name in variables(text))
