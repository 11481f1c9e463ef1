"""Every command of the README is run, and prints what the README says."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from console import Bindings, Block, blocks, command_of
from installing import NOT_COPIED, OUTSIDE, PINS, ROOT, Done, copy_sources, needs_index

README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "schemas" / "README.md").read_text(encoding="utf-8")
PORT = "8765"

pytestmark = pytest.mark.skipif(
    os.name == "nt" or shutil.which("bash") is None, reason="the README's commands are for bash"
)


def run(
    command: str, cwd: Path, env: Mapping[str, str], *, timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=timeout_s,
    )


def here(**more: str) -> dict[str, str]:
    """The environment of a person's terminal, with the command that is being tested."""
    scripts = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", **more}


def fresh() -> dict[str, str]:
    """The environment of a machine where nothing of ours is installed or being measured."""
    kept = {name: value for name, value in OUTSIDE.items() if not name.startswith("CI")}
    scripts = str(Path(sys.executable).parent)
    path = [part for part in kept["PATH"].split(os.pathsep) if part != scripts]
    return {**kept, "PATH": os.pathsep.join(path)}


def installed(command: str, cwd: Path) -> str:
    """Run a command that installs; gives what it printed. pip says only what is wrong."""
    done = run(command, cwd, {**fresh(), "PIP_QUIET": "1"}, timeout_s=500)
    needs_index(Done(done.returncode, f"$ {command}\n{done.stdout}"))
    return done.stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return copy_sources(tmp_path / "clone")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the repository's messages and nothing else."""
    made = tmp_path / "folder"
    shutil.copytree(ROOT / "messages", made / "messages", ignore=NOT_COPIED)
    return made


@pytest.mark.installs
@pytest.mark.timeout(600)
def test_first_command_installs_and_sends(clone: Path) -> None:
    command = command_of(README, "setup")
    [block] = [each for each in blocks(README) if each.name == "setup"]
    [(_, written)] = block.commands()

    printed = installed(command, clone)

    assert Bindings().match(written, printed), printed


def test_second_command_installs_the_pins_and_passes_the_tests() -> None:
    """That it does is seen by `.ci/run`, which runs it as it stands, to the end."""
    *_, install, last = command_of(README, "tests").split(" && ")

    assert install.endswith(f"-c {PINS.relative_to(ROOT).as_posix()}")
    assert last == "pytest"


@pytest.mark.timeout(300)
def test_every_command_prints_what_the_readme_says(folder: Path) -> None:
    with servers() as start:
        session = Session(folder, start)
        for block in blocks(README):
            session.take(block)
    assert session.commands > 7


class Session:
    """One reader, following the README from its beginning to its end in one folder."""

    def __init__(self, folder: Path, servers: Servers) -> None:
        self._folder = folder
        self._where = folder.parent / "where"
        self._servers = servers
        self._bindings = Bindings()
        self._port = free_port()
        self._environment = here()
        self.commands = 0

    def take(self, block: Block) -> None:
        if block.kind == "file":
            path = self._folder / block.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.body.replace(PORT, self._port), encoding="utf-8")
        elif block.language == "console" and block.name != "tests":
            name, without, line = block.name.partition(" without ")
            if without:
                text = (self._folder / name).read_text(encoding="utf-8")
                assert f"{line}\n" in text
                (self._folder / name).write_text(text.replace(f"{line}\n", ""), encoding="utf-8")
            commands = list(block.commands())
            for number, (command, written) in enumerate(commands, start=1):
                is_last = number == len(commands)
                self._run(block, command, written, block.exit_code if is_last else 0)
                self.commands += 1
        elif block.language == "console":
            assert list(block.commands())
        else:
            assert block.kind == "script", f"line {block.line}: nothing tests this block"

    def _run(self, block: Block, command: str, written: str, exit_code: int) -> None:
        # What the first command sets up is tested above; what it does after that is done here.
        command = command.rpartition(" && ")[2] if block.name == "setup" else command
        real = self._bindings.put_into(command).replace(PORT, self._port)
        if block.name == "server":
            # A port that is free here, where another test may have the usual one.
            real = f"{real} --port {self._port}"
            printed = self._servers.start(real, self._folder, self._environment)
        else:
            # Where a command goes, the next ones are, as at a terminal.
            followed = f'{real}\ncode=$?; pwd >"$WHERE"; exit $code'
            done = run(followed, self._folder, {**self._environment, "WHERE": str(self._where)})
            printed = done.stdout
            assert done.returncode == exit_code, f"line {block.line}: $ {real}\n{printed}"
            self._folder = Path(self._where.read_text(encoding="utf-8").strip())
        printed = printed.replace(self._port, PORT)
        if not self._bindings.match(written, printed):
            pytest.fail(f"README line {block.line}: $ {real}\nprints\n{printed}\nnot\n{written}")


class Servers:
    """Commands that run in another terminal until they are stopped."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []

    def start(self, command: str, cwd: Path, env: Mapping[str, str]) -> str:
        """Start one; gives the first line that it prints."""
        server = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        self._started.append(server)
        assert server.stdout is not None
        return server.stdout.readline()

    def stop(self) -> None:
        for server in self._started:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=10)


@contextmanager
def servers() -> Iterator[Servers]:
    started = Servers()
    try:
        yield started
    finally:
        started.stop()


def free_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


def _headings(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "CONTRIBUTING.md",
        "schemas/README.md",
        "messages/README.md",
        "tests/benchmarks/README.md",
    ],
)
def test_links_lead_to_files_and_headings(name: str) -> None:
    page = ROOT / name
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        path, _, heading = link.partition("#")
        file = page.parent / path if path else page
        assert "://" in link or file.is_file(), link
        assert not heading or "://" in link or heading in _headings(file), link


def test_exit_codes_are_those_of_the_program() -> None:
    from runner.errors import ExitCode

    rows = re.findall(r"^\| ([0-9, ]+) \|", REFERENCE.partition("## Exit codes")[2], re.MULTILINE)
    written = [int(code) for row in rows for code in row.split(",")]
    assert written == list(ExitCode)


def test_every_module_is_on_the_map() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    names = (path.stem for path in (ROOT / "runner").iterdir() if path.suffix == ".py")
    folders = (path.parent.name + "/" for path in (ROOT / "runner").glob("*/__init__.py"))
    modules = {*folders, *(name for name in names if not name.startswith("__"))}
    assert {name for name in modules if f"`{name}`" not in text} == set()


def _named_tests(row: str) -> list[tuple[str, str]]:
    """The tests that a row of the threat model names: file and function."""
    named = []
    file = ""
    for given, function in re.findall(r"`([\w/]+\.py)?::(\w+)`", row):
        file = given or file
        named.append((file, function))
    return named


def test_every_line_of_the_threat_model_names_a_test_that_is_there() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    for row in rows:
        assert _named_tests(row), row
        for file, function in _named_tests(row):
            source = (ROOT / "tests" / file).read_text(encoding="utf-8")
            assert f"\ndef {function}(" in source, (file, function)
