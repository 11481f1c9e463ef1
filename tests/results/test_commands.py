"""The commands on a results branch: several clones, one bare repository, one emulator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import TOKEN, Project, direct, reached, tolokers

from runner.emulator import Emulator

from .world import BRANCH, clone, files_on, git, new_remote

RESULTS = f"results: {{branch: {BRANCH}}}\n"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    return new_remote(tmp_path)


def machine(bare: Path, name: str, *ids: str) -> Project:
    """A clone with one message, and results on the branch."""
    project = Project(clone(bare, bare.parent / name))
    project.write("runner.yaml", RESULTS)
    project.write("messages/thanks.yaml", direct(*(ids or tolokers(3))))
    return project


def lines(bare: Path) -> list[dict[str, object]]:
    """Every line on the branch, in the order of the files' names."""
    return [json.loads(line) for text in files_on(bare).values() for line in text.splitlines()]


def test_what_one_machine_sends_every_other_one_knows(bare: Path, emulator: Emulator) -> None:
    one, other = machine(bare, "one"), machine(bare, "other")
    first = one.send(emulator)
    assert first.code == 0, first.err
    assert reached(emulator) == tolokers(3)
    for project in (one, other):
        status = project.run("status", "--target", emulator.url, "--format", "json")
        assert status.code == 0, status.err
        document = json.loads(status.out)
        assert document["manifest"].startswith(f"{BRANCH} of origin, at ")
        plan = project.run("plan", "--target", emulator.url)
        assert "Nothing was sent" in plan.out
        assert "already sent" in plan.out
    again = other.send(emulator)
    assert again.code == 0, again.err
    assert reached(emulator) == tolokers(3)
    assert not (one.root / "results").exists()
    assert git(one.root, "status", "--porcelain") == "?? messages/\n?? runner.yaml"


def test_a_run_leaves_what_the_contract_says(bare: Path, emulator: Emulator) -> None:
    assert machine(bare, "one").send(emulator).code == 0
    found = lines(bare)
    events = [line["event"] for line in found]
    assert events[:3] == ["manifest", "run", "looked"] or events[:2] == ["manifest", "run"]
    assert events.index("intent") < events.index("sent") < events.index("end")
    assert "[skip ci]" in git(bare, "log", "--format=%s", BRANCH)
    run = next(line for line in found if line["event"] == "run")
    assert run["number"] == 1
    # That the list shows our threads is news, once.
    assert machine(bare, "two").send(emulator).code == 0
    assert "shown" in [line["event"] for line in lines(bare)]
    before = git(bare, "rev-parse", BRANCH)
    assert machine(bare, "three").send(emulator).code == 0
    assert git(bare, "rev-parse", BRANCH) == before


def test_a_laptop_that_is_offline_says_how_old_its_truth_is(bare: Path, emulator: Emulator) -> None:
    one, new = machine(bare, "one"), machine(bare, "new")
    assert one.send(emulator).code == 0
    bare.rename(bare.with_name("away.git"))
    stale = one.run("status", "--target", emulator.url)
    assert stale.code == 0, stale.err
    assert "minutes ago" in stale.out
    unknown = new.run("status", "--target", emulator.url)
    assert unknown.code == 2
    assert "what was sent is not known" in unknown.err
    plan = new.run("plan", "--target", emulator.url)
    assert plan.code == 0
    assert "what was sent is not known" in plan.err
    sent = new.send(emulator)
    assert sent.code == 75
    assert reached(emulator) == tolokers(3)
    assert TOKEN not in sent.err
