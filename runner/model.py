"""The values that flow from a spec file to the manifest: frozen, without I/O or a clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

SelectType = Literal["DIRECT", "FILTER", "ALL"]
Action = Literal["compose", "reply"]
Texts = Mapping[str, str]
"""What is written, by language code: `{"EN": "Thank you!"}`."""

MAX_RECIPIENTS = 100
"""Tolokers in one compose request (Toloka's API reference, `recipients_ids`)."""


@dataclass(frozen=True, slots=True)
class Direct:
    """Tolokers by id, each once, in the order of the spec."""

    ids: tuple[str, ...]
    select_type: SelectType = field(default="DIRECT", init=False)


@dataclass(frozen=True, slots=True)
class Filtered:
    """The Tolokers whom a filter matches; `tree` has `and` or `or` at its root."""

    tree: Mapping[str, object]
    select_type: SelectType = field(default="FILTER", init=False)


@dataclass(frozen=True, slots=True)
class Everyone:
    """Every Toloker who has ever tried one of the requester's tasks."""

    select_type: SelectType = field(default="ALL", init=False)


Recipients = Direct | Filtered | Everyone


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What will be posted, rendered. `digest` is over its content, never its recipients.

    `source` is the spec's path as printed.
    """

    id: str
    revision: int
    source: str
    topic: Texts
    text: Texts
    answerable: bool
    recipients: Recipients
    digest: str
    draft: bool = False
    not_before: datetime | None = None
    not_after: datetime | None = None

    @property
    def headline(self) -> str:
        """The English topic, else that of the first language."""
        return self.topic.get("EN") or next(iter(self.topic.values()), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """A message thread as Toloka tells of it; what it leaves out is None or empty.

    `text` is that of the oldest message, `account` the interlocutor marked `myself`.
    """

    id: str
    created: str = ""
    topic: Texts = field(default_factory=dict)
    text: Texts = field(default_factory=dict)
    answerable: bool | None = None
    select_type: str | None = None
    recipients_ids: tuple[str, ...] = ()
    recipients_filter: object = None
    parent_id: str | None = None
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """Toloka made this thread."""

    thread: Thread


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Toloka sent nothing and will not: a 4xx. `fields` maps its field paths to its words."""

    status: int | None
    code: str | None
    detail: str
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_about_credentials(self) -> bool:
        """Whether every other call would be refused alike."""
        return self.status in (401, 403)


@dataclass(frozen=True, slots=True)
class NoRecipients:
    """A filter matched nobody: nothing was sent, and that is final for the revision."""

    detail: str


@dataclass(frozen=True, slots=True)
class Busy:
    """429: nothing was sent. `interval` is MIN, HOUR, DAY or empty."""

    interval: str
    retry_after_s: float | None
    detail: str


@dataclass(frozen=True, slots=True)
class NotConnected:
    """The request never left this machine."""

    detail: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Toloka may have sent it without telling us: sending again could reach people twice."""

    detail: str


Answer = Sent | Rejected | NoRecipients | Busy | NotConnected | Unknown
"""What one call came to."""


@dataclass(frozen=True, slots=True)
class NotFound:
    """Looked for on Toloka's list, and not there: it may be tried again."""


Settled = Sent | Rejected | NoRecipients | NotFound
"""An outcome that the manifest can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One intent in the manifest with its outcome; `outcome` None is unknown."""

    delivery: str
    message: str
    revision: int
    source: str
    select_type: SelectType | None
    recipients_ids: tuple[str, ...]
    digest: str
    at: datetime
    recipients_filter: object = None
    action: Action = "compose"
    is_test: bool = False
    outcome: Settled | None = None

    @property
    def is_unknown(self) -> bool:
        return self.outcome is None

    @property
    def was_sent(self) -> bool:
        return isinstance(self.outcome, Sent)

    @property
    def thread_id(self) -> str | None:
        return self.outcome.thread.id if isinstance(self.outcome, Sent) else None


@dataclass(frozen=True, slots=True)
class History:
    """What a manifest knows: attempts in the order in which they were made, without tests."""

    attempts: tuple[Attempt, ...] = ()
    thread_ids: frozenset[str] = frozenset()
    """Every thread that some delivery claims, tests included."""
    target: str | None = None
    account: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One compose that the runner would make: a message to these Tolokers.

    `recipients` is the batch (`Direct`, at most 100 ids), or the message's own filter or ALL.
    """

    message: Message
    recipients: Recipients


Status = Literal[
    "planned", "sent", "already_sent", "adopted", "edited", "rejected", "unknown",
    "no_recipients", "suppressed", "outside_window", "draft", "waiting", "not_tried",
]  # fmt: skip
"""What became of a delivery, as results and reports call it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A delivery and what became of it. `error` says why where nothing was sent."""

    message: str
    revision: int
    source: str
    status: Status
    select_type: SelectType | None
    recipients_ids: tuple[str, ...] | None
    digest: str
    headline: str
    thread_id: str | None = None
    delivery: str | None = None
    error: str | None = None
