"""The values that flow from a spec file to the manifest: frozen, without I/O or a clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeGuard

SelectType = Literal["DIRECT", "FILTER", "ALL"]
Action = Literal["compose", "reply"]
Texts = Mapping[str, str]
"""What is written, by language code: `{"EN": "Thank you!"}`."""

MAX_RECIPIENTS = 100
"""Tolokers in one compose request (Toloka's API reference, `recipients_ids`)."""


def compared_as(toloker: str) -> str:
    """An id as it is compared: without case."""
    return toloker.casefold()


def reached_as(toloker: str, key: str | None) -> str:
    """What a message reaches at most once: a Toloker, or one of several letters to one."""
    return compared_as(toloker if key is None else f"{toloker} {key}")


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


@dataclass(frozen=True, slots=True)
class ReachedBy:
    """The Tolokers whom another message reached, or those of them who did, or did not, answer.

    Who they are is known once the manifest, and for answers Toloka, has been asked. No revision
    means all of them.
    """

    message: str
    revision: int | None = None
    answered: bool | None = None
    select_type: SelectType = field(default="DIRECT", init=False)


@dataclass(frozen=True, slots=True)
class InThread:
    """A reply goes to whoever takes part in one thread."""

    thread_id: str
    select_type: None = field(default=None, init=False)


@dataclass(frozen=True, slots=True)
class InThreads:
    """A reply in each thread of another message, or where a Toloker answered it.

    Which threads those are is known once the manifest, and for answers Toloka, has been asked.
    """

    message: str
    only_answered: bool
    select_type: None = field(default=None, init=False)


@dataclass(frozen=True, slots=True)
class InOwnThread:
    """A reply in a Toloker's own thread of another message: the child thread if there is one."""

    message: str
    toloker: str
    select_type: None = field(default=None, init=False)

    @property
    def key(self) -> str:
        """What it is approved as, before its thread is known."""
        return f"{self.message} {compared_as(self.toloker)}"


Recipients = Direct | Filtered | Everyone | ReachedBy | InThread | InThreads | InOwnThread


def asks_for_answers(recipients: Recipients) -> TypeGuard[InThreads | InOwnThread | ReachedBy]:
    """Whether Toloka may have to tell whom this means: those who answered, or did not."""
    if isinstance(recipients, InThreads):
        return recipients.only_answered
    if isinstance(recipients, ReachedBy):
        return recipients.answered is not None
    return isinstance(recipients, InOwnThread)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What a row was made into a message with: the words as written, and a mark of its values."""

    topic: Texts
    text: Texts
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What will be posted, rendered. `digest` is over its content, never its recipients.

    `source` is the spec's path as printed, `row` the line of its data file that made it, and
    `template` what that row was put into. A reply has no topic, and its `answerable` says nothing.
    `key` tells this letter from others to the same Toloker. `branches` say which way a row went at
    each `{% if %}`. `braces_from` names, for a text such as `text.EN`, the value that brought the
    braces of a template into it.
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
    folders: tuple[str, ...] = ()
    at_most: int | None = None
    row: int | None = None
    template: Template | None = None
    key: str | None = None
    branches: tuple[str, ...] = ()
    braces_from: Mapping[str, str] = field(default_factory=dict)

    @property
    def action(self) -> Action:
        return "reply" if self.recipients.select_type is None else "compose"

    @property
    def headline(self) -> str:
        """The English topic, else that of the first language; a reply's first words."""
        if not self.topic:
            return (self.text.get("EN") or next(iter(self.text.values()), "")).strip()[:60]
        return self.topic.get("EN") or next(iter(self.topic.values()), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a digest stands for; `mark` is that of a row's values, where the words are a template."""

    topic: Texts
    text: Texts
    answerable: bool | None
    recipients_filter: object
    mark: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One message inside a thread; `sender` is an interlocutor. `is_answer`: a Toloker wrote it."""

    text: Texts
    created: str
    sender: str | None
    is_ours: bool
    is_answer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """A message thread as Toloka tells of it; what it leaves out is None or empty.

    `posts` are oldest first, `account` is the interlocutor marked `myself`, `tolokers` are those
    with the role of a user.
    """

    id: str
    created: str = ""
    topic: Texts = field(default_factory=dict)
    posts: tuple[Post, ...] = ()
    answerable: bool | None = None
    select_type: str | None = None
    recipients_ids: tuple[str, ...] = ()
    recipients_filter: object = None
    tolokers: tuple[str, ...] = ()
    parent_id: str | None = None
    account: str | None = None
    folders: tuple[str, ...] = ()

    @property
    def text(self) -> Texts:
        """The text of the oldest message."""
        return self.posts[0].text if self.posts else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How much we wrote in a thread: all of it, and what has the words of one reply."""

    ours: int
    alike: int


@dataclass(frozen=True, slots=True)
class Sent:
    """Toloka made this thread, or took this reply into it.

    `created` is when, by Toloka's clock: the thread's time, or that of the reply inside it.
    """

    thread: Thread
    reply_created: str | None = None

    @property
    def created(self) -> str:
        return self.thread.created if self.reply_created is None else self.reply_created


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Toloka sent nothing and will not: a 4xx. `fields` maps its field paths to its words.

    `is_foreign` where the answer is a gateway's, and not Toloka's.
    """

    status: int | None
    code: str | None
    detail: str
    fields: Mapping[str, str] = field(default_factory=dict)
    is_foreign: bool = False

    @property
    def is_refusal(self) -> bool:
        """Whether Toloka said no: else it was not asked, or was too busy."""
        return self.status not in (None, 429)


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

    @property
    def is_for_long(self) -> bool:
        """Whether it is an hour's or a day's limit that was reached."""
        return self.interval in ("HOUR", "DAY")


@dataclass(frozen=True, slots=True)
class NotConnected:
    """The request never left this machine; `lasts` where waiting cannot help."""

    detail: str
    lasts: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """Toloka may have sent it without telling us: sending again could reach people twice."""

    detail: str


Outcome = Sent | Rejected | NoRecipients | Busy | NotConnected | Unknown
"""What one call came to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One compose or reply that the runner would make: a message to these Tolokers.

    `recipients` is the batch (`Direct`, at most 100 ids), the message's own filter or ALL, or the
    one thread of a reply.
    """

    message: Message
    recipients: Recipients

    @property
    def people(self) -> tuple[str, ...]:
        """The Tolokers, where they are named."""
        return self.recipients.ids if isinstance(self.recipients, Direct) else ()

    @property
    def keys(self) -> tuple[str | None, ...]:
        """What it reaches at most once: `people`, one by one, a thread, or (None) a whole filter."""
        if isinstance(self.recipients, InThread):
            return (self.recipients.thread_id,)
        if isinstance(self.recipients, InOwnThread):
            return (self.recipients.key,)
        return tuple(reached_as(each, self.message.key) for each in self.people) or (None,)


Status = Literal[
    "planned", "sent", "already_sent", "adopted", "edited", "rejected", "unknown",
    "no_recipients", "suppressed", "outside_window", "missed", "held", "draft", "waiting", "not_tried",
    "in_doubt", "being_sent",
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
    key: str | None = None
    topic: Texts = field(default_factory=dict)
    recipients_filter: object = None
    action: Action = "compose"
    thread_id: str | None = None
    delivery: str | None = None
    run: str | None = None
    """The run that tried what is unknown."""
    error: str | None = None
