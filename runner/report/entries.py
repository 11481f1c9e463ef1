"""A planned message in words: what the text, Markdown and HTML of a plan say alike.

The words hold texts of authors and servers, and each printer makes them harmless in its own way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from runner.model import (
    Direct,
    Everyone,
    Filtered,
    InOwnThread,
    InThread,
    InThreads,
    Message,
    ReachedBy,
    Result,
)
from runner.plan.plan import Plan, PlannedMessage
from runner.report.difference import difference, edited_contents
from runner.report.filters import describe_filter
from runner.wording import plural

SHOWN = 5
"""Ids and threads of one message that are shown without `-v`."""

_SKIPPED = {
    "edited": "edited since it was sent",
    "unknown": "unknown whether it was sent",
    "draft": "a draft, not sent",
    "outside_window": "not sent now",
    "held": "held back",
    "no_recipients": "a filter that matched nobody",
    "suppressed": "left out",
}
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class State:
    """What `send` would do for some of a message's recipients: in a few words, and in full."""

    status: str
    brief: str
    words: str


@dataclass(frozen=True, slots=True)
class Sample:
    """A message to show; of many rows the first, the longest and the shortest, named as such."""

    message: Message
    kind: str

    @property
    def to(self) -> tuple[str, ...]:
        """The Tolokers whom a row is for, or the thread that it goes into."""
        match self.message.recipients:
            case Direct(ids):
                return ids
            case InThread(thread_id):
                return (thread_id,)
            case InOwnThread(_, toloker):
                return (toloker,)
            case _:
                return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One planned message.

    `to` is whom it is for; `audience` what would go to whom, empty where nothing would; `people`
    are the Tolokers whom it names, `due` those of them who would get it now.
    """

    planned: PlannedMessage
    to: str
    audience: str
    people: tuple[str, ...]
    due: tuple[str, ...]
    states: tuple[State, ...]
    samples: tuple[Sample, ...]
    difference: tuple[str, ...]
    """What has changed since it was sent, line by line."""

    @property
    def message(self) -> Message:
        return self.planned.message


def entries_of(plan: Plan) -> Iterator[Entry]:
    """Put a plan into words, message by message."""
    contents = edited_contents(plan)
    for planned in plan.messages:
        to = _addressees(planned.message)
        audience = _audience(planned, to) if planned.deliveries or planned.possible else ""
        named = (each.recipients for each in planned.messages)
        listed = [each.ids for each in named if isinstance(each, Direct)]
        if isinstance(planned.message.recipients, ReachedBy):
            done = (each.recipients_ids or () for each in planned.skipped)
            listed = [planned.people, *done]
        people = dict.fromkeys(toloker for ids in listed for toloker in ids)
        yield Entry(
            planned=planned,
            to=to,
            audience=audience,
            people=tuple(people),
            due=planned.people,
            states=tuple(_states(planned, audience)),
            samples=tuple(_samples(planned)),
            difference=difference(planned, contents),
        )


def first_few(items: Sequence[_Item], *, verbose: bool) -> Sequence[_Item]:
    """The items that are shown: all of them, or the first where there are more than a few."""
    return items if verbose or len(items) <= SHOWN + 1 else items[:SHOWN]


def _addressees(message: Message) -> str:
    match message.recipients:
        case Direct():
            return "the Tolokers"
        case Filtered(tree):
            return f"every Toloker with {describe_filter(tree)}"
        case Everyone():
            return "ALL: every Toloker who has ever tried one of your tasks"
        case ReachedBy(name, revision, answered):
            which = f"revision {revision} of {name}" if revision else name
            done = {None: "", True: " and who answered", False: " and who did not answer"}[answered]
            return f"the Tolokers whom {which} reached{done}"
        case InThread(thread_id):
            is_one = message.row is None
            return f"thread {thread_id}" if is_one else "the threads that the rows name"
        case InOwnThread(name):
            return f"the Tolokers' own threads of {name}"
        case InThreads(name, only_answered):
            return f"the threads of {name}{', where a Toloker answered' if only_answered else ''}"


def _audience(planned: PlannedMessage, to: str) -> str:
    """Say to whom a message would go: `2 threads to 130 Tolokers`."""
    if not planned.deliveries and planned.message.action == "reply":
        return f"replies in {to}"
    if not planned.deliveries:
        return _up_to(planned).removeprefix("to ")
    if planned.message.action == "reply":
        return f"{_requests(planned)} in {to}"
    if not planned.people:
        return f"{_requests(planned)} to {to}"
    rows = ", one for each row" if planned.message.row is not None else ""
    return f"{_requests(planned)} to {plural(len(planned.people), 'Toloker')}{rows}"


def _requests(planned: PlannedMessage) -> str:
    count = len(planned.deliveries)
    if planned.message.action == "compose":
        return plural(count, "thread")
    return _replies(count)


def _replies(count: int) -> str:
    return "1 reply" if count == 1 else f"{count:,} replies"


def _states(planned: PlannedMessage, audience: str) -> Iterator[State]:
    if planned.deliveries:
        yield State("planned", f"would send {_requests(planned)}", f"would send {audience}")
    if planned.late_since is not None:
        since = f"{planned.late_since:%Y-%m-%d}"
        yield State("late", "late", f"late: first sent on {since}, and these get it only now")
    if planned.unguarded:
        who = plural(planned.unguarded, "Toloker")
        cannot = f"the {who} on the suppression list cannot be kept from it"
        yield State("unguarded", "suppresses nobody", f"suppressed: nobody; {cannot}")
    for status, results in planned.skipped_by_status.items():
        brief = status.replace("_", " ")
        if status == "waiting" and planned.possible:
            yield State(status, brief, f"would send {_up_to(planned)}: {results[0].error}")
            continue
        yield State(status, brief, _skipped_words(_SKIPPED.get(status, brief), results))


def _up_to(planned: PlannedMessage) -> str:
    if planned.message.action == "compose":
        most = planned.message.at_most or len(planned.candidates)
        return f"to up to {plural(min(most, len(planned.candidates)), 'Toloker')}"
    if planned.message.row is None:
        return "replies"
    return f"up to {_replies(len(planned.possible))}"


def _skipped_words(words: str, results: Sequence[Result]) -> str:
    people = sum(len(result.recipients_ids or ()) for result in results)
    who = f" ({plural(people, 'Toloker')})" if people else ""
    reason = next((result.error for result in results if result.error), None)
    return f"{words}{who}: {reason}" if reason else f"{words}{who}"


def _samples(planned: PlannedMessage) -> Iterator[Sample]:
    due = [each.message for each in planned.deliveries] or planned.messages
    longest, shortest = max(due, key=_length), min(due, key=_length)
    chosen = [("first", due[0])]
    if longest is not shortest:
        chosen += [("longest", longest), ("shortest", shortest)]
    for row in dict.fromkeys(message.row for _, message in chosen):
        kinds = {kind: message for kind, message in chosen if message.row == row}
        yield Sample(next(iter(kinds.values())), ", ".join(kinds))


def _length(message: Message) -> int:
    return sum(map(len, message.text.values()))
