"""Unknown outcomes and threads that no delivery claims: whose they are, and whose they may be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from runner.lookup.look import digest_of_thread, made_at, people_of
from runner.manifest.attempts import Attempt
from runner.model import Thread, compared_as
from runner.toloka.digest import short


def claim(unknown: Sequence[Attempt], unclaimed: Iterable[Thread]) -> dict[str, Thread]:
    """Give unknown intents, in the order in which they were made, the threads that are theirs.

    The newest intent is served first: an older one may have had its thread before that. Gives
    threads by delivery id; each serves once.
    """
    by_digest: dict[str, list[Thread]] = defaultdict(list)
    for thread in unclaimed:
        by_digest[short(digest_of_thread(thread))].append(thread)
    found: dict[str, Thread] = {}
    for attempt in reversed(unknown):
        alike = by_digest.get(short(attempt.digest), [])
        theirs = next((each for each in alike if _is_of(attempt, each)), None)
        if theirs is not None:
            alike.remove(theirs)
            found[attempt.delivery] = theirs
    return found


def _is_of(attempt: Attempt, thread: Thread) -> bool:
    """Whether a thread with an intent's content has exactly its people, and was made since."""
    # For FILTER and ALL the digest has compared them already.
    is_same = attempt.select_type != "DIRECT" or (
        set(map(compared_as, thread.recipients_ids))
        == set(map(compared_as, attempt.recipients_ids))
    )
    return is_same and attempt.anchor.reaches(made_at(thread))


class Sharing:
    """Unknown intents, found by what a thread may share with them, whatever its words.

    That is a Toloker, or, for FILTER and ALL, the select type. A thread that no delivery claims
    and that shares one was made since the intent's anchor, or it does not count.
    """

    def __init__(self, unknown: Iterable[Attempt]) -> None:
        self._by_toloker: dict[str, list[Attempt]] = defaultdict(list)
        self._by_type: dict[str | None, list[Attempt]] = defaultdict(list)
        for attempt in unknown:
            if attempt.select_type == "DIRECT":
                for toloker in map(compared_as, attempt.recipients_ids):
                    self._by_toloker[toloker].append(attempt)
            else:
                self._by_type[attempt.select_type].append(attempt)
                # What comes back without its details may be of any type.
                self._by_type[None].append(attempt)

    def of(self, thread: Thread) -> Iterator[str]:
        """Give the delivery ids of the intents with which a thread shares something."""
        found = list(self._by_type.get(thread.select_type, ()))
        for toloker in people_of(thread):
            found += self._by_toloker.get(toloker, ())
        return (each.delivery for each in found if each.anchor.reaches(made_at(thread)))


def find_doubts(
    unknown: Iterable[Attempt], unclaimed: Iterable[Thread]
) -> dict[str, dict[str, None]]:
    """Find the threads that put unknown outcomes in doubt, by delivery id."""
    sharing = Sharing(unknown)
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for thread in unclaimed:
        for delivery_id in sharing.of(thread):
            found[delivery_id][thread.id] = None
    return found
