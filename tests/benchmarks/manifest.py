"""How long a long manifest takes to be read, and how much memory, by `plan` too.

So many lines (--lines): personal letters, each with an intent and its outcome, and `plan` for one
message that is not among them. What reading costs is held against `json.loads` of every line,
in the same run, each in a process of its own.

    python tests/benchmarks/manifest.py
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from measure import COMMAND, Measured, measured, row, whole

from runner.manifest.lines import line_of, new_event
from runner.manifest.state import VERSION

SPEC = """\
topic: {EN: "Thank you!"}
text: {EN: "Amazing job! We have just trained our first model."}
recipients_select_type: DIRECT
recipients_ids: [1ad097faba0eff85a04fe30bc04d53db]
"""
PLAIN = """\
import json, sys
with open(sys.argv[1], "rb") as lines:
    for line in lines:
        json.loads(line)
"""
READ = """\
import sys
from pathlib import Path
from runner.manifest.file import read_history
read_history(Path(sys.argv[1]), None)
"""
LETTERS = 5_000
"""Of one message."""


def manifest(lines: int) -> Iterator[bytes]:
    yield line_of(new_event("manifest", version=VERSION, target="https://toloka.example"))
    for number in range((lines - 1) // 2):
        name = f"bonus/m{number // LETTERS}"
        delivery = f"{number:032x}"
        yield line_of(
            new_event(
                "intent",
                delivery=delivery,
                message=name,
                revision=1,
                source=f"messages/{name}.yaml",
                action="compose",
                recipients_select_type="DIRECT",
                recipients_ids=[f"{number:032x}"],
                digest=f"sha256:{number:064x}",
            )
        )
        created = "2026-11-22T21:00:00.321Z"
        yield line_of(
            new_event("sent", delivery=delivery, thread_id=f"{number:024x}", created=created)
        )


def show(name: str, it: Measured) -> None:
    print(f"{name}:")
    row("CPU seconds", whole(it.cpu_s, 2))
    row("peak memory, MiB", whole(it.peak_mib))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=500_000, metavar="N")
    asked = parser.parse_args()
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "messages").mkdir()
        (folder / "messages" / "thanks.yaml").write_text(SPEC)
        with (folder / "long.jsonl").open("wb") as stream:
            stream.writelines(manifest(asked.lines))
        plain = measured([sys.executable, "-c", PLAIN, "long.jsonl"], cwd=folder)
        read = measured([sys.executable, "-c", READ, "long.jsonl"], cwd=folder)
        planned = measured([*COMMAND, "plan", "--manifest", "long.jsonl"], cwd=folder)
        show(f"json.loads, {asked.lines:,} lines", plain)
        show("the same lines as a history", read)
        show("plan", planned)
        print(f"  {planned.out.splitlines()[-1]}")
        print("ratio:")
        row("a history / json.loads", whole((read.cpu_s or 0) / (plain.cpu_s or 1), 2))


if __name__ == "__main__":
    main()
