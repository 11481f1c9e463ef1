"""A send that is interrupted in its cell, or whose kernel is killed: the next call goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from conftest import StartEmulator
from support import TIMEOUT_S, TOKEN, Project, calls, control, ended, reached, tolokers

import runner
from runner.api.interrupts import Interrupts, interruptible
from runner.emulator import Emulator
from runner.errors import ExitCode, StoppedError

PEOPLE = tolokers(24)
SCRIPT = """\
import sys
import runner

plan = runner.project(sys.argv[1]).plan()
try:
    plan.send(expect=24)
except KeyboardInterrupt as stopped:
    print(stopped, flush=True)
    plan.send(expect=24).check()
"""

not_on_windows = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


@contextmanager
def sending(
    project: Project, start_emulator: StartEmulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Emulator, subprocess.Popen[str]]]:
    """A program that has sent some of its messages, and has others to send."""
    monkeypatch.setenv("TOLOKA_TOKEN", TOKEN)
    emulator = start_emulator(latency_ms=60)
    project.write("runner.yaml", "defaults: {jobs: 2, settle: 0.1}\n")
    project.write("messages/rows.csv", "\n".join(["toloker_id", *PEOPLE, ""]))
    project.write(
        "messages/rows.yaml",
        "topic: {EN: Hello}\ntext: {EN: 'Hello {{ row.toloker_id }}'}\nfor_each: rows.csv\n"
        "recipients_select_type: DIRECT\nrecipients_ids: ['{{ row.toloker_id }}']\n",
    )
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, emulator.url],
        cwd=project.root,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while len(calls(emulator, "compose")) < 3:
            assert process.poll() is None, process.communicate()
        yield emulator, process
    finally:
        process.kill()
        process.communicate(timeout=TIMEOUT_S)


@not_on_windows
def test_an_interrupt_ends_the_work_and_a_wait_that_it_ends_is_an_interrupt() -> None:
    def work() -> str:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.stop.wait(TIMEOUT_S)
        if has_begun:
            return "what was done"
        raise StoppedError(ExitCode.INTERRUPTED)

    has_begun, interrupts = True, Interrupts()
    assert interruptible(work, interrupts) == "what was done"
    assert interrupts.exit_code == ExitCode.INTERRUPTED
    has_begun, interrupts = False, Interrupts()
    with pytest.raises(KeyboardInterrupt, match="before anything was sent"):
        interruptible(work, interrupts)


@not_on_windows
def test_an_interrupted_send_records_everything_and_the_same_call_goes_on(
    project: Project, start_emulator: StartEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sending(project, start_emulator, monkeypatch) as (emulator, process):
        process.send_signal(signal.SIGINT)
        result = ended(process)
        assert result.code == 0, result.err
        assert "everything is recorded; calling send again goes on" in result.out
        assert f"{len(PEOPLE)} sent" not in result.out
        assert reached(emulator) == PEOPLE
        events = Counter(line["event"] for line in project.events(emulator))
        assert (events["run"], events["end"]) == (2, 2)
        assert "Traceback" not in result.err


@pytest.mark.dear
@not_on_windows
def test_after_a_kernel_was_killed_the_next_call_settles_it(
    project: Project, start_emulator: StartEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sending(project, start_emulator, monkeypatch) as (emulator, process):
        process.kill()
        process.communicate(timeout=TIMEOUT_S)
        control(emulator, "behaviour", {"latency_ms": 0})
        again = runner.project(emulator.url, project.root)
        while again.plan().send(expect=24).exit_code:
            pass
        assert reached(emulator) == PEOPLE
