"""How the command ends by a signal: at once, or in good order where something is on its way."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from runner.api.interrupts import Interrupts


def end_at_once(number: int, _frame: object) -> None:
    """End as the signal alone would: as process 1, as in a container, it would do nothing."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)


def end_on_sigterm() -> None:
    """Let SIGTERM end the command at once, until somebody has more to do."""
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, end_at_once)


@contextmanager
def signals_caught() -> Iterator[Interrupts]:
    """Let the first SIGINT or SIGTERM end a run in good order; a second one ends it at once."""
    interrupts = Interrupts(may_kill=True)

    def note(number: int, _frame: object) -> None:
        interrupts.note(number)
        signal.signal(number, before[number])

    before = {int(each): signal.signal(each, note) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
