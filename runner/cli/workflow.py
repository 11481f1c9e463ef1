"""The workflow that `init` writes: what is sent when, and after whose word."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from runner.cli.pins import pinned
from runner.errors import SurroundingsError
from runner.git import Repository

PLACES = {"github": ".github/workflows/messages.yml", "gitlab": ".gitlab-ci.yml"}
APPROVALS = ("pull-request", "dispatch", "environment")
SETUP = Path(__file__).with_name("setup")
BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
FROM_GIT = "git+https://github.com/OWNER/REPO@COMMIT"
"""How to name a repository that has message-runner: there is none that all could be told of."""
_UNPINNED = (
    'echo "init ran from a folder, which no CI job can install - write here what it shall '
    f'install instead, such as pip install{{}} {FROM_GIT}" >&2; exit 1'
)
_DUE = {
    "github": "github.ref == 'refs/heads/{}' &&\n      "
    "needs.plan.outputs.action_needed == 'true' && needs.plan.outputs.due_at == ''",
    "gitlab": '$CI_COMMIT_BRANCH == "{}"',
}
_ASKED = {"github": " &&\n      inputs.digest != ''", "gitlab": " && $DIGEST"}


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow for one CI system.

    `branch` is the default branch, and `approval` says whose word a send waits for.
    """

    ci: str
    approval: str
    branch: str
    project: str

    @property
    def place(self) -> str:
        return PLACES[self.ci]

    @property
    def text(self) -> str:
        """The file, whole."""
        environment = Environment(
            loader=FileSystemLoader(SETUP),
            undefined=StrictUndefined,
            block_start_string="#<",
            block_end_string=">#",
            trim_blocks=True,
            lstrip_blocks=True,
            variable_start_string="<<",
            variable_end_string=">>",
            keep_trailing_newline=True,
            autoescape=False,  # noqa: S701  (it is YAML)
        )
        by_hand = self.approval == "dispatch"
        asked = _ASKED[self.ci] if by_hand else ""
        digest = ' --plan-digest "$DIGEST"' if by_hand else ""
        return environment.get_template(f"{self.ci}.yml").render(
            approval=self.approval,
            approved=f"--plan plan.json{digest} --approval {self.approval}",
            branch=self.branch,
            due=_DUE[self.ci].format(self.branch) + asked,
            install=self._install(),
            minute=self.minute,
        )

    @property
    def unpinned_lines(self) -> Sequence[int]:
        """Where somebody has to write what to install."""
        lines = enumerate(self.text.splitlines(), start=1)
        return [number for number, line in lines if FROM_GIT in line]

    @property
    def minute(self) -> int:
        """Off the full hour, when everybody's jobs start, and not the same for everybody."""
        return zlib.crc32(self.project.encode()) % 59 + 1

    def _install(self) -> str:
        where = " --target .packages" if self.ci == "gitlab" else ""
        wanted = " ".join(f'"{each}"' for each in pinned())
        return f"pip install{where} {wanted}" if wanted else _UNPINNED.format(where)


def find_branch(folder: Path) -> str:
    """The default branch, as far as the folder's repository tells; else main."""
    existing = next(each for each in (folder, *folder.absolute().parents) if each.is_dir())
    try:
        repository = Repository(existing, os.environ)
    except SurroundingsError:
        return "main"
    for ref in ("refs/remotes/origin/HEAD", "HEAD"):
        told = repository.run("symbolic-ref", "--quiet", "--short", ref)
        name = told.text.strip().removeprefix("origin/")
        if told.code == 0 and BRANCH.fullmatch(name):
            return name
    return "main"
