from __future__ import annotations

import json
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
# Taken before any fixture changes it: an installation wants pip's own configuration.
OUTSIDE = dict(os.environ)
SEES = Path(__file__).with_name("toloka_kit_sees.py")
MESSAGES = {
    "direct": "topic: {EN: Hi, RU: Привет}\ntext: {EN: One, RU: Раз}\n"
    "recipients_select_type: DIRECT\nrecipients_ids: [ann, bob]\nanswerable: false\n",
    "everyone": "topic: {EN: News}\ntext: {EN: Two}\nrecipients_select_type: ALL\n",
    "some": "topic: {EN: Skilled}\ntext: {EN: Three}\nrecipients_select_type: FILTER\n"
    "recipients_filter: {category: skill, key: '224', operator: GTE, value: 80}\n",
    "thanks": "text: {EN: Four}\nreply_to: direct\n",
}
OAUTH, API_KEY = "AgAAAAB0token", "a" * 23 + ".bb.ccc"


def run(
    command: Sequence[str | Path], cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env={**OUTSIDE, **environment},
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
        if unreachable and not OUTSIDE.get("CI"):
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
    check_what_it_sees_of_ours(python, tmp_path)


def check_what_it_sees_of_ours(python: Path, folder: Path) -> None:
    """What the client lists after our sends equals what we recorded."""
    (folder / "messages").mkdir()
    for name, text in MESSAGES.items():
        (folder / "messages" / f"{name}.yaml").write_text(text, encoding="utf-8")
    with Emulator(folder / "ours.sqlite3") as emulator:
        command = [sys.executable, "-m", "runner", "send", "--target", emulator.url]
        for number in range(2):  # The reply goes out with the second run.
            done = run(
                [*command, "--results", f"{number}.json"], cwd=folder, TOLOKA_TOKEN=OAUTH, CI=""
            )
            assert done.returncode == 0, done.stdout
        listed = run([python, SEES, emulator.url, OAUTH], NO_PROXY="*", no_proxy="*")
    assert listed.returncode == 0, listed.stdout
    seen = {each["thread_id"]: each for each in json.loads(listed.stdout)}
    results = json.loads((folder / "1.json").read_text(encoding="utf-8"))["deliveries"]
    composed = {each["thread_id"]: each for each in results if each["action"] == "compose"}
    assert set(seen) == set(composed)
    assert len(seen) == 3
    for thread_id, ours in composed.items():
        theirs = seen[thread_id]
        for name in ("topic", "recipients_select_type", "recipients_ids"):
            assert theirs[name] == ours[name], name
    [replied] = [each["thread_id"] for each in results if each["action"] == "reply"]
    assert seen[replied]["texts"] == [{"EN": "One", "RU": "Раз"}, {"EN": "Four"}]
    assert seen[replied]["answerable"] is False
