"""What happened, settled by looking at Toloka's list: unknown outcomes and adopted threads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from runner import clock
from runner.manifest.history import Attempt, History, Seen
from runner.model import (
    Delivery,
    Direct,
    InThread,
    InThreads,
    Message,
    Post,
    Sent,
    Thread,
)
from runner.toloka.digest import digest_of, digest_of_reply
from runner.toloka.filters import normal_form

# The server's `Date` has whole seconds, and its clock may be read late.
_CLOCK_MARGIN = timedelta(seconds=5)
# A thread may be listed a little after it was made.
_LAG_MARGIN = timedelta(minutes=1)
_BEGINNING = datetime(1970, 1, 1, tzinfo=timezone.utc)

ClaimedPost = tuple[str, datetime, str]
"""A reply that some delivery claims: thread id, when by Toloka's clock, and the digest.

Two replies to one thread may have been made in the same millisecond.
"""


@dataclass(frozen=True, slots=True)
class Look:
    """What one list says of unknown outcomes, by delivery id."""

    found: Mapping[str, Sent]
    near: Mapping[str, Thread]
    """A thread that nearly matches: the outcome stays unknown, and this is shown beside it."""
    unseen: frozenset[str] = frozenset()
    """Replies whose thread was not on the list: its absence says nothing of theirs."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """Something of ours on Toloka that carries a planned message, unknown to the manifest."""

    delivery: Delivery
    sent: Sent


def since_unknown(unknown: Iterable[Attempt], server_ahead_s: float) -> datetime | None:
    """From when to list threads for these intents, by the server's clock; None for no intents."""
    return min((_begin(attempt, server_ahead_s) for attempt in unknown), default=None)


def since_newest(history: History) -> datetime:
    """From when to list what the manifest may have missed: its newest thread, else the beginning.

    Both times are the server's own, so no clock needs correcting.
    """
    created = [
        clock.read(attempt.outcome.created)
        for attempt in history.attempts
        if isinstance(attempt.outcome, Sent)
        and attempt.action == "compose"
        and attempt.outcome.created
    ]
    created += [clock.read(each.created) for each in history.seen]
    return max(created) - _LAG_MARGIN if created else _BEGINNING


def query_since(moment: datetime) -> dict[str, str]:
    """The list query for threads made since then, in Toloka's own form: UTC without a zone."""
    if moment <= _BEGINNING:
        return {}
    plain = moment.astimezone(timezone.utc).replace(tzinfo=None)
    return {"created_gte": plain.isoformat(timespec="milliseconds")}


def query_threads(ids: Iterable[str], *, with_later: bool) -> dict[str, str]:
    """The list query that covers these threads; `with_later` takes in what came out of them."""
    listed = sorted(ids)
    query = {"id_gte": listed[0]}
    return query if with_later else {**query, "id_lte": listed[-1]}


def look_for(
    unknown: Sequence[Attempt],
    threads: Iterable[Thread],
    claimed: frozenset[str],
    server_ahead_s: float,
) -> Look:
    """Match composes in doubt with threads that no delivery claims; each thread serves once."""
    composes = [attempt for attempt in unknown if attempt.action == "compose"]
    free = [thread for thread in threads if thread.id not in claimed and thread.parent_id is None]
    found = _find_exact(composes, free, server_ahead_s)
    taken = {thread.id for thread in found.values()}
    left = [thread for thread in free if thread.id not in taken]
    near = {}
    for attempt in composes:
        close = [] if attempt.delivery in found else [t for t in left if _nearly(attempt, t)]
        if close:
            near[attempt.delivery] = close[0]
    return Look({delivery: Sent(thread) for delivery, thread in found.items()}, near)


def look_for_replies(
    unknown: Sequence[Attempt],
    threads: Mapping[str, Thread],
    claimed: frozenset[ClaimedPost],
    server_ahead_s: float,
) -> Look:
    """Match replies in doubt with what we wrote in their threads since."""
    found: dict[str, Sent] = {}
    near: dict[str, Thread] = {}
    taken = set(claimed)
    replies = [each for each in unknown if each.action == "reply"]
    unseen = frozenset(each.delivery for each in replies if each.in_thread not in threads)
    for attempt in replies:
        thread = threads.get(attempt.in_thread or "")
        if thread is None:
            continue
        begin = _begin(attempt, server_ahead_s)
        posts = [each for each in _free_posts(thread, taken) if clock.read(each.created) >= begin]
        exact = [each for each in posts if digest_of_reply(each.text) == attempt.digest]
        if exact:
            taken.add(_post_key(thread, exact[0]))
            found[attempt.delivery] = Sent(thread, reply_created=exact[0].created)
        elif posts:
            near[attempt.delivery] = thread
    return Look(found, near, unseen)


def find_seen(threads: Iterable[Thread], claimed: frozenset[str]) -> list[Seen]:
    """Find the threads that we composed and no delivery claims."""
    return [
        Seen(
            thread_id=thread.id,
            created=thread.created,
            digest=_digest(thread),
            select_type=thread.select_type,
            recipients_ids=thread.recipients_ids if thread.select_type == "DIRECT" else (),
        )
        for thread in threads
        if thread.select_type is not None and thread.parent_id is None and thread.id not in claimed
    ]


def find_adoptions(
    messages: Iterable[Message], seen: Iterable[Seen], history: History
) -> Iterator[Adoption]:
    """Find threads that carry a planned message: same content, some of its recipients.

    Of several messages with one content, a thread goes to one that has not reached these people.
    """
    by_content: dict[tuple[str, str | None], list[Message]] = defaultdict(list)
    for message in messages:
        for key in _message_keys(message):
            by_content[message.digest, key].append(message)
    taken: set[tuple[str, int, str | None]] = set()

    def is_due(message: Message, key: str | None) -> bool:
        known = history.reached((message.id, message.revision)).get(key)
        is_open = known is None or known.is_unknown
        return is_open and (message.id, message.revision, key) not in taken

    for each in seen:
        if each.thread_id in history.thread_ids:
            continue
        keys: tuple[str | None, ...] = each.recipients_ids or (None,)
        fitting = [(message, key) for key in keys for message in by_content[each.digest, key]]
        due = [message for message, key in fitting if is_due(message, key)]
        chosen = [*due, *(message for message, _ in fitting)]
        if chosen:
            taken.update((chosen[0].id, chosen[0].revision, key) for key in keys)
            yield _adoption(chosen[0], each)


def _adoption(message: Message, seen: Seen) -> Adoption:
    recipients = message.recipients
    if isinstance(recipients, Direct):
        recipients = Direct(seen.recipients_ids)
    thread = Thread(id=seen.thread_id, created=seen.created)
    return Adoption(Delivery(message=message, recipients=recipients), Sent(thread))


def _message_keys(message: Message) -> tuple[str | None, ...]:
    return message.recipients.ids if isinstance(message.recipients, Direct) else (None,)


def find_adopted_replies(
    due: Iterable[Delivery], threads: Mapping[str, Thread], claimed: frozenset[ClaimedPost]
) -> Iterator[Adoption]:
    """Find planned replies that stand in their threads already."""
    taken = set(claimed)
    for delivery in due:
        if not isinstance(delivery.recipients, InThread):
            continue
        thread = threads.get(delivery.recipients.thread_id)
        if thread is None:
            continue
        for post in _free_posts(thread, taken):
            if digest_of_reply(post.text) == delivery.message.digest:
                taken.add(_post_key(thread, post))
                yield Adoption(delivery, Sent(thread, reply_created=post.created))
                break


def answered_threads(targets: Iterable[str], threads: Iterable[Thread]) -> dict[str, list[str]]:
    """Find where Tolokers answered: the thread itself, or the child threads that came out of it."""
    found: dict[str, list[str]] = {target: [] for target in targets}
    for thread in threads:
        origin = thread.parent_id or thread.id
        if origin in found and any(not post.is_ours for post in thread.posts):
            found[origin].append(thread.id)
    return found


def reply_targets(messages: Iterable[Message], history: History) -> tuple[set[str], bool]:
    """The threads that planned replies may go into, and whether answers to them matter."""
    wanted = [each.recipients for each in messages]
    ids = {each.thread_id for each in wanted if isinstance(each, InThread)}
    names = {each.message for each in wanted if isinstance(each, InThreads)}
    ids.update(*(history.threads.get(name, ()) for name in names))
    return ids, any(isinstance(each, InThreads) and each.only_answered for each in wanted)


def claimed_posts(history: History) -> frozenset[ClaimedPost]:
    """The replies that the manifest knows."""
    return frozenset(
        (attempt.in_thread or "", clock.read(attempt.outcome.created), attempt.digest)
        for attempt in history.attempts
        if attempt.action == "reply"
        and isinstance(attempt.outcome, Sent)
        and attempt.outcome.created
    )


def echoes(delivery: Delivery, sent: Sent) -> bool:
    """Whether the thread that came back is what was asked for.

    Where it is not, the list cannot be trusted to show our threads as we would know them.
    """
    thread, recipients = sent.thread, delivery.recipients
    if isinstance(recipients, InThread):
        ours = [post for post in thread.posts if post.is_ours]
        return bool(ours) and ours[-1].text == delivery.message.text
    message = delivery.message
    if thread.select_type != recipients.select_type or _digest(thread) != message.digest:
        return False
    if thread.topic != message.topic or thread.text != message.text:
        return False
    return not isinstance(recipients, Direct) or set(thread.recipients_ids) == set(recipients.ids)


def _begin(attempt: Attempt, server_ahead_s: float) -> datetime:
    """The earliest that Toloka can have acted on an intent, by its own clock."""
    # The clock of the machine that wrote the intent counts, and it may not be this one's.
    theirs = attempt.server_at or attempt.at + timedelta(seconds=server_ahead_s)
    return theirs - _CLOCK_MARGIN


def _free_posts(thread: Thread, claimed: set[ClaimedPost]) -> list[Post]:
    """What we wrote into a thread after its first message, and no delivery claims."""
    later = thread.posts[1:] if thread.parent_id is None else thread.posts
    return [
        post
        for post in later
        if post.is_ours and post.created and _post_key(thread, post) not in claimed
    ]


def _post_key(thread: Thread, post: Post) -> ClaimedPost:
    return thread.id, clock.read(post.created), digest_of_reply(post.text)


def _find_exact(
    unknown: Sequence[Attempt], free: Sequence[Thread], server_ahead_s: float
) -> dict[str, Thread]:
    by_content: dict[str, list[Thread]] = defaultdict(list)
    for thread in free:
        if thread.select_type is not None:
            by_content[_digest(thread)].append(thread)
    found: dict[str, Thread] = {}
    # The newest intent chooses first: an older one may have had its thread before that.
    for attempt in sorted(unknown, key=lambda each: each.at, reverse=True):
        begin = _begin(attempt, server_ahead_s)
        alike = by_content[attempt.digest]
        same = [each for each in alike if _same_recipients(attempt, each) and _since(each, begin)]
        if same:
            found[attempt.delivery] = same[0]
            alike.remove(same[0])
    return found


def _since(thread: Thread, begin: datetime) -> bool:
    return not thread.created or clock.read(thread.created) >= begin


def _digest(thread: Thread) -> str:
    return digest_of(
        topic=thread.topic,
        text=thread.text,
        answerable=bool(thread.answerable),
        select_type=str(thread.select_type),
        recipients_filter=thread.recipients_filter,
    )


def _same_recipients(attempt: Attempt, thread: Thread) -> bool:
    # For FILTER and ALL the digest has compared them already.
    return attempt.select_type != "DIRECT" or (
        set(thread.recipients_ids) == set(attempt.recipients_ids)
    )


def _nearly(attempt: Attempt, thread: Thread) -> bool:
    if not set(attempt.recipients_ids).isdisjoint(thread.recipients_ids):
        return True
    if attempt.select_type == thread.select_type == "ALL":
        return True
    filled = replace(
        thread,
        select_type=attempt.select_type,
        recipients_filter=attempt.recipients_filter,
    )
    if _digest(filled) == attempt.digest:
        return True
    is_filtered = attempt.select_type == "FILTER" and thread.recipients_filter is not None
    return is_filtered and normal_form(thread.recipients_filter) == normal_form(
        attempt.recipients_filter
    )
