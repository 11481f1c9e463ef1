"""What `validate` and `plan` print, form by form, held against what reads it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support import COMMAND, THANKS, TIMEOUT_S, Project, direct

from runner import __version__
from runner.plan.planfile import plan_digest

WARNS = direct("a", text="This is <b>important</b> {}.")
FAILS = THANKS + "drafft: true\n"


# --- Text -----------------------------------------------------------------------------------------


def carets(out: str) -> list[tuple[str, str]]:
    """Each line that is shown of a file, cut where the caret below it stands."""
    lines = out.splitlines()
    found = []
    for number, line in enumerate(lines):
        if line.strip() == "^":
            shown, at = lines[number - 1], line.index("^")
            cells = cell_offsets(shown)
            found.append((shown[: cells[at]], shown[cells[at] :]))
    return found


def cell_offsets(line: str) -> dict[int, int]:
    """Which character of a line begins in each cell of a terminal, wide ones taking two."""
    wide = re.compile("[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60]")
    found, cell = {}, 0
    for number, char in enumerate(line):
        found[cell] = number
        cell += 2 if wide.match(char) else 1
    return found


@pytest.mark.parametrize(
    ("line", "before", "from_there"),
    [
        ('topic: {EN: "x{{ nobody }}"}', '    topic: {EN: "x{{ ', 'nobody }}"}'),
        ('topic: {EN: "谢谢, {{ nobody }}"}', '    topic: {EN: "谢谢, {{ ', 'nobody }}"}'),
        ('topic: {EN: "감사, {{ nobody }}"}', '    topic: {EN: "감사, {{ ', 'nobody }}"}'),
        ('topic: {EN: "ünïcødé {{ nobody }}"}', '    topic: {EN: "ünïcødé {{ ', 'nobody }}"}'),
    ],
)
def test_the_caret_stands_under_the_column(
    line: str, before: str, from_there: str, project: Project
) -> None:
    rest = "text: {EN: y}\nrecipients_select_type: DIRECT\nrecipients_ids: [a]\n"
    project.write("messages/a.yaml", f"{line}\n{rest}")
    shown = project.run("validate", "--format", "text")
    assert carets(shown.out) == [(before, from_there)]
    column = len(before) - 4 + 1
    assert shown.out.startswith(f'messages/a.yaml:1:{column}: error: the variable "nobody"')


def test_of_a_long_line_the_part_around_the_column_is_shown(project: Project) -> None:
    text = "many words " * 40 + "{{ nobody }}" + " and more" * 40
    project.write("messages/a.yaml", direct("a", text=text))
    shown = project.run("validate", "--format", "text")
    ((before, from_there),) = carets(shown.out)
    assert before.endswith("many words {{ ")
    assert from_there.startswith("nobody }} and more")
    assert len(before + from_there) <= 4 + 120


def test_tabs_and_hidden_characters_do_not_move_the_caret(project: Project) -> None:
    project.write(
        "messages/a.yaml",
        'topic:\t{EN: "a\u202eb\u200bc\t{{ nobody }}"}\ntext: {EN: y}\n'
        "recipients_select_type: DIRECT\nrecipients_ids: [a]\n",
    )
    shown = project.run("validate", "--format", "text")
    ((before, from_there),) = carets(shown.out)
    assert before == '    topic: {EN: "a\\u202eb\\u200bc {{ '
    assert from_there == 'nobody }}"}'


def test_valid_messages_are_one_line_and_quiet_is_none(project: Project) -> None:
    project.write("messages/a.yaml", THANKS)
    assert project.run("validate", "--format", "text") == (0, "1 message is valid\n", "")
    assert project.run("validate", "--quiet") == (0, "", "")


ESCAPE = "\x1b["


@pytest.mark.parametrize(
    ("args", "env", "is_coloured"),
    [
        ((), {}, False),
        (("--color", "always"), {}, True),
        (("--color", "never"), {}, False),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
    ],
)
def test_without_a_terminal_there_is_colour_only_when_asked_for(
    args: tuple[str, ...], env: Mapping[str, str], is_coloured: bool, project: Project
) -> None:
    project.write("messages/a.yaml", FAILS)
    shown = project.run("validate", *args, **env)
    assert (ESCAPE in shown.out) is is_coloured
    plain = re.sub(r"\x1b\[\d*m", "", shown.out)
    assert plain.startswith('messages/a.yaml:9:1: error: unknown key "drafft"')
    assert ESCAPE not in shown.err


@pytest.mark.some(2)
@pytest.mark.skipif(os.name != "posix", reason="there is no pseudo-terminal on this system")
@pytest.mark.parametrize(
    ("args", "env", "is_coloured"),
    [
        ((), {}, True),
        ((), {"NO_COLOR": "1"}, False),
        ((), {"NO_COLOR": ""}, True),
        ((), {"TERM": "dumb"}, False),
        (("--color", "never"), {}, False),
    ],
)
def test_on_a_terminal_there_is_colour_unless_it_is_not_wanted(
    args: tuple[str, ...], env: Mapping[str, str], is_coloured: bool, project: Project
) -> None:
    project.write("messages/a.yaml", FAILS)
    out = on_a_terminal(project, "validate", *args, env={"TERM": "xterm", **env})
    assert (ESCAPE in out) is is_coloured
    assert "unknown key" in out


def on_a_terminal(project: Project, *args: str, env: Mapping[str, str]) -> str:
    """Run the command with a pseudo-terminal as its output; gives what it wrote there."""
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *args],
        cwd=project.root,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        written = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # Linux says so when the other end is closed.
                break
            if not piece:
                break
            written += piece
        process.wait(TIMEOUT_S)
    os.close(ours)
    return written.decode()


# --- JSON -----------------------------------------------------------------------------------------


def test_json_has_the_documented_keys_and_nothing_beside_it(project: Project) -> None:
    project.write("messages/bad.yaml", FAILS)
    project.write("messages/good.yaml", THANKS)
    project.write("messages/warns.yaml", WARNS)
    shown = project.run("validate", "--format", "json", GITHUB_ACTIONS="true")
    assert (shown.code, shown.err) == (3, "")
    assert json.loads(shown.out) == {
        "version": 1,
        "valid": False,
        "files": ["messages/bad.yaml", "messages/good.yaml", "messages/warns.yaml"],
        "summary": {"errors": 1, "warnings": 1},
        "problems": [
            {
                "path": "messages/bad.yaml",
                "line": 9,
                "column": 1,
                "severity": "error",
                "rule": "spec",
                "message": 'unknown key "drafft"',
                "hint": "did you mean `draft`?",
            },
            {
                "path": "messages/warns.yaml",
                "line": 2,
                "column": 21,
                "severity": "warning",
                "rule": "html",
                "message": "text.EN holds <b>, which Toloka's apps do not show",
                "hint": "write plain text, with addresses written out; to waive it, write "
                "`lint: {html: the reason}`",
            },
        ],
    }


def test_json_of_valid_messages_says_so(project: Project) -> None:
    project.write("messages/good.yaml", THANKS)
    shown = project.run("validate", "--format", "json")
    document = json.loads(shown.out)
    assert (shown.code, document["valid"], document["problems"]) == (0, True, [])
    assert document["summary"] == {"errors": 0, "warnings": 0}


def test_a_plan_as_json_holds_what_would_be_sent(project: Project) -> None:
    condition = {"category": "skill", "key": "224", "operator": "GTE", "value": 80}
    project.write("messages/a.yaml", direct("b", "a", text="Hi\n", extra="answerable: false\n"))
    project.write(
        "messages/b.yaml",
        "topic: {EN: Hi}\ntext: {EN: News}\nrecipients_select_type: FILTER\nrevision: 2\n"
        f"recipients_filter: {json.dumps(condition)}\n",
    )
    project.write("messages/c.yaml", direct("x") + "draft: true\n")
    shown = project.run("plan", "--format", "json")
    assert shown.code == 0
    document = json.loads(shown.out)
    assert document.pop("planned_at").endswith("Z")
    assert document.pop("digest") == plan_digest(document)
    digests = [
        delivery.pop("digest") for each in document["messages"] for delivery in each["deliveries"]
    ]
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", digest) for digest in digests)
    empty: dict[str, object] = {
        "up_to": None,
        "late_since": None,
        "not_before": None,
        "folders": [],
        "to_file": [],
    }
    told: dict[str, object] = {"difference": [], "notes": []}
    nothing: dict[str, object] = {"action": "compose", "change": "send", **empty, **told}
    assert document == {
        "version": 1,
        "target": "local",
        "made_with": __version__,
        **dict.fromkeys(("account", "acts_under", "commit", "babel")),
        "manifest": "results/local.jsonl",
        "has_changes": True,
        "limits": [],
        "messages": [
            nothing
            | {
                "message": "a",
                "revision": 1,
                "source": "messages/a.yaml",
                "recipients_select_type": "DIRECT",
                "recipients": 2,
                "requests": 1,
                "skipped": {},
                "states": ["would send 1 thread to 2 Tolokers"],
                "deliveries": [
                    {
                        "topic": {"EN": "Thank you!"},
                        "text": {"EN": "Hi\n"},
                        "answerable": False,
                        "recipients_select_type": "DIRECT",
                        "recipients_ids": ["b", "a"],
                    }
                ],
            },
            nothing
            | {
                "message": "b",
                "revision": 2,
                "source": "messages/b.yaml",
                "recipients_select_type": "FILTER",
                "recipients": None,
                "requests": 1,
                "skipped": {},
                "states": ["would send 1 thread to every Toloker with skill 224 ≥ 80"],
                "deliveries": [
                    {
                        "topic": {"EN": "Hi"},
                        "text": {"EN": "News"},
                        "answerable": True,
                        "recipients_select_type": "FILTER",
                        "recipients_filter": {"and": [condition]},
                    }
                ],
            },
            nothing
            | {
                "message": "c",
                "revision": 1,
                "source": "messages/c.yaml",
                "recipients_select_type": "DIRECT",
                "recipients": None,
                "requests": 0,
                "skipped": {"draft": 1},
                "change": "stands",
                "states": ["a draft, not sent (1 Toloker): it is marked as a draft"],
                "deliveries": [],
            },
        ],
        "headline": "Would send 2 threads; 1 kept as a draft",
        "standing": "nothing to do for 1 message: 1 kept as a draft",
        **dict.fromkeys(("rules_title", "stopped")),
        **{name: [] for name in ("rules", "notes", "warnings")},
    }
    assert not (project.root / "results").exists()


# --- GitHub ---------------------------------------------------------------------------------------


def properties(line: str) -> dict[str, str]:
    """Read a workflow command as GitHub's own runner does (`ActionCommand.cs`)."""
    match = re.fullmatch("::([a-z]+) ([^\r\n]*?)::([^\r\n]*)", line)
    assert match, line
    command, given, data = match.groups()
    found = {"command": command, "data": plain(data)}
    for pair in given.split(","):
        name, equals, value = pair.partition("=")
        assert equals, line
        assert ":" not in value
        found[name] = plain(value, in_property=True)
    return found


def plain(text: str, *, in_property: bool = False) -> str:
    codes = [("%0D", "\r"), ("%0A", "\n")]
    codes += [("%3A", ":"), ("%2C", ",")] if in_property else []
    assert re.fullmatch("(?:[^%]|%25|%0D|%0A|%3A|%2C)*", text), text
    for code, char in [*codes, ("%25", "%")]:
        text = text.replace(code, char)
    return text


def test_annotations_are_escaped_by_githubs_rules(project: Project) -> None:
    project.write("messages/100%, no.yaml", THANKS)
    project.write("messages/a,b%0A.yaml", THANKS + '"x%0A::error::y: z, %": 1\n')
    shown = project.run("validate", "--format", "github")
    assert (shown.code, shown.err) == (3, "")
    found = [properties(line) for line in shown.out.splitlines()]
    assert [(each["command"], each["file"], each["line"], each["title"]) for each in found] == [
        ("error", "messages/100%, no.yaml", "1", "spec"),
        ("error", "messages/a,b%0A.yaml", "1", "spec"),
        ("error", "messages/a,b%0A.yaml", "9", "spec"),
    ]
    assert found[0]["data"].startswith('the path "100%, no" makes no message id; ')
    assert found[-1]["data"].startswith('unknown key "x%0A::error::y: z, %"; the keys are id, ')


@pytest.mark.skipif(os.name != "posix", reason="such names are not allowed on this system")
def test_a_file_name_can_be_anything_and_stays_one_property(project: Project) -> None:
    project.write("messages/a:b\n::error::c.yaml", THANKS)
    shown = project.run("validate", "--format", "github")
    (line,) = shown.out.splitlines()
    assert properties(line)["file"] == "messages/a:b\\n::error::c.yaml"


def test_errors_come_first_and_ten_of_a_kind_are_shown(project: Project) -> None:
    for number in range(12):
        project.write(f"messages/a{number:02}.yaml", WARNS.replace("{}", str(number)))
        project.write(f"messages/b{number:02}.yaml", FAILS)
    shown = project.run("validate", "--format", "github")
    lines = shown.out.splitlines()
    kinds = [line.split(" ", 1)[0] for line in lines]
    assert kinds == [*(["::error"] * 10), "and", *(["::warning"] * 10), "and"]
    assert (lines[10], lines[21]) == ("and 2 more errors", "and 2 more warnings")
    assert [properties(line)["file"] for line in lines[:10]] == [
        f"messages/b{number:02}.yaml" for number in range(10)
    ]


def test_in_a_github_job_annotations_stand_beside_the_text(project: Project) -> None:
    project.write("messages/a.yaml", FAILS)
    plainly = project.run("validate")
    job = project.run("validate", GITHUB_ACTIONS="true")
    assert "::error" not in plainly.out
    assert job.out.startswith(plainly.out)
    (annotation,) = job.out.removeprefix(plainly.out).splitlines()
    assert properties(annotation)["file"] == "messages/a.yaml"
    for form in ("text", "junit"):
        asked = project.run("validate", "--format", form, GITHUB_ACTIONS="true")
        assert "::error" not in asked.out
    assert "::error" not in project.run("validate", GITHUB_ACTIONS="false").out


def test_plan_annotates_what_it_refuses_by_paths_from_the_top_of_the_repository(
    project: Project,
) -> None:
    project.write("runner.yaml", "policy: {max_recipients: 1}\n")
    project.write("messages/a.yaml", direct("ada", "bob"))

    job = project.run("plan", GITHUB_ACTIONS="true", GITHUB_WORKSPACE=str(project.root.parent))

    assert job.code == 3
    (annotation,) = [line for line in job.err.splitlines() if line.startswith("::error")]
    assert properties(annotation)["file"] == f"{project.root.name}/messages/a.yaml"


# --- JUnit ----------------------------------------------------------------------------------------

# What the schema that Jenkins and GitLab use (junit-10.xsd) has of attributes and children.
ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "disabled", "errors", "skipped"},
    "testsuite": {"name", "tests", "failures", "errors", "time", "skipped", "timestamp", "id"},
    "testcase": {"name", "classname", "time", "file", "assertions", "status", "line"},
    "failure": {"message", "type"},
    "system-out": set(),
}
CHILDREN = {
    "testsuites": ["testsuite"],
    "testsuite": ["properties", "testcase", "system-out", "system-err"],
    "testcase": ["skipped", "error", "failure", "system-out", "system-err"],
    "failure": [],
    "system-out": [],
}
REQUIRED = {"testsuite": {"name", "tests"}, "testcase": {"name", "classname"}}


def check_junit(root: ElementTree.Element) -> None:
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) <= ATTRIBUTES[element.tag], element.attrib
        assert set(element.attrib) >= REQUIRED.get(element.tag, set())
        order = [CHILDREN[element.tag].index(child.tag) for child in element]
        assert order == sorted(order)
        for name in ("tests", "failures", "errors", "skipped"):
            assert element.get(name, "0").isdecimal()
        assert float(element.get("time", "0")) >= 0


def test_junit_has_a_case_for_each_file_and_right_counts(project: Project) -> None:
    project.write("messages/bad.yaml", FAILS + "priority: high\n")
    project.write("messages/both.yaml", WARNS.replace("important", "a@example.com"))
    project.write("messages/good.yaml", THANKS)
    project.write("messages/rows.csv", "id\na b\n")
    project.write(
        "messages/rows.yaml",
        "topic: {EN: x}\ntext: {EN: y}\nrecipients_select_type: DIRECT\n"
        "recipients_file: rows.csv\nrecipients_column: id\n",
    )
    project.write("messages/warns.yaml", WARNS)
    shown = project.run("validate", "--format", "junit")
    assert (shown.code, shown.err) == (3, "")
    assert shown.out.startswith("<?xml version=")
    root = ElementTree.fromstring(shown.out)
    check_junit(root)
    (suite,) = root
    cases = {case.get("name"): [child.tag for child in case] for case in suite}
    assert cases == {
        "messages/bad.yaml": ["failure"],
        "messages/both.yaml": ["failure", "system-out"],
        "messages/good.yaml": [],
        # What is wrong is the data file, so that is what fails.
        "messages/rows.yaml": [],
        "messages/rows.csv": ["failure"],
        "messages/warns.yaml": ["system-out"],
    }
    for element in (root, suite):
        counts = [element.get(name) for name in ("tests", "failures", "errors", "skipped")]
        assert counts == ["6", "3", "0", "0"]
    first = suite.find("testcase/failure")
    assert first is not None
    assert (first.get("message"), first.get("type")) == ("2 problems", "spec")
    assert len((first.text or "").splitlines()) == 2


def test_an_output_that_is_closed_early_is_no_bug(project: Project, tmp_path: Path) -> None:
    for number in range(300):
        project.write(f"messages/a{number}.yaml", FAILS)
    with (tmp_path / "err").open("wb") as err:
        process = subprocess.Popen(
            [*COMMAND, "validate"], cwd=project.root, stdout=subprocess.PIPE, stderr=err
        )
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        process.wait(TIMEOUT_S)
    assert b"Traceback" not in (tmp_path / "err").read_bytes()
