"""What an account sent by other hands: its threads, content by content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from runner.lookup.claim import Sharing
from runner.lookup.look import digest_of_thread, is_composed
from runner.manifest.history import History
from runner.model import Direct, Everyone, Filtered, Recipients, Texts, Thread, compared_as
from runner.toloka.digest import folded
from runner.toloka.filters import wrapped


class Letter(NamedTuple):
    """One thread: its id, when it was made by Toloka's clock, and whom it names."""

    thread: str
    created: str
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One content, and everything that it went out in, the oldest first."""

    digest: str
    topic: Texts
    text: Texts
    answerable: bool
    select_type: str
    recipients_filter: object
    letters: list[Letter] = field(default_factory=list)

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody whom the threads name, each once."""
        ids = [each for letter in self.letters for each in letter.people]
        return tuple({compared_as(each): each for each in ids}.values())

    @property
    def is_personal(self) -> bool:
        """Whether it went to one person only."""
        return self.select_type == "DIRECT" and len(self.people) == 1

    def recipients(self, people: tuple[str, ...]) -> Recipients:
        """These people, or the filter that it went out by."""
        if self.select_type == "ALL":
            return Everyone()
        if self.select_type == "FILTER":
            tree = wrapped(self.recipients_filter)
            return Filtered(tree if isinstance(tree, dict) else {})
        return Direct(people)


class Past:
    """Takes in threads that we composed and no delivery claims; they come by id, the oldest first.

    `topics` are what a topic has to hold in some language, if there are any. `open` counts threads
    that may be deliveries whose outcome is not known, and so are nobody else's; `nameless` those of
    which Toloka does not say whom they reached.
    """

    def __init__(self, history: History, topics: Sequence[str] = ()) -> None:
        self.contents: dict[str, Written] = {}
        self.open = 0
        self.nameless = 0
        self._claimed = history.thread_ids
        unknown = {each.delivery for each in (*history.open, *history.unknown)}
        self._in_doubt = {each for it in unknown for each in history.doubts.get(it, ())}
        self._sharing = Sharing(history.open)
        self._topics = [*_folded(topics)]

    def take(self, thread: Thread) -> None:
        """Take in one thread."""
        if thread.id in self._claimed or not is_composed(thread) or not self._is_wanted(thread):
            return
        if thread.select_type not in ("FILTER", "ALL"):
            thread = replace(thread, select_type="DIRECT")
        people = thread.recipients_ids or thread.tolokers
        if thread.id in self._in_doubt or any(self._sharing.of(thread)):
            self.open += 1
        elif thread.select_type == "DIRECT" and not people:
            self.nameless += 1
        else:
            is_direct = thread.select_type == "DIRECT"
            letter = Letter(thread.id, thread.created, people if is_direct else ())
            self._content_of(thread).letters.append(letter)

    def _content_of(self, thread: Thread) -> Written:
        digest = digest_of_thread(thread)
        if digest not in self.contents:
            self.contents[digest] = Written(
                digest=digest,
                topic=thread.topic,
                text=thread.text,
                answerable=bool(thread.answerable),
                select_type=str(thread.select_type),
                recipients_filter=thread.recipients_filter,
            )
        return self.contents[digest]

    def _is_wanted(self, thread: Thread) -> bool:
        said = [*_folded(thread.topic.values())] if self._topics else []
        return not self._topics or any(each in text for each in self._topics for text in said)


def _folded(texts: Iterable[str]) -> Iterator[str]:
    return (folded({"": text})[""] for text in texts)
