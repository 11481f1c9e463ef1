"""Processes of our own beside this one, and work that is shared out over the machine's cores.

They run the same Python and the same code, with none of our environment: no secret, no setting.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar, cast

Part = TypeVar("Part")
Result = TypeVar("Result")

# All that such a process gets of our environment: what Windows and shared builds of Python need.
_ENVIRONMENT = ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_COMMAND = (
    "import sys; sys.path[:] = sys.argv[3:]; from importlib import import_module; "
    "import_module(sys.argv[1]).main(sys.argv[2].split())"
)
_MOST_HELPERS = 3


def started(module: str, words: Iterable[str] = (), **options: Any) -> subprocess.Popen[bytes]:
    """Start `main(words)` of a module of ours, which hears and speaks by pipes; raises `OSError`.

    `options` are those of `subprocess.Popen`.
    """
    here = str(Path(__file__).resolve().parents[1])
    found = [os.path.abspath(folder) for folder in sys.path]  # noqa: PTH100  # `''` is here
    return subprocess.Popen(  # noqa: S603  # our own code, in our own Python
        [sys.executable, "-I", "-S", "-c", _COMMAND, module, " ".join(words), *found, here],
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        **options,
    )


def shared_out(
    work: Callable[[Part], Result], parts: Sequence[Part], *, is_much: bool
) -> Iterator[Result]:
    """Do some work on each part; gives the results in the order of the parts.

    Where it is much, other cores help. `work`, parts and results can be pickled then, and the
    outcome is the same: what a helper fails at is done here, and raises here.
    """
    helpers = min(_cores() - 1, _MOST_HELPERS) if is_much else 0
    if not helpers:
        yield from map(work, parts)
        return
    with _Shared(work, parts, helpers) as shared:
        yield from shared.results()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Shared(AbstractContextManager["_Shared[Part, Result]"], Generic[Part, Result]):
    """Parts of some work: who has which, and what came of those that are done."""

    def __init__(self, work: Callable[[Part], Result], parts: Sequence[Part], helpers: int) -> None:
        self._work = work
        self._parts = parts
        self._taken = 0
        self._given_back: list[int] = []
        self._done: dict[int, Result] = {}
        self._changed = threading.Condition()
        self._helpers: list[subprocess.Popen[bytes]] = []
        self._threads: list[threading.Thread] = []
        # What cannot be pickled, started or watched is done without.
        with suppress(Exception):
            # Now, for whoever works may keep what cannot be pickled.
            asked = pickle.dumps(work, pickle.HIGHEST_PROTOCOL)
            for _ in range(helpers):
                self._helpers.append(started(__name__, stderr=subprocess.DEVNULL))
                given = (self._helpers[-1], asked)
                thread = threading.Thread(target=self._let_help, args=given, daemon=True)
                thread.start()
                self._threads.append(thread)

    def __exit__(self, *exception: object) -> None:
        for process in self._helpers:
            process.kill()
        for thread in self._threads:
            thread.join()
        for process in self._helpers:
            process.communicate()

    def results(self) -> Iterator[Result]:
        """Give each result as soon as it is there, and do meanwhile what nobody does."""
        for number in range(len(self._parts)):
            while number not in self._done:
                with self._changed:
                    mine = self._take()
                    if mine is None and number not in self._done:
                        self._changed.wait()
                if mine is not None:
                    self._put(mine, self._work(self._parts[mine]))
            yield self._done.pop(number)

    def _put(self, number: int, result: Result) -> None:
        with self._changed:
            self._done[number] = result
            self._changed.notify_all()

    def _take(self) -> int | None:
        """Take a part that nobody has; None where there is none."""
        with self._changed:
            if self._given_back:
                return self._given_back.pop()
            if self._taken == len(self._parts):
                return None
            self._taken += 1
            return self._taken - 1

    def _let_help(self, process: subprocess.Popen[bytes], work: bytes) -> None:
        taken = None
        try:
            asks, answers = cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout)
            asks.write(work)
            while (taken := self._take()) is not None:
                pickle.dump(self._parts[taken], asks)
                asks.flush()
                self._put(taken, pickle.load(answers))  # noqa: S301  # from our own process
                taken = None
        except Exception:  # noqa: BLE001  # whatever it was: it is done here, and raises here
            with self._changed:
                self._given_back += [] if taken is None else [taken]
                self._changed.notify_all()


def main(_words: Sequence[str]) -> None:
    """Do the work that is asked for, part by part, until there is no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Whoever asked hears it too, and ends us.
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    work = pickle.load(asked)  # noqa: S301  # Our own process asks.
    with suppress(EOFError):
        while True:
            result = work(pickle.load(asked))  # noqa: S301  # Likewise.
            pickle.dump(result, answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()
