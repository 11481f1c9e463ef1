"""The composite action: its steps run as GitHub runs them, against the emulator."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest
from installing import OUTSIDE, ROOT, Done, copy_sources, needs_index, once
from support import (
    THANKS,
    TOKEN,
    TOLOKER,
    Project,
    calls,
    control,
    direct,
    one_in,
    reached,
    run_command,
)

from runner.emulator import Emulator

from .steps import Runner, load_workflow

ACTION = load_workflow(ROOT / "action.yml")
Act = Callable[..., Runner]

pytestmark = pytest.mark.installs


# The tests' own surroundings have another home, no proxy and no configuration of pip's.
PIP = {
    name: value
    for name, value in OUTSIDE.items()
    if name == "HOME" or name.startswith("PIP_") or name.lower().endswith("_proxy")
}
FALSE_FRIENDS = ("venv", "pip", "ensurepip", "runner", "json", "click", "sitecustomize")


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with this project as the action's checkout, and with what the action installed."""
    return once(tmp_path_factory, "machine", _install)


def _install(folder: Path) -> None:
    """Let the action install itself, in a job whose folder would mislead Python."""
    copy_sources(folder / "action")
    workspace = folder / "workspace"
    workspace.mkdir()
    mislead(workspace)
    runner = on(folder, workspace, {})
    runner.run(ACTION["runs"]["steps"][:1], PIP)
    needs_index(Done(runner.code, runner.output))


def mislead(workspace: Path) -> None:
    for name in FALSE_FRIENDS:
        (workspace / f"{name}.py").write_text("raise SystemExit('pwned')\n")


def on(machine: Path, workspace: Path, inputs: dict[str, str], **env: str) -> Runner:
    given = {name: entry["default"] for name, entry in ACTION["inputs"].items()} | inputs
    assert given.keys() == ACTION["inputs"].keys()
    return Runner(
        workspace=workspace,
        temp=machine / "temp",
        env={"CI": "true", "GITHUB_ACTION_PATH": str(machine / "action"), **env},
        context={f"inputs.{name}": value for name, value in given.items()},
    )


@pytest.fixture
def act(machine: Path, project: Project, tmp_path: Path) -> Act:
    """Use the action in the project's folder, with these inputs and this environment."""

    def use(env: dict[str, str] | None = None, **inputs: str) -> Runner:
        runner = on(machine, project.root, inputs, **(env or {}))
        # The outputs are each test's own; what is installed is shared.
        runner.files = tmp_path
        runner.run(ACTION["runs"]["steps"])
        return runner

    return use


def outputs(runner: Runner) -> dict[str, str]:
    """The action's outputs; one that was not written is empty."""
    found = {}
    for name, entry in ACTION["outputs"].items():
        key = entry["value"].removeprefix("${{ ").removesuffix(" }}")
        found[name] = runner.context.get(key, "")
    return found


def counted(
    planned: int = 0, sent: int = 0, failed: int = 0, *, changes: bool, needed: bool = False
) -> dict[str, str]:
    return {
        "action_needed": str(needed).lower(),
        "due_at": "",
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
    summary = tmp_path / "summary.md"
    to_send = {"command": "send", "target": emulator.url, "token": TOKEN, "plan": "plan.json"}

    planned = act(
        {"GITHUB_STEP_SUMMARY": str(summary)}, **{**to_send, "command": "plan", "token": ""}
    )
    assert calls(emulator) == []
    sent = act(**to_send)
    again = act(**to_send)

    assert (planned.code, sent.code, again.code) == (0, 0, 0), sent.output
    assert outputs(planned) == counted(planned=2, changes=True, needed=True)
    assert outputs(sent) == counted(sent=2, changes=True)
    assert outputs(again) == counted(changes=False)
    assert reached(emulator) == [TOLOKER, "bob"]
    assert "thanks" in summary.read_text()
    status = act(command="status", target=emulator.url, paths="no/such/path")
    assert status.code == 0
    assert "thanks" in status.output
    replies = act(command="replies", target=emulator.url, token=TOKEN)
    assert replies.code == 0, replies.output
    assert TOKEN not in sent.output + replies.output


def test_what_is_refused_is_counted_and_the_exit_code_kept(
    act: Act, project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct("ada"))
    project.write("messages/b.yaml", direct("bob"))
    control(emulator, "faults", {"faults": ["at=1,kind=400"]})

    done = act(command="send", target=emulator.url, token=TOKEN)

    assert done.code == 4
    assert outputs(done) == counted(sent=1, failed=1, changes=True, needed=True)


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
    "--config=pwned.yaml",
    "* | touch pwned",
    "END\ntouch pwned\nEND",
    "x\n::set-output name=sent::9\nsent=9",
)


@pytest.mark.parametrize("name", one_in(3, ["paths", "target", "command", "version"]))
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


def test_nothing_of_the_job_s_folder_is_taken_for_python(act: Act, project: Project) -> None:
    """Nor was it when the action was installed."""
    mislead(project.root)
    project.write("messages/thanks.yaml", THANKS)

    done = act(command="plan", target="local")

    assert done.code == 0, done.output
    assert outputs(done)["planned"] == "1"


def test_a_send_in_ci_that_names_no_target_is_refused(act: Act, project: Project) -> None:
    project.write("messages/thanks.yaml", THANKS)

    done = act(command="send", token=TOKEN)

    assert done.code == 2
    assert outputs(done) == counted(changes=False)
    assert not (project.root / "results").exists()


def test_a_version_is_installed_as_that_release(
    machine: Path, project: Project, tmp_path: Path
) -> None:
    for version in ("9.8.6", "9.8.7", "9.8.8"):
        write_wheel(tmp_path, version)
    here = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_EXTRA_INDEX_URL": ""}
    runner = on(machine, project.root, {"version": "9.8.7"}, **here)
    runner.temp = runner.files = tmp_path
    install = ACTION["runs"]["steps"][:1]

    assert runner.run(install) == 0, runner.output

    python = runner.context["steps.install.outputs.bin"] + "/python"
    asked = "import importlib.metadata as m; print(m.version('message-runner'))"
    assert run_command(cwd=tmp_path, command=(python, "-c", asked)).out == "9.8.7\n"


def write_wheel(folder: Path, version: str) -> None:
    """Write a release of this project that holds nothing."""
    name = f"message_runner-{version}"
    about = f"Metadata-Version: 2.1\nName: message-runner\nVersion: {version}\n"
    kind = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with ZipFile(folder / f"{name}-py3-none-any.whl", "w") as wheel:
        for file, text in (("METADATA", about), ("WHEEL", kind), ("RECORD", "")):
            wheel.writestr(f"{name}.dist-info/{file}", text)


def test_what_is_installed_can_set_up_a_repository(act: Act, tmp_path: Path) -> None:
    done = act(command="status", target="local")
    command = (done.context["steps.install.outputs.bin"] + "/message-runner",)

    assert run_command("init", "new", cwd=tmp_path, command=command).code == 0
    assert run_command("validate", cwd=tmp_path / "new", command=command).code == 0


def test_what_installs_does_not_see_a_token(tmp_path: Path) -> None:
    """Neither an input's, nor one that the step's `env` holds for a target of its own."""
    home = tmp_path / "python3"
    home.write_text("#!/bin/sh\nenv\nexit 9\n")
    home.chmod(0o755)
    names = ("TOLOKA_TOKEN", "TOLOKA_TOKEN_TEAM", "RESULTS_TOKEN")
    env = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", **dict.fromkeys(names, TOKEN)}
    runner = on(tmp_path, tmp_path, {"token": TOKEN, "results-token": TOKEN}, **env)

    assert runner.run(ACTION["runs"]["steps"]) == 9
    assert "RUNNER_TEMP" in runner.output
    assert TOKEN not in runner.output
