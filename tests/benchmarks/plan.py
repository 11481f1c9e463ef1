"""How long the dry run takes, and how much memory, for one message to very many Tolokers.

`message-runner plan` over one spec whose recipients are in a file (--recipients), without a
manifest; then with one that has all of them, where there is nothing left to send. The start of
the command itself is measured apart, by a plan of one recipient.

    python tests/benchmarks/plan.py
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from pathlib import Path

from measure import COMMAND, Measured, measured, row, whole

SPEC = """\
topic: {EN: "Thank you!"}
text: {EN: "Amazing job! We have just trained our first model."}
recipients_select_type: DIRECT
recipients_file: everybody.txt
"""


def plan(folder: Path) -> Measured:
    return measured([*COMMAND, "plan", "--quiet"], cwd=folder)


def write_project(folder: Path, recipients: int) -> None:
    (folder / "messages").mkdir(parents=True)
    (folder / "messages" / "thanks.yaml").write_text(SPEC)
    # Ids as Toloka has them: 32 hex digits.
    ids = "".join(f"{number:032x}\n" for number in range(recipients))
    (folder / "messages" / "everybody.txt").write_text(ids)


def show(name: str, it: Measured) -> None:
    print(f"{name}:")
    row("seconds", whole(it.seconds, 2))
    row("CPU seconds", whole(it.cpu_s, 2))
    row("peak memory, MiB", whole(it.peak_mib))
    print(f"  {it.out.splitlines()[-1]}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipients", type=int, default=100_000, metavar="N")
    asked = parser.parse_args()
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as name:
        one, many = Path(name) / "one", Path(name) / "many"
        write_project(one, 1)
        write_project(many, asked.recipients)
        show("plan, 1 recipient", plan(one))
        show(f"plan, {asked.recipients:,} recipients", plan(many))
        # To the local emulator, which is the default target.
        sent = measured([*COMMAND, "send", "--quiet"], cwd=many)
        show(f"send, {asked.recipients:,} recipients, to the local emulator", sent)
        show("plan, all of them in the manifest", plan(many))


if __name__ == "__main__":
    main()
