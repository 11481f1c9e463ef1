"""Sending deliveries: intents before requests, outcomes after them, refused batches split."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from runner.lookup.look import digest_of_thread, left_out
from runner.manifest.manifest import Manifest, PlaceOf
from runner.model import (
    Busy,
    Delivery,
    Direct,
    InThread,
    NoRecipients,
    NotConnected,
    Outcome,
    Rejected,
    Sent,
    Unknown,
)
from runner.send.tally import Halt
from runner.send.workers import Workers
from runner.toloka.pace import Stopped
from runner.toloka.responses import reason_to_stop
from runner.wording import plural

_BAD_RECIPIENTS = "INCORRECT_RECIPIENTS"


Deliver = Callable[[Delivery], Outcome]
"""Composes or replies, once; never raises for a failure of the network or the server."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends deliveries; what happened is in the workers' tally. `is_test` marks the intents."""

    deliver: Deliver
    manifest: Manifest
    workers: Workers
    known: Container[str]
    """The threads that the manifest has of other deliveries."""
    place_of: PlaceOf = lambda _delivery: None
    is_test: bool = False
    now: Callable[[], datetime] | None = None
    """What windows go by; a test has none."""
    max_refused: int | None = None
    """So many refusals stop the run."""
    taken: dict[str, str] = field(default_factory=dict)
    """The threads that composes of this run have made, and by which delivery."""

    def send(self, delivery: Delivery) -> Sequence[Delivery]:
        """Try a delivery, and record what came of it; gives the parts that it was split into.

        An outcome that stays unknown has an intent in the manifest and no outcome.
        """
        tally, closes_at = self.workers.tally, delivery.message.not_after
        if self.now and closes_at and self.now() > closes_at:
            # It has closed since this was planned.
            return ()
        place = self.place_of(delivery)
        delivery_id = self.manifest.intend(delivery, place, is_test=self.is_test)
        tally.tried[delivery_id] = delivery
        begun_s = self.workers.pace.now_s()
        try:
            outcome = self.workers.call(lambda: self.deliver(delivery))
        except Stopped:
            outcome = NotConnected("the run stopped before it was sent")
        if isinstance(outcome, NoRecipients) and isinstance(delivery.recipients, Direct):
            # That a filter matches nobody is final; of ids it says that one of them is wrong.
            outcome = Rejected(status=409, code=_BAD_RECIPIENTS, detail=outcome.detail)
        if isinstance(outcome, Sent) and not self._is_its_own(delivery, delivery_id, outcome):
            outcome = Unknown(f"the answer names thread {outcome.thread.id}, which is of another")
        parts = self._record(delivery, delivery_id, outcome)
        if isinstance(outcome, Sent):
            tally.last_success_s = max(tally.last_success_s, begun_s)
        tally.outcomes[delivery_id] = outcome
        tally.done += 1
        return parts

    def _is_its_own(self, delivery: Delivery, delivery_id: str, sent: Sent) -> bool:
        """Whether an answer is about this very delivery, as far as its thread's id can tell."""
        thread_id, recipients = sent.thread.id, delivery.recipients
        if isinstance(recipients, InThread):
            return thread_id == recipients.thread_id
        # Two may ask at once: the first one has it.
        first = self.taken.setdefault(thread_id, delivery_id)
        return first == delivery_id and thread_id not in self.known

    def _record(self, delivery: Delivery, delivery_id: str, outcome: Outcome) -> Sequence[Delivery]:
        tally = self.workers.tally
        match outcome:
            case Unknown():
                # The intent stays without an outcome: that is how the manifest says unknown.
                tally.failed_at_s[delivery_id] = self.workers.pace.now_s()
            case Sent():
                if _has_changed(delivery, outcome):
                    tally.changed_words = outcome.thread.id
                self.manifest.settle(
                    delivery_id, outcome, left_out=left_out(delivery.people, outcome.thread)
                )
            case NoRecipients():
                self.manifest.settle(delivery_id, outcome)
            case Rejected():
                self.manifest.settle(delivery_id, outcome)
                return self._refused(delivery, delivery_id, outcome)
            case Busy() | NotConnected():
                is_busy = isinstance(outcome, Busy)
                later = Rejected(
                    status=429 if is_busy else None,
                    code="TOO_MANY_REQUESTS" if is_busy else None,
                    detail=outcome.detail,
                )
                self.manifest.settle(delivery_id, later)
                tally.postponed.append((delivery, outcome.detail))
        return ()

    def _refused(
        self, delivery: Delivery, delivery_id: str, outcome: Rejected
    ) -> Sequence[Delivery]:
        if reason := reason_to_stop(outcome):
            self.workers.stop(Halt.SURROUNDINGS, reason)
            return ()
        parts = _parts(delivery, outcome)
        if not parts:
            refused = self.workers.tally.refused
            refused.append((delivery, delivery_id, outcome))
            if self.max_refused is not None and len(refused) >= self.max_refused:
                why = f"{plural(len(refused), 'refusal')}: the policy allows no more"
                self.workers.stop(Halt.REFUSED, why)
        return parts


def _has_changed(delivery: Delivery, sent: Sent) -> bool:
    """Whether the words that came back are not those that were sent."""
    if isinstance(delivery.recipients, InThread):
        ours = [post for post in sent.thread.posts if post.is_ours]
        return bool(ours) and ours[-1].text != delivery.message.text
    return digest_of_thread(sent.thread) != delivery.message.digest


def _parts(delivery: Delivery, answer: Rejected) -> list[Delivery]:
    """Split a refused batch: it sent nothing, and one bad id must not cost the others theirs.

    Empty where the ids are not to blame or one stands alone.
    """
    recipients = delivery.recipients
    is_about_ids = answer.status == 400 or answer.code == _BAD_RECIPIENTS
    if not isinstance(recipients, Direct) or len(recipients.ids) < 2 or not is_about_ids:
        return []
    if answer.fields and not any(name.startswith("recipients_ids") for name in answer.fields):
        return []
    ids = recipients.ids
    named = [ids[number] for number in _named(answer) if number < len(ids)]
    rest = tuple(toloker for toloker in ids if toloker not in set(named))
    if named and rest:
        groups = [rest, *((toloker,) for toloker in named)]
    else:
        half = len(ids) // 2
        groups = [ids[:half], ids[half:]]
    return [Delivery(message=delivery.message, recipients=Direct(group)) for group in groups]


def _named(answer: Rejected) -> list[int]:
    """The places in the list of ids that a refusal names (`recipients_ids.3`)."""
    steps = [name.split(".") for name in answer.fields]
    found = [step[1] for step in steps if step[0] == "recipients_ids" and len(step) > 1]
    return sorted({int(number) for number in found if number.isdecimal()})
