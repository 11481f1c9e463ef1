"""How far a run is: a bar on a terminal, a line now and then in the log of a CI job."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, TextIO

_LINE_EVERY_S = 15.0
_BAR_EVERY_S = 0.1
_WIDTH = 24

Drawing = Literal["bar", "lines", "nothing"]


class Progress:
    """Draws on a stream of its own, stderr, and leaves nothing behind where it draws a bar.

    Python has no stream where the file is closed; and nobody may be looking any more, while
    requests are on their way.
    """

    def __init__(
        self,
        stream: TextIO | None,
        *,
        draws: Drawing,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._draws = draws
        self._now_s = now_s
        self._begun: tuple[float, int] | None = None
        self._drawn_s = 0.0
        self._drawn = 0

    def __call__(self, done: int, total: int) -> None:
        """Note that `done` of `total` deliveries have been tried."""
        now_s = self._now_s()
        # Looking and asking came before, and say nothing of how quickly it goes.
        self._begun = self._begun or (now_s, done)
        every_s = _LINE_EVERY_S if self._draws == "lines" else _BAR_EVERY_S
        if total < 2 or now_s - max(self._drawn_s, self._begun[0]) < every_s:
            return
        self._drawn_s = now_s
        # What is split has more parts than were counted.
        total = max(done, total)
        text = _text(done, total, done - self._begun[1], now_s - self._begun[0])
        if self._draws == "bar":
            text = f"{'█' * (_WIDTH * done // total):░<{_WIDTH}} {text}"
        self.note(text)

    def note(self, text: str) -> None:
        """Say what is done or waited for now."""
        if self._draws == "lines":
            self._write(f"{text}\n")
        elif self._draws == "bar":
            # A line that wraps is not taken back; and a notebook knows no order to erase one.
            text = text[: shutil.get_terminal_size().columns - 1]
            self._write(f"\r{text.ljust(self._drawn)}")
            self._drawn = len(text)

    def close(self) -> None:
        """Take the bar away. Repeating is safe."""
        if self._drawn:
            self._write(f"\r{' ' * self._drawn}\r")
            self._drawn = 0

    def _write(self, text: str) -> None:
        if self._stream is not None:
            with suppress(OSError):
                self._stream.write(text)
                self._stream.flush()


def drawing_on(stream: TextIO | None, *, is_ci: bool) -> Drawing:
    """What suits a stream: a bar on a terminal and in a notebook, lines in a CI job's log."""
    # The stream of a notebook's kernel says that it is no terminal.
    is_notebook = type(stream).__module__.startswith("ipykernel.")
    if stream is not None and not is_ci and (stream.isatty() or is_notebook):
        return "bar"
    return "lines" if is_ci else "nothing"


def _text(done: int, total: int, done_since: int, passed_s: float) -> str:
    rate = done_since / passed_s if passed_s else 0.0
    left = f", {_duration((total - done) / rate)} left" if rate else ""
    return f"{done:,} of {total:,}, {rate:,.0f} a second{left}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
