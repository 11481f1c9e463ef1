"""What the manifest or the policy does not let pass, with what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from runner.errors import Fault
from runner.manifest.history import Ledger
from runner.model import Delivery, Everyone, InThreads, Message, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the configuration forbids. `suppressed` Tolokers are written to by no DIRECT message."""

    allow_all: bool = True
    max_recipients: int | None = None
    suppressed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMessage:
    """One spec: what would be sent (`deliveries`), and what is settled already (`settled`).

    `messages` is one, or one for each row of its data file. `late_since` is when the message was
    first sent, where that is long ago and it has new recipients. `unguarded` is how many Tolokers
    the suppression list holds, where Toloka alone chooses who gets the message.
    """

    messages: tuple[Message, ...]
    deliveries: tuple[Delivery, ...] = ()
    settled: tuple[Result, ...] = ()
    late_since: datetime | None = None
    unguarded: int = 0

    @property
    def message(self) -> Message:
        """The message, or its first row."""
        return self.messages[0]


def find_objections(
    planned: PlannedMessage, ledger: Ledger, is_gone: Callable[[str], bool]
) -> Iterator[Fault]:
    """Say what of a message does not go with what was sent before."""
    message = planned.message
    types = ledger.known[message.id, message.revision].types - {message.recipients.select_type}
    if types:
        before = ", ".join(sorted(each or "a reply" for each in types))
        yield Fault(
            ("recipients_select_type",),
            f"revision {message.revision} of {message.id} went out as {before}, and this is "
            f"{message.recipients.select_type or 'a reply'}",
            f"write `revision: {message.revision + 1}` to send it anew",
        )
    yield from _find_renamed(planned, ledger, is_gone)
    recipients = message.recipients
    if not isinstance(recipients, InThreads) or recipients.message in ledger.threads:
        return
    if is_gone(recipients.message):
        what = f'there is no message "{recipients.message}" to reply to'
        yield Fault(("reply_to",), what, "write the id of a message of yours")


def _find_renamed(
    planned: PlannedMessage, ledger: Ledger, is_gone: Callable[[str], bool]
) -> Iterator[Fault]:
    """A renamed file would mail everybody again: the old name has to be kept as `id`."""
    for delivery in planned.deliveries:
        for key in delivery.keys:
            others = ledger.ids_by_content.get((delivery.message.digest, key), set())
            for other in sorted(others - {delivery.message.id}):
                if is_gone(other):
                    yield Fault(
                        ("id",),
                        f'this went to some of the same people as "{other}", whose file is gone',
                        f"if the file was renamed, write `id: {other}`; "
                        "if it is a new message, change its text",
                    )
                    return


def find_policy_breaches(planned: PlannedMessage, rules: Rules) -> Iterator[Fault]:
    """Say which key of the policy stands in the way of what would be sent."""
    if not planned.deliveries:
        return
    if isinstance(planned.message.recipients, Everyone) and not rules.allow_all:
        yield Fault(
            ("recipients_select_type",),
            "the policy forbids messages to ALL",
            "to allow them, set `policy: {allow_all: true}` in runner.yaml",
        )
    count = sum(len(each.people) for each in planned.deliveries)
    if rules.max_recipients is not None and count > rules.max_recipients:
        yield Fault(
            ("recipients_ids",),
            f"the policy allows {rules.max_recipients:,} recipients a message, and this would "
            f"reach {count:,}",
            f"to allow it, set `policy: {{max_recipients: {count}}}` in runner.yaml",
        )
