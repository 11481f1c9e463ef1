"""`--test-to`: the rendered messages to one Toloker, changing nobody's state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from runner.manifest.manifest import Manifest
from runner.model import (
    Busy,
    Delivery,
    Direct,
    Message,
    NotConnected,
    Outcome,
    Result,
    Sent,
    Status,
    Unknown,
)
from runner.plan.plan import result_of
from runner.send.lists import Lister
from runner.send.run import Toloka
from runner.send.sender import Sender
from runner.send.tally import RunResult, Tally, exit_code
from runner.send.workers import Workers
from runner.toloka.digest import digest_of
from runner.toloka.pace import Pace


def trial_messages(messages: Sequence[Message], toloker: str) -> list[Delivery]:
    """Address each message, drafts included, to one Toloker by id.

    Of many rows the first one is enough; a reply has no thread with that Toloker to go into.
    """
    first = {message.id: message for message in reversed(messages) if message.action == "compose"}
    return [_trial(message, Direct((toloker,))) for message in reversed(first.values())]


def _trial(message: Message, recipients: Direct) -> Delivery:
    # Another select type is other content, for Toloka and so for the digest.
    digest = digest_of(
        topic=message.topic,
        text=message.text,
        answerable=message.answerable,
        select_type=recipients.select_type,
        recipients_filter=None,
    )
    tested = replace(message, recipients=recipients, digest=digest)
    return Delivery(message=tested, recipients=recipients)


def carry_out_trial(
    deliveries: Sequence[Delivery],
    manifest: Manifest,
    toloka: Toloka,
    pace: Pace,
    *,
    jobs: int,
    on_progress: Callable[[int, int], None],
) -> RunResult:
    """Send each delivery once. Repeating sends again: a test is a test.

    Raises `LaterError` where the list cannot be had: a lost test could not be told from a message.
    """
    lister = Lister(manifest, toloka, pace)
    anchor = lister.newest()
    if anchor is None:
        raise lister.failure()
    manifest.note_anchor(anchor)
    manifest.claim(deliveries, is_test=True)
    tally = Tally()
    workers = Workers(tally, pace, jobs=jobs)
    known = manifest.history().thread_ids
    sender = Sender(toloka.deliver, manifest, workers, known, is_test=True)
    workers.work(deliveries, sender.send, lambda: on_progress(tally.done, len(deliveries)))
    manifest.release()
    results = tuple(_results(deliveries, tally))
    statuses = {result.status for result in results}
    return RunResult(
        results=results,
        refused=tuple((delivery, outcome) for delivery, _, outcome in tally.refused_in_order),
        notes=(f"stopped: {tally.halt_reason}",) if tally.halt is not None else (),
        exit_code=exit_code(
            tally.halt,
            unknown="unknown" in statuses,
            later="not_tried" in statuses,
            refused="rejected" in statuses,
        ),
    )


def _results(deliveries: Sequence[Delivery], tally: Tally) -> Iterator[Result]:
    tried = {id(delivery) for delivery in tally.tried.values()}
    yield from (result_of(each, "not_tried") for each in deliveries if id(each) not in tried)
    for delivery_id, delivery in tally.tried.items():
        yield _result(delivery_id, delivery, tally.outcomes.get(delivery_id))


def _result(delivery_id: str, delivery: Delivery, outcome: Outcome | None) -> Result:
    if isinstance(outcome, Sent):
        return result_of(delivery, "sent", thread_id=outcome.thread.id, delivery_id=delivery_id)
    if outcome is None or isinstance(outcome, Unknown):
        why = "it is not known whether the test was sent"
        return result_of(delivery, "unknown", delivery_id=delivery_id, error=why)
    status: Status = "not_tried" if isinstance(outcome, (Busy, NotConnected)) else "rejected"
    return result_of(delivery, status, delivery_id=delivery_id, error=outcome.detail)
