"""What it costs to look at an account that is full of threads of others.

An account with so many threads (--threads) that are not ours, to an emulator without latency: a
run without a manifest, and the next one, with nothing new. Then unknown outcomes (--unknown) in an
account with a twentieth of them: a run that finds what became of each.

    python tests/benchmarks/evidence.py
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import urllib.request
from pathlib import Path

from measure import COMMAND, Measured, emulator, measured, row, whole

SPEC = """\
topic: {EN: "Thank you!"}
text: {EN: "Amazing job! We have just trained our first model."}
recipients_select_type: DIRECT
recipients_ids: [%s]
"""
STEP = 200_000
"""Threads that are seeded with one call."""
TOKEN = "no-secret-at-all-here"


def control(url: str, name: str, body: object) -> None:
    request = urllib.request.Request(
        f"{url}/emulator/{name}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=600):
        pass


def lists(url: str) -> int:
    """How often the list was asked."""
    with urllib.request.urlopen(f"{url}/emulator/stats", timeout=60) as answer:
        calls: dict[str, int] = json.load(answer)["calls"]
    return calls.get("list", 0)


def seed(url: str, count: int) -> None:
    for begun in range(0, count, STEP):
        control(url, "seed", {"count": min(STEP, count - begun)})


def send(folder: Path, url: str, *, is_whole: bool = True) -> Measured:
    command = [*COMMAND, "send", "--target", url, "--settle", "0.1", "--jobs", "8"]
    if not is_whole:
        command = ["sh", "-c", f"{' '.join(command)} || true"]
    return measured(command, cwd=folder, env={"TOLOKA_TOKEN": TOKEN})


def manifest_of(folder: Path) -> Path:
    (path,) = (folder / "results").glob("*.jsonl")
    return path


def show(name: str, it: Measured) -> None:
    print(f"{name}:")
    row("seconds", whole(it.seconds, 1))
    row("CPU seconds", whole(it.cpu_s, 1))
    row("peak memory, MiB", whole(it.peak_mib))
    print(f"  {it.out.splitlines()[-1]}")


def foreign(folder: Path, count: int) -> None:
    """Look through an account without a manifest, and once more with it."""
    with emulator(folder, "--rate-limit", "0") as url:
        seed(url, count)
        write(folder, 1)
        show(f"no manifest, {count:,} threads of others", send(folder, url))
        row("manifest, MB", whole(manifest_of(folder).stat().st_size / 1e6, 1))
        show("the next run, with nothing new", send(folder, url))


def write(folder: Path, count: int) -> None:
    (folder / "messages").mkdir(exist_ok=True)
    for number in range(count):
        (folder / "messages" / f"m{number}.yaml").write_text(SPEC % f"t{number}")


def unknown(folder: Path, threads: int, count: int) -> None:
    """Leave outcomes unknown in a run that cannot look, and find them in the next one."""
    with emulator(folder, "--rate-limit", "0") as url:
        seed(url, threads)
        write(folder, 1)
        send(folder, url)
        before = lists(url)
        send(folder, url)
        # One after the other, or it is an outage.
        write(folder, 2 * count + 1)
        # What catching up takes, and the anchor.
        had = lists(url) - before + 1
        faults = ["every=2,kind=accepted-then-500", f"on=list,after={had},kind=400"]
        control(url, "faults", {"faults": faults})
        send(folder, url, is_whole=False)
        control(url, "faults", {"faults": []})
        show(f"{count} unknown among {threads:,} threads", send(folder, url))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--unknown", type=int, default=80, metavar="N")
    asked = parser.parse_args()
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        foreign(Path(first), asked.threads)
        unknown(Path(second), max(asked.threads // 20, 1), asked.unknown)


if __name__ == "__main__":
    main()
