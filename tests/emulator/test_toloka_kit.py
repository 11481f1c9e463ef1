from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from runner.emulator import Emulator

SCRIPT = Path(__file__).with_name("toloka_kit_script.py")
# The client leaves its dependencies unbounded: it needs parts of httpx and cattrs that later
# releases lack, and `pkg_resources`, which later releases of setuptools lack.
REQUIREMENTS = (
    *("toloka-kit==1.2.3", "httpx<0.28", "cattrs<25"),
    *("setuptools<81", "attrs<27", "urllib3<3"),
)
NO_INDEX = (
    *("NewConnectionError", "ConnectTimeoutError", "NameResolutionError", "Max retries exceeded"),
    *("ProxyError", "ReadTimeoutError", "(from versions: none)"),
)
OAUTH, API_KEY = "AgAAAAB0token", "a" * 23 + ".bb.ccc"


def run(command: Sequence[str | Path], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )


def official_client(folder: Path) -> Path:
    """Install the official client, and give the interpreter that has it."""
    made = run([sys.executable, "-m", "venv", folder])
    assert made.returncode == 0, made.stdout
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    options = ["--disable-pip-version-check", "--quiet", "--retries", "1", "--timeout", "20"]
    installed = run([python, "-m", "pip", "install", *options, *REQUIREMENTS])
    if installed.returncode != 0:
        unreachable = any(sign in installed.stdout for sign in NO_INDEX)
        if unreachable and not os.environ.get("CI"):
            pytest.skip("no package index can be reached to install toloka-kit from")
        pytest.fail(f"toloka-kit cannot be installed:\n{installed.stdout}")
    return python


# One test and not several, so that the client is installed once however the tests are spread.
@pytest.mark.timeout(600)
def test_official_client_works_unmodified(tmp_path: Path) -> None:
    python = official_client(tmp_path / "client")
    for token in (OAUTH, API_KEY):
        store = tmp_path / f"{token}.sqlite3"
        with Emulator(store, rate_limit=0, daily_all_limit=0) as emulator:
            done = run([python, SCRIPT, emulator.url, token], NO_PROXY="*", no_proxy="*")
        assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["OK"]), done.stdout
