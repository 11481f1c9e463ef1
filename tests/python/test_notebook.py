"""What needs Jupyter or pandas: the notebook, a kernel that is stopped or killed, data frames."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import StartEmulator
from installing import NOTEBOOK, OUTSIDE, ROOT, Environment, copy_sources, environment, once
from support import TOKEN, Project, direct, reached, tolokers

HERE = Path(__file__).parent
pytestmark = [pytest.mark.installs, pytest.mark.timeout(600)]


@pytest.fixture(scope="session")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with this project, Jupyter and pandas."""

    def make(folder: Path) -> None:
        environment(folder / "env", copy_sources(folder / "sources"), *NOTEBOOK)

    return Environment(once(tmp_path_factory, "notebook", make) / "env")


# A person sits before a notebook, also where these tests run in a CI job.
DESK = {name: value for name, value in OUTSIDE.items() if name != "CI"}


def python(it: Environment, *args: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [it.python, "-W", "ignore", *args],
        cwd=cwd,
        env={**DESK, "TOLOKA_TOKEN": TOKEN, "IPYTHONDIR": str(cwd / ".ipython")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_the_notebook_runs_and_all_its_cells_again_write_to_nobody(
    notebook: Environment, project: Project
) -> None:
    cells = json.loads((ROOT / "messages" / "send-messages.ipynb").read_text())["cells"]
    assert not any(cell.get("outputs") for cell in cells), "what it gave here is no part of it"
    shutil.copy(ROOT / "messages" / "send-messages.ipynb", project.root / "messages")
    done = python(
        notebook, HERE / "kernels.py", "notebook", "messages/send-messages.ipynb", cwd=project.root
    )
    first, second = [json.loads(line) for line in done.stdout.splitlines()]
    assert "would send 1 thread to 1 Toloker" in first[3][0]
    assert '<iframe sandbox="" srcdoc=' in first[3][0]
    printed = [cell[0] for cell in first if cell and re.match("[0-9a-f]{24} ", cell[0])]
    topics = [
        "Thank you!",
        "New tasks: street signs",
        "You are now one of our experts",
        "Your bonus",
    ]
    assert [
        each.splitlines()[0].split(" ", 1)[1].removeprefix(f"{'1':0>32} ") for each in printed
    ] == topics
    assert "Would send nothing; 1 already sent" in second[3][0]
    assert [cell[0] for cell in second if cell and cell[0] in printed] == printed
    sent = [line for line in project.events() if line["event"] == "intent"]
    assert len(sent) == 5


def test_a_cell_is_stopped_a_kernel_killed_and_the_same_cell_goes_on(
    notebook: Environment,
    project: Project,
    start_emulator: StartEmulator,
) -> None:
    emulator, people = start_emulator(latency_ms=150), tolokers(40)
    project.write("runner.yaml", "defaults: {jobs: 1, settle: 0.1}\n")
    project.write("messages/rows.csv", "\n".join(["toloker_id", *people, ""]))
    rows = "for_each: rows.csv\nkey: '{{ row.toloker_id }}'\n"
    project.write("messages/rows.yaml", direct("{{ row.toloker_id }}", extra=rows))
    done = python(
        notebook, HERE / "kernels.py", "kernels", emulator.url, str(len(people)), cwd=project.root
    )
    stopped, finished = [json.loads(line) for line in done.stdout.splitlines()]
    assert (stopped["status"], stopped["ename"]) == ("error", "KeyboardInterrupt")
    assert "everything is recorded; calling send again goes on" in stopped["evalue"]
    assert re.search(r"\r█+░* \d+ of 40, ", stopped["printed"])
    assert finished["status"] == "ok", finished
    assert reached(emulator) == people


def test_whatever_pandas_puts_into_a_frame_is_a_cell(
    notebook: Environment, project: Project
) -> None:
    done = python(notebook, HERE / "frames.py", cwd=project.root)
    *rows, refusals = map(json.loads, done.stdout.splitlines())
    first = {
        **{"toloker_id": "0001", "name": "Ann", "grade": "a", "n": 1, "f": 3, "i": 1, "x": 12.5},
        **{"dec": 10.5, "paid": True, "ok": True, "day": "2026-05-01"},
        "at": "2026-05-01T10:00:00+00:00",
    }
    second = {**dict.fromkeys(first), "toloker_id": "0002", "i": 2, "x": 0.1, "ok": False}
    assert rows == [first, second, {**first, "l": [1, 2], "s": ["0001", "0002"]}]
    words = [
        "15 digits",
        "15 digits",
        "its zone",
        "a Timedelta",
        "an id is text",
        "3.0 may stand for 3",
    ]
    assert [word in said for word, said in zip(words, refusals, strict=True)] == [True] * 6, (
        refusals
    )
