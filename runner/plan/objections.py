"""What the manifest or the policy does not let pass, with what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from runner.errors import Fault
from runner.manifest.history import History
from runner.model import Delivery, Everyone, InThreads, Message
from runner.plan.plan import Plan, PlannedMessage, Policy

Objection = tuple[Message, Fault]
"""What does not pass, with the message that it is about."""


def find_objections(plan: Plan, policy: Policy, is_gone: Callable[[str], bool]) -> list[Objection]:
    """Say what of a plan the manifest or the policy does not let pass.

    `is_gone` tells whether a message id of the manifest has no file any more.
    """
    return [
        (planned.message, fault)
        for planned in plan.messages
        for fault in _find_faults(planned, plan.history, policy, is_gone)
    ]


def _find_faults(
    planned: PlannedMessage, history: History, policy: Policy, is_gone: Callable[[str], bool]
) -> Iterator[Fault]:
    """Say what of a message does not go with what was sent before."""
    message, recipients = planned.message, planned.message.recipients
    reached = history.reached((message.id, message.revision))
    types = {each.select_type for each in reached.values()} - {recipients.select_type}
    if types:
        before = ", ".join(sorted(each or "a reply" for each in types))
        yield Fault(
            ("recipients_select_type",),
            f"revision {message.revision} of {message.id} went out as {before}, and this is "
            f"{recipients.select_type or 'a reply'}",
            f"write `revision: {message.revision + 1}` to send it anew",
        )
    if any(each.message.digest in history.by_digest for each in planned.deliveries):
        yield from _find_renamed(planned, history, is_gone)
    if isinstance(recipients, InThreads) and recipients.message not in history.threads:
        name = recipients.message
        if is_gone(name):
            what = f'there is no message "{name}" to reply to'
            yield Fault(("reply_to",), what, "write the id of a message of yours")
    if planned.deliveries:
        yield from _find_policy_breaches(planned, policy)


def _find_renamed(
    planned: PlannedMessage, history: History, is_gone: Callable[[str], bool]
) -> Iterator[Fault]:
    """A renamed file would mail everybody again: the old name has to be kept as `id`."""
    for delivery in planned.deliveries:
        for other in _others_with_content(delivery, history):
            if is_gone(other):
                yield Fault(
                    ("id",),
                    f'this went to some of the same people as "{other}", whose file is gone',
                    f"if the file was renamed, write `id: {other}`; "
                    "if it is a new message, change its text",
                )
                return


def _others_with_content(delivery: Delivery, history: History) -> list[str]:
    """The other messages that went to some of the same people with the same content."""
    digest, keys = delivery.message.digest, delivery.keys
    others = set()
    for identity in history.by_digest.get(digest, ()):
        known = history.reached(identity)
        if any(key in known and known[key].digest == digest for key in keys):
            others.add(identity[0])
    return sorted(others - {delivery.message.id})


def _find_policy_breaches(planned: PlannedMessage, policy: Policy) -> Iterator[Fault]:
    """Say which key of the policy stands in the way of what would be sent."""
    if isinstance(planned.message.recipients, Everyone) and not policy.allow_all:
        yield Fault(
            ("recipients_select_type",),
            "the policy forbids messages to ALL",
            "to allow them, set `policy: {allow_all: true}` in runner.yaml",
        )
    if policy.max_recipients is not None and len(planned.people) > policy.max_recipients:
        count = len(planned.people)
        yield Fault(
            ("recipients_ids",),
            f"the policy allows {policy.max_recipients:,} recipients a message, and this would "
            f"reach {count:,}",
            f"to allow it, set `policy: {{max_recipients: {count}}}` in runner.yaml",
        )
