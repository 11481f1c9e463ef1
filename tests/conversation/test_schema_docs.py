from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import Project

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "schemas" / "README.md").read_text()


def test_what_is_generated_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / ".ci" / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_schema_is_on_the_page_and_is_what_the_command_prints(project: Project) -> None:
    links = re.findall(r"\| \[(\S+)\]\((\S+)\) \|.*`message-runner (schema\b.*)` \|", PAGE)
    assert sorted(name for name, _, _ in links) == sorted(
        path.name for path in (ROOT / "schemas").glob("*.json")
    )
    for name, link, command in links:
        assert name == link
        done = project.run(*command.split())
        assert (done.code, done.out) == (0, (ROOT / "schemas" / name).read_text())


@pytest.mark.parametrize(
    "block", re.findall(r"```yaml\n(recipients_filter:.*?)```", PAGE, re.DOTALL)
)
def test_the_filter_on_the_page_is_right(project: Project, block: str) -> None:
    project.write(
        "messages/a.yaml",
        "topic: {EN: Hi}\ntext: {EN: Hello}\nrecipients_select_type: FILTER\n" + block,
    )
    done = project.run("validate")
    assert done.code == 0, done
