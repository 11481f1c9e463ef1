from __future__ import annotations

import csv
import io
import json

import pytest
from support import Project, direct, threads

from runner.emulator import Emulator

from .talk import answer, asked, fail, per_row, posts, reply, sent_ok

COLUMNS = ["message", "revision", "toloker", "thread_id", "at", "language", "text"]


def thread_ids(emulator: Emulator) -> dict[str, str]:
    """Our threads by their topics."""
    held = [each for each in threads(emulator) if "parent_id" not in each]
    return {each["topic"]["EN"]: each["id"] for each in held}


def answers(project: Project, emulator: Emulator, *args: str) -> list[dict[str, object]]:
    """What `replies --format json` tells."""
    done = asked(project, "replies", emulator, "--format", "json", *args)
    assert done.code == 0, done
    document = json.loads(done.out)
    assert (document["version"], document["target"]) == (1, emulator.url)
    found: list[dict[str, object]] = document["replies"]
    return found


def test_answers_are_told_as_text_json_and_csv_and_nothing_is_sent(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/one.yaml", direct("ann", topic="one"))
    project.write("messages/many.yaml", direct("bob", "cyd", topic="many", extra="revision: 2\n"))
    sent_ok(project, emulator)
    ids = thread_ids(emulator)
    answer(emulator, ids["one"], "ann", "Which photos?\nThose?")
    child = answer(emulator, ids["many"], "cyd", "Thanks, “all” of you, é")
    before = posts(emulator, "")
    found = answers(project, emulator)
    assert [list(each) for each in found] == [COLUMNS] * 2
    told = [(e["message"], e["revision"], e["toloker"], e["thread_id"], e["text"]) for e in found]
    assert told == [
        ("one", 1, "ann", ids["one"], "Which photos?\nThose?"),
        ("many", 2, "cyd", child, "Thanks, “all” of you, é"),
    ]
    first, second = (str(each["at"]) for each in found)
    assert first <= second
    assert second.endswith("Z")
    text = asked(project, "replies", emulator)
    assert (text.code, text.out, text.err) == (
        0,
        f"{first} one, Toloker ann, thread {ids['one']}, EN:\n  | Which photos?\n  | Those?\n"
        f"{second} many revision 2, Toloker cyd, thread {child}, EN:\n"
        "  | Thanks, “all” of you, é\n",
        "2 answers\n",
    )
    table = asked(project, "replies", emulator, "--format", "csv").out
    rows = list(csv.reader(io.StringIO(table, newline="")))
    names = ("toloker", "thread_id", "message", "text", "at")
    wanted = [[str(each[name]) for name in names] for each in found]
    header = ["toloker_id", "thread_id", "message", "answer", "answered_at"]
    # Text mode may have made the line ends inside a cell the system's own.
    assert [[cell.replace("\r\n", "\n") for cell in row] for row in rows] == [header, *wanted]
    assert posts(emulator, "") == before + 3


def test_our_own_follow_up_does_not_take_the_answers_from_the_message(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/one.yaml", direct("ann", topic="one"))
    project.write("messages/many.yaml", direct("bob", "cyd", topic="many"))
    sent_ok(project, emulator)
    ids = thread_ids(emulator)
    answer(emulator, ids["one"], "ann")
    answer(emulator, ids["many"], "bob")
    project.write("messages/r1.yaml", reply("one", only_answered=True))
    project.write("messages/r2.yaml", reply("many", only_answered=True))
    sent_ok(project, emulator)
    answer(emulator, ids["many"], "bob", "And again")
    found = [(each["message"], each["text"]) for each in answers(project, emulator)]
    assert found == [("one", "Hello"), ("many", "Hello"), ("many", "And again")]
    shown = json.loads(asked(project, "status", emulator, "--refresh", "--format", "json").out)
    counts = {each["message"]: each.get("answers", 0) for each in shown["messages"]}
    assert counts == {"one": 1, "many": 2, "r1": 0, "r2": 0}


HOSTILE = [
    "=HYPERLINK(\"http://x\")", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1+1",
    "\x1b[2J\x1b]0;owned\x07", "a\u202eb", "a\u2028b\x85c", "::error::x\n::warning::y", "\r\nz",
]  # fmt: skip


def test_what_a_toloker_writes_is_harmless_to_terminals_and_spreadsheets(
    project: Project, emulator: Emulator
) -> None:
    people = [f"t{number}" for number in range(len(HOSTILE))]
    project.write("messages/one.yaml", direct(*people, topic="one"))
    sent_ok(project, emulator)
    thread = thread_ids(emulator)["one"]
    for toloker, text in zip(people, HOSTILE, strict=True):
        answer(emulator, thread, toloker, text)
    found = [str(each["text"]) for each in answers(project, emulator)]
    assert sorted(found) == sorted(HOSTILE)
    shown = asked(project, "replies", emulator).out
    assert all(char == "\n" or char.isprintable() for char in shown)
    lines = shown.split("\n")
    assert "  | \\x1b[2J\\x1b]0;owned\\x07" in lines
    assert "  | a\\u202eb" in lines
    # A CI system takes commands from the beginnings of lines.
    assert not any(line.startswith("::") for line in lines)
    table = asked(project, "replies", emulator, "--format", "csv").out
    cells = [row[3] for row in csv.reader(io.StringIO(table, newline=""))][1:]
    assert len(cells) == len(HOSTILE)
    for cell in cells:
        assert cell.strip(" ")[:1] not in tuple("=+-@\t\r\n")
    assert '\'=HYPERLINK("http://x")' in cells


def test_since_leaves_out_what_is_older(project: Project, emulator: Emulator) -> None:
    project.write("messages/one.yaml", direct("ann", topic="one"))
    sent_ok(project, emulator)
    thread = thread_ids(emulator)["one"]
    answer(emulator, thread, "ann", "first")
    at = str(answers(project, emulator)[0]["at"])
    assert [each["text"] for each in answers(project, emulator, "--since", at)] == ["first"]
    day = f"{int(at[:4]) + 1}-01-01"
    assert answers(project, emulator, "--since", day) == []
    later = f"{at[:-5]}.999Z" if not at.endswith(".999Z") else day
    assert [e["text"] for e in answers(project, emulator, "--since", later)] == []
    wrong = asked(project, "replies", emulator, "--since", "yesterday")
    assert wrong.code == 2
    assert "write 2026-11-22 or 2026-11-22T21:00:00Z" in wrong.err


@pytest.mark.dear
def test_answers_are_found_on_every_page_of_the_list(project: Project, emulator: Emulator) -> None:
    people = [f"t{number:03}" for number in range(310)]
    project.write("messages/a.yaml", per_row("a.csv", "Hi"))
    project.write("messages/a.csv", "toloker_id\n" + "\n".join(people))
    project.write("messages/many.yaml", direct("ann", "bob", topic="many"))
    sent_ok(project, emulator)
    by_toloker = {
        each["compose_details"]["recipients_ids"][0]: each["id"] for each in threads(emulator)
    }
    first, last = (
        min(by_toloker, key=by_toloker.__getitem__),
        max(by_toloker, key=by_toloker.__getitem__),
    )
    answer(emulator, by_toloker[first], first, "first")
    answer(emulator, by_toloker[last], last, "last")
    answer(emulator, by_toloker["ann"], "bob", "a child")
    assert [each["text"] for each in answers(project, emulator)] == ["first", "last", "a child"]


def test_answers_to_others_are_not_ours_and_without_a_manifest_there_are_none(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct("ann", topic="one"))
    sent_ok(project, emulator)
    answer(emulator, thread_ids(emulator)["one"], "ann")
    nobody = asked(project, "replies", emulator, "--manifest", "other.jsonl")
    assert (nobody.code, nobody.out, nobody.err) == (0, "", "0 answers\n")
    (project.root / "messages/a.yaml").write_text(direct("bob", topic="two"))
    sent_ok(project, emulator, "--manifest", "other.jsonl")
    assert answers(project, emulator, "--manifest", "other.jsonl") == []
    assert len(answers(project, emulator)) == 1


def test_without_a_token_or_a_list_it_says_so(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", direct("ann", topic="one"))
    sent_ok(project, emulator)
    no_token = project.run("replies", "--target", emulator.url)
    assert (no_token.code, no_token.out) == (2, "")
    fail(emulator, "on=list,kind=no-has-more")
    no_list = asked(project, "replies", emulator, "--format", "csv")
    assert (no_list.code, no_list.out) == (75, "")
    assert "Toloka's list of threads could not be had" in no_list.err
