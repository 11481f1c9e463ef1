"""The composite action: its steps run as GitHub runs them, against the emulator."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from support import THANKS, TOKEN, TOLOKER, Project, calls, control, direct, reached

from runner.emulator import Emulator

from .steps import Runner, load_workflow
from .tools import OUTSIDE, ROOT, Done, copy_sources, needs_index, once

ACTION = load_workflow(ROOT / "action.yml")
Act = Callable[..., Runner]


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with this project as the action's checkout, and with the machine's own."""
    return once(tmp_path_factory, "machine", lambda folder: copy_sources(folder / "action"))


@pytest.fixture
def act(machine: Path, project: Project) -> Act:
    """Use the action in the project's folder, with these inputs and this environment."""

    def use(env: dict[str, str] | None = None, **inputs: str) -> Runner:
        given = {name: entry["default"] for name, entry in ACTION["inputs"].items()} | inputs
        assert given.keys() == ACTION["inputs"].keys()
        runner = Runner(
            workspace=project.root,
            temp=machine / "temp",
            env={"CI": "true", "GITHUB_ACTION_PATH": str(machine / "action"), **(env or {})},
            context={f"inputs.{name}": value for name, value in given.items()},
        )
        steps = ACTION["runs"]["steps"]
        # GitHub's machines run one job at a time; the tests here share theirs.
        with FileLock(machine / "install.lock"):
            runner.run(steps[:1], {"PIP_CONFIG_FILE": OUTSIDE.get("PIP_CONFIG_FILE", ""), **PIP})
        if list(runner.outcomes.values()) == ["failure"] and "::error::" not in runner.output:
            needs_index(Done(1, runner.output))
        runner.run(steps[1:])
        return runner

    return use


# The tests' own surroundings have another home, no proxy and no configuration of pip's.
PIP = {
    name: value
    for name, value in OUTSIDE.items()
    if name == "HOME" or name.startswith("PIP_") or name.lower().endswith("_proxy")
}


def outputs(runner: Runner) -> dict[str, str]:
    """The action's outputs; one that was not written is empty."""
    found = {}
    for name, entry in ACTION["outputs"].items():
        key = entry["value"].removeprefix("${{ ").removesuffix(" }}")
        found[name] = runner.context.get(key, "")
    return found


def counted(planned: int = 0, sent: int = 0, failed: int = 0, *, changes: bool) -> dict[str, str]:
    return {
        "planned": str(planned),
        "sent": str(sent),
        "failed": str(failed),
        "has_changes": str(changes).lower(),
    }


def test_it_validates_unless_asked_for_more(act: Act, project: Project) -> None:
    project.write("messages/thanks.yaml", THANKS)

    done = act()

    assert done.code == 0, done.output
    assert "1 message is valid" in done.output
    assert set(outputs(done).values()) == {""}


def test_a_message_that_is_wrong_is_annotated_and_ends_with_3(act: Act, project: Project) -> None:
    project.write("messages/wrong.yaml", THANKS.replace("topic", "topics"))

    done = act({"GITHUB_ACTIONS": "true"}, command="validate")

    assert done.code == 3
    assert "::error file=messages/wrong.yaml,line=1" in done.output


def test_plan_send_and_send_again(
    act: Act, project: Project, emulator: Emulator, tmp_path: Path
) -> None:
    project.write("messages/thanks.yaml", THANKS)
    project.write("messages/other.yaml", direct("bob"))
    token, summary = {"TOLOKA_TOKEN": TOKEN}, tmp_path / "summary.md"

    planned = act({"GITHUB_STEP_SUMMARY": str(summary)}, command="plan", target=emulator.url)
    assert calls(emulator) == []
    sent = act(token, command="send", target=emulator.url)
    again = act(token, command="send", target=emulator.url)

    assert (planned.code, sent.code, again.code) == (0, 0, 0), sent.output
    assert outputs(planned) == counted(planned=2, changes=True)
    assert outputs(sent) == counted(sent=2, changes=True)
    assert outputs(again) == counted(changes=False)
    assert reached(emulator) == [TOLOKER, "bob"]
    assert "thanks" in summary.read_text()
    status = act(command="status", target=emulator.url, paths="no/such/path")
    assert status.code == 0
    assert "thanks" in status.output
    replies = act(token, command="replies", target=emulator.url)
    assert replies.code == 0, replies.output
    assert TOKEN not in sent.output + replies.output


def test_what_is_refused_is_counted_and_the_exit_code_kept(
    act: Act, project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct("ada"))
    project.write("messages/b.yaml", direct("bob"))
    control(emulator, "faults", {"faults": ["at=1,kind=400"]})

    done = act({"TOLOKA_TOKEN": TOKEN}, command="send", target=emulator.url)

    assert done.code == 4
    assert outputs(done) == counted(sent=1, failed=1, changes=True)


def test_paths_are_split_at_line_ends_alone(act: Act, project: Project) -> None:
    project.write("messages/with space.yaml", direct("ada", extra="id: ada\n"))
    project.write("messages/-q.yaml", direct("bob", extra="id: bob\n"))
    project.write("messages/other.yaml", THANKS)

    paths = "messages/with space.yaml\r\n\nmessages/-q.yaml\n"
    done = act(command="plan", target="local", paths=paths)

    assert done.code == 0, done.output
    assert outputs(done)["planned"] == "2"


HOSTILE = (
    "; touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "messages\n; touch pwned",
    '"; touch pwned; "',
    "' ; touch pwned ; '",
    "--config=pwned.yaml",
    "messages && touch pwned",
    "* | touch pwned",
    "${IFS}touch${IFS}pwned",
    "END\ntouch pwned\nEND",
    "x\n::set-output name=sent::9\nsent=9",
)


@pytest.mark.parametrize("name", ["paths", "target", "command", "version"])
def test_an_input_is_never_a_command(act: Act, project: Project, name: str) -> None:
    project.write("messages/thanks.yaml", THANKS)
    for evil in HOSTILE:
        before = set(project.root.rglob("*")) | set(Path(os.curdir).glob("pwned*"))

        done = act(**{"command": "plan", "target": "local", name: evil})

        assert done.code == 2, (evil, done.output)
        assert set(project.root.rglob("*")) | set(Path(os.curdir).glob("pwned*")) == before
        assert outputs(done)["sent"] in ("", "0")
        assert not any(line.startswith("::set-output") for line in done.output.splitlines())


@pytest.mark.parametrize("command", ["init", "emulator", "resolve", "send --dry-run", "", "-h"])
def test_other_commands_are_refused(act: Act, command: str) -> None:
    done = act(command=command)

    assert done.code == 2
    assert "::error::the input command is" in done.output


def test_nothing_of_the_job_s_folder_is_taken_for_python(
    act: Act, project: Project, machine: Path
) -> None:
    for name in ("venv", "pip", "runner", "json", "sitecustomize"):
        project.write(f"{name}.py", "raise SystemExit('pwned')\n")
    project.write("messages/thanks.yaml", THANKS)
    for installed in (machine / "temp").glob("message-runner-*/installed"):
        with FileLock(machine / "install.lock"):
            installed.unlink(missing_ok=True)

    done = act(command="plan", target="local")

    assert done.code == 0, done.output
    assert outputs(done)["planned"] == "1"


def test_a_send_in_ci_that_names_no_target_is_refused(act: Act, project: Project) -> None:
    project.write("messages/thanks.yaml", THANKS)

    done = act({"TOLOKA_TOKEN": TOKEN}, command="send")

    assert done.code == 2
    assert outputs(done) == counted(changes=False)
    assert not (project.root / "results").exists()


def test_what_installs_does_not_see_the_token() -> None:
    install, run = ACTION["runs"]["steps"]

    assert install["env"]["TOLOKA_TOKEN"] == ""
    assert "TOLOKA_TOKEN" not in json.dumps(run)
