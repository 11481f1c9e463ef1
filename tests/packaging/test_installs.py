"""What is packed, and that every way to install it finds the same schemas."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
from filelock import FileLock

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest needs it on the Pythons that have no tomllib

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
VERSION = re.findall(r'__version__ = "(.+)"', (ROOT / "runner/__init__.py").read_text())[0]
SCHEMAS = sorted(path.name for path in (ROOT / "schemas").glob("*.json"))
DEPENDENCIES = {"click", "filelock", "jinja2", "jsonschema", "pyyaml", "requests"}

# Taken before any fixture changes it: an installation wants pip's own configuration and cache,
# and nothing that measures or configures this process.
OUTSIDE = {
    **{
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COVERAGE", "PYTEST", "PYTHON", "VIRTUAL_ENV", "TOLOKA"))
    },
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}
NO_INDEX = (
    *("NewConnectionError", "ConnectTimeoutError", "NameResolutionError", "Max retries exceeded"),
    *("ProxyError", "ReadTimeoutError", "(from versions: none)"),
)
# What lies about in a checkout and must not be packed, the manifest above all.
STRAY = (
    *("results/toloka.dev.jsonl", ".message-runner/local.sqlite", ".env", "notes.txt"),
    *(
        "runner/__pycache__/spec.cpython-311.pyc",
        "schemas/.message.schema.json.swp",
        "dist/old.whl",
    ),
)
NOT_COPIED = shutil.ignore_patterns(
    *(".git", ".venv", "__pycache__", "*.egg-info", ".*_cache", ".hypothesis", ".coverage*"),
    *("results", ".message-runner", "build", "dist"),
)

pytestmark = pytest.mark.timeout(600)


def run(
    *command: str | Path, cwd: Path, env: Mapping[str, str] = OUTSIDE
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=400,
    )


def install(*command: str | Path, cwd: Path) -> None:
    """Run a command that may need a package index."""
    done = run(*command, cwd=cwd)
    if done.returncode != 0:
        unreachable = any(sign in done.stdout for sign in NO_INDEX)
        if unreachable and "CI" not in OUTSIDE:
            pytest.skip("no package index can be reached to install from")
        pytest.fail(f"{' '.join(map(str, command))}\nended so:\n{done.stdout}")


@dataclass(frozen=True)
class Environment:
    """A virtual environment; `pip` installs into it from elsewhere, for it has no pip."""

    folder: Path

    @property
    def scripts(self) -> Path:
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    @property
    def python(self) -> Path:
        return self.scripts / ("python.exe" if os.name == "nt" else "python")

    @property
    def command(self) -> Path:
        return self.scripts / ("message-runner.exe" if os.name == "nt" else "message-runner")


@dataclass(frozen=True)
class Built:
    """The wheel and the sdist of one copy of the sources, and all that they need, as wheels."""

    folder: Path

    @property
    def sources(self) -> Path:
        return self.folder / "sources"

    @property
    def house(self) -> Path:
        return self.folder / "house"

    @property
    def tools(self) -> Environment:
        return Environment(self.folder / "tools")

    @property
    def wheel(self) -> Path:
        return next((self.folder / "dist").glob("*.whl"))

    @property
    def sdist(self) -> Path:
        return next((self.folder / "dist").glob("*.tar.gz"))

    def environment(self, folder: Path, *wanted: str | Path) -> Environment:
        """Make an environment that holds what is wanted and what that needs."""
        made = Environment(folder)
        install(sys.executable, "-m", "venv", "--without-pip", folder, cwd=self.folder)
        pip = (self.tools.python, "-m", "pip", "--python", made.python, "install", "-q")
        install(*pip, "--no-index", "--find-links", self.house, *wanted, cwd=self.folder)
        return made


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build once, however many processes share the tests."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if worker else base) / "built"
    with FileLock(f"{folder}.lock"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            build(Built(folder))
            (folder / "done").touch()
    return Built(folder)


def build(built: Built) -> None:
    shutil.copytree(ROOT, built.sources, ignore=NOT_COPIED)
    for name in STRAY:
        path = built.sources / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("stray", encoding="utf-8")
    install(sys.executable, "-m", "venv", built.tools.folder, cwd=built.folder)
    python = built.tools.python
    needed = PROJECT["build-system"]["requires"]
    install(python, "-m", "pip", "install", "-q", "build", *needed, cwd=built.folder)
    pack = ("build", "--no-isolation", "--outdir", built.folder / "dist", built.sources)
    # The wheel is made from the sdist, so each of them proves the other.
    install(python, "-m", *pack, cwd=built.folder)
    pip_wheel = ("pip", "wheel", "-q", "--wheel-dir", built.house)
    # An editable installation needs `editables` with some releases of the build backend.
    install(python, "-m", *pip_wheel, built.wheel, *needed, "editables", cwd=built.folder)


def checkout(built: Built, folder: Path) -> tuple[Sequence[str | Path], Mapping[str, str]]:
    made = built.environment(folder, *PROJECT["project"]["dependencies"])
    env = {**OUTSIDE, "PYTHONPATH": str(built.sources)}
    return (made.python, "-m", "runner"), env


def editable(built: Built, folder: Path) -> tuple[Sequence[str | Path], Mapping[str, str]]:
    return (built.environment(folder, "--editable", built.sources).command,), OUTSIDE


def wheel(built: Built, folder: Path) -> tuple[Sequence[str | Path], Mapping[str, str]]:
    return (built.environment(folder, built.wheel).command,), OUTSIDE


def sdist(built: Built, folder: Path) -> tuple[Sequence[str | Path], Mapping[str, str]]:
    # The wheelhouse has a wheel of ours too; a path beats it.
    return (built.environment(folder, built.sdist).command,), OUTSIDE


Way = Callable[[Built, Path], tuple[Sequence[str | Path], Mapping[str, str]]]


@pytest.mark.parametrize("way", [checkout, editable, wheel, sdist])
def test_every_way_to_install_finds_the_schemas(way: Way, built: Built, tmp_path: Path) -> None:
    command, env = way(built, tmp_path / "environment")
    outside = tmp_path / "outside"
    shutil.copytree(built.sources / "messages", outside / "messages")

    for name in SCHEMAS:
        printed = run(*command, "schema", name.split(".")[0], cwd=outside, env=env)
        assert printed.returncode == 0, printed.stdout
        assert printed.stdout == (built.sources / "schemas" / name).read_text(encoding="utf-8"), (
            name
        )
    validated = run(*command, "validate", cwd=outside, env=env)
    assert (validated.returncode, "valid" in validated.stdout) == (0, True), validated.stdout
    version = run(*command, "--version", cwd=outside, env=env)
    assert (version.returncode, version.stdout.split()[-1]) == (0, VERSION), version.stdout


def packed(built: Built, *folders: str) -> set[str]:
    """The files of these folders of ours, as they should be packed."""
    files = (path for folder in folders for path in (built.sources / folder).rglob("*"))
    kept = (path for path in files if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(built.sources).as_posix() for path in kept} - set(STRAY)


def test_the_wheel_holds_the_package_and_its_schemas_only(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        names = archive.namelist()
    about = f"message_runner-{VERSION}.dist-info"
    beside = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    schemas = {f"runner/schemas/{path.name}" for path in (ROOT / "schemas").iterdir()}

    assert len(names) == len(set(names))
    assert set(names) == packed(built, "runner") | schemas | {f"{about}/{name}" for name in beside}
    assert {"runner/py.typed", "runner/schemas/message.schema.json"} <= set(names)


def test_the_sdist_holds_the_sources_only(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
    names = {member.name.partition("/")[2] for member in members}
    folders = packed(built, "runner", "schemas", "messages", "tests")
    files = {"README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "pyproject.toml"}
    allowed = folders | files | {"PKG-INFO", "SECURITY.md", ".gitignore"}

    assert names - allowed == set()
    assert packed(built, "runner", "schemas") | files <= names


def metadata(built: Built) -> Message:
    with zipfile.ZipFile(built.wheel) as archive:
        name = f"message_runner-{VERSION}.dist-info/METADATA"
        return message_from_bytes(archive.read(name))


def test_the_dependencies_are_these_with_lower_bounds(built: Built) -> None:
    required = metadata(built).get_all("Requires-Dist", [])
    bounds = dict(line.split(">=") for line in required if "extra ==" not in line)

    assert set(bounds) == DEPENDENCIES
    assert all(re.fullmatch(r"[0-9]+(\.[0-9]+)+", bound) for bound in bounds.values()), bounds


@pytest.mark.parametrize(("name", "safe"), [("jinja2", "3.1.6"), ("requests", "2.32.4")])
def test_the_lower_bound_has_the_known_security_fixes(name: str, safe: str, built: Built) -> None:
    required = metadata(built).get_all("Requires-Dist", [])
    [bound] = [line.split(">=")[1] for line in required if line.startswith(f"{name}>=")]

    assert [int(part) for part in bound.split(".")] >= [int(part) for part in safe.split(".")]


def test_the_metadata_name_licence_python_and_readme(built: Built) -> None:
    about = metadata(built)

    assert about["License-Expression"] == "MIT"
    assert about["License-File"] == "LICENSE"
    assert about["Requires-Python"] == ">=3.10"
    assert str(about.get_payload()).startswith("# message-runner")
