"""`message-runner init`: what it writes works, and what was there stays."""

from __future__ import annotations

import json
import os
import re
from importlib.metadata import Distribution, version
from pathlib import Path

import pytest
from support import THANKS, Project, run_command

from runner import __version__
from runner.cli.pins import requirements
from runner.cli.workflow import FROM_GIT, PLACES
from runner.spec.schema import schema_text

from .steps import load_workflow
from .tools import as_installed, git


@pytest.fixture
def empty(tmp_path: Path) -> Project:
    root = tmp_path / "new"
    root.mkdir()
    return Project(root)


def modeline_target(file: Path) -> Path:
    found = re.match(r"# yaml-language-server: \$schema=(\S+)\n", file.read_text())
    assert found is not None
    return file.parent / found[1]


@pytest.mark.parametrize("ci", ["github", "gitlab", "none"])
def test_in_an_empty_folder_everything_works_at_once(empty: Project, ci: str) -> None:
    assert empty.run("init", "--ci", ci).code == 0

    validated, planned = empty.run("validate", "--strict"), empty.run("plan")
    sent, again = empty.run("send"), empty.run("send")

    assert (validated.code, validated.out) == (0, "1 message is valid\n")
    assert "on the files only" in validated.err
    assert (planned.code, sent.code, again.code) == (0, 0, 0)
    assert empty.run("send", CI="true").code == 2, "nothing names a target"
    assert "Would send 1 thread" in planned.out
    assert "1 sent on the local emulator" in sent.out
    assert "1 already sent" in again.out


@pytest.mark.parametrize(
    ("ci", "files"),
    [
        ("github", {".github/workflows/messages.yml", ".github/CODEOWNERS"}),
        ("gitlab", {".gitlab-ci.yml", "CODEOWNERS"}),
        ("none", set()),
    ],
)
def test_it_says_what_it_wrote_and_what_to_do_next(
    empty: Project, ci: str, files: set[str]
) -> None:
    said = empty.run("init", "--ci", ci)

    wrote = set(re.findall("^wrote (.+)$", said.out, re.MULTILINE))
    assert wrote == set(empty.files())
    assert wrote == files | {
        *("runner.yaml", "messages/hello.yaml", ".gitignore"),
        *("schemas/message.schema.json", "schemas/config.schema.json"),
    }
    assert "Next:\n1. edit the messages in messages/" in said.out
    assert ("TOLOKA_TOKEN" in said.out) == (ci != "none")
    assert said.err == ""


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def from_git(url: str, **more: str) -> dict[str, object]:
    return {"url": url, "vcs_info": {"vcs": "git", "commit_id": COMMIT}, **more}


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (None, f"=={__version__}"),
        (
            from_git("https://git.example/team/message-runner.git"),
            f" @ git+https://git.example/team/message-runner.git@{COMMIT}",
        ),
        (
            from_git("ssh://git@git.example:2222/team/mr"),
            f" @ git+ssh://git@git.example:2222/team/mr@{COMMIT}",
        ),
        # What nobody else can install, what holds a password, what a shell might take for an order.
        (from_git("https://somebody:secret@git.example/mr"), None),
        (from_git("file:///home/somebody/message-runner"), None),
        (from_git("https://git.example/$(id)"), None),
        (from_git("https://git.example/mono", subdirectory="tools"), None),
        ({"url": "file:///home/somebody/message-runner", "dir_info": {"editable": True}}, None),
        ({"url": "https://git.example/mr.zip", "archive_info": {}}, None),
    ],
)
def test_a_job_installs_what_can_be_proved(
    tmp_path: Path, source: dict[str, object] | None, wanted: str | None
) -> None:
    as_installed(tmp_path, source)
    ours = Distribution.at(next(tmp_path.glob("*.dist-info")))

    expected = (f"message-runner{wanted}", f"babel=={version('babel')}") if wanted else ()
    assert requirements(ours) == expected


def test_what_is_installed_is_no_proof_of_what_runs_from_another_place(tmp_path: Path) -> None:
    as_installed(tmp_path)
    (tmp_path / "runner").unlink()

    assert requirements(Distribution.at(next(tmp_path.glob("*.dist-info")))) == ()


def test_both_jobs_install_the_release_and_the_words_of_numbers_that_run_here(
    set_up: Path,
) -> None:
    release = f'"message-runner=={__version__}" "babel=={version("babel")}"'

    github = (set_up / ".github/workflows/messages.yml").read_text()
    gitlab = (set_up / ".gitlab-ci.yml").read_text()

    assert github.count(f"run: pip install {release}\n") == 2
    assert gitlab.count(f"- pip install --target .packages {release}\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="a job's shell is bash")
def test_set_up_from_a_folder_the_job_fails_and_says_what_to_write(empty: Project) -> None:
    said = empty.run("init")

    steps = load_workflow(empty.root / PLACES["github"])["jobs"]["plan"]["steps"]
    step = next(each for each in steps if each.get("name") == "Install message-runner")
    done = run_command("-c", step["run"], cwd=empty.root, command=("bash",))
    assert done.code == 1
    assert f"pip install {FROM_GIT}" in done.err
    lines = (empty.root / PLACES["github"]).read_text().splitlines()
    first, second = (number for number, line in enumerate(lines, 1) if FROM_GIT in line)
    assert f"write into line {first} and line {second} of {PLACES['github']}" in said.out


@pytest.mark.parametrize(
    ("commands", "wanted"),
    [
        ((), "main"),
        (("init -q -b trunk",), "trunk"),
        (("init -q -b topic", "symbolic-ref refs/remotes/origin/HEAD refs/remotes/origin/master"),
         "master"),
        (("init -q -b odd'name",), "main"),
    ],
)  # fmt: skip
def test_the_default_branch_is_written_out(
    empty: Project, commands: tuple[str, ...], wanted: str
) -> None:
    for command in commands:
        git(*command.split(), cwd=empty.root)
    empty.run("init")
    empty.run("init", "other", "--branch", "release/1")

    files = {name: content.decode() for name, content in empty.files().items()}
    for folder, branch in (("", wanted), ("other/", "release/1")):
        workflow = files[f"{folder}.github/workflows/messages.yml"]
        assert f"branches: [{branch}]" in workflow
        assert f"'refs/heads/{branch}'" in workflow
        assert f"\n  reviewed: {branch}\n" in files[f"{folder}runner.yaml"]
    assert empty.run("init", "third", "--branch", "a b").code == 2


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_it_says_whose_word_a_send_waits_for_and_what_that_is_worth(
    empty: Project, ci: str
) -> None:
    for approval, words in (
        ("pull-request", "whoever merges approves: protect the branch main"),
        ("dispatch", "with the digest that its last plan printed"),
        ("environment", "an environment without any approves everything"),
    ):
        said = empty.run("init", approval, "--ci", ci, "--approval", approval)
        assert words in said.out
        assert "keep the repository private" in said.out
    assert empty.run("init", "--approval", "nobody").code == 2


@pytest.mark.parametrize("ci", ["github", "gitlab", "none"])
def test_again_changes_nothing(empty: Project, ci: str) -> None:
    first = empty.run("init", "--ci", ci)
    before = empty.files()

    again = empty.run("init", "--ci", ci)

    assert again.code == 0
    assert empty.files() == before
    assert not re.search("^(wrote|added)", again.out, re.MULTILINE)
    assert again.out.count("\nkept ") + 1 == first.out.count("wrote ")


def test_a_folder_is_made_where_it_is_named(empty: Project) -> None:
    said = empty.run("init", "team/messages-repo")

    assert said.code == 0
    assert "wrote team/messages-repo/runner.yaml" in said.out
    assert "1. go there: cd team/messages-repo\n2. edit the messages in messages/" in said.out
    assert Project(empty.root / "team/messages-repo").run("validate").code == 0


def test_the_policy_is_that_nobody_writes_to_everybody(empty: Project) -> None:
    empty.run("init")
    body = "topic: {EN: Hi}\ntext: {EN: Hi}\nrecipients_select_type: ALL\n"
    empty.write("messages/everybody.yaml", body)
    assert empty.run("plan").code == 3

    empty.write("messages/everybody.yaml", THANKS)
    assert empty.run("plan").code == 0


def test_the_modelines_name_the_schemas_that_were_written(empty: Project) -> None:
    empty.run("init")

    for file, name in (("messages/hello.yaml", "message"), ("runner.yaml", "config")):
        schema = modeline_target(empty.root / file)
        assert schema.read_text() == schema_text(name)
        json.loads(schema.read_text())


def test_messages_elsewhere_have_their_first_message_there(empty: Project) -> None:
    empty.write("runner.yaml", "messages: mail/tolokers\n")
    (empty.root / "mail/tolokers").mkdir(parents=True)

    assert empty.run("init").code == 0

    hello = empty.root / "mail/tolokers/hello.yaml"
    assert modeline_target(hello).read_text() == schema_text("message")
    assert not (empty.root / "messages").exists()
    assert empty.run("validate").code == 0


def test_what_is_there_stays_byte_for_byte(empty: Project) -> None:
    theirs = {
        "runner.yaml": b"target: production # ours\r\n",
        "messages/team/first.yml": THANKS.encode(),
        "schemas/message.schema.json": b"{}",
        ".github/workflows/messages.yml": b"on: push",
    }
    for name, content in theirs.items():
        empty.write(name, content)

    said = empty.run("init")

    assert said.code == 0
    after = empty.files()
    assert {name: after[name] for name in theirs} == theirs
    assert "messages/hello.yaml" not in after, "it would be sent"
    assert "kept messages/, which has messages" in said.out
    assert "kept runner.yaml" in said.out
    assert ".github/workflows/messages.yml is yours" in said.out


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_missing_lines_come_after_those_that_are_there(empty: Project, end: str) -> None:
    ignored = f"*.pyc{end}results".encode()
    owned = f"* @everybody{end}/runner.yaml @team{end}".encode()
    empty.write(".gitignore", ignored)
    empty.write(".github/CODEOWNERS", owned)

    said = empty.run("init")

    after = empty.files()
    added = f"{end}/.message-runner/{end}/message-preview.html{end}".encode()
    assert after[".gitignore"] == ignored + added, "results is ignored already"
    assert after[".github/CODEOWNERS"].startswith(owned)
    assert after[".github/CODEOWNERS"].count(b"runner.yaml") == 1
    assert b"# /.github/workflows/messages.yml <owner>" in after[".github/CODEOWNERS"]
    assert "added lines to .gitignore" in said.out


@pytest.mark.parametrize(
    ("ci", "place"), [("github", "CODEOWNERS"), ("github", "docs/CODEOWNERS"),
                      ("gitlab", ".gitlab/CODEOWNERS")]
)  # fmt: skip
def test_the_owners_that_count_already_are_not_put_aside(
    empty: Project, ci: str, place: str
) -> None:
    empty.write(place, "* @everybody\n")

    empty.run("init", "--ci", ci)

    found = [name for name in empty.files() if name.endswith("CODEOWNERS")]
    assert found == [place]
    assert empty.files()[place].startswith(b"* @everybody\n#")


def test_nobody_is_made_an_owner(empty: Project) -> None:
    empty.run("init")

    lines = empty.files()[".github/CODEOWNERS"].decode().splitlines()
    assert lines
    assert all(line.startswith("#") for line in lines)


def test_git_keeps_what_was_sent_out_of_a_commit_and_messages_in_it(empty: Project) -> None:
    empty.run("init")
    empty.write("messages/results/may.yaml", THANKS)
    empty.run("send")
    git("init", "-q", cwd=empty.root)

    added = git("add", "--dry-run", ".", cwd=empty.root)

    assert "messages/results/may.yaml" in added
    assert "local" not in added


def test_it_says_what_repository_it_needs_or_is_inside_of(empty: Project) -> None:
    assert "\n1. make a private repository: git init" in empty.run("init").out
    git("init", "-q", cwd=empty.root)

    below, top = empty.run("init", "mail"), empty.run("init")

    assert below.err.startswith(
        "warning: mail is inside the git repository of this folder: CI reads workflows"
    )
    assert top.err == ""
    assert not [each for each in (below, top) if "make a private repository" in each.out]


@pytest.mark.parametrize("blocked", ["messages", ".github", "schemas"])
def test_where_it_cannot_write_it_ends_with_2(empty: Project, blocked: str) -> None:
    empty.write(blocked, "a file where a folder should be")

    said = empty.run("init")

    assert said.code == 2
    assert said.err.startswith(f"error: {blocked}")
    assert "cannot be written" in said.err


def test_a_folder_that_is_a_file_and_an_unknown_ci_are_refused_with_2(empty: Project) -> None:
    empty.write("file", "")

    assert empty.run("init", "file").code == 2
    assert empty.run("init", "--ci", "jenkins").code == 2
    assert list(empty.files()) == ["file"]


def test_a_configuration_that_is_wrong_is_said_and_nothing_is_written(empty: Project) -> None:
    empty.write("runner.yaml", "target: nowhere\n")

    said = empty.run("init")

    assert said.code == 2
    assert "runner.yaml:1:9" in said.err
    assert list(empty.files()) == ["runner.yaml"]


@pytest.mark.skipif(os.name == "nt", reason="links need a right of their own there")
@pytest.mark.parametrize("name", [".github", "schemas", "messages"])
def test_a_link_in_the_place_of_a_folder_is_not_followed(
    empty: Project, tmp_path: Path, name: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (empty.root / name).symlink_to(outside)
    done = empty.run("init", "--ci", "github")
    assert done.code == 2
    assert f"{name} is a link" in done.err
    assert list(outside.iterdir()) == []
