"""The template process by itself: its requests and answers, without what it gives up for good.

With that it could not say what of it was run; tests/hostile/test_templates.py has the whole.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

SERVE = (
    "import itertools, signal, time\nfrom runner.render import process\n"
    "signal.signal(signal.SIGPROF, process._stop)\n"
    "process.serve(process.Sandbox(process._ask_for_partial), {})\n"
)


def served(*lines: object, clock: str = "time.process_time") -> list[dict[str, Any]]:
    """What it says to these lines, of which the first are the shared values."""
    done = subprocess.run(
        [sys.executable, "-c", SERVE.format(clock)],
        input="".join(json.dumps(line) + "\n" for line in lines),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def request(*templates: tuple[str, str], rows: Sequence[object] = (None,)) -> dict[str, object]:
    return {"values": {"own": 2}, "templates": templates, "rows": rows}


def result(template: str, kind: str = "text") -> object:
    """The value of one template, or what is said of it."""
    (answer,) = served({"x": [3, 1], "d": {"items": 5, "b": "é"}}, request((template, kind)))
    if "value" in answer:
        return answer["value"]
    return [fault[0] for fault in answer["faults"]]


def test_each_row_has_an_answer_for_each_template_in_order() -> None:
    said = served(
        {"shared": 1, "own": 1},
        request(
            ("{{ shared }}{{ own }}{{ row.a }}", "text"),
            ("{{ row.a }}", "value"),
            rows=[[{"a": 7}, {}], [{"a": "é"}, {}]],
        ),
        request(("{{ zebra }}", "text")),
    )
    assert said[:4] == [{"value": "127"}, {"value": 7}, {"value": "12é"}, {"value": "é"}]
    assert said[4]["faults"][0][:2] == [
        'the variable "zebra" is not defined',
        "add it to `variables:`, or --var zebra=…",
    ]


def test_a_partial_is_asked_for_once_and_what_is_wrong_with_it_is_said() -> None:
    said = served(
        {},
        request(("{% include 'a' %}{% include 'a' %}", "text"), ("{% include 'a' %}", "text")),
        {"text": "A"},
        request(("{% include 'b' %}", "text")),
        {"text": None},
        request(("{% include 'c' %}", "text")),
        {"wrong": "c is not UTF-8"},
    )
    assert [next(iter(each)) for each in said] == [
        "partial", "value", "value", "partial", "faults", "partial", "faults",
    ]  # fmt: skip
    assert [each["value"] for each in said[1:3]] == ["AA", "A"]
    assert said[4]["faults"][0][0] == 'there is no partial "b"'
    assert said[6]["faults"][0][0] == "template: c is not UTF-8"


def test_a_fault_in_a_partial_has_its_line_there() -> None:
    said = served({}, request(("{% include 'a' %}", "text")), {"text": "x\n{{ y }}"})
    assert said[1]["faults"][0][2:5] == ["a", 2, "y"]


@pytest.mark.some(3)
@pytest.mark.parametrize(
    ("template", "kind", "value"),
    [
        ("{{ x }}", "list", [3, 1]),
        ("{{ x | map('string') }}", "list", ["3", "1"]),
        ("{{ [x, d, 'a', none, 1.5, true] }}", "list", [[], {}, "a", None, 1.5, True]),
        ("{{ x }}", "value", []),
        ("{{ d }}", "value", {}),
        ("{{ d.b }}!", "value", "é!"),
        (" {{- d.b -}} ", "value", "é"),
        ("a {{- d.b }}", "text", "aé"),
        ("{{ d.items }} {{ d.keys() | join(', ') }}", "text", "5 items, b"),
        ("{{ 'a' ~ (5 - 3) }}", "text", "a2"),
        ("{{ range(3) | list }}", "list", [0, 1, 2]),
        ("{% macro m(a) %}<{{ a }}>{% endmacro %}{{ m(1) }}", "text", "<1>"),
        ("{% set n = namespace(a=1) %}{% set n.a = n.a + 1 %}{{ n.a }}", "text", "2"),
        ("{{ dict(a=1).a }}{{ 'a'.upper() }}", "text", "1A"),
    ],
)  # fmt: skip
def test_an_expression_gives_plain_data(template: str, kind: str, value: object) -> None:
    assert result(template, kind) == value


@pytest.mark.some(3)
@pytest.mark.parametrize(
    ("template", "kind", "said"),
    [
        ("{{ a }} {{ b }} {{ own.c }}", "text", ['the variable "a" is not defined', 'the variable "b" is not defined', 'template: there is no "c" in this']),
        ("{% if 1 %}\n{{ 1 / 0 }}{% endif %}", "text", ["template: this divides by zero"]),
        ("{% nope %}", "text", ["template: this is no Jinja2 template"]),
        ("{{ ''.__class__ }}", "value", ["template: this is not allowed"]),
        ("{{ 10 ** 100 }}", "value", ["template: this number is too large"]),
        ("{{ 'a' | center(30000) }}", "value", ["template: this is a value of more than 20,000 characters"]),
        ("{{ [1] * 300000 }}", "list", ["template: this is more than 250,000 values"]),
        ("{{ 'a' | center(1000001) }}", "text", ["the text is 1,000,001 characters once it is rendered"]),
        ("{{ 'a' | center(10 ** 15) }}", "text", ["template: this takes too much memory"]),
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "text", ["template: this takes too long"]),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "text", ["template: this is nested too deep, or calls itself without end"]),
        ("{{ range }}", "value", ["template: this is a function, not text: call it with ()"]),
        ("{{ x | map('string') }}", "text", ["template: this is a series of values, not text: end it with |list or |join"]),
        ("{{ namespace() }}", "value", ["template: this is neither text nor data"]),
        ("{{ [undefined_thing] | join }}", "text", ['the variable "undefined_thing" is not defined']),
        ("{{ d.keys() - ['b'] }}", "text", ["template: this has no order: use |reject or |select on a list"]),
    ],
)  # fmt: skip
def test_what_will_not_do_is_said(template: str, kind: str, said: list[str]) -> None:
    assert result(template, kind) == said


def test_quick_templates_add_up_to_a_limit() -> None:
    ticks = "itertools.count(0, 7).__next__"
    said = served({}, request(("x", "text"), rows=[None] * 10), clock=ticks)
    assert said[:8] == [{"value": "x"}] * 8
    spent = [each["faults"][0][0] for each in said[8:]]
    assert spent == ["template: the templates up to this one take too long"] * 2
