"""Under which id what an account sent by other hands is known from now on."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count

from runner.lookup.past import Written
from runner.manifest.attempts import Identity
from runner.manifest.history import History
from runner.model import Delivery, Message, Sent, Texts, Thread, reached_as
from runner.toloka.digest import short, topic_mark

FOLDER = "imported"
"""Where drafts go below the messages root, and what every id begins with."""
_PERSONAL = f"{FOLDER}/personal"
_LONGEST = 40
_NOT_IN_IDS = re.compile("[^a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A content under its name; `is_new` where it is to become a draft."""

    written: Written
    message: Message
    is_new: bool = False

    @property
    def is_personal(self) -> bool:
        return self.message.id.startswith(f"{_PERSONAL}/")

    def deliveries(self) -> Iterator[tuple[Delivery, Sent]]:
        """Give what went out, thread by thread."""
        for letter in self.written.letters:
            recipients = self.written.recipients(letter.people)
            sent = Sent(Thread(id=letter.thread, created=letter.created))
            yield Delivery(message=self.message, recipients=recipients), sent


class Names:
    """Finds names: those of messages that are here, those of an earlier import, else new ones.

    `messages` are those under the messages root, which `root` is the path of as printed, and
    `taken` the names of files in the folder of drafts.
    """

    def __init__(
        self, messages: Sequence[Message], history: History, taken: Collection[str], root: str
    ) -> None:
        # A row's words are for its own Toloker: they say nothing of others.
        self._here = {each.digest: each for each in messages if each.row is None}
        self._history = history
        self._root = root
        self._taken = {f"{FOLDER}/{each}".casefold() for each in taken}
        self._taken |= {each.id.casefold() for each in messages}
        self._taken |= {name.casefold() for name, _ in history.by_identity}
        self._by_topic = {
            mark: name
            for (name, _), mark in history.topics.items()
            if name.startswith(f"{_PERSONAL}/")
        }
        self._reached: dict[str, set[str]] = defaultdict(set)
        self._numbers: Counter[str] = Counter()

    def name(self, contents: Iterable[Written]) -> list[Named]:
        """Name contents, the oldest first."""
        contents = sorted(contents, key=lambda each: each.letters[0])
        known = self._history.find_same({short(each.digest) for each in contents})
        return [self._named(each, known.get(short(each.digest), ())) for each in contents]

    def _named(self, written: Written, known: Iterable[Identity]) -> Named:
        if written.digest in self._here:
            return Named(written=written, message=self._here[written.digest])
        if written.is_personal:
            return Named(written=written, message=self._personal_letter(written))
        for name, revision in sorted(known):
            if name.startswith(f"{FOLDER}/") and not name.startswith(f"{_PERSONAL}/"):
                message = self._message(written, name, revision=revision)
                return Named(written=written, message=message)
        parts = (written.letters[0].created[:10], _slug(written.topic))
        name = self._free(f"{FOLDER}/{'-'.join(filter(None, parts))}")
        return Named(written=written, message=self._message(written, name), is_new=True)

    def _personal_letter(self, written: Written) -> Message:
        """All letters with one topic are one message; the second one to a Toloker has a key."""
        mark = topic_mark(written.topic)
        if mark not in self._by_topic:
            self._by_topic[mark] = self._free(f"{_PERSONAL}/{_slug(written.topic)}")
        name, [toloker] = self._by_topic[mark], written.people
        before, now = self._history.reached((name, 1)), self._reached[name]
        keys = ((key, reached_as(toloker, key)) for key in chain([None], map(str, count(2))))
        key, reaches = next(each for each in keys if each[1] not in before and each[1] not in now)
        now.add(reaches)
        return self._message(written, name, key=key)

    def _message(
        self, written: Written, name: str, *, revision: int = 1, key: str | None = None
    ) -> Message:
        return Message(
            id=name,
            revision=revision,
            source=f"{self._root}/{name}.yaml",
            topic=written.topic,
            text=written.text,
            answerable=written.answerable,
            recipients=written.recipients(written.people),
            digest=written.digest,
            key=key,
        )

    def _free(self, name: str) -> str:
        """Give a name, with a number behind it where it is taken."""
        while True:
            self._numbers[name] += 1
            number = self._numbers[name]
            free = name if number == 1 else f"{name}-{number}"
            if free not in self._taken:
                self._taken.add(free)
                return free


def _slug(topic: Texts) -> str:
    """Write a topic as a name: the English one, else the first, as far as ASCII has its letters."""
    said = topic.get("EN") or next(iter(topic.values()), "")
    plain = unicodedata.normalize("NFKD", said).encode("ascii", "ignore").decode().lower()
    return _NOT_IN_IDS.sub("-", plain)[:_LONGEST].strip("-") or "message"
