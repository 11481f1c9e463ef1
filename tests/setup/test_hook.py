"""The pre-commit hook, run by pre-commit from a clone of this project."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from installing import OUTSIDE, ROOT, Done, copy_sources, needs_index, once, run
from support import THANKS

from .tools import git

OFFLINE = {
    "PIP_NO_INDEX": "1",
    "PIP_FIND_LINKS": "",
    "PIP_INDEX_URL": "",
    "PIP_EXTRA_INDEX_URL": "",
}


def configuration(project: Path, commit: str) -> str:
    """What the README says to write, for a clone on this machine."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = text.partition("<!-- script: pre-commit -->\n```yaml\n")[2].partition("```")[0]
    return block.replace("https://github.com/OWNER/REPO", str(project)).replace("COMMIT", commit)


@dataclass(frozen=True)
class Repository:
    """Somebody's repository that uses the hook; `home` is where pre-commit installs hooks."""

    root: Path
    pre_commit: Path
    home: Path

    def check(self, **env: str) -> Done:
        """Run the hook on what is staged."""
        git("add", "--all", cwd=self.root)
        command = (self.pre_commit, "run", "--color", "never")
        return run(
            *command, cwd=self.root, env={**OUTSIDE, "PRE_COMMIT_HOME": str(self.home), **env}
        )


@pytest.fixture
def repository(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, tools: Path) -> Repository:
    folder = once(tmp_path_factory, "hooks", lambda folder: _install(folder, tools / "pre-commit"))
    root = tmp_path / "theirs"
    (root / "messages").mkdir(parents=True)
    git("init", "-q", cwd=root)
    made = Repository(root, tools / "pre-commit", folder / "home")
    commit = git("rev-parse", "HEAD", cwd=folder / "project")
    (root / ".pre-commit-config.yaml").write_text(configuration(folder / "project", commit))
    return made


def _install(folder: Path, pre_commit: Path) -> None:
    """Let pre-commit install the hook from a clone, which needs an index."""
    copy_sources(folder / "project")
    git("init", "-q", cwd=folder / "project")
    git("add", "--all", cwd=folder / "project")
    git("commit", "-q", "-m", "As it is", cwd=folder / "project")
    (folder / "try").mkdir()
    git("init", "-q", cwd=folder / "try")
    (folder / "try" / ".pre-commit-config.yaml").write_text(
        configuration(folder / "project", git("rev-parse", "HEAD", cwd=folder / "project"))
    )
    env = {**OUTSIDE, "PRE_COMMIT_HOME": str(folder / "home")}
    needs_index(run(pre_commit, "install-hooks", cwd=folder / "try", env=env))


def test_a_good_message_passes_without_a_network(repository: Repository) -> None:
    (repository.root / "messages/thanks.yaml").write_text(THANKS)

    done = repository.check(**OFFLINE)

    assert done.code == 0, done.said
    assert "validate messages to Tolokers" in done.said
    assert "Passed" in done.said


def test_the_folder_that_is_configured_is_checked(repository: Repository) -> None:
    (repository.root / "runner.yaml").write_text("messages: mail/tolokers\n")
    folder = repository.root / "mail/tolokers"
    folder.mkdir(parents=True)
    (folder / "all.yaml").write_text(
        THANKS.replace("recipients_ids:\n", "recipients_file: a.csv\n#")
    )
    (folder / "a.csv").write_text("toloker_id\n0123\n")
    assert repository.check().code == 0
    git("commit", "-q", "-m", "First", cwd=repository.root)
    (folder / "a.csv").write_text("toloker_id\nno id\n")

    done = repository.check()

    assert done.code == 1
    assert "mail/tolokers/a.csv:2" in done.said


def test_a_bad_message_stops_the_commit_and_has_an_address(repository: Repository) -> None:
    (repository.root / "messages/wrong.yaml").write_text(THANKS.replace("topic", "topics"))

    done = repository.check()

    assert done.code == 1
    assert "messages/wrong.yaml:1:1: error" in done.said
    assert "exit code: 3" in done.said


def test_two_files_with_one_id_are_seen_though_one_is_staged(repository: Repository) -> None:
    (repository.root / "messages/first.yaml").write_text(THANKS + "id: thanks\n")
    git("add", "--all", cwd=repository.root)
    git("commit", "-q", "-m", "First", cwd=repository.root)
    (repository.root / "messages/second.yaml").write_text(THANKS + "id: thanks\n")

    done = repository.check()

    assert done.code == 1
    assert "thanks" in done.said


def test_a_commit_without_messages_is_none_of_its_business(repository: Repository) -> None:
    (repository.root / "notes.md").write_text("nothing")

    done = repository.check()

    assert done.code == 0, done.said
    assert "no files to check" in done.said
