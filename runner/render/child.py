"""The child process that renders templates, as its parent sees it: lines to it, lines from it."""

from __future__ import annotations

import math
import signal
import subprocess
import threading
import time
from collections.abc import Iterable
from contextlib import suppress

from runner.apart import started
from runner.errors import SurroundingsError

# The child limits its own time on the processor; this is for a system that has no such limit,
# or a child that has stopped.
_SECONDS_FOR_ONE = 20.0 if hasattr(signal, "setitimer") else 4.0
_SECONDS_TO_START = 60.0
_SECONDS_TO_END = 1.0
_WATCH_S = 0.1
_NOT_STARTED = "the process that renders templates did not start"


class Ended(Exception):
    """The child process is no more."""


class Child:
    """The child process, and the clock that ends it when it takes too long over an answer."""

    def __init__(self, shared: bytes, languages: Iterable[str]) -> None:
        self._shared = shared
        self._is_ready = False
        self._is_late = False
        self._is_over = threading.Event()
        self._deadline = math.inf
        try:
            self._process = started("runner.render.process", languages, stderr=subprocess.PIPE)
        except OSError as error:
            raise SurroundingsError(f"{_NOT_STARTED}: {error.strerror}") from error
        try:
            threading.Thread(target=self._watch, daemon=True).start()
        except RuntimeError as error:
            self.end()
            raise SurroundingsError(f"{_NOT_STARTED}: {error}") from error

    def write(self, line: bytes) -> None:
        """Write a line; one that cannot be written is noticed by the reading that follows."""
        if not self._is_ready:
            self._wait_until_ready()
        stdin = self._process.stdin
        with suppress(OSError):
            if stdin is not None:
                stdin.write(line)
                stdin.flush()

    def read(self, seconds: float = _SECONDS_FOR_ONE) -> bytes:
        """Read a line; raises `Ended`."""
        stdout = self._process.stdout
        self._deadline = time.monotonic() + seconds
        line = stdout.readline() if stdout is not None else b""
        self._deadline = math.inf
        if not line.endswith(b"\n"):
            raise Ended
        return line

    def why_ended(self) -> str:
        """Say what was wrong with the template that it was at; raises for a bug of ours."""
        said = b""
        with suppress(subprocess.TimeoutExpired):
            # It may be about to end by itself, and then says why.
            said = self._process.communicate(timeout=_SECONDS_TO_END)[1]
        self._process.kill()
        code = self._process.wait()
        if code == 1 and b"Traceback" in said and b"MemoryError" not in said:
            raise RuntimeError(f"the template process failed:\n{said.decode(errors='replace')}")
        ended_itself = hasattr(signal, "SIGVTALRM") and code == -signal.SIGVTALRM
        if self._is_late or ended_itself:
            return "this takes too long"
        return "this takes too much memory, or breaks Python"

    def end(self) -> None:
        """End the process: it holds nothing that could be lost."""
        self._is_over.set()
        self._process.kill()
        self._process.communicate()

    def _wait_until_ready(self) -> None:
        try:
            self.read(_SECONDS_TO_START)
        except Ended:
            self._process.kill()
            said = self._process.communicate()[1].decode(errors="replace").strip()
            raise SurroundingsError(f"{_NOT_STARTED}: {said[-2_000:]}") from None
        self._is_ready = True
        self.write(self._shared)

    def _watch(self) -> None:
        while not self._is_over.wait(_WATCH_S):
            if time.monotonic() > self._deadline:
                self._is_late = True
                self._process.kill()
