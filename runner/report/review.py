"""What a reviewer is told of a plan, whatever the form: rules, changes, warnings, and what stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from runner import clock
from runner.errors import Problem
from runner.manifest.history import History
from runner.manifest.told import find_unselected
from runner.model import Delivery
from runner.plan.limits import most_of
from runner.plan.needs import find_unfiled
from runner.plan.plan import Plan, PlannedMessage
from runner.report.entries import Entry, entries_of, replies
from runner.report.samples import Detail
from runner.report.text import counted, status_words
from runner.wording import listed, plural

_NOT_KNOWN = "what was sent before is not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is told of a plan besides its messages.

    `stopped` says who has stopped all sending. `rules` are those that have changed, under a title that says since when, and `notes` are of the
    rows and lists of a message that make no delivery, by its id.
    """

    target: str
    manifest: str
    is_known: bool = True
    """Whether the manifest could be read at all."""
    stopped: str | None = None
    warnings: Sequence[Problem] = ()
    quota_notes: Sequence[str] = ()
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    rules: Sequence[str] = ()
    rules_title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A plan in words: `changes` first, and in one line (`standing`) all that stands as it is."""

    plan: Plan
    about: Surroundings
    headline: str
    changes: tuple[Entry, ...]
    others: tuple[Entry, ...]
    standing: str
    detail: Detail

    @property
    def shown(self) -> tuple[Entry, ...]:
        """What a text shows: what changes, and whatever else somebody asks for."""
        return (*self.changes, *(each for each in self.others if each.shows_text))

    @property
    def entries(self) -> tuple[Entry, ...]:
        return (*self.changes, *self.others)

    @property
    def closing(self) -> str:
        """What a dry run did itself, which is not what was done before."""
        return "Nothing was sent" if self.about.is_known else "This command sent nothing"

    @property
    def notes(self) -> Iterator[str]:
        """What is told of messages none of whose rows is left, or that are not in this plan."""
        known = {each.message.id for each in self.entries}
        for message, notes in self.about.notes.items():
            yield from () if message in known else notes
        yield from find_unselected(self.plan.results, self.plan.history)


def review_of(plan: Plan, about: Surroundings, detail: Detail) -> Review:
    """Put a plan into words."""
    entries = tuple(entries_of(plan, about.notes, detail))
    stand = tuple(each for each in entries if each.planned.change == "stands")
    return Review(
        plan=plan,
        about=about,
        headline="; ".join([headline(plan), *([] if about.is_known else [_NOT_KNOWN])]),
        changes=entries[: len(entries) - len(stand)],
        others=stand,
        standing=_standing(stand),
        detail=detail,
    )


def headline(plan: Plan) -> str:
    """Say in one line what `send` would do now, what later, and how many deliveries need nothing."""
    held = [each for each in plan.messages if each.held and (each.later or each.possible)]
    free = [each for each in plan.messages if each.held is None]
    now = [*_counted(plan.deliveries), *_perhaps(free, plan.history)]
    later = [*_counted([it for each in held for it in each.later]), *_perhaps(held, plan.history)]
    counts = Counter(
        each.status
        for planned in plan.messages
        for each in planned.skipped
        if not (each.status == "outside_window" and (planned.later or planned.possible))
        and not (each.status == "waiting" and planned.possible)
    )
    clauses = [f"Would send {listed(now)}"]
    if not now:
        # What is settled, or told by Toloka, may make something to send.
        may_come = any(each.change in ("later", "doubt") for each in plan.messages)
        is_open = may_come or plan.history.pending or plan.history.being_sent
        clauses = ["Would send nothing now" if is_open else "Would send nothing"]
    if later:
        times = [each.held.opens_at for each in held if each.held]
        first = min(each for each in times if each is not None)
        clauses.append(f"later {listed(later)}, from {clock.to_second(first)}")
    if counts["unknown"]:
        clauses.append("looks first for what is unknown, and sends it again if it is not there")
    if unfiled := find_unfiled(
        [each for some in plan.messages for each in some.messages], plan.history
    ):
        clauses.append(f"would put {plural(len(unfiled), 'thread')} into folders")
    return "; ".join([*clauses, *filter(None, [", ".join(counted(counts))])])


def _counted(deliveries: Sequence[Delivery]) -> Iterator[str]:
    """Count threads, and replies."""
    count = Counter(each.message.action for each in deliveries)
    if count["compose"]:
        yield plural(count["compose"], "thread")
    if count["reply"]:
        yield replies(count["reply"])


def _perhaps(messages: Sequence[PlannedMessage], history: History) -> Iterator[str]:
    """What may be sent, as soon as Toloka has told who answered."""
    some = [(each, most_of(each, history)) for each in messages if each.possible]
    people = sum(most or 0 for each, most in some if each.message.action == "compose")
    answers = [most for each, most in some if each.message.action == "reply"]
    if people:
        yield f"to up to {plural(people, 'Toloker')}"
    if answers:
        known = [each for each in answers if each is not None]
        is_known = len(known) == len(answers)
        yield f"up to {replies(sum(known))}" if is_known else "replies to whoever answered"


def _standing(entries: Sequence[Entry]) -> str:
    """Say in one line what stands as it is; nothing where nothing does."""
    if not entries:
        return ""
    kinds: Counter[str] = Counter()
    for planned in (each.planned for each in entries):
        nobody = planned.held.status if planned.held else "no_recipients"
        kinds[listed([status_words(each) for each in planned.skipped_by_status or [nobody]])] += 1
    counts = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
    return f"nothing to do for {plural(len(entries), 'message')}: {counts}"
