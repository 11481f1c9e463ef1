"""The command where it may not take more than it should, and what it took.

`call_limited` is for what is hostile in a file: it calls the command in this process, and in one of
its own in the long profile. `run_limited` always starts a process: for what only a process has.
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
from itertools import islice
from pathlib import Path

from support import COMMAND, Result, call_command

if sys.platform != "win32":
    import resource

IS_THOROUGH = os.environ.get("MESSAGE_RUNNER_PROFILE") == "thorough"
MAX_SECONDS = 2.0
MAX_MIB = 200.0
_GIVE_UP_S = 60.0
_SAMPLE_S = 0.01
# What a command takes that does nothing, of which a test's process has most already.
_BARE_MIB = 40.0
# Whatever goes wrong, no call takes more than this of the machine's memory.
_MOST_BYTES = 2 * 1024**3
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
    the peaks of the processes that ran at one time, added up.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float


def call_limited(
    *args: str | Path, cwd: Path, env: Mapping[str, str] | None = None
) -> tuple[Result, Cost]:
    """Call the command to its end, and measure it and the processes that it starts."""
    if IS_THOROUGH or sys.platform != "linux":
        return run_limited(*args, cwd=cwd, env=env)
    with suppress(OSError):  # From here on, the peak is that of the call.
        Path("/proc/self/clear_refs").write_text("5")
    watch = _Watch(os.getpid(), ends_it=False)
    before_mib = _peak_mib(os.getpid())
    began, began_cpu = time.perf_counter(), _cpu_s()
    watch.start()
    with _bounded():
        result = call_command(*args, cwd=cwd, env=env)
    cpu_s, wall_s = _cpu_s() - began_cpu, time.perf_counter() - began
    watch.is_over.set()
    watch.join()
    own_mib = _BARE_MIB + _peak_mib(os.getpid()) - before_mib
    return result, Cost(wall_s=wall_s, cpu_s=cpu_s, peak_mib=own_mib + watch.peak_mib)


@contextmanager
def _bounded() -> Iterator[None]:
    """Bound the memory of this process, and measure no coverage, which would be most of the time."""
    tracer, (soft, hard) = sys.gettrace(), resource.getrlimit(resource.RLIMIT_AS)
    sys.settrace(None)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        sys.settrace(tracer)


def _cpu_s() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def run_limited(
    *args: str | Path, cwd: Path, env: Mapping[str, str] | None = None
) -> tuple[Result, Cost]:
    """Run the command as a process to its end within limits, and measure it."""
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

    The seconds are those of the processor, which a busy machine does not lengthen; that nothing
    waits instead of computing is held by the wall clock, very loosely.
    """
    assert cost.cpu_s < MAX_SECONDS, cost
    assert cost.peak_mib < MAX_MIB, cost
    assert cost.wall_s < 20 * MAX_SECONDS, cost


class _Watch(threading.Thread):
    """Adds up the memory of a process and of those that it started, again and again.

    With `ends_it` it also kills a process that does not end; otherwise what the process itself has
    is left out.
    """

    def __init__(self, pid: int, *, ends_it: bool = True) -> None:
        super().__init__(daemon=True)
        self._ends_it = ends_it
        self.is_over = threading.Event()
        self.peak_mib = 0.0
        self._pid = pid

    def run(self) -> None:
        deadline = time.monotonic() + _GIVE_UP_S
        while not self.is_over.wait(_SAMPLE_S):
            tree = islice(_tree(self._pid), 0 if self._ends_it else 1, None)
            self.peak_mib = max(self.peak_mib, sum(map(_peak_mib, tree)))
            if self._ends_it and time.monotonic() > deadline:
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
