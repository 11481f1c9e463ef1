"""How the command ends by a signal where nothing has to be finished first."""

from __future__ import annotations

import os
import signal
import threading


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
