"""The ref that machines share: copies that lag, names that mean harm, commands side by side."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runner.errors import LaterError, SurroundingsError
from runner.manifest.shared import Pushed, SharedRef
from runner.manifest.times import Times

from .world import PRIVATE, REF, clone, git, new_remote

QUICK = Times().scaled(0.02)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    return new_remote(tmp_path)


def shared(folder: Path, ref: str = REF) -> SharedRef:
    return SharedRef(folder, ref, "origin", QUICK)


def push(ref: SharedRef, name: str) -> str:
    commit = ref.repository.commit(ref.fetch(), {name: name.encode()}, name)
    assert ref.push(commit) is Pushed.ACCEPTED
    return commit


def test_a_copy_that_lags_is_asked_again_and_then_refused(bare: Path, tmp_path: Path) -> None:
    ref = shared(clone(bare, tmp_path / "here"))
    older, newer = push(ref, "a"), push(ref, "b")
    git(bare, "update-ref", REF, older)
    begun_s = time.monotonic()
    with pytest.raises(SurroundingsError, match="an older tip"):
        ref.fetch()
    assert time.monotonic() - begun_s > QUICK.behind
    assert ref.seen == newer
    git(bare, "update-ref", REF, newer)
    assert ref.fetch() == newer


@pytest.mark.parametrize("is_shallow", [False, True])
def test_another_history_is_rewritten_and_a_longer_one_is_not(
    bare: Path, tmp_path: Path, is_shallow: bool
) -> None:
    writer = shared(clone(bare, tmp_path / "writer"))
    push(writer, "a")
    push(writer, "b")
    options = ["--depth=1"] if is_shallow else []
    here = clone(bare, tmp_path / "here", *options)
    reader = shared(here)
    first = reader.fetch()
    last = push(writer, "c")
    assert reader.fetch() == last
    assert reader.repository.is_shallow is is_shallow
    assert git(here, "rev-parse", "--is-shallow-repository") == str(is_shallow).lower()
    tree = git(bare, "rev-parse", f"{first}^{{tree}}")
    git(bare, "update-ref", REF, git(bare, "commit-tree", "-m", "other", tree))
    with pytest.raises(SurroundingsError, match="was rewritten"):
        reader.fetch()
    assert reader.seen == last
    reader.accept()
    assert reader.seen == git(bare, "rev-parse", REF)
    git(bare, "update-ref", "-d", REF)
    with pytest.raises(SurroundingsError, match="it is gone"):
        reader.fetch()


def test_commands_in_one_clone_do_not_hurt_each_other(bare: Path, tmp_path: Path) -> None:
    here = clone(bare, tmp_path / "here")
    other = shared(clone(bare, tmp_path / "other"))
    last = push(other, "first")
    for number in range(3):
        last = push(other, str(number))
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: shared(here).fetch(), range(4)))
        assert set(found) == {last}
    assert git(here, "rev-parse", PRIVATE) == last


def test_the_default_branch_is_no_place_for_results(bare: Path, tmp_path: Path) -> None:
    with pytest.raises(SurroundingsError, match="is the default branch"):
        shared(clone(bare, tmp_path / "here"), "refs/heads/main").fetch()


def test_a_full_ref_works_where_branches_are_locked(bare: Path, tmp_path: Path) -> None:
    ref = shared(clone(bare, tmp_path / "here"), "refs/message-results/main")
    assert ref.fetch() is None
    commit = push(ref, "a")
    assert git(bare, "rev-parse", "refs/message-results/main") == commit


def test_what_a_remote_says_of_itself_becomes_a_sentence(bare: Path, tmp_path: Path) -> None:
    here = clone(bare, tmp_path / "here")
    git(here, "config", "remote.origin.url", "https://127.0.0.1:1/x.git")
    with pytest.raises(LaterError, match="cannot be reached"):
        shared(here).fetch()
    ssh = tmp_path / "ssh"
    git(here, "config", "remote.origin.url", "git@host:x.git")
    git(here, "config", "core.sshCommand", str(ssh))
    for said in (
        "git@host: Permission denied (publickey).",
        "ERROR: The project you were looking for could not be found or you don't have permission "
        "to view it.",
    ):
        ssh.write_text(f'#!/bin/sh\necho "{said}" >&2; exit 255\n')
        ssh.chmod(0o755)
        with pytest.raises(SurroundingsError, match="RESULTS_TOKEN"):
            shared(here).fetch()
    sha256 = tmp_path / "other.git"
    git(tmp_path, "init", "--quiet", "--bare", "--object-format=sha256", str(sha256))
    git(here, "config", "remote.origin.url", sha256.as_uri())
    first = shared(here)
    commit = first.repository.commit(None, {"a": b"a"}, "a")
    with pytest.raises(SurroundingsError, match="clone it anew"):
        first.push(commit)


def test_a_remote_that_cannot_write_says_so(bare: Path, tmp_path: Path) -> None:
    ref = shared(clone(bare, tmp_path / "here"))
    commit = ref.repository.commit(None, {"a": b"a"}, "a")
    (bare / "hooks" / "pre-receive").write_text("#!/bin/sh\necho 'No space left' >&2; exit 1\n")
    (bare / "hooks" / "pre-receive").chmod(0o755)
    with pytest.raises(SurroundingsError, match="No space left"):
        ref.push(commit)
