"""What a shell completes, asked as bash asks."""

from __future__ import annotations

import pytest
from support import Project, direct


def completed(project: Project, line: str) -> list[str]:
    """What completes the last word of a line; a file is for the shell to find."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    done = project.run(_MESSAGE_RUNNER_COMPLETE="bash_complete", **words)
    assert (done.code, done.err) == (0, "")
    return done.out.split()


@pytest.mark.some(2)
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("message-runner prev", ["plain,preview"]),
        ("message-runner send --target ", ["plain,local", "plain,production", "plain,staging", "plain,yandex-tasks"]),
        ("message-runner plan --target pro", ["plain,production"]),
        ("message-runner plan --target nowhere", []),
        ("message-runner status bo", ["plain,bonus/april", "plain,bonus/may"]),
        ("message-runner status READ", ["file,READ"]),
        ("message-runner resolve --message h", ["plain,hello"]),
        ("message-runner send messages/b", ["file,messages/b"]),
        ("message-runner send --te", ["plain,--test-to"]),
    ],
)  # fmt: skip
def test_what_is_there_is_completed(project: Project, line: str, found: list[str]) -> None:
    project.write("runner.yaml", "targets: {staging: {url: 'https://staging.example'}}\n")
    for name in ("bonus/april", "bonus/may", "other"):
        own = "id: hello\n" if name == "other" else ""
        project.write(f"messages/{name}.yaml", direct("t1", extra=own))
    assert completed(project, line) == found


def test_what_is_wrong_in_the_project_does_not_break_the_shell(project: Project) -> None:
    project.write("runner.yaml", "targets: [")
    assert completed(project, "message-runner send --target ") == []
    assert completed(project, "message-runner status ") == ["file,"]
