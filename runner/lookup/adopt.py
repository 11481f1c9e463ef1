"""Threads of ours that no delivery claims, held against the messages: adopted, in doubt, or not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from runner.lookup.look import digest_of_thread, people_of
from runner.manifest.attempts import Identity
from runner.manifest.history import History
from runner.model import (
    Delivery,
    Direct,
    Filtered,
    Message,
    ReachedBy,
    Recipients,
    Sent,
    Thread,
    compared_as,
    reached_as,
)
from runner.toloka.digest import MARK, folded, toloker_mark, topic_mark
from runner.toloka.filters import normal_form

Key = str | None
"""A Toloker, by an id as ids are compared, or None for a whole filter."""
Spot = tuple[str, int, str | None]
"""A message id, its revision, and the key that tells this letter from others."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """Something of ours on Toloka that carries a planned message, unknown to the manifest."""

    delivery: Delivery
    sent: Sent


@dataclass(frozen=True, slots=True)
class Doubt:
    """A thread that may carry a message: nobody in `delivery` is written to until somebody says."""

    delivery: Delivery
    thread: Thread


Found = Adoption | Doubt
Near = Mapping[Spot, tuple[Message, set[Key]]]
"""Messages that a thread carries, or nearly, and whom of each it reaches."""


class Messages:
    """The messages under the messages root, found by a folded topic and a Toloker.

    `mine` are those that this run could send, by id and revision: the others, drafts and closed
    windows too, only make a thread fit several.
    """

    def __init__(self, messages: Iterable[Message], mine: Collection[Identity]) -> None:
        self.mine = mine
        self._by_mark: dict[tuple[str, Key], list[Message]] = defaultdict(list)
        self._marks: dict[str, set[Key]] = defaultdict(set)
        self._open: dict[str, list[Message]] = defaultdict(list)
        for message in messages:
            if message.action != "compose":
                continue
            topic = topic_mark(message.topic)
            if isinstance(message.recipients, ReachedBy):
                # Whom it may have reached, a lost manifest cannot tell: whoever has its words.
                self._open[topic].append(message)
                continue
            for key in _keys(message.recipients):
                self._by_mark[topic, key].append(message)
                if _identity(message) in mine:
                    self._marks[topic].add(key if key is None else toloker_mark(key))

    def may_be(self, marks: str) -> bool:
        """Whether a thread with these marks may carry a message of this run."""
        if any(_identity(each) in self.mine for each in self._open.get(marks[:MARK], ())):
            return True
        wanted = self._marks.get(marks[:MARK])
        if wanted is None:
            return False
        people = {marks[place : place + MARK] for place in range(MARK, len(marks), MARK)}
        return not wanted.isdisjoint(people or {None})

    def near(self, thread: Thread) -> Near:
        """The messages that a thread carries, or nearly: whom of each it reaches."""
        found: dict[Spot, tuple[Message, set[Key]]] = {}
        topic = topic_mark(thread.topic)
        for key in _whom(thread):
            anybody = self._open.get(topic, ()) if key is not None else ()
            for message in (*self._by_mark.get((topic, key), ()), *anybody):
                if _is_near(message, thread):
                    found.setdefault(_spot(message), (message, set()))[1].add(key)
        return found


def find_adoptions(
    threads: Iterable[Thread], messages: Messages, history: History
) -> Iterator[Found]:
    """Hold threads that no delivery claims against the messages; what fits none gives nothing.

    Those with exactly a message's content and recipients come first, for all threads; then those
    with its content, Toloker by Toloker; and then what is only near.
    """
    adopted: dict[Spot, set[Key]] = defaultdict(set)

    def due(near: Near) -> Near:
        """What of these messages nobody got yet, as far as is known."""
        found = {}
        for spot, (message, keys) in near.items():
            reached = history.reached(_identity(message))
            known = {key: reached.get(key and reached_as(key, message.key)) for key in keys}
            left = {key for key, attempt in known.items() if not attempt or attempt.is_unknown}
            if left := left - adopted[spot]:
                found[spot] = (message, left)
        return found

    for thread, near in _ranked((thread, messages.near(thread)) for thread in threads):
        fitting = due(near)
        one = _the_one(thread, fitting)
        if one is None or _may_be_earlier(one, history):
            yield from _doubts(thread, fitting, messages.mine, history)
        elif one[:2] in messages.mine:
            message, keys = fitting[one]
            adopted[one] |= keys
            yield Adoption(_delivery(message, keys), Sent(thread))


def _ranked(threads: Iterable[tuple[Thread, Near]]) -> list[tuple[Thread, Near]]:
    def rank(pair: tuple[Thread, Near]) -> int:
        thread, near = pair
        exact = _exact(thread, near)
        return 2 if not exact else int(not any(_is_whole(near[each][0], thread) for each in exact))

    return sorted(threads, key=rank)


def _exact(thread: Thread, near: Near) -> list[Spot]:
    """The messages whose content a thread has, to the letter."""
    digest = digest_of_thread(thread)
    return [spot for spot, (message, _) in near.items() if message.digest == digest]


def _the_one(thread: Thread, due: Near) -> Spot | None:
    """The only message that a thread fits exactly; by its recipients, if it is one of several."""
    exact = _exact(thread, due)
    whole = [spot for spot in exact if _is_whole(due[spot][0], thread)] or exact
    return whole[0] if len(whole) == 1 else None


def _may_be_earlier(spot: Spot, history: History) -> bool:
    """Whether a thread may be of an earlier revision, which the manifest does not know."""
    message, revision, _ = spot
    return revision > 1 and history.first_revisions.get(message, revision) >= revision


def _doubts(
    thread: Thread, due: Near, mine: Collection[Identity], history: History
) -> Iterator[Doubt]:
    """Where something fits exactly, what only nearly fits does not matter."""
    for spot in _exact(thread, due) or due:
        message, keys = due[spot]
        identity = _identity(message)
        if identity in mine and (thread.id, identity) not in history.doubted:
            yield Doubt(_delivery(message, keys), thread)


def _is_near(message: Message, thread: Thread) -> bool:
    """Whether a thread is a message in a folded form, or in all but the text."""
    if thread.select_type not in (message.recipients.select_type, None):
        return False
    if folded(thread.topic) != folded(message.topic):
        return False
    tree = message.recipients.tree if isinstance(message.recipients, Filtered) else None
    is_same_filter = normal_form(thread.recipients_filter) == normal_form(tree)
    return is_same_filter or folded(thread.text) == folded(message.text)


def _is_whole(message: Message, thread: Thread) -> bool:
    """Whether a thread has exactly a message's recipients; the digest compares filters."""
    return set(_keys(message.recipients)) == set(_whom(thread))


def _whom(thread: Thread) -> tuple[Key, ...]:
    return people_of(thread) or (None,)


def _keys(recipients: Recipients) -> tuple[Key, ...]:
    return tuple(map(compared_as, recipients.ids)) if isinstance(recipients, Direct) else (None,)


def _spot(message: Message) -> Spot:
    return message.id, message.revision, message.key


def _identity(message: Message) -> Identity:
    return message.id, message.revision


def _delivery(message: Message, keys: Iterable[Key]) -> Delivery:
    recipients = message.recipients
    if isinstance(recipients, ReachedBy):
        return Delivery(message=message, recipients=Direct(tuple(sorted(filter(None, keys)))))
    if isinstance(recipients, Direct):
        wanted = set(keys)
        recipients = Direct(tuple(each for each in recipients.ids if compared_as(each) in wanted))
    return Delivery(message=message, recipients=recipients)
