"""Git, as somebody with a name; and this program as if it were installed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from installing import ROOT

from runner import __version__


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


def as_installed(folder: Path, source: dict[str, object] | None = None) -> dict[str, str]:
    """Give the environment of this program as pip leaves it: from an index, or by `direct_url.json`."""
    folder.mkdir(exist_ok=True)
    (folder / "runner").symlink_to(ROOT / "runner")
    about = folder / f"message_runner-{__version__}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: message-runner\nVersion: {__version__}\n"
    )
    if source is not None:
        (about / "direct_url.json").write_text(json.dumps(source))
    return {"PYTHONPATH": str(folder)}
