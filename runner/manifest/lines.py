"""One line of the manifest, to be written: an event with its keys in the order of reading."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta

from runner import clock
from runner.manifest.history import Seen, Settled
from runner.model import Delivery, Direct, Filtered, InThread, NoRecipients, Rejected, Sent

Event = Mapping[str, object]


def line_of(event: Event) -> bytes:
    """Write an event as its line."""
    return (json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def new_event(name: str, /, **values: object) -> Event:
    """Build an event that happens now."""
    return {"event": name, **values, "at": clock.written(clock.now())}


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
    if isinstance(outcome, Sent):
        created = {"created": with_zone(outcome.created)} if outcome.created else {}
        thread_id = outcome.thread.id
        return new_event("sent", delivery=delivery_id, thread_id=thread_id, **created, how=how)
    if isinstance(outcome, Rejected):
        why = {"status": outcome.status, "code": outcome.code, "detail": outcome.detail}
        return new_event("rejected", delivery=delivery_id, **why)
    if isinstance(outcome, NoRecipients):
        return new_event("no_recipients", delivery=delivery_id, detail=outcome.detail)
    return new_event("not_found", delivery=delivery_id, how=how)


def seen_event(seen: Seen) -> Event:
    """Build the line that says: this thread is on Toloka's list, and no delivery claims it."""
    ids = {"recipients_ids": list(seen.recipients_ids)} if seen.recipients_ids else {}
    return new_event(
        "seen",
        thread_id=seen.thread_id,
        created=with_zone(seen.created),
        digest=seen.digest,
        recipients_select_type=seen.select_type,
        **ids,
    )


def with_zone(created: str) -> str:
    """Toloka's times are UTC without a zone; ours say so."""
    with suppress(ValueError):
        return clock.written(clock.read(created))
    return clock.written(clock.now())
