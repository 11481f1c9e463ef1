"""What a run is asked to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from runner.model import Message
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
