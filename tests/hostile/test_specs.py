"""Spec and data files that were made to hurt: one complaint with an address, quickly and cheaply."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import IS_THOROUGH, THANKS, TOLOKER, Project, Result, all_but, one_in

from runner.toloka.languages import CODES

from .limited import Cost, call_limited, check_cheap, run_limited

LANGUAGES = ("EN", "RU", "FR", "ES", "DE", "IT", "PT")
ALIASES = "variables:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"  a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 30)
)
FILE = THANKS.split("recipients_ids:", maxsplit=1)[0] + "recipients_file: "
ROWS = THANKS + "for_each: "
TO_ALL = 'topic: {EN: "Hi"}\nrecipients_select_type: ALL\n'

# What stands in the file, and what is said of it.
REFUSED: dict[str, tuple[str | bytes | Callable[[], str | bytes], str]] = {
    "alias bomb": (THANKS + ALIASES, "aliases make this file too large"),
    "alias bomb at the top": (ALIASES + THANKS, "aliases make this file too large"),
    "alias of itself": (THANKS + "variables: &v {a: *v}\n", "the alias *v names nothing"),
    "many anchors": (
        lambda: THANKS + f"variables: [{','.join(f'&a{n} 1' for n in range(200_000))}]\n",
        "`variables` is a list, not a mapping",
    ),
    "5,000 deep, lists": (THANKS + f"variables: {{x: {'[' * 5000}{']' * 5000}}}\n", "nested more"),
    "5,000 deep, mappings": (THANKS + f"variables: {'{a: ' * 5000}1{'}' * 5000}\n", "nested more"),
    "5,000 deep, blocks": (
        THANKS + "variables:\n" + "".join(" " * n + "a:\n" for n in range(1, 3000)),
        "nested more",
    ),
    "5,000 deep, filter": (
        "topic: {EN: a}\ntext: {EN: b}\nrecipients_select_type: FILTER\n"
        f"recipients_filter: {'{and: [' * 5000}{']}' * 5000}\n",
        "nested more",
    ),
    "never closed": (THANKS + "variables: " + "[" * 100_000, "nested more"),
    "dashes": (lambda: "- " * 1_000_000, "nested more"),
    "100 MB": (lambda: b"#" + b"a" * 100_000_000, "is larger than 8 MiB"),
    "4,000,000 values": (
        lambda: THANKS + f"variables: [{'1,' * 3_900_000}]\n",
        "holds more than 250,000",
    ),
    "500,000 keys": (
        lambda: THANKS + f"variables: {{{','.join(f'k{n}: 1' for n in range(500_000))}}}\n",
        "holds more than 250,000",
    ),
    "8 MB of one text": (
        lambda: THANKS.replace("Thank you!", "x" * 8_000_000),
        "topic.EN is 8,000,000",
    ),
    "8 MB of addresses": (
        lambda: THANKS.replace("Thank you!", "@a " * 2_600_000),
        "topic.EN is 7,800,000",
    ),
    "1,000,000 documents": (lambda: THANKS + "---\n" * 1_000_000, "a second document starts here"),
    "invalid UTF-8": (THANKS.encode() + b"id: \xff\xfe\n", "this is not UTF-8"),
    "UTF-16": (THANKS.encode("utf-16"), "this is not UTF-8"),
    "half a character": (THANKS + 'id: "\\ud800"\n', r"the escape \ud800 does not exist"),
    "NUL": (THANKS + "id: a\0b\n", "a zero byte (U+0000)"),
    "escape character": (THANKS + "id: \x1b[31m\n", "the character U+001B is not allowed"),
    "object tag": (
        THANKS + "variables: {x: !!python/object/apply:os.system ['true']}\n",
        "the tag tag:yaml.org,2002:python/object/apply:os.system is not used here",
    ),
    "object at the top": ("!!python/object/new:os.system ['true']\n", "the tag tag:yaml.org"),
    "name tag": (THANKS + "variables: {x: !!python/name:os.system }\n", "the tag tag:yaml.org"),
    "binary tag": (THANKS + "variables: {x: !!binary aGk=}\n", "the tag tag:yaml.org,2002:binary"),
    "long tag": (lambda: "!" * 1_000_000, "the tag "),
    "merge key": (THANKS + "<<: {answerable: true}\n", "merge keys (<<) are not part of YAML 1.2"),
    "long key": (THANKS + "? " + "k" * 1000 + "\n: 1\n", 'unknown key "kkk'),
    "100,000 digits": (THANKS + f"revision: {'9' * 100_000}\n", "this number is too large"),
    "large exponent": (THANKS + "revision: 1e999999999\n", "this number is too large"),
    "not a number": (THANKS + "revision: .nan\n", ".nan is not a number that JSON knows"),
    "end of time": (THANKS + "not_before: 9999-12-31T23:59:59-23:59\n", "there is no such time as"),
    "long time": (lambda: THANKS + f"not_before: '{'2' * 1_000_000}'\n", "`not_before` cannot be"),
    "long id": (lambda: THANKS + f"id: {'a/' * 1_000_000}a\n", "`id` is 2000001 characters long"),
    "id of another folder": (THANKS + "id: ../../x\n", '`id` cannot be "../../x"'),
    "id with a line": (THANKS + 'id: "a\\nb"\n', '`id` cannot be "a\\nb"'),
    "thread of another folder": (
        "text: {EN: Hi}\nthread_id: ../../x\n",
        '`thread_id` cannot be "../../x"',
    ),
    "every language": (
        TO_ALL + f"text: {{{', '.join(f'{code}: x' for code in CODES)}}}\n",
        "`topic` has no AA",
    ),
    "never unquoted": (
        lambda: THANKS + 'id: "' + "a\n" * 1_000_000,
        "the quote that opens here is not closed",
    ),
    "colons": (
        lambda: THANKS + "x" + ": x" * 1_000_000 + "\n",
        '":" cannot stand here',
    ),
    "unknown version": ("%YAML 9.9\n---\n" + THANKS, "a line that starts with % is an order"),
    "many directives": (
        lambda: "".join(f"%TAG !{n}! tag:x{n}\n" for n in range(80_000)) + "---\n" + THANKS,
        "a line that starts with % is an order",
    ),
    "many texts on a line": (
        lambda: THANKS + "variables: {a: [" + "\xe9, " * 150_000 + "]}\nx: 1\n",
        'unknown key "x"',
    ),
    "directives below": (
        lambda: THANKS + "...\n" + "\n# x\n" * 500_000 + "%TAG ! x\n" * 80_000,
        "a line that starts with % is an order",
    ),
    "tabs": (lambda: THANKS + "\t" * 1_000_000, "a tab stands where only spaces may"),
    "/etc/passwd": (FILE + "/etc/passwd\n", '`recipients_file` cannot be "/etc/passwd"'),
    "passwd from here": (FILE + "../../../../../etc/passwd\n", "`recipients_file` cannot be"),
    "a list elsewhere": (FILE + "../../outside.txt\n", "`recipients_file` names no file that can"),
    "a list of the home": (
        FILE + "~/.ssh/id_rsa.txt\n",
        "`recipients_file` names no file that can",
    ),
    "a list on the net": (FILE + "https://127.0.0.1/x.txt\n", "`recipients_file` names no file"),
    "a linked list": (
        FILE + "link.txt\n",
        "`recipients_file` names no file that can be used; a link",
    ),
    "a list below a link": (FILE + "folder/outside.txt\n", "`recipients_file` names no file"),
    "a list that is a pipe": (FILE + "pipe.txt\n", "`recipients_file` names no file that can be"),
    "a list that is hidden": (
        FILE + ".hidden.txt\n",
        "`recipients_file` names no file that can be",
    ),
    "a list with NUL": (FILE + '"a\\0.txt"\n', "`recipients_file` cannot be"),
    "a list of a long name": (FILE + "a" * 100_000 + ".txt\n", "`recipients_file` names no file"),
    "a list that is its own link": (
        FILE + "loop.txt\n",
        "`recipients_file` names no file that can be used; a link",
    ),
    "a list below a loop": (FILE + "loop/x.txt\n", "`recipients_file` names no file that can be"),
    "escaped lines": (
        lambda: (
            TO_ALL + 'text: {EN: "mail a@b.example ' + "\\\n\\x61a\n" * 60_000 + 'c@d.example"}\n'
        ),
        "text.EN holds an e-mail address",
    ),
    "very many lines": (
        lambda: TO_ALL + "text:\n  EN: |\n" + "    ab\n" * 300_000 + "    c@d.example\n",
        "text.EN holds an e-mail address",
    ),
    "rows of a folder": (ROWS + "../..\n", '`for_each` cannot be "../.."'),
    "rows of a device": (ROWS + "/dev/zero\n", '`for_each` cannot be "/dev/zero"'),
    "rows elsewhere": (ROWS + "../../rows.csv\n", "`for_each` names no file that can be used"),
    "rows that are linked": (
        ROWS + "link.csv\n",
        "`for_each` names no file that can be used; a link",
    ),
}


# One of each kind of size: their memory is measured, in a process of their own, in every run.
MEASURED = {
    *("alias bomb", "4,000,000 values", "100 MB", "8 MB of one text", "1,000,000 documents"),
    *("one line", "many ids", "blank lines, JSON lines", "wide JSON", "small lists in one item"),
}
# Those that take longest, and have others of their kind.
DEAR = {
    *("many anchors", "4,000,000 values", "1,000,000 documents", "500,000 keys"),
    "8 MB of addresses",
    *("a large line", "one id", "blank lines, ids", "blank lines, CSV", "spaces behind JSON"),
    *("small objects in one item", "many long ids", "many texts on a line"),
    *("many ids", "blank lines, JSON lines", "small lists in one item"),
}


def limited(name: str, *args: str, cwd: Path) -> tuple[Result, Cost]:
    return (run_limited if name in MEASURED else call_limited)(*args, cwd=cwd)


@pytest.fixture
def hostile(project: Project) -> Project:
    """A project with links that lead out of it, and a pipe that nobody fills."""
    project.write("outside.txt", "root:x:0:0\n")
    messages = project.root / "messages"
    for name in ("link.txt", "link.csv"):
        (messages / name).symlink_to("/etc/passwd")
    (messages / "folder").symlink_to(project.root)
    for name in ("loop", "loop.txt"):
        (messages / name).symlink_to(name)
    project.write("messages/.hidden.txt", "a\n")
    os.mkfifo(messages / "pipe.txt")
    return project


def check_one_complaint(ran: tuple[Result, Cost], said: str) -> None:
    done, cost = ran
    assert done.code == 3, done
    told = (done.out + done.err).splitlines()
    errors = [line for line in told if ": error: " in line]
    assert len(errors) == 1, done.out[:2000]
    where, _, what = errors[0].partition(": error: ")
    path, line, column = where.rsplit(":", 2)
    assert path.startswith("messages/")
    assert int(line) > 0
    assert int(column) > 0
    assert what.startswith(said), what[:200]
    assert "Traceback" not in done.out + done.err
    assert "root:" not in done.out + done.err
    # Whatever was written, nobody has to read through it.
    assert len(done.out) < 3_000
    check_cheap(cost)


@pytest.mark.some(2)
@pytest.mark.parametrize("name", all_but(DEAR, REFUSED))
def test_a_hostile_spec_is_one_complaint_in_time(hostile: Project, name: str) -> None:
    source, said = REFUSED[name]
    hostile.write("messages/m.yaml", source() if callable(source) else source)
    check_one_complaint(limited(name, "validate", "messages/m.yaml", cwd=hostile.root), said)


MANY: dict[str, Callable[[], str]] = {
    "equal keys": lambda: THANKS + "id: a\n" * 200_000,
    "bad ids": lambda: THANKS.replace(
        "\n  - 1ad0", f" [{','.join(f'k {n}' for n in range(200_000))}] #"
    ),
    "unknown keys": lambda: THANKS + "".join(f"k{n}: 1\n" for n in range(100_000)),
    "unknown rules": lambda: THANKS + f"lint: {{{','.join(f'r{n}: x' for n in range(100_000))}}}\n",
    "tags": lambda: THANKS + f"variables: {{a: [{'!x 1,' * 100_000}]}}\n",
}


@pytest.mark.dear
@pytest.mark.parametrize("name", all_but(["bad ids", "unknown keys", "unknown rules"], MANY))
def test_of_very_many_mistakes_as_many_are_told_as_anybody_reads(
    project: Project, name: str
) -> None:
    project.write("messages/m.yaml", MANY[name]())
    done, cost = call_limited("validate", cwd=project.root)
    assert done.code == 3
    assert 1 < done.out.count(": error: ") <= 200
    check_cheap(cost)


MANY_LINES = f"topic: {{EN: Hi}}\nrecipients_select_type: DIRECT\nrecipients_ids: [{TOLOKER}]\n"
FAULTS = "".join(f"    {{{{ a{number} }}}}\n" for number in range(99))
MANY_PLACES: dict[str, Callable[[], str]] = {
    "faults of a block": lambda: "text:\n  EN: |\n" + "    ab\n" * 100_000 + FAULTS,
    "faults of a long file": lambda: "text:\n  EN: |\n" + FAULTS + "#\n" * 3_500_000,
    "faults behind escapes": lambda: 'text: {EN: "' + "\\\n\\x61a\n" * 60_000 + FAULTS + '"}\n',
}


@pytest.mark.dear
@pytest.mark.parametrize("name", MANY_PLACES)
def test_places_are_found_in_time(project: Project, name: str) -> None:
    project.write("messages/m.yaml", MANY_LINES + MANY_PLACES[name]())
    done, cost = call_limited("validate", cwd=project.root)
    assert done.code == 3
    assert 10 <= done.out.count('" is not defined') <= 100
    check_cheap(cost)


# Texts on which a careless pattern of a house rule would take for ever.
SLOW_TEXTS = {
    "+1": 400_000, "a.a@": 200_000, "<a ": 300_000, "http://": 140_000, "![[": 300_000, "1 ": 480_000,
    "1\u202f1": 300_000, "{{ a ": 150_000, "a?": 400_000, " ": 900_000, "@a ": 300_000, "not ": 240_000,
    "t.me/": 180_000, "(000) ": 150_000, "a-": 450_000, "\u0130": 900_000, "![](": 240_000, "7": 990_000, "1;": 490_000,
}  # fmt: skip


@pytest.mark.dear
@pytest.mark.parametrize("piece", one_in(3, SLOW_TEXTS), ids=ascii)
def test_no_text_is_slow_to_look_at(project: Project, piece: str) -> None:
    text = "{% raw %}" + piece * SLOW_TEXTS[piece] + "x{% endraw %}"
    project.write("messages/m.yaml", THANKS.replace("Thank you!", text))
    done, cost = call_limited("validate", cwd=project.root)
    assert done.code in (0, 3)
    assert "Traceback" not in done.out + done.err
    check_cheap(cost)


@pytest.mark.dear
@pytest.mark.parametrize("piece", one_in(5, ["![](", "7", "1;", "123- ", "a?b"]))
def test_many_languages_are_not_slow_to_look_at(project: Project, piece: str) -> None:
    texts = [f'  {each}: "{piece * (990_000 // len(piece))}"\n' for each in LANGUAGES]
    topics = [f"  {each}: Hi {each}\n" for each in LANGUAGES]
    start = "recipients_select_type: ALL\ntopic:\n" + "".join(topics)
    project.write("messages/m.yaml", start + "text:\n" + "".join(texts))
    done, cost = call_limited("validate", cwd=project.root)
    assert done.code in (0, 3)
    assert "Traceback" not in done.out + done.err
    check_cheap(cost)


# --- data files -----------------------------------------------------------------------------------

FOR_EACH = (
    'topic: {EN: "Hi"}\ntext: {EN: "{{ row.a }}"}\nrecipients_select_type: DIRECT\n'
    'recipients_ids: ["{{ row.id }}"]\nfor_each: '
)
DATA: dict[str, tuple[str, Callable[[], str], str]] = {
    "one line": (
        "rows.csv",
        lambda: "id,a\n" + "x" * 60_000_000,
        "the line has more than 1,000,000",
    ),
    "one quote": ("rows.csv", lambda: 'id,a\nx,"' + "a\n" * 10_000_000, "this is not CSV"),
    "many columns": (
        "rows.csv",
        lambda: ",".join(map(str, range(100_000))) + "\n",
        "the header has",
    ),
    "a deep item": (
        "rows.json",
        lambda: '[{"id": ' + "[" * 500 + "]" * 500 + "}]",
        "item 1 is nested",
    ),
    "a very deep item": ("rows.json", lambda: "[" * 1_000_000, "this is nested too deep"),
    "many items": ("rows.json", lambda: "[" + "{}," * 1_300_000 + "{}]", ""),
    "many lists": ("rows.json", lambda: "[" + "[]," * 1_300_000 + "{}]", "item 1 is not an object"),
    "a large number": (
        "rows.json",
        lambda: '[{"a": ' + "9" * 1_000_000 + "}]",
        "a number has too many digits",
    ),
    "NaN": ("rows.json", lambda: '[{"a": NaN}]', "NaN is not JSON"),
    "no list": ("rows.json", lambda: "{" * 1_000_000, "this is not JSON"),
    "no end": ("rows.json", lambda: '[{"id": "a", "a": "b"},', "this is not JSON"),
    "a deep line": ("rows.jsonl", lambda: '{"a": ' * 100_000, "this is nested too deep"),
    "a large line": ("rows.jsonl", lambda: '{"a": "' + "x" * 60_000_000, "the line has more than"),
    "one id": ("ids.txt", lambda: "x" * 60_000_000, "the line has more than 1,000,000"),
    "many ids": ("ids.txt", lambda: "x\n" * 30_000_000, "more than 1,000,000 ids"),
    "blank lines, ids": ("ids.txt", lambda: "\n" * 64_000_000, "the file has more than 2,000,000"),
    "blank lines, CSV": (
        "rows.csv",
        lambda: "id,a\n" + "\n" * 16_000_000,
        "the file has more than 2,000,000 lines",
    ),
    "blank lines, JSON lines": (
        "rows.jsonl",
        lambda: "\n" * 64_000_000,
        "the file has more than 2,000,000 lines",
    ),
    "spaces, JSON lines": ("rows.jsonl", lambda: (" " * 990_000 + "[]\n") * 60, "this line is not"),
    "spaces behind JSON": ("rows.jsonl", lambda: ("{}" + " " * 990_000 + "\n") * 60, ""),
    "spaces, JSON": ("rows.json", lambda: " " * 4_000_000, "this is not JSON"),
    "spaces, a JSON list": ("rows.json", lambda: "[" + " " * 4_000_000, "this is not JSON"),
    "much JSON": ("rows.json", lambda: " " * 16_000_000 + "[]", "the file is larger than 4 MiB"),
    "wide JSON": (
        "rows.json",
        lambda: ' [{"id": "' + "y" * 4_000_000 + '\U0001f600"}]',
        "item 1 has more than 1,000,000 characters",
    ),
    "small lists in one item": (
        "rows.json",
        lambda: '[{"id": [' + "[]," * 1_390_000 + "[]]}]",
        "item 1 has more than 1,000,000 characters",
    ),
    "small objects in one item": (
        "rows.json",
        lambda: '[{"id": [' + '{"":1},' * 590_000 + "{}]}]",
        "item 1 has more than 1,000,000 characters",
    ),
    "long ids": ("ids.txt", lambda: "y" * 201, "this is not an id: it has more than 64 characters"),
    "many long ids": ("ids.txt", lambda: ("y" * 60_000 + "\n") * 1_000, "this id has more"),
    "binary": ("ids.txt", lambda: "\0" * 1_000_000, "a zero byte (U+0000)"),
}


@pytest.mark.some(2)
@pytest.mark.parametrize("name", all_but(DEAR, DATA))
def test_a_hostile_data_file_is_one_complaint_in_time(project: Project, name: str) -> None:
    file, source, said = DATA[name]
    project.write(f"messages/{file}", source())
    spec = FILE if file.endswith(".txt") else FOR_EACH
    project.write("messages/m.yaml", spec + file + "\n")
    done, cost = limited(name, "validate", cwd=project.root)
    assert done.code == 3, done
    errors = [line for line in done.out.splitlines() if ": error: " in line]
    assert 1 <= len(errors) <= (1 if said else 20), done.out[:2000]
    where, _, what = errors[0].partition(": error: ")
    assert where.rsplit(":", 2)[0] in (f"messages/{file}", "messages/m.yaml")
    assert what.startswith(said), what[:200]
    assert "xxx" not in done.out + done.err
    assert "Traceback" not in done.out + done.err
    check_cheap(cost)


@pytest.mark.dear
def test_a_comment_is_not_read_again_for_every_row(project: Project) -> None:
    faults = "".join(f"    {{{{ row.x{number} }}}}\n" for number in range(99))
    spec = FOR_EACH.replace('text: {EN: "{{ row.a }}"}', f"text:\n  EN: |\n{faults}".rstrip())
    project.write("messages/m.yaml", spec + "rows.csv\n#" + "x" * 7_900_000)
    project.write("messages/rows.csv", "id,a\n" + "".join(f"t{n},a\n" for n in range(1_000)))
    done, cost = call_limited("validate", cwd=project.root)
    assert done.code == 3
    assert 1 <= done.out.count(": error: template: ") <= 200
    check_cheap(cost)


def test_one_toloker_in_very_many_rows_is_told_a_few_times(project: Project) -> None:
    project.write("messages/m.yaml", FOR_EACH + "rows.csv\n")
    project.write("messages/rows.csv", "id,a\n" + "t,a\n" * 20_000)
    done, cost = call_limited("validate", cwd=project.root)
    assert done.code == 3
    assert 10 <= done.out.count("one Toloker is in two rows") <= 100
    check_cheap(cost)


@pytest.mark.dear
def test_blank_lines_in_a_manifest_take_no_room(project: Project) -> None:
    project.write("messages/m.yaml", THANKS)
    project.write("results/local.jsonl", "\n" * 40_000_000)
    done, cost = run_limited("plan", cwd=project.root)
    assert done.code == 0
    check_cheap(cost)
    project.write("results/local.jsonl", "\n" * 40_000_000 + "x\n")
    done, cost = run_limited("plan", cwd=project.root)
    assert done.code == 2
    assert "results/local.jsonl:40000001:1: error: the manifest is damaged" in done.err
    check_cheap(cost)


def test_a_spec_that_is_its_own_link_is_refused(project: Project) -> None:
    project.write("messages/m.yaml", THANKS)
    (project.root / "messages/y.yaml").symlink_to("y.yaml")
    check_one_complaint(call_limited("validate", cwd=project.root), "cannot be read: ")


@pytest.mark.skipif(sys.platform == "darwin", reason="no such name can be made there")
@pytest.mark.parametrize("name", [b"messages/b\xff.yaml", b"messages/\xff/b.yaml"])
def test_a_name_that_is_not_utf_8_is_refused(project: Project, name: bytes) -> None:
    project.write("messages/m.yaml", THANKS)
    project.write(os.fsdecode(name), THANKS + "id: foo\n")
    check_one_complaint(call_limited("validate", cwd=project.root), "the name of this file or of")
    given = Path(os.fsdecode(name))
    check_one_complaint(call_limited("validate", given, cwd=project.root), "the name of this file")
    done = project.run("plan", "--results", "results.json")
    assert done.code == 3
    assert "messages/" in done.out + done.err
    assert "\\udcff" in done.out + done.err


def test_links_out_of_the_tree_are_not_followed(hostile: Project) -> None:
    (hostile.root / "messages" / "passwd.yaml").symlink_to("/etc/passwd")
    check_one_complaint(
        call_limited("validate", cwd=hostile.root), "this is a link to a file outside"
    )


@pytest.mark.dear
def test_a_folder_of_very_many_files_takes_what_its_files_take(project: Project) -> None:
    for number in range(2_000 if IS_THOROUGH else 500):
        source = THANKS.replace("Thank you!", f"Thank you {number}!")
        project.write(f"messages/{number // 100}/{number}.yaml", source)
    (project.root / "messages/0/loop").symlink_to(project.root / "messages")
    done, cost = run_limited("validate", "--quiet", cwd=project.root)
    assert (done.code, done.out.count("\n"), done.err) == (0, 1, "1 warning\n")
    assert "messages/0/loop:1:1: warning: this is a link to a folder" in done.out
    assert cost.cpu_s < 6
    assert cost.peak_mib < 100


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("variables: {x: " + "[" * 5000 + "]" * 5000 + "}\n", "nested more than 64 levels"),
        ("#" * 100_000_000, "is larger than 8 MiB"),
        ("messages: ../..\n", "lies outside the project or behind a link"),
        ("messages: /\n", "lies outside the project or behind a link"),
        (
            "messages: linked\n",
            "runner.yaml:1:11: error: the messages folder linked lies outside the project or behind a link",
        ),
        ("messages: loop\n", "there is no folder loop"),
        ("suppress: l.txt\n", "a link is not followed"),
        ("suppress: /etc/passwd\n", "`suppress` cannot be"),
        ("suppress: ../../etc/passwd.txt\n", "`suppress`"),
    ],
    ids=range(9),
)
def test_a_hostile_configuration_is_refused_in_time(
    project: Project, source: str, said: str
) -> None:
    project.write("messages/m.yaml", THANKS)
    (project.root / "linked").symlink_to("/usr")
    for name in ("loop", "l.txt"):
        (project.root / name).symlink_to(name)
    project.write("runner.yaml", source)
    done, cost = call_limited("plan", cwd=project.root)
    check_cheap(cost)
    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize("leads_to", ["runner.yaml", "gone.yaml", "messages"])
@pytest.mark.parametrize("here", [".", "messages"])
def test_a_configuration_that_is_a_broken_link_is_not_passed_over(
    project: Project, leads_to: str, here: str
) -> None:
    project.write("messages/m.yaml", THANKS)
    (project.root / "runner.yaml").symlink_to(leads_to)
    done, _ = call_limited("validate", cwd=project.root / here)
    assert (done.code, done.out) == (2, "")
    assert "runner.yaml is a folder, or a link that leads to no file" in done.err


def test_a_messages_folder_that_is_its_own_link_is_refused(project: Project) -> None:
    (project.root / "messages").rmdir()
    (project.root / "messages").symlink_to("messages")
    project.write("runner.yaml", "target: local\n")
    done, _ = call_limited("validate", cwd=project.root)
    assert (done.code, done.out) == (2, "")
    assert "lies outside the project or behind a link" in done.err


def test_a_configuration_that_is_a_link_out_of_the_project_is_not_read(
    project: Project, tmp_path: Path
) -> None:
    project.write("messages/m.yaml", THANKS)
    (tmp_path / "secrets.yaml").write_text("s3cret: x\n")
    (project.root / "runner.yaml").symlink_to(tmp_path / "secrets.yaml")
    done = project.run("validate")
    assert (done.code, done.out) == (2, "")
    assert "is a link out of its project" in done.err
    assert "s3cret" not in done.err
