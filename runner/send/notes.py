"""What a run says beside its results: of what a manifest had lost, and of other messages."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from runner.model import Result
from runner.send.tally import Tally


def find_changed(tally: Tally) -> Iterator[str]:
    """Say of the first thread whose words came back as others."""
    if tally.changed_words is not None:
        yield (
            f"warning: Toloka gave thread {tally.changed_words} back with other words than were "
            "sent; see what its Tolokers read, and say with `message-runner resolve` what "
            "became of what is in doubt"
        )


def find_left_unfiled(tally: Tally, count: int) -> Iterator[str]:
    """Say how many threads are not in their folders, and why the first one is not."""
    if count and (tally.unfiled or tally.halt is not None):
        why = getattr(tally.unfiled[0], "detail", "") if tally.unfiled else tally.halt_reason
        yield f"threads that could not be put into their folders: {count}: {why}"


def find_lacks(results: Sequence[Result], adopted: Container[str | None]) -> Iterator[str]:
    """Say of which messages the manifest lacked threads, and what that means for suppression."""
    lacked = {each.message for each in results if each.delivery in adopted}
    for name in sorted(lacked & {each.message for each in results if each.status == "sent"}):
        yield (
            f"{name}: the manifest lacked threads of it, which were adopted; whom a suppression "
            "list had kept from it, if any, was lost too, and they may be among those written to now"
        )
