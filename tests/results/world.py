"""A bare repository for a remote, and clones of it: the machines that share results."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

BRANCH = "message-results"
REF = f"refs/heads/{BRANCH}"
PRIVATE = f"refs/message-runner/{BRANCH}"
_WHO = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")


def git(folder: Path, *args: str, stdin: bytes | None = None) -> str:
    """Call git as a person would; gives what it printed."""
    done = subprocess.run(
        ["git", *_WHO, *args],
        cwd=folder,
        input=stdin,
        env={**os.environ, "GIT_CONFIG_NOSYSTEM": "1"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def new_remote(folder: Path) -> Path:
    """Make a bare repository whose default branch has one commit."""
    bare, seed = folder / "remote.git", folder / "seed"
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    git(folder, "init", "--quiet", "--initial-branch=main", str(seed))
    (seed / "README").write_text("Messages.\n")
    git(seed, "add", ".")
    git(seed, "commit", "--quiet", "-m", "Begin")
    git(seed, "push", "--quiet", str(bare), "main")
    return bare


def clone(bare: Path, folder: Path, *args: str) -> Path:
    """Clone it, as another machine would."""
    git(bare.parent, "clone", "--quiet", *args, bare.as_uri(), str(folder))
    return folder


def files_on(bare: Path, ref: str = REF) -> dict[str, str]:
    """What a branch holds, by path."""
    names = git(bare, "ls-tree", "-r", "--name-only", ref).splitlines()
    return {name: git(bare, "show", f"{ref}:{name}") for name in names}
