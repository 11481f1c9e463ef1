"""GitHub and GitLab in small: one bare repository, and runs of the workflow that `init` writes.

Every job has a fresh machine with a shallow checkout of the commit that the run is about, and does
the steps of the workflow one after the other. Between two jobs of a run a test may do what it likes.
"""

from __future__ import annotations

import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from subprocess import Popen
from typing import Any

from support import TOKEN, calls, direct

from runner.emulator import Emulator

from .steps import Runner, as_gitlab_does, is_so, load_workflow
from .tools import git

BRANCH = "message-results"
CONFIG = "\ndefaults: {settle: 0.05, rate: 300, jobs: 2}\n"


@dataclass
class Remote:
    """A bare repository, somebody's clone of it to commit from, and the Toloka to send to."""

    folder: Path
    emulator: Emulator
    commands: str
    folders: int = 0

    def begin(self, set_up: Path) -> None:
        """Bring what `init` wrote, and one message, to the default branch."""
        self.folder.mkdir()
        git("init", "-q", "--bare", "origin", cwd=self.folder)
        git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=self.origin)
        git("init", "-q", "desk", cwd=self.folder)
        shutil.copytree(set_up, self.desk, dirs_exist_ok=True)
        config = self.desk / "runner.yaml"
        config.write_text(config.read_text() + CONFIG)
        (self.desk / "messages/hello.yaml").unlink()
        self.write("messages/first.yaml", direct("ada"))
        git("remote", "add", "origin", self.origin.as_uri(), cwd=self.desk)
        self.merge("Set up")

    @property
    def origin(self) -> Path:
        return self.folder / "origin"

    @property
    def desk(self) -> Path:
        return self.folder / "desk"

    @property
    def tip(self) -> str:
        return git("rev-parse", "main", cwd=self.origin)

    def new_folder(self, name: str) -> Path:
        self.folders += 1
        folder = self.folder / f"{name}-{self.folders}"
        folder.mkdir()
        return folder

    def write(self, path: str, text: str) -> None:
        file = self.desk / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def merge(self, why: str, to: str = "main") -> str:
        """Bring the desk's files to a branch; gives the commit."""
        git("add", "--all", cwd=self.desk)
        git("commit", "-q", "-m", why, cwd=self.desk)
        git("push", "-q", "origin", f"HEAD:{to}", cwd=self.desk)
        return git("rev-parse", "HEAD", cwd=self.desk)

    def checkout(self, commit: str) -> Path:
        """A fresh machine's shallow checkout."""
        folder = self.new_folder("machine")
        git("init", "-q", ".", cwd=folder)
        git("remote", "add", "origin", self.origin.as_uri(), cwd=folder)
        git("fetch", "-q", "--depth=1", "--no-tags", "origin", commit, cwd=folder)
        git("checkout", "-q", "--detach", commit, cwd=folder)
        return folder

    @property
    def results(self) -> str:
        """The tip of the results branch; empty where there is none."""
        return git(
            "for-each-ref", "--format=%(objectname)", f"refs/heads/{BRANCH}", cwd=self.origin
        )

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The manifest's lines of a kind, in no order."""
        names = git("ls-tree", "-r", "--name-only", BRANCH, cwd=self.origin).splitlines()
        lines = [
            json.loads(line)
            for name in names
            for line in git("show", f"{BRANCH}:{name}", cwd=self.origin).splitlines()
        ]
        return [line for line in lines if line["event"] == kind]

    def composed(self) -> int:
        return len(calls(self.emulator, "/compose"))


@dataclass
class Run(ABC):
    """One run of the workflow: what started it, and what its jobs leave for each other.

    `env` comes after all else: the emulator in production's place, and no token for a remote that
    takes none.
    """

    remote: Remote
    event: str = "push"
    commit: str = ""
    digest: str = ""
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.commit = self.commit or self.remote.tip
        self.env = {"TOLOKA_TARGET": self.remote.emulator.url, "RESULTS_TOKEN": "", **self.env}
        self.artifacts = self.remote.new_folder("artifacts")
        file = self.remote.new_folder("workflow") / Path(self.place).name
        file.write_text(git("show", f"{self.commit}:{self.place}", cwd=self.remote.origin))
        self.workflow = load_workflow(file)

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the workflow's file is."""

    @abstractmethod
    def plan(self) -> Runner:
        """Do the job that plans."""

    @abstractmethod
    def start_send(self) -> tuple[Runner, Popen[str]] | None:
        """Do the job that sends, and begin its last step; None where its condition says no."""

    def send(self) -> Runner | None:
        """Do the job that sends to its end."""
        started = self.start_send()
        if started is None:
            return None
        runner, process = started
        runner.finish("Send", process)
        return runner

    def all(self) -> Runner | None:
        """Do both jobs; gives the machine of the last one."""
        planned = self.plan()
        return planned if planned.code else self.send()

    def machine(self, env: Mapping[str, str]) -> Runner:
        workspace = self.remote.checkout(self.commit)
        return Runner(
            workspace=workspace,
            temp=self.remote.new_folder("temp"),
            env={"PATH": self.remote.commands, "CI": "true", **env},
        )


class OnGitHub(Run):
    """A run as GitHub does it. The payload of its event is not there: old runners have less."""

    def __post_init__(self) -> None:
        super().__post_init__()
        is_request = self.event == "pull_request"
        assert self.event in self.workflow["on"]
        assert self.workflow["env"] == {"TOLOKA_TARGET": "production"}
        self.context = {
            "github.event_name": self.event,
            "github.ref": "refs/pull/1/merge" if is_request else "refs/heads/main",
            "github.token": "repository-token",
            "inputs.digest": self.digest,
        }
        self.summary = self.remote.new_folder("summary") / "summary.md"

    @property
    def place(self) -> str:
        return ".github/workflows/messages.yml"

    def plan(self) -> Runner:
        runner, job = self._machine("plan")
        runner.run(job["steps"], self.env)
        for name, value in job["outputs"].items():
            if not runner.code:
                self.context[f"needs.plan.outputs.{name}"] = runner.resolved(value)
        return runner

    def start_send(self) -> tuple[Runner, Popen[str]] | None:
        if not is_so(self.workflow["jobs"]["send"]["if"], self.context):
            return None
        runner, job = self._machine("send")
        *before, last = job["steps"]
        assert runner.run(before, self.env) == 0, runner.output
        runner.context["secrets.TOLOKA_TOKEN"] = TOKEN
        return runner, runner.start(last["run"], {**runner.env_of(last), **self.env})

    def _machine(self, name: str) -> tuple[Runner, dict[str, Any]]:
        runner = self.machine(
            {
                "GITHUB_ACTIONS": "true",
                "GITHUB_SHA": self.commit,
                "GITHUB_STEP_SUMMARY": str(self.summary),
                **({"GITHUB_BASE_REF": "main"} if self.event == "pull_request" else {}),
            }
        )
        runner.context = dict(self.context)
        runner.actions = {
            "actions/upload-artifact": lambda given: self._upload(runner.workspace, given),
            "actions/download-artifact": lambda given: shutil.copytree(
                self.artifacts / given["name"], runner.workspace, dirs_exist_ok=True
            ),
        }
        job: dict[str, Any] = self.workflow["jobs"][name]
        return runner, job

    def _upload(self, workspace: Path, given: Mapping[str, str]) -> None:
        folder = self.artifacts / given["name"]
        folder.mkdir()
        for path in given["path"].split():
            shutil.copy(workspace / path, folder)


class OnGitLab(Run):
    """A pipeline as GitLab does it; events have GitHub's names."""

    @property
    def place(self) -> str:
        return ".gitlab-ci.yml"

    def plan(self) -> Runner:
        runner, script = self._machine("plan")
        runner.run_script("Plan", script, self.env)
        if not runner.code:
            for path in self.workflow["plan"]["artifacts"]["paths"]:
                _copy(runner.workspace / path, self.artifacts / path)
        return runner

    def start_send(self) -> tuple[Runner, Popen[str]] | None:
        rules = self.workflow["send"]["rules"]
        variables = {f"${name}": value for name, value in self._variables().items()}
        if not any(is_so(rule["if"], variables) for rule in rules):
            return None
        runner, script = self._machine("send")
        _copy(self.artifacts, runner.workspace)
        return runner, runner.start(script, {"TOLOKA_TOKEN": TOKEN, **self.env})

    def _variables(self) -> dict[str, str]:
        found = {"CI_COMMIT_SHA": self.commit, "CI_PIPELINE_SOURCE": self.event}
        if self.digest:
            found["DIGEST"] = self.digest
        is_request = self.event == "pull_request"
        target = "CI_MERGE_REQUEST_TARGET_BRANCH_NAME" if is_request else "CI_COMMIT_BRANCH"
        return {**found, target: "main"}

    def _machine(self, name: str) -> tuple[Runner, str]:
        runner = self.machine(self._variables())
        own = {
            name: Template(value).substitute(CI_PROJECT_DIR=str(runner.workspace))
            for name, value in self.workflow["variables"].items()
            if isinstance(value, str)
        }
        runner.env = {**own, **runner.env}
        return runner, as_gitlab_does(self.workflow[name]["script"])


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copy(source, target)
