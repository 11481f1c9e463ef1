"""A plan as a file: what somebody may approve, to the letter and to the person.

`send` sends what the file holds, where files and manifest would still send the same: `moved` says
where they would not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import TypeVar

from runner import clock
from runner.errors import SurroundingsError
from runner.files import read_bounded
from runner.manifest.attempts import Identity
from runner.model import (
    Delivery,
    Direct,
    Filtered,
    InOwnThread,
    InThread,
    Message,
    Texts,
    reached_as,
)
from runner.plan.limits import most_of
from runner.plan.needs import find_unfiled
from runner.plan.plan import Key, Plan, PlannedMessage
from runner.toloka.digest import digest_of, digest_of_reply
from runner.toloka.ids import count_people
from runner.wording import shown, why

VERSION = 1
MAX_BYTES = 256 * 1024 * 1024
# What a delivery sends, and to whom.
_CONTENT = (
    *("topic", "text", "answerable", "recipients_select_type"),
    *("recipients_ids", "key", "recipients_filter", "thread_id", "reply_to", "toloker_id"),
)
_Kind = TypeVar("_Kind")
Entry = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a plan is for, and what made it; None is not known, and no Babel is none used."""

    target: str
    made_with: str
    """Our version."""
    account: str | None = None
    acts_under: str | None = None
    commit: str | None = None
    babel: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFile:
    """What a plan file holds; every digest is computed from the content that stands there."""

    path: Path | None
    origin: Origin
    made_at: datetime
    digest: str
    """Over all that it would send."""
    digests: Mapping[Key, str]
    words: Mapping[tuple[Identity, str], tuple[Texts, Texts]] = field(repr=False)
    """Topic and text of each digest."""
    folders: Mapping[Identity, tuple[str, ...]]
    """Of every message that it knows, also of those with nothing to send."""

    def worded(self, messages: Iterable[Message]) -> tuple[Message, ...]:
        """Give messages the very words of the file, where these are the same by their digest."""
        return tuple(map(self._worded, messages))

    def _worded(self, message: Message) -> Message:
        words = self.words.get(((message.id, message.revision), message.digest))
        return replace(message, topic=words[0], text=words[1]) if words else message


def plan_document(
    plan: Plan, origin: Origin, *, manifest: str, quota_notes: Sequence[str]
) -> dict[str, object]:
    """Build a plan as JSON: each message with its content, each delivery with whom it reaches."""
    document: dict[str, object] = {
        "version": VERSION,
        **asdict(origin),
        "manifest": manifest,
        "planned_at": clock.written(clock.now()),
        "has_changes": bool(plan.deliveries),
        "limits": list(quota_notes),
        "messages": [_entry(planned, plan) for planned in plan.changes_first],
    }
    return {"digest": plan_digest(document), **document}


def _entry(planned: PlannedMessage, plan: Plan) -> dict[str, object]:
    message = planned.message
    opens_at = planned.held.opens_at if planned.held else None
    unfiled = find_unfiled(planned.messages, plan.history)
    return {
        "message": message.id,
        "revision": message.revision,
        "source": message.source,
        "action": message.action,
        "change": planned.change,
        "recipients_select_type": message.recipients.select_type,
        "recipients": count_people([planned.people]) or None,
        "up_to": most_of(planned, plan.history) if planned.possible else None,
        "requests": len(planned.deliveries),
        "skipped": {
            status: sum(len(each.recipients_ids or (None,)) for each in results)
            for status, results in planned.skipped_by_status.items()
        },
        "late_since": clock.written(planned.late_since) if planned.late_since else None,
        "not_before": clock.written(opens_at) if opens_at else None,
        "folders": list(message.folders),
        "to_file": [attempt.thread_id for attempt, _ in unfiled],
        "deliveries": [_delivery(each) for each in (*planned.sure, *planned.possible)],
    }


def _delivery(delivery: Delivery) -> dict[str, object]:
    message, recipients = delivery.message, delivery.recipients
    entry: dict[str, object] = {"digest": message.digest, "topic": dict(message.topic)}
    entry["text"] = dict(message.text)
    if message.action == "compose":
        entry["answerable"] = message.answerable
        entry["recipients_select_type"] = recipients.select_type
    if isinstance(recipients, Direct):
        entry["recipients_ids"] = list(recipients.ids)
    if message.key is not None:
        entry["key"] = message.key
    if isinstance(recipients, Filtered):
        entry["recipients_filter"] = recipients.tree
    if isinstance(recipients, InThread):
        entry["thread_id"] = recipients.thread_id
    if isinstance(recipients, InOwnThread):
        # Its thread is known to Toloka alone.
        entry["reply_to"], entry["toloker_id"] = recipients.message, recipients.toloker
    return entry


def plan_digest(document: Entry) -> str:
    """Digest all that would be sent: the same plan made anew, at another time, has the same."""
    total = hashlib.sha256()
    for part in _parts(document):
        total.update(json.dumps(part, sort_keys=True, ensure_ascii=False).encode() + b"\n")
    return "sha256:" + total.hexdigest()


def _parts(document: Entry) -> Iterator[object]:
    yield [document[name] for name in ("version", "target", "account", "acts_under")]
    for entry in _list(document, "messages"):
        deliveries = _list(entry, "deliveries")
        if deliveries or entry["to_file"]:
            yield [entry[name] for name in ("message", "revision", "folders", "to_file")]
        for delivery in deliveries:
            yield {name: delivery[name] for name in _CONTENT if name in delivery}


def read_plan_file(path: Path) -> PlanFile:
    """Read a plan file; raises `SurroundingsError` for one that is not a plan, or was edited."""
    try:
        data = json.loads(read_bounded(path, MAX_BYTES))
        if data["version"] != VERSION:
            raise SurroundingsError(f"--plan {shown(path)}: written by another version")
        file, told = take_plan(data, path), _at(data, "digest", str)
    except OSError as error:
        raise SurroundingsError(f"--plan {shown(path)}: {why(error, path)}") from error
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise SurroundingsError(
            f"--plan {shown(path)}: this is not a plan, or not all of one; "
            "`message-runner plan --out` writes one"
        ) from error
    if file.digest != told:
        raise SurroundingsError(
            f"--plan {shown(path)}: it was edited: it holds something else than its digest says; "
            "make the plan again"
        )
    return file


def take_plan(data: Entry, path: Path | None = None) -> PlanFile:
    """Take a plan document for one that was approved; `path` is where it stands."""
    origin = Origin(
        target=_at(data, "target", str),
        made_with=_at(data, "made_with", str),
        account=_at(data, "account", (str, NoneType)),
        acts_under=_at(data, "acts_under", (str, NoneType)),
        commit=_at(data, "commit", (str, NoneType)),
        babel=_at(data, "babel", (str, NoneType)),
    )
    messages = _list(data, "messages")
    digests: dict[Key, str] = {}
    words: dict[tuple[Identity, str], tuple[Texts, Texts]] = {}
    folders: dict[Identity, tuple[str, ...]] = {}
    for entry in messages:
        identity = (_at(entry, "message", str), _at(entry, "revision", int))
        folders[identity] = _texts(entry["folders"])
        for delivery in _list(entry, "deliveries"):
            topic, text = _words(delivery["topic"]), _words(delivery["text"])
            digest = _content_digest(delivery, topic, text)
            words[identity, digest] = (topic, text)
            digests.update(((*identity, key), digest) for key in _keys(delivery))
    return PlanFile(
        path=path,
        origin=origin,
        made_at=clock.read(_at(data, "planned_at", str)),
        digest=plan_digest(data),
        digests=digests,
        words=words,
        folders=folders,
    )


def _content_digest(delivery: Entry, topic: Texts, text: Texts) -> str:
    if "thread_id" in delivery or "reply_to" in delivery:
        return digest_of_reply(text)
    return digest_of(
        topic=topic,
        text=text,
        answerable=_at(delivery, "answerable", bool),
        select_type=_at(delivery, "recipients_select_type", str),
        recipients_filter=delivery.get("recipients_filter"),
    )


def _keys(delivery: Entry) -> tuple[str | None, ...]:
    if "thread_id" in delivery:
        return (_at(delivery, "thread_id", str),)
    if "reply_to" in delivery:
        names = (_at(delivery, name, str) for name in ("reply_to", "toloker_id"))
        return (InOwnThread(*names).key,)
    key = _at(delivery, "key", str) if "key" in delivery else None
    ids = _texts(delivery.get("recipients_ids", []))
    return tuple(reached_as(each, key) for each in ids) or (None,)


def _at(entry: Entry, name: str, kind: type[_Kind] | tuple[type[_Kind], ...]) -> _Kind:
    value = entry[name]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError("not a plan")
    return value


def _list(entry: Entry, name: str) -> list[Entry]:
    values: list[Entry] = _at(entry, name, list)
    if not all(isinstance(each, dict) for each in values):
        raise TypeError("not a plan")
    return values


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise TypeError("not a plan")
    return tuple(values)


def _words(values: object) -> Texts:
    if not isinstance(values, dict) or not all(isinstance(each, str) for each in values.values()):
        raise TypeError("not a plan")
    return values
