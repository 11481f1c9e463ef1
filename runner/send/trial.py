"""`--test-to`: the rendered messages to one Toloker, changing nobody's state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from runner.errors import ExitCode
from runner.lookup import evidence
from runner.manifest.file import Manifest
from runner.manifest.history import Settled
from runner.model import Delivery, Direct, Message, Result, Sent
from runner.plan.plan import result_of
from runner.send.run import Report
from runner.send.sender import Deliver, Halt, Sender
from runner.toloka.digest import digest_of
from runner.toloka.pace import Pace


class _TestLog:
    """Writes intents that are marked as tests, and remembers what became of them."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self.deliveries: dict[str, Delivery] = {}
        self.outcomes: dict[str, Settled] = {}

    def intend(self, delivery: Delivery) -> str:
        delivery_id = self._manifest.intend(delivery, is_test=True)
        self.deliveries[delivery_id] = delivery
        return delivery_id

    def settle(self, delivery_id: str, outcome: Settled) -> None:
        self._manifest.settle(delivery_id, outcome)
        self.outcomes[delivery_id] = outcome


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
    deliver: Deliver,
    pace: Pace,
    *,
    jobs: int,
    on_progress: Callable[[int, int], None],
) -> Report:
    """Send each delivery once. Repeating sends again: a test is a test."""
    log = _TestLog(manifest)
    sender = Sender(
        deliver,
        log,
        pace,
        jobs=jobs,
        echoes=evidence.echoes,
        on_progress=lambda done: on_progress(done, len(deliveries)),
    )
    sender.send(deliveries)
    results = [_result(each, delivery, log.outcomes) for each, delivery in log.deliveries.items()]
    tried = {id(delivery) for delivery in log.deliveries.values()}
    results += [result_of(each, "not_tried") for each in deliveries if id(each) not in tried]
    return Report(
        results=tuple(results),
        refused=tuple((delivery, answer) for delivery, _, answer in sender.tally.refused),
        notes=(f"stopped: {sender.tally.halt_reason}",) if sender.tally.is_halted else (),
        exit_code=_exit_code(results, sender.tally.halt),
    )


def _result(delivery_id: str, delivery: Delivery, outcomes: dict[str, Settled]) -> Result:
    outcome = outcomes.get(delivery_id)
    if isinstance(outcome, Sent):
        return result_of(delivery, "sent", thread_id=outcome.thread.id, delivery_id=delivery_id)
    if outcome is None:
        why = "it is not known whether the test was sent"
        return result_of(delivery, "unknown", delivery_id=delivery_id, error=why)
    detail = getattr(outcome, "detail", None)
    return result_of(delivery, "rejected", delivery_id=delivery_id, error=detail)


def _exit_code(results: Sequence[Result], halt: Halt | None) -> ExitCode:
    statuses = {result.status for result in results}
    if halt in (Halt.CREDENTIALS, Halt.SURROUNDINGS):
        return ExitCode.SURROUNDINGS
    if "unknown" in statuses:
        return ExitCode.UNKNOWN
    if halt is not None or "not_tried" in statuses:
        return ExitCode.LATER
    return ExitCode.REFUSED if "rejected" in statuses else ExitCode.DONE
