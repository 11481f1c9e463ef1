"""Plans, runs and manifests as text for people."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from runner.model import Message, Result
from runner.plan.plan import Plan
from runner.report.entries import SHOWN, Entry, entries_of, first_few
from runner.wording import plural, printable

_WORDS = {
    "planned": "would send",
    "already_sent": "already sent",
    "no_recipients": "without recipients",
    "outside_window": "outside the time window",
    "not_tried": "not tried",
    "draft": "kept as a draft",
}
_MANY = 20
_LOUD = ("adopted", "edited", "in_doubt", "unknown", "rejected", "not_tried")


def plan_lines(plan: Plan, *, verbose: bool) -> Iterator[str]:
    """Print what would be sent, message by message: recipients, languages, the text itself."""
    for entry in entries_of(plan):
        yield from _entry_lines(entry, verbose=verbose)
        yield ""


def _entry_lines(entry: Entry, *, verbose: bool) -> Iterator[str]:
    message = entry.message
    revision = f" revision {message.revision}" if message.revision > 1 else ""
    yield f"{printable(message.id)}{revision} ({printable(message.source)})"
    for state in entry.states:
        yield f"  {printable(state.words)}"
        if state.status == "planned" and entry.due:
            yield f"  recipients: {_listed(entry.due, verbose=verbose)}"
    yield from (f"    {printable(line)}" for line in entry.difference)
    if entry.audience or verbose:
        yield from _content_lines(entry)


def _listed(ids: Sequence[str], *, verbose: bool) -> str:
    few = first_few(ids, verbose=verbose)
    more = f" and {len(ids) - len(few):,} more (-v shows all)" if len(few) < len(ids) else ""
    return ", ".join(map(printable, few)) + more


def _content_lines(entry: Entry) -> Iterator[str]:
    message = entry.message
    answerable = f"; answerable: {_yes(message.answerable)}" if message.action == "compose" else ""
    yield f"  languages: {', '.join(message.text)}{answerable}"
    for sample in entry.samples:
        if sample.message.row is not None:
            yield f"  row {sample.message.row}:"
        yield from _text_lines(sample.message)


def _text_lines(message: Message) -> Iterator[str]:
    for language, text in message.text.items():
        yield f"  {language}: {printable(message.topic.get(language, ''))}".rstrip()
        # Split at line feeds only: whatever else breaks lines is shown as an escape.
        for line in text.rstrip("\n").split("\n"):
            yield f"      | {printable(line)}".rstrip()


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
            people = sum(len(each.recipients_ids or ()) for each in threads)
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
    people = [toloker for result in results for toloker in result.recipients_ids or ()]
    if not people:
        return ""
    if len(people) <= SHOWN or verbose:
        return f" to {', '.join(map(printable, people))}"
    return f" to {plural(len(people), 'Toloker')}"


def summary_line(results: Iterable[Result], *, dry_run: bool) -> str:
    """Count the results: `3 sent, 1 already sent`."""
    counts = Counter(result.status for result in results)
    if not counts:
        return "Nothing to send"
    order = ["planned", "sent", "adopted", *sorted(counts)]
    parts = [
        f"{counts[status]:,} {_WORDS.get(status, status.replace('_', ' '))}"
        for status in dict.fromkeys(order)
        if counts[status]
    ]
    if dry_run:
        parts = [part for part in parts if not part.endswith("would send")]
        planned = counts["planned"]
        head = f"Would send {plural(planned, 'thread')}" if planned else "Would send nothing"
        return "; ".join([head, ", ".join(parts)]) if parts else head
    return ", ".join(parts) if counts["sent"] else f"Nothing new was sent: {', '.join(parts)}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
