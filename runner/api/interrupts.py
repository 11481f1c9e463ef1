"""What ends a run before its end: a signal, or whoever called it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from runner.errors import ExitCode, StoppedError

_POLL_S = 0.2
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Interrupts:
    """The word to stop, and the numbers of the signals that gave it."""

    stop: threading.Event = field(default_factory=threading.Event)
    caught: list[int] = field(default_factory=list)
    may_kill: bool = False
    """Whether the system may end the process: not where Python is the caller, as in a notebook."""

    def note(self, number: int) -> None:
        """Stop: what is in flight is finished or recorded as unknown, and nothing more leaves."""
        self.caught.append(number)
        self.stop.set()

    @property
    def exit_code(self) -> ExitCode:
        """Why it stopped; where no signal was, another run ended this one."""
        return ExitCode(128 + self.caught[0]) if self.caught else ExitCode.LATER


def interruptible(work: Callable[[], _Value], interrupts: Interrupts) -> _Value:
    """Do work that an interrupt of the caller's thread lets end in good order.

    It is done in a thread of its own, which no `KeyboardInterrupt` can break off between two lines:
    that is noted, and raised only where the work had not begun. Needs no signal handler, and so any
    thread may call it.
    """
    it = _Work(work, interrupts)
    it.wait()
    if isinstance(it.failed, StoppedError) and interrupts.caught:
        raise KeyboardInterrupt(str(it.failed))
    if it.failed is not None:
        raise it.failed
    return it.done[0]


class _Work(Generic[_Value]):
    """Work in a thread, and the wait for it."""

    def __init__(self, work: Callable[[], _Value], interrupts: Interrupts) -> None:
        self.done: list[_Value] = []
        self.failed: BaseException | None = None
        self._work = work
        self._interrupts = interrupts
        self._may_begin = threading.Event()
        # Of a thread whose `join` was interrupted Python 3.11 says that it has ended.
        self._has_ended = threading.Event()

    def _run(self) -> None:
        self._may_begin.wait()
        try:
            if self._interrupts.caught:
                raise StoppedError(self._interrupts.exit_code)
            self.done.append(self._work())
        except BaseException as error:  # noqa: BLE001  (it is raised where the work was asked for)
            self.failed = error
        finally:
            self._has_ended.set()

    def wait(self) -> None:
        """Begin, and wait for the end; an interrupt is noted, and the wait goes on."""
        thread = threading.Thread(target=self._run, name="message-runner")
        try:
            # An interrupt in here is raised, and the work does not begin.
            thread.start()
            while not self._has_ended.is_set():
                try:
                    self._may_begin.set()
                    while not self._has_ended.wait(_POLL_S):
                        pass
                except KeyboardInterrupt:
                    self._interrupts.note(signal.SIGINT)
        finally:
            # Whatever ends the wait, the work ends too, and gives back what it holds.
            if not self._has_ended.is_set():
                self._interrupts.note(signal.SIGINT)
                self._may_begin.set()
