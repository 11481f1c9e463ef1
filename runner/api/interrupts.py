"""What ends a run before its end: a signal, or whoever called it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from runner.errors import ExitCode, StoppedError

_POLL_S = 0.2
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Interrupts:
    """The word to stop, and the numbers of the signals that gave it."""

    stop: threading.Event = field(default_factory=threading.Event)
    caught: list[int] = field(default_factory=list)

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
    done: list[_Value] = []
    failed: list[BaseException] = []
    # Of a thread whose `join` was interrupted Python 3.11 says that it has ended.
    has_ended = threading.Event()

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:  # noqa: BLE001  (it is raised where the work was asked for)
            failed.append(error)
        finally:
            has_ended.set()

    threading.Thread(target=run, name="message-runner").start()
    try:
        while not has_ended.is_set():
            try:
                has_ended.wait(_POLL_S)
            except KeyboardInterrupt:
                interrupts.note(signal.SIGINT)
    finally:
        # Whatever ends the wait, the work ends too, and gives back what it holds.
        if not has_ended.is_set():
            interrupts.note(signal.SIGINT)
    if failed and isinstance(failed[0], StoppedError) and interrupts.caught:
        raise KeyboardInterrupt(str(failed[0]))
    if failed:
        raise failed[0]
    return done[0]
