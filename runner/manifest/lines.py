"""One line of the manifest: what is to be recorded, as an event and as its line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

from runner import clock
from runner.manifest.history import Attempt, Seen, Settled
from runner.model import Delivery, Direct, Filtered, InThread, Message, NoRecipients, Rejected, Sent

VERSION = 1
"""What every manifest begins with."""

Event = Mapping[str, object]


def line_of(event: Event) -> bytes:
    """Write an event as its line."""
    return (json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def header_event(target: str, account: str | None) -> Event:
    """Build the first line."""
    event: dict[str, object] = {"event": "manifest", "version": VERSION, "target": target}
    if account is not None:
        event["account"] = account
    return {**event, "at": clock.written(clock.now())}


def account_event(account: str) -> Event:
    """Build the line that names the account, where the first line could not yet."""
    return {"event": "account", "account": account, "at": clock.written(clock.now())}


def run_event(run: Mapping[str, object]) -> Event:
    """Build the line that says who sends what follows."""
    return {"event": "run", **run, "at": clock.written(clock.now())}


def intent_event(
    delivery_id: str,
    delivery: Delivery,
    *,
    is_test: bool = False,
    server_ahead_s: float | None = None,
) -> Event:
    """Build the line that says: this is about to be tried.

    The time by Toloka's clock goes beside ours, because another machine may have to look for it.
    """
    message, recipients = delivery.message, delivery.recipients
    event: dict[str, object] = {
        "event": "intent",
        "delivery": delivery_id,
        "message": message.id,
        "revision": message.revision,
        "source": message.source,
        "action": message.action,
    }
    if isinstance(recipients, InThread):
        event["thread_id"] = recipients.thread_id
    else:
        event["recipients_select_type"] = recipients.select_type
    if isinstance(recipients, Direct):
        event["recipients_ids"] = list(recipients.ids)
    if isinstance(recipients, Filtered):
        event["recipients_filter"] = recipients.tree
    if is_test:
        event["test"] = True
    now = clock.now()
    if server_ahead_s is not None:
        event["server_at"] = clock.written(now + timedelta(seconds=server_ahead_s))
    return event | {"digest": message.digest, "at": clock.written(now)}


def outcome_event(delivery_id: str, outcome: Settled, how: str) -> Event:
    """Build the line that says what became of an intent. `how` tells the way that was learned."""
    event: dict[str, object]
    if isinstance(outcome, Sent):
        event = {"event": "sent", "delivery": delivery_id, "thread_id": outcome.thread.id}
        if outcome.created:
            event["created"] = _with_zone(outcome.created)
        event["how"] = how
    elif isinstance(outcome, Rejected):
        event = {
            "event": "rejected",
            "delivery": delivery_id,
            "status": outcome.status,
            "code": outcome.code,
            "detail": outcome.detail,
        }
    elif isinstance(outcome, NoRecipients):
        event = {"event": "no_recipients", "delivery": delivery_id, "detail": outcome.detail}
    else:
        event = {"event": "not_found", "delivery": delivery_id, "how": how}
    return event | {"at": clock.written(clock.now())}


def suppressed_event(message: Message, ids: Sequence[str]) -> Event:
    """Build the line that says who was left out of a message for good."""
    return {
        "event": "suppressed",
        "message": message.id,
        "revision": message.revision,
        "source": message.source,
        "recipients_ids": list(ids),
        "at": clock.written(clock.now()),
    }


def seen_event(seen: Seen) -> Event:
    """Build the line that says: this thread is on Toloka's list, and no delivery claims it."""
    event: dict[str, object] = {
        "event": "seen",
        "thread_id": seen.thread_id,
        "created": _with_zone(seen.created),
        "digest": seen.digest,
        "recipients_select_type": seen.select_type,
    }
    if seen.recipients_ids:
        event["recipients_ids"] = list(seen.recipients_ids)
    return event | {"at": clock.written(clock.now())}


def folders_event(attempt: Attempt, folders: Sequence[str]) -> Event:
    """Build the line that says into which folders a thread was put."""
    return {
        "event": "folders",
        "thread_id": attempt.thread_id,
        "delivery": attempt.delivery,
        "folders": list(folders),
        "at": clock.written(clock.now()),
    }


def _with_zone(created: str) -> str:
    """Toloka's times are UTC without a zone; ours say so."""
    with suppress(ValueError):
        return clock.written(clock.read(created))
    return clock.written(clock.now())
