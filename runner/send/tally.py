"""What a run did, for as long as it runs, and what it came to: one table of exit codes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from runner.errors import ExitCode
from runner.model import Delivery, Outcome, Rejected, Result
from runner.plan.needs import Needs


class Halt(Enum):
    """Why a run stopped before its end."""

    SURROUNDINGS = "surroundings"
    QUOTA = "quota"
    OUTAGE = "outage"
    REFUSED = "refused"


@dataclass(slots=True)
class Tally:
    """What this run did; deliveries are known by their ids in the manifest."""

    tried: dict[str, Delivery] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    refused: list[tuple[Delivery, str, Rejected]] = field(default_factory=list)
    postponed: list[tuple[Delivery, str]] = field(default_factory=list)
    """What was tried as often as one run may, certainly not sent, and why not."""
    failed_at_s: dict[str, float] = field(default_factory=dict)
    """When each unknown outcome was seen to fail, monotonic."""
    unfiled: list[Outcome] = field(default_factory=list)
    """Why threads could not be put into their folders."""
    last_success_s: float = float("-inf")
    """When the last delivery that was sent had begun, monotonic."""
    changed_words: str | None = None
    """A thread whose words came back otherwise than they were sent."""
    halt: Halt | None = None
    halt_reason: str = ""
    done: int = 0

    @property
    def refused_in_order(self) -> list[tuple[Delivery, str, Rejected]]:
        """By message, row and Toloker, whatever the threads did."""

        def place(each: tuple[Delivery, str, Rejected]) -> tuple[object, ...]:
            message = each[0].message
            return message.id, message.row or 0, each[0].people

        return sorted(self.refused, key=place)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run came to: every delivery's result, what to say loudly, and the exit code."""

    results: tuple[Result, ...]
    refused: tuple[tuple[Delivery, Rejected], ...] = ()
    notes: tuple[str, ...] = ()
    needs: Needs = field(default_factory=Needs)
    """What is left for the next run."""
    exit_code: ExitCode = ExitCode.DONE


def exit_code(halt: Halt | None, *, unknown: bool, later: bool, refused: bool) -> ExitCode:
    """What a CI job should do next; where several hold, the first of them."""
    if halt is Halt.SURROUNDINGS:
        return ExitCode.SURROUNDINGS
    if unknown:
        return ExitCode.UNKNOWN
    if halt in (Halt.QUOTA, Halt.OUTAGE) or later:
        return ExitCode.LATER
    return ExitCode.REFUSED if refused else ExitCode.DONE
