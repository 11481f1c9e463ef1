"""How far a run is: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Literal, TextIO

_LINE_EVERY_S = 5.0
_BAR_EVERY_S = 0.1
_WIDTH = 24

Drawing = Literal["bar", "lines", "nothing"]


class Progress:
    """Draws on a stream of its own, stderr, and leaves nothing behind where it draws a bar.

    Python has no stream where the file is closed; and nobody may be looking any more, while
    requests are on their way.
    """

    def __init__(self, stream: TextIO | None, *, draws: Drawing) -> None:
        self._stream = stream
        self._draws = draws
        self._started_s = time.monotonic()
        self._drawn_s = self._started_s
        self._drawn = 0

    def __call__(self, done: int, total: int) -> None:
        """Note that `done` of `total` deliveries have been tried."""
        now_s = time.monotonic()
        every_s = _LINE_EVERY_S if self._draws == "lines" else _BAR_EVERY_S
        if self._draws == "nothing" or total < 2 or now_s - self._drawn_s < every_s:
            return
        self._drawn_s = now_s
        text = _text(done, total, now_s - self._started_s)
        if self._draws == "lines":
            self._write(f"{text}\n")
            return
        filled = "█" * (_WIDTH * done // total)
        text = f"{filled:░<{_WIDTH}} {text}"
        # A notebook knows no order to erase a line.
        self._write(f"\r{text:{self._drawn}}")
        self._drawn = len(text)

    def close(self) -> None:
        """Take the bar away. Repeating is safe."""
        if self._drawn:
            self._write(f"\r{'':{self._drawn}}\r")
            self._drawn = 0

    def _write(self, text: str) -> None:
        if self._stream is not None:
            with suppress(OSError):
                self._stream.write(text)
                self._stream.flush()


def drawing_on(stream: TextIO | None) -> Drawing:
    """What suits a stream: a bar on a terminal and in a notebook, lines elsewhere."""
    # The stream of a notebook's kernel says that it is no terminal.
    is_notebook = type(stream).__module__.startswith("ipykernel.")
    return "bar" if stream is not None and (stream.isatty() or is_notebook) else "lines"


def _text(done: int, total: int, passed_s: float) -> str:
    rate = done / passed_s if passed_s else 0.0
    left = f", {_duration((total - done) / rate)} left" if rate else ""
    return f"{done:,} of {total:,}, {rate:,.0f} a second{left}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
