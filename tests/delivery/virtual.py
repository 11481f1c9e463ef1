"""A Toloka in virtual time: several clocks, a list that lags, requests that are done late.

It stands where the client stands; the run and the manifest are the real ones. A minute takes no
time here, so that thousands of lives can be played with the waits that a real run has.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from runner import clock
from runner.model import Delivery, Direct, Outcome, Post, Sent, Texts, Thread, Unknown
from runner.toloka.pace import Pace

START = datetime(2026, 11, 22, tzinfo=timezone.utc)
ACCOUNT = "acc"


class Died(BaseException):
    """The run is no more, in the middle of whatever it was at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nature:
    """What a world is like; times in seconds. `change` is what comes back of a text."""

    clocks: tuple[float, ...] = (0.0,)
    lag: float = 0.0
    keeps_order: bool = True
    replicas: int = 1
    late: float = 0.0
    page: int = 1000
    change: Callable[[Thread], Thread] = lambda thread: thread


@dataclass(slots=True)
class Held:
    """A thread as this world holds it: from when on each replica shows it, and who made it."""

    thread: Thread
    created: datetime
    shown_at: list[float]
    made_by: str
    raw: tuple[str, str, bool]


@dataclass
class VirtualToloka:
    """The wire of a run, and all that happens behind it."""

    nature: Nature
    chance: random.Random
    now_s: float = 0.0
    held: list[Held] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    maker: str = "us"
    dies_at: int | None = None
    manifest: Path | None = None
    left: bytes = b""
    server_ahead_s: float = 0.0
    _late: list[tuple[float, Delivery, str]] = field(default_factory=list)
    _last_shown_s: float = 0.0
    _steps: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # Time

    def tick(self, seconds: float) -> None:
        """Let time pass; what was asked for and given up is done meanwhile."""
        until = self.now_s + seconds
        for moment, delivery, maker in sorted(self._late, key=lambda each: each[0]):
            if moment <= until:
                self.now_s = moment
                self._compose(delivery, maker)
        self._late = [each for each in self._late if each[0] > until]
        self.now_s = until

    def step(self) -> None:
        """One more thing that a run does: it may be the last one."""
        with self._lock:
            self._steps += 1
            if self.dies_at is not None and self._steps >= self.dies_at:
                if self.manifest is not None and self.manifest.exists() and not self.left:
                    self.left = self.manifest.read_bytes()
                raise Died

    def begin_run(self, manifest: Path, faults: Sequence[str], dies_at: int | None) -> None:
        self.manifest, self.faults, self.dies_at = manifest, list(faults), dies_at
        self._steps, self.left = 0, b""

    # What a run asks of it

    def deliver(self, delivery: Delivery) -> Outcome:
        with self._lock:
            self.step()
            self.tick(1)
            fault = self.faults.pop(0) if self.faults else "ok"
            if fault == "late":
                moment = self.now_s + self.chance.uniform(1, self.nature.late)
                self._late.append((moment, delivery, self.maker))
            thread = self._compose(delivery, self.maker) if fault in ("ok", "lost") else None
            self.step()
            if thread is None or fault == "lost":
                return Unknown("HTTP 500")
            return Sent(self.nature.change(thread))

    def add_to_folders(self, thread_id: str, folders: Sequence[str]) -> Outcome:
        raise AssertionError((thread_id, folders))

    def threads(self, query: Mapping[str, str]) -> Iterator[Thread]:
        begin = clock.read(query["created_gte"]) if "created_gte" in query else START.min
        begin = begin.replace(tzinfo=timezone.utc)
        low, high = query.get("id_gte", ""), query.get("id_lte", "g")
        last, has_more = "", True
        while has_more:
            with self._lock:
                self.step()
                self.tick(1)
                shown = [
                    each
                    for each in self._shown()
                    if each.created >= begin and low <= each.thread.id <= high
                ]
                after = [each.thread for each in shown if each.thread.id > last]
                page, has_more = after[: self.nature.page], len(after) > self.nature.page
            yield from map(self.nature.change, page)
            last = page[-1].id if page else last

    def newest(self) -> Sequence[Thread]:
        with self._lock:
            self.step()
            self.tick(1)
            return [each.thread for each in self._shown()[-300:]]

    def _shown(self) -> list[Held]:
        """What a replica shows now. What was shown once goes on being shown, everywhere."""
        replica = self.chance.randrange(self.nature.replicas)
        shown = [each for each in self.held if each.shown_at[replica] <= self.now_s]
        for each in shown:
            each.shown_at = [min(moment, self.now_s) for moment in each.shown_at]
        return sorted(shown, key=lambda each: each.thread.id)

    # What happens there

    def put(
        self, topic: Texts, text: Texts, answerable: bool, ids: Sequence[str], made_by: str
    ) -> Thread:
        """Make a thread; a Toloker's has no select type and its one Toloker as its sender."""
        ahead_s = self.chance.choice(self.nature.clocks)
        created = START + timedelta(seconds=self.now_s + ahead_s)
        at = created.replace(tzinfo=None).isoformat(timespec="milliseconds")
        is_ours = made_by != "toloker"
        thread = Thread(
            id=f"{int(created.timestamp()):08x}{len(self.held):016x}",
            created=at,
            topic=topic,
            posts=(Post(text=text, created=at, sender=None, is_ours=is_ours),),
            answerable=answerable,
            select_type="DIRECT" if is_ours else None,
            recipients_ids=tuple(ids) if is_ours else (),
            tolokers=tuple(ids),
            account=ACCOUNT,
        )
        shown_s = [self._shown_s() for _ in range(self.nature.replicas)]
        raw = (topic["EN"], text["EN"], answerable)
        self.held.append(Held(thread, created, shown_s, made_by, raw))
        return thread

    def fill(self, count: int = 300) -> None:
        """Let Tolokers write: a page full of threads that are no matter."""
        words = {"EN": "When is it due?"}
        for number in range(count):
            self.put(words, words, True, [f"x{number}"], "toloker")

    def _compose(self, delivery: Delivery, maker: str) -> Thread:
        message = delivery.message
        assert isinstance(delivery.recipients, Direct)
        return self.put(message.topic, message.text, message.answerable, delivery.people, maker)

    def _shown_s(self) -> float:
        lag_s = self.chance.uniform(0, self.nature.lag)
        moment = self.now_s + lag_s
        if self.nature.keeps_order:
            moment = max(moment, self._last_shown_s)
        self._last_shown_s = max(moment, self._last_shown_s)
        return moment


class VirtualPace(Pace):
    """Waits in virtual time."""

    def __init__(self, toloka: VirtualToloka) -> None:
        super().__init__(285.0)
        self._toloka = toloka

    def __call__(self) -> None:
        """Nothing has to wait for its turn."""

    def pause(self, seconds: float) -> None:
        self._toloka.tick(seconds)

    def now_s(self) -> float:
        return self._toloka.now_s

    def wait_until(self, moment_s: float) -> None:
        self._toloka.step()
        self._toloka.tick(max(0.0, moment_s - self._toloka.now_s))


def with_text(change: Callable[[str], str]) -> Callable[[Thread], Thread]:
    """Give texts back otherwise."""

    def changed(thread: Thread) -> Thread:
        post = thread.posts[0]
        texts = {language: change(text) for language, text in post.text.items()}
        return replace(thread, posts=(replace(post, text=texts), *thread.posts[1:]))

    return changed
