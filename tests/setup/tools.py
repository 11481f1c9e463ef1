"""Git, as somebody with a name."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def git(*args: str | Path, cwd: Path) -> str:
    """Run git as somebody with a name, who has configured nothing else."""
    person = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    done = subprocess.run(
        ["git", *person, "-c", "init.defaultBranch=main", *map(str, args)],
        cwd=cwd,
        env={**os.environ, "GIT_CONFIG_NOSYSTEM": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
