"""How long people wait for CI's first answer: `validate`, and the start of the command.

`message-runner validate` (YAML, schema, rendering, house rules) of many messages (--messages)
beside `check-jsonschema` (YAML, schema) of the same files with the same schema, by turns. What
the process costs in which templates are rendered: the same messages with and without templates.
Then ten times fewer and ten times more messages: the cost of one should not change. Last,
`--version` and `--help` beside `python -c "import click"`.

    python tests/benchmarks/validate.py
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from measure import COMMAND, Measured, measured, row, whole

SCHEMA = Path(__file__).parents[2] / "schemas" / "message.schema.json"
# No two are the same text, and all insert the same: as messages of one team are.
SPEC = """\
topic:
  EN: "Thank you, {open} team {close}!"
  ES: "¡Gracias, {open} team {close}!"
text:
  EN: |
    You helped us with task {number}: we have just trained our first model.
    With {open} team | upper {close}, it was a pleasure.
  ES: |
    Nos ha ayudado con la tarea {number}: acabamos de entrenar nuestro primer modelo.
    Con {open} team | upper {close}, fue un placer.
recipients_select_type: DIRECT
recipients_ids:
  - 1ad097faba0eff85a04fe30bc04d53db
  - {number:032x}
answerable: false
variables:
  team: cat labellers
"""


def write_messages(folder: Path, count: int, *, with_templates: bool = True) -> Path:
    messages = folder / "messages"
    messages.mkdir(parents=True)
    braces = {"open": "{{", "close": "}}"} if with_templates else {"open": "<", "close": ">"}
    for number in range(count):
        text = SPEC.format(number=number, **braces)
        (messages / f"{number:05}.yaml").write_text(text, encoding="utf-8")
    return folder


def validate(folder: Path) -> Measured:
    return measured([*COMMAND, "validate", "--quiet"], cwd=folder)


def check_jsonschema(folder: Path) -> Measured:
    files = sorted(str(path) for path in (folder / "messages").iterdir())
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(SCHEMA), *files]
    return measured(command, cwd=folder)


def by_turns(folder: Path, runs: int) -> tuple[list[Measured], list[Measured]]:
    pairs = [(validate(folder), check_jsonschema(folder)) for _ in range(runs)]
    return [ours for ours, _ in pairs], [theirs for _, theirs in pairs]


def middle(measures: Sequence[Measured]) -> float:
    return statistics.median(each.seconds for each in measures)


def show_beside(folder: Path, count: int, runs: int) -> None:
    ours, theirs = by_turns(folder, runs)
    print(f"{count:,} messages, median of {runs} runs by turns:")
    row("validate, seconds", whole(middle(ours), 2))
    row("check-jsonschema, seconds", whole(middle(theirs), 2))
    row("validate / check-jsonschema", whole(middle(ours) / middle(theirs), 2))


def show_templates(folder: Path, plain: Path, count: int, runs: int) -> None:
    pairs = [(validate(folder), validate(plain)) for _ in range(runs)]
    both, none = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    print(f"{count:,} messages with templates, and without, by turns:")
    row("with, seconds", whole(middle(both), 2))
    row("without, seconds", whole(middle(none), 2))


def show_growth(root: Path, counts: Sequence[int]) -> None:
    print("as they grow:")
    for count in counts:
        it = validate(write_messages(root / str(count), count))
        each = f"{it.seconds / count * 1000:.2f} ms each"
        row(f"{count:,} messages, seconds ({each})", whole(it.seconds, 2))
        row(f"{count:,} messages, peak memory, MiB", whole(it.peak_mib))


def show_start(folder: Path, runs: int) -> None:
    commands = {
        'python -c "import click"': [sys.executable, "-c", "import click"],
        "--version": [*COMMAND, "--version"],
        "--help": [*COMMAND, "--help"],
    }
    taken: dict[str, list[Measured]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            taken[name].append(measured(command, cwd=folder))
    print(f"the start, median of {runs} runs by turns:")
    first, *rest = commands
    row(f"{first}, ms", whole(middle(taken[first]) * 1000))
    for name in rest:
        row(f"{name}, ms", whole(middle(taken[name]) * 1000))
        row(f"{name} / {first}", whole(middle(taken[name]) / middle(taken[first]), 2))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=1_000, metavar="N")
    parser.add_argument("--runs", type=int, default=5, metavar="N")
    asked = parser.parse_args()
    count, runs = asked.messages, asked.runs
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        folder = write_messages(root / "beside", count)
        plain = write_messages(root / "plain", count, with_templates=False)
        show_beside(folder, count, runs)
        show_templates(folder, plain, count, runs)
        show_growth(root, (max(1, count // 10), count, count * 10))
        show_start(root, 3 * runs)


if __name__ == "__main__":
    main()
