"""What was sent travels on the branch message-results: real git, real clones, a counting server.

A job here is the job of the workflow that `init` writes, step by step, in a clone of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support import TOKEN, calls, control, direct, one_in, reached, tolokers

from runner.emulator import Emulator

from .steps import Runner, gitlab_script, load_workflow
from .tools import git

BRANCH = "message-results"
CONFIG = "defaults: {settle: 0.2, rate: 300}\n"

SystemRunner = Callable[..., Runner]

# Each job is a dozen processes; the others are a part of each kind.
thorough = pytest.mark.thorough


@dataclass
class Remote:
    """A bare repository, somebody's clone of it to commit from, and the Toloka to send to."""

    folder: Path
    emulator: Emulator
    commands: str
    set_up: Path
    jobs: list[Runner] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        git("init", "-q", "--bare", "origin", cwd=self.folder)
        git("init", "-q", "desk", cwd=self.folder)
        shutil.copytree(self.set_up, self.desk, dirs_exist_ok=True)
        self.write("runner.yaml", CONFIG)
        (self.desk / "messages/hello.yaml").unlink()
        self.write("messages/first.yaml", direct("ada"))
        git("remote", "add", "origin", self.origin, cwd=self.desk)
        self.merge("Set up")

    @property
    def origin(self) -> Path:
        return self.folder / "origin"

    @property
    def desk(self) -> Path:
        return self.folder / "desk"

    @property
    def manifest(self) -> str:
        """The manifest's file on its branch."""
        return self.emulator.url.removeprefix("http://").replace(":", "-") + ".jsonl"

    def write(self, path: str, text: str) -> None:
        file = self.desk / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def merge(self, why: str) -> str:
        """Bring the desk's files to the default branch; gives the commit."""
        git("add", "--all", cwd=self.desk)
        git("commit", "-q", "-m", why, cwd=self.desk)
        git("push", "-q", "origin", "HEAD:main", cwd=self.desk)
        return git("rev-parse", "HEAD", cwd=self.desk)

    def machine(self, at: str = "main") -> Runner:
        """A fresh machine with a shallow clone, as a job gets it."""
        number = len(self.jobs)
        workspace = self.folder / f"job-{number}"
        url = self.origin.as_uri()
        git("clone", "-q", "--branch", "main", url, workspace.name, cwd=self.folder)
        git("checkout", "-q", "--detach", at if at != "main" else "origin/main", cwd=workspace)
        runner = Runner(
            workspace=workspace,
            temp=self.folder / f"temp-{number}",
            env={
                "PATH": self.commands,
                "CI": "true",
                "GITHUB_STEP_SUMMARY": str(self.folder / f"summary-{number}.md"),
            },
            context={
                "github.token": "repository-token",
                "github.server_url": self.folder.as_uri(),
                "github.repository": "origin",
                "secrets.TOLOKA_TOKEN": TOKEN,
            },
        )
        self.jobs.append(runner)
        return runner

    def steps(self, job: str) -> list[dict[str, Any]]:
        workflow = load_workflow(self.desk / ".github/workflows/messages.yml")
        found: list[dict[str, Any]] = workflow["jobs"][job]["steps"]
        return [step for step in found if not step.get("run", "").startswith("pip install")]

    def env(self, runner: Runner) -> dict[str, str]:
        """The workflow's own variables, and the emulator in production's place."""
        workflow = load_workflow(self.desk / ".github/workflows/messages.yml")
        own = {name: runner.resolved(value) for name, value in workflow["env"].items()}
        assert own["TOLOKA_TARGET"] == "production"
        return {**own, "TOLOKA_TARGET": self.emulator.url, "GITHUB_SHA": "0" * 40}

    def run(self, job: str = "send", at: str = "main", *, dies_after: str = "") -> Runner:
        """Run a job on a fresh machine, which may be gone after one of its steps."""
        runner, steps = self.machine(at), self.steps(job)
        names = [step.get("name") for step in steps]
        last = names.index(dies_after) + 1 if dies_after else len(steps)
        runner.run(steps[:last], self.env(runner))
        return runner

    def finish(self, runner: Runner, after: str, job: str = "send") -> Runner:
        """Run what is left of a job after a step."""
        steps = self.steps(job)
        names = [step.get("name") for step in steps]
        runner.run(steps[names.index(after) + 1 :], self.env(runner))
        return runner

    def run_on_gitlab(self, job: str = "send", at: str = "main") -> Runner:
        """Run a job as GitLab would: one script, and another one after it in any case."""
        runner = self.machine(at)
        workflow = load_workflow(self.desk / ".gitlab-ci.yml")
        env = {
            "CI_COMMIT_SHA": "0" * 40,
            "TOLOKA_TARGET": self.emulator.url,
            "TOLOKA_TOKEN": TOKEN,
            "RESULTS_REMOTE": self.origin.as_uri(),
            "CI_DEFAULT_BRANCH": "main",
        }
        if job == "check":
            del env["TOLOKA_TOKEN"]
        runner.run_script("script", gitlab_script(workflow, job), env)
        runner.run_script("after", gitlab_script(workflow, job, "after_script"), env)
        return runner

    def lines(self) -> list[bytes]:
        """The manifest's lines, as the branch has them."""
        show = ["git", "show", f"{BRANCH}:{self.manifest}"]
        done = subprocess.run(show, cwd=self.origin, capture_output=True, check=True, timeout=30)
        return done.stdout.splitlines()

    def events(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = [json.loads(line) for line in self.lines()]
        return [event for event in found if event["event"] == kind]

    def composed(self) -> int:
        return len(calls(self.emulator, "/compose"))


@pytest.fixture
def remote(tmp_path: Path, emulator: Emulator, commands: str, set_up: Path) -> Remote:
    return Remote(tmp_path / "remote", emulator, commands, set_up)


@pytest.fixture(params=one_in(2, ["github", "gitlab"]))
def send(request: pytest.FixtureRequest, remote: Remote) -> SystemRunner:
    """The job that sends, of either system."""
    return remote.run if request.param == "github" else remote.run_on_gitlab


def test_the_first_job_makes_the_branch_and_the_next_goes_on_from_it(
    remote: Remote, send: SystemRunner
) -> None:
    job = send()
    assert job.code == 0, job.output
    first = remote.lines()
    remote.write("messages/second.yaml", direct("bob"))
    tip = remote.merge("Second")

    job = send()

    assert job.code == 0, job.output
    assert reached(remote.emulator) == ["ada", "bob"]
    assert remote.composed() == 2
    assert remote.lines()[: len(first)] == first
    assert remote.events("run")[-1]["commit"] == tip
    assert len(git("rev-list", BRANCH, cwd=remote.origin).split()) == 2
    on_main = git("ls-tree", "-r", "--name-only", "main", cwd=remote.origin)
    assert "jsonl" not in on_main
    on_branch = git("ls-tree", "-r", "--name-only", BRANCH, cwd=remote.origin)
    assert on_branch == remote.manifest, "no lock, no note of who holds it"


@thorough
def test_a_job_with_nothing_to_do_commits_nothing(remote: Remote, send: SystemRunner) -> None:
    send()
    tip = git("rev-parse", BRANCH, cwd=remote.origin)

    job = send()

    assert job.code == 0, job.output
    assert git("rev-parse", BRANCH, cwd=remote.origin) == tip
    assert remote.composed() == 1


@thorough
def test_no_messages_sent_no_branch(remote: Remote, send: SystemRunner) -> None:
    remote.write("messages/first.yaml", direct("ada", extra="draft: true\n"))
    remote.merge("Not yet")

    job = send()

    assert job.code == 0, job.output
    assert git("branch", "--list", BRANCH, cwd=remote.origin) == ""


def test_what_was_sent_is_recorded_though_the_send_fails(
    remote: Remote, send: SystemRunner
) -> None:
    remote.write("messages/second.yaml", direct("bob"))
    remote.merge("Second")
    control(remote.emulator, "faults", {"faults": ["at=2,kind=400"]})

    job = send()

    assert job.code == 4, job.output
    assert len(remote.events("sent")) == 1
    assert len(remote.events("rejected")) == 1
    assert send().code == 0
    assert reached(remote.emulator) == ["ada", "bob"]


def test_a_job_that_dies_between_sending_and_pushing_is_not_repeated(remote: Remote) -> None:
    dead = remote.run(dies_after="Send")
    assert dead.code == 0, dead.output
    assert git("branch", "--list", BRANCH, cwd=remote.origin) == ""

    job = remote.run()

    assert job.code == 0, job.output
    assert (remote.composed(), reached(remote.emulator)) == (1, ["ada"])
    assert [event["how"] for event in remote.events("sent")] == ["adopted"]


@pytest.mark.parametrize("records", [True, pytest.param(False, marks=thorough)])
def test_a_job_killed_while_it_sends(remote: Remote, records: bool) -> None:
    """The machine goes on to record (a cancelled job), or is gone with all that it knew."""
    people = tolokers(12)
    for toloker in people:
        remote.write(f"messages/{toloker}.yaml", direct(toloker))
    remote.write("runner.yaml", CONFIG.replace("settle", "jobs: 2, settle"))
    remote.merge("Many")
    control(remote.emulator, "faults", {"faults": ["every=1,kind=slow,seconds=0.1,on=compose"]})
    runner = remote.run(dies_after="Check out what was sent")
    step = next(step for step in remote.steps("send") if step.get("name") == "Send")
    process = runner.start(step["run"], {**remote.env(runner), "TOLOKA_TOKEN": TOKEN})
    deadline = time.monotonic() + 60
    while remote.composed() < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    control(remote.emulator, "faults", {"faults": []})
    assert len(reached(remote.emulator)) < 13, "killed too late to prove anything"
    if records:
        runner.codes.append(137)
        remote.finish(runner, after="Send")
        assert remote.events("intent")

    job = remote.run()

    assert job.code == 0, job.output
    assert reached(remote.emulator) == sorted(["ada", *people])
    assert remote.run().code == 0
    assert len(reached(remote.emulator)) == 13


@thorough
def test_two_clones_and_a_rejected_push_lose_nothing(remote: Remote) -> None:
    remote.run()
    remote.write("messages/second.yaml", direct("bob"))
    remote.merge("Second")
    slow = remote.run(dies_after="Send")
    remote.write("messages/third.yaml", direct("eve"))
    remote.merge("Third")
    quick = remote.run()
    theirs = remote.lines()

    remote.finish(slow, after="Send")

    assert (slow.code, quick.code) == (0, 0), slow.output
    assert "rejected" in slow.output
    ours = (slow.workspace / "results" / remote.manifest).read_bytes().splitlines()
    assert set(theirs) <= set(remote.lines())
    assert remote.lines() == ours
    assert len(remote.events("sent")) == 4, "bob's is there twice: as sent, and as adopted"
    assert remote.composed() == 3
    assert remote.run().code == 0
    assert remote.composed() == 3
    assert reached(remote.emulator) == ["ada", "bob", "eve"]


@thorough
def test_two_first_jobs_at_once(remote: Remote) -> None:
    """Neither found a branch; both start one, each with a first line of its own."""
    slow = remote.run(dies_after="Send")
    quick = remote.run()

    remote.finish(slow, after="Send")

    assert (slow.code, quick.code) == (0, 0), slow.output
    assert remote.composed() == 1
    assert json.loads(remote.lines()[0])["event"] == "manifest"
    assert remote.run().code == 0
    assert remote.composed() == 1


def test_a_push_that_never_succeeds_fails_the_job_and_harms_nobody(remote: Remote) -> None:
    hook = remote.origin / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho no >&2\nexit 1\n")
    hook.chmod(0o755)

    job = remote.run()

    assert job.code == 1
    assert "could not be pushed" in job.output
    hook.unlink()
    assert remote.run().code == 0
    assert (remote.composed(), reached(remote.emulator)) == (1, ["ada"])


@thorough
def test_a_push_is_tried_again_when_the_network_fails(remote: Remote) -> None:
    hook = remote.origin / "hooks" / "pre-receive"
    hook.write_text('#!/bin/sh\n[ -e "$0.tried" ] || { touch "$0.tried"; exit 1; }\n')
    hook.chmod(0o755)

    job = remote.run()

    assert job.code == 0, job.output
    assert len(remote.events("sent")) == 1


@thorough
def test_a_torn_last_line_does_not_become_damage(remote: Remote) -> None:
    remote.run()
    remote.write("messages/second.yaml", direct("bob"))
    remote.merge("Second")
    torn = remote.run(dies_after="Send")
    with (torn.workspace / "results" / remote.manifest).open("ab") as stream:
        stream.write(b'{"event":"intent","delivery":"9f')
    remote.run()

    remote.finish(torn, after="Send")

    assert torn.code == 0, torn.output
    assert all(json.loads(line) for line in remote.lines())
    assert remote.run().code == 0
    assert remote.composed() == 2


@thorough
def test_an_old_commit_run_again_sends_nothing(remote: Remote) -> None:
    old = git("rev-parse", "HEAD", cwd=remote.desk)
    remote.run()
    remote.write("messages/first.yaml", direct("ada", text="Better!", extra="revision: 2\n"))
    remote.merge("Better")
    remote.run()
    before = remote.composed()

    # The workflow checks out the tip; should it not, the manifest still is that of the tip.
    github, gitlab = remote.run(at=old), remote.run_on_gitlab(at=old)

    assert (github.code, gitlab.code) == (0, 0), github.output
    assert (before, remote.composed()) == (2, 2)
    assert git("rev-parse", "HEAD", cwd=gitlab.workspace) == git(
        "rev-parse", "main", cwd=remote.origin
    )


@thorough
def test_a_squash_merge_sends_once(remote: Remote) -> None:
    git("checkout", "-q", "-b", "topic", cwd=remote.desk)
    for text in ("Draft", "Better", "Best"):
        remote.write("messages/second.yaml", direct("bob", text=text))
        git("add", "--all", cwd=remote.desk)
        git("commit", "-q", "-m", text, cwd=remote.desk)
    git("push", "-q", "origin", "topic", cwd=remote.desk)
    checked = remote.run("check", at="origin/topic")
    assert checked.code == 0, checked.output
    git("checkout", "-q", "main", cwd=remote.desk)
    git("merge", "-q", "--squash", "topic", cwd=remote.desk)
    remote.merge("Second, squashed")
    assert remote.run().code == 0

    # Merged once more, as after a merge of the wrong kind.
    git("merge", "-q", "--no-edit", "-s", "ours", "topic", cwd=remote.desk)
    git("push", "-q", "origin", "HEAD:main", cwd=remote.desk)
    assert remote.run().code == 0

    assert reached(remote.emulator) == ["ada", "bob"]
    assert remote.composed() == 2


def test_the_check_needs_no_token_and_makes_no_request(remote: Remote) -> None:
    runner = remote.run("check")

    assert runner.code == 0, runner.output
    assert runner.context["steps.plan.outputs.pending"] == "true"
    assert calls(remote.emulator) == []
    summary = Path(runner.env["GITHUB_STEP_SUMMARY"]).read_text()
    assert "first" in summary


@thorough
def test_the_check_knows_what_was_sent(remote: Remote) -> None:
    remote.run()

    github, gitlab = remote.run("check"), remote.run_on_gitlab("check")

    assert (github.code, gitlab.code) == (0, 0), github.output + gitlab.output
    assert "already sent" in github.said["Plan"]
    assert "already sent" in gitlab.said["script"]
    assert "steps.plan.outputs.pending" not in github.context


@thorough
def test_what_is_in_doubt_is_pending(remote: Remote) -> None:
    # The first list is that of catching up; what was sent cannot be looked for after it.
    faults = ["kind=accepted-then-500,on=compose", "kind=500,on=list,after=1"]
    control(remote.emulator, "faults", {"faults": faults})
    assert remote.run().code == 5

    assert remote.run("check").context["steps.plan.outputs.pending"] == "true"

    control(remote.emulator, "faults", {"faults": []})
    assert remote.run().code == 0
    assert remote.composed() == 1


def test_a_message_that_is_wrong_fails_the_check(remote: Remote) -> None:
    remote.write("messages/second.yaml", "topic: {EN: Hi}\n")
    remote.merge("Wrong")

    checked = remote.run("check")

    assert checked.code == 3
    assert list(checked.said) == ["Validate"]


def test_a_remote_that_cannot_be_reached_stops_the_job_before_it_sends(remote: Remote) -> None:
    runner = remote.machine()
    runner.context["github.repository"] = "nowhere"

    runner.run(remote.steps("send"), remote.env(runner))

    assert runner.code == 128, runner.output
    assert list(runner.said) == ["Check out what was sent"]
    assert remote.composed() == 0


def test_the_tokens_are_nowhere(remote: Remote) -> None:
    job = remote.run()

    found = [path for path in job.workspace.rglob("*") if path.is_file()]
    written = b"".join(path.read_bytes() for path in found)
    for token in (TOKEN, "repository-token"):
        assert token.encode() not in written
        assert token not in job.output
