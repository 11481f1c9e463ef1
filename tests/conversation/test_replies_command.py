from __future__ import annotations

import csv
import io
import json
import re

import pytest
from support import Project, control, direct, threads

from runner.emulator import Emulator

from .talk import answer, asked, fail, per_row, posts, reply, sent_ok

COLUMNS = [
    "message", "revision", "topic", "answers_to", "toloker", "thread_id", "at", "language", "text",
    "unread", "answered",
]  # fmt: skip


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
    waits = "  unread, not answered for 0 minutes\n"
    assert (text.code, text.out, text.err) == (
        0,
        f"one: one\n{first[:19]}Z  ann  {ids['one']}\n{waits}"
        "  EN | Which photos?\n     | Those?\n"
        f"many revision 2: many\n{second[:19]}Z  cyd  {child}\n{waits}"
        "  EN | Thanks, “all” of you, é\n",
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
    found = [(e["message"], e["answers_to"], e["text"]) for e in answers(project, emulator)]
    assert found[:2] == [("one", "one", "Hello"), ("many", "many", "Hello")]
    assert found[2:] == [("many", "r2", "And again")]
    shown = json.loads(asked(project, "status", emulator, "--refresh", "--format", "json").out)
    counts = {each["message"]: each.get("answers", 0) for each in shown["messages"]}
    assert counts == {"one": 1, "many": 2, "r1": 0, "r2": 0}


HOSTILE = [
    "=HYPERLINK(\"http://x\")", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1+1",
    "a;=1+1", "a;\"=1\"", "see\n- this", "\uff1dSUM(1)", "|@x", " \uff0d1", "a,+1",
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
    shown = asked(project, "replies", emulator, "-v").out
    assert all(char == "\n" or char.isprintable() for char in shown)
    lines = shown.split("\n")
    assert "  EN | \\x1b[2J\\x1b]0;owned\\x07" in lines
    assert "  EN | a\\u202eb" in lines
    # A CI system takes commands from the beginnings of lines.
    assert not any(line.startswith("::") for line in lines)
    table = asked(project, "replies", emulator, "--format", "csv").out
    cells = [row[3] for row in csv.reader(io.StringIO(table, newline=""))][1:]
    assert len(cells) == len(HOSTILE)
    for cell in cells:
        # Whatever a spreadsheet takes for the end of a cell.
        for part in re.split(r"[,;|\t\n]", cell):
            assert part.strip(' "\u200d')[:1] not in tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
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


def test_what_nobody_has_answered_or_read_is_found_and_ends_with_6(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/one.yaml", direct("ann", topic="one"))
    project.write("messages/two.yaml", direct("bob", topic="two"))
    sent_ok(project, emulator)
    ids = thread_ids(emulator)
    for name, toloker in (("one", "ann"), ("two", "bob")):
        answer(emulator, ids[name], toloker)
    assert asked(project, "replies", emulator, "--unanswered", "0").code == 6
    project.write("messages/r.yaml", reply("one"))
    sent_ok(project, emulator)
    alarm = asked(project, "replies", emulator, "--unanswered", "0", "--format", "json")
    assert (alarm.code, [e["message"] for e in json.loads(alarm.out)["replies"]]) == (6, ["two"])
    assert "1 thread without an answer of ours for 0 hours or more" in alarm.err
    assert asked(project, "replies", emulator, "--unanswered", "0.5").code == 0
    # Ages are told by Toloka's clock: by ours, half an hour has passed.
    control(emulator, "behaviour", {"date_skew_ms": 31 * 60_000})
    assert asked(project, "replies", emulator, "--unanswered", "0.5").code == 6
    unread = {str(each["thread_id"]) for each in answers(project, emulator, "--unread")}
    assert unread == {e["id"] for e in threads(emulator) if "UNREAD" in e["folders"]}


def test_the_text_is_one_screen_and_says_what_it_leaves_out(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/one.yaml", direct("ann", topic="one"))
    sent_ok(project, emulator)
    thread = thread_ids(emulator)["one"]
    for number in range(14):
        answer(emulator, thread, "ann", f"{number}: " + "x" * 3000 + "\nline" * 20)
    shown = asked(project, "replies", emulator)
    assert max(map(len, shown.out.splitlines())) < 1300
    assert len(shown.out.splitlines()) < 80
    assert shown.err == "14 answers, the newest 12 of them here (-v shows all)\n"
    assert "| 13: " in shown.out
    whole = asked(project, "replies", emulator, "-v")
    assert (whole.out.count("| line"), "shows all" in whole.out) == (14 * 20, False)


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
