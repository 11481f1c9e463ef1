"""Deliveries that somebody asked for: all of one message, all that one person got, all refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

from runner import clock
from runner.manifest.contents import find_contents
from runner.manifest.history import History
from runner.manifest.standing import Choice, Standing, find_standings
from runner.model import Content
from runner.report.filters import describe_filter
from runner.report.leads import lead_lines, span
from runner.report.samples import first_few
from runner.report.status import (
    Activities,
    count_words,
    groups_of,
    held_lines,
    overview_lines,
)
from runner.wording import plural, printable

_ORDER = ("being_sent", "rejected", "not_found", "no_recipients", "sent")
_UNKNOWN = ("unknown", "in_doubt")


def told_lines(
    history: History, activity: Activities, choice: Choice, *, verbose: bool
) -> Iterator[str]:
    """Print what was chosen, or where nothing was a line for each message."""
    if not choice.is_all:
        yield from chosen_lines(history, choice, verbose=verbose)
        return
    *lines, last = overview_lines(history, activity)
    yield from (*lines, *lead_lines(history, history.unknown, verbose=verbose), last)


def chosen_lines(history: History, choice: Choice, *, verbose: bool) -> Iterator[str]:
    """Print what was chosen: of one person in the order of time, else message by message."""
    standings = find_standings(history, with_tests=choice.toloker is not None)
    chosen = list(filter(choice.takes, standings))
    if choice.toloker is not None:
        yield from _person_lines(history, chosen, choice.toloker)
    else:
        for group in groups_of(chosen):
            yield from _message_lines(history, group.standings, choice, verbose=verbose)
    ids = {each.delivery for each in chosen if each.status in _UNKNOWN}
    unknown = [each for each in history.open if each.delivery in ids]
    unknown += [each for each in history.unknown if each.delivery in ids - history.pending.keys()]
    yield from lead_lines(history, unknown, verbose=verbose)
    yield count_words(chosen) or "no delivery is like that"


def _person_lines(history: History, standings: Sequence[Standing], toloker: str) -> Iterator[str]:
    for each in sorted(standings, key=lambda one: one.row.at):
        revision = f" revision {each.revision}" if each.revision > 1 else ""
        reply = f", a reply in thread {each.in_thread}" if each.in_thread else ""
        test = ", a test" if each.is_test else ""
        named = printable(f"{each.message}{revision}{reply}{test}")
        yield f"{clock.to_second(each.row.at)}  {_word(each):<10}  {named}"
        if each.error or (each.thread_id and not each.in_thread):
            yield printable(f"  {each.error or f'thread {each.thread_id}'}")
    for (message, number), ids in sorted(history.suppressed.items()):
        if toloker in ids:
            yield printable(f"left out, as the suppression list said: {message}, revision {number}")
    whole = [row for row in history.rows.values() if row.kind.select_type in ("FILTER", "ALL")]
    names = sorted({row.kind.message for row in whole if isinstance(row.outcome, str)})
    if names:
        yield printable(f"by filter or ALL, and only Toloka knows whether here: {', '.join(names)}")


def _message_lines(
    history: History, standings: Sequence[Standing], choice: Choice, *, verbose: bool
) -> Iterator[str]:
    row = standings[0].row
    message, revision = row.kind[:2]
    yield printable(f"{message}, revision {revision} ({row.kind.source}): {count_words(standings)}")
    yield f"  tried {span(each.row.at for each in standings)}"
    if choice.only is None:
        yield from (f"  {line}" for line in held_lines(history, frozenset({message})))
        if left_out := history.suppressed.get((message, revision)):
            yield f"  left out, as the suppression list said: {plural(len(left_out), 'Toloker')}"
        yield from _content_lines(history, dict.fromkeys(each.row.digest for each in standings))
    groups: dict[tuple[int, str, str], list[Standing]] = defaultdict(list)
    for each in standings:
        if each.status in _ORDER:
            groups[_ORDER.index(each.status), _word(each), each.error or ""].append(each)
    for (_, word, error), some in sorted(groups.items(), key=lambda pair: pair[0]):
        yield printable(f"{word}, {len(some):,}{f': {error}' if error else ''}")
        few = first_few(some, verbose=verbose)
        yield from map(_whom_line, few)
        if len(few) < len(some):
            yield f"… and {len(some) - len(few):,} more (-v shows all)"
    yield ""


def _whom_line(standing: Standing) -> str:
    row = standing.row
    whom = standing.toloker or (describe_whom(standing) if not standing.in_thread else "")
    parts = [whom, standing.row.key or "", standing.thread_id or standing.in_thread or ""]
    at = clock.to_second(row.at)
    # An id, a thread and a time are a line of 80 characters.
    return printable("  ".join(filter(None, [*parts, at])))


def describe_whom(standing: Standing) -> str:
    """Name whom a delivery is for where no Toloker is named."""
    if standing.row.kind.select_type == "FILTER":
        return f"every Toloker with {describe_filter(standing.row.whom)}"
    return str(standing.row.kind.select_type or "")


def _content_lines(history: History, digests: Collection[str]) -> Iterator[str]:
    """Show the words that were sent, as far as the manifest keeps them; of rows, the template."""
    contents = find_contents(digests, history).values()
    seen: dict[tuple[str, ...], None] = {}
    for content in contents:
        seen[tuple(_words(content))] = None
    for words in list(seen)[:3]:
        yield from (f"  {printable(line)}".rstrip() for line in words)
    if len(seen) > 3:
        yield f"  … and {len(seen) - 3:,} other texts"


def _words(content: Content) -> Iterator[str]:
    for language, text in content.text.items():
        yield f"{language}: {content.topic.get(language, '')}".rstrip()
        yield from (f"    | {line}" for line in text.rstrip("\n").split("\n"))


def _word(standing: Standing) -> str:
    return standing.status.replace("_", " ")
