"""What people say and see on a results branch: unlock, stop, being sent, rewritten, not ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import ended, reached

from .world import (
    BEFORE,
    BRANCH,
    REF,
    Fleet,
    git,
    running,
    wait_for,
)


@pytest.mark.dear
def test_unlock_ends_a_run_that_is_alive_and_what_it_sends_is_called_so(fleet: Fleet) -> None:
    one, other = fleet.machine("one"), fleet.machine("other")
    target = ("--target", fleet.emulator.url)
    with running(fleet.start(one, "--rate", "0.5", "--jobs", "1")) as process:
        wait_for(lambda: fleet.composes() >= 1, process)
        plan = other.run("plan", *target, "--results", "results.json")
        assert plan.code == 0, plan.err
        assert "being_sent" in {each["status"] for each in other.results()["deliveries"]}
        waited = other.send(fleet.emulator, "--lock-timeout", "0")
        assert waited.code == 75
        assert "is sending since" in waited.err
        assert f"`message-runner unlock --target {fleet.emulator.url}`" in waited.err
        assert other.run("unlock", *target).code == 2
        said = other.run("unlock", "--yes", *target)
        assert said.code == 0, said.err
        result = ended(process)
    assert result.code == 75, result.err
    assert "unlock" in result.err
    fleet.check_done(other)


@pytest.mark.dear
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
    refused = other.send(fleet.emulator)
    assert refused.code == 2
    assert "the bonus was wrong" in refused.err
    assert "the bonus was wrong" in other.run("plan", *target).err
    assert other.run("stop", "--lift", *target).code == 0
    fleet.check_done(other)


def test_no_branch_for_an_account_that_has_sent_is_refused(fleet: Fleet) -> None:
    target = ("--target", fleet.emulator.url)
    tree = git(fleet.bare, "mktree")
    git(fleet.bare, "update-ref", REF, git(fleet.bare, "commit-tree", "-m", "empty", tree))
    result = fleet.machine("empty").send(fleet.emulator)
    assert (result.code, "unlock --rewritten" in result.err) == (2, True), result
    git(fleet.bare, "update-ref", "-d", REF)
    new = fleet.machine("new")
    # What people say in between begins no manifest.
    assert new.run("stop", "--reason", "wait", *target).code == 0
    assert new.run("stop", "--lift", *target).code == 0
    assert new.run("resolve", "0", "--not-sent", *target).code == 2
    result = new.send(fleet.emulator)
    assert result.code == 2
    assert f"unlock --rewritten --target {fleet.emulator.url}`" in result.err
    assert reached(fleet.emulator) == [BEFORE]
    assert new.run("unlock", "--rewritten", "--yes", *target).code == 0
    assert new.send(fleet.emulator).code == 0


def test_a_branch_that_was_rewritten_is_refused_until_somebody_says_so(fleet: Fleet) -> None:
    one = fleet.machine("one")
    assert one.send(fleet.emulator).code == 0
    root = git(fleet.bare, "rev-list", "--max-parents=0", REF)
    other = git(fleet.bare, "commit-tree", "-m", "other", f"{root}^{{tree}}")
    git(fleet.bare, "update-ref", REF, other)
    target = ("--target", fleet.emulator.url)
    for command in ("status", "plan"):
        result = one.run(command, *target)
        assert result.code == 2
        assert "was rewritten" in result.err
        assert f"unlock --rewritten --target {fleet.emulator.url}`" in result.err
    assert one.send(fleet.emulator).code == 2
    git(fleet.bare, "update-ref", "-d", REF)
    assert "it is gone" in one.send(fleet.emulator).err
    assert one.run("unlock", "--rewritten", "--yes", *target).code == 0
    assert one.run("status", *target).code == 0
    fleet.check_nobody_twice()


EVIL = ("link", "submodule", "name", "folder", "huge", "torn")


def test_what_is_not_ours_on_the_branch_is_refused(fleet: Fleet) -> None:
    target = ("--target", fleet.emulator.url)
    good = git(fleet.bare, "rev-parse", REF)
    for what in EVIL:
        git(fleet.bare, "update-ref", REF, good)
        put_there(fleet.machine(f"evil-{what}").root, what)
        result = fleet.machine(what).run("status", *target)
        assert result.code == 2, result.out
        assert "results branch" in result.err or "at most" in result.err
    assert fleet.machine("sender").send(fleet.emulator).code == 2
    assert reached(fleet.emulator) == [BEFORE]


def put_there(clone: Path, what: str) -> None:
    """Push to the branch what does not belong there."""
    git(clone, "checkout", "--quiet", BRANCH)
    path = git(clone, "ls-files").splitlines()[0]
    folder = path.rpartition("/")[0]
    more = clone / folder / f"{len(list((clone / folder).iterdir())) + 1:04}.jsonl"
    match what:
        case "link":
            more.symlink_to("/etc/passwd")
        case "submodule":
            head = git(clone, "rev-parse", "HEAD")
            listed = f"160000,{head},{more.relative_to(clone).as_posix()}"
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
