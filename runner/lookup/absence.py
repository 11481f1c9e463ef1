"""When an unknown outcome that no look has found is believed not to have been sent."""

from __future__ import annotations

from dataclasses import dataclass, field

LOOKS = 2
"""Each of them must show all that is known, the second one twice `settle` after the failure."""
PATIENCE = 10
"""A look that does not show what it should is repeated for so many times `settle`."""


@dataclass(frozen=True, slots=True)
class Failure:
    """When a run saw that an outcome is unknown, monotonic.

    Of what an earlier run left, it is the start of this one, and `is_of_this_run` is false.
    """

    seen_s: float
    is_of_this_run: bool = False

    def is_believed(self, last_success_s: float) -> bool:
        """Whether this run may believe that it was not sent.

        Its own failure, after which nothing that it began was sent, is left for a later run.
        """
        return not self.is_of_this_run or last_success_s > self.seen_s


@dataclass(slots=True)
class Absence:
    """What the looks say so far of one unknown outcome that they did not find.

    `begun_s` is when the first look began, `whole_s` when those began that showed all that is
    known: monotonic.
    """

    failure: Failure
    settle_s: float
    begun_s: float
    looks: int = 0
    whole_s: list[float] = field(default_factory=list)

    @property
    def is_proven(self) -> bool:
        """Whether two looks, `settle` and twice `settle` after the failure, have shown all."""
        first = [begun for begun in self.whole_s if begun >= self._after(1)]
        second = [begun for begun in first if begun >= self._after(LOOKS)]
        return bool(second) and max(second) - min(first) >= self.settle_s / 2

    def next_look_s(self, now_s: float) -> float | None:
        """When to look again, monotonic; None where nothing would come of it, or patience ends."""
        if self.is_proven:
            return None
        for times in range(1, LOOKS + 1):
            if (moment := self._after(times)) > now_s:
                return moment
        again_s = now_s + self.settle_s / 2
        # A look may take longer than all of that, and one of them is never enough.
        is_patient = again_s <= self.begun_s + PATIENCE * self.settle_s
        return again_s if is_patient or self.looks <= LOOKS else None

    def _after(self, times: int) -> float:
        return self.failure.seen_s + times * self.settle_s
