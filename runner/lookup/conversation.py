"""What Tolokers answered to what we sent: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from runner import clock
from runner.manifest.attempts import Attempt
from runner.manifest.history import History
from runner.model import Post, Thread


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One message of a Toloker, in one language. `thread_id` may be a child thread."""

    message: str
    revision: int
    toloker: str
    thread_id: str
    at: datetime
    language: str
    text: str


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
    found = []
    for thread in threads:
        attempt = _origin(thread, ours)
        if attempt is None:
            continue
        for post in thread.posts:
            if not post.is_ours:
                found += _answers(attempt, thread, post)
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
            known.answers + sum(not post.is_ours for post in thread.posts),
            tuple(dict.fromkeys((*known.folders, *thread.folders))),
            max([*times, *([known.last_at] if known.last_at else [])], default=None),
        )
    return found


def _origin(thread: Thread, ours: Mapping[str, Attempt]) -> Attempt | None:
    """What a thread came out of; our own reply in a child thread is not what began it."""
    here, parent = ours.get(thread.id), ours.get(thread.parent_id or "")
    is_begun_here = here is not None and (here.action == "compose" or parent is None)
    return here if is_begun_here else parent


def _answers(attempt: Attempt, thread: Thread, post: Post) -> list[Answer]:
    return [
        Answer(
            message=attempt.message,
            revision=attempt.revision,
            toloker=post.sender or "",
            thread_id=thread.id,
            at=clock.read(post.created),
            language=language,
            text=text,
        )
        for language, text in post.text.items()
        if post.created
    ]
