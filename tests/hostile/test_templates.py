"""Templates that compute without end, grow without end, or climb: refused, in time and in memory."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import THANKS, Project, Result, all_but, one_in, run_command

from runner.render.messages import Renderer
from runner.render.templates import Cells, Source, Templates
from runner.spec.specs import load_specs
from runner.spec.yamlfile import parse_yaml

from .limited import MAX_MIB, call_limited, check_cheap, run_limited, slowness

EITHER = "this takes too "
LONG = "this takes too long; a template fills in words: compute elsewhere"
LARGE = "this takes too much memory; a template fills in words: compute elsewhere"
DEEP = "this is nested too deep, or calls itself without end; make it flatter"
FUNCTION = "this is a function, not text: call it with ()"
SERIES = "this is a series of values, not text: end it with |list or |join"
NUMBER = "this number is too large"
# One step of Python's that takes seconds, and hears no signal before it ends.
STEP = "{{ 'x' if [[0] * 9000] * 90000 == [[0] * 9000] * 90000 else 'y' }}"
MIXED = "this calculates with text and a number"
UNSAFE = "this is not allowed"

REFUSED = {
    # Text and lists that grow.
    "{{ 'a' * 10**10 }}": MIXED,
    "{{ [0] * 10**10 }}": LARGE,
    "{{ [[1] * 10000] * 10000 }}": "this ",
    "{{ (['abcdefghij'] * 120000) | join }}": "the text is 1,200,000 characters once it is rendered",
    "{{ 'a'.center(10**10) }}": LARGE,
    "{{ 'a'.ljust(10**9) | length }}": LARGE,
    "{{ 'a'.zfill(10**10) }}": LARGE,
    "{{ '\t'.expandtabs(2**31 - 1) }}": LARGE,
    "{{ ('x' | center(20000)).translate({32: 'y'.center(10**6)}) }}": LARGE,
    "{{ ('a' | center(1000000)).replace(' ', 'b'.center(10000)) }}": LARGE,
    "{{ ','.join(['a'.center(10000)] * 100000) }}": LARGE,
    "{{ ('a'.center(20000000)).split(' ') | length }}": LARGE,
    "{{ 'a' | center(1000001) }}": "the text is 1,000,001 characters once it is rendered",
    # The same by a format.
    "{{ '%1000000000d' % 1 }}": LARGE,
    "{{ '%*d' | format(10**9, 1) }}": LARGE,
    "{{ '{:1000000000}'.format(1) }}": LARGE,
    "{{ '{:{w}}'.format(1, w=10**9) }}": LARGE,
    "{{ '{0.__class__.__mro__}'.format('') }}": UNSAFE,
    "{{ '{x.__class__}'.format_map({'x': 1}) }}": UNSAFE,
    # By a filter.
    "{{ 'a' | center(2000000000) }}": LARGE,
    "{{ 'x' | indent(10**10, true) }}": LARGE,
    "{{ ('a'.center(20000000).replace(' ', '\n')) | indent(3) | upper }}": EITHER,
    "{{ 'a' | replace('', 'b'.center(50000000)) }}": LARGE,
    "{{ (['a'] * 2000000) | join(' ') | wordwrap(1) | length }}": LONG,
    "{{ ' '.join(['http://a.b'] * 300000) | urlize | length }}": LONG,
    "{{ range(99999) | batch(10**10, 'x') | list | length }}": LARGE,
    "{{ range(99999) | slice(10**9) | list | length }}": LONG,
    "{{ ([1] * 10**9) | sum }}": LARGE,
    "{{ ([0] * 10**7) | sort | length }}": LARGE,
    "{{ ([[1]] * 3000000) | pprint | length }}": LONG,
    "{{ 1.5 | round(10**9, 'floor') }}": "|round takes up to 60 places",
    # Numbers, which Python computes whole before anybody is asked.
    "{{ 9 ** 9 ** 9 }}": NUMBER,
    "{{ 9 ** (9 ** 9) }}": NUMBER,
    "{{ 10 ** 4300 }}": NUMBER,
    "{{ (7 ** 7000000) % 13 }}": NUMBER,
    # Steps without end, with and without output.
    STEP: LONG,
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}": LONG,
    "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}": EITHER,
    "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}": DEEP,
    "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}": LONG,
    "{% block b %}{{ self.b() }}{% endblock %}": DEEP,
    "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}": DEEP,
    "{% include 'loop.j2' %}": DEEP,
    "{% extends 'loop.j2' %}": DEEP,
    "{% import 'loop.j2' as l %}": DEEP,
    "{% set ns = namespace(x='aa') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}"
    "{% endfor %}": LARGE,
    "{% set x = 'a' %}" + "{% set x = x ~ x %}" * 40: LARGE,
    "{% set x = [1] %}" + "{% set x = [x, x] %}" * 40 + "{{ x | tojson }}": LONG,
    "{% set x = [1] %}{% set y = [1] %}"
    + "{% set x = [x, x] %}{% set y = [y, y] %}" * 40
    + "{{ x == y }}": LONG,
    # A parser or a compiler that is led astray.
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}": DEEP,
    "{{ " + "-" * 20000 + "1 }}": DEEP,
    "{% if 1 %}" * 3000 + "{% endif %}" * 3000: DEEP,
    "{{ 1 " + "+ 1 " * 20000 + "}}": "this ",
    "{{ 'a' " + "| upper " * 5000 + "}}": DEEP,
    # Climbs, and what would be another text in another run.
    "{{ ''.__class__.__mro__[1].__subclasses__() }}": UNSAFE,
    "{{ '' | attr('__class__') }}": UNSAFE,
    "{{ ['a'] | map('attr', '__class__') | join }}": UNSAFE,
    "{{ [1] | map(attribute='__class__') | join }}": UNSAFE,
    "{{ range.__init__.__globals__ }}": UNSAFE,
    "{{ self._TemplateReference__context }}": UNSAFE,
    "{{ 'a'.upper }}": FUNCTION,
    "{{ range }}": FUNCTION,
    "{{ ['abc'] | map('upper') }}": SERIES,
    "{{ 'abc' | map('upper') }}": "this is one text, not a list",
    "{{ range ~ 1 }}": FUNCTION,
    "{{ [range] | string }}": "this is a list",
    "{{ '%s' % range }}": FUNCTION,
    "{{ '{}'.format(range) }}": FUNCTION,
    "{{ range | escape }}": FUNCTION,
    "{{ {range: 1} }}": "this is a mapping",
    "{{ ('x'.upper ~ '')[-15:-1] }}": FUNCTION,
    "{{ 'abc' | list | unique | string }}": SERIES,
    "{{ ([1] | map('string')) ~ 1 }}": SERIES,
    "{{ ({'a': 1, 'b': 2}.keys() - [])|join }}": "this has no order",
    "{% block b %}{% endblock %}{{ self.b ~ '' }}": FUNCTION,
    "{{ self }}": "this is neither text nor data",
    "{{ 'a'.encode('idna') }}": "this ",
    "{{ lipsum() }}": 'the variable "lipsum" is not defined',
    "{{ cycler(1).next() }}": 'the variable "cycler" is not defined',
    "{{ joiner() }}": 'the variable "joiner" is not defined',
    "{{ [1, 2] | random }}": 'there is no filter "random"',
    # Other people's files.
    "{% include '../m.yaml' %}": 'there is no partial "../m.yaml"',
    "{% include '/etc/passwd' %}": 'there is no partial "/etc/passwd"',
    "{% include 'link.j2' %}": 'there is no partial "link.j2"',
    "{% include 'latin.j2' %}": "messages/_partials/latin.j2 is not UTF-8",
    "{% include 'large.j2' %}": "messages/_partials/large.j2 is larger than 256 KiB",
}


@pytest.fixture
def hostile(project: Project) -> Project:
    """A project whose partials are as hostile as its messages."""
    project.write("messages/_partials/loop.j2", "{% include 'loop.j2' %}")
    project.write("messages/_partials/latin.j2", b"caf\xe9")
    project.write("messages/_partials/large.j2", "x" * (256 * 1024 + 1))
    (project.root / "messages/_partials/link.j2").symlink_to("/etc/passwd")
    return project


def with_text(template: str) -> str:
    return THANKS.replace('"Thank you!"', json.dumps(template))


def with_ids(template: str) -> str:
    return (
        THANKS.split("recipients_ids:", maxsplit=1)[0] + "recipients_ids: " + json.dumps(template)
    )


def check_refused(done: Result, said: str) -> None:
    """One plain complaint with an address, and nothing of Python's."""
    assert done.code == 3, done
    assert done.err == "1 problem in 1 file\n"
    errors = [line for line in done.out.splitlines() if ": error: " in line]
    assert len(errors) == 1, done.out
    where, _, what = errors[0].partition(": error: ")
    assert where.startswith(("messages/m.yaml:", "messages/_partials/")), where
    assert what.removeprefix("template: ").startswith(said), what
    assert "Traceback" not in done.out
    assert " at 0x" not in done.out


@pytest.mark.parametrize("template", one_in(5, REFUSED), ids=lambda template: template[:40])
def test_a_hostile_template_is_refused_in_time(hostile: Project, template: str) -> None:
    hostile.write("messages/m.yaml", with_text(template))
    done, cost = call_limited("validate", cwd=hostile.root)
    check_refused(done, REFUSED[template])
    check_cheap(cost)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ['a'] * 10**10 }}",
        "{{ ['a'] * 300000 }}",
        "{{ range(99999) | map('string') | map('center', 10**6) | list }}",
        "{{ 'a'.center(10**10) }}",
        STEP,
        "{{ range }}",
        "{{ ''.__class__ }}",
    ],
)
def test_an_expression_for_ids_is_held_by_the_same_limits(hostile: Project, template: str) -> None:
    hostile.write("messages/m.yaml", with_ids(template))
    done, cost = call_limited("validate", cwd=hostile.root)
    check_refused(done, "")
    check_cheap(cost)


@pytest.mark.dear
@pytest.mark.parametrize("command", one_in(3, ["send", "plan", "preview"]))
def test_every_command_that_renders_has_the_limits(hostile: Project, command: str) -> None:
    hostile.write("messages/m.yaml", with_text(STEP))
    done, cost = run_limited(command, cwd=hostile.root)
    assert done.code == 3
    assert LONG in done.out + done.err
    check_cheap(cost)


@pytest.mark.dear
def test_a_limit_ends_a_message_and_three_of_them_a_run(hostile: Project) -> None:
    slow = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    for number in range(20):
        hostile.write(f"messages/m{number:02}.yaml", with_text(slow))
    hostile.write("messages/rows.csv", "name\n" + "x\n" * 1000)
    done, cost = run_limited("validate", cwd=hostile.root)
    assert done.code == 3
    assert done.out.count(LONG) == 3
    assert done.out.count("after this one, no more templates were rendered") == 1
    assert cost.cpu_s < 3


def test_rows_do_not_multiply_a_limit(hostile: Project) -> None:
    hostile.write("messages/rows.csv", "id\n" + "".join(f"t{n}\n" for n in range(1000)))
    languages = ("EN", "RU", "ES", "DE", "FR", "IT")
    slow = json.dumps(
        "{% for a in range(99999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}"
    )
    texts = ", ".join(f"{language}: {slow}" for language in languages)
    hostile.write(
        "messages/m.yaml",
        f"topic: {{{texts}}}\ntext: {{{texts}}}\nfor_each: rows.csv\n"
        "recipients_select_type: DIRECT\nrecipients_ids: ['{{ row.id }}']\n",
    )
    done, cost = run_limited("validate", cwd=hostile.root)
    check_refused(done, LONG.split(";", maxsplit=1)[0])
    check_cheap(cost)


def per_row(text: str, rows: int, project: Project) -> None:
    project.write("messages/rows.csv", "id\n" + "".join(f"t{n}\n" for n in range(rows)))
    project.write(
        "messages/m.yaml",
        f"topic: {{EN: Hello}}\ntext: {{EN: {json.dumps(text, ensure_ascii=False)}}}\n"
        "for_each: rows.csv\nrecipients_select_type: DIRECT\nrecipients_ids: ['{{ row.id }}']\n",
    )


@pytest.mark.thorough
def test_characters_count_as_the_memory_that_they_take(hostile: Project) -> None:
    per_row("{{ 'x' | center(990000) }}😀", 140, hostile)
    done, cost = run_limited("validate", cwd=hostile.root)
    check_refused(done, "the texts up to this one take more than 256 MiB")
    # Texts may take more than anything else that is hostile: those of 100,000 rows shall pass.
    assert cost.peak_mib < 256 + MAX_MIB, cost
    assert cost.cpu_s < 10 or cost.cpu_s < 10 * slowness(), cost


# Long values and many templates, for each of 100,000 rows: one cap for each.
LONG_VALUES = {
    "text": ("x" * 900_000, "the texts up to row 2", 20),
    "inserted": ("{{ row.id }}{{ 'x' | center(900000) }}", "the texts up to ", 20),
    "variable": (f"{{{{ row.id }}}}{{% set _ = long %}}variables: {'x' * 1_000_000}", "`variables` holds", 5),
    "templates": ("{{ row.id }}", "here is template number 401 of this message", 5),
    "texts": ("{{ row.id }}", "301 templates for 100,000 rows make more than 2,000,000 texts", 5),
    "recipients": ("{{ row.id }}", "the rows up to 27 have more than 500,000 recipients", 10),
}  # fmt: skip


@pytest.mark.dear
@pytest.mark.parametrize("name", all_but(["text", "inserted", "recipients"], LONG_VALUES))
def test_a_long_value_in_each_of_many_rows_is_refused_in_time(name: str, hostile: Project) -> None:
    written, said, most_s = LONG_VALUES[name]
    text, _, long = written.partition("variables: ")
    per_row(text, 100_000, hostile)
    path = hostile.root / "messages" / "m.yaml"
    form = path.read_text()
    if many := {"templates": 2_990, "texts": 300}.get(name):
        ids = ", ".join(f"'{{{{ row.id }}}}-{number}'" for number in range(many))
        form = form.replace("'{{ row.id }}'", ids)
    if name == "recipients":
        ids = ", ".join(f"t-{number}" for number in range(20_000))
        form = form.replace("'{{ row.id }}'", ids) + "key: '{{ row.id }}'\n"
    path.write_text(form + (f"variables: {{long: {long}}}\n" if long else ""))
    done, cost = run_limited("validate", cwd=hostile.root)
    check_refused(done, said)
    assert cost.peak_mib < 500, cost
    assert cost.cpu_s < most_s or cost.cpu_s < most_s * slowness(), cost


@pytest.mark.dear
def test_honest_texts_may_be_many_times_their_rows() -> None:
    words = "Thank you, {{ row.name }}. " + "This was good work. " * 400
    file = parse_yaml(json.dumps([words] * 15), "m.yaml")
    sources = [Source(file, (number,), words) for number in range(15)]
    rows: Iterator[Cells] = (({"name": f"Name {number}"}, {}) for number in range(1_000))
    size = 0
    with Templates(None, {}) as templates:
        for rendered in templates.render(sources, {}, rows):
            size += sum(len(str(text)) for text in rendered.values())
    assert size > 110_000_000


@pytest.mark.parametrize(
    "name",
    one_in(4, ["zz", "/".join("a" * 480), "x" * 100_000, "{}/../x", "zz{{ j }}"]),
    ids=lambda name: name[:9],
)
def test_partials_are_asked_for_once(hostile: Project, name: str) -> None:
    asked = json.dumps(name) if "{{" not in name else "'zz' ~ i ~ '-' ~ j"
    loops = "{%% for i in range(9999) %%}{%% for j in range(9999) %%}%s{%% endfor %%}{%% endfor %%}"
    hostile.write("messages/m.yaml", with_text(loops % f"{{% include {asked} ignore missing %}}"))
    done, cost = call_limited("validate", cwd=hostile.root)
    check_refused(done, "")
    check_cheap(cost)


def test_values_are_single_or_a_list_of_such(hostile: Project) -> None:
    condition = "{category: profile, key: city, operator: EQ, value: '{{ [[]] * 240000 }}'}"
    hostile.write(
        "messages/m.yaml",
        "topic: {EN: Hello}\ntext: {EN: Hi}\nrecipients_select_type: FILTER\n"
        f"recipients_filter: {{and: [{', '.join([condition] * 40)}]}}\n",
    )
    done, cost = call_limited("validate", cwd=hostile.root)
    assert (done.code, done.out.count(": error: ")) == (3, 40)
    check_cheap(cost)


@pytest.mark.dear
def test_variables_are_handed_over_once(project: Project) -> None:
    ids = "".join(f"  - {number:032x}\n" for number in range(60_000))
    project.write("values.yaml", "everybody:\n" + ids)
    for number in range(200):
        text = f"Hello {{{{ everybody | length }}}} {number}"
        project.write(f"messages/m{number}.yaml", with_text(text))
    done, cost = run_limited("validate", "--var-file", "values.yaml", "-q", cwd=project.root)
    assert done == (0, "", "")
    check_cheap(cost)


@pytest.mark.dear
def test_a_message_holds_only_so_many_templates(hostile: Project) -> None:
    ids = ", ".join(f"'{{{{ x{number} }}}}'" for number in range(100_000))
    hostile.write("messages/m.yaml", THANKS.replace("\n  - 1ad0", f" [{ids}] #"))
    done, cost = call_limited("validate", cwd=hostile.root)
    check_refused(done, "here is template number 3,001 of this message")
    check_cheap(cost)


def test_many_mistakes_in_one_message_are_told_up_to_a_hundred(hostile: Project) -> None:
    ids = ", ".join(f"'{{{{ x{number} }}}}'" for number in range(900))
    hostile.write("messages/m.yaml", THANKS.replace("\n  - 1ad0", f" [{ids}] #"))
    done, cost = call_limited("validate", cwd=hostile.root)
    assert (done.code, done.out.count(": error: ")) == (3, 100)
    check_cheap(cost)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ '1'.center(100000, '1') | length }}", "100000"),
        ("{{ 'x' | truncate(10**9) }}", "x"),
        ("{{ range(99999) | list | length }}", "99999"),
        ("{{ ['a'] | join('-'.center(100000)) }}", "a"),
        ("{% for n in range(20000) %}{% if loop.last %}{{ n }}{% endif %}{% endfor %}", "19999"),
    ],
)
def test_what_is_odd_and_cheap_is_let_pass(project: Project, template: str, text: str) -> None:
    project.write("messages/m.yaml", with_text(template))
    done, cost = call_limited("plan", "--format", "json", cwd=project.root)
    assert done.code == 0, done
    assert f'"EN": "{text}"' in done.out
    check_cheap(cost)


# --- the process itself ---------------------------------------------------------------------------


def _children() -> list[int]:
    tasks = Path("/proc/self/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


@pytest.fixture
def child(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A template process that has rendered something and waits for more."""
    if not Path("/proc/self/task").is_dir():
        pytest.skip("only Linux shows the limits of another process")
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("TOLOKA_TOKEN", "sentinel")
    monkeypatch.setenv("LD_PRELOAD", "")
    before = set(_children())
    path = project.write("messages/m.yaml", with_text("{{ 1 + 1 }}"))
    (spec,), _ = load_specs([path], project.root / "messages")
    with Renderer(project.root / "messages") as renderer:
        assert renderer.render(spec)[0].topic == {"EN": "2"}
        (pid,) = set(_children()) - before
        yield pid
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists()


def test_the_template_process_can_open_nothing_and_knows_nothing(child: int) -> None:
    limits = Path(f"/proc/{child}/limits").read_text()
    found = {line[:26].strip(): line[26:].split()[:2] for line in limits.splitlines()[1:]}
    nothing = ["0", "0"]
    for name in ("Max open files", "Max file size", "Max processes", "Max core file size"):
        assert found[name] == nothing, name
    most = int(found["Max address space"][0])
    size = int(Path(f"/proc/{child}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    assert size < most <= size + 97 * 1024**2
    environment = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
    names = {each.partition(b"=")[0].decode() for each in environment if each}
    assert names <= {"LD_LIBRARY_PATH"}
    assert b"sentinel" not in Path(f"/proc/{child}/cmdline").read_bytes()
    # Nothing but its three pipes.
    assert len(list(Path(f"/proc/{child}/fd").iterdir())) == 3


ATTEMPTS = {
    "a file": "open('/etc/passwd')",
    "a file to write": "open('x', 'w')",
    "a socket": "__import__('socket').socket()",
    "a process": "os.fork()",
    "a program": "os.posix_spawn('/bin/true', ['true'], {})",
    "a file of root's": "os.unlink('mine')",
    "a signal to its parent": "os.kill(os.getppid(), 0)",
    "more memory": "'x' * 2**28",
    "more rights": "os.setuid(0)",
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_whoever_gets_out_of_the_sandbox_can_do_little(project: Project, name: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root's rights are given up, and others cannot become root")
    project.write("mine", "")
    script = (
        "import os, socket, sys\nfrom runner.render.process import give_up_everything\n"
        "give_up_everything()\ntry:\n"
        f"    {ATTEMPTS[name]}\nexcept (OSError, MemoryError) as error:\n"
        "    print('held', type(error).__name__)\nelse:\n    print('done')\n"
    )
    done = run_command("-c", script, cwd=project.root, command=[sys.executable])
    assert done.out.startswith("held "), done
    assert (project.root / "mine").exists()


def test_a_template_process_that_dies_is_a_complaint_and_the_next_message_has_another(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    first = project.write("messages/a.yaml", with_text(STEP))
    second = project.write("messages/b.yaml", with_text("{{ 'good' | upper }}"))
    done = project.run("validate")
    check = [line for line in done.out.splitlines() if ": error: " in line]
    assert len(check) == 1
    assert check[0].startswith(f"messages/{first.name}:")
    first.write_bytes(second.read_bytes().replace(b"good", b"also good"))
    assert project.run("validate").code == 0
