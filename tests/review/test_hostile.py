"""What a message, a name or a server says can do nothing to whoever reads our output."""

from __future__ import annotations

import csv
import html
import io
import json
import os
import re
import unicodedata
from xml.etree import ElementTree

import pytest
from conftest import StartScripted
from scripted import Request, answer
from support import Project, Result, call_command, control, direct, threads

from runner.emulator import Emulator
from runner.render.lint import RULES

# Written in double quotes, as a YAML file may hold them: the escapes are YAML's.
PIECES = [
    r"\n::set-output name=x::y",
    r"\n::add-mask::a",
    r"\n::error file=x::y",
    r"\n  ::warning::y",
    r"\n##[error]y",
    r"\n##vso[task.setvariable variable=x]y",
    r"\rx ::error::y",
    r"\u2028::error::y",
    r"\u2029::error::y",
    r"\x85::error::y",
    r"%0A::error::y",
    r"%0D%0A::stop-commands::x",
    r"</script><script>alert(1)</script>",
    r"<img src=x onerror=alert(1)>",
    r"</details></td></table>",
    r"a | b | c",
    r"\n| a | b |",
    r"`x` ``` ````",
    r"\n```\n# heading\n",
    r"\n~~~\n",
    r"]]>",
    r"<![CDATA[",
    r"&amp; &lt; &#10;",
    r"[link](javascript:alert(1)) ![x](y) @team #1",
    r"\u202eabc\u202c \u2066x\u2069 \u200f \u200e",
    r"zero\u200b\u2060\ufeffwidth",
    r"=1+1",
    r"+cmd",
    r"@SUM(1)",
    r"\U000e0041",
]
# A terminal takes orders from these; YAML can write them, and no message may hold them.
CONTROLS = [r"\e[31m", r"\x1b]8;;http://x\x07", r"\x07", r"\b", r"\x9b31m", r"\x90q", r"\x7f"]
# Cc, Cf and the line separators; what joins letters and emoji may stay.
HARMFUL = {"Cc", "Cf", "Cs", "Zl", "Zp"}
EVIL = "".join(PIECES)
WAIVER = f"lint: {{{', '.join(f'{rule.id}: x' for rule in RULES)}}}\n"


def hostile(text: str, ids: str = "[t1]", extra: str = "") -> str:
    """A message that says this in its text and, on one line, in its topic."""
    return (
        f'topic: {{EN: "Hi {on_one_line(text)}"}}\ntext: {{EN: "{text}"}}\n'
        f"recipients_select_type: DIRECT\nrecipients_ids: {ids}\n{WAIVER}{extra}"
    )


def on_one_line(text: str) -> str:
    return re.sub(r"\\n|\\r|\\u202[89]|\\x85", " ", text)


def check_harmless(text: str) -> None:
    """Hold output against a terminal and against a workflow log."""
    for line in text.split("\n"):
        bad = [hex(ord(char)) for char in line if is_harmful(char)]
        assert bad == [], line
        # A command is a line that begins with `::` (white space before it is passed over).
        assert not line.strip().startswith(("::", "##[", "##vso[")), line


def is_harmful(char: str) -> bool:
    return unicodedata.category(char) in HARMFUL and char not in "\u200c\u200d\ufe0f"


def check_output(shown: Result) -> None:
    check_harmless(shown.out)
    check_harmless(shown.err)
    assert "Traceback" not in shown.err


# --- Whatever leaves ------------------------------------------------------------------------------


def test_what_is_said_is_no_order_wherever_its_words_come_from(project: Project) -> None:
    folder = "messages/::error::x"
    project.write(f"{folder}/a.yaml", direct("t1", text="Hi\n::error::y\n\u3000::error::z"))
    project.write(f"{folder}/b.yaml", "topic: [")
    project.write("data.yaml", '"::error::x": [')
    for args in (
        ("validate", "::error::x"),
        ("validate", "::error::x", "--color", "always"),
        ("plan", "::error::x/a.yaml", "-v"),
        ("plan", "::error::x/none.yaml"),
        ("send", "::error::x/a.yaml"),
        ("send", "x\n::error::y"),
        ("x\n::error::y",),
    ):
        found = call_command(*args, cwd=project.root / "messages")
        check_output(Result(found.code, re.sub(r"\x1b\[\d*m", "", found.out), found.err))
        assert "error::" in found.out + found.err, args
    project.write("runner.yaml", 'messages: "x\\n::error::y"\n')
    for command in ("validate", "plan", "status"):
        check_output(project.run(command))
    project.write("runner.yaml", "")
    target = json.dumps("http://127.0.0.1:1/\x1b]0;x\x07\n::error::y")
    head = '{"event":"manifest","version":1,"target":' + target + ",'at':1}\n".replace("'", '"')
    project.write("results/local.jsonl", head)
    for command in ("plan", "send", "status"):
        check_output(project.run(command))


def test_junit_is_xml_whatever_a_name_holds(project: Project) -> None:
    project.write("messages/a\uffffb\ufffe.yaml", "topic: [")
    found = project.run("validate", "--format", "junit")
    case = ElementTree.fromstring(found.out).find(".//testcase")
    assert case is not None
    assert case.attrib["name"] == "messages/a\ufffdb\ufffd.yaml"


def test_a_bare_address_in_a_summary_is_no_link(project: Project) -> None:
    project.write(
        "messages/a.yaml", direct("t1", topic="See www.evil.example and WWW.evil.example")
    )
    assert project.run("plan", "--summary", "summary.md").code == 0
    assert "www." not in (project.root / "summary.md").read_text(encoding="utf-8").lower()


# --- Message text ---------------------------------------------------------------------------------


def test_each_control_character_in_a_text_is_refused_without_being_shown(project: Project) -> None:
    for number, text in enumerate(CONTROLS):
        project.write(f"messages/m{number}.yaml", hostile(f"x{text}y"))
        project.write(
            f"messages/v{number}.yaml", hostile("{{ v }}", extra=f'variables: {{v: "{text}"}}\n')
        )
    refused = ("\\x9b31m", "\\x90q")
    project.write("messages/good.yaml", direct("t1"))
    for command in ("validate", "plan", "send"):
        shown = project.run(command)
        check_output(shown)
        assert shown.code == 3
        for number, text in enumerate(CONTROLS):
            if text not in refused:
                assert f"messages/m{number}.yaml:2:12: error: text.EN holds the control" in (
                    shown.out + shown.err
                )
    assert not project.manifest().exists()


def test_what_is_printed_of_a_hostile_message_is_harmless(
    project: Project, emulator: Emulator
) -> None:
    for number, piece in enumerate(PIECES):
        project.write(f"messages/m{number:02}.yaml", hostile(piece, ids=f"[t{number}]"))
    project.write("messages/z.yaml", hostile(EVIL, ids="[t1, t2]"))
    validated = project.run("validate", GITHUB_ACTIONS="true")
    check_output(validated)
    assert validated.code == 0, validated.out
    outputs = ("--out", "plan.json", "--summary", "summary.md", "--results", "results.json")
    for args in (("plan", *outputs, "-v"), ("send", "-v"), ("status",), ("plan",)):
        shown = project.run(*args, "--target", emulator.url, TOLOKA_TOKEN="t" * 30)
        check_output(shown)
        assert shown.code == 0, shown.err
    assert len(threads(emulator)) == len(PIECES) + 1
    # It went out as it was written: only what we print of it is changed.
    said = {thread["messages"][0]["text"]["EN"] for thread in threads(emulator)}
    assert "\n::error file=x::y" in said
    assert "zero\u200b\u2060\ufeffwidth" in said


def test_text_is_behind_a_bar_wherever_it_is_printed_whole(project: Project) -> None:
    project.write("messages/a.yaml", hostile(EVIL))
    shown = project.run("plan", "-v")
    lines = shown.out.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("  EN: Hi "))
    body = lines[first + 1 : lines.index("", first)]
    assert len(body) > len(PIECES) // 3
    assert all(re.match(r"      \|( |$)", line) for line in body)


def test_a_topic_stands_after_the_id_of_its_thread(project: Project) -> None:
    for number, piece in enumerate(PIECES):
        topic = on_one_line(piece.removeprefix(r"\n"))
        project.write(
            f"messages/m{number:02}.yaml",
            f'topic: {{EN: "{topic}"}}\ntext: {{EN: x}}\nrecipients_select_type: DIRECT\n'
            f"recipients_ids: [t{number}]\n{WAIVER}",
        )
    shown = project.run("send")
    check_output(shown)
    threads_told = re.findall(r"^  [0-9a-f]{24} ::set-output name=x::y$", shown.out, re.MULTILINE)
    assert len(threads_told) == 1
    only = project.run("send", "messages/m00.yaml", "--manifest", "other.jsonl")
    check_output(only)


def test_a_plan_as_json_stays_json(project: Project) -> None:
    project.write("messages/a.yaml", hostile(EVIL + CONTROLS[4]))
    shown = project.run("plan", "--format", "json")
    (message,) = json.loads(shown.out)["messages"]
    assert message["deliveries"][0]["text"]["EN"].startswith("\n::set-output")
    assert message["deliveries"][0]["text"]["EN"].endswith("\U000e0041\x9b31m")
    check_output(shown)


def test_a_summary_shows_everything_and_obeys_nothing(project: Project) -> None:
    project.write("messages/a.yaml", hostile(EVIL, ids="[t2, t3]"))
    project.write("messages/b.yaml", direct("t1"))
    assert project.run("plan", "--summary", "summary.md").code == 0
    markdown = (project.root / "summary.md").read_text(encoding="utf-8")
    assert [char for char in markdown if is_harmful(char) and char != "\n"] == []
    # Whatever is not ours stands in a code block, whose fence it cannot close, or is escaped.
    outside, inside = split_at_fences(markdown)
    assert len(inside) == 2
    assert inside[0].count("\n") > 10
    tags = set(re.findall("<[^>]*>", outside))
    assert tags <= {
        f"<{each}>" for each in ("details open", "summary", "b", "/b", "/summary", "/details")
    }
    ours = re.sub(r"^\*\*EN\*\*|^\*\*.*?\*\*", "", outside, flags=re.MULTILINE)
    assert not re.search(r"[`\[\]~@]|\]\(", ours.replace("&#", ""))
    assert "javascript:alert(1)" in html.unescape(outside)


def split_at_fences(markdown: str) -> tuple[str, list[str]]:
    """The lines outside and the code blocks, by CommonMark's rule for fences."""
    outside: list[str] = []
    inside: list[str] = []
    fence = ""
    for line in markdown.split("\n"):
        found = re.match(r" {0,3}(`{3,}|~{3,})", line)
        if not fence and found:
            fence = found[1]
            inside.append("")
        elif fence and re.fullmatch(rf" {{0,3}}{re.escape(fence)}`*\s*", line):
            fence = ""
        elif fence:
            inside[-1] += line + "\n"
        else:
            outside.append(line)
    assert not fence
    return "\n".join(outside), inside


# --- Names, ids, keys, languages ------------------------------------------------------------------

KEYS = EVIL + "".join(CONTROLS)


def names_and_keys(project: Project) -> None:
    """Files whose complaints quote what they hold."""
    project.write("messages/key.yaml", f'"{KEYS}": 1\n')
    for number, piece in enumerate([*PIECES, *CONTROLS]):
        project.write(
            f"messages/k{number:02}.yaml",
            f'"{piece}": 1\nid: "{piece}"\ntopic: {{"{piece}": x}}\ntext: {{EN: "{{{{ x }}}}"}}\n'
            f'recipients_select_type: "{piece}"\nrecipients_ids: ["{piece} x"]\n'
            f'variables: {{"{piece}": 1}}\nlint: {{"{piece}": x}}\nnot_before: "{piece}"\n'
            f'folders: ["{piece}"]\nrecipients_filter: {{"{piece}": "{piece}"}}\n',
        )
        project.write(
            f"messages/t{number:02}.yaml",
            direct("t1").replace('"Amazing job!"', f"\"{{% include '{piece}' %}}\""),
        )
        project.write(f"messages/u{number:02}.yaml", f"text: !<{html.escape(piece)}> x\n")
    if os.name == "posix":
        for name in (
            "c\n::error::x",
            "d\x1b[31m",
            "e]]>&<b>",
            "f\u202e|`",
            "g%0A::error::x",
            "h,i:j",
        ):
            project.write(f"messages/{name}.yaml", "[")


@pytest.mark.dear
def test_what_a_complaint_quotes_is_harmless_in_every_form(project: Project) -> None:
    names_and_keys(project)
    text = project.run("validate", "--color", "never")
    assert text.code == 3
    check_output(text)
    coloured = project.run("validate", "--color", "always")
    check_harmless(re.sub(r"\x1b\[(?:0|1|31|33)m", "", coloured.out))

    github = project.run("validate", "--format", "github")
    for line in github.out.splitlines()[:10]:
        assert re.fullmatch(r"::error file=[^,:]*,line=\d+,col=\d+,title=\w+::.*", line)
        check_harmless(line.removeprefix("::error "))
    assert re.fullmatch(r"and \d+ more errors", github.out.splitlines()[10])

    junit = project.run("validate", "--format", "junit")
    root = ElementTree.fromstring(junit.out)
    assert {element.tag for element in root.iter()} == {
        "testsuites", "testsuite", "testcase", "failure",
    }  # fmt: skip
    check_harmless(junit.out)

    document = project.run("validate", "--format", "json")
    check_output(document)
    assert json.loads(document.out)["valid"] is False
    failed = project.run("plan", "--summary", "summary.md")
    check_output(failed)
    markdown = (project.root / "summary.md").read_text(encoding="utf-8")
    assert re.findall("<[^>]*>", markdown) == []
    assert not re.search(r"(?m)^(?!- |## |There is |$)", markdown.rstrip("\n"))


def test_a_manifest_out_of_a_pull_request_cannot_harm_where_it_is_shown(project: Project) -> None:
    intent = {
        "event": "intent", "delivery": "d\n::error::x\x1b[31m", "message": "m\n::error::y",
        "revision": 1, "source": "messages/m.yaml", "action": "compose",
        "recipients_select_type": "ALL", "digest": "d", "at": "2024-05-01T00:00:00Z",
    }  # fmt: skip
    ids = ["::error::x", "a|b", "`c`", "]]>", "<b>", "\u202ee"]
    named = {**intent, "delivery": "e", "recipients_select_type": "DIRECT", "recipients_ids": ids}
    head = {"event": "manifest", "version": 1, "target": "local", "at": "2024-05-01T00:00:00Z"}
    lines = "".join(json.dumps(each) + "\n" for each in (head, intent, named))
    project.write("results/local.jsonl", lines)
    for args in ((), ("--toloker", "::error::x")):
        shown = project.run("status", *args)
        check_output(shown)
        assert "resolve e" in shown.out
        assert ids[1] in shown.out


# --- What the server says -------------------------------------------------------------------------

SAID = json.loads('"' + EVIL.replace("\\x", "\\u00").replace("\\U000e0041", "") + '"') + "\x1b[31m"


@pytest.mark.parametrize("status", [400, 409, 429, 500])
def test_the_words_of_a_server_are_harmless(
    status: int, project: Project, start_scripted: StartScripted
) -> None:
    error = {
        "code": SAID,
        "message": SAID,
        "request_id": SAID,
        "payload": {SAID: {"code": SAID, "message": SAID}, "interval": "DAY"},
    }

    def say(request: Request) -> bytes:
        if request.method == "GET":
            return answer(200, {"items": [], "has_more": False})
        return answer(status, error)

    server = start_scripted(say)
    project.write("messages/a.yaml", direct("t1"))
    results = ("--results", "results.json", "--settle", "0")
    shown = project.send(server.url, "-v", *results, GITHUB_ACTIONS="true")
    check_output(shown)
    assert shown.code in (4, 5, 75)
    if status in (400, 409):
        assert "::set-output" in shown.err
    status_shown = project.run("status", "--target", server.url)
    check_output(status_shown)


def test_what_tolokers_answer_cannot_harm_terminal_or_spreadsheet(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct("t1", "t2"))
    assert project.send(emulator).code == 0
    (thread,) = threads(emulator)
    for toloker, text in (("t1", SAID), ("t2", '=HYPERLINK("http://x";"y")')):
        body = {"thread_id": thread["id"], "toloker_id": toloker, "text": {"EN": text}}
        control(emulator, "answer", body)
    shown = project.run("replies", "--target", emulator.url, TOLOKA_TOKEN="t" * 30)
    check_output(shown)
    assert shown.code == 0
    forms = ("--format", "csv")
    written = project.run("replies", *forms, "--target", emulator.url, TOLOKA_TOKEN="t" * 30)
    assert written.code == 0, written.err
    header, *rows = csv.reader(io.StringIO(written.out))
    assert len(rows) == 2
    assert {len(row) for row in rows} == {len(header)}
    for row in rows:
        for cell in row:
            assert not cell.lstrip().startswith(("=", "+", "-", "@")), cell
