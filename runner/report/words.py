"""Every word for what became of a delivery, explained once: `--help` and schemas/README.md show this table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import wrap

from runner.manifest.standing import State
from runner.model import Status

WORDS: Mapping[Status | State, str] = {
    "planned": "would be sent now",
    "sent": "Toloka made the thread, or took the reply",
    "already_sent": "an earlier run sent it",
    "adopted": "sent before, found in Toloka's list and taken into the manifest",
    "edited": "sent before with another text; only a higher revision sends it again",
    "rejected": "Toloka refused it: nothing was sent, and the next send tries again",
    "unknown": "nobody knows yet whether it was sent; the next send looks before it tries again",
    "in_doubt": "a thread may be this one, and only a person can tell: settle it with `resolve`",
    "being_sent": "a run on another machine is sending it",
    "no_recipients": "the filter matched nobody, or Toloka left this Toloker out; final",
    "not_found": "tried, looked for and not there: the next send sends it",
    "suppressed": "left out for good, as the suppression list says",
    "held": "kept back by a limit (`at_most`, `max_per_toloker`)",
    "outside_window": "not_before is still to come",
    "missed": "not_after is over",
    "draft": "a draft: never sent",
    "waiting": "waits for a thread or an answer",
    "not_tried": "due, but the run stopped first (a limit, a quota, an outage); the next sends it",
}

_WIDTH = 78
_INDENT = 18


def epilog() -> str:
    r"""Lay the words out as the end of a help text; `\b` keeps click from laying it out again."""
    return "\b\n" + "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "What became of a delivery:"
    for word, meaning in WORDS.items():
        first, *more = wrap(meaning, _WIDTH - _INDENT)
        yield f"  {word:<{_INDENT - 2}}{first}"
        yield from (" " * _INDENT + line for line in more)
