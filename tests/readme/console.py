"""The commands of a Markdown file: found, and compared with what they print.

A block to run is a fence `console`: a line `$ command` (lines that follow with `> ` belong to it),
then what it prints. A comment before a fence may say more:

    <!-- console: setup -->    in a copy of the repository: makes an environment of its own
    <!-- console: tests -->    likewise; the command that passes the tests
    <!-- console: server -->   in another terminal, until the file ends
    <!-- console: exit=3 -->   its last command ends with this code
    <!-- console: a.yaml without b: 1 -->  the reader has deleted this line of that file before
    <!-- file: a/b.yaml -->    not a command: this block is that file from here on
    <!-- script: NAME -->      not for a person at a terminal: a test of its own runs it

In what is printed `…` on a line of its own stands for any lines. An id of 24 or 32 hexadecimal
digits stands for any other, the same one each time, in later commands too; so does a time.

`python3 console.py FILE NAME` prints the command of the block with that name, for scripts.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(
    r"(?:^<!-- (?P<kind>console|file|script): (?P<name>[^\n]*) -->\n)?"
    r"^```(?P<language>\w*)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_ID = re.compile(r"\b(?:[0-9a-f]{32}|[0-9a-f]{24})\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_ANY_LINES = r"(?:.*\n)*?"


@dataclass(frozen=True)
class Block:
    """One fence, the line where it starts, and the two halves of the comment before it."""

    language: str
    body: str
    line: int
    kind: str = ""
    name: str = ""

    def commands(self) -> Iterator[tuple[str, str]]:
        """Give each command with what it prints."""
        for part in re.split(r"^\$ ", self.body, flags=re.MULTILINE)[1:]:
            lines = part.splitlines(keepends=True)
            rest = 1
            while rest < len(lines) and lines[rest].startswith("> "):
                rest += 1
            command = lines[0] + "".join(line[2:] for line in lines[1:rest])
            yield command.rstrip("\n"), "".join(lines[rest:])

    @property
    def exit_code(self) -> int:
        return int(self.name.removeprefix("exit=")) if self.name.startswith("exit=") else 0


def blocks(text: str) -> list[Block]:
    """Find every fence of a Markdown text, in order."""
    found = []
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start("language")) + 1
        note = match["kind"] or "", match["name"] or ""
        found.append(Block(match["language"], match["body"], line, *note))
    return found


def command_of(text: str, name: str) -> str:
    """Find the only command of the block with this name; raises `LookupError`."""
    named = [each for each in blocks(text) if (each.kind, each.name) == ("console", name)]
    commands = [command for block in named for command, _ in block.commands()]
    if len(commands) != 1:
        raise LookupError(f"{len(commands)} commands under <!-- console: {name} -->, not one")
    return commands[0]


class Bindings:
    """Which real id stands for which one of the text."""

    def __init__(self) -> None:
        self._real: dict[str, str] = {}

    def put_into(self, command: str) -> str:
        """Write the real ids into a command."""
        return _ID.sub(lambda found: self._real.get(found[0], found[0]), command)

    def match(self, written: str, printed: str) -> bool:
        """Compare what is written with what was printed; a match binds its new ids."""
        groups: dict[str, str] = {}
        parts = re.split(rf"({_ID.pattern}|{_TIME.pattern}|^…\n)", written, flags=re.MULTILINE)
        pattern = "".join(
            re.escape(part) if number % 2 == 0 else self._pattern(part, groups)
            for number, part in enumerate(parts)
        )
        found = re.fullmatch(pattern, printed)
        if found is None:
            return False
        self._real |= {groups[name]: value for name, value in found.groupdict().items()}
        return True

    def _pattern(self, part: str, groups: dict[str, str]) -> str:
        if part == "…\n":
            return _ANY_LINES
        if _TIME.fullmatch(part):
            return _TIME.pattern
        if part in self._real:
            return re.escape(self._real[part])
        name = f"id_{part}"
        if name in groups:
            return f"(?P={name})"
        groups[name] = part
        return f"(?P<{name}>[0-9a-f]{{{len(part)}}})"


if __name__ == "__main__":
    print(command_of(Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[2]))
