"""Deliveries that somebody asked for: all of one message, all that one person got, all refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

from runner import clock
from runner.lookup.conversation import Activity
from runner.manifest.attempts import Attempt
from runner.manifest.contents import find_contents
from runner.manifest.history import History
from runner.manifest.standing import Choice, Standing, find_standings, find_tests
from runner.model import Content, compared_as
from runner.report.filters import describe_filter
from runner.report.leads import lead_lines, span
from runner.report.samples import first_few
from runner.report.status import (
    Activities,
    Group,
    count_words,
    groups_of,
    held_lines,
    overview_lines,
)
from runner.wording import plural, printable

_ORDER = ("being_sent", "rejected", "not_found", "not_tried", "no_recipients", "sent")
_UNKNOWN = ("unknown", "in_doubt")


def told_lines(
    history: History, activity: Activities, choice: Choice, target: str, *, verbose: bool
) -> Iterator[str]:
    """Print what was chosen, or where nothing was a line for each message."""
    if not history.rows and (choice.toloker is None or not history.tests):
        tests = f", but {plural(len(history.tests), 'test')}" if history.tests else ""
        yield printable(f"nothing was sent to {target} yet{tests}")
        return
    if not choice.is_all:
        yield from chosen_lines(history, activity, choice, verbose=verbose)
        return
    *lines, last = overview_lines(history, activity)
    yield from (*lines, *lead_lines(history, history.unknown, verbose=verbose), last)


def chosen_lines(
    history: History, activity: Activities, choice: Choice, *, verbose: bool
) -> Iterator[str]:
    """Print what was chosen: of one person in the order of time, else message by message."""
    tests = find_tests(history) if choice.toloker is not None else []
    chosen = list(filter(choice.takes, (*find_standings(history), *tests)))
    if choice.toloker is not None:
        yield from _person_lines(history, chosen, choice.toloker)
    else:
        for group in groups_of(chosen):
            row = group.standings[0].row
            message, revision = group.identity
            named = f"{message}, revision {revision} ({row.kind.source})"
            yield printable(f"{named}: {count_words(group.standings)}")
            yield f"  tried {span(each.row.at for each in group.standings)}"
            if choice.only is None:
                yield from _about_lines(history, group, activity.get(group.identity))
            yield from _message_lines(group.standings, verbose=verbose)
            yield ""
    yield from lead_lines(history, _unknown_of(history, chosen), verbose=verbose)
    yield count_words(chosen) or "no delivery matches"


def _unknown_of(history: History, chosen: Sequence[Standing]) -> list[Attempt]:
    """Every attempt that has to be settled: there may be several for one Toloker."""
    wanted = {
        (each.message, each.revision, compared_as(each.in_thread or each.toloker or ""))
        for each in chosen
        if each.status in _UNKNOWN and not each.is_test
    }
    found = []
    for each in history.unknown:
        whom = map(
            compared_as, (each.in_thread,) if each.in_thread else each.recipients_ids or ("",)
        )
        if any((each.message, each.revision, one) in wanted for one in whom):
            found.append(each)
    return found


def _person_lines(history: History, standings: Sequence[Standing], toloker: str) -> Iterator[str]:
    for each in sorted(standings, key=lambda one: one.row.at):
        revision = f" revision {each.revision}" if each.revision > 1 else ""
        reply = f", a reply in thread {each.in_thread}" if each.in_thread else ""
        key = f" ({each.row.key})" if each.row.key else ""
        test = ", a test" if each.is_test else ""
        named = printable(f"{each.message}{revision}{key}{reply}{test}")
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


def _about_lines(history: History, group: Group, activity: Activity | None) -> Iterator[str]:
    """Tell of a message what its deliveries have in common: who has not got it, and its words."""
    message, _ = group.identity
    yield from (f"  {line}" for line in held_lines(history, frozenset({message})))
    if left_out := history.suppressed.get(group.identity):
        yield f"  left out, as the suppression list said: {plural(len(left_out), 'Toloker')}"
    put = {
        name for each in group.standings for name in history.folders.get(each.thread_id or "", ())
    }
    if put:
        yield printable(f"  put into {', '.join(sorted(put))}")
    if activity is not None:
        yield printable(
            f"  Toloka tells of {plural(activity.answers, 'answer')}, of the folders "
            f"{', '.join(activity.folders)}"
        )
    yield from _content_lines(history, dict.fromkeys(each.row.digest for each in group.standings))


def _message_lines(standings: Sequence[Standing], *, verbose: bool) -> Iterator[str]:
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
