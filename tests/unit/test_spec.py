from __future__ import annotations

import os
import re
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest
from support import THANKS, TOLOKER, direct

from runner import paths
from runner.errors import Problem, SurroundingsError
from runner.spec.specs import MessageSpec, find_doubles, find_ids, load_specs
from runner.wording import shown


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "messages").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: str, text: str = THANKS) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def root() -> Path:
    return Path.cwd() / "messages"


def load(*given: str) -> tuple[list[MessageSpec], list[str]]:
    """Load what these paths name; the good specs, and the complaints on all the others."""
    told: list[Problem] = []
    found = paths.find_specs([Path(path) for path in given or ("messages",)], told.append)
    specs, problems = load_specs(found, root())
    problems += tuple(find_doubles(specs, (), root()))
    unfit = [each for each in told if each.severity == "error"]
    return list(specs), [str(problem) for problem in (*unfit, *problems)]


def test_a_message_is_what_its_file_says() -> None:
    write(
        "messages/bonus/may.yaml",
        'topic: {EN: "Hi {{ a }}", NO: Hei}\ntext: {EN: x, NO: y}\nrecipients_select_type: DIRECT\n'
        "recipients_ids: [0123, 1e5, NO, x]\nrevision: 3\nanswerable: false\ndraft: true\n"
        "variables: {a: 1}\nnot_before: 2026-11-22T09:00:00+03:00\nnot_after: '2026-11-23 09:00:00.5Z'\n",
    )
    ((spec,), complaints) = load()
    assert complaints == []
    assert (spec.id, spec.revision, spec.source) == ("bonus/may", 3, "messages/bonus/may.yaml")
    assert spec.topic == {"EN": "Hi {{ a }}", "NO": "Hei"}
    assert spec.recipients_ids == ("0123", "1e5", "NO", "x")
    assert (spec.answerable, spec.draft, spec.variables) == (False, True, {"a": 1})
    assert spec.not_before == datetime(2026, 11, 22, 6, tzinfo=timezone.utc)
    assert spec.not_after == datetime(2026, 11, 23, 9, 0, 0, 500_000, tzinfo=timezone.utc)


def test_what_is_left_out_has_its_default() -> None:
    write("messages/a.yml", "topic: {EN: x}\ntext: {EN: y}\nrecipients_select_type: ALL\n")
    ((spec,), complaints) = load()
    assert complaints == []
    assert (spec.id, spec.revision, spec.answerable, spec.draft) == ("a", 1, True, False)
    assert (spec.recipients_ids, spec.recipients_filter) == (None, None)
    assert (spec.not_before, spec.not_after, spec.variables) == (None, None, {})


def test_an_id_is_the_path_below_the_root_without_its_ending_or_what_the_file_says() -> None:
    write("messages/a.yaml")
    write("messages/b/c.d.yml")
    write("messages/e.yaml", THANKS + "id: own/name\n")
    specs, complaints = load()
    assert complaints == []
    assert [spec.id for spec in specs] == ["a", "own/name", "b/c.d"]


def test_a_path_that_makes_no_id_needs_one_written() -> None:
    write("messages/thank you.yaml")
    write("messages/ok ok.yaml", THANKS + "id: ok\n")
    specs, complaints = load()
    assert [spec.id for spec in specs] == ["ok"]
    assert complaints == [
        'messages/thank you.yaml:1:1: error: the path "thank you" makes no message id; '
        "use letters, digits and . _ - in the name, or add an `id:`"
    ]


def test_outside_the_root_a_message_needs_a_name_of_its_own() -> None:
    outside = write("elsewhere/a.yaml")
    named = write("elsewhere/b.yaml", THANKS + "id: b\n")
    specs, problems = load_specs([outside, named], root())
    assert [spec.id for spec in specs] == ["b"]
    assert [str(problem) for problem in problems] == [
        "elsewhere/a.yaml:1:1: error: outside the messages folder (messages) a message needs a "
        "name of its own; `cd` to the folder that holds the messages folder, and run this there, or "
        "add `id: NAME`"
    ]
    _, problems = load_specs([outside], None)
    assert [str(problem) for problem in problems] == [
        "elsewhere/a.yaml:1:1: error: outside the messages folder (messages/, which is not here) a "
        "message needs a name of its own; `cd` to the folder that holds the messages folder, and run "
        "this there"
    ]


def test_two_files_cannot_share_an_id() -> None:
    write("messages/a.yaml")
    write("messages/b.yaml", "# one\n" + THANKS + "id: a\n")
    write("messages/c.yaml", THANKS + "id: a\n")
    write("messages/x/y.yaml")
    write("messages/z.yml", THANKS + "id: x/y\n")
    _, complaints = load()
    hint = "two messages need two ids"
    assert complaints == [
        f'messages/b.yaml:10:5: error: the id "a" is already that of messages/a.yaml; {hint}',
        f'messages/c.yaml:9:5: error: the id "a" is already that of messages/a.yaml; {hint}',
        f'messages/x/y.yaml:1:1: error: the id "x/y" is already that of messages/z.yml; {hint}',
    ]


def test_every_problem_of_every_file_is_said_at_once() -> None:
    write("messages/a.yaml", direct("x").replace("DIRECT", "DIRCT") + "drafft: true\n")
    write("messages/b.yaml", "topic: [\n")
    write("messages/c.yaml", "")
    write("messages/good.yaml")
    specs, complaints = load()
    assert [spec.id for spec in specs] == ["good"]
    places = [complaint.split(": error: ")[0] for complaint in complaints]
    assert places == [
        "messages/a.yaml:3:25",
        "messages/a.yaml:6:1",
        "messages/b.yaml:1:8",
        "messages/c.yaml:1:1",
    ]
    assert complaints[0].endswith("did you mean DIRECT? There are DIRECT, FILTER, ALL")
    assert complaints[1].endswith('unknown key "drafft"; did you mean `draft`?')


def test_a_reply_has_neither_topic_nor_recipients() -> None:
    write(
        "messages/a.yaml", "reply_to: b\nonly_answered: true\ntext: {EN: x}\nfolders: [IMPORTANT]\n"
    )
    write("messages/b.yaml", "thread_id: 0123\ntext: {EN: x}\n")
    specs, complaints = load()
    assert complaints == []
    assert [(spec.reply_to, spec.only_answered, spec.thread_id) for spec in specs] == [
        ("b", True, None),
        (None, False, "0123"),
    ]
    assert [spec.select_type for spec in specs] == [None, None]
    assert specs[0].folders == ("IMPORTANT",)


def test_a_data_file_that_will_not_do_is_a_problem_of_its_key() -> None:
    write("messages/b.yaml", THANKS + "for_each: /etc/passwd.csv\n")
    _, complaints = load()
    assert complaints == [
        "messages/b.yaml:9:11: error: `for_each` names no file that can be used; "
        "write a path relative to this file, with forward slashes",
    ]
    write("messages/rows.csv", "toloker_id\n")
    write("messages/b.yaml", THANKS + "for_each: row.csv\n")
    assert load()[1][0].endswith("; there is no file messages/row.csv: did you mean rows.csv?")


# --- which files ----------------------------------------------------------------------------------


def test_hidden_and_underscored_names_are_passed_over_in_folders_but_not_by_name() -> None:
    for path in ("_a", ".b", "_dir/c", ".git/d", "x/_y", "good", "sub/also"):
        write(f"messages/{path}.yaml")
    write("messages/notes.txt", "not a message")
    write("messages/UPPER.YAML")
    specs, complaints = load()
    assert complaints == []
    assert [spec.id for spec in specs] == ["UPPER", "good", "sub/also"]
    specs, complaints = load("messages/_a.yaml", "messages/.git/d.yaml", "messages/_dir")
    assert [spec.id for spec in specs] == ["_a", ".git/d", "_dir/c"]
    (other,), complaints = load(str(write("messages/message.txt", THANKS)))
    assert other.id == "message"


def test_a_file_named_twice_is_loaded_once() -> None:
    write("messages/a.yaml")
    specs, complaints = load("messages", "messages/a.yaml", str(Path("messages/a.yaml").absolute()))
    assert complaints == []
    assert [spec.id for spec in specs] == ["a"]


def test_nothing_found_is_said() -> None:
    write("runner.yml", "")
    for given, said in (
        (["runner.yaml"], "runner.yaml: no such file or folder: did you mean runner.yml?"),
        (["messages"], "no message found in messages: a message is a .yaml or .yml file"),
        (["gone"], "gone: no such file or folder"),
        (["messages", "gone/a.yaml"], "gone/a.yaml: no such file or folder"),
    ):
        with pytest.raises(SurroundingsError) as caught:
            load(*given)
        assert str(caught.value) == said


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither FIFOs nor free links")
def test_what_is_no_file_is_not_read() -> None:
    os.mkfifo("fifo")
    Path("dangling").symlink_to("nowhere")
    for name in ("fifo", "dangling"):
        with pytest.raises(SurroundingsError) as caught:
            load(name)
        assert str(caught.value) == f"{name}: neither a file nor a folder"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no free links")
def test_a_link_out_of_the_folder_is_refused() -> None:
    secret = write("secret.yaml", "password: hunter2\n")
    write("messages/a.yaml")
    Path("messages/inside.yaml").symlink_to("a.yaml")
    specs, _ = load("messages")
    assert [spec.id for spec in specs] == ["a", "inside"]
    Path("messages/b.yaml").symlink_to(secret.absolute())
    said = "error: this is a link to a file outside the folder; put the file itself here"
    # Nothing is read there, and what else is wrong is told beside.
    write("messages/c.yaml", "[")
    specs, complaints = load("messages")
    assert [spec.id for spec in specs] == ["a", "inside"]
    assert complaints[0] == f"messages/b.yaml:1:1: {said}"
    assert complaints[1].startswith("messages/c.yaml:1:1: error: ")
    assert load("messages/b.yaml") == ([], [f"messages/b.yaml:1:1: {said}"])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no free links")
def test_a_folder_that_is_a_link_is_not_walked() -> None:
    write("other/a.yaml")
    write("messages/own.yaml")
    Path("messages/linked").symlink_to(Path("other").absolute(), target_is_directory=True)
    told: list[Problem] = []
    found = paths.find_specs([Path("messages")], told.append)
    assert [path.name for path in found] == ["own.yaml"]
    assert [str(each) for each in told] == [
        "messages/linked:1:1: warning: this is a link to a folder, and is not followed; "
        "put the folder itself here, or begin its name with _"
    ]


def test_every_id_is_known_whether_or_not_its_file_is_valid() -> None:
    write("messages/a.yaml", "id: renamed\n")
    write("messages/b.yaml", "[")
    write("messages/c d.yaml", "id: [1]\n")
    write("messages/_hidden.yaml")
    assert find_ids(root()).keys() >= {"renamed", "b"}
    assert find_ids(root()).keys().isdisjoint({"a", "_hidden"})


# --- paths as they are printed --------------------------------------------------------------------


def test_a_printed_path_is_relative_with_forward_slashes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown(folder / "messages" / "a.yaml") == "messages/a.yaml"
    assert shown(Path("messages/../x.yaml")) == "x.yaml"
    assert shown(folder) == "."
    monkeypatch.chdir(folder / "messages")
    assert shown(folder / "a.yaml") == "../a.yaml"
    assert shown(Path("/")) == "/"


def test_the_project_is_the_nearest_folder_with_a_configuration_or_messages(folder: Path) -> None:
    deep = folder / "a" / "b"
    deep.mkdir(parents=True)
    assert paths.find_project(deep) == folder
    write("a/runner.yaml", "")
    assert paths.find_project(deep) == folder / "a"
    (deep / "messages").mkdir()
    assert paths.find_project(deep) == deep
    assert paths.find_project(Path("/")) is None


# --- data files -----------------------------------------------------------------------------------


def test_a_data_file_is_found_beside_its_spec() -> None:
    spec = write("messages/sub/a.yaml").absolute()
    for name, path in (
        ("rows.csv", "messages/sub/rows.csv"),
        ("../ids.txt", "messages/ids.txt"),
        ("d/x.csv", "messages/sub/d/x.csv"),
    ):
        file = write(path, "x").absolute()
        assert paths.find_data_file(name, spec, root()) == file


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/etc/passwd", "write a path relative to this file, with forward slashes"),
        ("..\\x.csv", "write a path relative to this file, with forward slashes"),
        ("C:x.csv", "write a path relative to this file, with forward slashes"),
        ("../../secret.csv", "a data file lives under messages"),
        ("../../../../../etc/passwd", "a data file lives under messages"),
        (".hidden.csv", "a data file has no hidden or _ part in its path"),
        ("../_partials/x.csv", "a data file has no hidden or _ part in its path"),
        ("../.git/config", "a data file has no hidden or _ part in its path"),
        ("link.csv", "a link is not followed: put the file itself here"),
        ("inner.csv", "a link is not followed: put the file itself here"),
        ("linked/secret.csv", "a link is not followed: put the file itself here"),
        ("gone.csv", "there is no file messages/sub/gone.csv"),
        (".", "there is no file messages/sub"),
        ("fifo", "there is no file messages/sub/fifo"),
    ],
)  # fmt: skip
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither FIFOs nor free links")
def test_a_data_file_out_of_bounds_is_refused(name: str, reason: str, folder: Path) -> None:
    spec = write("messages/sub/a.yaml").absolute()
    for path in (
        "secret.csv",
        "other/secret.csv",
        "messages/_partials/x.csv",
        "messages/.git/config",
        "messages/sub/.hidden.csv",
        "messages/sub/real.csv",
    ):
        write(path, "secret")
    (spec.parent / "link.csv").symlink_to(folder / "secret.csv")
    (spec.parent / "inner.csv").symlink_to("real.csv")
    (spec.parent / "linked").symlink_to(folder / "other", target_is_directory=True)
    os.mkfifo(spec.parent / "fifo")
    with pytest.raises(ValueError, match=re.escape(reason)):
        paths.find_data_file(name, spec, root())


def test_outside_the_messages_a_data_file_lives_beside_its_spec(folder: Path) -> None:
    spec = write("elsewhere/a.yaml")
    write("elsewhere/x.csv", "x")
    write("y.csv", "x")
    for top in (root(), None):
        assert paths.find_data_file("x.csv", spec, top) == folder / "elsewhere" / "x.csv"
        with pytest.raises(ValueError, match="a data file lives under elsewhere"):
            paths.find_data_file("../y.csv", spec, top)


def test_the_seed_recipe_is_a_message() -> None:
    write("messages/thank-you.yaml")
    ((spec,), complaints) = load()
    assert complaints == []
    assert (spec.id, spec.recipients_ids, spec.answerable) == ("thank-you", (TOLOKER,), False)
