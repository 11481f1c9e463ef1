"""Which module may import which: the arrows of the layout go one way."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import runner

PACKAGE = Path(runner.__file__).parent
OUTSIDE = {"babel", "click", "jinja2", "jsonschema", "requests", "yaml"}

SHELVES: tuple[tuple[str, ...], ...] = (
    ("model", "clock", "wording", "masking"),
    ("errors",),
    ("paths", "files", "git", "apart"),
    ("toloka",),
    ("spec", "manifest"),
    ("config", "render", "plan", "lookup"),
    ("prepare", "base", "send", "report"),
    ("api",),
    ("cli",),
    ("__main__",),
)
"""The house, from the ground up: what stands on a shelf imports from shelves before it only."""
FREE = {"__init__"}  # The version, which anybody may print.
ROOMS = {room: number for number, shelf in enumerate(SHELVES) for room in shelf}


@cache
def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for path in found if (name := known(path)) is not None}


def known(imported: str) -> str | None:
    """The module of ours, or the outside package, that an imported name belongs to."""
    first, *rest = imported.split(".")
    if first != "runner":
        return first if first in OUTSIDE else None
    for parts in (rest[:2], rest[:1]):
        file = PACKAGE.joinpath(*parts)
        if parts and (file.with_suffix(".py").is_file() or file.is_dir()):
            return ".".join(parts)
    return "__init__" if rest else None


def modules() -> dict[str, Path]:
    files = PACKAGE.rglob("*.py")
    names = {
        path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", "."): path
        for path in files
    }
    return {name: path for name, path in names.items() if not name.startswith("emulator")}


def room_of(module: str) -> str:
    return module.split(".")[0]


@pytest.mark.parametrize("name", sorted(set(modules()) - FREE))
def test_each_module_imports_from_shelves_before_its_own(name: str) -> None:
    room = room_of(name)
    assert room in ROOMS, f"{name} has no place in the house yet: give its folder a shelf"
    others = {room_of(each) for each in imports_of(modules()[name]) - FREE - OUTSIDE} - {room}
    allowed = {each for each, shelf in ROOMS.items() if shelf < ROOMS[room]}
    if room in ("api", "cli"):
        allowed |= {"emulator"}
    assert others <= allowed


def test_no_two_modules_import_each_other_in_a_circle() -> None:
    # What the package lets one import, it loads when it is asked for.
    files = {name: path for name, path in modules().items() if name not in FREE}
    left = {name: imports_of(path) & set(files) - {name} for name, path in files.items()}
    while done := {name for name, below in left.items() if not below}:
        left = {name: below - done for name, below in left.items() if name not in done}
    assert not left, "these import each other in a circle"


@pytest.mark.parametrize("name", sorted(modules()))
def test_no_module_is_longer_than_one_can_read(name: str) -> None:
    lines = modules()[name].read_text(encoding="utf-8").count("\n")
    assert lines <= 350, "look for a seam"


@pytest.mark.parametrize(
    ("outside", "users"),
    [
        ("click", {"cli"}),
        ("requests", {"toloka"}),
        ("yaml", {"spec"}),
        ("jinja2", {"cli", "render", "report"}),
        ("babel", {"render"}),
        ("jsonschema", {"spec"}),
        ("cli", {"__main__", "cli"}),
        ("emulator", {"api", "cli", "emulator"}),
    ],
)
def test_each_of_these_has_one_door(outside: str, users: set[str]) -> None:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".")
        if any(each.split(".")[0] == outside for each in imports_of(path)):
            found.add(name.split(".")[0])
    assert found == users


def test_every_word_goes_through_one_door() -> None:
    speaking = re.compile(r"\bclick\.(secho|echo)\(|\bprint\(|\.(stdout|stderr)\.write\(")
    found = {name for name, path in modules().items() if speaking.search(path.read_text("utf-8"))}
    assert found == {"cli.say"}


def test_the_emulator_shares_nothing_with_the_rest() -> None:
    for path in (PACKAGE / "emulator").glob("*.py"):
        assert {name.split(".")[0] for name in imports_of(path)} <= {"emulator"}, path.name


# Each of these takes long to load, and what does not use it shall not wait for it.
SENDING = {"requests", "runner.toloka.client", "runner.send", "concurrent.futures"}
SERVING = {"sqlite3", "http.server", "runner.emulator"}
READING = {"yaml", "jsonschema", "runner.prepare", "csv", "difflib"}
ODD = {"asyncio", "importlib.metadata", "zipfile", "unittest", "multiprocessing"}


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        ("--version", {*SENDING, *SERVING, *READING, *ODD, "jinja2"}),
        ("--help", {*SENDING, *SERVING, *READING, *ODD, "jinja2"}),
        ("schema", {*SENDING, *SERVING, "yaml", "jsonschema", "jinja2"}),
        ("validate", {*SENDING, *SERVING, "jinja2", "babel", "asyncio", "runner.report.page"}),
        ("plan", {*SENDING, *SERVING, "jinja2", "babel", "asyncio", "runner.report.page"}),
        ("status", {*SENDING, *SERVING, "jinja2", "jsonschema"}),
    ],
)
def test_a_command_loads_what_it_needs_and_nothing_else(
    tmp_path: Path, command: str, unwanted: set[str]
) -> None:
    (tmp_path / "messages").mkdir()
    (tmp_path / "messages" / "m.yaml").write_text(
        "topic: {EN: Hi}\ntext: {EN: '{{ (1 + 1)|number }}'}\nrecipients_select_type: ALL\n"
    )
    script = (
        f"import sys\nsys.argv = ['message-runner', {command!r}]\n"
        "from runner.cli import main\ntry:\n    main()\nexcept SystemExit as done:\n"
        f"    print(done.code, sorted({unwanted!r} & set(sys.modules)), file=sys.stderr)\n"
    )
    # Where coverage is measured, it brings a database of its own.
    environ = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stderr.splitlines()[-1] == "0 []"
