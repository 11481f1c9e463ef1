"""One look at Toloka's list: what it shows, thread by thread, so that a million need little memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable, Mapping
from datetime import datetime

from runner import clock
from runner.model import Thread, compared_as
from runner.toloka.anchor import Anchor, anchor_of
from runner.toloka.digest import digest_of, toloker_mark, topic_mark
from runner.toloka.listing import LIST_LIMIT


def is_composed(thread: Thread) -> bool:
    """Whether our account began a thread, by whatever hand. A child thread began elsewhere."""
    if thread.parent_id is not None:
        return False
    return thread.select_type is not None or bool(thread.posts and thread.posts[0].is_ours)


def digest_of_thread(thread: Thread) -> str:
    """Digest a thread's content, by its oldest message, as a message's is."""
    return digest_of(
        topic=thread.topic,
        text=thread.text,
        answerable=bool(thread.answerable),
        select_type=str(thread.select_type),
        recipients_filter=thread.recipients_filter,
    )


class Look:
    """What a look since `anchor` shows, begun at `begun_s` (monotonic).

    `missing` begins as the threads that it must show, and ends as those that it did not. Of the
    threads that we composed and no delivery claims, those that `matters` picks, by themselves and
    their marks, are `kept`, and `rest` has the others as they are remembered.
    """

    def __init__(
        self,
        anchor: Anchor,
        begun_s: float,
        *,
        must_show: Mapping[str, datetime | None],
        claimed: Container[str],
        matters: Callable[[Thread, str], bool],
    ) -> None:
        self.anchor = anchor
        self.begun_s = begun_s
        self.missing = {
            thread: created for thread, created in must_show.items() if anchor.reaches(created)
        }
        self.kept: dict[str, Thread] = {}
        self.rest: list[str] = []
        self.count = 0
        self.shows_ours = False
        self._claimed = claimed
        self._matters = matters
        self._reached = anchor
        self._newest: deque[str] = deque(maxlen=LIST_LIMIT)

    def begin_again(self) -> Anchor:
        """Go on from the cursor with another pass: what was shown before stays."""
        self._reached = self.cursor
        self._newest.clear()
        return self._reached

    def take(self, thread: Thread) -> None:
        """Take in one thread; they come by id, the oldest first."""
        self.count += 1
        self._newest.append(thread.created)
        self.missing.pop(thread.id, None)
        if not is_composed(thread):
            return
        self.shows_ours = True
        if thread.id in self._claimed:
            return
        marks = marks_of(thread)
        if self._matters(thread, marks):
            self.kept[thread.id] = thread
        else:
            self.rest.append(f"{thread.id}:{marks}")

    @property
    def is_whole(self) -> bool:
        """Whether it showed everything that it must."""
        return not self.missing

    @property
    def cursor(self) -> Anchor:
        """Where the next look may begin: made as the anchor is, and never going back."""
        return max(self._reached, anchor_of(self._newest))


def remembered(thread: Thread) -> str:
    """Give a thread as it is remembered: its id and its marks."""
    return f"{thread.id}:{marks_of(thread)}"


def marks_of(thread: Thread) -> str:
    """Four bytes each of a hash of the folded topic and of each Toloker: six characters each."""
    return topic_mark(thread.topic) + "".join(map(toloker_mark, people_of(thread)))


def made_at(thread: Thread) -> datetime | None:
    """When a thread was made, by Toloka's clock; None where that cannot be read."""
    return clock.read(thread.created) if thread.created else None


def people_of(thread: Thread) -> tuple[str, ...]:
    """The Tolokers in a thread that we composed, as ids are compared; none for a filter."""
    return tuple(map(compared_as, thread.recipients_ids or thread.tolokers))


def left_out(people: Iterable[str], thread: Thread) -> list[str]:
    """Whom a thread of ours leaves out of those it was for."""
    named, people = set(map(compared_as, thread.recipients_ids)), list(people)
    missing = [each for each in people if compared_as(each) not in named]
    # One that names none of them tells of others, or of nothing.
    return missing if len(missing) < len(people) else []
