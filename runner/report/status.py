"""What a manifest knows, as a table and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from runner import clock
from runner.lookup.conversation import Activity
from runner.manifest.attempts import Attempt, Row
from runner.manifest.history import History
from runner.manifest.told import describe
from runner.model import NoRecipients, Rejected, Sent
from runner.wording import plural, printable

VERSION = 1
_SHOWN = 20
Activities = Mapping[tuple[str, int], Activity]
"""What Toloka told, by message and revision; empty where it was not asked."""

_ASKED_HEADINGS = ("answers", "folders", "last activity")
_HEADINGS = ("message", "revision", "threads", "Tolokers", "rejected", "unknown", "last attempt")


@dataclass(frozen=True, slots=True)
class Standing:
    """One revision of a message with its deliveries, oldest first."""

    message: str
    revision: int
    rows: Sequence[Row]
    unknown: int

    @property
    def sent(self) -> list[Row]:
        return [row for row in self.rows if isinstance(row.outcome, str)]

    @property
    def last_at(self) -> str:
        return clock.written(max(row.at for row in self.rows))

    @property
    def reached(self) -> int:
        """Tolokers by id; a filter or ALL does not say whom it reached."""
        return len({toloker for row in self.sent for toloker in row.people})

    @property
    def still_rejected(self) -> list[Row]:
        """Refused deliveries whose Tolokers nothing has reached since."""
        sent = self.sent
        reached = {toloker for row in sent for toloker in row.people}
        if any(row.kind.select_type != "DIRECT" for row in sent):
            return []
        refused = [row for row in self.rows if isinstance(row.outcome, Rejected)]
        return [row for row in refused if not row.people or set(row.people) - reached]


def standings(history: History) -> Iterator[Standing]:
    """Group a manifest's deliveries by message and revision, in that order: threads have none."""
    unknown = Counter(history.rows[each.delivery].kind[:2] for each in history.unknown)
    for identity, deliveries in sorted(history.by_identity.items()):
        rows = [history.rows[each] for each in deliveries]
        yield Standing(*identity, rows, unknown[identity])


def status_lines(history: History, activity: Activities) -> Iterator[str]:
    """Print a line for each message and revision, with what Toloka told where it was asked."""
    headings = (*_HEADINGS, *(_ASKED_HEADINGS if activity else ()))
    rows = [headings]
    for each in standings(history):
        told = _asked(activity.get((each.message, each.revision))) if activity else ()
        rows.append((*_row(each), *told))
    widths = [max(len(row[column]) for row in rows) for column in range(len(headings))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def unknown_lines(history: History) -> Iterator[str]:
    """Name every delivery that is unknown or in doubt, and what settles it."""
    for attempt in history.unknown:
        word = "in doubt" if history.is_in_doubt(attempt.delivery) else "unknown"
        yield f"{word}: {printable(describe(attempt, history))}"


def gone_lines(history: History) -> Iterator[str]:
    """Name what has gone, the newest first, as `recipients_from` takes it."""
    gone = [each for each in standings(history) if each.sent or each.unknown]
    gone.sort(key=lambda each: each.last_at, reverse=True)
    for each in gone[:_SHOWN]:
        named = f"{printable(each.message)}, revision: {each.revision}"
        whom = f"recipients_from: {{message: {named}}}  # {plural(each.reached, 'Toloker')}"
        kind = each.rows[0].kind.select_type
        if kind != "DIRECT":
            whom = f"{named}: {'replies' if kind is None else f'by {kind}'}, without a list"
        yield whom + (f", and {each.unknown:,} unknown" if each.unknown else "")
    if len(gone) > _SHOWN:
        yield f"and {len(gone) - _SHOWN:,} more: `message-runner status` has them"


def held_lines(history: History) -> Iterator[str]:
    """Say which messages have not gone to everybody, because of a limit."""
    for (message, revision), count in sorted(history.held.items()):
        which = f" revision {revision}" if revision > 1 else ""
        yield f"held back: {printable(message)}{which} from {plural(count, 'Toloker')}"


def _asked(activity: Activity | None) -> tuple[str, ...]:
    if activity is None:
        return ("0", "", "")
    last = clock.written(activity.last_at) if activity.last_at else ""
    return (f"{activity.answers:,}", ",".join(map(printable, activity.folders)), last)


def _row(standing: Standing) -> tuple[str, ...]:
    first = standing.rows[0].kind
    named = f"{standing.reached:,}" if first.select_type == "DIRECT" else str(first.select_type)
    return (
        printable(standing.message),
        str(standing.revision),
        str(len(standing.sent)),
        "replies" if first.action == "reply" else named,
        str(len(standing.still_rejected)),
        str(standing.unknown),
        standing.last_at,
    )


def status_document(
    history: History, activity: Activities, *, target: str, manifest: str
) -> dict[str, object]:
    """Build the same as JSON, with every attempt."""
    return {
        "version": VERSION,
        "target": history.target or target,
        "account": history.account,
        "manifest": manifest,
        "messages": [
            _entry(each, history, activity.get((each.message, each.revision)))
            for each in standings(history)
        ],
    }


def _entry(standing: Standing, history: History, activity: Activity | None) -> dict[str, object]:
    told: dict[str, object] = {}
    if activity is not None:
        told = {
            "answers": activity.answers,
            "folders": list(activity.folders),
            "last_activity_at": clock.written(activity.last_at) if activity.last_at else None,
        }
    return told | {
        "message": standing.message,
        "revision": standing.revision,
        "threads": len(standing.sent),
        "tolokers": standing.reached,
        "held": history.held.get((standing.message, standing.revision), 0),
        "rejected": len(standing.still_rejected),
        "unknown": standing.unknown,
        "last_at": standing.last_at,
        "deliveries": _deliveries(history.attempts_of((standing.message, standing.revision))),
    }


def _deliveries(attempts: Iterable[Attempt]) -> list[dict[str, object]]:
    return [
        {
            "delivery": each.delivery,
            "status": _status(each),
            "source": each.source,
            "recipients_select_type": each.select_type,
            "recipients_ids": list(each.recipients_ids) if each.select_type == "DIRECT" else None,
            "thread_id": each.thread_id,
            "digest": each.digest,
            "at": clock.written(each.at),
            "error": each.outcome.detail
            if isinstance(each.outcome, (Rejected, NoRecipients))
            else None,
        }
        for each in attempts
    ]


def _status(attempt: Attempt) -> str:
    if attempt.outcome is None:
        return "being_sent" if attempt.is_being_sent else "unknown"
    if isinstance(attempt.outcome, Sent):
        return "sent"
    if isinstance(attempt.outcome, Rejected):
        return "rejected"
    return "no_recipients" if isinstance(attempt.outcome, NoRecipients) else "not_found"
