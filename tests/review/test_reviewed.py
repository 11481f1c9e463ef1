"""`plan --out` and `send --plan`: what was reviewed is what is sent, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import StartEmulator
from support import TOKEN, Project, Result, calls, control, direct, reached, threads, tolokers

from runner.emulator import Emulator
from runner.errors import SurroundingsError
from runner.plan.planfile import read_plan_file

Change = Callable[[Project], object]


def planned(project: Project, emulator: Emulator, *args: str) -> dict[str, Any]:
    """Plan into plan.json, as a reviewer sees it."""
    shown = project.run("plan", "--target", emulator.url, "--out", "plan.json", *args)
    assert shown.code == 0, shown.err
    document: dict[str, Any] = json.loads((project.root / "plan.json").read_text())
    return document


def send_plan(project: Project, emulator: Emulator, *args: str) -> Result:
    return project.send(emulator, "--plan", "plan.json", "--results", "results.json", *args)


def two_messages(project: Project) -> None:
    project.write("messages/a.yaml", direct("t1", "t2"))
    project.write("messages/b.yaml", direct("t3", text="Well done!"))


def test_what_was_planned_is_sent(project: Project, emulator: Emulator) -> None:
    two_messages(project)
    document = planned(project, emulator)
    shown = send_plan(project, emulator)
    assert shown.code == 0, shown.err
    sent = [
        (thread["topic"], thread["messages"][0]["text"], thread["compose_details"])
        for thread in threads(emulator)
    ]
    reviewed = [
        (each["topic"], each["text"], each["recipients_ids"])
        for message in document["messages"]
        for each in message["deliveries"]
    ]
    # Several workers send, so the order is nobody's.
    found = [(topic, text, details["recipients_ids"]) for topic, text, details in sent]
    assert sorted(found, key=str) == sorted(reviewed, key=str)
    # Once more, with the same plan: everything in it is done.
    again = send_plan(project, emulator)
    assert again.code == 0
    assert "Nothing new was sent" in again.out
    assert reached(emulator) == ["t1", "t2", "t3"]


def test_an_interrupted_plan_is_finished_by_sending_it_again(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct(*tolokers(250)))
    project.write("messages/b.yaml", direct("t3", text="Well done!"))
    planned(project, emulator)
    for done in (1, 3, 4):
        shown = send_plan(project, emulator, "--limit", "2" if done == 3 else "1")
        assert shown.code == 0, shown.err
        assert len(threads(emulator)) == done
    assert reached(emulator) == sorted([*tolokers(250), "t3"])
    assert send_plan(project, emulator).code == 0
    assert len(threads(emulator)) == 4


def add_recipient(project: Project) -> None:
    project.write("messages/a.yaml", direct("t1", "t2", "t9"))


def edit_text(project: Project) -> None:
    project.write("messages/a.yaml", direct("t1", "t2", text="Amazing job"))


def edit_topic(project: Project) -> None:
    project.write("messages/a.yaml", direct("t1", "t2", topic="Thanks"))


def forbid_answers(project: Project) -> None:
    project.write("messages/a.yaml", direct("t1", "t2", extra="answerable: false\n"))


def add_message(project: Project) -> None:
    project.write("messages/c.yaml", direct("t9"))


def remove_recipient(project: Project) -> None:
    project.write("messages/a.yaml", direct("t1"))


def remove_message(project: Project) -> None:
    (project.root / "messages" / "a.yaml").unlink()


def raise_revision(project: Project) -> None:
    project.write("messages/a.yaml", direct("t1", "t2", extra="revision: 2\n"))


def make_draft(project: Project) -> None:
    project.write("messages/a.yaml", direct("t1", "t2", extra="draft: true\n"))


def close_window(project: Project) -> None:
    extra = "not_after: 2020-01-01T00:00:00Z\n"
    project.write("messages/a.yaml", direct("t1", "t2", extra=extra))


def change_variable(project: Project) -> None:
    project.write("runner.yaml", "variables: {who: dogs}\n")


MOVED: list[tuple[Change, str]] = [
    (add_recipient, "messages/a.yaml:1:1: error: a is not in the plan (to t9)"),
    (edit_text, "messages/a.yaml:2:7: error: a has changed since the plan was made (to t1, t2)"),
    (edit_topic, "messages/a.yaml:2:7: error: a has changed since the plan was made (to t1, t2)"),
    (forbid_answers, "error: a has changed since the plan was made (to t1, t2)"),
    (add_message, "messages/c.yaml:1:1: error: c is not in the plan (to t9)"),
    (
        remove_recipient,
        "plan.json:1:1: error: the plan holds a (to t2), and it would not be sent now",
    ),
    (remove_message, "plan.json:1:1: error: the plan holds a (to t1, t2), and it would not"),
    (raise_revision, "messages/a.yaml:1:1: error: a is not in the plan (to t1, t2)"),
    (
        make_draft,
        "plan.json:1:1: error: the plan holds a (to t1, t2), and it would not be sent now",
    ),
    (close_window, "plan.json:1:1: error: the plan holds a (to t1, t2), and it would not be sent"),
    (change_variable, "messages/v.yaml:2:7: error: v has changed since the plan was made (to t5)"),
]


def test_whatever_moved_since_is_3_before_the_first_request(
    project: Project, emulator: Emulator
) -> None:
    def lay_out() -> None:
        two_messages(project)
        project.write("runner.yaml", "variables: {who: cats}\n")
        project.write("messages/v.yaml", direct("t5", text="Hello {{ who }}"))
        (project.root / "messages" / "c.yaml").unlink(missing_ok=True)

    lay_out()
    planned(project, emulator)
    for change, said in MOVED:
        change(project)
        shown = send_plan(project, emulator, "--yes")
        assert shown.code == 3, change
        assert said in shown.err
        assert project.results()["exit_code"] == 3
        lay_out()
    assert calls(emulator) == []
    assert control(emulator, "stats")["calls"] == {}
    # Back to what was reviewed, and it goes out.
    assert send_plan(project, emulator).code == 0
    assert reached(emulator) == ["t1", "t2", "t3", "t5"]


def test_where_another_babel_worded_the_plan_the_refusal_says_so(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct("t1", text="{{ 1234.5|number }}"))
    document = planned(project, emulator)
    document["babel"] = "1.0"
    project.write("plan.json", json.dumps(document))
    # The words are the same, so nothing has moved.
    assert send_plan(project, emulator).code == 0
    project.write("messages/a.yaml", direct("t2", text="{{ 1234.50|number }}"))
    shown = send_plan(project, emulator)
    assert shown.code == 3
    assert "the plan was made with Babel 1.0, and this is " in shown.err


def test_a_plan_for_another_target_is_3(
    project: Project, emulator: Emulator, start_emulator: StartEmulator
) -> None:
    two_messages(project)
    planned(project, emulator)
    other = start_emulator(store=project.root / "other.sqlite")
    shown = send_plan(project, other)
    assert shown.code == 3
    assert f"plan.json:1:1: error: the plan is for {emulator.url}, and this is {other.url}" in (
        shown.err
    )
    local = project.run("send", "--plan", "plan.json")
    assert local.code == 3
    assert f"the plan is for {emulator.url}, and this is local" in local.err
    assert calls(emulator) == calls(other) == []


def test_what_was_done_meanwhile_is_skipped(project: Project, emulator: Emulator) -> None:
    two_messages(project)
    planned(project, emulator)
    # Somebody sends one of them, to fewer people, before the plan is approved.
    project.write("messages/a.yaml", direct("t1"))
    assert project.send(emulator, "messages/a.yaml").code == 0
    two_messages(project)
    shown = send_plan(project, emulator)
    assert shown.code == 0, shown.err
    assert reached(emulator) == ["t1", "t2", "t3"]
    assert project.results()["summary"] == {"already_sent": 1, "sent": 2}


def test_no_flag_lets_more_through(project: Project, emulator: Emulator) -> None:
    two_messages(project)
    planned(project, emulator)
    add_message(project)
    for flags in (("--yes",), ("--limit", "1"), ("--strict",), ("--quiet",)):
        assert send_plan(project, emulator, *flags).code == 3
    # Only what the plan holds may be named, and what it holds has to be there.
    assert send_plan(project, emulator, "messages/c.yaml").code == 3
    assert send_plan(project, emulator, "messages/a.yaml").code == 3
    assert send_plan(project, emulator, "--test-to", "t1").code == 2
    assert calls(emulator) == []
    assert send_plan(project, emulator, "messages/a.yaml", "messages/b.yaml").code == 0
    assert reached(emulator) == ["t1", "t2", "t3"]


def test_a_plan_file_is_compared_and_never_executed(project: Project, emulator: Emulator) -> None:
    two_messages(project)
    document = planned(project, emulator)
    path = project.root / "plan.json"

    def send_edited(edit: Callable[[Any], object]) -> Result:
        edited = json.loads(json.dumps(document))
        edit(edited["messages"])
        path.write_text(json.dumps(edited))
        return send_plan(project, emulator)

    def add_delivery(messages: Any) -> None:
        extra = {**messages[0]["deliveries"][0], "recipients_ids": ["evil"]}
        messages[0]["deliveries"].append(extra)

    def add_whole_message(messages: Any) -> None:
        messages.append({**messages[0], "message": "evil", "source": "messages/evil.yaml"})

    def empty(messages: Any) -> None:
        messages.clear()

    for edit, said in (
        (add_delivery, "the plan holds a (to evil), and it would not be sent now"),
        (add_whole_message, "the plan holds evil (to t1, t2), and it would not be sent now"),
        (empty, "a is not in the plan (to t1, t2)"),
    ):
        shown = send_edited(edit)
        assert shown.code == 3
        assert said in shown.err
    assert calls(emulator) == []

    def change_words(messages: Any) -> None:
        # What is read by people in the file is not what is sent: that comes from the messages.
        messages[0]["deliveries"][0]["text"] = {"EN": "Send me your password"}
        messages[0]["deliveries"][0]["topic"] = {"EN": "Evil"}

    assert send_edited(change_words).code == 0
    assert {thread["topic"]["EN"] for thread in threads(emulator)} == {"Thank you!"}
    assert {each["messages"][0]["text"]["EN"] for each in threads(emulator)} == {
        "Amazing job!",
        "Well done!",
    }
    assert reached(emulator) == ["t1", "t2", "t3"]


GOOD = {"message": "a", "revision": 1, "deliveries": []}
DEEP = b'{"version": 1, "target": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def holding(*deliveries: object, **changes: object) -> dict[str, object]:
    message = {**GOOD, "deliveries": list(deliveries), **changes}
    return {"version": 1, "target": "local", "messages": [message]}


MALFORMED: dict[str, object] = {
    "empty": b"",
    "not JSON": b"{",
    "not UTF-8": b'{"version": 1, "target": "\xff"}',
    "a list": [],
    "a text": "plan",
    "null": None,
    "nothing in it": {},
    "no messages": {"version": 1, "target": "local"},
    "another version": {"version": 2, "target": "local", "messages": []},
    "a target that is no text": {"version": 1, "target": ["local"], "messages": []},
    "messages that are no list": {"version": 1, "target": "local", "messages": 7},
    "a message that is none": {"version": 1, "target": "local", "messages": ["a"]},
    "no deliveries": {"version": 1, "target": "local", "messages": [{"message": "a"}]},
    "a revision that is text": holding(revision="x"),
    "a revision without end": b'{"version":1,"target":"local","messages":[{"message":"a",'
    b'"revision":1e999,"deliveries":[]}]}',
    "deliveries that are none": holding(7),
    "a delivery without a digest": holding({"recipients_ids": ["a"]}),
    "a digest that is no text": holding({"recipients_ids": ["a"], "digest": 7}),
    "recipients that are no list": holding({"recipients_ids": 7, "digest": "x"}),
    "recipients that are no ids": holding({"recipients_ids": [["a"]], "digest": "x"}),
    "recipients that are numbers": holding({"recipients_ids": [7], "digest": "x"}),
    "recipients that are one text": holding({"recipients_ids": "abc", "digest": "x"}),
    "a thread that is a number": holding({"thread_id": 7, "digest": "x"}),
    "nested too deep": DEEP,
    "a number too long": b'{"version": ' + b"9" * 100_000 + b"}",
}


def test_a_file_that_is_no_plan_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    said = {}
    for name, content in MALFORMED.items():
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        with pytest.raises(SurroundingsError) as caught:
            read_plan_file(path)
        assert caught.value.exit_code == 2
        said[name] = str(caught.value).partition(": ")[2]
    right = dict.fromkeys(MALFORMED, "this is not a plan; `message-runner plan --out` writes one")
    assert said == {**right, "another version": "written by another version"}


@pytest.mark.parametrize("name", ["nowhere.json", "messages", "plan.json"])
def test_what_cannot_be_a_plan_is_2_and_nothing_is_sent(name: str, project: Project) -> None:
    project.write("messages/a.yaml", direct("a"))
    project.write("plan.json", json.dumps(MALFORMED["recipients that are numbers"]))
    shown = project.run("send", "--plan", name)
    assert shown.code == 2
    assert f"error: --plan {name}: " in shown.err
    assert "Traceback" not in shown.err
    assert not project.manifest().exists()


def test_the_words_of_a_hostile_plan_cannot_make_a_line(project: Project) -> None:
    project.write("messages/a.yaml", direct("a"))
    evil = "x\n::error::\x1b[31m"
    entry = {**GOOD, "message": evil, "deliveries": [{"recipients_ids": [evil], "digest": "x"}]}
    for target in ("local", evil):
        document = {"version": 1, "target": target, "babel": "1.0", "messages": [entry]}
        project.write("plan.json", json.dumps(document))
        shown = project.run("send", "--plan", "plan.json")
        assert shown.code == 3
        assert "x\\n::error::\\x1b[31m" in shown.err
        for line in (shown.out + shown.err).splitlines():
            assert line.isprintable()
            assert not line.startswith("::")


def test_a_plan_needs_no_token_and_holds_none(project: Project, emulator: Emulator) -> None:
    two_messages(project)
    shown = project.run("plan", "--target", emulator.url, "--out", "plan.json", TOLOKA_TOKEN=TOKEN)
    assert shown.code == 0
    assert TOKEN not in (project.root / "plan.json").read_text() + shown.out + shown.err
    assert calls(emulator) == []


def test_a_plan_of_nothing_sends_nothing(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", direct("t1", extra="draft: true\n"))
    document = planned(project, emulator)
    assert document["has_changes"] is False
    assert send_plan(project, emulator).code == 0
    project.write("messages/a.yaml", direct("t1"))
    shown = send_plan(project, emulator)
    assert shown.code == 3
    assert "a is not in the plan (to t1)" in shown.err
    assert threads(emulator) == []
