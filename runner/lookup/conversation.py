"""What Tolokers answered to what we sent: pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from runner import clock
from runner.manifest.attempts import Attempt
from runner.manifest.history import History
from runner.model import Thread
from runner.toloka.digest import digest_of_reply, short

_UNREAD = "UNREAD"
Replies = Mapping[tuple[str, str], str]
"""The ids of our replies, by their thread and short digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One message of a Toloker, in one language. `thread_id` may be a child thread.

    `message` began the conversation, under this `topic`; `answers_to` is the last of ours before
    the answer, None where it was written by another hand. `is_unread` is what Toloka's folder says,
    `is_answered` whether we wrote anything into the thread since.
    """

    message: str
    revision: int
    topic: str
    answers_to: str | None
    toloker: str
    thread_id: str
    at: datetime
    language: str
    text: str
    is_unread: bool
    is_answered: bool


@dataclass(frozen=True, slots=True)
class Activity:
    """What Toloka tells of the threads of one message and revision."""

    answers: int
    folders: tuple[str, ...]
    last_at: datetime | None


def find_answers(
    history: History, threads: Iterable[Thread], since: datetime | None = None
) -> list[Answer]:
    """Find every message of a Toloker in our threads and their children, oldest first."""
    ours = history.by_thread
    replies = {
        (str(row.whom), short(row.digest)): row.kind.message
        for row in history.rows.values()
        if row.kind.action == "reply"
    }
    found: list[Answer] = []
    for thread in threads:
        attempt = _origin(thread, ours)
        if attempt is not None:
            found += _answers(attempt, thread, replies)
    found = [each for each in found if since is None or each.at >= since]
    return sorted(found, key=lambda each: (each.at, each.thread_id, each.language))


def find_activity(history: History, threads: Iterable[Thread]) -> dict[tuple[str, int], Activity]:
    """Sum up answers, folders and the last message, by message and revision."""
    ours = history.by_thread
    found: dict[tuple[str, int], Activity] = {}
    for thread in threads:
        attempt = _origin(thread, ours)
        if attempt is None:
            continue
        identity = (attempt.message, attempt.revision)
        known = found.get(identity, Activity(0, (), None))
        times = [clock.read(post.created) for post in thread.posts if post.created]
        found[identity] = Activity(
            known.answers + sum(post.is_answer for post in thread.posts),
            tuple(dict.fromkeys((*known.folders, *thread.folders))),
            max([*times, *([known.last_at] if known.last_at else [])], default=None),
        )
    return found


def _origin(thread: Thread, ours: Mapping[str, Attempt]) -> Attempt | None:
    """What a thread came out of; our own reply in a child thread is not what began it."""
    here, parent = ours.get(thread.id), ours.get(thread.parent_id or "")
    is_begun_here = here is not None and (here.action == "compose" or parent is None)
    return here if is_begun_here else parent


def _answers(attempt: Attempt, thread: Thread, replies: Replies) -> Iterator[Answer]:
    last_of_ours = max((n for n, post in enumerate(thread.posts) if post.is_ours), default=-1)
    answers_to: str | None = attempt.message
    for number, post in enumerate(thread.posts):
        if post.is_ours:
            reply = replies.get((thread.id, short(digest_of_reply(post.text))))
            answers_to = attempt.message if number == 0 else reply
            continue
        for language, text in post.text.items() if post.created and post.is_answer else ():
            yield Answer(
                message=attempt.message,
                revision=attempt.revision,
                topic=thread.topic.get("EN") or next(iter(thread.topic.values()), ""),
                answers_to=answers_to,
                toloker=post.sender or "",
                thread_id=thread.id,
                at=clock.read(post.created),
                language=language,
                text=text,
                is_unread=_UNREAD in thread.folders,
                is_answered=number < last_of_ours,
            )
