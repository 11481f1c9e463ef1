"""The process that renders templates: it may compute a little, and do nothing else.

It is started by `runner.templates` with an empty environment, and speaks JSON Lines: a request
on standard input, and one answer for each of its templates on standard output. Whatever a
template gets past the sandbox ends here: no file, socket or process can be opened any more, and
time and memory are limited (the latter two as far as the system has limits for them).
"""

from __future__ import annotations

import html  # noqa: F401  # Jinja2 imports it late, and then no file can be opened any more.
import json
import mmap
import pprint  # noqa: F401  # Likewise.
import signal
import sys
import textwrap  # noqa: F401  # Likewise.
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from runner.sandbox import Refusal, Sandbox, TooLong, Unusable

if sys.platform != "win32":  # It has no such limits: there, only our parent's deadline holds.
    import resource

# A template between two steps of Python is told to stop; one that is inside a step is ended.
SECONDS = 0.5
_SECONDS_IN_A_STEP = 0.75
MEBIBYTES = 96
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode
_HAS_TIMERS = hasattr(signal, "setitimer")


def main() -> None:
    """Answer requests until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Our parent hears it too, and ends us.
    sandbox = Sandbox(_ask_for_partial)
    # Compiling and failing once loads what Jinja2 loads late.
    with suppress(Refusal):
        sandbox.text("{% if 1 %}{{ 'a' ~ nothing }}{% endif %}", {})
    _give_up_everything()
    _say({"ready": True})
    for line in sys.stdin.buffer:
        _serve(sandbox, json.loads(line))


def _serve(sandbox: Sandbox, request: Mapping[str, Any]) -> None:
    for row in request["rows"]:
        values = request["values"] if row is None else {**request["values"], "row": row}
        for template, is_value in request["templates"]:
            try:
                with _limited_time():
                    render = sandbox.value if is_value else sandbox.text
                    answer: dict[str, object] = {"value": render(template, values)}
            except Refusal as refusal:
                answer = {"faults": refusal.faults}
            _say(answer)


def _ask_for_partial(name: str) -> str | None:
    with _undisturbed():
        _say({"partial": name[:1_000]})
        answer: dict[str, str | None] = json.loads(sys.stdin.buffer.readline())
    if "wrong" in answer:
        raise Unusable(answer["wrong"])
    return answer["text"]


def _say(answer: Mapping[str, object]) -> None:
    sys.stdout.buffer.write(_ENCODE(answer).encode("utf-8", "surrogatepass") + b"\n")
    sys.stdout.buffer.flush()


@contextmanager
def _limited_time() -> Iterator[None]:
    """Limit the processor's time for one template, which a busy machine does not shorten."""
    if not _HAS_TIMERS:
        yield
        return
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, _SECONDS_IN_A_STEP)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Put off the word to stop: half a question would leave our parent out of step."""
    if not _HAS_TIMERS:
        yield
        return
    left, _ = signal.setitimer(signal.ITIMER_PROF, 0)
    yield
    signal.setitimer(signal.ITIMER_PROF, max(left, 0.001))


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise TooLong


def _give_up_everything() -> None:
    """Limit this process for the rest of its life, as far as the system can."""
    if _HAS_TIMERS:
        signal.signal(signal.SIGPROF, _stop)
        signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    if sys.platform == "win32":
        return
    memory = _address_space() + MEBIBYTES * 1024**2
    for limit, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_NOFILE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(OSError, ValueError):
            resource.setrlimit(limit, (most, most))


def _address_space() -> int:
    """What this process has of the address space already, in bytes; a guess where nothing tells."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
    return 256 * 1024**2
