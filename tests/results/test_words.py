"""What people say and see on a results branch: unlock, stop, being sent, rewritten, not ours."""

from __future__ import annotations

import pytest
from support import Project, all_but, ended, reached

from .world import (
    BEFORE,
    BRANCH,
    REF,
    Fleet,
    git,
    running,
    wait_for,
)


def test_unlock_ends_a_run_that_is_alive(fleet: Fleet) -> None:
    one, other = fleet.machine("one"), fleet.machine("other")
    with running(fleet.start(one, "--rate", "0.5", "--jobs", "1")) as process:
        wait_for(lambda: fleet.composes() >= 1, process)
        asked = other.run("unlock", "--target", fleet.emulator.url)
        assert asked.code == 2
        said = other.run("unlock", "--yes", "--target", fleet.emulator.url)
        assert said.code == 0, said.err
        result = ended(process)
    assert result.code == 75, result.err
    assert "unlock" in result.err
    fleet.check_done(other)


def test_stop_ends_every_run_until_it_is_lifted(fleet: Fleet) -> None:
    one, other = fleet.machine("one"), fleet.machine("other")
    target = ("--target", fleet.emulator.url)
    with running(fleet.start(one, "--rate", "0.5", "--jobs", "1")) as process:
        wait_for(lambda: fleet.composes() >= 1, process)
        said = other.run("stop", "--reason", "the bonus was wrong", *target)
        assert said.code == 0, said.err
        assert "cannot be called back" in said.out
        result = ended(process)
    assert result.code == 75, result.err
    assert "the bonus was wrong" in result.err
    refused = fleet.send(other)
    assert refused.code == 2
    assert "the bonus was wrong" in refused.err
    assert "the bonus was wrong" in other.run("plan", *target).err
    assert other.run("stop", "--lift", *target).code == 0
    fleet.check_done(other)


def test_what_is_being_sent_is_called_so(fleet: Fleet) -> None:
    one, other = fleet.machine("one"), fleet.machine("other")
    with running(fleet.start(one, "--rate", "0.5", "--jobs", "1")) as process:
        wait_for(lambda: fleet.composes() >= 1, process)
        plan = other.run("plan", "--target", fleet.emulator.url, "--results", "results.json")
        assert plan.code == 0, plan.err
        statuses = {each["status"] for each in other.results()["deliveries"]}
        assert statuses == {"being_sent"}
    result = fleet.send(other, "--lock-timeout", "0")
    assert result.code == 75
    assert "is sending since" in result.err


def test_no_branch_for_an_account_that_has_sent_is_refused(fleet: Fleet) -> None:
    git(fleet.bare, "update-ref", "-d", REF)
    result = fleet.send(fleet.machine("new"))
    assert result.code == 2
    assert "unlock --rewritten" in result.err
    assert reached(fleet.emulator) == [BEFORE]


def test_a_branch_that_was_rewritten_is_refused_until_somebody_says_so(fleet: Fleet) -> None:
    one = fleet.machine("one")
    assert fleet.send(one).code == 0
    root = git(fleet.bare, "rev-list", "--max-parents=0", REF)
    other = git(fleet.bare, "commit-tree", "-m", "other", f"{root}^{{tree}}")
    git(fleet.bare, "update-ref", REF, other)
    target = ("--target", fleet.emulator.url)
    for command in ("status", "plan"):
        result = one.run(command, *target)
        assert result.code == 2
        assert "was rewritten" in result.err
    assert fleet.send(one).code == 2
    git(fleet.bare, "update-ref", "-d", REF)
    assert "it is gone" in fleet.send(one).err
    assert one.run("unlock", "--rewritten", "--yes", *target).code == 0
    assert one.run("status", *target).code == 0
    fleet.check_nobody_twice()


EVIL = ("link", "submodule", "name", "folder", "huge", "torn")


@pytest.mark.parametrize("what", all_but(["name", "folder"], EVIL))
def test_what_is_not_ours_on_the_branch_is_refused(fleet: Fleet, what: str) -> None:
    one: Project = fleet.machine("one")
    assert fleet.send(one).code == 0
    path = next(iter(git(fleet.bare, "ls-tree", "-r", "--name-only", REF).splitlines()))
    clone, folder = fleet.machine("evil").root, path.rpartition("/")[0]
    git(clone, "checkout", "--quiet", BRANCH)
    more = clone / folder / f"{len(list((clone / folder).iterdir())) + 1:04}.jsonl"
    match what:
        case "link":
            more.symlink_to("/etc/passwd")
        case "submodule":
            head = git(clone, "rev-parse", "HEAD")
            listed = f"160000,{head},{more.relative_to(clone)}"
            git(clone, "update-index", "--add", "--cacheinfo", listed)
        case "name":
            (clone / "notes.txt").write_text("mine\n")
        case "folder":
            (clone / folder / "x").mkdir()
            (clone / folder / "x" / "0001.jsonl").write_text("{}\n")
        case "huge":
            more.write_bytes(b"x" * 5_000_000)
        case _:
            more.write_text('{"event":"alive"')
    if what != "submodule":
        git(clone, "add", "--", folder, *(["notes.txt"] if what == "name" else []))
    git(clone, "commit", "--quiet", "-m", "evil")
    git(clone, "push", "--quiet", "origin", BRANCH)
    result = one.run("status", "--target", fleet.emulator.url)
    assert result.code == 2, result.out
    assert "results branch" in result.err or "at most" in result.err
    assert fleet.send(one).code == 2
