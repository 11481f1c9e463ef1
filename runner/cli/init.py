"""`init`: the files of a working set-up. It adds, and never changes what is there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from runner.cli.say import say
from runner.cli.workflow import APPROVALS, BRANCH, FROM_GIT, PLACES, SETUP, Workflow, find_branch
from runner.config import load_config
from runner.errors import ExitCode
from runner.files import make_folder, surroundings, write_whole
from runner.paths import CONFIG_NAME, MESSAGES_NAME, has_specs
from runner.spec.schema import schema_text
from runner.wording import listed, shown, shown_folder

_IGNORED = ("/.message-runner/", "/results/", "/message-preview.html")
# Where each looks for the owners, in its order: the first file that is there counts.
_OWNERS = {
    "github": (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"),
    "gitlab": ("CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS"),
}
_OWNERS_SAY = "# These files decide where messages go: name their owners, and take the # away."
_TOKEN_IN = {
    "github": "on GitHub, make the environment `production` (Settings, Environments) for the branch "
    "{branch} only, with the secret TOLOKA_TOKEN in it; where your plan has no environments for "
    "private repositories, a secret of the repository does",
    "gitlab": "on GitLab, add the variable TOLOKA_TOKEN, masked, protected and for the environment "
    "`production` only; let job tokens push (Settings, CI/CD, Job token permissions), or add "
    "RESULTS_TOKEN, a project access token that may write the repository; and make a schedule "
    "(Build, Pipeline schedules) for {branch}, such as {minute} * * * *",
}
_RESULTS = (
    "keep the repository private: its branch message-results will hold who got what. Forbid force "
    "pushes to it and its deletion, and allow ordinary pushes"
)
_APPROVED_BY = {
    "pull-request": "whoever merges approves: protect the branch {branch}, and let changes of it be "
    "reviewed",
    "dispatch": "nothing is sent until somebody runs the workflow on {branch} by hand, with the "
    "digest that its last plan printed",
    "environment": "make the environment `message-approval` and name its reviewers. Private "
    "repositories have reviewers on GitHub Enterprise, GitLab Premium and GitLab Ultimate only: an "
    "environment without any approves everything",
}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=".")
@click.option(
    "--ci",
    type=click.Choice(["github", "gitlab", "none"]),
    default="github",
    show_default=True,
    help="Whose workflow to write.",
)
@click.option(
    "--approval",
    type=click.Choice(APPROVALS),
    default="pull-request",
    show_default=True,
    help="Whose word a send waits for: the merge, somebody who starts it, or an environment's "
    "reviewers, which private repositories have on few plans.",
)
@click.option("--branch", metavar="NAME", help="The default branch; git is asked, else main.")
def init(folder: Path, ci: str, approval: str, branch: str | None) -> int:
    """Write a working set-up: configuration, first message, CI workflow.

    FOLDER is the top of your repository; the default is the current folder. A file that is there
    is kept as it is; only to .gitignore and CODEOWNERS, missing lines are added. Repeating it is
    safe.
    """
    if branch is not None and not BRANCH.fullmatch(branch):
        raise click.UsageError("--branch takes a name of letters, digits, '.', '_', '/' and '-'")
    branch = branch or find_branch(folder)
    workflow = None
    if ci in PLACES:
        workflow = Workflow(ci, approval, branch, folder.absolute().resolve().name)
    for line in _set_up(folder, branch, workflow):
        say(line)
    top = _repository(folder)
    if top not in (None, folder.absolute()):
        said = f"{shown_folder(folder)} is inside the git repository of {shown_folder(top)}"
        what = "CI reads workflows at its top only, and its remote will hold what was sent"
        say(f"warning: {said}: {what}; for a project of its own, choose a folder outside", err=True)
    _say_steps("Next", _first_steps(folder))
    _say_steps("When you send to Toloka", _later_steps(folder, branch, workflow))
    return ExitCode.DONE


def _say_steps(title: str, steps: Iterable[str]) -> None:
    say(f"\n{title}:")
    for number, step in enumerate(steps, start=1):
        say(f"{number}. {step}")


def _set_up(folder: Path, branch: str, workflow: Workflow | None) -> Iterator[str]:
    root = _messages_root(folder)
    schema = folder / "schemas" / "message.schema.json"
    yield from _new(
        folder, folder / CONFIG_NAME, _template("runner.yaml").replace("@BRANCH@", branch)
    )
    if has_specs(root):
        yield f"kept {shown(root)}/, which has messages"
    else:
        hello = _template("hello.yaml").replace("@SCHEMA@", _from(root, schema))
        yield from _new(folder, root / "hello.yaml", hello)
    yield from _schemas(folder, schema.parent)
    yield from _lines(folder, folder / ".gitignore", _IGNORED)
    if workflow is not None:
        yield from _new(folder, folder / workflow.place, workflow.text)
        owned = [f"# /{path} <owner>" for path in (CONFIG_NAME, workflow.place)]
        yield from _lines(folder, _owners_file(folder, workflow.ci), owned, above=_OWNERS_SAY)


def _first_steps(folder: Path) -> Iterator[str]:
    root = _from(folder, _messages_root(folder))
    if folder.absolute() != Path.cwd():
        yield f"go there: cd {shown(folder)}"
    yield f"edit the messages in {root}/, and see what would be sent: message-runner plan"
    yield "send to the emulator on this machine: message-runner send"


def _later_steps(folder: Path, branch: str, workflow: Workflow | None) -> Iterator[str]:
    if _repository(folder) is None:
        yield f"make a private repository: git init -b {branch}, and git remote add origin URL"
    yield _RESULTS
    if workflow is not None:
        yield from _ci_steps(folder, workflow)
    yield f"commit these files and push them to {branch}: with `policy: reviewed` nothing else is sent"


def _ci_steps(folder: Path, workflow: Workflow) -> Iterator[str]:
    for step in (_TOKEN_IN[workflow.ci], _APPROVED_BY[workflow.approval]):
        yield step.format(branch=workflow.branch, minute=workflow.minute)
    yield f"name the owners in {_from(folder, _owners_file(folder, workflow.ci))}"
    path, lines = folder / workflow.place, workflow.unpinned_lines
    if not path.is_file() or path.read_bytes() != workflow.text.encode():
        yield f"{workflow.place} is yours: take our jobs from what init writes in an empty folder"
    elif lines:
        where = listed([f"line {number}" for number in lines])
        yield (
            f"this message-runner came from a folder: write into {where} of {workflow.place} from "
            f"where to install it, such as pip install {FROM_GIT}"
        )


def _messages_root(folder: Path) -> Path:
    """Where this project's messages are, or will be."""
    config = folder.absolute() / CONFIG_NAME
    if config.is_file():
        return load_config(config, Path.cwd()).messages_root or folder / MESSAGES_NAME
    return folder / MESSAGES_NAME


def _schemas(top: Path, folder: Path) -> Iterator[str]:
    for name in ("message", "config"):
        yield from _new(top, folder / f"{name}.schema.json", schema_text(name))


def _new(top: Path, path: Path, content: str) -> Iterator[str]:
    """Write a file where none is, whole or not at all: what is there is kept the next time."""
    with surroundings(path):
        make_folder(path.parent, top)
        is_there = path.exists() or path.is_symlink()
    if is_there:
        yield f"kept {shown(path)}"
        return
    write_whole(path, [content.encode()])
    yield f"wrote {shown(path)}"


def _lines(top: Path, path: Path, wanted: Sequence[str], above: str = "") -> Iterator[str]:
    """Add the lines that a list of lines lacks; what it has stays byte for byte."""
    with surroundings(path):
        make_folder(path.parent, top)
        if path.is_symlink() or (path.exists() and not path.is_file()):
            yield f"{shown(path)} is not a plain file: add to it {' '.join(wanted)}"
            return
        old = path.read_bytes() if path.exists() else None
        said = (old or b"").decode("utf-8", "replace").splitlines()
        known = {_subject(line) for line in said}
        missing = [line for line in wanted if _subject(line) not in known]
        if not missing:
            yield f"kept {shown(path)}"
            return
        heading = [above] if above and above not in said else []
        end = "\r\n" if b"\r\n" in (old or b"") else "\n"
        gap = end if old and not old.endswith(b"\n") else ""
        _add(path, (gap + "".join(line + end for line in [*heading, *missing])).encode())
    yield f"{'wrote' if old is None else 'added lines to'} {shown(path)}"


def _add(path: Path, content: bytes) -> None:
    """Add to a file; what did not fit is taken back."""
    with path.open("ab", buffering=0) as stream:
        before = stream.tell()
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[stream.write(rest) :]
        except OSError:
            stream.truncate(before)
            raise


def _subject(line: str) -> str:
    """The path that a line is about, commented out or not, however it is anchored."""
    words = line.lstrip("# ").split()
    return words[0].strip("/") if words else ""


def _owners_file(folder: Path, ci: str) -> Path:
    places = [folder / name for name in _OWNERS[ci]]
    return next((path for path in places if path.exists()), places[0])


def _repository(folder: Path) -> Path | None:
    """The top of the repository that a folder is in."""
    here = folder.absolute()
    return next((each for each in (here, *here.parents) if (each / ".git").exists()), None)


def _from(folder: Path, path: Path) -> str:
    """Name a path as it looks from a folder."""
    return Path(os.path.relpath(path, folder)).as_posix()


def _template(name: str) -> str:
    return (SETUP / name).read_text(encoding="utf-8")
