"""The benchmarks run, on a size that says nothing about speed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import all_but

HERE = Path(__file__).parent
SMALL = {
    "send.py": ["--messages", "3", "--plain", "2", "--lines", "70", "--latency-ms", "0"],
    "plan.py": ["--recipients", "250"],
    "validate.py": ["--messages", "10", "--runs", "1"],
    "calls.py": [],
    "manifest.py": ["--lines", "300"],
    "branch.py": ["--runs", "20"],
    "evidence.py": ["--threads", "700", "--unknown", "3"],
}
SAID = {
    "send.py": ["answers 429", "a plain loop, 2 messages", "one flush for each line"],
    "plan.py": ["Would send 3 threads", "3 sent", "3 already sent"],
    "validate.py": ["validate / check-jsonschema", "100 messages, seconds", "--help / python"],
    "calls.py": ["different functions", "plans built", "functions by folders"],
    "manifest.py": ["json.loads", "the same lines as a history", "Would send 1 thread"],
    "branch.py": ["20 runs", "fetched and read", "status again"],
    "evidence.py": ["no manifest, 700 threads of others", "1 sent", "1 already sent", "3 adopted"],
}


def run(*command: str, cwd: Path) -> str:
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, check=True, capture_output=True, text=True, timeout=90
    ).stdout


@pytest.mark.dear
@pytest.mark.parametrize("name", all_but(["validate.py", "evidence.py", "plan.py"], SMALL))
def test_it_runs(tmp_path: Path, name: str) -> None:
    out = run(str(HERE / name), *SMALL[name], cwd=tmp_path)
    for said in SAID[name]:
        assert said in out


@pytest.mark.parametrize("name", SMALL)
def test_its_help_says_what_it_measures(tmp_path: Path, name: str) -> None:
    first = (HERE / name).read_text().splitlines()[0].strip('"')
    assert run(str(HERE / name), "--help", cwd=tmp_path).find(first) > 0
