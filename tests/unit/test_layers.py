"""Which module may import which: the arrows of the layout go one way."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import runner

PACKAGE = Path(runner.__file__).parent
OUTSIDE = {"click", "filelock", "jinja2", "jsonschema", "requests", "urllib3", "yaml"}

ALLOWED: dict[str, set[str]] = {
    # The bottom: what everybody may use.
    "__init__": set(),
    "errors": set(),
    "model": set(),
    "clock": set(),
    "pacing": set(),
    "wording": set(),
    "masking": set(),
    "bounded": set(),
    "report.printable": set(),
    # Text to values.
    "yamlevents": {"errors", "yaml"},
    "yamlfile": {"errors", "yamlevents"},
    "filter_table": {"wording"},
    "filters": {"errors", "filter_table", "wording"},
    "complaints": {"errors", "filter_table", "wording", "jsonschema"},
    "schema": {"complaints", "errors", "filter_table", "filters", "wording", "jsonschema"},
    "paths": {"errors"},
    "recipients": {"errors", "filter_table", "paths"},
    "spec": {"errors", "model", "paths", "recipients", "schema", "yamlevents", "yamlfile"},
    "config": {"errors", "masking", "paths", "schema", "yamlfile"},
    # Values to messages and plans.
    "digest": {"filters", "model"},
    "template_faults": {"jinja2"},
    "sandbox": {"template_faults", "jinja2"},
    "template_process": {"sandbox", "template_faults"},
    "templates": {"errors", "paths", "yamlfile"},
    "render": {
        *("digest", "errors", "filter_table", "filters", "model", "paths", "recipients", "spec"),
        *("templates", "wording"),
    },
    "lint": {"errors", "model", "spec"},
    "quota": {"model"},
    "ledger": {"model"},
    "objections": {"errors", "ledger", "model"},
    "plan": {"errors", "ledger", "model", "objections"},
    "planfile": {"clock", "errors", "model", "paths", "plan"},
    "prepare": {"config", "errors", "lint", "model", "paths", "plan", "recipients", "render", "spec"},
    # What is kept, and the wire.
    "events": {"clock", "model"},
    "journal": set(),
    "manifest": {"clock", "errors", "events", "journal", "model", "paths", "filelock"},
    "answers": {"clock", "model"},
    "toloka": {
        *("answers", "bounded", "clock", "errors", "masking", "model", "requests", "urllib3"),
    },
    # What acts.
    "reconcile": {"clock", "digest", "filters", "model"},
    "send": {"errors", "model", "pacing"},
    "folders": {"errors", "model", "pacing", "send"},
    "settle": {"clock", "errors", "manifest", "model", "pacing", "plan", "reconcile"},
    "run": {
        *("clock", "errors", "folders", "manifest", "model", "pacing", "plan", "quota"),
        *("reconcile", "send", "settle"),
    },
    "trial": {
        *("digest", "errors", "manifest", "model", "pacing", "plan", "reconcile", "run", "send"),
    },
    # What tells.
    "conversation": {"clock", "model"},
    "report.answers": {"clock", "conversation", "report.printable"},
    "report.page_markup": {"report.printable"},
    "report.page_style": set(),
    "report.page": {"model", "plan", "report.page_markup", "report.page_style", "report.text"},
    "report.problems": {"errors", "report.printable"},
    "report.progress": set(),
    "report.results": {"clock", "errors", "events", "model", "paths"},
    "report.status": {"clock", "conversation", "model", "report.printable"},
    "report.summary": {"errors", "model", "plan", "report.printable", "report.text"},
    "report.text": {"model", "plan", "report.printable"},
    "__main__": {"cli"},
}  # fmt: skip


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
    return {name: path for name, path in names.items() if not name.startswith(("cli", "emulator"))}


FREE = {"__init__"}  # The version, which anybody may print.


@pytest.mark.parametrize("name", sorted(set(modules()) - {"report.__init__"}))
def test_each_module_imports_only_what_the_layout_allows(name: str) -> None:
    assert name in ALLOWED, f"{name} has no place in the layout yet: give it one in ALLOWED"
    assert imports_of(modules()[name]) - FREE <= ALLOWED[name]


def test_the_layout_names_no_module_that_is_gone() -> None:
    assert set(ALLOWED) - set(modules()) == set()


def test_the_arrows_go_one_way() -> None:
    ours = {name: allowed & set(ALLOWED) for name, allowed in ALLOWED.items()}
    while done := {name for name, below in ours.items() if not below}:
        ours = {name: below - done for name, below in ours.items() if name not in done}
    assert not ours, "these import each other in a circle"


@pytest.mark.parametrize(
    ("outside", "users"),
    [
        ("click", {"cli"}),
        ("requests", {"toloka"}),
        ("urllib3", {"toloka"}),
        ("yaml", {"yamlevents"}),
        ("jinja2", {"sandbox", "template_faults"}),
        ("jsonschema", {"schema", "complaints"}),
        ("filelock", {"manifest"}),
        ("cli", {"__main__", "cli"}),
        ("emulator", {"cli", "emulator"}),
    ],
)
def test_each_of_these_has_one_door(outside: str, users: set[str]) -> None:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".")
        if any(each.split(".")[0] == outside for each in imports_of(path)):
            found.add(name.split(".")[0])
    assert found == users


def test_the_emulator_shares_nothing_with_the_rest() -> None:
    for path in (PACKAGE / "emulator").glob("*.py"):
        assert {name.split(".")[0] for name in imports_of(path)} <= {"emulator"}, path.name


# Each of these takes long to load, and what does not use it shall not wait for it.
SENDING = {"requests", "urllib3", "runner.toloka", "runner.send", "concurrent.futures"}
SERVING = {"sqlite3", "http.server", "runner.emulator"}
READING = {"yaml", "jsonschema", "runner.prepare", "csv", "difflib"}
ODD = {"asyncio", "importlib.metadata", "zipfile", "unittest", "multiprocessing"}


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        ("--version", {*SENDING, *SERVING, *READING, *ODD, "jinja2", "filelock", "subprocess"}),
        ("--help", {*SENDING, *SERVING, *READING, *ODD, "jinja2", "filelock", "subprocess"}),
        ("schema", {*SENDING, *SERVING, "yaml", "jsonschema", "jinja2", "filelock"}),
        ("validate", {*SENDING, *SERVING, "jinja2", "filelock", "asyncio", "runner.report.page"}),
        ("plan", {*SENDING, *SERVING, "jinja2", "filelock", "asyncio", "runner.report.page"}),
        ("status", {*SENDING, *SERVING, "jinja2", "jsonschema"}),
    ],
)
def test_a_command_loads_what_it_needs_and_nothing_else(
    tmp_path: Path, command: str, unwanted: set[str]
) -> None:
    (tmp_path / "messages").mkdir()
    (tmp_path / "messages" / "m.yaml").write_text(
        "topic: {EN: Hi}\ntext: {EN: '{{ 1 + 1 }}'}\nrecipients_select_type: ALL\n"
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
