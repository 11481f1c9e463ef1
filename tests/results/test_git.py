"""The door to git, with the real one: what it says, and what stays as it is."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from runner.errors import SurroundingsError
from runner.git import Repository

from .world import PRIVATE, REF, clone, git, new_remote

SECRET = "results-T0KEN-77aa12"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    return new_remote(tmp_path)


@pytest.fixture
def here(bare: Path, tmp_path: Path) -> Path:
    return clone(bare, tmp_path / "here")


def opened(folder: Path, **environ: str) -> Repository:
    return Repository(folder, {**os.environ, **environ})


def everything(folder: Path) -> Mapping[str, bytes]:
    """What belongs to the user of a clone: branches, index, tags, files, FETCH_HEAD."""
    refs = git(folder, "for-each-ref", "--format=%(refname) %(objectname)")
    ours = [line for line in refs.splitlines() if "message-runner" not in line]
    files = [path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts]
    inside = [folder / ".git" / name for name in ("index", "HEAD", "config", "FETCH_HEAD")]
    return {
        "refs": "\n".join(line for line in ours if "refs/remotes/" not in line).encode(),
        **{str(path): path.read_bytes() for path in (*files, *inside) if path.exists()},
    }


def test_a_commit_goes_to_the_remote_and_comes_back(bare: Path, here: Path) -> None:
    before, repository = everything(here), opened(here)
    remote = repository.remote("origin")
    first = repository.commit(None, {"a/0001.jsonl": b"one\n"}, "First [skip ci]")
    assert repository.push(remote, first, REF, 30).code == 0
    second = repository.commit(first, {"b/0001.jsonl": b"two\r\n"}, "Second [skip ci]")
    assert repository.push(remote, second, REF, 30).code == 0

    other = opened(clone(bare, bare.parent / "there"))
    assert other.fetch(other.remote("origin"), f"{REF}:{PRIVATE}", 30).code == 0
    assert other.tip(PRIVATE) == second
    assert other.is_ancestor(first, second)
    assert not other.is_ancestor(second, first)
    entries = list(other.files(second))
    assert [(each.mode, each.path) for each in entries] == [
        ("100644", "a/0001.jsonl"),
        ("100644", "b/0001.jsonl"),
    ]
    assert list(other.blobs((each.id for each in entries), 100)) == [b"one\n", b"two\r\n"]
    assert everything(here) == before


def test_a_push_onto_a_tip_that_moved_is_refused(bare: Path, here: Path) -> None:
    repository = opened(here)
    remote = repository.remote("origin")
    first = repository.commit(None, {"a": b"one"}, "First")
    rival = repository.commit(None, {"a": b"other"}, "Rival")
    assert repository.push(remote, first, REF, 30).code == 0
    answer = repository.push(remote, rival, REF, 30)
    assert answer.code == 1
    assert "[rejected]" in answer.text
    assert git(bare, "rev-parse", REF) == first


def test_what_a_user_has_configured_takes_no_part(bare: Path, here: Path) -> None:
    hooks = here / "hooks"
    hooks.mkdir()
    for name in ("pre-push", "reference-transaction", "post-index-change"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {here}/hooked\nexit 1\n")
        (hooks / name).chmod(0o755)
    (here / ".gitattributes").write_text("* text eol=crlf filter=loud\n")
    (here / ".gitignore").write_text("*\n")
    for name, value in {
        "core.hooksPath": str(hooks),
        "commit.gpgsign": "true",
        "gpg.program": "false",
        "push.gpgSign": "true",
        "core.autocrlf": "true",
        "filter.loud.clean": "tr a-z A-Z",
        "push.followTags": "true",
        "fetch.prune": "true",
        "fetch.fsckObjects": "true",
        "user.useConfigOnly": "true",
    }.items():
        git(here, "config", name, value)
    git(here, "-c", "core.hooksPath=/dev/null", "tag", "-m", "mine", "--no-sign", "mine")
    repository = opened(here, GIT_DIR="/nowhere", GIT_INDEX_FILE="/nowhere", GIT_WORK_TREE="/")
    commit = repository.commit(None, {"a/0001.jsonl": b"one\ntwo\r\n"}, "First")
    remote = repository.remote("origin")
    assert repository.push(remote, commit, REF, 30).code == 0
    assert repository.fetch(remote, f"{REF}:{PRIVATE}", 30).code == 0
    assert not (here / "hooked").exists()
    assert git(bare, "tag") == ""
    assert git(bare, "cat-file", "-p", f"{REF}:a/0001.jsonl") == "one\ntwo"
    assert "message-runner" in git(bare, "log", "-1", "--format=%an %cn", REF)
    assert opened(here).tip(PRIVATE) == commit


@pytest.mark.parametrize("kind", ["shallow", "partial", "detached", "worktree", "submodule"])
def test_every_kind_of_checkout_works(bare: Path, tmp_path: Path, kind: str) -> None:
    git(bare, "config", "uploadpack.allowFilter", "true")
    git(bare, "config", "uploadpack.allowAnySHA1InWant", "true")
    seed = opened(clone(bare, tmp_path / "sender"))
    made = seed.commit(None, {"a/0001.jsonl": b"one\n", "b/0001.jsonl": b"two\n"}, "First")
    assert seed.push(seed.remote("origin"), made, REF, 30).code == 0
    options = {"shallow": ["--depth=1"], "partial": ["--filter=blob:none"]}
    here = clone(bare, tmp_path / "here", *options.get(kind, []))
    if kind == "detached":
        git(here, "checkout", "--quiet", "--detach")
    if kind == "worktree":
        git(here, "worktree", "add", "--quiet", str(tmp_path / "beside"))
        here = tmp_path / "beside"
    if kind == "submodule":
        git(here, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", bare.as_uri())
        here = here / "remote"
    repository = opened(here)
    remote = repository.remote("origin")
    depth = 1 if repository.is_shallow else None
    assert repository.fetch(remote, f"{REF}:{PRIVATE}", 30, depth=depth).code == 0
    repository.fetch_missing(remote, made, 30)
    git(here, "config", "remote.origin.url", "/gone")
    ids = [each.id for each in repository.files(made)]
    assert list(repository.blobs(ids, 100)) == [b"one\n", b"two\n"]
    git(here, "config", "remote.origin.url", bare.as_uri())
    more = repository.commit(made, {"c/0001.jsonl": b"three\n"}, "More")
    assert repository.push(remote, more, REF, 30).code == 0
    assert git(bare, "rev-parse", REF) == more


def test_a_blob_that_is_too_large_is_not_read(here: Path) -> None:
    repository = opened(here)
    made = repository.commit(None, {"a": b"x" * 1000}, "Large")
    ids = [each.id for each in repository.files(made)]
    with pytest.raises(SurroundingsError, match="at most 999 bytes"):
        list(repository.blobs(ids, 999))


def test_no_token_is_in_the_environment_of_a_call_that_needs_none(
    here: Path, tmp_path: Path
) -> None:
    shims = tmp_path / "bin"
    shims.mkdir()
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout
    (shims / "git").write_text(f'#!/bin/sh\nenv >> {tmp_path}/seen\nexec {real.strip()} "$@"\n')
    (shims / "git").chmod(0o755)
    git(here, "config", "remote.origin.url", "https://127.0.0.1:1/x.git")
    path = f"{shims}:{os.environ['PATH']}"
    repository = opened(
        here, PATH=path, TOLOKA_TOKEN=SECRET, TOLOKA_TOKEN_MY=SECRET, RESULTS_TOKEN=SECRET,
        GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="a.b", GIT_CONFIG_VALUE_0="kept",
    )  # fmt: skip
    remote = repository.remote("origin")
    repository.commit(None, {"a": b"one"}, "First")
    assert SECRET not in (tmp_path / "seen").read_text()
    assert repository.config("a.b") == "kept"
    assert SECRET not in repr(remote)
    answer = repository.list_remote(remote, REF, 30)
    assert answer.code not in (0, None)
    seen = (tmp_path / "seen").read_text()
    assert SECRET not in seen
    assert "GIT_CONFIG_KEY_2=http.https://127.0.0.1:1/x.git.extraheader" in seen
    assert "GIT_CONFIG_VALUE_2=Authorization: Basic eC1hY2Nlc3MtdG9rZW46" in seen


def test_the_token_goes_to_https_only(here: Path) -> None:
    with pytest.raises(SurroundingsError, match="https remote only"):
        opened(here, RESULTS_TOKEN=SECRET).remote("origin")


def test_a_password_in_a_url_is_not_told(here: Path) -> None:
    script = here / "ssh"
    script.write_text(f"#!/bin/sh\necho 'no https://me:{SECRET}@example.org/x.git' >&2; exit 1\n")
    script.chmod(0o755)
    git(here, "config", "remote.origin.url", f"ssh://me:{SECRET}@localhost/x.git")
    repository = opened(here, GIT_SSH_COMMAND=str(script))
    answer = repository.list_remote(repository.remote("origin"), REF, 30)
    assert "https://***@example.org" in answer.said
    assert SECRET not in answer.said


def test_each_trouble_is_a_sentence(here: Path, tmp_path: Path) -> None:
    with pytest.raises(SurroundingsError, match="in no git repository"):
        opened(tmp_path)
    with pytest.raises(SurroundingsError, match="there is no git command"):
        opened(here, PATH="/nowhere")
    with pytest.raises(SurroundingsError, match="has no remote 'other'"):
        opened(here).remote("other")
    with pytest.raises(SurroundingsError, match="no name that git takes"):
        opened(here).check_ref("refs/heads/a..b")
    git(here, "config", "remote.origin.pushurl", "/elsewhere")
    with pytest.raises(SurroundingsError, match="one place"):
        opened(here).remote("origin")
    git(here, "config", "--unset", "remote.origin.pushurl")
    git(here, "config", "url.ssh://elsewhere/.pushInsteadOf", "file:///")
    with pytest.raises(SurroundingsError, match="one place"):
        opened(here).remote("origin")
    git(here, "config", "--unset", "url.ssh://elsewhere/.pushInsteadOf")
    with pytest.raises(SurroundingsError, match="has no remote '--upload-pack=x'"):
        opened(here).remote("--upload-pack=x")
    git(here, "config", "remote.origin.mirror", "true")
    with pytest.raises(SurroundingsError, match="is a mirror"):
        opened(here).remote("origin")
    old = tmp_path / "old"
    old.mkdir()
    (old / "git").write_text("#!/bin/sh\necho git version 2.30.9\n")
    (old / "git").chmod(0o755)
    with pytest.raises(SurroundingsError, match=r"2\.31 or later is needed"):
        opened(here, PATH=f"{old}:{os.environ['PATH']}")


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives away")
def test_a_folder_of_somebody_elses_says_what_to_do(here: Path) -> None:
    for path in (here, here / ".git"):
        os.chown(path, 12345, 12345)
    with pytest.raises(SurroundingsError, match=r"safe\.directory"):
        opened(here)


def test_a_call_that_hangs_is_ended_with_its_helpers(here: Path, tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    slow.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nsleep 60\n")
    slow.chmod(slow.stat().st_mode | stat.S_IXUSR)
    git(here, "config", "remote.origin.url", "ssh://nobody@localhost/x.git")
    repository = opened(here, GIT_SSH_COMMAND=str(slow))
    begun_s = time.monotonic()
    answer = repository.list_remote(repository.remote("origin"), REF, 1)
    assert answer.code is None
    assert "too long" in answer.said
    assert time.monotonic() - begun_s < 10
    helper = int((tmp_path / "pid").read_text())
    deadline_s = time.monotonic() + 5
    while time.monotonic() < deadline_s:
        try:
            os.kill(helper, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.kill(helper, signal.SIGKILL)
    pytest.fail("the helper outlived the call")
