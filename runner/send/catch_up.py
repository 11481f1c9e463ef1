"""How every `send` begins: what the list has and the manifest does not is found, adopted, in doubt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from runner import clock
from runner.errors import SurroundingsError
from runner.lookup import replies
from runner.lookup.absence import LOOKS
from runner.lookup.adopt import Adoption, Doubt, Messages, find_adoptions
from runner.lookup.claim import Sharing, claim, find_doubts
from runner.lookup.look import Look, remembered
from runner.manifest.attempts import Attempt
from runner.manifest.history import History
from runner.manifest.manifest import Manifest
from runner.manifest.told import target_option
from runner.model import Delivery, InThread, Message, Place, Sent, Thread
from runner.plan.build import build_plan
from runner.plan.whom import Answered
from runner.send.lists import Lister
from runner.toloka.anchor import BEGINNING, Anchor
from runner.toloka.listing import LIST_LIMIT

_LONG = 10 * LIST_LIMIT
"""Threads of a look that is worth a push by itself."""
_ONCE = "looking at what this account has sent, once"


@dataclass
class CatchUp:
    """Looks at what the manifest does not know, and records it.

    `all_messages` gives those under the messages root, asked only where a thread is held against
    them; `mine` are those that this run could send.
    """

    manifest: Manifest
    lister: Lister
    settle_s: float
    mine: Sequence[Message] = ()
    all_messages: Callable[[], Iterable[Message]] = tuple
    adopted: dict[str, str] = field(default_factory=dict)
    """When the threads of adopted deliveries were made, by delivery id."""
    found: set[str] = field(default_factory=set)
    answered: Answered | None = None
    origins: Mapping[str, str] = field(default_factory=dict)
    """The threads that Tolokers answered to, by those that hold the answers."""
    threads: dict[str, Thread] = field(default_factory=dict)
    """The threads that replies go into, as they were when they were looked at."""
    known_replies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What the manifest knew then to stand in them."""

    @cached_property
    def messages(self) -> Messages:
        """What unclaimed threads are held against."""
        mine = {(each.id, each.revision) for each in self.mine}
        return Messages((*self.mine, *self.all_messages()), mine)

    def catch_up(self) -> None:
        """Look from the cursor on, or from the beginning; record what was found, and how far."""
        history = self.manifest.history()
        unknown = [each for each in history.open if each.action == "compose"]
        begin = min(
            (each.anchor for each in unknown if not each.was_looked_for),
            default=history.cursor or BEGINNING,
        )
        begin = min(begin, history.cursor or BEGINNING)
        look = self._look(history, unknown, begin)
        if self.manifest.is_unborn and look.shows_ours:
            # It may have been removed.
            where = target_option(self.manifest.target, history.acts_under)
            raise SurroundingsError(
                f"{self.manifest.where} knows nothing of this target, and its account has sent "
                "messages: if they were sent without message-runner, say `message-runner unlock "
                f"--rewritten{where}` and then `message-runner import{where}`, which takes them "
                "over; if there was such a branch, bring it back"
            )
        if self.lister.failed is not None:
            self._remember_part(look, history)
            return
        if history.must_show and not look.count:
            self._check_account(look, history)
        claimed = claim(unknown, look.kept.values()) if unknown else {}
        for delivery_id, thread in claimed.items():
            self.manifest.settle(delivery_id, Sent(thread), "found")
            self.found.add(delivery_id)
        taken = {thread.id for thread in claimed.values()}
        left = [thread for thread in look.kept.values() if thread.id not in taken]
        hits = self._ask_again(look, history) if history.remembered else []
        if self.lister.failed is None:
            self._record(look, (*left, *hits))

    def look_into_threads(self) -> None:
        """Read the threads that replies go into: what we wrote there, and who answered."""
        history = self.manifest.history()
        unknown = [each for each in history.open if each.action == "reply"]
        targets, with_later = replies.reply_targets(self.mine, history)
        targets |= {each.in_thread for each in unknown if each.in_thread}
        self.answered = {}
        if not targets:
            return
        queries = replies.query_families(targets, history.made)
        listed = self.lister.threads(*(queries if with_later else [replies.query_threads(targets)]))
        if self.lister.failed is not None:
            self.answered = None
            return
        self.threads = {thread.id: thread for thread in listed}
        self.answered = replies.answered_threads(targets, listed)
        self.origins = {each: by for by, some in self.answered.items() for each in some}
        looked = replies.look_for_replies(unknown, self.threads, history.replies)
        for delivery_id, seen in looked.items():
            if seen.sent is not None:
                self.manifest.settle(delivery_id, seen.sent, "found")
                self.found.add(delivery_id)
        self.known_replies = self.manifest.history().replies

    def adopt_replies(self) -> None:
        """Take planned replies that stand in their threads for ours, where lines were lost."""
        history = self.manifest.history()
        planned = build_plan(self.mine, history, now=clock.now(), answered=self.answered)
        due = [each for each in planned.deliveries if isinstance(each.recipients, InThread)]
        adoptions = list(replies.find_adopted_replies(due, self.threads, history.replies))
        ids = self.manifest.adopt((each.delivery, each.sent) for each in adoptions)
        self.adopted.update(zip(ids, (each.sent.created for each in adoptions), strict=True))
        self.known_replies = self.manifest.history().replies

    def place_of(self, delivery: Delivery) -> Place | None:
        """What stood in a reply's thread when it was looked at, less what is known to be ours."""
        recipients = delivery.recipients
        if not isinstance(recipients, InThread) or recipients.thread_id not in self.threads:
            return None
        thread = self.threads[recipients.thread_id]
        return replies.place_of(thread, delivery.message.digest, self.known_replies)

    def is_behind(self, delivery: Delivery) -> bool:
        """Whether the list shows a reply's thread without something that we know to be in it."""
        recipients = delivery.recipients
        is_shown = isinstance(recipients, InThread) and recipients.thread_id in self.threads
        return is_shown and self.place_of(delivery) is None

    def _look(self, history: History, unknown: Sequence[Attempt], begin: Anchor) -> Look:
        sharing = Sharing(unknown)
        look = Look(
            begin,
            self.lister.pace.now_s(),
            must_show=history.must_show,
            claimed=history.thread_ids,
            matters=lambda thread, marks: self.messages.may_be(marks) or any(sharing.of(thread)),
        )
        self.lister.look(look, begin)
        if history.has_gap and self.lister.failed is None:
            # What was asked for just before the lines were lost may be shown only now.
            self.lister.wait_until(look.begun_s + LOOKS * self.settle_s, _ONCE)
            self.lister.look(look, look.begin_again())
        return look

    def _check_account(self, look: Look, history: History) -> None:
        """Refuse a token whose account has no thread at all, where the manifest knows some."""
        # The list may only be late.
        self.lister.wait_until(look.begun_s + LOOKS * self.settle_s, _ONCE)
        page = self.lister.threads({})
        if self.lister.failed is None and not page:
            raise SurroundingsError(
                f"{self.manifest.where} knows {len(history.must_show):,} threads, and the "
                "token's account has none: use the token of the account that sent them, or another "
                "--manifest"
            )

    def _ask_again(self, look: Look, history: History) -> list[Thread]:
        """Ask for the remembered threads that may carry a message of this run."""
        known = look.kept.keys() | history.thread_ids
        found: list[Thread] = []
        for thread_id, marks in history.rest:
            if (
                self.lister.failed is None
                and self.messages.may_be(marks)
                and thread_id not in known
            ):
                found += self.lister.threads(replies.query_threads([thread_id]))
                # It may be remembered twice.
                known.add(thread_id)
        return found

    def _record(self, look: Look, left: Sequence[Thread]) -> None:
        """Write down in one piece what was caught up: adopted, in doubt, remembered, how far."""
        history = self.manifest.history()
        results = list(find_adoptions(left, self.messages, history)) if left else []
        adoptions = [each for each in results if isinstance(each, Adoption)]
        taken = {each.sent.thread.id for each in adoptions}
        unclaimed = [thread for thread in left if thread.id not in taken]
        unknown = [each for each in history.open if each.action == "compose"]
        doubts = find_doubts(unknown, unclaimed) if unknown else {}
        rest = [*look.rest, *map(remembered, unclaimed)]
        ids = self.manifest.catch_up(
            adopted=[(each.delivery, each.sent) for each in adoptions],
            doubts=[(each.delivery, each.thread) for each in results if isinstance(each, Doubt)],
            unknown_doubts=doubts,
            cursor=max(history.cursor or BEGINNING, look.cursor),
            rest=rest,
            shows_ours=look.shows_ours,
            is_long=look.count > _LONG,
        )
        self.adopted.update(zip(ids, (each.sent.created for each in adoptions), strict=True))

    def _remember_part(self, look: Look, history: History) -> None:
        """Keep what a list that broke off showed: the next run goes on from there."""
        if look.cursor > (history.cursor or BEGINNING):
            rest = [*look.rest, *map(remembered, look.kept.values())]
            self.manifest.catch_up(cursor=look.cursor, rest=rest, is_part=True)
