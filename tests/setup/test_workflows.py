"""The workflows and the action, by their schemas, by tools, and by what must never be there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from installing import ROOT, run

from .steps import gitlab_script, load_workflow

ACTION = ROOT / "action.yml"
PLACES = {"github": ".github/workflows/messages.yml", "gitlab": ".gitlab-ci.yml"}


@pytest.fixture
def written(set_up: Path) -> dict[str, Path]:
    """The workflow that `init` writes for each CI system."""
    return {ci: set_up / place for ci, place in PLACES.items()}


def scripts(path: Path) -> Iterator[str]:
    """Every script that a workflow or an action has bash run."""
    document = load_workflow(path)
    if path.name == ".gitlab-ci.yml":
        yield from (gitlab_script(document, job) for job in ("check", "send"))
        yield gitlab_script(document, "send", "after_script")
        return
    for job in document.get("jobs", {"action": document.get("runs")}).values():
        yield from (step["run"] for step in job["steps"] if "run" in step)


def test_they_are_what_their_systems_read(tools: Path, written: dict[str, Path]) -> None:
    check = tools / "check-jsonschema"
    for name, file, *more in (
        ("vendor.github-workflows", written["github"]),
        ("vendor.github-actions", ACTION),
        ("vendor.gitlab-ci", written["gitlab"], "--data-transform", "gitlab-ci"),
    ):
        done = run(check, "--builtin-schema", name, file, *more, cwd=ROOT)
        assert done.code == 0, done.said


def test_zizmor_finds_nothing_to_complain_of(tools: Path, written: dict[str, Path]) -> None:
    options = ("--offline", "--no-progress", "--persona", "auditor", "--min-severity", "medium")

    done = run(tools / "zizmor", *options, written["github"], ACTION, cwd=ROOT)

    assert done.code == 0, done.said


def test_shellcheck_finds_nothing_to_complain_of(
    tools: Path, written: dict[str, Path], tmp_path: Path
) -> None:
    files = []
    for path in (*written.values(), ACTION):
        for number, script in enumerate(scripts(path)):
            files.append(tmp_path / f"{path.stem.strip('.')}-{number}.sh")
            files[-1].write_text(script)
    assert len(files) == 8 + 3 + 2

    done = run(tools / "shellcheck", "--shell=bash", "--severity=warning", *files, cwd=tmp_path)

    assert done.code == 0, done.said


def test_no_expression_reaches_a_script(written: dict[str, Path]) -> None:
    found = [script for path in (written["github"], ACTION) for script in scripts(path)]

    assert not [script for script in found if "${{" in script]


def test_every_action_is_pinned_by_its_commit(written: dict[str, Path]) -> None:
    used = re.findall(r"uses: *(.+)", written["github"].read_text())

    assert len(used) == 4
    for each in used:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)


def test_a_pull_request_has_no_secret_and_can_change_nothing(written: dict[str, Path]) -> None:
    workflow = load_workflow(written["github"])
    check = workflow["jobs"]["check"]

    assert set(workflow["on"]) == {"pull_request", "push", "workflow_dispatch"}
    assert workflow["permissions"] == {}
    assert check["permissions"] == {"contents": "read"}
    assert "environment" not in check
    assert "secrets." not in yaml.dump({**workflow, "jobs": {"check": check}})


def test_only_one_step_sees_the_token(written: dict[str, Path]) -> None:
    send = load_workflow(written["github"])["jobs"]["send"]
    holders = [step["name"] for step in send["steps"] if "secrets." in yaml.dump(step)]

    assert holders == ["Send"]
    assert written["github"].read_text().count("secrets.") == 1


def test_the_job_that_sends_is_alone_protected_and_at_the_tip(written: dict[str, Path]) -> None:
    send = load_workflow(written["github"])["jobs"]["send"]

    assert send["environment"] == "production"
    assert send["permissions"] == {"contents": "write"}
    assert send["concurrency"]["cancel-in-progress"] == "false"
    assert "github.event_name != 'pull_request'" in send["if"]
    checkout = send["steps"][0]["with"]
    assert checkout["ref"] == "refs/heads/${{ github.event.repository.default_branch }}"
    assert checkout["persist-credentials"] == "false"


def test_gitlab_sends_from_the_default_branch_alone(written: dict[str, Path]) -> None:
    send = load_workflow(written["gitlab"])["send"]

    assert send["rules"] == [{"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"}]
    assert send["resource_group"]
    assert send["interruptible"] is False
    assert send["environment"] == "production"
