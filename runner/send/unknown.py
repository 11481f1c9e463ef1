"""Unknown outcomes during a run: looked for until they are found, in doubt, or believed absent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from runner.lookup.absence import Absence, Failure
from runner.lookup.claim import Sharing, claim, find_doubts
from runner.lookup.look import Look
from runner.lookup.replies import look_for_replies, query_threads
from runner.manifest.attempts import Attempt, NotFound
from runner.manifest.history import History
from runner.manifest.manifest import Manifest
from runner.model import Sent
from runner.send.lists import Lister
from runner.toloka.anchor import BEGINNING
from runner.wording import plural


@dataclass
class UnknownOutcomes:
    """Settles what is unknown by looking at the list, again and again if need be."""

    manifest: Manifest
    lister: Lister
    settle_s: float
    started_s: float
    found: set[str] = field(default_factory=set)
    _absences: dict[str, Absence] = field(default_factory=dict)

    def settle(self, failed_at_s: Mapping[str, float], last_success_s: float) -> None:
        """Look at once, and then as often as absence needs; gives up where the list fails.

        `failed_at_s` is when this run saw each failure; `last_success_s` when the last delivery
        that was sent had begun: both monotonic. Raises `Stopped`.
        """
        while self._look(failed_at_s):
            open_ones, is_shown = self._open(), self.manifest.history().is_shown
            for attempt in open_ones:
                absence = self._absence(attempt, failed_at_s)
                is_believed = absence.failure.is_believed(last_success_s)
                # A look that is whole for a reply has shown its very thread.
                is_listed = is_shown or attempt.action == "reply"
                if absence.is_proven and is_believed and is_listed:
                    self.manifest.settle(attempt.delivery, NotFound(), "looked")
            now_s = self.lister.pace.now_s()
            moments = [
                moment
                for attempt in open_ones
                if (moment := self._absence(attempt, failed_at_s).next_look_s(now_s)) is not None
            ]
            if not moments:
                return
            # Those that failed last decide: one look does for all.
            count = plural(len(open_ones), "unknown delivery", "unknown deliveries")
            self.lister.wait_until(max(moments), f"looking again for {count}")

    def _open(self) -> list[Attempt]:
        """What is neither known nor in doubt, tests included."""
        history = self.manifest.history()
        return [each for each in history.open if not history.is_in_doubt(each.delivery)]

    def _absence(self, attempt: Attempt, failed_at_s: Mapping[str, float]) -> Absence:
        delivery = attempt.delivery
        if delivery not in self._absences:
            seen_s = failed_at_s.get(delivery, self.started_s)
            failure = Failure(seen_s, is_of_this_run=delivery in failed_at_s)
            self._absences[delivery] = Absence(failure, self.settle_s, self.lister.pace.now_s())
        return self._absences[delivery]

    def _look(self, failed_at_s: Mapping[str, float]) -> bool:
        """Look for everything that is open; gives whether the list could be had."""
        begun_s, history, open_ones = (
            self.lister.pace.now_s(),
            self.manifest.history(),
            self._open(),
        )
        composes = [each for each in open_ones if each.action == "compose"]
        answered = [each for each in open_ones if each.action == "reply"]
        whole: set[str] = set()
        if composes:
            whole |= self._look_for_composes(composes, history, begun_s)
        if answered and self.lister.failed is None:
            whole |= self._look_for_replies(answered, history)
        if self.lister.failed is not None:
            return False
        for attempt in open_ones:
            absence = self._absence(attempt, failed_at_s)
            absence.looks += 1
            if attempt.delivery in whole:
                absence.whole_s.append(begun_s)
        return bool(open_ones)

    def _look_for_composes(
        self, unknown: Sequence[Attempt], history: History, begun_s: float
    ) -> set[str]:
        cursor = history.cursor or BEGINNING
        begin = min(cursor if each.was_looked_for else each.anchor for each in unknown)
        sharing = Sharing(unknown)
        look = Look(
            begin,
            begun_s,
            must_show=history.must_show,
            claimed=history.thread_ids,
            matters=lambda thread, _marks: any(sharing.of(thread)),
        )
        self.lister.look(look, begin)
        if self.lister.failed is not None:
            return set()
        if look.shows_ours and not history.is_shown:
            self.manifest.note_shown()
        found = claim(unknown, look.kept.values())
        for delivery_id, thread in found.items():
            self._take(delivery_id, Sent(thread))
        claimed = {thread.id for thread in found.values()}
        left = [thread for thread in look.kept.values() if thread.id not in claimed]
        unfound = (each for each in unknown if each.delivery not in found)
        self.manifest.doubt(find_doubts(unfound, left))
        return {each.delivery for each in unknown} if look.is_whole else set()

    def _look_for_replies(self, unknown: Sequence[Attempt], history: History) -> set[str]:
        targets = {each.in_thread for each in unknown if each.in_thread}
        listed = self.lister.threads(query_threads(targets))
        if self.lister.failed is not None:
            return set()
        by_id = {thread.id: thread for thread in listed}
        looked = look_for_replies(unknown, by_id, history.replies)
        for delivery_id, seen in looked.items():
            if seen.sent is not None:
                self._take(delivery_id, seen.sent)
        doubtful = [each for each in unknown if looked[each.delivery].is_doubtful]
        self.manifest.doubt({each.delivery: [each.in_thread or ""] for each in doubtful})
        return {delivery_id for delivery_id, seen in looked.items() if seen.is_whole}

    def _take(self, delivery_id: str, sent: Sent) -> None:
        self.manifest.settle(delivery_id, sent, "found")
        self.found.add(delivery_id)
