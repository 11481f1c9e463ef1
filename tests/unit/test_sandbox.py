"""What templates print, calculate, compare and decide on: each rule with what it refuses and lets pass."""

from __future__ import annotations

import json

import pytest

from runner.render.gaps import with_gaps
from runner.render.numbers import Number
from runner.render.sandbox import Refusal, Sandbox
from runner.render.values import decoded

VALUES = {
    "nothing": None,
    "flag": True,
    "items": ["a", "b"],
    "people": [{"name": "Ann", "paid": "no"}, {"name": "Bo", "paid": "yes"}],
    "n": 3,
    "price": Number("1.50", "1.50"),
    "cell": "12",
    "no": "False",
    "row": with_gaps(
        {"amount": "", "spare": "", "total": "#REF!"},
        {"amount": "amount is empty", "spare": "", "total": "#REF! is an error of a spreadsheet"},
    ),
}
SANDBOX = Sandbox(lambda _: ())
PRINTED = "and only text and numbers are printed"
NO = "text that reads as no, and would count as yes"
FLAG_AND_NUMBER = "this calculates with true or false and a number, or compares them"
TEXT_AND_NUMBER = "this calculates with text and a number, or compares them"

GOOD = {
    "{{ '%s'|format(n) }} {{ 'x'|replace('x', 'y', 1) }} {{ 'a b'|urlencode }}": "3 y a%20b",
    "{{ items|join(', ') }} {{ people|join(' + ', 'name') }} {{ people|join(attribute='name') }}": "a, b Ann + Bo AnnBo",
    "{{ [1, 2.50]|join }}": "12.50",
    "{{ [1, 2.5, 0.1]|sum }} {{ [{'x': 1}, {'x': 2.5}]|sum('x') }} {{ [1]|sum(start=2) }}": "3.6 3.5 3",
    "{{ [0.1, 100000000000000000000000000000]|sum }}": "100000000000000000000000000000.1",
    "{{ -3|abs }} {{ price|abs }} {{ (0 - price)|abs }}": "3 1.50 1.5",
    "{{ [1, 0, 2]|select|join }} {{ items|select('eq', 'a')|join }}": "12 a",
    "{{ people|selectattr('paid', 'eq', 'yes')|map(attribute='name')|join }}": "Bo",
    "{% for x in [1, 2, 3] if x > 1 %}{{ x }}{% endfor %}": "23",
    "{{ 'y' if flag else 'n' }}{{ 'y' if flag == true else 'n' }}{{ 'y' if nothing == 'a' else 'n' }}": "yyn",
    "{{ 'y' if n in [1, 3] else 'n' }}{{ 'y' if 'a' in items else 'n' }}": "yy",
    "{{ price }} {{ price * 2 }} {{ cell|int + 1 }} {{ cell ~ n }}": "1.50 3 13 123",
    "{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ 2 ** 3 }} {{ 2 ** -1 }} {{ 1 / 4 }} {{ 5.5 % 2 }}": "3 -4 1 8 0.5 0.25 1.5",
    "{{ '2.5'|float }} {{ 2.9|int }} {{ '-3'|int }} {{ -price }} {{ +price }}": "2.5 2 -3 -1.5 1.5",
    "{{ (2/3)|round(2) }} {{ 2.5|round }} {{ 1234|round(-2) }}": "0.67 3 1200",
    "{{ 1.25|round(1, 'floor') }} {{ 1.21|round(1, 'ceil') }}": "1.2 1.3",
    "{{ 'y' if 1.10 == 1.1 else 'n' }}{{ 'y' if price >= n else 'n' }} {{ [3, 1.5]|sort|join(' ') }}": "yn 1.5 3",
    "{{ '%d tasks, %.1f'|format(n, price) }} {{ '{:.2f} {}'.format(price, price) }}": "3 tasks, 1.5 1.50 1.50",
    "{{ row.spare|default('-') }}{{ 'y' if row.spare else 'n' }}{{ 'y' if row.amount else 'n' }}": "-nn",
    "{{ 'y' if row.amount == '' else 'n' }}{{ {'#REF!': 'x'}[row.total] }}": "yx",
}  # fmt: skip
BAD = {
    "{{ row.amount }}": "amount is empty",
    "{{ row.amount + 1 }}": "amount is empty",
    "{{ row.total|int }}": "#REF! is an error of a spreadsheet",
    "{{ row.total < 5 }}": "#REF! is an error of a spreadsheet",
    "{% for x in row.total %}{% endfor %}": "#REF! is an error of a spreadsheet",
    "{{ row.spare|float }}": "the cell of spare is empty: test it with `if`, in `when` with `is defined`",
    "{{ 2 ** 0.5 }}": "this is no whole power, and has no exact value",
    "{{ 1 / 3 }}": "this quotient does not end",
    "{{ 1.5 % 0 }}": "this divides by zero",
    "{{ 9 ** 999 }}": "this number is too large",
    "{{ 0.5 ** 500 }}": "this number is too large",
    "{{ 'x'|round }}": "|round takes a number",
    "{{ 1.5|round(999) }}": "|round takes up to 60 places, and common, ceil or floor after them",
    "{{ 'n/a'|int(0) }}": "|int takes nothing but the number",
    "{{ 'n/a'|float }}": "|float takes a number, or text that is one as JSON writes it",
    "{{ nothing }}": f"nothing is null, {PRINTED}",
    "{{ flag|tojson }}": f"flag is true, {PRINTED}",
    "{{ items|pprint }}": f"items is a list, {PRINTED}",
    "{{ people[0]|xmlattr }}": f"people.0 is a mapping, {PRINTED}",
    "{{ people[0]|urlencode }}": f"people.0 is a mapping, {PRINTED}",
    "{{ flag|filesizeformat }}": f"flag is true, {PRINTED}",
    "{{ '%s'|format(flag) }}": f"this is true, {PRINTED}",
    "{{ 'x'|replace('x', nothing) }}": f"this is null, {PRINTED}",
    "{{ items|join(nothing) }}": f"this is null, {PRINTED}",
    "{{ [{'x': none}]|join(', ', 'x') }}": f"an item of this is null, {PRINTED}",
    "{{ 'Paris, London'|join }}": "this is one text, not a list",
    "{{ flag|abs }}": "|abs takes a number",
    "{{ flag + 1 }}": FLAG_AND_NUMBER,
    "{{ flag + flag }}": "this calculates with true or false",
    "{{ -flag }}": FLAG_AND_NUMBER,
    "{{ [flag]|sum }}": FLAG_AND_NUMBER,
    "{{ 'y' if flag == 1 }}": FLAG_AND_NUMBER,
    "{{ 'y' if flag == 'yes' }}": "this calculates with true or false and text, or compares them",
    "{{ cell * 2 }}": TEXT_AND_NUMBER,
    "{{ 'y' if cell == 12 }}": TEXT_AND_NUMBER,
    "{{ 'y' if n in ['3'] }}": TEXT_AND_NUMBER,
    "{{ ['1', '2']|sum }}": TEXT_AND_NUMBER,
    "{% if no %}x{% endif %}": f"no is {NO}",
    "{{ ['False', 'yes']|select|join }}": f"an item of this is {NO}",
    "{{ ['no']|reject|join }}": f"an item of this is {NO}",
    "{{ people|selectattr('paid')|list|length }}": f"an item of this is {NO}",
    "{% for x in [no] if x %}x{% endfor %}": f"x is {NO}",
    "{{ 'x' if no or n }}": f"no is {NO}",
    "{{ none.x }}": 'there is no "x" in this',
    "{{ items[5] }}": 'there is no "5" in this',
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m() }}": 'there is no "a" in this',
    "{{ 10 / 3 }}": "this quotient does not end",
    "{{ ''.join([nothing]) }}": "this cannot be computed",
}  # fmt: skip


@pytest.mark.parametrize("template", GOOD)
def test_what_is_meant_is_printed(template: str) -> None:
    assert SANDBOX.text(template, VALUES) == GOOD[template]


@pytest.mark.parametrize("template", BAD)
def test_what_nobody_can_mean_is_refused(template: str) -> None:
    with pytest.raises(Refusal) as caught:
        SANDBOX.text(template, VALUES)
    assert caught.value.faults[0].what == f"template: {BAD[template]}"


def test_names_that_are_not_there_are_all_named() -> None:
    with pytest.raises(Refusal) as caught:
        SANDBOX.text("{{ nam }} {{ имя }} {{ m\u043enth }} {{ 5 }}", {"name": 1, "month": 2})
    assert [(fault.what, fault.hint, fault.wanted) for fault in caught.value.faults] == [
        ('the variable "nam" is not defined', 'did you mean "name"?', "nam"),
        ('the variable "имя" is not defined', "add it to `variables:`, or --var имя=…", "имя"),
        (
            'the variable "m\u043enth" is not defined: its "\u043e" is CYRILLIC SMALL LETTER O',
            'did you mean "month"?',
            "m\u043enth",
        ),
    ]


def test_which_ways_a_text_went_is_known() -> None:
    partials = {"p.j2": "{% if a %}x{% endif %}"}
    sandbox = Sandbox(lambda name: partials.get(name, []))
    text = "{% if a %}1{% elif b %}2{% endif %}{% if c %}3{% endif %}\n{% include 'p.j2' %}"
    assert sandbox.text(text, {"a": False, "b": True, "c": False}) == "2\n"
    assert sandbox.branches == [
        (None, 1, 1, False), (None, 1, 2, True), (None, 1, 3, False), ("p.j2", 1, 1, False),
    ]  # fmt: skip
    assert (
        sandbox.text("{% for n in [1, 2] %}{% if n > 1 %}{{ n }}{% endif %}{% endfor %}", {}) == "2"
    )
    assert sandbox.branches == [(None, 1, 1, False), (None, 1, 1, True)]
    assert (sandbox.text("plain {{ 1 }}", {}), sandbox.branches) == ("plain 1", [])


def test_a_number_comes_as_it_was_written() -> None:
    values = json.loads('{"n": {"\\u0000number": ["10.5", "10.50"]}}', object_hook=decoded)
    assert SANDBOX.text("{{ n }} {{ n + 0 }}", values) == "10.50 10.5"
