"""What Windows does to files and their names, without a Windows: line ends, paths, letter case."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

import pytest
from support import TOKEN, Project, calls, direct, reached

from runner.emulator import Emulator
from runner.manifest.file import read_history
from runner.paths import as_listed, check_portable, find_data_file
from runner.wording import seen_from

# --- line ends ------------------------------------------------------------------------------------

BOM = b"\xef\xbb\xbf"
FILES = {
    "runner.yaml": "variables:\n  team: |\n    cat\n    labellers\nsuppress: never.txt\n",
    "never.txt": "t-3\nt-never\n",
    "values.yaml": "greeting: |\n  Good\n  morning\n",
    "messages/_partials/sign.j2": "Best wishes,\nthe {{ team }}\n",
    "messages/people.txt": "t-1\nt-2\n\nt-3\n",
    "messages/people.csv": 'toloker_id,name\nt-4,"Ann\nand Bob"\nt-5,Cem\n',
    "messages/rows.json": '[\n  {"id": "t-6", "name": "Dee"},\n  {"id": "t-7", "name": "Eve"}\n]\n',
    "messages/rows.jsonl": '{"id": "t-8", "name": "Fay"}\n{"id": "t-9", "name": "Gus"}\n',
    "messages/txt.yaml": (
        "topic:\n  EN: >\n    A folded\n    topic\ntext:\n  EN: |\n    {{ greeting }}\n"
        '    {% include "sign.j2" %}\n\n    The end\nrecipients_select_type: DIRECT\n'
        "recipients_file: people.txt\n"
    ),
    "messages/csv.yaml": (
        "topic: {EN: Rows}\ntext:\n  EN: 'two\n    lines and {{ row.name }}'\n"
        "recipients_select_type: DIRECT\nrecipients_ids: ['{{ row.toloker_id }}']\n"
        "for_each: people.csv\n"
    ),
    **{
        f"messages/{kind}.yaml": (
            "topic: {EN: Rows}\ntext:\n  EN: |-\n    Dear {{ row.name }}\n    of many lines\n"
            "recipients_select_type: DIRECT\nrecipients_ids: ['{{ row.id }}']\n"
            f"for_each: rows.{kind}\n"
        )
        for kind in ("json", "jsonl")
    },
}


def write_files(project: Project, end: bytes, mark: bytes) -> None:
    for name, text in FILES.items():
        project.write(name, mark + text.encode().replace(b"\n", end))


def planned(project: Project, *args: str) -> dict[str, Any]:
    """What `plan` would send, without the time."""
    result = project.run("plan", "--var-file", "values.yaml", "--format", "json", *args)
    assert result.code == 0, result
    document: dict[str, Any] = json.loads(result.out)
    del document["planned_at"]
    return document


@pytest.fixture
def expected(project: Project) -> dict[str, Any]:
    """The plan of the files with the line ends that they have in git."""
    write_files(project, b"\n", b"")
    document = planned(project)
    texts = [each["text"]["EN"] for each in messages_of(document)]
    assert "Good\nmorning\n\nBest wishes,\nthe cat\nlabellers\n\n\nThe end\n" in texts
    assert "two lines and Ann\nand Bob" in texts
    assert "Dear Fay\nof many lines" in texts
    return document


def messages_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for message in document["messages"] for each in message["deliveries"]]


@pytest.mark.parametrize("mark", [b"", BOM], ids=["", "BOM"])
@pytest.mark.parametrize("end", [b"\r\n"], ids=["CRLF"])
def test_line_ends_change_no_message(
    end: bytes, mark: bytes, project: Project, expected: dict[str, Any]
) -> None:
    write_files(project, end, mark)
    found = planned(project)
    assert found == expected
    # None of them got lost on both sides, and no line end of the file came into a text.
    assert len(messages_of(found)) == 7
    assert all("\r" not in each["text"]["EN"] for each in messages_of(found))


@pytest.mark.dear
def test_a_checkout_with_other_line_ends_sends_nothing_again(
    project: Project, emulator: Emulator
) -> None:
    write_files(project, b"\n", b"")
    args = ("--var-file", "values.yaml")
    assert project.send(emulator, *args).code == 0
    before = len(calls(emulator, "compose"))
    everybody = [f"t-{number}" for number in (1, 2, 4, 5, 6, 7, 8, 9)]
    assert reached(emulator) == everybody
    write_files(project, b"\r\n", BOM)
    manifest = project.manifest(emulator)
    written = manifest.read_bytes().replace(b"\n", b"\r\n")
    manifest.write_bytes(written)
    assert not planned(project, "--target", emulator.url)["has_changes"]
    again = project.send(emulator, *args)
    assert again.code == 0, again
    assert len(calls(emulator, "compose")) == before
    # And a new message's lines come after those that are there, which stay as they are.
    project.write("messages/new.yaml", direct("t-new"))
    assert project.send(emulator, *args).code == 0
    assert reached(emulator) == [*everybody, "t-new"]
    assert manifest.read_bytes().startswith(written + b'{"event":"run"')
    assert len(read_history(manifest, emulator.url).attempts) == before + 1


@pytest.mark.parametrize("mark", [b"", BOM], ids=["", "BOM"])
def test_a_manifest_with_line_ends_of_windows_is_gone_on_with(
    mark: bytes, project: Project, emulator: Emulator
) -> None:
    for name in ("a", "b"):
        project.write(f"messages/{name}.yaml", direct(name))
    assert project.send(emulator, "messages/a.yaml").code == 0
    manifest = project.manifest(emulator)
    before = mark + manifest.read_bytes().replace(b"\n", b"\r\n")
    manifest.write_bytes(before)
    assert project.send(emulator).code == 0
    assert manifest.read_bytes().startswith(before)
    assert reached(emulator) == ["a", "b"]


@pytest.mark.some(2)
@pytest.mark.parametrize("torn", [b"\r", b'{"event":"intent","deli\r', b"\r\n\r"])
def test_a_torn_end_of_windows_is_repaired(
    torn: bytes, project: Project, emulator: Emulator
) -> None:
    for name in ("a", "b"):
        project.write(f"messages/{name}.yaml", direct(name))
    assert project.send(emulator, "messages/a.yaml").code == 0
    manifest = project.manifest(emulator)
    whole = manifest.read_bytes().replace(b"\n", b"\r\n")
    manifest.write_bytes((whole if torn[:1] == b"{" else whole[:-2]) + torn)
    assert project.send(emulator).code == 0
    assert reached(emulator) == ["a", "b"]
    assert manifest.read_bytes().startswith(whole[:-2])
    assert len(read_history(manifest, emulator.url).attempts) == 2


def test_a_plan_file_of_windows_is_the_plan(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", direct("a"))
    assert project.run("plan", "--target", emulator.url, "--out", "plan.json").code == 0
    plan = (project.root / "plan.json").read_bytes()
    project.write("plan.json", BOM + plan.replace(b"\n", b"\r\n"))
    sent = project.send(emulator, "--plan", "plan.json")
    assert sent.code == 0, sent
    assert reached(emulator) == ["a"]


def test_complaints_have_the_same_address_whatever_the_line_ends(project: Project) -> None:
    text = b"topic:\n  EN: |\n    one\n    {{ two }}\ntext: {EN: y}\nrecipients: ALL\nansweable: true\n"
    said = set()
    for content in (text, text.replace(b"\n", b"\r\n"), BOM + text.replace(b"\n", b"\r\n")):
        project.write("messages/a.yaml", content)
        result = project.run("validate")
        assert result.code == 3
        assert "messages/a.yaml:7:1: error: " in result.out
        said.add(result.out)
    assert len(said) == 1


# --- paths in messages ----------------------------------------------------------------------------

SLASHES = "write a path relative to this file, with forward slashes"
DROPPED = "Windows drops a dot or a space at the end of a name: rename the file"
CONTROL = "a path has no control characters"

NOT_PORTABLE = {
    "lists\\people.csv": SLASHES,
    "..\\people.csv": SLASHES,
    "C:\\x.csv": SLASHES,
    "C:x.csv": SLASHES,
    "c:/x.csv": SLASHES,
    "\\\\server\\share\\x.csv": SLASHES,
    "//server/share/x.csv": SLASHES,
    "\\\\?\\C:\\x.csv": SLASHES,
    "people.csv:stream": SLASHES,
    "people.csv::$DATA": SLASHES,
    "people.csv.": DROPPED,
    "people.csv ": DROPPED,
    "lists./people.csv": DROPPED,
    "...": DROPPED,
    "x/.../y.csv": DROPPED,
    "a\tb.csv": CONTROL,
    "a\0b.csv": CONTROL,
    "a\ud800.csv": CONTROL,
}
PORTABLE = [
    "people.csv", "../people.csv", "./people.csv", "lists/people.csv", "a b.csv",
    "\u043b\u044e\u0434\u0438.csv",
]  # fmt: skip


@pytest.mark.parametrize("name", NOT_PORTABLE)
def test_a_name_that_is_another_file_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    # Though there is a file of that very name on this system, where it can be made at all.
    if not set(name) & set("\0\ud800"):
        file = tmp_path / name.lstrip("/")
        if tmp_path in file.parents and file.name != "...":
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("toloker_id\na\n")
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (the reason is compared)
        find_data_file(name, tmp_path / "a.yaml", tmp_path)
    assert str(caught.value) == NOT_PORTABLE[name]


@pytest.mark.parametrize("name", PORTABLE)
def test_a_name_that_only_looks_alike_is_taken(name: str) -> None:
    check_portable(name)


def test_paths_of_windows_are_refused_at_their_place(project: Project) -> None:
    names = [name for name in NOT_PORTABLE if name.isprintable() and name.endswith(".csv")]
    keys = ["recipients_file: {}", "for_each: {}\nrecipients_ids: [a]"]
    for number, name in enumerate(names):
        key = keys[number % 2].format(json.dumps(name))
        text = f"topic: {{EN: x}}\ntext: {{EN: y}}\nrecipients_select_type: DIRECT\n{key}\n"
        project.write(f"messages/m{number}.yaml", text)
    result = project.run("validate")
    assert result.code == 3
    for number, name in enumerate(names):
        key = keys[number % 2].partition(":")[0]
        place = f"messages/m{number}.yaml:4:{len(key) + 3}"
        what = f"`{key}` names no file that can be used; {NOT_PORTABLE[name]}"
        assert f"{place}: error: {what}\n" in result.out


@pytest.mark.parametrize("name", ["a" * 300 + ".csv", "/".join(["a" * 200] * 30) + ".csv"])
def test_a_name_that_is_too_long_is_a_complaint(name: str, project: Project) -> None:
    project.write("messages/a.yaml", direct("{{ row.a }}", extra=f"for_each: {name}\n"))
    result = project.run("validate")
    assert result.code == 3, result
    assert "messages/a.yaml:" in result.out
    assert os.strerror(errno.ENAMETOOLONG) in result.out


def test_a_partial_of_windows_is_no_partial(project: Project) -> None:
    names = [
        *("..\\secret.j2", "C:\\secret.j2", "C:secret.j2", "\\\\server\\share\\x.j2"),
        *("sub\\sign.j2", "sign.j2:stream", "sign.j2::$DATA", "//server/share/x.j2"),
    ]
    for number, name in enumerate(names):
        # Though there is a file of that very name on this system.
        project.write(f"messages/_partials/{name.lstrip('/')}", "SECRET")
        include = f"{{% include {json.dumps(name)} %}}"
        project.write(f"messages/m{number}.yaml", direct("a", text=include))
    result = project.run("plan")
    assert result.code == 3
    for number in range(len(names)):
        assert re.search(rf"messages/m{number}\.yaml:2:\d+: error: there is no partial", result.err)
    assert "SECRET" not in result.out + result.err


def test_a_list_of_whom_never_to_write_to_has_a_plain_path(project: Project) -> None:
    project.write("messages/a.yaml", direct("a"))
    project.write("lists\\never.txt", "a\n")
    project.write("runner.yaml", "suppress: lists\\never.txt\n")
    result = project.run("plan")
    assert result.code == 2
    assert result.err == f"runner.yaml:1:11: error: `suppress`: {SLASHES}\n"


# --- paths as they are printed --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("here", "path", "printed"),
    [
        (r"C:\work\repo", r"C:\work\repo\messages\bonus\may.yaml", "messages/bonus/may.yaml"),
        (r"C:\Work\Repo", r"c:\work\repo\messages\may.yaml", "messages/may.yaml"),
        (r"C:\work\repo\messages", r"C:\work\repo\runner.yaml", "../runner.yaml"),
        (r"C:\work\repo", r"C:\work\repo", "."),
        (r"C:\work\repo", r"D:\results\toloka.dev.jsonl", "D:/results/toloka.dev.jsonl"),
        (r"C:\work\repo", r"\\server\share\m.jsonl", "//server/share/m.jsonl"),
        (r"\\server\share\repo", r"\\server\share\m.jsonl", "../m.jsonl"),
        (r"C:\a\b\c\d\e", r"C:\x.yaml", "C:/x.yaml"),
        (r"C:\work", r"C:\work\..x\a.yaml", "..x/a.yaml"),
    ],
)
def test_a_path_of_windows_is_printed_with_forward_slashes(
    here: str, path: str, printed: str
) -> None:
    assert seen_from(PureWindowsPath(here), PureWindowsPath(path)) == printed


@pytest.mark.parametrize(
    ("here", "path", "printed"),
    [
        ("/home/me/repo", "/home/me/repo/messages/a.yaml", "messages/a.yaml"),
        ("/home/me/repo/sub", "/home/me/repo/a.yaml", "../a.yaml"),
        ("/home/me/repo", "/home/me/other/a.yaml", "../other/a.yaml"),
        ("/a/b/c/d", "/x/y", "/x/y"),
        ("/", "/x", "x"),
    ],
)
def test_other_paths_are_printed_alike(here: str, path: str, printed: str) -> None:
    assert seen_from(PurePosixPath(here), PurePosixPath(path)) == printed
    # As the standard library has it, wherever that is the shorter one.
    near = PurePath(os.path.relpath(path, here)).as_posix()
    assert printed in (near, path)


# --- the case of letters --------------------------------------------------------------------------


def test_two_ids_that_differ_in_case_are_two_messages(project: Project, emulator: Emulator) -> None:
    project.write("messages/bonus.yaml", direct("a", text="To one"))
    project.write("messages/Bonus.yaml", direct("b", text="To the other"))
    if len(list(project.root.joinpath("messages").iterdir())) < 2:
        pytest.skip("this file system has one name for both")
    assert project.send(emulator).code == 0
    assert reached(emulator) == ["a", "b"]
    found = {each.message: each.recipients_ids for each in history_of(project, emulator)}
    assert found == {"bonus": ("a",), "Bonus": ("b",)}
    assert project.send(emulator).code == 0
    assert len(calls(emulator, "compose")) == 2


def history_of(project: Project, emulator: Emulator) -> Any:
    return read_history(project.manifest(emulator), emulator.url).attempts


@pytest.mark.parametrize(
    "given", ["messages/Bonus/MAY.yaml", "messages/bonus/MAY.YAML", "messages/bonus/may.yaml."]
)
def test_a_message_is_named_after_its_file_and_not_after_what_was_typed(
    given: str, tmp_path: Path
) -> None:
    # A second name for one file, that its folder does not list: so it is where case is ignored.
    real, typed = tmp_path / "messages" / "bonus" / "may.yaml", tmp_path / given
    real.parent.mkdir(parents=True)
    real.write_text("x")
    if not typed.parent.exists():
        typed.parent.symlink_to(real.parent)
    if not typed.exists():
        os.link(real, typed)

    def names(folder: Path) -> frozenset[str]:
        unlisted = {"Bonus", typed.name}
        return frozenset(each.name for each in folder.iterdir()) - unlisted

    assert as_listed(typed, names) == real
    assert as_listed(real, names) == real


def test_another_file_is_not_taken_for_the_one_that_was_typed(tmp_path: Path) -> None:
    for name in ("may.yaml", "MAY.yaml"):
        (tmp_path / name).write_text(name)
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system has one name for both")
    typed = tmp_path / "MAY.yaml"
    assert as_listed(typed, lambda _: frozenset({"may.yaml"})) == typed


@pytest.mark.skipif(sys.platform == "win32", reason="there it is a path")
def test_a_backslash_in_an_argument_is_a_letter_of_the_name(project: Project) -> None:
    project.write("messages/a.yaml", direct("a"))
    result = project.run("plan", "messages\\a.yaml", TOLOKA_TOKEN=TOKEN)
    assert result.code == 2
    said = "error: messages\\a.yaml: no such file or folder: did you mean messages?\n"
    assert result.err == said


# --- output ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ["validate", "--format", "json"],
        ["validate", "--format", "junit"],
        ["plan"],
        ["plan", "--format", "json"],
        ["send"],
    ],
    ids=" ".join,
)
def test_what_a_pipe_gets_is_utf_8_whatever_the_system_thinks(
    project: Project, command: list[str]
) -> None:
    spec = "id: thanks\n" + direct("a", topic="TOPIC").replace("TOPIC", "Спасибо 😀")
    project.write("messages/спасибо.yaml", spec)
    # What Windows gives to a pipe; a system sets it, and so does this variable.
    done = project.run_process(*command, PYTHONIOENCODING="cp1252", PYTHONUTF8="0")
    assert (done.code, "Traceback" in done.err) == (0, False), done.err
    # JSON may write a letter as an escape.
    shown = done.out.encode().decode("unicode_escape") if "\\u" in done.out else done.out
    wanted = {"plan": "Спасибо 😀", "validate": "спасибо.yaml", "send": "Спасибо 😀"}
    assert wanted.get(command[0], "thanks") in shown
