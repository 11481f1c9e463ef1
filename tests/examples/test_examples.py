"""Small files, right and wrong: a new one dropped here is a new test.

The first comments of a wrong one say what is expected of it, as `# expect: LINE:COLUMN: words`,
with `FILE:` before them where the mistake is in a data file.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support import THANKS, Project, Result, run_command

from runner.errors import Place, Problem
from runner.report.problems import github_lines

HERE = Path(__file__).parent
VALID = sorted(path.name for path in (HERE / "valid").glob("*.yaml"))
INVALID = sorted(path.name for path in (HERE / "invalid").glob("*.yaml"))

Said = tuple[str, int, int, str]
"""A path as printed, a line, a column, and the words with their hint."""

# Its words are its own, and differ from one release to the next.
_OTHERS = re.compile("(?<=Jinja2 says: ).+")
_EXPECT = re.compile(r"# expect: (?:(\S+?):)?(\d+):(\d+): (.+)")
_LINE = re.compile(r"(\S.*?):(\d+):(\d+): (?:error|warning): (.+)")

# What no tool would keep in a text file as it is.
BYTES: dict[str, tuple[bytes, str]] = {
    "bytes-not-utf-8.yaml": (
        THANKS.encode().replace(b"Amazing", b"Caf\xe9"),
        "4:11: this is not UTF-8; save the file as UTF-8",
    ),
    "bytes-escape-character.yaml": (
        THANKS.encode().replace(b"Amazing", b"\x1b[2JAmazing"),
        "4:8: the character U+001B is not allowed here; remove it",
    ),
    "bytes-nul.yaml": (
        b"topic:\n  EN: x\0y\n",
        "2:8: a zero byte (U+0000), as in UTF-16; save it as UTF-8 (in Excel: CSV UTF-8)",
    ),
    "bytes-utf-16.yaml": (
        THANKS.encode("utf-16"),
        "1:1: this is not UTF-8; save the file as UTF-8",
    ),
    "bytes-windows-line-ends.yaml": (
        (THANKS + "drafft: true\n").replace("\n", "\r\n").encode(),
        '9:1: unknown key "drafft"; did you mean `draft`?',
    ),
    "bytes-byte-order-mark.yaml": (
        b"\xef\xbb\xbf" + b"drafft: true\n" + THANKS.encode(),
        '1:1: unknown key "drafft"; did you mean `draft`?',
    ),
}


@pytest.fixture
def examples(project: Project) -> Callable[[str], Project]:
    """Make one of the folders here the messages of a project."""

    def lay_out(name: str) -> Project:
        shutil.copytree(HERE / name, project.root / "messages", dirs_exist_ok=True)
        return project

    return lay_out


def expected() -> set[Said]:
    """What the first comments of all wrong files say."""
    found: set[Said] = set()
    for name in INVALID:
        text = (HERE / "invalid" / name).read_text(encoding="utf-8")
        comments = [line for line in text.splitlines() if line.startswith("# expect:")]
        assert comments, f"{name} does not say what is expected of it"
        for comment in comments:
            match = _EXPECT.fullmatch(comment)
            assert match, comment
            path, line, column, words = match.groups()
            found.add((f"messages/{path or name}", int(line), int(column), words))
    for name, (_, said) in BYTES.items():
        line, column, words = said.split(":", 2)
        found.add((f"messages/{name}", int(line), int(column), words.strip()))
    return found


def in_text(shown: Result, project: Project) -> set[Said]:
    """Read the text form, and see that each caret stands under the column that is named."""
    found: set[Said] = set()
    lines = shown.out.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("    "):
            continue
        said = parsed(line)
        found.add(said)
        excerpt = list(takewhile(lambda each: each.startswith("    "), lines[number + 1 :]))
        source = lines_of(project.root / said[0])
        is_spec = said[0].endswith(".yaml")
        if is_spec and said[1] <= len(source) and source[said[1] - 1].strip():
            check_excerpt(excerpt, source[said[1] - 1], said[2])
        else:
            # Of a data file nothing is shown, and of an empty line there is nothing to show.
            assert excerpt == [], said
    return found


def lines_of(path: Path) -> list[str]:
    """The lines of a file as an editor counts them."""
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    return text.replace("\r\n", "\n").split("\n")


def check_excerpt(excerpt: list[str], source: str, column: int) -> None:
    line, caret = excerpt
    assert caret.strip() == "^"
    if len(source) > 120:
        assert line.strip() in source
        assert len(line) == 124
    elif source.isprintable():
        assert line.rstrip() == f"    {source}".rstrip()
        assert caret.index("^") - 4 == column - 1


def parsed(line: str) -> Said:
    match = _LINE.fullmatch(line)
    assert match, line
    path, number, column, words = match.groups()
    return path, int(number), int(column), _OTHERS.sub("…", words)


def in_json(shown: Result, _: Project) -> set[Said]:
    document = json.loads(shown.out)
    assert document["valid"] is False
    assert set(document["files"]) == {f"messages/{name}" for name in (*INVALID, *BYTES)}
    assert {each["severity"] for each in document["problems"]} == {"error"}
    assert document["summary"] == {"errors": len(document["problems"]), "warnings": 0}
    return {
        (each["path"], each["line"], each["column"], words(each["message"], each["hint"]))
        for each in document["problems"]
    }


def words(what: str, hint: str) -> str:
    return f"{what}; {_OTHERS.sub('…', hint)}" if hint else what


def in_junit(shown: Result, _: Project) -> set[Said]:
    """Read JUnit XML: each file's case has its own problems."""
    found: set[Said] = set()
    for case in ElementTree.fromstring(shown.out).iter("testcase"):
        for failure in case.iter("failure"):
            said = {parsed(line) for line in (failure.text or "").splitlines()}
            assert {path for path, _, _, _ in said} == {case.get("name")}
            found |= said
    return found


FORMATS: dict[str, Callable[[Result, Project], set[Said]]] = {
    "text": in_text,
    "json": in_json,
    "junit": in_junit,
}


def write_bytes(project: Project) -> None:
    for name, (content, _) in BYTES.items():
        project.write(f"messages/{name}", content)


@pytest.mark.parametrize("form", FORMATS)
def test_each_wrong_file_is_told_at_its_line_and_column_in_every_format(
    form: str, examples: Callable[[str], Project]
) -> None:
    project = examples("invalid")
    write_bytes(project)
    shown = project.run("validate", "--format", form)
    assert shown.code == 3
    assert FORMATS[form](shown, project) == expected()


def test_the_parser_without_libyaml_lets_us_say_the_same(
    examples: Callable[[str], Project],
) -> None:
    project = examples("invalid")
    write_bytes(project)
    without = "import sys; sys.modules['yaml._yaml'] = None; from runner.cli import main; main()"
    command = (sys.executable, "-c", without, "validate", "--format", "json")
    shown = run_command(cwd=project.root, command=command)
    assert shown.code == 3
    assert in_json(shown, project) == expected()


def test_each_wrong_file_is_told_as_an_annotation(examples: Callable[[str], Project]) -> None:
    project = examples("invalid")
    write_bytes(project)
    shown = project.run("validate", "--format", "github")
    assert shown.code == 3
    problems = sorted(expected())
    *annotations, rest = shown.out.splitlines()
    assert rest == f"and {len(problems) - 10} more errors"
    # Ten of a kind are all that GitHub shows; the others are held against the same writer.
    assert [unescaped(line) for line in annotations] == problems[:10]
    for path, line, column, said in problems:
        problem = Problem(Place(path, line, column), said)
        assert [unescaped(each) for each in github_lines([problem], Path.cwd())] == [
            (path, line, column, said)
        ]


def unescaped(line: str) -> Said:
    """Read a workflow command as the runner of GitHub's jobs does."""
    match = re.fullmatch(r"::error file=([^,:]+),line=(\d+),col=(\d+),title=[a-z-]+::(.*)", line)
    assert match, line
    path, number, column, said = match.groups()
    for code, char in (("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        said = said.replace(code, char)
    return path, int(number), int(column), said


def test_right_files_are_right_and_nothing_is_to_be_said_of_them(
    examples: Callable[[str], Project],
) -> None:
    project = examples("valid")
    shown = project.run("validate", "--strict")
    assert shown == (0, f"{len(VALID)} messages are valid\n", "")


def test_right_files_can_be_planned_and_sent(examples: Callable[[str], Project]) -> None:
    project = examples("valid")
    (project.root / "messages" / "reply-in-one-thread.yaml").unlink()  # it names a thread
    planned = project.run("plan", "--strict", "--results", "plan.json")
    sent = project.run("send", "--strict", "--results", "sent.json")
    assert (planned.code, sent.code) == (0, 0)
    due = project.results("plan.json")["summary"]
    assert due["planned"] > len(VALID) - 4
    assert project.results("sent.json")["summary"] == {
        "draft": due["draft"],
        "sent": due["planned"],
        "waiting": due["waiting"],
    }


def test_every_kind_of_fault_is_here() -> None:
    kinds = {name.split("-")[0] for name in INVALID}
    assert kinds >= {"yaml", "filter", "template", "data", "rows", "lint", "reply", "id", "ids"}
    assert len(INVALID) >= 100
    assert len(VALID) >= 12
