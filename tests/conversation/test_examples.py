from __future__ import annotations

import csv
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
from support import Project, threads

from runner.emulator import Emulator

from .talk import answer, sent_ok

MESSAGES = Path(__file__).parents[2] / "messages"
EXAMPLES = sorted(MESSAGES.rglob("*.yaml"))


@pytest.fixture
def examples(project: Project) -> Project:
    """A project with the messages of this repository."""
    shutil.copytree(MESSAGES, project.root / "messages", dirs_exist_ok=True)
    return project


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_names_its_schema_for_editors(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    named = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert named
    assert (path.parent / named[1]).resolve() == MESSAGES.parent / "schemas/message.schema.json"


def test_the_examples_are_valid_and_go_out_at_once(examples: Project, emulator: Emulator) -> None:
    assert examples.run("validate", "--strict").code == 0
    with (MESSAGES / "bonus" / "april.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert sent_ok(examples, emulator) == {"sent": len(rows) + 3, "waiting": 1}
    topics = Counter(each["topic"]["EN"] for each in threads(emulator))
    assert topics["Your bonus for April"] == len(rows)
    for row in rows:
        (thread,) = [
            each
            for each in threads(emulator)
            if each["compose_details"].get("recipients_ids") == [row["toloker_id"]]
        ]
        text = thread["messages"][0]["text"]["EN"]
        assert text.startswith(f"Hello {row['name']},\n")
        assert f"A bonus of ${row['bonus']} is on its way." in text
        assert text.endswith("\nThe cat project\n")
        assert "IMPORTANT" in thread["folders"]


def test_who_answers_the_bonus_gets_the_follow_up(examples: Project, emulator: Emulator) -> None:
    sent_ok(examples, emulator)
    bonus = [each for each in threads(emulator) if "bonus" in each["topic"]["EN"]]
    first = bonus[0]
    answer(emulator, first["id"], first["compose_details"]["recipients_ids"][0], "Not yet")
    assert sent_ok(examples, emulator) == {"already_sent": len(bonus) + 3, "sent": 1}
    counts = {each["id"]: len(each["messages"]) for each in threads(emulator)}
    assert counts[first["id"]] == 3
    assert all(counts[each["id"]] == 1 for each in bonus[1:])


def test_the_people_in_the_examples_are_made_up() -> None:
    ids = (MESSAGES / "bonus" / "april.csv").read_text().splitlines()[1:]
    assert all(re.match(r"0{31}\d,", line) for line in ids)
