"""What a run is asked to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from runner.model import Delivery, InOwnThread, InThreads, Message
from runner.plan.plan import Key, Plan, Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run is asked to do. `limit` counts deliveries; None is no limit.

    `only` are the message ids, revisions and Tolokers (threads) that a reviewed plan lets pass.
    `other_messages` gives those under the messages root that were not selected.
    """

    messages: tuple[Message, ...]
    jobs: int
    settle_s: float
    catches_up: bool
    other_messages: Callable[[], Iterable[Message]] = tuple
    limit: int | None = None
    policy: Policy = field(default_factory=Policy)
    only: frozenset[Key] | None = None
    planned: Plan | None = None
    """What was shown and checked: taken as long as planning again would come to the same."""
    check: Callable[[Plan], object] = lambda _: None
    """Raises if a plan must not be carried out: catching up may have changed what is known."""

    tell: Callable[[str], object] = lambda _said: None
    """Is told what is waited for."""

    def let_pass(self, delivery: Delivery, keys: set[Key], origins: Mapping[str, str]) -> set[Key]:
        """What of a delivery the reviewed plan lets pass.

        A reply may have been approved before its thread was known: by whom it answers, or by the
        thread that was answered to, which `origins` has.
        """
        if self.only is None:
            return keys
        message, approved_as = delivery.message, None
        if isinstance(message.recipients, InOwnThread):
            approved_as = message.recipients.key
        elif isinstance(message.recipients, InThreads):
            approved_as = origins.get(str(delivery.keys[0]))
        is_approved = (message.id, message.revision, approved_as) in self.only
        return keys if approved_as and is_approved else keys & self.only
