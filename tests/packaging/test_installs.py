"""What is packed, and that every way to install it finds the same schemas."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import re
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
from installing import (
    OUTSIDE,
    ROOT,
    Environment,
    copy_sources,
    environment,
    once,
    run,
    tools_of,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest needs it on the Pythons that have no tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
VERSION = re.findall(r'__version__ = "(.+)"', (ROOT / "runner/__init__.py").read_text())[0]
SCHEMAS = sorted(path.name for path in (ROOT / "schemas").glob("*.json"))
DEPENDENCIES = {"babel", "click", "jinja2", "jsonschema", "pyyaml", "requests"}
SITE = "Lib/site-packages" if os.name == "nt" else "lib/python3.*/site-packages"
ABOUT = f"message_runner-{VERSION}.dist-info"

# What lies about in a checkout and must not be packed, the manifest above all.
STRAY = (
    *("results/toloka.dev.jsonl", ".message-runner/local.sqlite", ".env", "notes.txt"),
    *("runner/__pycache__/spec.cpython-311.pyc", "runner/spec.py.orig", "runner/.DS_Store"),
    *("schemas/.message.schema.json.swp", "schemas/message.schema.json.bak", "messages/a.yaml~"),
    *("tests/unit/test_spec.py.rej", "tests/.coverage.host.1", "dist/old.whl"),
    *("runner/notes.txt", "runner/cli/setup/log.txt", "runner/results.jsonl", "schemas/old.json5"),
    *("runner/report/old.html", "runner/report/page.css~"),
)

pytestmark = [pytest.mark.installs, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Built:
    """The wheel and the sdist of one copy of the sources, and all that they need, as wheels."""

    folder: Path
    tools: Path

    @property
    def sources(self) -> Path:
        return self.folder / "sources"

    @property
    def house(self) -> Path:
        return self.folder / "house"

    @property
    def needs(self) -> Environment:
        """An environment with what ours needs, and not ours."""
        return Environment(self.folder / "needs")

    @property
    def installed(self) -> Environment:
        """An environment with the wheel, and what pip found that it needs."""
        return Environment(self.folder / "installed")

    @property
    def wheel(self) -> Path:
        return next((self.folder / "dist").glob("*.whl"))

    @property
    def sdist(self) -> Path:
        return next((self.folder / "dist").glob("*.tar.gz"))

    def pack(self, sources: Path, to: Path, *options: str) -> None:
        """Build from these sources; without options, the wheel is made from the sdist."""
        build = ("-m", "build", "--no-isolation", *options)
        done = run(self.tools / "python", *build, "--outdir", to, sources, cwd=self.folder)
        assert done.code == 0, done.said

    def environment(self, folder: Path, *wanted: str | Path) -> Environment:
        """Make an environment that holds what is wanted and what that needs, from the house."""
        made = environment(folder)
        made.install("--no-index", "--find-links", self.house, *wanted)
        return made

    def beside_needs(self, folder: Path, *wanted: str | Path) -> Environment:
        """Make an environment that holds what is wanted, and sees what that needs."""
        made = self.environment(folder, "--no-deps", *wanted)
        [theirs], [ours] = (each.folder.glob(SITE) for each in (self.needs, made))
        (ours / "needs.pth").write_text(f"{theirs}\n", encoding="utf-8")
        return made


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    tools = tools_of(tmp_path_factory)
    return Built(once(tmp_path_factory, "built", lambda folder: build(Built(folder, tools))), tools)


def build(built: Built) -> None:
    copy_sources(built.sources)
    for name in STRAY:
        path = built.sources / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("stray", encoding="utf-8")
    needed = PROJECT["build-system"]["requires"]
    built.pack(built.sources, built.folder / "dist")
    # An editable installation needs `editables` with some releases of the build backend.
    pip = Environment(built.tools.parent)
    pip.pip(*("wheel", "-q", "--wheel-dir", built.house, built.wheel, *needed, "editables"))
    built.environment(built.needs.folder, *PROJECT["project"]["dependencies"])
    built.environment(built.installed.folder, built.wheel)


def checkout(built: Built, _folder: Path) -> tuple[Sequence[str | Path], Mapping[str, str]]:
    env = {**OUTSIDE, "PYTHONPATH": str(built.sources)}
    return (built.needs.python, "-m", "runner"), env


def editable(built: Built, folder: Path) -> tuple[Sequence[str | Path], Mapping[str, str]]:
    made = built.beside_needs(folder, "--editable", built.sources)
    return (made.command("message-runner"),), OUTSIDE


def wheel(built: Built, _folder: Path) -> tuple[Sequence[str | Path], Mapping[str, str]]:
    return (built.installed.command("message-runner"),), OUTSIDE


def sdist(built: Built, folder: Path) -> tuple[Sequence[str | Path], Mapping[str, str]]:
    # The wheelhouse has a wheel of ours too; a path beats it.
    return (built.beside_needs(folder, built.sdist).command("message-runner"),), OUTSIDE


Way = Callable[[Built, Path], tuple[Sequence[str | Path], Mapping[str, str]]]


@pytest.mark.parametrize("way", [checkout, editable, wheel, sdist])
def test_every_way_to_install_finds_the_schemas(way: Way, built: Built, tmp_path: Path) -> None:
    command, env = way(built, tmp_path / "environment")
    outside = tmp_path / "outside"
    shutil.copytree(built.sources / "messages", outside / "messages")

    for name in SCHEMAS:
        printed = run(*command, "schema", name.split(".")[0], cwd=outside, env=env)
        assert printed.code == 0, printed.said
        assert printed.said == (built.sources / "schemas" / name).read_text(encoding="utf-8"), name
    validated = run(*command, "validate", cwd=outside, env=env)
    assert (validated.code, "valid" in validated.said) == (0, True), validated.said
    version = run(*command, "--version", cwd=outside, env=env)
    assert (version.code, version.said.split()[-1]) == (0, VERSION), version.said


def packed(built: Built, *folders: str) -> set[str]:
    """The files of these folders of ours, as they should be packed."""
    files = (path for folder in folders for path in (built.sources / folder).rglob("*"))
    kept = (path for path in files if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(built.sources).as_posix() for path in kept} - set(STRAY)


IN_THE_WHEEL = (
    r"runner/(\w+/)*\w+\.py",
    r"runner/py\.typed",
    r"runner/schemas/\w+\.schema\.json",
    r"runner/cli/setup/\w+\.ya?ml",
    r"runner/report/page\.(css|html\.j2)",
    rf"{re.escape(ABOUT)}/(METADATA|RECORD|WHEEL|entry_points\.txt|licenses/LICENSE)",
)


def test_the_wheel_holds_the_package_and_its_schemas_only(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        names = archive.namelist()
    beside = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    schemas = {f"runner/schemas/{name}" for name in SCHEMAS}

    assert len(names) == len(set(names))
    assert set(names) == packed(built, "runner") | schemas | {f"{ABOUT}/{name}" for name in beside}
    assert [name for name in names if not re.fullmatch("|".join(IN_THE_WHEEL), name)] == []
    assert all(any(re.fullmatch(kind, name) for name in names) for kind in IN_THE_WHEEL)


def test_the_sdist_holds_the_sources_only(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        members = archive.getmembers()
    names = [member.name.partition("/")[2] for member in members if member.isfile()]
    folders = packed(built, "runner", "schemas", "messages", "tests")
    files = {"README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "pyproject.toml"}
    # Hatchling adds .gitignore, by which it leaves out what git would.
    allowed = folders | files | {"PKG-INFO", "SECURITY.md", ".gitignore"}

    assert all(member.isfile() or member.isdir() for member in members)
    assert len(names) == len(set(names))
    assert set(names) - allowed == set()
    assert folders | files <= set(names)


def test_the_record_has_every_file_with_its_hash_and_size(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        listed = list(csv.reader(archive.read(f"{ABOUT}/RECORD").decode().splitlines()))
        found = {name: archive.read(name) for name in archive.namelist()}

    assert sorted(row[0] for row in listed) == sorted(found)
    for name, digest, size in listed:
        if name == f"{ABOUT}/RECORD":
            assert (digest, size) == ("", "")
        else:
            raw = hashlib.sha256(found[name]).digest()
            hashed = base64.urlsafe_b64encode(raw).decode().rstrip("=")
            assert (digest, size) == (f"sha256={hashed}", str(len(found[name]))), name


def test_another_build_makes_the_same_bytes(built: Built, tmp_path: Path) -> None:
    """At another time and place, of files with other times, straight from the sources."""
    elsewhere = copy_sources(tmp_path / "a clone")
    for path in elsewhere.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.utime(path, (1_500_000_000, 1_500_000_000))

    built.pack(elsewhere, tmp_path / "dist", "--sdist", "--wheel")

    for first in (built.wheel, built.sdist):
        assert (tmp_path / "dist" / first.name).read_bytes() == first.read_bytes(), first.name


def metadata(built: Built) -> Message:
    with zipfile.ZipFile(built.wheel) as archive:
        return message_from_bytes(archive.read(f"{ABOUT}/METADATA"))


def bounds(built: Built) -> dict[str, str]:
    """The lower bound of each dependency."""
    required = metadata(built).get_all("Requires-Dist", [])
    return dict(line.split(">=") for line in required if "extra ==" not in line)


def test_the_dependencies_are_these_with_lower_bounds(built: Built) -> None:
    found = bounds(built)

    assert set(found) == DEPENDENCIES
    assert all(re.fullmatch(r"[0-9]+(\.[0-9]+)+", bound) for bound in found.values()), found


SAFE = {
    "click": "8.3.3",  # CVE-2026-7246
    "jinja2": "3.1.6",  # CVE-2025-27516
    "requests": "2.33.0",  # CVE-2024-47081, CVE-2026-25645
}


@pytest.mark.parametrize(("name", "safe"), SAFE.items())
def test_the_lower_bound_has_the_known_security_fixes(name: str, safe: str, built: Built) -> None:
    bound = bounds(built)[name]

    assert [int(part) for part in bound.split(".")] >= [int(part) for part in safe.split(".")]


def test_the_metadata_name_licence_python_and_readme(built: Built) -> None:
    about = metadata(built)

    assert about["Name"] == "message-runner"
    assert about["License-Expression"] == "MIT"
    assert about["License-File"] == "LICENSE"
    assert about["Requires-Python"] == ">=3.10"
    known = set(about.get_all("Classifier", []))
    assert known >= {"Typing :: Typed", "Framework :: Jupyter", "Environment :: Console"}
    assert about["Description-Content-Type"] == "text/markdown"
    assert about["Summary"] == PROJECT["project"]["description"]
    assert str(about.get_payload()).startswith("# message-runner")


SCRIPT = """\
import runner
message = runner.Message(id="a", topic={"EN": "b"}, text={"EN": "c"}, recipients_ids=["d"])
print(runner.project("local").plan(message).send(expect=1)[0].status)
"""


def test_a_script_sends_from_the_wheel(built: Built, tmp_path: Path) -> None:
    done = run(built.installed.python, "-W", "error", "-c", SCRIPT, cwd=tmp_path)

    assert (done.code, done.said) == (0, "sent\n")


def test_an_index_would_take_both_and_show_the_readme(built: Built) -> None:
    done = run(
        built.tools / "twine", "--no-color", "check", "--strict", built.wheel, built.sdist, cwd=ROOT
    )

    assert done.code == 0, done.said


CONSUMER = """\
from pathlib import Path

from typing_extensions import assert_type

import runner
from runner import __version__
from runner.emulator import Emulator, parse_fault
from runner.emulator.faults import Fault

def url_of(store: Path) -> str:
    with Emulator(store, faults=[parse_fault("at=1,kind=500")]) as emulator:
        return emulator.url

version: str = __version__
assert_type(parse_fault("kind=500"), Fault)
assert_type(Emulator(Path("store")).url, str)

def send(project: runner.Project) -> str | None:
    message = runner.Message(id="a", text={"EN": "b"}, recipients_ids=["c"], rows=[{"d": 1}])
    report = project.plan(message).send(expect=1)
    report.check()
    assert_type(report, runner.Report)
    return report[0].thread_id

assert_type(runner.project("local"), runner.Project)
"""


def test_who_imports_it_sees_its_types(built: Built, tmp_path: Path) -> None:
    (tmp_path / "consumer.py").write_text(CONSUMER, encoding="utf-8")
    (tmp_path / "wrong.py").write_text("import runner\nrunner.project(1)\n")
    mypy = (sys.executable, "-m", "mypy", "--strict", "--python-executable", built.installed.python)
    # Nothing of this project's own checks: neither their cache nor their settings.
    cache = ("--cache-dir", tmp_path / "cache", "--config-file=")

    good = run(*mypy, *cache, "consumer.py", cwd=tmp_path)
    wrong = run(*mypy, *cache, "wrong.py", cwd=tmp_path)

    assert good.code == 0, good.said
    assert wrong.code == 1, wrong.said
    assert re.search(r"wrong\.py:2: .*\[arg-type\]", wrong.said), wrong.said
