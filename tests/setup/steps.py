"""Runs the steps of a job or of an action as GitHub does, and a job's scripts as GitLab does."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SHELL = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail")
_EXPRESSION = re.compile(r"\$\{\{\s*([\w.]+)\s*\}\}")
_OUTCOME = re.compile(r"steps\.(\w+)\.outcome == '(\w+)'")


class _GitLabLoader(yaml.SafeLoader):
    """Reads `!reference` as the list that it is."""


def _reference(loader: yaml.SafeLoader, node: yaml.SequenceNode) -> list[Any]:
    return list(loader.construct_sequence(node))


_GitLabLoader.add_constructor("!reference", _reference)


def load_workflow(path: Path) -> dict[str, Any]:
    """Read a workflow or an action; of GitHub's, every scalar as text, so that `on` is a word."""
    loader = _GitLabLoader if path.name == ".gitlab-ci.yml" else yaml.BaseLoader
    document: dict[str, Any] = yaml.load(path.read_text(), loader)
    return document


def gitlab_script(workflow: Mapping[str, Any], job: str, key: str = "script") -> str:
    """The lines that GitLab runs in one shell, those of `!reference` among them."""
    lines: list[str] = []
    for item in workflow[job].get(key, ()):
        lines += [item] if isinstance(item, str) else workflow[item[0]][item[1]]
    return "\n".join(lines) + "\n"


@dataclass
class Runner:
    """One machine of a CI system: a folder, an environment, and what its steps did.

    `context` says what each `${{ expression }}` is; one that it does not name is a fault.
    """

    workspace: Path
    temp: Path
    env: Mapping[str, str]
    context: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    codes: list[int] = field(default_factory=list)
    files: Path = field(init=False)
    """Where scripts and outputs are; `temp`, unless several jobs share that."""

    def __post_init__(self) -> None:
        self.temp.mkdir(parents=True, exist_ok=True)
        self.files = self.temp

    @property
    def code(self) -> int:
        """The exit code of the first step that failed, else 0."""
        return next((code for code in self.codes if code), 0)

    @property
    def output(self) -> str:
        return "\n".join(self.said.values())

    def run(self, steps: Sequence[Mapping[str, Any]], env: Mapping[str, str] | None = None) -> int:
        """Run the steps that are scripts; gives the job's exit code.

        `env` comes after the steps' own, so that a test can name another target.
        """
        for step in steps:
            if "uses" in step:
                continue
            if self._is_due(step.get("if")):
                self._run_step(step, env or {})
            else:
                self._note(step, "skipped")
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
        process = self.start(script, env)
        self.said[name], _ = process.communicate(timeout=120)
        self.codes.append(process.returncode)
        return process.returncode

    def _is_due(self, condition: str | None) -> bool:
        parts = condition.split(" && ") if condition else []
        has_failed = any(self.codes)
        if "always()" in parts:
            parts.remove("always()")
        elif has_failed:
            return False
        for part in parts:
            wanted = _OUTCOME.fullmatch(part)
            assert wanted is not None, f"this runner does not know the condition {part!r}"
            if self.outcomes.get(wanted[1]) != wanted[2]:
                return False
        return True

    def _run_step(self, step: Mapping[str, Any], env: Mapping[str, str]) -> None:
        outputs = self.files / f"outputs-{len(self.codes)}"
        outputs.write_text("")
        own = {name: self.resolved(value) for name, value in step.get("env", {}).items()}
        told = {"GITHUB_OUTPUT": str(outputs), "RUNNER_TEMP": str(self.temp)}
        # GitHub puts expressions into a script before bash sees it; ours must have none.
        assert "${{" not in step["run"]
        name = step.get("name") or step.get("id") or str(len(self.codes))
        code = self.run_script(name, step["run"], {**told, **own, **env})
        self._note(step, "failure" if code else "success")
        for line in outputs.read_text().splitlines():
            key, _, value = line.partition("=")
            self.context[f"steps.{step['id']}.outputs.{key}"] = value

    def _note(self, step: Mapping[str, Any], outcome: str) -> None:
        if "id" in step:
            self.outcomes[step["id"]] = outcome
