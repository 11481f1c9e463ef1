"""Tolokers' answers as text, JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Sequence

from runner import clock
from runner.lookup.conversation import Answer
from runner.wording import printable

VERSION = 1
COLUMNS = ("message", "revision", "toloker", "thread_id", "at", "language", "text")
CSV_COLUMNS = ("toloker_id", "thread_id", "message", "answer", "answered_at")
# A spreadsheet takes a cell that starts so for a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\\t", "\\r", "\n")


def answer_lines(answers: Sequence[Answer]) -> Iterator[str]:
    """Print each answer under its message, Toloker and time."""
    for each in answers:
        revision = f" revision {each.revision}" if each.revision > 1 else ""
        yield (
            f"{clock.written(each.at)} {printable(each.message)}{revision}, "
            f"Toloker {printable(each.toloker)}, thread {each.thread_id}, {printable(each.language)}:"
        )
        for line in each.text.rstrip("\n").split("\n"):
            yield f"  | {printable(line)}".rstrip()


def answers_document(answers: Sequence[Answer], *, target: str) -> dict[str, object]:
    """Build the same as JSON."""
    return {
        "version": VERSION,
        "target": target,
        "replies": [dict(zip(COLUMNS, _cells(each), strict=True)) for each in answers],
    }


def answers_csv(answers: Sequence[Answer]) -> str:
    """Write a row for each thread as CSV (RFC 4180), for `for_each` of a message that answers them.

    What a spreadsheet would run, or the log of a job, gets a quote before it.
    """
    threads: dict[tuple[str, str], list[Answer]] = defaultdict(list)
    for each in answers:
        threads[each.thread_id, each.toloker].append(each)
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(CSV_COLUMNS)
    for (thread_id, toloker), some in threads.items():
        said = "\n".join(each.text for each in some)
        row = (toloker, thread_id, some[0].message, said, clock.written(some[-1].at))
        writer.writerow(map(_defused, row))
    return stream.getvalue()


def _cells(answer: Answer) -> tuple[object, ...]:
    return (
        answer.message,
        answer.revision,
        answer.toloker,
        answer.thread_id,
        clock.written(answer.at),
        answer.language,
        answer.text,
    )


def _defused(cell: str) -> str:
    lines = [printable(line) for line in cell.replace("\r\n", "\n").split("\n")]
    # The log of a job takes a line that begins so for a command.
    shown = "\n".join(f"'{line}" if line.lstrip().startswith("::") else line for line in lines)
    return f"'{shown}" if shown.lstrip(" ").startswith(_FORMULA_STARTS) else shown
