"""A plan as a file: what was reviewed, held against what would be sent now.

The file is compared and never executed: what is sent comes from the specs, and is refused where it
is not what the file holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner import clock
from runner.errors import Fault, SurroundingsError
from runner.files import read_bounded
from runner.model import Delivery, Direct, Filtered, InThread, Message, Result, reached_as
from runner.plan.plan import Key, Plan, PlannedMessage
from runner.wording import shown, why

VERSION = 1
MAX_BYTES = 256 * 1024 * 1024
_SHOWN = 5
_DONE = ("already_sent", "edited", "unknown", "in_doubt", "being_sent", "no_recipients")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFile:
    """What a plan file holds: for each key the digest that was reviewed.

    `messages` are the ids and revisions that it knows, with nothing to send too. `babel` is the
    version that worded its numbers and dates.
    """

    target: str
    babel: str
    digests: Mapping[Key, str]
    messages: frozenset[tuple[str, int]]


def plan_document(
    plan: Plan, *, target: str, manifest: str, quota_notes: Sequence[str]
) -> dict[str, object]:
    """Build a plan as JSON: each message with its content, each delivery with whom it reaches."""
    return {
        "version": VERSION,
        "target": target,
        "manifest": manifest,
        "babel": babel_version(),
        "planned_at": clock.written(clock.now()),
        "has_changes": bool(plan.deliveries),
        "limits": list(quota_notes),
        "messages": [_entry(planned) for planned in plan.messages],
    }


def _entry(planned: PlannedMessage) -> dict[str, object]:
    message = planned.message
    return {
        "message": message.id,
        "revision": message.revision,
        "source": message.source,
        "action": message.action,
        "recipients_select_type": message.recipients.select_type,
        "recipients": len(planned.people) or None,
        "requests": len(planned.deliveries),
        "skipped": {
            status: sum(len(each.recipients_ids or (None,)) for each in results)
            for status, results in planned.skipped_by_status.items()
        },
        "late_since": clock.written(planned.late_since) if planned.late_since else None,
        "deliveries": [_delivery(each) for each in planned.deliveries],
    }


def _delivery(delivery: Delivery) -> dict[str, object]:
    message, recipients = delivery.message, delivery.recipients
    entry: dict[str, object] = {"digest": message.digest, "topic": dict(message.topic)}
    entry["text"] = dict(message.text)
    if message.action == "compose":
        entry["answerable"] = message.answerable
    if isinstance(recipients, Direct):
        entry["recipients_ids"] = list(recipients.ids)
    if message.key is not None:
        entry["key"] = message.key
    if isinstance(recipients, Filtered):
        entry["recipients_filter"] = recipients.tree
    if isinstance(recipients, InThread):
        entry["thread_id"] = recipients.thread_id
    return entry


def read_plan_file(path: Path) -> PlanFile:
    """Read a plan file; raises `SurroundingsError` for one that is not a plan."""
    try:
        data = json.loads(read_bounded(path, MAX_BYTES))
        if data["version"] != VERSION:
            raise SurroundingsError(f"--plan {shown(path)}: written by another version")
        return PlanFile(
            target=_text(data["target"]),
            babel=_text(data["babel"]),
            digests=_digests(data["messages"]),
            messages=frozenset(
                (_text(each["message"]), int(each["revision"])) for each in data["messages"]
            ),
        )
    except OSError as error:
        raise SurroundingsError(f"--plan {shown(path)}: {why(error, path)}") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise SurroundingsError(
            f"--plan {shown(path)}: this is not a plan; `message-runner plan --out` writes one"
        ) from error


def _digests(messages: Iterable[Mapping[str, object]]) -> dict[Key, str]:
    digests: dict[Key, str] = {}
    for message in messages:
        name, revision = _text(message["message"]), message["revision"]
        deliveries = message["deliveries"]
        if not isinstance(revision, int) or not isinstance(deliveries, list):
            raise TypeError("not a plan")
        for delivery in deliveries:
            for key in _keys(delivery):
                digests[name, revision, key] = _text(delivery["digest"])
    return digests


def _keys(delivery: Mapping[str, object]) -> list[str | None]:
    ids, thread, key = (delivery.get(name) for name in ("recipients_ids", "thread_id", "key"))
    if isinstance(ids, list) and ids:
        return [reached_as(_text(each), None if key is None else _text(key)) for each in ids]
    return [None if thread is None else _text(thread)]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a plan")
    return value


def planned_keys(plan: Plan) -> dict[Key, str]:
    """What would be sent now: the digest by key."""
    return {
        (each.message.id, each.message.revision, key): each.message.digest
        for each in plan.deliveries
        for key in each.keys
    }


def find_moved(file: PlanFile, plan: Plan, target: str) -> list[tuple[Message | None, Fault]]:
    """Say what is not as it was when the plan was made.

    What was done meanwhile has not moved: it is skipped. A fault without a message is about the
    plan file itself.
    """
    if file.target != target:
        what = f"the plan is for {file.target}, and this is {target}"
        return [(None, Fault((), what, "make a plan for this target"))]
    moved = [*_find_new(file, plan), *_find_gone(file, plan)]
    if moved and file.babel != babel_version():
        what = f"the plan was made with Babel {file.babel}, and this is {babel_version()}"
        hint = "numbers and dates may be worded anew: make the plan again"
        return [(None, Fault((), what, hint)), *moved]
    return moved


def babel_version() -> str:
    """The version of Babel here, without loading it."""
    # Here, because every plan would wait for it, and few are written.
    from importlib.metadata import version

    return version("babel")


def _find_new(file: PlanFile, plan: Plan) -> list[tuple[Message | None, Fault]]:
    moved: list[tuple[Message | None, Fault]] = []
    hint = "have the new plan reviewed"
    for planned in plan.messages:
        message = planned.message
        new, changed = _compared(file, planned)
        if changed:
            what = f"{message.id} has changed since the plan was made{_to(changed)}"
            moved.append((message, Fault(("text",), what, hint)))
        # A reply waits for threads and answers; if they have come since, it goes on waiting.
        waited = message.action == "reply" and (message.id, message.revision) in file.messages
        if new and not waited:
            what = f"{message.id} is not in the plan{_to(new)}"
            moved.append((message, Fault((), what, hint)))
    return moved


def _compared(file: PlanFile, planned: PlannedMessage) -> tuple[list[str | None], list[str | None]]:
    """The keys that the plan file does not hold, and those that it holds with another digest."""
    new, changed = [], []
    for delivery in planned.deliveries:
        for key in delivery.keys:
            digest = file.digests.get((delivery.message.id, delivery.message.revision, key))
            if digest is None:
                new.append(key)
            elif digest != delivery.message.digest:
                changed.append(key)
    return new, changed


def _find_gone(file: PlanFile, plan: Plan) -> list[tuple[Message | None, Fault]]:
    """What the plan holds, and is neither to be sent now nor skipped."""
    now = planned_keys(plan)
    done = {
        (result.message, result.revision, key)
        for result in plan.skipped
        if result.status in _DONE
        for key in _keys_of(result)
    }
    gone = [key for key in file.digests if key not in now and key not in done]
    names = list(dict.fromkeys(name for name, _, _ in gone))
    return [
        (
            None,
            Fault(
                (),
                f"the plan holds {name}{_to([key for other, _, key in gone if other == name])}, "
                "and it would not be sent now",
                "make a new plan",
            ),
        )
        for name in names
    ]


def _keys_of(result: Result) -> tuple[str | None, ...]:
    if result.recipients_ids:
        return tuple(reached_as(each, result.key) for each in result.recipients_ids)
    return (result.thread_id if result.action == "reply" else None,)


def _to(keys: Sequence[str | None]) -> str:
    named = [key for key in keys if key is not None]
    if not named:
        return ""
    more = f" and {len(named) - _SHOWN:,} more" if len(named) > _SHOWN else ""
    return f" (to {', '.join(named[:_SHOWN])}{more})"
