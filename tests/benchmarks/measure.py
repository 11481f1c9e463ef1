"""Processes measured from outside: how long they took, and what of CPU and memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

COMMAND = (sys.executable, "-m", "runner")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a process took. CPU and memory are None where the system does not tell (Windows)."""

    seconds: float
    cpu_s: float | None
    peak_mib: float | None
    out: str


def measured(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None
) -> Measured:
    """Run a process to its end; raises `SystemExit` with its complaint if it fails."""
    with (cwd / "stdout").open("w+") as out, (cwd / "stderr").open("w+") as err:
        began_s = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=cwd, env={**os.environ, **(env or {})}, stdout=out, stderr=err
        )
        cpu_s, peak_mib = None, None
        if hasattr(os, "wait4"):
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            cpu_s = used.ru_utime + used.ru_stime
            peak_mib = used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
        code = process.wait()
        seconds = time.perf_counter() - began_s
        if code != 0:
            err.seek(0)
            raise SystemExit(f"{' '.join(command)} ended with {code}:\n{err.read()}")
        out.seek(0)
        return Measured(seconds=seconds, cpu_s=cpu_s, peak_mib=peak_mib, out=out.read())


@contextmanager
def emulator(folder: Path, *options: str) -> Iterator[str]:
    """Serve an emulator in a process of its own; gives its URL."""
    store = str(folder / "toloka.sqlite")
    process = subprocess.Popen(
        [*COMMAND, "emulator", "--port", "0", "--store", store, *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def row(name: str, value: object) -> None:
    """Print one figure."""
    print(f"  {name:<44}{value:>12}")


def whole(value: float | None, digits: int = 1) -> str:
    """Write a number; one that is not known as a dash."""
    return "-" if value is None else f"{value:,.{digits}f}"
