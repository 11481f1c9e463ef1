"""The story of `messages/README.md`, played: each file, each command, and what it says."""

from __future__ import annotations

import csv
import io
import re
import shlex
from collections import Counter
from pathlib import Path

from support import TOKEN, Project, threads, tolokers

from runner.emulator import Emulator

from .talk import QUICK, answer

PAGE = Path(__file__).resolve().parents[2] / "messages" / "README.md"
STORY = PAGE.read_text(encoding="utf-8").partition("\n## Ten first")[2]
_BLOCK = re.compile(r"(?:<!-- step: (\S+) -->\n)?```(?:yaml|console)\n(.*?)```\n", re.DOTALL)
_COMMAND = re.compile(r"^\$ message-runner (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
PEOPLE = tolokers(1000)
HEARD = [*PEOPLE[5:10], *PEOPLE[400:425]]
TOPICS = {
    "Your bonus for June": PEOPLE,
    "Your bonus for June: a correction": PEOPLE[:10],
    "Did your bonus for June arrive?": [each for each in PEOPLE if each not in HEARD],
}


def run(project: Project, emulator: Emulator, command: str, shown: str) -> str:
    """Run a command of the page, and find in its output each line that the page shows."""
    words = [*shlex.split(command), *(QUICK if command.startswith(("send", "replies")) else ())]
    done = project.run(*words, TOLOKA_TARGET=emulator.url, TOLOKA_TOKEN=TOKEN)
    assert done.code == 0, (command, done)
    lines = done.out.splitlines()
    for line in shown.splitlines():
        head, cut, _ = line.partition("…")
        assert any(each == line or (cut and each.startswith(head)) for each in lines), (line, done)
    return done.out


def heard(emulator: Emulator) -> None:
    """Thirty answer the bonus, in threads that others read too."""
    for thread in threads(emulator):
        for toloker in thread["compose_details"]["recipients_ids"]:
            if toloker in HEARD and thread["topic"]["EN"] == "Your bonus for June":
                answer(emulator, thread["id"], toloker, f"I am {toloker}: it did")


def fill_in(table: str) -> str:
    """Write a column beside the answers: everybody by name."""
    header, *rows = csv.reader(io.StringIO(table, newline=""))
    stream = io.StringIO(newline="")
    filled = [[*row, f"Dear {row[0]}, good!"] for row in rows]
    csv.writer(stream).writerows([[*header, "words"], *filled])
    return stream.getvalue()


def test_the_story_is_told_as_it_goes(project: Project, emulator: Emulator) -> None:
    limits = "{max_recipients: 1000, max_per_toloker: {messages: 3, days: 7}}"
    project.write("runner.yaml", f"policy: {limits}\n")
    project.write("messages/bonus/june.txt", "".join(f"{each}\n" for each in PEOPLE))
    played: Counter[str] = Counter()
    for path, content in _BLOCK.findall(STORY):
        if path:
            project.write(path, content)
            continue
        for command, shown in _COMMAND.findall(content):
            played[command.split()[0]] += 1
            if command.startswith("replies"):
                heard(emulator)
            table = run(project, emulator, command, shown)
            if command.startswith("replies"):
                project.write("messages/bonus/june-answers.csv", fill_in(table))
    assert played == {"plan": 6, "send": 5, "stop": 2, "replies": 1}
    got: dict[str, list[str]] = {topic: [] for topic in TOPICS}
    answered: list[str] = []
    for thread in threads(emulator):
        said = [each["text"]["EN"] for each in thread["messages"]]
        answered += [each for each in said if each.startswith("Dear ")]
        if "parent_id" not in thread:
            got[thread["topic"]["EN"]] += thread["compose_details"]["recipients_ids"]
    assert {topic: sorted(ids) for topic, ids in got.items()} == TOPICS
    assert sorted(answered) == [f"Dear {each}, good!" for each in HEARD]
