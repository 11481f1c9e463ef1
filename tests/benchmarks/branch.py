"""How long a results branch with very many runs takes to be fetched and to be read.

So many runs (--runs), an hour apart, three pushes each: who runs, three intents, what became of
them. It is fetched by a new clone as the command does, and then `status` reads it, each in a
process of its own. What reading costs is held against `git cat-file` of the same files.

    python tests/benchmarks/branch.py
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from measure import COMMAND, Measured, measured, row, whole

from runner import clock
from runner.manifest.chain import path_of, run_folder
from runner.manifest.lines import Event, line_of

REF = "refs/heads/message-results"
TARGET = "https://toloka.example"
BEGUN = datetime(2024, 1, 1, tzinfo=timezone.utc)


def pushes(number: int, at: str) -> Iterator[tuple[Event, ...]]:
    run, deliveries = f"{number:016x}", [f"{number:016x}{each:016x}" for each in range(3)]
    after = {"after": f"{number - 1:016x}"} if number > 1 else {}
    yield (
        {"event": "manifest", "version": 1, "target": TARGET, "account": "ac1", "at": at},
        {"event": "run", "run": run, "version": "1", "number": number, **after, "at": at},
    )
    about = {"message": "bonus/may", "revision": 1, "source": "messages/bonus/may.yaml"}
    about |= {"action": "compose", "recipients_select_type": "DIRECT", "run": run}
    yield tuple(
        {
            "event": "intent",
            "delivery": delivery,
            **about,
            "recipients_ids": [delivery],
            "digest": f"sha256:{delivery * 2}",
            "at": at,
        }
        for delivery in deliveries
    )
    outcomes: list[Event] = [
        {"event": "sent", "delivery": each, "thread_id": each[8:], "created": at, "at": at}
        for each in deliveries
    ]
    yield (*outcomes, {"event": "end", "run": run, "deliveries": 0, "checksum": 0, "at": at})


def commits(runs: int) -> Iterator[bytes]:
    """The history of the branch, as `git fast-import` takes it."""
    for number in range(1, runs + 1):
        moment = BEGUN + timedelta(hours=number)
        folder = run_folder("toloka.example", f"{number:016x}", moment)
        for file, events in enumerate(pushes(number, clock.written(moment)), 1):
            content = b"".join(map(line_of, events))
            yield (
                f"commit {REF}\ncommitter x <x> {int(moment.timestamp())} +0000\ndata 1\nx\n"
                f"M 100644 inline {path_of(folder, file)}\ndata {len(content)}\n"
            ).encode()
            yield content + b"\n"


def git(folder: Path, *args: str, stdin: bytes = b"") -> None:
    subprocess.run(["git", *args], cwd=folder, input=stdin, check=True, capture_output=True)


def measure(folder: Path, runs: int) -> dict[str, Measured]:
    bare, here = folder / "remote.git", folder / "here"
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    git(bare, "fast-import", "--quiet", stdin=b"".join(commits(runs)))
    git(bare, "gc", "--quiet")
    git(folder, "init", "--quiet", str(here))
    git(here, "remote", "add", "origin", bare.as_uri())
    (here / "messages").mkdir()
    (here / "runner.yaml").write_text("results: {branch: message-results}\n")
    status = [*COMMAND, "status", "--target", TARGET]
    files = f"git ls-tree -r {REF} | cut -c13-52 | git cat-file --batch > {os.devnull}"
    return {
        "status of a new clone: fetched and read": measured(status, cwd=here),
        "status again: read": measured(status, cwd=here),
        "git cat-file of the same files": measured(["sh", "-c", files], cwd=bare),
        "--help": measured([*COMMAND, "--help"], cwd=here),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20_000)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), runs)
    print(f"{runs:,} runs, Python {platform.python_version()}, {os.cpu_count()} processors")
    for name, figure in figures.items():
        row(f"{name}, seconds", whole(figure.seconds))
        row("  of them this process's, on the processor", whole(figure.cpu_s))


if __name__ == "__main__":
    main()
