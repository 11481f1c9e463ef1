"""The command where it may not take more than it should, and what it took.

`run_limited` measures a process of its own. `call_limited` is for the many files of one kind: it
calls the command in this process, whose memory may grow by so much and no more, and counts the
seconds; in the thorough profile it measures a process, too.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from support import COMMAND, IS_THOROUGH, Result, call_command

if sys.platform != "win32":
    import resource

MAX_SECONDS = 2.0
MAX_MIB = 200.0
_GIVE_UP_S = 60.0
_SAMPLE_S = 0.03
_PIECE_S = 0.1
# By so much the address space of a test's process may grow: threads reserve 64 MiB each.
_GROWTH_BYTES = 768 * 1024**2
# A process counts what the one that it was forked from had, so the command is started from a small
# one. The limits are what no test may have, whatever goes wrong: the machine is not ours alone.
_LAUNCHER = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2 * 1024**3, 2 * 1024**3))
resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
writing = int(sys.argv[1])
os.set_inheritable(writing, False)
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
status, used = os.wait4(pid, 0)[1:]
code = os.waitstatus_to_exitcode(status)
os.write(writing, f"{code} {used.ru_utime + used.ru_stime} {used.ru_maxrss}".encode())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the command and the processes that it started took, all together.

    `cpu_s` does not grow on a busy machine, as `wall_s` does. `peak_mib` is resident memory:
    the peaks of the processes that ran at one time, added up; 0 where only its growth was bound.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float


def call_limited(
    *args: str | Path, cwd: Path, env: Mapping[str, str] | None = None
) -> tuple[Result, Cost]:
    """Call a command that changes nothing, and count the seconds of it and of what it started.

    One that seems to be dear is called again, and the cheaper call counts: neighbours only add.
    """
    if IS_THOROUGH or sys.platform != "linux":
        return run_limited(*args, cwd=cwd, env=env)
    first = _counted(*args, cwd=cwd, env=env)
    if first[1].cpu_s < MAX_SECONDS:
        return first
    return min(first, _counted(*args, cwd=cwd, env=env), key=lambda ran: ran[1].cpu_s)


def _counted(*args: str | Path, cwd: Path, env: Mapping[str, str] | None) -> tuple[Result, Cost]:
    began, began_cpu_s = time.perf_counter(), _cpu_s()
    with _bounded():
        result = call_command(*args, cwd=cwd, env=env)
    wall_s, cpu_s = time.perf_counter() - began, _cpu_s() - began_cpu_s
    return result, Cost(wall_s=wall_s, cpu_s=cpu_s, peak_mib=0.0)


@contextmanager
def _bounded() -> Iterator[None]:
    """Let this process grow by so much, and measure no coverage: that is most of the time."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    tracer, before = sys.gettrace(), resource.getrlimit(resource.RLIMIT_AS)
    sys.settrace(None)
    resource.setrlimit(
        resource.RLIMIT_AS, (pages * resource.getpagesize() + _GROWTH_BYTES, before[1])
    )
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
        sys.settrace(tracer)


def _cpu_s() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def run_limited(
    *args: str | Path, cwd: Path, env: Mapping[str, str] | None = None
) -> tuple[Result, Cost]:
    """Run the command to its end within limits, and measure it."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        reading, writing = os.pipe()
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(writing), *COMMAND, *map(str, args)],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            pass_fds=[writing],
            start_new_session=True,
        )
        os.close(writing)
        watch = _Watch(process.pid)
        watch.start()
        with os.fdopen(reading) as pipe:
            told = pipe.read().split()
        process.wait()
        wall_s = time.perf_counter() - began
        watch.is_over.set()
        watch.join()
        assert told, "the command had to be killed"
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode())
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak_mib = max(float(told[2]) / unit, watch.peak_mib)
    cost = Cost(wall_s=wall_s, cpu_s=float(told[1]), peak_mib=peak_mib)
    return Result(int(told[0]), *texts), cost


def check_cheap(cost: Cost) -> None:
    """Hold the cost against what anything hostile may take.

    The seconds are those of a processor that is not slowed down by its neighbours; that nothing
    waits instead of computing is held by the wall clock, more loosely.
    """
    longest_s = 5 * MAX_SECONDS
    assert cost.peak_mib < MAX_MIB, cost
    if cost.cpu_s >= MAX_SECONDS or cost.wall_s >= longest_s:
        slower = slowness()
        assert cost.cpu_s < MAX_SECONDS * slower, cost
        assert cost.wall_s < longest_s * slower * crowd(), cost


def crowd() -> float:
    """How many processes share a processor with ours, 1 or more, where the system tells."""
    return (
        max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)) if hasattr(os, "getloadavg") else 1.0
    )


def slowness() -> float:
    """How many times as long as on a quiet machine a fixed piece of work takes now, 1 or more."""
    return max(1.0, *(_piece_s() / _PIECE_S for _ in range(3)))


def _piece_s() -> float:
    """Count and copy for a while: neighbours take the processor's time and the memory's."""
    began_s, total = time.process_time(), 0
    for number in range(1_000_000):
        total += number % 7
    text = "ab \u00e9" * 2_000_000
    for _ in range(3):
        text.replace("a", "c").encode().decode()
    return time.process_time() - began_s


class _Watch(threading.Thread):
    """Adds up the memory of a process and of those that it started, again and again."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.is_over = threading.Event()
        self.peak_mib = 0.0
        self._pid = pid

    def run(self) -> None:
        deadline = time.monotonic() + _GIVE_UP_S
        while not self.is_over.wait(_SAMPLE_S):
            self.peak_mib = max(self.peak_mib, sum(map(_peak_mib, _tree(self._pid))))
            if time.monotonic() > deadline:
                with suppress(ProcessLookupError):
                    os.killpg(self._pid, signal.SIGKILL)


def _tree(pid: int) -> Iterable[int]:
    """A process and everything below it, where the system tells (Linux)."""
    yield pid
    with suppress(OSError):  # A process may end while it is looked at.
        for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in tasks.read_text().split():
                yield from _tree(int(child))


def _peak_mib(pid: int) -> float:
    with suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0
