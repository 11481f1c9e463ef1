"""Whether data holds to a schema, yes or no: many times quicker than to say what is wrong with it.

The keywords that our schemas use, by JSON Schema draft-07. Of what does not hold, jsonschema says
why. `tests/unit/test_schema.py` holds the two against each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from numbers import Number
from typing import Any

Test = Callable[[Any], bool]
Compile = Callable[[Any], Test]

# They say what a schema is for; `then` and `else` belong to `if`.
_TOLD = frozenset(
    {"$schema", "title", "description", "default", "examples", "errorMessage", "definitions"}
    | {"then", "else"}
)


def compiled(root: Mapping[str, Any]) -> Test:
    """Make the test of a schema, whose references lead to its own `definitions`."""

    def build(schema: Any) -> Test:
        if isinstance(schema, bool):
            return lambda _data: schema
        if "$ref" in schema:
            return build(root["definitions"][schema["$ref"].rpartition("/")[2]])
        return _all(
            [
                _KEYWORDS[key](value, schema, build)
                for key, value in schema.items()
                if key not in _TOLD
            ]
        )

    return build(root)


def _all(tests: Sequence[Test]) -> Test:
    """Join tests. A loop is quicker than `all`, and `validate` asks very often."""
    if len(tests) == 1:
        return tests[0]

    def test_all(data: Any) -> bool:
        for test in tests:  # noqa: SIM110  (see above)
            if not test(data):
                return False
        return True

    return test_all


def _is_number(data: object) -> bool:
    return isinstance(data, Number) and not isinstance(data, bool)


_KINDS: Mapping[str, Test] = {
    "object": lambda data: isinstance(data, dict),
    "array": lambda data: isinstance(data, list),
    "string": lambda data: isinstance(data, str),
    "boolean": lambda data: isinstance(data, bool),
    "null": lambda data: data is None,
    "number": _is_number,
    "integer": lambda data: (
        _is_number(data)
        and (isinstance(data, int) or (isinstance(data, float) and data.is_integer()))
    ),
}


def _type(wanted: str | Sequence[str], _schema: object, _build: Compile) -> Test:
    if isinstance(wanted, str):
        return _KINDS[wanted]
    kinds = [_KINDS[each] for each in wanted]
    return lambda data: any(kind(data) for kind in kinds)


def _enum(values: Sequence[object], _schema: object, _build: Compile) -> Test:
    return lambda data: any(_equal(data, each) for each in values)


def _equal(one: object, other: object) -> bool:
    # To Python, `True` is 1.
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _of(kind: str, holds: Callable[[Any, Any], bool]) -> Callable[[Any, object, Compile], Test]:
    """A keyword that speaks of one kind of data, and holds for every other."""
    is_kind = _KINDS[kind]
    return lambda value, _schema, _build: lambda data: not is_kind(data) or holds(data, value)


def _properties(schemas: Mapping[str, Any], _schema: object, build: Compile) -> Test:
    tests = {name: build(each) for name, each in schemas.items()}

    def test_properties(data: Any) -> bool:
        if isinstance(data, dict):
            for name, value in data.items():
                if name in tests and not tests[name](value):
                    return False
        return True

    return test_properties


def _pattern_properties(schemas: Mapping[str, Any], _schema: object, build: Compile) -> Test:
    tests = [(re.compile(pattern).search, build(each)) for pattern, each in schemas.items()]
    return lambda data: (
        not isinstance(data, dict)
        or all(
            test(value) for name, value in data.items() for matches, test in tests if matches(name)
        )
    )


def _additional(value: Any, schema: Mapping[str, Any], build: Compile) -> Test:
    test, known = build(value), schema.get("properties", {})
    patterns = [re.compile(each).search for each in schema.get("patternProperties", ())]
    return lambda data: (
        not isinstance(data, dict)
        or all(
            test(each)
            for name, each in data.items()
            if name not in known and not any(matches(name) for matches in patterns)
        )
    )


def _items(schema: Any, _schema: object, build: Compile) -> Test:
    test = build(schema)
    return lambda data: not isinstance(data, list) or all(map(test, data))


def _all_of(schemas: Sequence[Any], _schema: object, build: Compile) -> Test:
    return _all([build(each) for each in schemas])


def _any_of(schemas: Sequence[Any], _schema: object, build: Compile) -> Test:
    tests = [build(each) for each in schemas]
    return lambda data: any(test(data) for test in tests)


def _not(schema: Any, _schema: object, build: Compile) -> Test:
    test = build(schema)
    return lambda data: not test(data)


def _if(condition: Any, schema: Mapping[str, Any], build: Compile) -> Test:
    test, then, other = map(build, (condition, schema.get("then", True), schema.get("else", True)))
    return lambda data: then(data) if test(data) else other(data)


_KEYWORDS: Mapping[str, Callable[[Any, Any, Compile], Test]] = {
    "type": _type,
    "enum": _enum,
    "const": lambda value, _schema, _build: lambda data: _equal(data, value),
    "pattern": _of("string", lambda text, pattern: re.search(pattern, text) is not None),
    "minLength": _of("string", lambda text, least: len(text) >= least),
    "maxLength": _of("string", lambda text, most: len(text) <= most),
    "minimum": _of("number", lambda number, least: number >= least),
    "maximum": _of("number", lambda number, most: number <= most),
    "exclusiveMinimum": _of("number", lambda number, bound: number > bound),
    "minItems": _of("array", lambda items, least: len(items) >= least),
    "minProperties": _of("object", lambda data, least: len(data) >= least),
    "maxProperties": _of("object", lambda data, most: len(data) <= most),
    "required": _of("object", lambda data, names: all(name in data for name in names)),
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional,
    "items": _items,
    "allOf": _all_of,
    "anyOf": _any_of,
    "not": _not,
    "if": _if,
}
