"""Most tests call the command in their own process: here both doors are shown to say the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import StartEmulator
from support import (
    THANKS,
    TOKEN,
    TOLOKER,
    Project,
    Result,
    call_command,
    control,
    direct,
    run_command,
)

from runner.emulator import Emulator

Door = Callable[..., Result]

PERSONAL = """\
topic: {EN: "Bonus, {{ row.name }}"}
text: {EN: "Merci, {{ row.name }} — £5"}
recipients_select_type: DIRECT
recipients_ids: ["{{ row.toloker_id }}"]
for_each: rows.csv
"""
BROKEN = "topic: {EN: Hi}\ntext: {EN: '{{ nobody }}'}\nrecipients_select_type: ALL\nmore: 1\n"

# What is told of one run and not of another: ids, times, ports, and the folder that it is in.
_VARIES = re.compile(
    r"\b[0-9a-f]{24,64}\b|\d{4}-\d\d-\d\dT[\d:.]+Z|127\.0\.0\.1[:-]\d+|\b[0-9a-f]{16}\b"
)

# Each line is one command after the other in one folder, so later ones meet what earlier ones left.
STORIES: dict[str, list[tuple[str, ...]]] = {
    "help": [("--help",), ("-h",), ("--version",), ("send", "--help"), ()],
    "usage": [("sedn",), ("send", "--nope"), ("send", "--limit", "0"), ("schema", "none")],
    "schemas": [("schema",), ("schema", "config"), ("schema", "manifest"), ("schema", "results")],
    "local": [
        *(("validate",), ("plan", "-v"), ("send", "--limit", "1"), ("send", "--results", "r.json")),
        *(("status", "--format", "json"), ("replies", "--format", "csv"), ("preview",)),
    ],
    "wrong": [
        *(("validate", "--color", "always", "broken"), ("plan", "broken"), ("send", "broken")),
        *(("validate", "--format", "junit", "broken"), ("validate", "gone")),
        *(("resolve", "abc", "--not-sent"), ("send", "--target", "nowhere")),
    ],
    "set-up": [("init", "mine"), ("init", "mine"), ("init", "mine/runner.yaml")],
}


def fill(root: Path) -> Project:
    project = Project(root)
    project.write("messages/thanks.yaml", THANKS)
    project.write("messages/rows.csv", f"toloker_id,name\n{TOLOKER},Zoë\nb2,张\n")
    project.write("messages/personal.yaml", PERSONAL)
    project.write("broken/broken.yaml", BROKEN)
    return project


def told(result: Result, root: Path) -> Result:
    def plain(text: str) -> str:
        return _VARIES.sub("*", text.replace(str(root), "ROOT"))

    return Result(result.code, plain(result.out), plain(result.err))


def play(door: Door, root: Path, story: list[tuple[str, ...]]) -> list[Result]:
    fill(root)
    return [told(door(*args, cwd=root), root) for args in story]


@pytest.mark.some(3)
@pytest.mark.parametrize("name", STORIES)
def test_both_doors_say_the_same_of_every_command(name: str, tmp_path: Path) -> None:
    by_call, by_process = tmp_path / "call", tmp_path / "process"
    said = play(call_command, by_call, STORIES[name])
    assert said == play(run_command, by_process, STORIES[name])
    names = [sorted(Project(root).files()) for root in (by_call, by_process)]
    assert names[0] == names[1]


@pytest.mark.dear
@pytest.mark.parametrize("fault", ["", "kind=500,at=1"])
def test_both_doors_say_the_same_of_a_server(
    fault: str, tmp_path: Path, start_emulator: StartEmulator
) -> None:
    said: list[Result] = []
    for number, door in enumerate((call_command, run_command)):
        emulator = start_emulator(store=tmp_path / f"{number}.sqlite")
        control(emulator, "faults", {"faults": [fault] if fault else []})
        project = Project(tmp_path / str(number))
        project.write("messages/a.yaml", direct("a1", "a2"))
        args = ("send", "--target", emulator.url, "--settle", "0.2", "--jobs", "1")
        for env in ({}, {"TOLOKA_TOKEN": TOKEN}, {"TOLOKA_TOKEN": TOKEN}):
            said.append(told(door(*args, cwd=project.root, env=env), project.root))
    assert said[:3] == said[3:]
    assert said[0].code == 2
    assert TOKEN not in str(said)


def test_a_call_knows_no_secret_of_an_earlier_one(tmp_path: Path, emulator: Emulator) -> None:
    project = Project(tmp_path / "project")
    project.write("messages/broken.yaml", BROKEN)
    project.write("good/a.yaml", direct("a1", extra="id: a\n"))
    sent = project.run("send", "--target", emulator.url, "good", TOLOKA_TOKEN="messages")
    assert sent.code == 0
    assert "messages/broken.yaml:" in project.run("validate").out
    # An error that ends a command goes through the mask.
    assert "messages/gone.yaml" in project.run("validate", "messages/gone.yaml").err
