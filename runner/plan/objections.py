"""What the manifest or the policy does not let pass, with what to do about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Set
from functools import cache, partial

from runner.errors import Fault
from runner.manifest.attempts import Identity
from runner.manifest.history import History
from runner.model import Delivery, InOwnThread, InThreads, Message, ReachedBy, compared_as
from runner.plan.breaches import find_breaches
from runner.plan.plan import Plan, PlannedMessage, Policy
from runner.toloka.digest import short, topic_mark
from runner.toloka.ids import count_people
from runner.wording import plural

Objection = tuple[Message, Fault]
"""What does not pass, with the message that it is about."""
Twins = Mapping[tuple[str, str | None], tuple[str, ...]]
"""Message ids, by a digest and a Toloker (None for a whole filter)."""


def find_objections(plan: Plan, policy: Policy) -> list[Objection]:
    """Say what of a plan the manifest or the policy does not let pass."""
    found = [
        (planned.message, fault)
        for planned in plan.messages
        for fault in (
            *_find_faults(planned, plan.history),
            *_find_listless(planned.message, plan),
            *_find_rows_without_thread(planned),
            *_find_rows_for_many(planned, plan.history),
        )
    ]
    return [*found, *find_breaches(plan, policy)]


def find_unknown_messages(plan: Plan, is_gone: Callable[[str], bool]) -> list[Objection]:
    """Say which messages go by others that neither a file nor the manifest has.

    `is_gone` tells whether a message id of the manifest has no file any more.
    """
    found: list[Objection] = []
    hint = "write the id of a message of yours"
    for planned in plan.messages:
        by = planned.message.recipients
        if not isinstance(by, (InThreads, InOwnThread, ReachedBy)):
            continue
        if by.message not in plan.history.threads and is_gone(by.message):
            is_reply = not isinstance(by, ReachedBy)
            what = f'there is no message "{by.message}"{" to reply to" if is_reply else ""}'
            pointer = ("reply_to",) if is_reply else ("recipients_from", "message")
            found.append((planned.message, Fault(pointer, what, hint)))
    return found


def _find_rows_without_thread(planned: PlannedMessage) -> Iterator[Fault]:
    """Say which rows of replies have no thread to go into, or several."""
    for message, why in planned.threadless[:1]:
        rest = len(planned.threadless) - 1
        more = f", and {plural(rest, 'more row')} like it" if rest else ""
        what = f"row {message.row}: {why}{more}"
        hint = 'remove the row, or write `thread_id: "{{ row.thread_id }}"`, as `replies` names it'
        yield Fault(("for_each",), what, hint)


def _find_rows_for_many(planned: PlannedMessage, history: History) -> Iterator[Fault]:
    """Say which row's words would be read by others too."""
    if planned.message.row is None or planned.message.action != "reply":
        return
    for delivery in planned.sure:
        begun = history.by_thread.get(str(delivery.keys[0]))
        if begun and begun.action == "compose" and len(begun.recipients_ids) != 1:
            whose = plural(len(begun.recipients_ids), "Toloker") if begun.recipients_ids else "many"
            what = f"row {delivery.message.row}: thread {delivery.keys[0]} is that of {whose}"
            hint = "a row's words are for one: write the thread in which that one answered"
            yield Fault(("thread_id",), what, hint)
            return


def _find_listless(message: Message, plan: Plan) -> Iterator[Fault]:
    """Say where a message takes its Tolokers from one that has no list of them."""
    by = message.recipients
    if not isinstance(by, ReachedBy):
        return
    pointer = ("recipients_from", "message")
    if by.message == message.id and by.revision in (None, message.revision):
        hint = "name another message, or an earlier `revision` of this one"
        yield Fault(pointer, "a message does not take its Tolokers from itself", hint)
    history = plan.history
    identities = [each for each in history.by_identity if each[0] == by.message]
    rows = [history.rows[each] for some in identities for each in history.by_identity[some]]
    kinds = {(row.kind.action, row.kind.select_type) for row in rows if row.counts}
    kinds |= {
        (each.message.action, each.message.recipients.select_type)
        for each in plan.messages
        if each.message.id == by.message
    }
    for action, select_type in sorted(kinds, key=str):
        if (action, select_type) != ("compose", "DIRECT"):
            by_what = "is a reply" if action == "reply" else f"goes by {select_type}"
            what = f"{by.message} {by_what}, and so has no list of Tolokers"
            yield Fault(pointer, what, "name a message that goes to Tolokers by their ids")


def find_same_words(plan: Plan, is_gone: Callable[[str], bool]) -> list[Objection]:
    """Say which messages would bring somebody words that they have under another id."""
    twins = _find_twins(plan) if len(plan.messages) > 1 else {}
    digests = {short(each.message.digest) for some in plan.messages for each in some.sure}
    same, told = plan.history.find_same(digests), cache(partial(_told, plan.history))
    return [
        (planned.message, fault)
        for planned in plan.messages
        for fault in _find_same_words(planned, same, twins, told, is_gone, plan.history)
    ]


def _told(history: History, identity: Identity) -> frozenset[tuple[str | None, str]]:
    """Who has which words of a message, by their digest; None for a whole filter."""
    return frozenset(
        (key and key.partition(" ")[0], short(attempt.digest))
        for key, attempt in history.reached(identity).items()
    )


def _people(delivery: Delivery) -> tuple[str | None, ...]:
    return tuple(map(compared_as, delivery.people)) or (None,)


def _find_faults(planned: PlannedMessage, history: History) -> Iterator[Fault]:
    """Say what of a message does not go with what was sent before."""
    message, recipients = planned.message, planned.message.recipients
    reached = history.reached((message.id, message.revision))
    types = {each.select_type for each in reached.values()} - {recipients.select_type}
    if types:
        before = ", ".join(sorted(each or "a reply" for each in types))
        yield Fault(
            ("recipients_select_type",),
            f"revision {message.revision} of {message.id} went out as {before}, and this is "
            f"{recipients.select_type or 'a reply'}",
            f"write `revision: {message.revision + 1}` to send it anew",
        )
    newest = _newest(history, message.id)
    is_edited = any(result.status == "edited" for result in planned.skipped)
    if newest > message.revision and (planned.sure or is_edited):
        yield Fault(
            ("revision",),
            f"revision {newest} of {message.id} went out, and this is revision {message.revision}",
            f"write `revision: {newest}`, or `revision: {newest + 1}` to send it anew",
        )


def _newest(history: History, message: str) -> int:
    """The highest revision of a message that was tried; 0 is none."""
    return max((each for name, each in history.by_identity if name == message), default=0)


def _find_twins(plan: Plan) -> Twins:
    """What is planned with the same words to the same person: under which ids."""
    found: dict[tuple[str, str | None], dict[str, None]] = defaultdict(dict)
    for delivery in (each for some in plan.messages for each in some.sure):
        if delivery.message.action == "compose":
            for person in _people(delivery):
                found[delivery.message.digest, person][delivery.message.id] = None
    return {place: tuple(ids) for place, ids in found.items() if len(ids) > 1}


def _find_same_words(
    planned: PlannedMessage,
    same: Mapping[str, Set[Identity]],
    twins: Twins,
    told: Callable[[Identity], Collection[tuple[str | None, str]]],
    is_gone: Callable[[str], bool],
    history: History,
) -> Iterator[Fault]:
    """A renamed or copied file would mail everybody again: the old name has to be kept as `id`."""
    for delivery in planned.sure:
        message = delivery.message
        others = _others_with_content(delivery, same, told)
        # Of two that are planned, the later one is the copy.
        others += [
            ids[0]
            for person in _people(delivery)
            if (ids := twins.get((message.digest, person), (message.id,)))[0] != message.id
        ]
        if others:
            gone, first = ", whose file is gone", "if the file was renamed"
            if not is_gone(others[0]):
                # Two files cannot have one id.
                gone, first = (
                    "",
                    "add these people there, where `draft: true` has to go; or remove it",
                )
            again = max(message.revision, _newest(history, others[0])) + 1
            yield Fault(
                ("id",),
                f'these words go to some of the same people as those of "{others[0]}"{gone}',
                f"{first}, write `id: {others[0]}`, and `revision: {again}` "
                "to send it again; if both are meant, write `lint: {same-words: the reason}`",
            )
            return


def find_missed(plan: Plan) -> list[Objection]:
    """Say which windows closed before a message had reached everybody, and how many: to warn of."""
    found: list[Objection] = []
    for planned in plan.messages:
        missed = [each for each in planned.skipped if each.status == "missed"]
        people = count_people(each.recipients_ids for each in missed)
        threads = len([each for each in missed if each.thread_id])
        whom = plural(people, "Toloker") if people else plural(threads, "thread")
        done = f"reached {whom}" if people or threads else "was sent"
        if missed:
            what = f"the window closed before this {done}"
            found.append((planned.message, Fault(("not_after",), what)))
    return found


def find_renamed(plan: Plan, is_gone: Callable[[str], bool]) -> list[Objection]:
    """Say which new messages may be old ones whose file was renamed and changed: to warn of.

    They have the topic of a message whose file is gone, and some of its people.
    """
    known, topics = {message for message, _ in plan.history.by_identity}, plan.history.topics
    found: list[Objection] = []
    for planned in plan.messages:
        message = planned.message
        if message.id in known or not message.topic:
            continue
        mark = topic_mark(message.topic)
        keys = {key for each in planned.sure for key in each.keys}
        for identity, other in topics.items():
            again = keys & plan.history.reached(identity).keys() if other == mark else set()
            if again and is_gone(identity[0]):
                what = f'this may be "{identity[0]}", whose file is gone: the topic is the same'
                hint = f"if the file was renamed, write `id: {identity[0]}`"
                found.append((message, Fault(("id",), what, hint)))
                break
    return found


def _others_with_content(
    delivery: Delivery,
    same: Mapping[str, Set[Identity]],
    told: Callable[[Identity], Collection[tuple[str | None, str]]],
) -> list[str]:
    """The other messages that went to some of the same people with the same content."""
    digest, message = short(delivery.message.digest), delivery.message
    if message.action == "reply":
        return []
    return sorted(
        {
            identity[0]
            for identity in same.get(digest, ())
            if identity[0] != message.id
            if any((person, digest) in told(identity) for person in _people(delivery))
        }
    )
