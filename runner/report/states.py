"""What `send` would do for a message's recipients, in words: a state for each that is told of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from runner.manifest.history import History
from runner.model import Direct, Rejected, Result
from runner.plan.needs import find_unfiled
from runner.plan.plan import PlannedMessage, keys_of
from runner.report.samples import Detail, first_few, id_words
from runner.toloka.ids import count_people
from runner.wording import listed, plural

_SKIPPED = {
    "draft": "a draft, not sent",
    "outside_window": "not sent now",
    "held": "held back",
    "no_recipients": "a filter that matched nobody",
    "suppressed": "left out",
}


@dataclass(frozen=True, slots=True)
class State:
    """What `send` would do for some of a message's recipients: in a few words, and in full."""

    status: str
    brief: str
    words: str


def states_of(
    planned: PlannedMessage, history: History, goes: tuple[str, str], detail: Detail
) -> Iterator[State]:
    """Say what would go to whom, what speaks against it, and what becomes of the others.

    `goes` is what goes in words, and what may go once Toloka has told who answered.
    """
    sure, perhaps = goes
    if planned.deliveries:
        requests = sure.partition(" to ")[0].partition(" in ")[0]
        yield State("planned", f"would send {requests}", f"would send {sure}")
        yield from _refused_before(planned, history)
    yield from _warned_of(planned, history)
    for status, results in planned.skipped_by_status.items():
        brief = status.replace("_", " ")
        if status == "waiting" and planned.possible:
            brief = f"would send {perhaps.partition(' in ')[0]}"
            yield State(status, brief, f"would send {perhaps}: {results[0].error}")
        elif status == "outside_window" and (sure or perhaps):
            words = listed([*filter(None, goes)])
            yield State(status, "later", f"would send {words}, {results[0].error}")
        elif status == "edited":
            yield State(status, brief, _edited(planned, results))
        elif status in ("unknown", "in_doubt"):
            yield from _doubts(status, brief, results, detail)
        else:
            yield State(status, brief, _skipped_words(_SKIPPED.get(status, brief), results))


def _warned_of(planned: PlannedMessage, history: History) -> Iterator[State]:
    if planned.late_since is not None:
        since = f"{planned.late_since:%Y-%m-%d}"
        yield State("late", "late", f"late: first sent on {since}, and these get it only now")
    if planned.unguarded:
        who = plural(planned.unguarded, "Toloker")
        cannot = f"the {who} on the suppression list cannot be kept from it"
        yield State("unguarded", "suppresses nobody", f"suppressed: nobody; {cannot}")
    unfiled = find_unfiled(planned.messages, history)
    if unfiled:
        folders = ", ".join(dict.fromkeys(name for _, missing in unfiled for name in missing))
        words = f"would put {plural(len(unfiled), 'thread')} into {folders}"
        yield State("unfiled", "to be filed", words)


def _edited(planned: PlannedMessage, results: Sequence[Result]) -> str:
    people = count_people(each.recipients_ids for each in results)
    who = plural(people, "Toloker") if people else plural(len(results), "thread")
    have = "has" if max(people, len(results)) == 1 else "have"
    again = f"`revision: {planned.message.revision + 1}` would send it again"
    named = (each.recipients for each in planned.messages)
    everybody = count_people(each.ids for each in named if isinstance(each, Direct))
    rest = f", to all {everybody:,}" if everybody > people else ""
    return f"edited: {who} {have} the old text; {again}{rest}"


def _doubts(status: str, brief: str, results: Sequence[Result], detail: Detail) -> Iterator[State]:
    """Each of them is settled by a command of its own."""
    few = first_few(results, verbose=detail.all)
    for each in few:
        who = id_words(each.recipients_ids or ()) or each.thread_id or each.select_type
        yield State(status, brief, f"{brief}: {who}: {each.error}")
    if len(few) < len(results):
        yield State(status, brief, f"{brief}: {len(results) - len(few):,} more (-v shows all)")


def _refused_before(planned: PlannedMessage, history: History) -> Iterator[State]:
    """Say of how much that would be sent Toloka has refused, and why."""
    message = planned.message
    deliveries = history.by_identity.get((message.id, message.revision), ())
    refused: dict[str | None, str] = {}
    for row in map(history.rows.__getitem__, deliveries):
        if isinstance(row.outcome, Rejected) and row.outcome.is_refusal:
            refused.update(dict.fromkeys(row.keys, row.outcome.detail))
    if refused:
        due = {key for each in planned.deliveries for _, _, key in keys_of(each)}
        refused = {key: why for key, why in refused.items() if key in due}
    if refused:
        whom = {(key or "").partition(" ")[0] for key in refused}
        who = plural(len(whom), "Toloker" if planned.people else "request")
        why = next(reversed(refused.values()))
        yield State("rejected", "refused before", f"refused before ({who}), and tried again: {why}")


def _skipped_words(words: str, results: Sequence[Result]) -> str:
    people = count_people(each.recipients_ids for each in results)
    who = f" ({plural(people, 'Toloker')})" if people else ""
    if results[0].action == "reply" and results[0].thread_id:
        who = f" ({plural(len(results), 'thread')})"
    reason = next((result.error for result in results if result.error), None)
    return f"{words}{who}: {reason}" if reason else f"{words}{who}"
