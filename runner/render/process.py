"""The process that renders templates, held to a little time, a little memory, and no files.

It is started by `runner.render.templates` with an empty environment, and speaks JSON Lines: a request
on standard input, and one answer for each of its templates on standard output. Whatever a
template gets past the sandbox is held here as far as the system has limits for it: no file,
socket or process can be opened any more, and time and memory are limited.
"""

from __future__ import annotations

import html  # noqa: F401  # Jinja2 imports it late, and then no file can be opened any more.
import json
import mmap
import os
import pprint  # noqa: F401  # Likewise.
import signal
import sys
import textwrap  # noqa: F401  # Likewise.
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from runner.render.gaps import with_gaps
from runner.render.mistakes import Mistake, NeedsLocale, TooLong, Unusable
from runner.render.numbers import Number
from runner.render.sandbox import Refusal, Sandbox
from runner.render.values import decoded

if sys.platform != "win32":  # It has no such limits: there, only our parent's deadline holds.
    import resource

# A template between two steps of Python is told to stop; one that is inside a step is ended.
SECONDS = 0.5
_SECONDS_IN_A_STEP = 0.75
MEBIBYTES = 96
# All that one process computes: several times what 100,000 rows in two languages take.
SECONDS_IN_ALL = 60.0
_SPENT = Mistake(
    "template: the templates up to this one take too long",
    "a template fills in words: compute elsewhere, or split the rows",
    rule="limit",
)
_NOBODY = 65534
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode
_HAS_TIMERS = hasattr(signal, "setitimer")


def main(languages: Sequence[str]) -> None:
    """Answer requests until standard input ends; the words of these languages are there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Our parent hears it too, and ends us.
    sandbox = Sandbox(_ask_for_partial, _people(languages) if languages else None)
    # Compiling and failing once loads what Jinja2 loads late.
    with suppress(Refusal):
        sandbox.text("{% if 1 %}{{ 'a' ~ nothing }}{% endif %}", {})
    give_up_everything()
    _say({"ready": True})
    serve(sandbox)


def _people(languages: Sequence[str]) -> Mapping[str, Callable[..., object]]:
    # Here, because it takes longer than all the rest, and few messages need it.
    from runner.render.locale import people

    return people(languages)


def serve(sandbox: Sandbox, clock: Callable[[], float] = time.process_time) -> None:
    """Answer requests: first the values that all templates see, then templates with their own.

    `clock` tells the seconds that this process has computed.
    """
    shared = _read()
    spent_s = 0.0
    while request := _read():
        common = {**shared, **request["values"]}
        for row in request["rows"]:
            values = common if row is None else common | {"row": with_gaps(*row)}
            for template, kind in request["templates"]:
                began_s = clock()
                answer = _answer(sandbox, template, kind, values)
                spent_s += clock() - began_s
                if spent_s > SECONDS_IN_ALL:
                    answer = {"faults": [_SPENT]}
                _say(answer)
                if kind == "when" and answer.get("value") is False:
                    break


def _read() -> dict[str, Any]:
    """Read what our parent writes; nothing once it has ended."""
    line = sys.stdin.buffer.readline() or b"{}"
    read: dict[str, Any] = json.loads(line, parse_float=_number, object_hook=decoded)
    return read


def _number(text: str) -> Number:
    return Number(text, text)


def _answer(
    sandbox: Sandbox, template: str, kind: str, values: Mapping[str, object]
) -> dict[str, object]:
    try:
        with _limited_time():
            if kind in ("value", "list", "when"):
                return {"value": sandbox.value(template, values, takes_list=kind == "list")}
            text = sandbox.text(template, values, language=kind)
            told = {"braces_from": sandbox.braces_from, "branches": sandbox.branches}
            return {"value": text, **told} if any(told.values()) else {"value": text}
    except Refusal as refusal:
        return {"faults": refusal.faults}
    except NeedsLocale as needs:
        return {"locale": needs.language}
    except TooLong:
        # The word to stop came when there was an answer already, or a complaint in the making.
        return {"faults": [_SPENT]}


def _ask_for_partial(name: str) -> str | Sequence[str]:
    with _undisturbed():
        _say({"partial": name[:1_000]})
        answer: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    if "wrong" in answer:
        raise Unusable(answer["wrong"])
    found: str | Sequence[str] = answer["text"] if "text" in answer else answer["names"]
    return found


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


def give_up_everything() -> None:
    """Limit this process for the rest of its life, as far as the system can."""
    if _HAS_TIMERS:
        signal.signal(signal.SIGPROF, _stop)
        signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    if sys.platform == "win32":
        return
    if os.geteuid() == 0:
        # Root would be bound by few limits, and may remove any file, which needs no opening.
        with suppress(OSError):
            os.setgroups([])
            os.setgid(_NOBODY)
            os.setuid(_NOBODY)
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
