"""The surroundings of every test: no token, no CI, no proxy, a home of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from scripted import Answers, Scripted
from support import INSTALLS, IS_NIGHTLY, IS_THOROUGH, Project, Result, call_command

from runner.emulator import Emulator

_FOREIGN = ("TOLOKA_", "CI_", "GITHUB_", "GITLAB_")
_NAMES = {"CI", "NETRC", "NO_COLOR", "FORCE_COLOR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}
# Where this is set, each of a thousand processes would compile all modules again.
_NAMES.add("PYTHONDONTWRITEBYTECODE")

# What starts very many processes that run the same code as others': coverage makes each of them
# half as slow again. By path below this folder.
_UNMEASURED = (
    *("benchmarks/", "packaging/", "readme/", "results/", "setup/"),
    *("delivery/test_fault_matrix.py", "delivery/test_kill.py", "delivery/test_stateful.py"),
    *("hostile/test_files.py", "hostile/test_specs.py", "hostile/test_templates.py"),
    "hostile/test_windows.py",
)

# No machine is too slow, and the usual run tries the same examples each time: nobody's pull request
# fails by chance.
settings.register_profile(
    "ours",
    deadline=None,
    derandomize=not IS_THOROUGH,
    max_examples=100 if IS_NIGHTLY else 30,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ours")

RunCli = Callable[..., Result]
StartEmulator = Callable[..., Emulator]
StartScripted = Callable[..., Scripted]


def pytest_xdist_auto_num_workers() -> int:
    """Twice as many as there are processors: many tests wait for a while."""
    counts = getattr(os, "sched_getaffinity", None)
    return (len(counts(0)) if counts else os.cpu_count() or 1) * 2


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what installs something or takes long, but where that is asked for."""
    turns: Counter[tuple[Path, str]] = Counter()
    left_out = [item for item in items if _is_left_out(item, turns)]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def _is_left_out(item: pytest.Item, turns: Counter[tuple[Path, str]]) -> bool:
    installs = "tools" in getattr(item, "fixturenames", ()) or item.get_closest_marker("installs")
    is_dear = item.get_closest_marker("dear")
    is_thorough = item.get_closest_marker("thorough")
    return bool(
        (installs and not INSTALLS)
        or (is_dear and not IS_NIGHTLY)
        or (is_thorough and not IS_THOROUGH)
        or (not IS_NIGHTLY and _is_one_too_many(item, turns))
    )


def _is_one_too_many(item: pytest.Item, turns: Counter[tuple[Path, str]]) -> bool:
    """Whether it is a case of a test of which one in so many is enough, and not that one."""
    some = item.get_closest_marker("some")
    place = item.path, item.name.partition("[")[0]
    turns[place] += 1
    return some is not None and (turns[place] - 1) % some.args[0] != 0


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Take away what a test could read by mistake: credentials, CI, proxies, the real home."""
    for name in list(os.environ):
        if name.startswith(_FOREIGN) or name in _NAMES or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    here = request.path.relative_to(Path(__file__).parent).as_posix()
    if here.startswith(_UNMEASURED):
        for name in [name for name in os.environ if name.startswith("COVERAGE_PROCESS")]:
            monkeypatch.delenv(name)
    home = str(tmp_path_factory.mktemp("home"))
    monkeypatch.setenv("HOME", home)
    monkeypatch.setenv("USERPROFILE", home)


@pytest.fixture
def run_cli(tmp_path: Path) -> RunCli:
    """Call the command to its end, in an empty folder unless told where."""

    def run(
        *args: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> Result:
        return call_command(*args, cwd=cwd or tmp_path, env=env)

    return run


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project that has `messages/` and nothing else."""
    root = tmp_path / "project"
    (root / "messages").mkdir(parents=True)
    return Project(root)


@pytest.fixture
def start_emulator(tmp_path: Path) -> Iterator[StartEmulator]:
    """Start emulators on one store, with no limit on the rate unless asked for."""
    with ExitStack() as stack:

        def start(**options: Any) -> Emulator:
            store = options.pop("store", tmp_path / "toloka.sqlite")
            return stack.enter_context(Emulator(store, **{"rate_limit": 0, **options}))

        yield start


@pytest.fixture
def emulator(start_emulator: StartEmulator) -> Emulator:
    """An emulator that does what it is asked."""
    return start_emulator()


@pytest.fixture
def start_scripted() -> Iterator[StartScripted]:
    """Start servers that say what no Toloka would."""
    with ExitStack() as stack:

        def start(answers: Answers, **how: Any) -> Scripted:
            return stack.enter_context(Scripted(answers, **how))

        yield start


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine, with its key, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here to make a certificate with")
    file = tmp_path_factory.mktemp("tls") / "certificate.pem"
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", file)
    names = "subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost"
    made = ("openssl", "req", "-x509", "-days", "2", *key, "-subj", "/CN=here", "-addext", names)
    done = subprocess.run(made, capture_output=True, check=True, timeout=60)
    file.write_bytes(file.read_bytes() + done.stdout)
    return file
