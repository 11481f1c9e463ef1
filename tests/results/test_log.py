"""Two runs on one branch, step by step: the turn, the lease, what is overtaken, what is too long."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from runner.errors import LaterError, MovedError
from runner.manifest.attempts import NotFound
from runner.manifest.branch import LEFT, BranchLog
from runner.manifest.lease import Lease
from runner.manifest.lines import line_of, new_event
from runner.manifest.manifest import Manifest
from runner.manifest.shared import SharedRef
from runner.manifest.times import Times, now_s
from runner.manifest.turn import Shared, open_branch, push_left, read_branch
from runner.model import Delivery, Direct, Message, Sent, Thread
from runner.toloka.anchor import BEGINNING, Anchor
from runner.toloka.pace import Stopped

from .world import REF, clone, files_on, new_remote

TARGET = "https://toloka.example"
TIMES = Times().scaled(0.08)


def message(*ids: str) -> Message:
    return Message(
        id="m",
        revision=1,
        source="messages/m.yaml",
        topic={"EN": "Hi"},
        text={"EN": "Hello"},
        recipients=Direct(ids),
        answerable=True,
        digest="sha256:1",
    )


def delivery(toloker: str) -> Delivery:
    return Delivery(message=message(toloker), recipients=Direct((toloker,)))


class Machine:
    """A clone, and the runs that it opens."""

    def __init__(self, bare: Path, name: str, stack: ExitStack, times: Times = TIMES) -> None:
        self.folder = clone(bare, bare.parent / name)
        self.shared = Shared(
            ref=SharedRef(self.folder, REF, "origin", times),
            host="toloka.example",
            target=TARGET,
            times=times,
            deadline_s=now_s() + 60,
        )
        self.lease = Lease(times, threading.Event(), kills=False)
        self._stack = stack
        self._run = f"{sum(name.encode()):016x}"

    def open(self, *, at_once: bool = True) -> tuple[Manifest, BranchLog]:
        run = {"run": self._run, "version": "0", "actor": self.folder.name}
        opened = open_branch(self.shared, run, self.lease, at_once=at_once)
        return self._stack.enter_context(opened)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    return new_remote(tmp_path)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as runs:
        yield runs


@contextmanager
def beating(log: BranchLog) -> Iterator[None]:
    """Give signs of life meanwhile."""
    is_over = threading.Event()

    def beat() -> None:
        while not is_over.wait(0.02):
            log.beat()

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@pytest.mark.dear
def test_what_a_run_that_was_taken_over_tells_late_is_not_done_again(
    bare: Path, stack: ExitStack
) -> None:
    one, other = Machine(bare, "one", stack), Machine(bare, "other", stack)
    first, first_log = one.open()
    mine, lost = delivery("t1"), delivery("t2")
    first.claim([mine, lost])
    claimed = first.intend(mine)
    assert one.lease.enter()
    one.lease.leave()

    second, second_log = other.open()  # The first one is silent for too long meanwhile.
    assert not one.lease.enter()
    (unknown, untried) = second.history().open
    assert (unknown.delivery, untried.recipients_ids) == (claimed, ("t2",))
    second.settle(claimed, NotFound(), "looked")
    again = delivery("t1")
    with beating(second_log):
        second.claim([again])
        first.settle(claimed, Sent(Thread(id="63c15866757a4a1adad1d632")))
        time.sleep(TIMES.alive)
        first_log.beat()
        assert isinstance(first.log.lost, LaterError)
        with pytest.raises(LaterError):
            first.claim([delivery("t3")])
        first.end()
        first_log.close()
        time.sleep(3 * TIMES.alive)
        with pytest.raises(Stopped):
            second.intend(again)
    second.release()
    assert second.history().reached(("m", 1))["t1"].was_sent
    assert second.log.lost is None


def test_commands_at_once_push_what_was_left_and_none_stumbles(
    bare: Path, stack: ExitStack
) -> None:
    one = Machine(bare, "one", stack)
    manifest, log = one.open()
    manifest.end()
    log.close()
    left = one.shared.ref.folder / LEFT / one.shared.host / f"{log.folder.rsplit('/', 1)[-1]}.jsonl"
    left.parent.mkdir(parents=True)
    left.write_bytes(line_of(new_event("sent", delivery="d", thread_id="t")))
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(push_left, [one.shared] * 3))
    assert not left.exists()
    assert any('"sent"' in text for text in files_on(bare).values())


def test_of_two_that_begin_at_once_one_has_to_read_again(bare: Path, stack: ExitStack) -> None:
    one, other = Machine(bare, "one", stack), Machine(bare, "other", stack)
    first, _ = one.open(at_once=False)
    second, second_log = other.open(at_once=False)
    first.note_anchor(BEGINNING)
    with pytest.raises(MovedError):
        second.note_anchor(BEGINNING)
    assert second_log.lost is not None


def test_who_waits_is_told_and_gives_up_in_time(bare: Path, stack: ExitStack) -> None:
    one, other = Machine(bare, "one", stack), Machine(bare, "other", stack)
    _, log = one.open()
    told: list[str] = []
    other.shared = replace(other.shared, deadline_s=now_s() + 1, tell=told.append)
    with beating(log), pytest.raises(LaterError, match=r"run \w+ of one is sending since"):
        other.open()
    assert told[0].startswith("waiting: run ")


@pytest.mark.dear
def test_a_lease_counts_from_the_start_of_the_last_accepted_push(
    bare: Path, stack: ExitStack
) -> None:
    one = Machine(bare, "one", stack)
    assert not one.lease.enter()
    _, log = one.open()
    with beating(log):
        time.sleep(1.3 * TIMES.lease)
        assert one.lease.enter()
        one.lease.leave()
    time.sleep(1.1 * TIMES.lease)
    assert not one.lease.enter()
    log.beat()
    assert one.lease.enter()
    one.lease.leave()
    log.close()
    assert not one.lease.enter()


@pytest.mark.dear
def test_no_file_is_longer_than_others_take(bare: Path, stack: ExitStack) -> None:
    one = Machine(bare, "one", stack, Times())
    manifest, log = one.open()
    rest = [f"{number:024x}:{number:08x}" for number in range(60_000)]
    people = [f"{number:032x}" for number in range(60_000)]
    with beating(log):
        manifest.catch_up(cursor=Anchor(BEGINNING.created), rest=rest)
        manifest.leave_out(message("t"), people)
        manifest.claim([delivery(toloker) for toloker in people[:5_000]])
        manifest.release()
    manifest.end()
    log.close()
    assert manifest.log.lost is None
    files = files_on(bare)
    assert max(len(text) for text in files.values()) <= 1_000_000
    assert len(files) > 3
    history = read_branch(Machine(bare, "other", stack).shared).history
    assert len(list(history.rest)) == 60_000
    assert len(history.suppressed["m", 1]) == 60_000
    assert [each.recipients_ids for each in history.attempts] == [(it,) for it in people[:5_000]]
    assert {each.outcome for each in history.attempts} == {NotFound()}
    assert history.is_whole
    lines = [json.loads(line) for text in files.values() for line in text.splitlines()]
    claims = [line for line in lines if line["event"] == "claim"]
    assert sum(len(line["rows"]) for line in claims) == 5_000
    assert len(json.dumps(claims)) < 5_000 * 56
    # The words are there before whoever is written to, once.
    kinds = [line["event"] for line in lines]
    assert kinds.count("content") == 1
    assert kinds.index("content") < kinds.index("claim")
    assert history.contents["sha256:1"].text == {"EN": "Hello"}
