"""How far a run is: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TextIO

_LINE_EVERY_S = 5.0
_BAR_EVERY_S = 0.1
_WIDTH = 24


class Progress:
    """Draws on a stream of its own, stderr, and leaves nothing behind on a terminal.

    Python has no stream where the file is closed; and nobody may be looking any more, while
    requests are on their way.
    """

    def __init__(self, stream: TextIO | None, *, is_quiet: bool) -> None:
        self._stream = stream
        self._is_quiet = is_quiet
        self._is_terminal = stream is not None and stream.isatty()
        self._started_s = time.monotonic()
        self._drawn_s = self._started_s
        self._has_bar = False

    def __call__(self, done: int, total: int) -> None:
        """Note that `done` of `total` deliveries have been tried."""
        now_s = time.monotonic()
        every_s = _BAR_EVERY_S if self._is_terminal else _LINE_EVERY_S
        if self._is_quiet or total < 2 or now_s - self._drawn_s < every_s:
            return
        self._drawn_s = now_s
        text = _text(done, total, now_s - self._started_s)
        if self._is_terminal:
            filled = "█" * (_WIDTH * done // total)
            text = f"\r\x1b[K{filled:░<{_WIDTH}} {text}"
            self._has_bar = True
        else:
            text += "\n"
        self._write(text)

    def close(self) -> None:
        """Take the bar away. Repeating is safe."""
        if self._has_bar:
            self._write("\r\x1b[K")
            self._has_bar = False

    def _write(self, text: str) -> None:
        if self._stream is not None:
            with suppress(OSError):
                self._stream.write(text)
                self._stream.flush()


def _text(done: int, total: int, passed_s: float) -> str:
    rate = done / passed_s if passed_s else 0.0
    left = f", {_duration((total - done) / rate)} left" if rate else ""
    return f"{done:,} of {total:,}, {rate:,.0f} a second{left}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
