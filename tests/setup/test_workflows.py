"""The workflows and the action, by their schemas, by tools, and by what must never be there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from installing import ROOT, run
from support import run_command

from runner.cli.workflow import Workflow

from .steps import load_workflow
from .tools import as_installed

ACTION = ROOT / "action.yml"
PLACES = {"github": ".github/workflows/messages.yml", "gitlab": ".gitlab-ci.yml"}
APPROVALS = ("pull-request", "dispatch", "environment")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """The workflow that `init` writes for each CI system, and each way to approve."""
    env = as_installed(tmp_path_factory.mktemp("installed"))
    made = {}
    for approval in APPROVALS:
        folder = tmp_path_factory.mktemp(approval)
        for ci, place in PLACES.items():
            options = ("--ci", ci, "--approval", approval, "--branch", "trunk")
            assert run_command("init", *options, cwd=folder, env=env).code == 0
            made[ci, approval] = folder / place
    return made


def workflows(written: dict[tuple[str, str], Path], ci: str) -> list[dict[str, Any]]:
    return [load_workflow(path) for (of, _), path in written.items() if of == ci]


def scripts(path: Path) -> Iterator[str]:
    """Every script that a workflow or an action has bash run."""
    document = load_workflow(path)
    if path.name == ".gitlab-ci.yml":
        yield from ("\n".join(job["script"]) for job in document.values() if "script" in job)
        return
    for job in document.get("jobs", {"action": document.get("runs")}).values():
        yield from (step["run"] for step in job["steps"] if "run" in step)


def test_they_are_what_their_systems_read(
    tools: Path, written: dict[tuple[str, str], Path]
) -> None:
    check = tools / "check-jsonschema"
    ours = {ci: [path for (of, _), path in written.items() if of == ci] for ci in PLACES}
    commands: tuple[tuple[str | Path, ...], ...] = (
        ("vendor.github-workflows", *ours["github"]),
        ("vendor.github-actions", ACTION),
        ("vendor.gitlab-ci", *ours["gitlab"], "--data-transform", "gitlab-ci"),
    )
    for name, *files in commands:
        done = run(check, "--builtin-schema", name, *files, cwd=ROOT)
        assert done.code == 0, done.said


def test_zizmor_finds_nothing_to_complain_of(
    tools: Path, written: dict[tuple[str, str], Path]
) -> None:
    options = ("--offline", "--no-progress", "--persona", "auditor", "--min-severity", "medium")
    ours = [path for (ci, _), path in written.items() if ci == "github"]

    done = run(tools / "zizmor", *options, *ours, ACTION, cwd=ROOT)

    assert done.code == 0, done.said


def test_shellcheck_finds_nothing_to_complain_of(
    tools: Path, written: dict[tuple[str, str], Path], tmp_path: Path
) -> None:
    files: list[Path] = []
    for path in (*written.values(), ACTION):
        for script in scripts(path):
            files.append(tmp_path / f"{len(files)}.sh")
            files[-1].write_text(script)

    done = run(tools / "shellcheck", "--shell=bash", "--severity=warning", *files, cwd=tmp_path)

    assert done.code == 0, done.said


def test_there_is_no_logic_and_no_git_in_them(written: dict[tuple[str, str], Path]) -> None:
    """Each step is one command, with plain arguments; the one that sends is not below a shell."""
    for path in written.values():
        for script in scripts(path):
            for line in script.splitlines():
                assert re.fullmatch(r"(exec )?[\w./-]+( [^;|&<>`$()]+| \"\$\w+\")*", line), line
                assert not line.startswith("git")
                assert ("message-runner send" in line) == line.startswith("exec ")


def test_nothing_rests_on_the_payload_of_an_event(written: dict[tuple[str, str], Path]) -> None:
    """A schedule's has no repository in it, and old runners' have less than new ones'."""
    for path in written.values():
        text = path.read_text()
        assert "github.event." not in text
        assert "CI_DEFAULT_BRANCH" not in text
        assert "default_branch" not in text


def test_no_expression_reaches_a_script(written: dict[tuple[str, str], Path]) -> None:
    found = [script for path in (*written.values(), ACTION) for script in scripts(path)]

    assert not [script for script in found if "${{" in script]


def test_every_action_is_pinned_by_its_commit(written: dict[tuple[str, str], Path]) -> None:
    for (ci, _), path in written.items():
        used = re.findall(r"uses: *(.+)", path.read_text())
        assert bool(used) == (ci == "github")
        for each in used:
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)


def test_a_pull_request_has_no_secret_and_can_change_nothing(
    written: dict[tuple[str, str], Path],
) -> None:
    for workflow in workflows(written, "github"):
        plan = workflow["jobs"]["plan"]
        events = {"pull_request", "push", "schedule", "workflow_dispatch"}
        assert set(workflow["on"]) == events
        assert workflow["permissions"] == {}
        assert plan["permissions"] == {"contents": "read"}
        assert "environment" not in plan
        assert "secrets." not in yaml.dump({**workflow, "jobs": {"plan": plan}})
    for workflow in workflows(written, "gitlab"):
        assert "environment" not in workflow["plan"]


def test_tokens_are_seen_by_the_steps_that_need_them_alone(
    written: dict[tuple[str, str], Path],
) -> None:
    for workflow in workflows(written, "github"):
        steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
        holders = {
            token: [step.get("name") for step in steps if token in yaml.dump(step)]
            for token in ("secrets.", "github.token")
        }
        assert holders == {"secrets.": ["Send"], "github.token": ["Plan", "Preview", "Send"]}
        assert all(
            step["with"]["persist-credentials"] == "false"
            for step in steps
            if step.get("uses", "").startswith("actions/checkout")
        )
    for workflow in workflows(written, "gitlab"):
        assert not [line for line in workflow["send"]["script"] if "pip" in line]


def test_a_send_is_alone_from_the_default_branch_and_behind_its_approval(
    written: dict[tuple[str, str], Path],
) -> None:
    for (ci, approval), path in written.items():
        workflow = load_workflow(path)
        jobs = workflow["jobs"] if ci == "github" else workflow
        send, approve = jobs["send"], jobs.get("approve")
        assert send["environment"] == "production"
        assert (approve is not None) == (approval == "environment")
        if ci == "github":
            assert workflow["on"]["push"] == {"branches": ["trunk"]}
            assert "github.ref == 'refs/heads/trunk' &&" in send["if"]
            assert ("inputs.digest != ''" in send["if"]) == (approval == "dispatch")
            assert send["permissions"] == {"contents": "write"}
            assert send["concurrency"]["cancel-in-progress"] == "false"
        else:
            rule = '$CI_COMMIT_BRANCH == "trunk"' + " && $DIGEST" * (approval == "dispatch")
            assert send["rules"] == [{"if": rule}]
            assert send["resource_group"]
            assert send["interruptible"] == "false"
        if ci == "github" and approve is not None:
            assert send["needs"] == ["plan", "approve"]
            assert approve["if"] == send["if"]
            assert approve["environment"] != send["environment"]
            assert approve["concurrency"]["group"] != send["concurrency"]["group"]
            assert approve["concurrency"]["cancel-in-progress"] == "true"


def test_no_schedule_is_at_the_full_hour_or_the_same_for_all() -> None:
    minutes = {Workflow("github", "pull-request", "main", f"team-{n}").minute for n in range(99)}

    assert minutes <= set(range(1, 60))
    assert len(minutes) > 30
