"""Replies: what our list shows of them in their threads, told by thread, text and place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from runner import clock
from runner.lookup.adopt import Adoption
from runner.lookup.look import is_composed
from runner.manifest.attempts import Attempt
from runner.manifest.history import History
from runner.model import (
    Delivery,
    InThread,
    InThreads,
    Message,
    Place,
    Post,
    Sent,
    Thread,
    asks_for_answers,
    compared_as,
)
from runner.toloka.anchor import Anchor
from runner.toloka.digest import digest_of_reply

Replies = Mapping[str, Sequence[str]]
"""The digests of the replies that the manifest calls sent, by thread."""


def place_of(thread: Thread, digest: str, replies: Replies) -> Place | None:
    """Count what stands in a thread before a reply, and is none that the manifest knows.

    None for a view of the thread that lacks something known: nothing could be told by it later.
    """
    shown, known = _counted(thread, digest), _known(thread.id, digest, replies)
    place = Place(ours=shown.ours - known.ours, alike=shown.alike - known.alike)
    opening = 1 if is_composed(thread) else 0
    return None if place.ours < opening or place.alike < 0 else place


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look shows of one unknown reply: found, in doubt, or neither.

    `is_whole` says whether it shows the thread, with everything of ours that is known to be in it.
    """

    sent: Sent | None = None
    is_doubtful: bool = False
    is_whole: bool = False


def look_for_replies(
    unknown: Sequence[Attempt], threads: Mapping[str, Thread], replies: Replies
) -> dict[str, Seen]:
    """Look for unknown replies: posts beyond those that stood there before and those of others.

    The newest intent is served first. A thread that is not there says nothing of its replies.
    """
    found: dict[str, Seen] = {}
    known = {thread: list(digests) for thread, digests in replies.items()}
    for attempt in reversed(unknown):
        seen = _seen(attempt, threads, known)
        if seen.sent is not None:
            known.setdefault(seen.sent.thread.id, []).append(attempt.digest)
            found[attempt.delivery] = seen
    # What is one's own post puts no other in doubt.
    left = (each for each in unknown if each.delivery not in found)
    return found | {each.delivery: _seen(each, threads, known) for each in left}


def _seen(attempt: Attempt, threads: Mapping[str, Thread], replies: Replies) -> Seen:
    thread = threads.get(attempt.in_thread or "")
    if thread is None:
        return Seen()
    if attempt.place is None:
        return Seen(is_doubtful=True)
    now, known = _counted(thread, attempt.digest), _known(thread.id, attempt.digest, replies)
    if now.alike > attempt.place.alike + known.alike:
        created = [post.created for post in thread.posts if _is_alike(post, attempt.digest)]
        return Seen(Sent(thread, reply_created=created[-1]))
    expected = attempt.place.ours + known.ours
    return Seen(is_doubtful=now.ours > expected, is_whole=now.ours >= expected)


def _counted(thread: Thread, digest: str) -> Place:
    return Place(
        ours=sum(post.is_ours for post in thread.posts),
        alike=sum(_is_alike(post, digest) for post in thread.posts),
    )


def _known(thread: str, digest: str, replies: Replies) -> Place:
    digests = replies.get(thread, ())
    return Place(ours=len(digests), alike=digests.count(digest))


def _is_alike(post: Post, digest: str) -> bool:
    return post.is_ours and digest_of_reply(post.text) == digest


def find_adopted_replies(
    due: Iterable[Delivery], threads: Mapping[str, Thread], known: Replies
) -> Iterator[Adoption]:
    """Find planned replies that stand in their threads already, where the manifest has a gap.

    The first message of a thread is none, and neither is what is older than its thread: a child
    thread shows its parent's messages. `known` are the replies that the manifest has.
    """
    taken: dict[tuple[str, str], int] = {}
    for delivery in due:
        if not isinstance(delivery.recipients, InThread):
            continue
        thread = threads.get(delivery.recipients.thread_id)
        if thread is None:
            continue
        digest = delivery.message.digest
        spot = (thread.id, digest)
        claimed = sum(each == digest for each in known.get(thread.id, ())) + taken.get(spot, 0)
        alike = [post for post in _replies_in(thread) if _is_alike(post, digest)]
        if len(alike) > claimed:
            taken[spot] = taken.get(spot, 0) + 1
            yield Adoption(delivery, Sent(thread, reply_created=alike[claimed].created))


def _replies_in(thread: Thread) -> list[Post]:
    later = thread.posts[1:] if thread.parent_id is None else thread.posts
    return [
        post
        for post in later
        if post.created
        and not (thread.created and clock.read(post.created) < clock.read(thread.created))
    ]


def answered_threads(
    targets: Iterable[str], threads: Iterable[Thread]
) -> dict[str, dict[str, frozenset[str]]]:
    """Find where Tolokers answered, and who: in the thread itself, or in those that came out of it."""
    found: dict[str, dict[str, frozenset[str]]] = {target: {} for target in targets}
    for thread in threads:
        origin = thread.parent_id or thread.id
        answers = [post.sender or "" for post in thread.posts if post.is_answer]
        if origin in found and answers:
            found[origin][thread.id] = frozenset(map(compared_as, answers))
    return found


def reply_targets(messages: Iterable[Message], history: History) -> tuple[set[str], bool]:
    """The threads that matter to what is planned, and whether answers to them do."""
    wanted = [each.recipients for each in messages]
    ids = {each.thread_id for each in wanted if isinstance(each, InThread)}
    asking = {each.message for each in wanted if asks_for_answers(each)}
    names = {each.message for each in wanted if isinstance(each, InThreads)} | asking
    ids.update(*(history.threads.get(name, ()) for name in names))
    return ids, bool(asking)


def query_threads(ids: Iterable[str]) -> dict[str, str]:
    """The list query that covers these threads."""
    listed = sorted(ids)
    return {"id_gte": listed[0], "id_lte": listed[-1]}


def query_families(
    ids: Iterable[str], made: Mapping[str, datetime | None]
) -> Iterator[dict[str, str]]:
    """The list queries that cover these threads and what came out of them.

    They begin by `created`, as every look: the server that took an answer may give a lower id. Of
    a thread that somebody else began, nothing but the id is known.
    """
    known = {each: made.get(each) for each in ids}
    dated = [moment for moment in known.values() if moment is not None]
    undated = [each for each, moment in known.items() if moment is None]
    if dated:
        yield Anchor(min(dated)).query
    if undated:
        yield {"id_gte": min(undated)}
