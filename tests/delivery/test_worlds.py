"""The rules of evidence, played: random lives in worlds that are each wrong in their own way.

Nobody gets the words of one message and revision twice, whatever happens; and after three quiet
runs everybody has them, or is told of. Runs, manifests and rules are the real ones.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from support import IS_NIGHTLY, IS_THOROUGH

from runner.manifest.file import open_file, read_history
from runner.manifest.manifest import Manifest
from runner.model import Direct, Message
from runner.send.options import RunOptions
from runner.send.run import Run
from runner.send.tally import RunResult
from runner.send.trial import carry_out_trial, trial_messages
from runner.toloka.digest import digest_of

from .virtual import Died, Nature, VirtualPace, VirtualToloka, with_text

LIVES = 1_500 if IS_THOROUGH else 6 if IS_NIGHTLY else 2
SETTLE_S = 30.0
PEOPLE = "ABCDE"
TARGET = "https://toloka.example"

NATURES: dict[str, tuple[Nature, tuple[str, ...]]] = {
    "ideal": (Nature(), ()),
    "two clocks": (Nature(clocks=(-300, 300, 0), page=200), ()),
    "lag": (Nature(lag=20), ()),
    "lag, pages": (Nature(lag=20, page=200), ()),
    "lag, any order": (Nature(lag=20, keeps_order=False), ()),
    "lag, replicas": (Nature(lag=20, replicas=2), ()),
    "late": (Nature(late=20), ("late",)),
    "late, lag": (Nature(late=20, lag=20), ("late",)),
    "entities": (Nature(change=with_text(lambda text: text.replace("&", "&amp;"))), ()),
    "cut": (Nature(change=with_text(lambda text: text[:-1])), ()),
    "answerable": (Nature(change=lambda thread: replace(thread, answerable=True)), ()),
    "lost": (Nature(), ("lose",)),
    "lost, lag": (Nature(lag=20), ("lose",)),
    "lost, clocks": (Nature(clocks=(-300, 300)), ("lose",)),
    "tail": (Nature(clocks=(-300, 300)), ("tail",)),
    "tail, lag": (Nature(lag=20), ("tail",)),
    "hole": (Nature(), ("hole",)),
    "hole, tail, lag": (Nature(lag=20), ("hole", "tail")),
    "lost, entities": (
        Nature(change=with_text(lambda text: text.replace("&", "&amp;"))),
        ("lose",),
    ),
    "twins": (Nature(), ("twins",)),
    "twins, lost": (Nature(), ("twins", "lose")),
    "by hand": (Nature(), ("hand", "twins")),
    "tests": (Nature(), ("test", "hand")),
    "tests, lost": (Nature(), ("test", "lose")),
    "all at once": (
        Nature(clocks=(-250, 250), lag=20, late=8, page=200),
        ("late", "hand", "test"),
    ),
}


def message(name: str, ids: Sequence[str], topic: str, text: str, answerable: bool) -> Message:
    content = {"topic": {"EN": topic}, "text": {"EN": text}, "answerable": answerable}
    digest = digest_of(**content, select_type="DIRECT", recipients_filter=None)  # type: ignore[arg-type]
    return Message(
        id=name, revision=1, source=f"{name}.yaml", recipients=Direct(tuple(ids)), digest=digest,
        **content,  # type: ignore[arg-type]
    )  # fmt: skip


@dataclass
class Life:
    """What is wanted, what happened, and a world to look at in the end."""

    toloka: VirtualToloka
    path: Path
    messages: list[Message]
    tests: Counter[tuple[str, tuple[str, str, bool]]] = field(default_factory=Counter)
    runs: int = 0

    def run(
        self,
        faults: Sequence[str] = (),
        dies_at: int | None = None,
        names: Sequence[str] | None = None,
        test_to: str | None = None,
    ) -> RunResult | None:
        self.runs += 1
        self.toloka.begin_run(self.path, faults, dies_at)
        pace = VirtualPace(self.toloka)
        mine = [each for each in self.messages if names is None or each.id in names]
        try:
            with open_file(self.path, TARGET, {"run": f"run-{self.runs}"}) as manifest:
                if test_to is not None:
                    return self._test(manifest, pace, mine, test_to)
                options = RunOptions(
                    messages=tuple(mine),
                    jobs=1,
                    settle_s=SETTLE_S,
                    catches_up=True,
                    other_messages=lambda: [each for each in self.messages if each not in mine],
                )
                return Run(options, manifest, self.toloka, pace).carry_out()
        except Died:
            self.path.write_bytes(self.toloka.left)
            return None

    def _test(
        self, manifest: Manifest, pace: VirtualPace, mine: Sequence[Message], test_to: str
    ) -> RunResult:
        deliveries = trial_messages(mine, test_to)
        for each in mine:
            self.tests[test_to, raw(each)] += 1
        return carry_out_trial(
            deliveries, manifest, self.toloka, pace, jobs=1, on_progress=lambda _done, _total: None
        )

    def lose(self, how: str, chance: random.Random) -> None:
        lines = self.path.read_bytes().splitlines(keepends=True) if self.path.exists() else []
        if how == "lose" or len(lines) < 3:
            with suppress(FileNotFoundError):
                self.path.unlink()
            return
        first = (
            chance.randint(2, len(lines)) if how == "hole" else len(lines) - chance.randint(1, 9)
        )
        last = first + chance.randint(1, 4) if how == "hole" else len(lines)
        self.path.write_bytes(b"".join([*lines[: max(first, 1)], *lines[last:]]))


def raw(message: Message) -> tuple[str, str, bool]:
    return message.topic["EN"], message.text["EN"], message.answerable


def begin(chance: random.Random, nature: Nature, kinds: Sequence[str], path: Path) -> Life:
    toloka = VirtualToloka(nature, chance)
    toloka.fill(320)
    has_twins = "twins" in kinds
    messages = []
    for number in range(chance.randint(1, 3)):
        text = chance.choice(["hi", "a & b"]) + ("" if has_twins else str(number))
        topic = "news" if has_twins else f"news {number}"
        ids = chance.sample(PEOPLE, chance.randint(1, 4))
        messages.append(message(f"m{number}", ids, topic, text, chance.random() < 0.5))
    return Life(toloka, path, messages)


def live(life: Life, chance: random.Random, kinds: Sequence[str]) -> list[str]:
    """A few events; gives them for whoever has to understand what went wrong."""
    told = []
    rules = ["run"] * 6 + ["wait"] + [each for each in kinds if each not in ("late", "twins")] * 2
    for _ in range(chance.randint(2, 6)):
        rule = chance.choice(rules)
        told.append(rule)
        if rule in ("run", "test"):
            told.append(str(run_somehow(life, chance, kinds, is_test=rule == "test")))
        elif rule == "wait":
            life.toloka.tick(chance.choice([5, 60, 700, 5000]))
            life.toloka.fill()
        elif rule == "hand":
            one = chance.choice(life.messages)
            words = chance.choice([one.text, {"EN": "other words"}])
            ids = chance.choice(["A", "B", "AB"])
            life.toloka.put(one.topic, words, one.answerable, ids, "hand")
            life.toloka.tick(1)
        else:
            life.lose(rule, chance)
    return told


def run_somehow(
    life: Life, chance: random.Random, kinds: Sequence[str], *, is_test: bool
) -> dict[str, Any]:
    faults = ["ok", "ok", "lost", "no", *(["late"] if "late" in kinds else [])]
    how: dict[str, Any] = {"faults": [chance.choice(faults) for _ in range(chance.randint(0, 6))]}
    if chance.random() < 0.3:
        how["dies_at"] = chance.randint(1, 30)
    if chance.random() < 0.3:
        how["names"] = [chance.choice(life.messages).id]
    if is_test:
        how["test_to"] = chance.choice("AB")
    life.run(**how)
    return how


def doubled(life: Life) -> dict[tuple[str, tuple[str, str, bool]], int]:
    """Who has more threads of some words than there are messages and tests with them for him."""
    wanted = Counter((who, raw(each)) for each in life.messages for who in people(each))
    wanted += life.tests
    had = Counter(
        (who, held.raw)
        for held in life.toloka.held
        if held.made_by == "us"
        for who in held.thread.recipients_ids
    )
    return {what: count for what, count in had.items() if count > wanted[what]}


def lost(life: Life, last: RunResult) -> set[tuple[str, str]]:
    """Who has fewer, and is not told of."""
    told = {
        (each.message, who)
        for each in last.results
        if each.status in ("unknown", "in_doubt")
        for who in each.recipients_ids or ()
    }
    had = Counter(
        (who, held.raw)
        for held in life.toloka.held
        if held.made_by in ("us", "hand")
        for who in held.thread.recipients_ids
    )
    need = Counter((who, raw(each)) for each in life.messages for who in people(each))
    short = {what for what, count in need.items() if had[what] < count}
    told_words = {
        (who, raw(each)) for each in life.messages for who in people(each) if (each.id, who) in told
    }
    return {(who, words[1]) for who, words in short - told_words}


def people(message: Message) -> tuple[str, ...]:
    assert isinstance(message.recipients, Direct)
    return message.recipients.ids


def lives(name: str) -> Iterator[tuple[str, random.Random]]:
    for number in range(LIVES):
        yield f"{name} {number}", random.Random(f"{name} {number}")


@pytest.mark.some(2)
@pytest.mark.timeout(3600 if IS_THOROUGH else 300)
@pytest.mark.parametrize("name", NATURES)
def test_nobody_is_written_to_twice_and_nobody_is_lost(tmp_path: Path, name: str) -> None:
    nature, kinds = NATURES[name]
    for title, chance in lives(name):
        life = begin(chance, nature, kinds, tmp_path / f"{title}.jsonl")
        events = live(life, chance, kinds)
        last = None
        for _ in range(3):
            life.toloka.tick(86_400)
            life.toloka.fill()
            last = life.run()
        assert last is not None
        assert not doubled(life), (title, events, doubled(life))
        # A test is of some message, and whose thread it is may not be known once it is lost.
        if not {"lose", "tail", "hole"} & {*kinds} or "test" not in kinds:
            assert not lost(life, last), (title, events, lost(life, last))
        assert read_history(life.path, TARGET).target == TARGET


def test_the_count_sees_a_doubled_message(tmp_path: Path) -> None:
    # Were it blind, every life here would go well.
    life = begin(random.Random(1), Nature(), (), tmp_path / "m.jsonl")
    assert life.run() is not None
    one = life.messages[0]
    life.toloka.put(one.topic, one.text, one.answerable, people(one), "us")
    assert doubled(life)
    life.toloka.held = [each for each in life.toloka.held if each.made_by == "toloker"]
    life.toloka.fill(1)
    last = life.run()
    assert last is not None
    assert lost(life, last)
