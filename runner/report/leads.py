"""What is unknown or in doubt, so that a person can settle it: whom, when, which run, both commands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby

from runner import clock
from runner.manifest.attempts import Attempt
from runner.manifest.history import History
from runner.manifest.told import MANY, commands, lead, target_option, tried, whom
from runner.wording import plural, printable


def lead_lines(history: History, attempts: Sequence[Attempt], *, verbose: bool) -> Iterator[str]:
    """Tell of each delivery that is unknown or in doubt; of very many of one message, together."""
    groups: dict[tuple[str, str], list[Attempt]] = defaultdict(list)
    for each in attempts:
        word = "in doubt" if history.is_in_doubt(each.delivery) else "unknown"
        groups[each.message, word].append(each)
    for (_, word), some in sorted(groups.items()):
        if len(some) > MANY and not verbose:
            lines = _together(word, some, history)
        else:
            lines = (line for each in some for line in _one(word, each, history))
        yield from map(printable, lines)


def _one(word: str, attempt: Attempt, history: History) -> Iterator[str]:
    sent, not_sent = commands(attempt, history)
    yield f"{word}: {attempt.message} to {whom(attempt)}"
    yield f"  {tried(attempt)}"
    yield f"  {lead(attempt, history)}"
    yield f"  if it was sent:  {sent}"
    yield f"  if it was not:   {not_sent}"


def _together(word: str, attempts: Sequence[Attempt], history: History) -> Iterator[str]:
    message, where = attempts[0].message, target_option(history.target, history.acts_under)
    yield f"{word}: {message}, {plural(len(attempts), 'delivery', 'deliveries')} (-v shows each)"
    for run, some in groupby(attempts, key=lambda each: each.run):
        yield f"  tried {span(each.at for each in some)}" + (f" by run {run}" if run else "")
    yield "  nobody knows whether they were sent; the next send looks for them first"
    resolve = f"message-runner resolve --message {message}"
    if all(len(history.doubts.get(each.delivery, ())) == 1 for each in attempts):
        yield f"  if all were sent:   {resolve} --sent{where}"
    yield f"  if none was sent:   {resolve} --not-sent{where}"


def span(times: Iterable[datetime]) -> str:
    """Say from when to when: `from 2026-11-22T21:00:00Z to 2026-11-22T21:00:04Z`."""
    every = sorted(map(clock.to_second, times))
    return f"at {every[0]}" if every[0] == every[-1] else f"from {every[0]} to {every[-1]}"
