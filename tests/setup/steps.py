"""Runs the steps of a job or of an action as GitHub does, and a job's script as GitLab does."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SHELL = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail")
_EXPRESSION = re.compile(r"\$\{\{\s*([\w.-]+)\s*\}\}")
_COMPARED = re.compile(r"\s*(\S+)\s*(==|!=)\s*('[^']*'|\"[^\"]*\")\s*")


def load_workflow(path: Path) -> dict[str, Any]:
    """Read a workflow or an action, every scalar as text, so that `on` is a word."""
    document: dict[str, Any] = yaml.load(path.read_text(), yaml.BaseLoader)
    return document


def is_so(condition: str, context: Mapping[str, str]) -> bool:
    """Whether a condition holds, of GitHub's or of GitLab's; a name that nothing gives is empty."""
    for part in condition.replace("\n", " ").split("&&"):
        compared = _COMPARED.fullmatch(part)
        if compared is None:
            value = context.get(part.strip(), "") != ""
        else:
            value = (context.get(compared[1], "") == compared[3][1:-1]) == (compared[2] == "==")
        if not value:
            return False
    return True


def as_gitlab_does(lines: Sequence[str]) -> str:
    """What GitLab makes of a job's script: a part of a pipeline, thus a shell below its shell."""
    return f"set -eo pipefail\n: | eval {shlex.quote(chr(10).join(lines))}\nexit 0\n"


@dataclass
class Runner:
    """One machine of a CI system: a folder, an environment, and what its steps did.

    `context` says what each `${{ expression }}` is; one that it does not name is a fault. `actions`
    does what `uses` names, by the action's name; what is not there is passed over.
    """

    workspace: Path
    temp: Path
    env: Mapping[str, str]
    context: dict[str, str] = field(default_factory=dict)
    actions: Mapping[str, Callable[[Mapping[str, str]], object]] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    codes: list[int] = field(default_factory=list)
    files: Path = field(init=False)
    """Where scripts and outputs are; `temp`, unless several jobs share that."""

    def __post_init__(self) -> None:
        self.temp.mkdir(parents=True, exist_ok=True)
        self.files = self.temp

    @property
    def code(self) -> int:
        """The exit code of the step that failed, else 0."""
        return next((code for code in self.codes if code), 0)

    @property
    def output(self) -> str:
        return "\n".join(self.said.values())

    def run(self, steps: Sequence[Mapping[str, Any]], env: Mapping[str, str] | None = None) -> int:
        """Run the steps until one fails; gives the job's exit code.

        `env` comes after the steps' own, so that a test can name another target.
        """
        for step in steps:
            assert "if" not in step, "there is no logic in a job"
            if "uses" in step:
                act = self.actions.get(step["uses"].split("@")[0], str)
                act({name: self.resolved(value) for name, value in step.get("with", {}).items()})
            elif self._run_step(step, env or {}):
                break
        return self.code

    def resolved(self, text: object) -> str:
        """Put in what the expressions of a text are."""
        return _EXPRESSION.sub(lambda found: self.context[found[1]], str(text))

    def start(self, script: str, env: Mapping[str, str]) -> subprocess.Popen[str]:
        """Start a script in a process group of its own."""
        file = self.files / f"script-{len(self.codes)}.sh"
        file.write_text(script)
        return subprocess.Popen(
            [*SHELL, file],
            cwd=self.workspace,
            env={**os.environ, **self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run_script(self, name: str, script: str, env: Mapping[str, str]) -> int:
        """Run a script to its end."""
        return self.finish(name, self.start(script, env))

    def finish(self, name: str, process: subprocess.Popen[str]) -> int:
        """Wait for the end of a script."""
        self.said[name], _ = process.communicate(timeout=240)
        self.codes.append(process.returncode)
        return process.returncode

    def env_of(self, step: Mapping[str, Any]) -> dict[str, str]:
        """What a step of GitHub's has in its environment besides the job's."""
        outputs = self.files / f"outputs-{len(self.codes)}"
        outputs.write_text("")
        own = {name: self.resolved(value) for name, value in step.get("env", {}).items()}
        return {"GITHUB_OUTPUT": str(outputs), "RUNNER_TEMP": str(self.temp), **own}

    def _run_step(self, step: Mapping[str, Any], env: Mapping[str, str]) -> int:
        # GitHub puts expressions into a script before bash sees it; ours must have none.
        assert "${{" not in step["run"]
        own = self.env_of(step)
        code = self.run_script(step.get("name") or step["id"], step["run"], {**own, **env})
        for line in Path(own["GITHUB_OUTPUT"]).read_text().splitlines():
            key, _, value = line.partition("=")
            self.context[f"steps.{step['id']}.outputs.{key}"] = value
        return code
