"""Tolokers' answers as text, JSON and CSV."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

from runner import clock
from runner.lookup.conversation import Answer
from runner.report.sheet import defused, sheet
from runner.wording import age_words, plural, printable

VERSION = 1
CSV_COLUMNS = ("toloker_id", "thread_id", "message", "answer", "answered_at")
_SHOWN = 12
"""Answers that are shown without `-v`: they, with short texts, are one screen."""
_LINES = 4
_WIDTH = 300


def answer_lines(answers: Sequence[Answer], now: datetime, *, verbose: bool) -> Iterator[str]:
    """Print the newest answers under the messages that they answer; `now` is Toloka's time."""
    groups: dict[tuple[str, int], list[Answer]] = defaultdict(list)
    for each in answers if verbose else answers[-_SHOWN:]:
        groups[each.message, each.revision].append(each)
    for (message, number), some in groups.items():
        revision = f" revision {number}" if number > 1 else ""
        topic = f": {some[0].topic}" if some[0].topic else ""
        yield printable(f"{message}{revision}{topic}")
        for each in some:
            yield from _lines_of(each, now, verbose=verbose)


def _lines_of(answer: Answer, now: datetime, *, verbose: bool) -> Iterator[str]:
    yield printable(f"{clock.to_second(answer.at)}  {answer.toloker}  {answer.thread_id}")
    said = [
        *(["unread"] if answer.is_unread else []),
        *([] if answer.is_answered else [f"not answered for {age_words(now - answer.at)}"]),
        *([f"answers {answer.answers_to}"] if answer.answers_to != answer.message else []),
    ]
    if said:
        yield printable(f"  {', '.join(said)}")
    text = answer.text.rstrip("\n")
    few = text if verbose else text[: _LINES * _WIDTH]
    # Split at line feeds only: whatever else breaks lines is shown as an escape.
    lines = few.split("\n")
    language = printable(answer.language)
    for line in lines if verbose else lines[:_LINES]:
        yield f"  {language} | {printable(line)}".rstrip()
        language = " " * len(language)
    if len(few) < len(text) or (len(lines) > _LINES and not verbose):
        yield f"  {language} | … (-v shows all)"


def count_line(answers: Sequence[Answer], *, verbose: bool) -> str:
    """Count answers, and say how many are not shown."""
    hidden = 0 if verbose else len(answers) - _SHOWN
    told = f", the newest {_SHOWN} of them here (-v shows all)" if hidden > 0 else ""
    return plural(len(answers), "answer") + told


def answers_document(answers: Sequence[Answer], *, target: str) -> dict[str, object]:
    """Build the same as JSON."""
    return {"version": VERSION, "target": target, "replies": list(map(_entry, answers))}


def answers_csv(answers: Sequence[Answer]) -> str:
    """Write a row for each thread as CSV, for `for_each` of a message that answers them."""
    threads: dict[tuple[str, str], list[Answer]] = defaultdict(list)
    for each in answers:
        threads[each.thread_id, each.toloker].append(each)
    rows = [
        (
            *(toloker, thread_id, some[0].message),
            *("\n".join(each.text for each in some), clock.written(some[-1].at)),
        )
        for (thread_id, toloker), some in threads.items()
    ]
    return sheet(CSV_COLUMNS, [[*map(defused, row)] for row in rows])


def _entry(answer: Answer) -> dict[str, object]:
    return {
        "message": answer.message,
        "revision": answer.revision,
        "topic": answer.topic,
        "answers_to": answer.answers_to,
        "toloker": answer.toloker,
        "thread_id": answer.thread_id,
        "at": clock.written(answer.at),
        "language": answer.language,
        "text": answer.text,
        "unread": answer.is_unread,
        "answered": answer.is_answered,
    }
