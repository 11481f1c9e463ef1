"""`status` as an operator reads it: counts, leads, one message, one person, rows to mend."""

from __future__ import annotations

import csv
import io
import json
import random
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from support import Project, control, direct, history_of, reached
from support import Result as Done

from runner.emulator import Emulator
from runner.manifest.attempts import Attempt
from runner.manifest.standing import Choice
from runner.manifest.told import find_unselected
from runner.model import Rejected, Result, Sent, Thread
from runner.report.deliveries import chosen_lines
from runner.report.rows import deliveries_csv
from runner.report.status import overview_lines, status_document
from runner.report.words import WORDS

from .talk import QUICK, asked, fail, per_row, reply, sent_ok

RESULT = Result(
    message="m",
    revision=1,
    source="messages/m.yaml",
    status="unknown",
    select_type="DIRECT",
    recipients_ids=("Ann",),
    digest="sha256:d",
    headline="",
    delivery="d2",
)
TRIED = Attempt(
    delivery="d1",
    message="m",
    revision=1,
    source="messages/m.yaml",
    select_type="DIRECT",
    recipients_ids=("ann", "bob"),
    digest="sha256:d",
    at=datetime(2026, 11, 22, 21, tzinfo=timezone.utc),
)


def tried(number: int, **changes: Any) -> Attempt:
    """One of several attempts, each for a Toloker of its own."""
    return replace(TRIED, delivery=f"d{number}", recipients_ids=(f"t{number:02}",), **changes)


def status(project: Project, emulator: Emulator, *args: str) -> Done:
    """Run `status`, which has to end well."""
    done = project.run("status", "--target", emulator.url, *args)
    assert done.code == 0, done
    return done


def rows(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table, newline="")))


def refuse(emulator: Emulator, *ids: str) -> None:
    control(emulator, "behaviour", {"refuse": list(ids)})


def test_a_batch_that_was_split_is_no_refusal_and_what_was_mended_neither(
    project: Project, emulator: Emulator
) -> None:
    refuse(emulator, "bad", "worse")
    project.write("messages/a.yaml", direct("ann", "bad", "bob", "cyd", "worse"))
    for _ in range(2):
        assert project.send(emulator, *QUICK).code == 4
    shown = status(project, emulator).out
    name, _, people, refused = shown.splitlines()[1].split()[:4]
    assert (name, people, refused) == ("a", "3", "2")
    assert "rejected: a, 2 deliveries: HTTP 400 VALIDATION_ERROR" in shown
    assert f"status --only rejected --format csv --target {emulator.url}" in shown
    (message,) = json.loads(status(project, emulator, "--format", "json").out)["messages"]
    assert (message["tolokers"], message["rejected"]) == (3, 2)
    told = {
        each: entry["status"] for entry in message["deliveries"] for each in entry["recipients_ids"]
    }
    assert told == dict.fromkeys(("ann", "bob", "cyd"), "sent") | dict.fromkeys(
        ("bad", "worse"), "rejected"
    )
    refuse(emulator)
    assert project.send(emulator, *QUICK).code == 0
    assert "rejected" not in status(project, emulator).out


def test_what_was_not_asked_for_is_no_refusal() -> None:
    stopped = Rejected(status=None, code=None, detail="the run stopped before it was sent")
    busy = Rejected(status=429, code="TOO_MANY_REQUESTS", detail="HTTP 429")
    history = history_of(tried(1, outcome=stopped), tried(2, outcome=busy))
    shown = "\n".join(overview_lines(history, {}))
    assert ("2 not tried" in shown, "rejected" in shown) == (True, False), shown


def test_the_order_is_that_of_messages_and_tolokers_whatever_the_threads_did() -> None:
    refused = Rejected(status=400, code="X", detail="HTTP 400 X: no")
    outcomes = [refused if n % 4 == 0 else Sent(Thread(id=f"{n:024x}")) for n in range(30)]
    attempts = [
        tried(number, message=f"m{number % 3}", revision=1 + number % 2, outcome=outcome)
        for number, outcome in enumerate(outcomes)
    ]
    said = set()
    for seed in range(3):
        random.Random(seed).shuffle(attempts)
        history = history_of(*attempts)
        document = status_document(history, {}, target="local", manifest="m")
        lines = (
            *overview_lines(history, {}),
            *chosen_lines(history, {}, Choice(only="sent"), verbose=True),
        )
        said.add((json.dumps(document), "\n".join(lines)))
    assert len(said) == 1
    assert "\n3 messages: 22 sent, 8 rejected" in said.pop()[1]


def test_what_is_unknown_is_told_with_the_commands_that_settle_it(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct("ann"))
    fail(emulator, "kind=500", "on=list,after=3,kind=no-has-more")
    assert project.send(emulator, *QUICK).code == 5
    lines = status(project, emulator).out.splitlines()
    at = lines.index("unknown: a to ann")
    (intent,) = [each for each in project.events(emulator) if each["event"] == "intent"]
    assert f"tried at {intent['at']} by run {intent['run']}" in lines[at + 1]
    # Pasted as it is, it settles this very delivery.
    _, _, command = lines[at + 4].partition("message-runner ")
    assert project.run(*command.split()).code == 0
    assert "unknown" not in status(project, emulator).out
    assert status(project, emulator, "--only", "not_found").out.splitlines()[0].startswith("a, ")


def test_of_several_unknown_attempts_for_one_toloker_each_is_to_be_settled() -> None:
    letter = replace(TRIED, delivery="d3", recipients_ids=("ann",), key="may")
    history = history_of(TRIED, replace(TRIED, delivery="d2", recipients_ids=("Ann",)), letter)
    lines = [*chosen_lines(history, {}, Choice(toloker="ann"), verbose=False)]
    assert [line for line in lines if line.startswith("unknown: ")] == [
        "unknown: m to ann, bob",
        "unknown: m to Ann",
        "unknown: m to ann (may)",
    ]
    assert "2026-11-22T21:00:00Z  unknown     m (may)" in lines
    told, _ = find_unselected([RESULT], history)
    assert told.startswith("besides: m to ann, bob: ")
    (other,) = find_unselected([replace(RESULT, message="other")], history_of(TRIED))
    assert other.startswith("of a message that was not selected: m to ann, bob: ")


def test_very_many_unknown_ones_of_a_message_are_told_together() -> None:
    attempts = [tried(each, at=TRIED.at + timedelta(seconds=each)) for each in range(30)]
    history = replace(history_of(*attempts), target="https://toloka.dev")
    lines = [*chosen_lines(history, {}, Choice(only="unknown"), verbose=False)]
    assert "unknown: m, 30 deliveries (-v shows each)" in lines
    assert "  tried from 2026-11-22T21:00:00Z to 2026-11-22T21:00:29Z" in lines
    command = "message-runner resolve --message m --not-sent --target https://toloka.dev"
    assert any(line.endswith(command) for line in lines)
    assert [*find_unselected([], history)] == [
        "of a message that was not selected: m: 30 deliveries are unknown; "
        "`message-runner status m --target https://toloka.dev` tells of them"
    ]
    verbose = "\n".join(chosen_lines(history, {}, Choice(only="unknown"), verbose=True))
    assert all(f"resolve d{number} --not-sent" in verbose for number in range(30))


def test_one_message_is_told_with_its_words_and_everybody_it_is_for(
    project: Project, emulator: Emulator
) -> None:
    refuse(emulator, "bad")
    project.write(
        "messages/thanks/a.yaml",
        direct("ann", "bad", "late", text="Well\ndone", extra="at_most: 2\n"),
    )
    project.write("messages/thanks/b.yaml", direct("bob", topic="B", text="B"))
    project.write("runner.yaml", "suppress: stop.txt\n")
    project.write("stop.txt", "sue\n")
    project.write("messages/c.yaml", direct("sue", "cyd", topic="C", text="C"))
    assert project.send(emulator, *QUICK).code == 4
    told = status(project, emulator, "thanks/a").out
    for part in (
        "thanks/a, revision 1 (messages/thanks/a.yaml): ",
        "EN: Thank you!\n      | Well\n      | done\n",
        "\nrejected, 1: HTTP 400 VALIDATION_ERROR",
        "\nbad  ",
        "\nann  ",
        "held back: thanks/a from ",
    ):
        assert part in told, told
    assert "thanks/b" not in told
    refreshed = asked(project, "status", emulator, "--refresh", *QUICK, "thanks/a").out
    assert "  Toloka tells of 0 answers, of the folders OUTBOX" in refreshed
    both = status(project, emulator, "thanks").out
    assert both == status(project, emulator, "messages/thanks").out
    assert "thanks/b, revision 1" in both
    assert "left out, as the suppression list said: 1 Toloker" in status(project, emulator, "c").out
    wrong = project.run("status", "--target", emulator.url, "thank/a")
    assert (wrong.code, "did you mean thanks/a?" in wrong.err) == (2, True)


def test_one_person_is_told_with_all_that_they_got_and_when(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct("ann", topic="A", text="A"))
    project.write("messages/b.yaml", direct("ann", "bob", topic="B", text="B"))
    project.write(
        "messages/all.yaml", "topic: {EN: N}\ntext: {EN: N}\nrecipients_select_type: ALL\n"
    )
    sent_ok(project, emulator)
    project.write("messages/r.yaml", reply("a"))
    sent_ok(project, emulator)
    assert project.send(emulator, "--test-to", "ANN", "messages/b.yaml").code == 0
    project.write("runner.yaml", "suppress: stop.txt\n")
    project.write("stop.txt", "ann\n")
    project.write("messages/c.yaml", direct("ann", "bob", topic="C", text="C"))
    sent_ok(project, emulator)
    lines = status(project, emulator, "--toloker", "Ann").out.splitlines()
    said = [line.split(maxsplit=2)[1:] for line in lines if line.startswith("20")]
    ids = {each["topic"]["EN"]: each["id"] for each in control(emulator, "threads")}
    assert said[:2] == [["sent", "a"], ["sent", "b"]]
    assert said[2:] == [["sent", f"r, a reply in thread {ids['A']}"], ["sent", "b, a test"]]
    assert f"  thread {ids['A']}" in lines
    document = json.loads(status(project, emulator, "--toloker", "Ann", "--format", "json").out)
    assert [each["message"] for each in document["messages"]] == ["a", "b", "r"]
    assert [(each["message"], each["recipients_ids"]) for each in document["tests"]] == [
        ("b", ["ANN"])
    ]
    assert "left out, as the suppression list said: c, revision 1" in lines
    assert "by filter or ALL, and only Toloka knows whether here: all" in lines


def test_the_rows_to_mend_stand_in_for_the_data_file_once_they_are(
    project: Project, emulator: Emulator
) -> None:
    refuse(emulator, "bad")
    project.write("messages/a.yaml", per_row("data.csv", key="{{ row.Key }}"))
    table = 'toloker_id;name;amount;Key;one;two\nann;Ann;1;x;;\nbad;Bad;-2.50;y;=1+1;"fine; +cmd"\n'
    project.write("messages/data.csv", table)
    assert project.send(emulator, *QUICK).code == 4
    found = status(project, emulator, "a", "--only", "rejected", "--format", "csv")
    (row,) = rows(found.out)
    assert (row["name"], row["amount"], row["Key"]) == ("Bad", "-2.50", "y")
    assert (row["one"], row["two"]) == ("'=1+1", "fine; '+cmd")
    assert (row["message"], row["status"], row["toloker_id"]) == ("a", "rejected", "bad")
    assert "warning: 2 cells would be a formula" in found.err
    project.write("messages/data.csv", found.out.replace(",bad,", ",good,"))
    assert sent_ok(project, emulator)["sent"] == 1
    assert reached(emulator) == ["ann", "good"]


def test_the_rows_to_mend_do_without_what_is_not_there_any_more(
    project: Project, emulator: Emulator
) -> None:
    refuse(emulator, "bad")
    file: Path = project.write("messages/a.yaml", direct("bad"))
    project.write("messages/people.csv", "toloker_id,team\nbad,x\n")
    project.write(
        "messages/b.yaml",
        "topic: {EN: B}\ntext: {EN: B}\nrecipients_select_type: DIRECT\nrecipients_file: people.csv\n",
    )
    assert project.send(emulator, *QUICK).code == 4
    file.write_text("topic: {EN: '{{ gone }}'}\n")
    found = status(project, emulator, "--only", "rejected", "--format", "csv")
    assert [(row["message"], row["toloker_id"]) for row in rows(found.out)] == [
        ("a", "bad"),
        ("b", "bad"),
    ]
    assert [row["team"] for row in rows(found.out)] == ["", "x"]
    assert "warning: not all rows of the data files are here: messages/a.yaml:" in found.err
    everything = rows(status(project, emulator, "--format", "csv").out)
    assert [row["status"] for row in everything] == ["rejected", "rejected"]
    assert "team" not in everything[0]


def test_a_table_of_nothing_has_its_heading() -> None:
    assert deliveries_csv([], history_of(), {}) == (
        "message,revision,toloker_id,key,status,thread_id,at,error,delivery\r\n",
        0,
    )


def test_every_word_is_explained_by_help(project: Project) -> None:
    # The table of `schemas/README.md` is generated from the same words.
    for command in ("status", "send", "plan"):
        said = " ".join(project.run(command, "--help").out.split())
        for word, meaning in WORDS.items():
            assert f"{word} {meaning}" in said


def test_send_prints_its_results_as_json_and_nothing_else_there(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct("ann"))
    done = project.send(emulator, *QUICK, "--format", "json", "--results", "results.json")
    document = json.loads(done.out)
    assert document == project.results()
    assert (document["summary"], document["test_to"]) == ({"sent": 1}, None)
    assert "1 sent; manifest: " in done.err
    # A program that reads it learns of a failure too.
    project.write("messages/b.yaml", direct("bob", topic="{{ gone }}"))
    failed = project.send(emulator, *QUICK, "--format", "json")
    assert (failed.code, json.loads(failed.out)["exit_code"]) == (3, 3)
    nowhere = project.run("send", "--target", "nowhere", "--format", "json")
    assert (nowhere.code, json.loads(nowhere.out)["exit_code"]) == (2, 2)


def test_a_test_says_that_it_is_one(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", direct("ann", "bob"))
    done = project.send(emulator, *QUICK, "--test-to", "me", "--results", "results.json")
    assert "this is a test: each message goes to me and to nobody else" in done.err
    assert "1 sent, as a test to me; manifest: " in done.out
    assert project.results()["test_to"] == "me"
    assert reached(emulator) == ["me"]
    said = status(project, emulator).out.splitlines()
    assert said[0] == f"nothing was sent to {emulator.url} yet, but 1 test"
    assert status(project, emulator, "--toloker", "me").out.splitlines()[0].endswith("  a, a test")
