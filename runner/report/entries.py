"""A planned message in words: what the text, Markdown and HTML of a plan say alike.

The words hold texts of authors and servers, and each printer makes them harmless in its own way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from runner import clock
from runner.manifest.history import History
from runner.model import (
    Direct,
    Everyone,
    Filtered,
    InOwnThread,
    InThread,
    InThreads,
    Message,
    ReachedBy,
)
from runner.plan.limits import most_of
from runner.plan.plan import Plan, PlannedMessage
from runner.report.difference import Contents, difference, edited_contents
from runner.report.filters import describe_filter
from runner.report.samples import Detail, Sample, rows_of, samples_of
from runner.report.states import State, states_of
from runner.toloka.ids import count_people
from runner.wording import listed, plural


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One planned message.

    `to` is whom it is for; `audience` what would go to whom, empty where nothing would; `people`
    are the Tolokers whom it names, `due` those of them who would get it now, and `whom` those who
    would, may, or will later. `samples` are those of
    `rows` rows that are shown, and `notes` say what of its data makes no message.
    """

    planned: PlannedMessage
    to: str
    audience: str
    people: tuple[str, ...]
    due: tuple[str, ...]
    whom: tuple[str, ...]
    states: tuple[State, ...]
    samples: tuple[Sample, ...]
    rows: int
    languages: tuple[str, ...]
    notes: tuple[str, ...]
    difference: tuple[str, ...]
    """What has changed since it was sent, line by line."""
    shows_text: bool

    @property
    def message(self) -> Message:
        return self.planned.message

    @property
    def name(self) -> str:
        """Its id, and its revision where it is not the first."""
        revision = self.message.revision
        return f"{self.message.id} revision {revision}" if revision > 1 else self.message.id

    @property
    def brief(self) -> str:
        """What `send` would do with it, in a few words."""
        said = ("planned", "waiting") if self.audience else ()
        states = dict.fromkeys(each.brief for each in self.states if each.status not in said)
        return ", ".join(filter(None, [self.audience, *states]))

    @property
    def facts(self) -> str:
        """What else decides how it is sent: `languages: EN; answerable: no; folders: IMPORTANT`."""
        message, facts = self.message, [f"languages: {', '.join(self.languages)}"]
        if message.action == "compose":
            facts.append(f"answerable: {'yes' if message.answerable else 'no'}")
        if message.folders:
            facts.append(f"folders: {', '.join(message.folders)}")
        if message.at_most is not None:
            facts.append(f"at most: {message.at_most:,}")
        if message.not_after is not None:
            facts.append(f"not after: {clock.to_second(message.not_after)}")
        return "; ".join(facts)

    @property
    def is_personal(self) -> bool:
        return self.message.row is not None


def entries_of(plan: Plan, notes: Mapping[str, Sequence[str]], detail: Detail) -> Iterator[Entry]:
    """Put a plan into words, message by message, changes first."""
    contents = edited_contents(plan)
    for planned in plan.changes_first:
        yield _entry(planned, plan.history, contents, notes.get(planned.message.id, ()), detail)


def _entry(
    planned: PlannedMessage,
    history: History,
    contents: Contents,
    notes: Sequence[str],
    detail: Detail,
) -> Entry:
    to = _addressees(planned.message)
    goes = planned.sure or planned.possible
    sure, perhaps = _sure(planned, to), _perhaps(planned, to, history)
    named = (each.recipients for each in planned.messages)
    ids = [each.ids for each in named if isinstance(each, Direct)]
    if isinstance(planned.message.recipients, ReachedBy):
        done = (each.recipients_ids or () for each in planned.skipped)
        ids = [planned.people, *done]
    rows, changed = rows_of(planned), difference(planned, contents)
    samples = samples_of(planned, rows, detail)
    is_new = bool(goes) or planned.change == "later" or (planned.change == "edited" and not changed)
    return Entry(
        planned=planned,
        to=to,
        audience=listed([*filter(None, [sure, perhaps])]),
        people=tuple(dict.fromkeys(toloker for some in ids for toloker in some)),
        due=planned.people,
        whom=planned.people or tuple(toloker for each in goes for toloker in each.people),
        states=tuple(states_of(planned, history, (sure, perhaps), detail)),
        samples=tuple(samples),
        rows=len(rows),
        languages=tuple(dict.fromkeys(language for each in rows for language in each.text)),
        notes=tuple(notes),
        difference=changed,
        shows_text=is_new or detail.all or bool(detail.row and planned.message.row and samples),
    )


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


def _sure(planned: PlannedMessage, to: str) -> str:
    """Say to whom a message would go, now or later: `2 threads to 130 Tolokers`."""
    if not planned.sure:
        return ""
    is_reply, count = planned.message.action == "reply", len(planned.sure)
    requests = replies(count) if is_reply else plural(count, "thread")
    people = count_people(each.people for each in planned.sure)
    if not people:
        return f"{requests} {'in' if is_reply else 'to'} {to}"
    rows = ", one for each row" if planned.message.row is not None else ""
    return f"{requests} to {plural(people, 'Toloker')}{rows}"


def _perhaps(planned: PlannedMessage, to: str, history: History) -> str:
    """Say to whom it may go once Toloka has told who answered: `up to 3 replies in …`."""
    if not planned.possible:
        return ""
    most = most_of(planned, history)
    if planned.message.action == "compose":
        return f"to up to {plural(most or 0, 'Toloker')}"
    return f"{'replies' if most is None else f'up to {replies(most)}'} in {to}"


def replies(count: int) -> str:
    """Count replies."""
    return "1 reply" if count == 1 else f"{count:,} replies"
