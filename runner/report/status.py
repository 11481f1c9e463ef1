"""What a manifest knows: a line for each message, and as JSON every delivery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import groupby

from runner import clock
from runner.lookup.conversation import Activity
from runner.manifest.attempts import Attempt
from runner.manifest.history import History
from runner.manifest.standing import (
    ALL,
    STATES,
    Choice,
    Standing,
    State,
    find_standings,
    find_tests,
)
from runner.manifest.told import reason, target_option
from runner.model import compared_as
from runner.toloka.ids import count_people
from runner.wording import plural, printable

VERSION = 1
_SHOWN = 20
_REASONS = 5
Activities = Mapping[tuple[str, int], Activity]
"""What Toloka told, by message and revision; empty where it was not asked."""
_LOUD: tuple[State, ...] = (
    "rejected",
    "unknown",
    "in_doubt",
    "being_sent",
    "not_found",
    "not_tried",
    "no_recipients",
)


@dataclass(frozen=True)
class Group:
    """One revision of a message, with what became of it for each Toloker, thread or filter."""

    standings: tuple[Standing, ...]

    @property
    def identity(self) -> tuple[str, int]:
        return self.standings[0].row.kind[:2]

    @cached_property
    def counts(self) -> Counter[State]:
        """How many deliveries have each status."""
        return Counter({each.delivery: each.status for each in self.standings}.values())

    @property
    def threads(self) -> int:
        """How many threads were made, or replied in."""
        return len({each.thread_id for each in self.standings if each.thread_id})

    @property
    def reached(self) -> int:
        """Tolokers by id; a filter or ALL does not say whom it reached."""
        named = (each.toloker for each in self.standings if each.thread_id)
        return count_people([filter(None, named)])

    @property
    def last_at(self) -> datetime:
        return max(each.row.at for each in self.standings)

    @property
    def whom(self) -> str:
        """How many Tolokers have it, or by what they were chosen."""
        kind = self.standings[0].row.kind
        if kind.action == "reply":
            return "replies"
        return f"{self.reached:,}" if kind.select_type == "DIRECT" else str(kind.select_type)


def groups_of(standings: Sequence[Standing]) -> list[Group]:
    """Group what is in order by message and revision."""
    return [
        Group(tuple(some)) for _, some in groupby(standings, key=lambda each: each.row.kind[:2])
    ]


def overview_lines(history: History, activity: Activities) -> Iterator[str]:
    """Print a line for each message, what was refused and why, and a count of everything.

    What occurs nowhere has no column.
    """
    standings = find_standings(history)
    groups = groups_of(standings)
    yield from _table(groups, activity)
    yield from held_lines(history)
    yield from _refusals(standings, history)
    messages = {each.identity[0] for each in groups}
    yield f"{plural(len(messages), 'message')}: {count_words(standings)}"


def count_words(standings: Sequence[Standing]) -> str:
    """Count deliveries, and their Tolokers where those are more: `5 sent (497 Tolokers by id)`."""
    deliveries = Counter({each.delivery: each.status for each in standings}.values())
    whom = {(each.status, compared_as(each.toloker)) for each in standings if each.toloker}
    people = Counter(status for status, _ in whom)
    named = Counter({each.delivery: each.status for each in standings if each.toloker}.values())
    return ", ".join(
        f"{deliveries[status]:,} {status.replace('_', ' ')}"
        + (f" ({people[status]:,} Tolokers by id)" if people[status] > named[status] else "")
        for status in STATES
        if deliveries[status]
    )


def _table(groups: Sequence[Group], activity: Activities) -> Iterator[str]:
    loud = [word for word in STATES[1:] if any(each.counts[word] for each in groups)]
    has_revisions = any(each.identity[1] > 1 for each in groups)
    rows = [
        (
            "message",
            *(("revision",) if has_revisions else ()),
            *("threads", "Tolokers"),
            *(word.replace("_", " ") for word in loud),
            "last attempt",
            *(("answers", "folders", "last activity") if activity else ()),
        )
    ]
    for each in groups:
        message, revision = each.identity
        rows.append(
            (
                printable(message),
                *((str(revision),) if has_revisions else ()),
                *(f"{each.threads:,}", each.whom),
                *(f"{each.counts[word]:,}" if each.counts[word] else "-" for word in loud),
                clock.to_second(each.last_at),
                *(_asked(activity.get(each.identity)) if activity else ()),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numbers = range(1, rows[0].index("last attempt"))
    for row in rows:
        cells = [
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _asked(activity: Activity | None) -> tuple[str, ...]:
    if activity is None:
        return ("0", "", "")
    last = clock.to_second(activity.last_at) if activity.last_at else ""
    return (f"{activity.answers:,}", ",".join(map(printable, activity.folders)), last)


def _refusals(standings: Sequence[Standing], history: History) -> Iterator[str]:
    """Say what Toloka refused and why, and how to get the rows that are to be mended."""
    refused = [each for each in standings if each.status == "rejected"]
    reasons = Counter((each.message, each.error or "") for each in refused)
    for (message, error), count in reasons.most_common(_REASONS):
        who = plural(count, "delivery", "deliveries")
        yield printable(f"rejected: {message}, {who}: {error}")
    if len(reasons) > _REASONS:
        yield f"rejected: {len(reasons) - _REASONS:,} more reasons"
    if refused:
        where = target_option(history.target, history.acts_under)
        rows = f"message-runner status --only rejected --format csv{where}"
        yield printable(f"  the rows to mend:  {rows}")


def held_lines(history: History, messages: frozenset[str] | None = None) -> Iterator[str]:
    """Say which messages have not gone to everybody, because of a limit."""
    for (message, revision), count in sorted(history.held.items()):
        if messages is None or message in messages:
            which = f" revision {revision}" if revision > 1 else ""
            yield f"held back: {printable(message)}{which} from {plural(count, 'Toloker')}"


def gone_lines(history: History) -> Iterator[str]:
    """Name what has gone, the newest first, as `recipients_from` takes it."""
    groups = groups_of(find_standings(history))
    gone = [each for each in groups if each.threads or _open(each)]
    gone.sort(key=lambda each: each.last_at, reverse=True)
    for each in gone[:_SHOWN]:
        kind = each.standings[0].row.kind
        named = f"{printable(kind.message)}, revision: {kind.revision}"
        whom = f"recipients_from: {{message: {named}}}  # {plural(each.reached, 'Toloker')}"
        if kind.select_type != "DIRECT":
            by = "replies" if kind.action == "reply" else f"by {kind.select_type}"
            whom = f"{named}: {by}, without a list"
        yield whom + (f", and {_open(each):,} unknown" if _open(each) else "")
    if len(gone) > _SHOWN:
        where = target_option(history.target, history.acts_under)
        yield f"and {len(gone) - _SHOWN:,} more: `message-runner status{where}` has them"


def _open(group: Group) -> int:
    return group.counts["unknown"] + group.counts["in_doubt"]


def status_document(
    history: History, activity: Activities, *, target: str, manifest: str, choice: Choice = ALL
) -> dict[str, object]:
    """Build the same as JSON, with every delivery that was chosen."""
    unknown = {each.delivery: each for each in history.unknown}
    entries = []
    for each in groups_of(find_standings(history)):
        chosen = tuple(filter(choice.takes, each.standings))
        if chosen:
            told = activity.get(each.identity)
            deliveries = _deliveries(chosen, unknown, history)
            entries.append({**_entry(each, history, told), "deliveries": deliveries})
    tests = [each for each in find_tests(history) if choice.takes(each)]
    return {
        "version": VERSION,
        "target": history.target or target,
        "account": history.account,
        "manifest": manifest,
        "messages": entries,
        "tests": [
            {"message": each.message, "revision": each.revision, **entry}
            for each, entry in zip(tests, _deliveries(tests, unknown, history), strict=True)
        ],
    }


def _entry(group: Group, history: History, activity: Activity | None) -> dict[str, object]:
    told: dict[str, object] = {}
    if activity is not None:
        told = {
            "answers": activity.answers,
            "folders": list(activity.folders),
            "last_activity_at": clock.written(activity.last_at) if activity.last_at else None,
        }
    message, revision = group.identity
    return told | {
        "message": message,
        "revision": revision,
        "threads": group.threads,
        "tolokers": group.reached,
        "held": history.held.get(group.identity, 0),
        "rejected": group.counts["rejected"],
        "unknown": _open(group),
        "last_at": clock.written(group.last_at),
    }


def _deliveries(
    standings: Sequence[Standing], unknown: Mapping[str, Attempt], history: History
) -> list[dict[str, object]]:
    """Each delivery with those of its Tolokers of whom it says what became."""
    together: dict[str, list[Standing]] = {}
    for each in standings:
        together.setdefault(each.delivery, []).append(each)
    found: list[dict[str, object]] = []
    for delivery, some in together.items():
        first, attempt = some[0], unknown.get(delivery)
        kind, row = first.row.kind, first.row
        people = [each.toloker for each in some if each.toloker]
        found.append(
            {
                "delivery": delivery,
                "status": first.status,
                "source": kind.source,
                "recipients_select_type": kind.select_type,
                "recipients_ids": people if kind.select_type == "DIRECT" else None,
                "key": row.key,
                "thread_id": first.thread_id or first.in_thread,
                "digest": row.digest,
                "at": clock.written(row.at),
                "error": reason(attempt, history) if attempt else first.error,
            }
        )
    return found
