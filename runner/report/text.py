"""Runs as text for people."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from runner.model import Result, Status
from runner.report.samples import SHOWN, first_few
from runner.toloka.ids import count_people, distinct
from runner.wording import plural, printable

_WORDS: Mapping[Status, str] = {
    "already_sent": "already sent",
    "no_recipients": "without recipients",
    "outside_window": "outside the time window",
    "not_tried": "not tried",
    "draft": "kept as a draft",
}
_MANY = 20
_LOUD = ("adopted", "edited", "in_doubt", "unknown", "rejected", "not_tried", "waiting")


def run_lines(results: Sequence[Result], *, verbose: bool) -> Iterator[str]:
    """Print the threads of a run as `id topic`, grouped by message where there are several."""
    sent = [result for result in results if result.status in ("sent", "adopted")]
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in sent:
        groups[result.message].append(result)
    for message, threads in groups.items():
        indent = ""
        if len(sent) > 1:
            indent = "  "
            people = count_people(each.recipients_ids for each in threads)
            to = f" to {plural(people, 'Toloker')}" if people else ""
            yield f"{printable(message)}: {plural(len(threads), 'thread')}{to}"
        few = first_few(threads, verbose=verbose)
        for each in few:
            mark = " (adopted)" if each.status == "adopted" else ""
            yield f"{indent}{each.thread_id} {printable(each.headline)}{mark}"
        if len(few) < len(threads):
            yield f"{indent}… and {len(threads) - len(few):,} more (-v shows all)"


def loud_lines(results: Sequence[Result], *, verbose: bool) -> Iterator[str]:
    """Print what a person must not miss: adopted, edited, unknown, refused, left."""
    unknown = Counter(result.run for result in results if result.status == "unknown")
    # A run that died may have claimed very many.
    many = {run: count for run, count in unknown.items() if run and count > _MANY and not verbose}
    for run, count in many.items():
        yield f"unknown: {count:,} deliveries of run {printable(run)} (-v shows each)"
    adopted = Counter(result.message for result in results if result.status == "adopted")
    is_long = sum(adopted.values()) > _MANY and not verbose
    for message, count in adopted.items() if is_long else ():
        told = f"{plural(count, 'delivery', 'deliveries')}, sent before and recorded only now"
        yield f"adopted: {printable(message)}, {told} (-v shows each with its date)"
    for status in _LOUD[1:] if is_long else _LOUD:
        groups: dict[tuple[str, str | None], list[Result]] = defaultdict(list)
        for result in results:
            if result.status == status and (status != "unknown" or result.run not in many):
                groups[result.message, result.error].append(result)
        # Each of these is settled by a command of its own.
        is_all = verbose or status in ("in_doubt", "unknown")
        few = first_few(list(groups), verbose=is_all)
        for message, error in few:
            found = groups[message, error]
            who = _whom(found, verbose=verbose)
            why = f": {printable(error)}" if error else ""
            yield f"{status.replace('_', ' ')}: {printable(message)}{who}{why}"
        if len(few) < len(groups):
            yield f"{status.replace('_', ' ')}: {len(groups) - len(few):,} more (-v shows all)"


def _whom(results: Sequence[Result], *, verbose: bool) -> str:
    people = distinct(toloker for result in results for toloker in result.recipients_ids or ())
    if not people:
        return ""
    if len(people) <= SHOWN or verbose:
        return f" to {', '.join(map(printable, people))}"
    return f" to {plural(len(people), 'Toloker')}"


def summary_line(results: Iterable[Result]) -> str:
    """Say what a run came to: `3 sent, 1 already sent`."""
    counts = Counter(result.status for result in results)
    if not counts:
        return "Nothing to send"
    said = ", ".join(counted(counts))
    return said if counts["sent"] else f"Nothing new was sent: {said}"


def counted(counts: Mapping[Status, int]) -> Iterator[str]:
    """Count statuses, what was sent first."""
    for status in dict.fromkeys(("sent", "adopted", *sorted(counts))):
        if counts.get(status):
            yield f"{counts[status]:,} {status_words(status)}"


def status_words(status: Status) -> str:
    """A status as people are told of it."""
    return _WORDS.get(status, status.replace("_", " "))
