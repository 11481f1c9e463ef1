from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import MessagesError
from runner.model import Direct, Everyone, Filtered, Message
from runner.render.messages import Renderer
from runner.spec.specs import load_specs
from runner.toloka.digest import digest_of

HEAD = "topic: {EN: Hello}\ntext: {EN: Dear you}\n"
TO_ALL = "recipients_select_type: ALL\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "messages" / "_partials").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def render(
    source: str | bytes,
    *,
    below: Mapping[str, object] | None = None,
    above: Mapping[str, object] | None = None,
) -> Message:
    path = Path("messages/m.yaml")
    path.write_bytes(source if isinstance(source, bytes) else source.encode())
    (spec,), problems = load_specs([path], Path.cwd() / "messages")
    assert problems == ()
    with Renderer(Path.cwd() / "messages", below=below, above=above) as renderer:
        (message,) = renderer.render(spec)
    return message


def text(template: str, **variables: object) -> str:
    """Render a template as a message's text."""
    lines = "\n".join(f"    {line}" if line else "" for line in template.split("\n"))
    source = f"topic: {{EN: Hello}}\n{TO_ALL}text:\n  EN: |-\n{lines}\n"
    return render(source, above=variables).text["EN"]


def refusals(source: str, **variables: object) -> list[str]:
    with pytest.raises(MessagesError) as caught:
        render(source, above=variables)
    return [str(problem) for problem in caught.value.problems]


def refused_text(template: str, **variables: object) -> list[str]:
    """What is said of a template that is the text of a message, from line 4 of the file on."""
    with pytest.raises(MessagesError) as caught:
        text(template, **variables)
    return [str(problem) for problem in caught.value.problems]


def at(source: str, marker: str) -> str:
    """Where a marker stands in a source: `line:column`."""
    before = source[: source.index(marker)]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


# --- variables ------------------------------------------------------------------------------------


def test_every_leaf_is_rendered_and_a_text_without_markers_is_its_own_rendering() -> None:
    message = render(
        'topic: {EN: "Hi {{ who }}", RU: "  } %} #} }} "}\n'
        'text: {EN: "{{ who }}{# not this #}\\n", RU: "100% {sure}\\n\\n"}\n'
        'recipients_select_type: DIRECT\nrecipients_ids: ["a-{{ who }}", b]\n',
        above={"who": "Ann"},
    )
    assert message.topic == {"EN": "Hi Ann", "RU": "  } %} #} }} "}
    assert message.text == {"EN": "Ann\n", "RU": "100% {sure}\n\n"}
    assert message.recipients == Direct(("a-Ann", "b"))


def test_a_value_cannot_change_the_structure() -> None:
    said = 'x"\nrecipients_select_type: ALL\ntext: {{ y }} {% raw %}'
    assert text("{{ v }}!", v=said) == f"{said}!"


def test_a_nearer_place_beats_a_farther_one() -> None:
    source = HEAD.replace("Dear you", "'{{ a }} {{ b }} {{ c }}'") + TO_ALL
    source += "variables: {a: spec, b: spec, c: spec}\n"
    message = render(source, below={"a": "config", "d": 1}, above={"b": "flag"})
    assert message.text == {"EN": "spec flag spec"}
    assert render(HEAD + TO_ALL, below={"a": 1}).text == {"EN": "Dear you"}
    unset = HEAD.replace("Dear you", "'{{ d }}'") + TO_ALL
    assert render(unset, below={"d": "config"}).text == {"EN": "config"}


def test_an_undefined_variable_is_named_with_the_nearest_name() -> None:
    source = 'topic: {EN: "Thank you, {{ taem }}!"}\ntext: {EN: x}\n' + TO_ALL
    where = at(source, "taem")
    assert where == "1:28"
    assert refusals(source + "variables: {team: cats}\n") == [
        'messages/m.yaml:1:28: error: the variable "taem" is not defined; did you mean "team"?'
    ]
    assert refusals(source) == [
        'messages/m.yaml:1:28: error: the variable "taem" is not defined; '
        "add it to `variables:`, or --var taem=…"
    ]


def test_all_undefined_variables_of_all_templates_are_said_at_once() -> None:
    source = (
        'topic: {EN: "{{ one }} {{ two }}", RU: "{{ three }}"}\n'
        "text:\n  EN: |\n    First\n\n      deep {{ four }},\n    {{ known }} {{ five }} {{ four }}\n"
        "  RU: >-\n    folded\n    on {{ six.name }}\n"
        'recipients_select_type: DIRECT\nrecipients_ids: [a, "{{ seven }}", "x{{ eight }}"]\n'
    )
    said = refusals(source, known=1)
    names = ("one", "two", "three", "four", "five", "six", "seven", "eight")
    assert [line.split(";")[0] for line in said] == [
        f'messages/m.yaml:{at(source, name)}: error: the variable "{name}" is not defined'
        for name in names
    ]
    assert at(source, "five") == "7:20"


def test_an_attribute_that_is_not_there_is_an_error() -> None:
    (said,) = refused_text("Hello {{ row.naem }}", row={"name": "Ann"})
    assert said.startswith('messages/m.yaml:5:18: error: template: there is no "naem" in this')
    assert text("{{ row.name }}", row={"name": "Ann"}) == "Ann"


# --- what a template may not do -------------------------------------------------------------------


@pytest.mark.some(3)
@pytest.mark.parametrize(
    ("template", "place", "said"),
    [
        ("{{ a", "5:5", "template: "),
        ("ok\n{% if %}", "6:5", "template: this is no Jinja2 template"),
        ("{{ 1 | nope }}", "5:12", 'template: there is no filter "nope"'),
        ("{{ 1 is nope }}", "5:13", 'template: there is no test "nope"'),
        ("{% nope %}", "5:5", "template: this is no Jinja2 template"),
        ("a\n{{ ['x'] + 1 }}", "6:5", "template: this cannot be computed; check the values"),
        ("{{ [1][5] }}", "5:12", 'template: there is no "5" in this'),
        ("{{ range(1000000000) | list }}", "5:5", "template: this cannot be computed"),
        ("{{ cycler(1) }}", "5:8", 'the variable "cycler" is not defined'),
        ("{{ joiner() }}", "5:8", 'the variable "joiner" is not defined'),
        ("{{ lipsum() }}", "5:8", 'the variable "lipsum" is not defined'),
        ("{{ [1, 2] | random }}", "5:17", 'template: there is no filter "random"'),
        ("{{ ''.__class__.__mro__ }}", "5:5", "template: this is not allowed"),
        ("{{ ().__class__.__base__.__subclasses__() }}", "5:5", "template: this is not allowed"),
        ("{{ cycler.__init__.__globals__ }}", "5:5", "template: this is not allowed"),
        ("{{ self.__init__ }}", "5:5", "template: this is not allowed"),
        ("{{ '%s'.format.__self__ }}", "5:20", 'template: there is no "__self__" in this'),
        ("{{ '{0.__class__}'.format(1) }}", "5:5", "template: this is not allowed"),
        ("{{ l.append(1) }}", "5:5", "template: this is not allowed"),
        ("{{ ''['__class__'] }}", "5:5", "template: this is not allowed"),
        ("{{ ''|attr('__class__') }}", "5:5", "template: this is not allowed"),
        ("{{ environ }}", "5:8", 'the variable "environ" is not defined'),
        ("{{ env }}", "5:8", 'the variable "env" is not defined'),
        ("{{ open('/etc/passwd') }}", "5:8", 'the variable "open" is not defined'),
        ("{{ now() }}", "5:8", 'the variable "now" is not defined'),
        ("{{ config }}", "5:8", 'the variable "config" is not defined'),
        ("{{ request }}", "5:8", 'the variable "request" is not defined'),
        ("{{ __import__('os') }}", "5:8", 'the variable "__import__" is not defined'),
    ],
)  # fmt: skip
def test_a_template_that_does_wrong_is_a_problem_at_its_line(
    template: str, place: str, said: str
) -> None:
    (problem,) = refused_text(template, l=[])
    assert problem.startswith(f"messages/m.yaml:{place}: error: {said}")
    assert "object at 0x" not in problem


@pytest.mark.some(3)
@pytest.mark.parametrize(
    "template",
    [
        "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
        "{{ " + "1+(" * 150 + "1" + ")" * 150 + " }}",
        "{{ " + "-" * 5000 + "1 }}",
        "{% for a in [1] %}" * 25 + "x" + "{% endfor %}" * 25,
        "{% if 1 %}" * 150 + "x" + "{% endif %}" * 150,
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ [[[" * 100 + "]]]" * 100 + " }}",
    ],
    ids=["parentheses", "sums", "signs", "loops", "conditions", "recursion", "lists"],
)
def test_a_template_that_is_too_deep_is_at_most_a_problem(template: str) -> None:
    # What Python can still compile renders, and nothing else is raised.
    for source in (template, template + "!"):
        try:
            rendered = text(source)
        except MessagesError as error:
            assert str(error).startswith("messages/m.yaml:5:5: error: template: ")  # noqa: PT017
        else:
            assert rendered.strip("!") in ("1", "x", "-1")


def test_the_words_of_a_template_cannot_make_a_line_of_output() -> None:
    for template in (
        '{% include "\\x1b[2J\\n::warning::x" %}',
        "{{ {}['\\n::error::x\\x1b'] }}",
    ):
        for line in refused_text(template):
            assert line.isprintable()
            assert line.startswith("messages/m.yaml:5:")


def test_nothing_of_the_environment_can_be_reached(folder: Path) -> None:
    secret = "env-s3cret"
    script = (
        "import sys; from pathlib import Path\n"
        "from runner.render.messages import Renderer; from runner.spec.specs import load_specs\n"
        "root = Path.cwd() / 'messages'\n"
        "(spec,), _ = load_specs([root / 'm.yaml'], root)\n"
        "try: print(Renderer(root).render(spec)[0].text['EN'])\n"
        "except Exception as error: print(error)\n"
    )
    for template in (
        "{{ self }} {{ self._TemplateReference__context }}",
        "{{ cycler }} {{ joiner }} {{ namespace }} {{ dict }} {{ range }}",
        "{{ namespace(a=1) }} {{ loop }}",
        "{{ self|string }} {% for k in self %}{{ k }}{% endfor %}",
        "{{ dict|attr('mro') }}",
    ):
        source = f"topic: {{EN: x}}\n{TO_ALL}text:\n  EN: |\n    {template}\n"
        (folder / "messages" / "m.yaml").write_text(source)
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=folder,
            env={**os.environ, "TOLOKA_TOKEN": secret},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        assert done.stdout.strip()
        assert secret not in done.stdout + done.stderr


# --- includes -------------------------------------------------------------------------------------


def partial(name: str, source: str | bytes) -> None:
    path = Path("messages/_partials", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(source if isinstance(source, bytes) else source.encode())


def test_a_partial_is_included_with_the_variables() -> None:
    partial("sign.j2", "Yours, {{ team }}\n")
    partial("deep/er.j2", b"\xef\xbb\xbfa{% include 'sign.j2' %}z")
    assert text("Hi\n{% include 'sign.j2' %}\n!", team="cats") == "Hi\nYours, cats\n!"
    assert text("{% include 'deep/er.j2' %}", team="cats") == "aYours, catsz"
    assert text("{% include ['gone.j2', 'sign.j2'] %}", team="cats") == "Yours, cats"
    assert text("a{% include 'gone.j2' ignore missing %}") == "a"
    partial("macros.j2", "{% macro hi(name) %}Hi {{ name }}{% endmacro %}")
    assert text("{% from 'macros.j2' import hi %}{{ hi('Ann') }}") == "Hi Ann"


def test_a_mistake_in_a_partial_has_its_place_there() -> None:
    partial("sign.j2", "one\ntwo {{ taem }}\n")
    assert refused_text("x\n{% include 'sign.j2' %}", team=1) == [
        'messages/_partials/sign.j2:2:1: error: the variable "taem" is not defined; did you mean "team"?'
    ]
    partial("bad.j2", "one\n\n{% if %}")
    (said,) = refused_text("{% include 'bad.j2' %}")
    assert said.startswith(
        "messages/_partials/bad.j2:3:1: error: template: this is no Jinja2 template"
    )
    partial("latin.j2", "caf\xe9".encode("latin-1"))
    (said,) = refused_text("{% include 'latin.j2' %}")
    assert said.startswith("messages/m.yaml:5:5: error: template: ")


@pytest.mark.some(3)
@pytest.mark.parametrize(
    "name",
    [
        "../secret.txt",
        "sub/../../secret.txt",
        "./sign.j2",
        "sub//x.j2",
        "/etc/passwd",
        "..\\\\secret.txt",
        "sub\\\\x.j2",
        "C:secret.txt",
        ".hidden",
        "sub/.hidden",
        "link.txt",
        "linked/secret.txt",
        "inner.j2",
        "sub",
        "",
        "gone.j2",
        "sign.j2\\0",
        "fifo",
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither FIFOs nor free links")
def test_nothing_outside_the_partials_can_be_included(name: str, folder: Path) -> None:
    (folder / "messages" / "secret.txt").write_text("hunter2")
    for path in ("sign.j2", "sub/x.j2", ".hidden", "sub/.hidden"):
        partial(path, "hunter2")
    partials = folder / "messages" / "_partials"
    (partials / "link.txt").symlink_to(folder / "messages" / "secret.txt")
    (partials / "linked").symlink_to(folder / "messages", target_is_directory=True)
    (partials / "inner.j2").symlink_to("sign.j2")
    os.mkfifo(partials / "fifo")
    (said,) = refused_text("{% include '" + name + "' %}")
    assert said.startswith("messages/m.yaml:5:5: error: there is no partial ")
    assert said.endswith(
        ('or ..: "sign.j2", "sub/x.j2"', 'did you mean "sign.j2"?', 'did you mean "sub/x.j2"?')
    )
    assert "hunter2" not in said


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no free links")
def test_a_folder_of_partials_that_is_itself_a_link_is_not_followed(folder: Path) -> None:
    outside = folder / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("hunter2")
    (folder / "messages" / "_partials").rmdir()
    (folder / "messages" / "_partials").symlink_to(outside, target_is_directory=True)
    (said,) = refused_text("{% include 'secret.txt' %}")
    assert said.startswith("messages/m.yaml:5:5: error: there is no partial ")


def test_without_a_messages_folder_nothing_can_be_included(folder: Path) -> None:
    path = folder / "m.yaml"
    path.write_text(HEAD.replace("Dear you", "\"{% include 'sign.j2' %}\"") + TO_ALL + "id: m\n")
    (spec,), _ = load_specs([path], None)
    with Renderer(None) as renderer, pytest.raises(MessagesError, match="there is no partial"):
        renderer.render(spec)


# --- what comes out -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "template", ["{{ '' }}", "{{ '  ' }}\n{{ '\t' }}", "{# nothing #}", "{% if 0 %}x{% endif %}"]
)
def test_an_empty_result_is_an_error(template: str) -> None:
    assert refused_text(template) == [
        "messages/m.yaml:5:5: error: text.EN is empty once it is rendered; write something, or drop the language"
    ]


def test_an_empty_topic_is_an_error_beside_the_others() -> None:
    source = 'topic: {EN: "{{ e }}", RU: x}\ntext: {EN: "{{ gone }}", RU: "{{ e }} "}\n' + TO_ALL
    assert [line.split(";")[0] for line in refusals(source, e="")] == [
        "messages/m.yaml:1:14: error: topic.EN is empty once it is rendered",
        'messages/m.yaml:2:16: error: the variable "gone" is not defined',
        "messages/m.yaml:2:31: error: text.RU is empty once it is rendered",
    ]


@pytest.mark.parametrize("char", ["\0", "\x1b", "\x7f", "\b", "\ud800"])
def test_a_control_character_is_an_error(char: str) -> None:
    (said,) = refused_text("a{{ v }}b", v=char)
    assert said == (
        f"messages/m.yaml:5:5: error: text.EN holds the control character U+{ord(char):04X}; remove it"
    )


def test_line_ends_and_tabs_are_no_control_characters() -> None:
    assert text("{{ v }}!", v="a\r\nb\tc\u2028") == "a\r\nb\tc\u2028!"


# --- recipients -----------------------------------------------------------------------------------


def ids(written: str, **variables: object) -> Message:
    return render(
        HEAD + f"recipients_select_type: DIRECT\nrecipients_ids: {written}\n", above=variables
    )


def test_recipients_are_each_once_in_the_order_of_the_spec() -> None:
    assert ids("[c, a, '{{ x }}', b, a]", x="c").recipients == Direct(("c", "a", "b"))
    assert ids("'{{ winners }}'", winners=["b", "a", "b"]).recipients == Direct(("b", "a"))
    assert ids("'{{ (one + two) | list }}'", one=["b"], two=["a"]).recipients == Direct(("b", "a"))
    assert ids("\" {{ 'a,b'.split(',') }} \"").recipients == Direct(("a", "b"))


@pytest.mark.some(3)
@pytest.mark.parametrize(
    ("written", "variables", "said"),
    [
        ("['{{ x }}']", {"x": None}, "4:18: error: the expression gives nothing; give it a value"),
        ("['{{ x }}']", {"x": 5}, "4:18: error: a recipient id is text, and this is a number; put the id in quotes where it is defined"),
        ("['{{ x }}']", {"x": True}, "4:18: error: a recipient id is text, and this is true; put the id in quotes where it is defined"),
        ("[a, '{{ x }}']", {"x": ["b"]}, "4:21: error: a recipient id is text, and this is a list; put the id in quotes where it is defined"),
        ("[a, '{{ x }}']", {"x": {}}, "4:21: error: a recipient id is text, and this is a mapping; put the id in quotes where it is defined"),
        ("['{{ x }}']", {"x": ""}, "4:18: error: this is not an id: it is empty; an id has 1 to 64 letters, digits, - and _, and nothing around it"),
        ("['{{ x }}']", {"x": "a b"}, "4:18: error: this is not an id: it holds a space (U+0020); an id has 1 to 64 letters, digits, - and _, and nothing around it"),
        ("['{{ x }}']", {"x": "a\n"}, "4:18: error: this is not an id: it holds a control character (U+000A); an id has 1 to 64 letters, digits, - and _, and nothing around it"),
        ("['{{ x }}']", {"x": "a\x00"}, "4:18: error: this is not an id: it holds a control character (U+0000); an id has 1 to 64 letters, digits, - and _, and nothing around it"),
        ("['a {{ x }}']", {"x": "b"}, "4:18: error: this is not an id: it holds a space (U+0020); an id has 1 to 64 letters, digits, - and _, and nothing around it"),
        ("'{{ x }}'", {"x": 5}, "4:17: error: the expression gives a number, not a list of ids; give a list, or write one here"),
        ("'{{ x }}'", {"x": []}, "4:17: error: the list of recipients is empty; name somebody"),
        ("'{{ x }}'", {"x": ["a", None]}, "4:17: error: a recipient id is text, and this is nothing; put the id in quotes where it is defined"),
        ("'{{ x }}'", {"x": ["a", 5]}, "4:17: error: a recipient id is text, and this is a number; put the id in quotes where it is defined"),
        ("'{{ y }}'", {}, "4:21: error: the variable \"y\" is not defined; add it to `variables:`, or --var y=…"),
        ("['{{ x }']", {}, "4:19: error: template: this is no Jinja2 template; the {{ that opens here is not closed: write }}; "),
    ],
)  # fmt: skip
def test_what_is_no_recipient_is_an_error(
    written: str, variables: dict[str, object], said: str
) -> None:
    with pytest.raises(MessagesError) as caught:
        ids(written, **variables)
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"messages/m.yaml:{said}")


def test_an_id_keeps_its_zeros() -> None:
    assert ids("[0123, 1e5, NO]").recipients == Direct(("0123", "1e5", "NO"))


# --- filters --------------------------------------------------------------------------------------


def filtered(condition: str, **variables: object) -> object:
    source = HEAD + f"recipients_select_type: FILTER\nrecipients_filter: {condition}\n"
    recipients = render(source, above=variables).recipients
    assert isinstance(recipients, Filtered)
    return recipients.tree


def test_an_expression_has_its_type_and_a_numeric_text_becomes_a_number_where_one_is_taken() -> (
    None
):
    skill = {"category": "skill", "key": "224", "operator": "GTE"}
    written = "{category: skill, key: 224, operator: GTE, value: '{{ v }}'}"
    for number, value in ((80, 80), ("80", 80), ("99.5", 99.5), ("1e1", 10), ("80.0", 80)):
        assert filtered(written, v=number) == {"and": [{**skill, "value": value}]}
    assert filtered(written.replace("{{ v }}", "{{ v }}5"), v="1") == {
        "and": [{**skill, "value": 15}]
    }
    condition = "{category: profile, key: %s, operator: EQ, value: '{{ v }}'}"
    for key, good in (("country", "US"), ("adult_allowed", True), ("gender", "MALE")):
        (node,) = filtered(condition % key, v=good)["and"]  # type: ignore[index]
        assert (type(node["value"]), node["value"]) == (type(good), good)


def test_what_is_rendered_is_checked_again() -> None:
    source = HEAD + (
        "recipients_select_type: FILTER\nrecipients_filter:\n  and:\n"
        "    - {category: skill, key: '{{ k }}', operator: GTE, value: '{{ v }}'}\n"
        "    - {category: profile, key: country, operator: EQ, value: '{{ c }}'}\n"
    )
    assert refusals(source, k="a b", v="101", c="usa") == [
        'messages/m.yaml:6:30: error: "a b" is not a skill id; write the skill\'s id as it is in Toloka, without spaces',
        "messages/m.yaml:6:63: error: skill takes a number from 0 to 100, not 101; for example, value: 80",
        'messages/m.yaml:7:62: error: country takes a code of two upper-case letters, not "usa"; for example, value: US',
    ]
    assert len(refusals(source)) == 3


def test_a_filter_has_and_or_or_at_its_root() -> None:
    condition = {"category": "profile", "key": "country", "operator": "EQ", "value": "US"}
    written = "{category: profile, key: country, operator: EQ, value: US}"
    assert filtered(written) == {"and": [condition]}
    assert filtered(f"{{or: [{written}]}}") == {"or": [condition]}


def test_everyone_is_everyone() -> None:
    assert render(HEAD + TO_ALL).recipients == Everyone()


# --- the digest -----------------------------------------------------------------------------------

SPEC = """\
topic: {EN: Hello, RU: "Привет"}
text:
  EN: |
    Line one
    Line two
  RU: "Да"
recipients_select_type: FILTER
recipients_filter:
  and:
    - {category: skill, key: "224", operator: GTE, value: 80}
    - {category: profile, key: country, operator: EQ, value: US}
answerable: true
"""


def test_a_digest_does_not_see_how_a_file_is_written() -> None:
    digest = render(SPEC).digest
    assert digest.startswith("sha256:")
    assert len(digest) == 7 + 64
    head, _, tail = SPEC.partition("recipients_select_type")
    same = {
        "CRLF": SPEC.replace("\n", "\r\n"),
        "byte order mark": "\ufeff" + SPEC,
        "comments": "# first\n" + SPEC.replace("answerable", "# why\nanswerable"),
        "order of keys": "recipients_select_type" + tail + head,
        "order of languages": SPEC.replace(
            '{EN: Hello, RU: "Привет"}', '{RU: "Привет", EN: Hello}'
        ),
        "order in a condition": SPEC.replace(
            'category: skill, key: "224"', "key: 224, category: skill"
        ),
        "the default": SPEC.replace("answerable: true\n", ""),
        "quotes": SPEC.replace("EN: Hello", "'EN': \"Hello\""),
        "float": SPEC.replace("value: 80", "value: 80.0"),
        "variables": SPEC.replace("Hello", "'{{ a }}'") + "variables: {a: Hello, b: 1}\n",
        "white space around": SPEC.replace('"Да"', '" Да\\n"').replace("EN: |\n", "EN: |+\n\n"),
        "line ends in a text": SPEC.replace(
            "|\n    Line one\n    Line two", '"Line one\\r\\nLine two"'
        ),
        "its own metadata": SPEC
        + "id: other\nrevision: 7\ndraft: true\nnot_before: 2026-11-22T00:00Z\n",
    }
    assert {name: render(source).digest for name, source in same.items()} == dict.fromkeys(
        same, digest
    )


def test_a_digest_sees_every_change_of_what_is_sent() -> None:
    changed = [
        SPEC,
        SPEC.replace("Hello", "hello"),
        SPEC.replace("Line one\n", "Line one \n"),
        SPEC.replace("Line one\n", "Line one\n\n"),
        SPEC.replace('RU: "Да"', 'RU: "Да."'),
        SPEC.replace("RU:", "TR:"),
        SPEC.replace("answerable: true", "answerable: false"),
        SPEC.replace("value: 80", "value: 81"),
        SPEC.replace("  and:", "  or:"),
        SPEC.replace("GTE", "GT"),
        SPEC.partition("recipients_select_type")[0] + TO_ALL,
    ]
    assert len({render(source).digest for source in changed}) == len(changed)


def test_a_digest_does_not_see_the_recipients() -> None:
    assert ids("[a]").digest == ids("[b, c]").digest != render(HEAD + TO_ALL).digest


WORDS = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=5)
TEXTS = st.dictionaries(st.sampled_from(["EN", "RU", "TR"]), WORDS, min_size=1)


@given(TEXTS, TEXTS, st.booleans(), st.sampled_from(["DIRECT", "ALL"]), st.data())
def test_two_contents_have_one_digest_only_if_they_are_equal(
    topic: dict[str, str], body: dict[str, str], answerable: bool, kind: str, data: st.DataObject
) -> None:
    first = (topic, body, answerable, kind)
    second = data.draw(
        st.just(first)
        | st.tuples(TEXTS, st.just(body), st.just(answerable), st.just(kind))
        | st.tuples(st.just(topic), TEXTS, st.booleans(), st.sampled_from(["DIRECT", "ALL"]))
    )

    def digest(content: tuple[dict[str, str], dict[str, str], bool, str]) -> str:
        shuffled = dict(reversed(content[0].items()))
        return digest_of(
            topic=shuffled,
            text=content[1],
            answerable=content[2],
            select_type=content[3],
            recipients_filter=None,
        )

    assert (digest(first) == digest(second)) == (first == second)


# --- data files -----------------------------------------------------------------------------------

FROM_FILE = HEAD + "recipients_select_type: DIRECT\nrecipients_file: "


def data(name: str, source: str | bytes) -> None:
    Path("messages", name).write_bytes(source if isinstance(source, bytes) else source.encode())


def test_recipients_come_from_a_file_each_once() -> None:
    data("ids.txt", b"\xef\xbb\xbfb\r\n\r\n a \r\n0123\r\nb")
    assert render(FROM_FILE + "ids.txt\n").recipients == Direct(("b", "a", "0123"))
    data("ids.csv", 'name,toloker_id,note\nAnn,b,"x, y"\n\nBob, a ,"two\nlines"\nCid,b,\n')
    assert render(FROM_FILE + "ids.csv\n").recipients == Direct(("b", "a"))
    assert render(FROM_FILE + "ids.csv\nrecipients_column: name\n").recipients == Direct(
        ("Ann", "Bob", "Cid")
    )


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("x.txt", "", ["messages/m.yaml:4:18: error: the list of recipients is empty; name somebody"]),
        ("x.txt", "a\nsecr3t word\n", ["messages/x.txt:2:1: error: this is not an id: it holds a space (U+0020); an id has 1 to 64 letters, digits, - and _, and nothing around it"]),
        ("x.txt", "a\nb\0c\n", ["messages/x.txt:2:2: error: a zero byte (U+0000), as in UTF-16; save it as UTF-8 (in Excel: CSV UTF-8)"]),
        ("x.txt", b"secr3t\n\xff\n", ["messages/x.txt:2:1: error: this is not UTF-8, and looks like a Windows code page; save it as UTF-8 (in Excel: CSV UTF-8)"]),
        ("x.csv", "", ["messages/x.csv:1:1: error: the file has no header; name the columns in the first line"]),
        ("x.csv", "worker\nsecr3t\n", ["messages/x.csv:1:1: error: the header has no column toloker_id; the column worker holds ids: name that one"]),
        ("x.csv", "toloker_id,\na,b\n", ["messages/x.csv:2:1: error: a column of the header has no name, and this row has something in it; name every column"]),
        ("x.csv", "toloker_id,a,a\n1,2,3\n", ["messages/x.csv:1:1: error: two columns of the header have one name; give each its own"]),
        ("x.csv", 'toloker_id,a\n"1\n",2\nsecr3t\n', ["messages/x.csv:4:1: error: the row has 1 field and the header 2; write each field, an empty one too"]),
        ("x.csv", "toloker_id,a\nb,1\nsecr3t 7,1\n,1\n", [
            "messages/x.csv:3:1: error: this is not an id: it holds a space (U+0020); an id has 1 to 64 letters, digits, - and _, and nothing around it",
            "messages/x.csv:4:1: error: this is not an id: it is empty; an id has 1 to 64 letters, digits, - and _, and nothing around it",
        ]),
        ("x.csv", 'toloker_id\n"secr3t', ['messages/x.csv:2:1: error: this is not CSV: a quote is not closed, or stands inside a field; close it, or write it twice: "the ""best"" one"']),
    ],
)  # fmt: skip
def test_a_bad_file_of_recipients_is_complained_of_at_its_line_without_its_contents(
    name: str, source: str | bytes, said: list[str]
) -> None:
    data(name, source)
    found = refusals(FROM_FILE + name + "\n")
    assert found == said
    assert "secr3t" not in "".join(found)


def test_a_bad_file_does_not_hide_the_other_problems() -> None:
    data("x.txt", "a b\n")
    found = refusals(FROM_FILE.replace("Hello", "'{{ gone }}'") + "x.txt\n")
    assert [line.split(": ")[0] for line in found] == ["messages/m.yaml:1:17", "messages/x.txt:1:1"]


def rows(name: str, source: str | bytes, **changes: str) -> tuple[Message, ...]:
    """Render a message for each row of a file."""
    data(name, source)
    text = changes.get("text", "'Dear {{ row.name }}'")
    who = changes.get("ids", "['{{ row.id }}']")
    Path("messages/m.yaml").write_text(
        f"topic: {{EN: Hello}}\ntext: {{EN: {text}}}\nrecipients_select_type: DIRECT\n"
        f"recipients_ids: {who}\nfor_each: {name}\n"
    )
    (spec,), problems = load_specs([Path("messages/m.yaml")], Path.cwd() / "messages")
    assert problems == ()
    with Renderer(Path.cwd() / "messages") as renderer:
        return renderer.render(spec)


@pytest.mark.parametrize(
    ("name", "source", "numbers"),
    [
        ("r.csv", 'id,name\na,"Ann\nLee"\n\n0123,Bob\n', [2, 5]),
        ("r.json", '[{"id": "a", "name": "Ann\\nLee"}, {"id": "0123", "name": "Bob"}]', [1, 2]),
        ("r.json", '[\n{"id": "a",\n"name": "Ann\\nLee"},\n{"id": "0123", "name": "Bob"}]', [2, 4]),
        ("r.jsonl", '{"id": "a", "name": "Ann\\nLee"}\n\n{"id": "0123", "name": "Bob"}', [1, 3]),
    ],
)
def test_each_row_is_a_message(name: str, source: str, numbers: list[int]) -> None:
    messages = rows(name, source)
    assert [message.text for message in messages] == [{"EN": "Dear Ann\nLee"}, {"EN": "Dear Bob"}]
    assert [message.recipients for message in messages] == [Direct(("a",)), Direct(("0123",))]
    assert [message.row for message in messages] == numbers
    assert len({message.digest for message in messages}) == 2


def test_a_column_may_be_called_like_a_method() -> None:
    (message,) = rows("r.csv", "id,items\na,5\n", text="'{{ row.items }}'")
    assert message.text == {"EN": "5"}


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("r.csv", "id,name\n", "messages/m.yaml:5:11: error: the file has no rows"),
        ("r.json", "[]", "messages/m.yaml:5:11: error: the file has no rows"),
        ("r.json", '{"id": 1}', "messages/r.json:1:1: error: this is not a list; write a JSON list of objects: [{...}, ...]"),
        ("r.json", '[\n{"id": "secr3t"},\n{"id": }]', "messages/r.json:3:8: error: this is not JSON from here on; check the quotes, commas and brackets"),
        ("r.json", '[{"id": "a", "id": "secr3t"}]', "messages/r.json:1:1: error: an object has one name twice"),
        ("r.json", '[{"id": NaN}]', "messages/r.json:1:1: error: NaN is not JSON"),
        ("r.json", '["secr3t"]', "messages/r.json:1:1: error: item 1 is not an object; write {...} for each row"),
        ("r.json", '[{},\n\n["secr3t"]]', "messages/r.json:3:1: error: item 2 is not an object; write {...} for each row"),
        ("r.json", '[{"id": "a"},\n{"id": "a", "ID ": "secr3t"}]', "messages/r.json:2:1: error: two names of this object are one but for their case or spaces"),
        ("r.json", "[" * 100_000, "messages/r.json:1:1: error: this is nested too deep; flatten it"),
        ("r.jsonl", '{"id": "a", "name": "b"}\n["secr3t"]\n', "messages/r.jsonl:2:1: error: this line is not an object; write {...} on each line"),
        ("r.jsonl", '{"id": "a", "name": "b"}\n{secr3t\n', "messages/r.jsonl:2:2: error: this is not JSON from here on; check the quotes, commas and brackets"),
        ("r.csv", "id,nmae\na,b\n", 'messages/m.yaml:2:25: error: template: there is no "name" in this (row messages/r.csv:2); did you mean "nmae"?'),
        ("r.csv", "id,name\na,x\nb,y\na,z\n", 'messages/m.yaml:4:17: error: one Toloker is in two rows: messages/r.csv:2 and messages/r.csv:4; for several letters to one, say what tells them apart: key: "{{ row.assignment }}"'),
        ("r.jsonl", '{"id": 5, "name": "x"}', "messages/m.yaml:4:18: error: a recipient id is text, and this is a number (row messages/r.jsonl:1); put the id in quotes where it is defined"),
    ],
)  # fmt: skip
def test_bad_rows_are_complained_of_at_their_line_without_their_contents(
    name: str, source: str, said: str
) -> None:
    with pytest.raises(MessagesError) as caught:
        rows(name, source)
    # Rows before a bad line may have something wrong of their own.
    *_, problem = caught.value.problems
    assert str(problem).startswith(said)
    assert not any("secr3t" in str(each) for each in caught.value.problems)


@pytest.mark.some(2)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("'{{ row.nmae }}'", 'template: there is no "nmae" in this (row messages/r.csv:2 and 1,999 more); did you mean "name"?'),
        ("'{{ name }}'", 'the variable "name" is not defined (row messages/r.csv:2 and 1,999 more); did you mean "row.name"?'),
        ("'{{ naem }}'", 'the variable "naem" is not defined (row messages/r.csv:2 and 1,999 more); did you mean "row.name"?'),
        ("'{{ row.salary }}'", "template: there is no \"salary\" in this (row messages/r.csv:2 and 1,999 more); the row has \"id\", \"name\""),
        ("'{% if row.name %}x'", "template: this is no Jinja2 template (row messages/r.csv:2 and 1,999 more); Jinja2 says: "),
    ],
)  # fmt: skip
def test_what_every_row_has_is_told_once(text: str, said: str) -> None:
    with pytest.raises(MessagesError) as caught:
        rows("r.csv", "id,name\n" + "".join(f"t{n},x\n" for n in range(2000)), text=text)
    (problem,) = caught.value.problems
    assert str(problem).split(": error: ")[1].startswith(said)
    assert "…" not in str(problem)


def test_nobody_counts_bad_rows_without_end() -> None:
    with pytest.raises(MessagesError) as caught:
        rows("r.csv", "id,name\n" + "a b,x\n" * 6000)
    (problem,) = caught.value.problems
    assert "(row messages/r.csv:2 and at least 2,499 more)" in str(problem)


def test_no_mapping_can_pass_for_a_number() -> None:
    said = r"a zero byte \(U\+0000\), as in UTF-16"
    with pytest.raises(MessagesError, match=said):
        rows("rows.json", '[{"id": "a", "name": {"\\u0000number": ["x", "y"]}}]')
    Path("messages/m.yaml").write_text(HEAD + TO_ALL + 'variables: {v: {"\\0number": [x, y]}}\n')
    _, problems = load_specs([Path("messages/m.yaml")], Path.cwd() / "messages")
    assert [str(each).split("; ")[0] for each in problems] == [
        f"{problems[0].where}: error: a zero byte (U+0000), as in UTF-16"
    ]
