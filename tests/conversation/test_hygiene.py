"""Who must be left alone: the suppression list, late recipients, the policy."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from support import Project, direct, reached, threads

from runner.emulator import Emulator

from .talk import SECRET, complaints, per_row, planned, reply, sent_ok, spec

LIST = "suppress: never.txt\n"


def to_all(**keys: object) -> str:
    form = {"topic": {"EN": "Hi"}, "text": {"EN": "Hi"}, "recipients_select_type": "ALL"}
    return spec(**form, **keys)


def from_file(name: str) -> str:
    form = {"topic": {"EN": "Hi"}, "text": {"EN": "Hi"}, "recipients_select_type": "DIRECT"}
    return spec(**form, recipients_file=name)


def to_skilled() -> str:
    node = {"category": "skill", "key": "224", "operator": "GTE", "value": 80}
    return spec(
        topic={"EN": "Hi"}, text={"EN": "Hi"}, recipients_select_type="FILTER",
        recipients_filter=node,
    )  # fmt: skip


def entries(project: Project, message: str) -> dict[str, list[str]]:
    """What the last run says of a message: its Tolokers by status."""
    found = [each for each in project.results()["deliveries"] if each["message"] == message]
    return {each["status"]: each["recipients_ids"] for each in found}


def test_who_is_suppressed_is_left_out_of_every_direct_message(
    project: Project, emulator: Emulator
) -> None:
    project.write("runner.yaml", LIST)
    project.write("never.txt", "\ufeffcyd\r\n\r\n zed \r\n")
    project.write("messages/ids.yaml", direct("ann", "cyd", "bob"))
    project.write("messages/only.yaml", direct("cyd"))
    project.write("messages/rows.yaml", per_row("rows.csv", "Hi"))
    project.write("messages/rows.csv", "toloker_id\ndan\ncyd\n")
    project.write(
        "messages/file.yaml",
        from_file("f.txt"),
    )
    project.write("messages/f.txt", "zed\neve\n")
    dry = planned(project, emulator, "messages/ids.yaml", "messages/only.yaml")
    lines = dry.out.splitlines()
    assert lines[:4] == [
        "ids (messages/ids.yaml)",
        "  would send 1 thread to 2 Tolokers",
        "  recipients: ann, bob",
        "  left out (1 Toloker): on the suppression list",
    ]
    assert "nothing to do for 1 message: 1 suppressed (-v shows them).\n" in dry.out
    assert sent_ok(project, emulator) == {"sent": 3, "suppressed": 4}
    assert reached(emulator) == ["ann", "bob", "dan", "eve"]
    assert entries(project, "ids") == {"sent": ["ann", "bob"], "suppressed": ["cyd"]}
    recorded = [each for each in project.events(emulator) if each["event"] == "suppressed"]
    assert sorted((each["message"], *each["recipients_ids"]) for each in recorded) == [
        ("file", "zed"),
        ("ids", "cyd"),
        ("only", "cyd"),
        ("rows", "cyd"),
    ]
    # Recorded once, however often it runs.
    sent_ok(project, emulator)
    again = [each for each in project.events(emulator) if each["event"] == "suppressed"]
    assert again == recorded


def test_who_comes_off_the_list_gets_no_old_mail_but_every_new_one(
    project: Project, emulator: Emulator
) -> None:
    project.write("runner.yaml", LIST)
    project.write("never.txt", "ann\n")
    project.write("messages/old.yaml", direct("ann", "bob", topic="old"))
    sent_ok(project, emulator)
    project.write("never.txt", "")
    project.write("messages/new.yaml", direct("ann", topic="new"))
    assert sent_ok(project, emulator) == {"already_sent": 1, "suppressed": 1, "sent": 1}
    assert {each["topic"]["EN"]: reached_by(each) for each in threads(emulator)} == {
        "old": ["bob"],
        "new": ["ann"],
    }
    # Said anew, it is for everybody.
    project.write("messages/old.yaml", direct("ann", "bob", topic="old", extra="revision: 2\n"))
    assert sent_ok(project, emulator) == {"already_sent": 1, "sent": 1}
    assert reached(emulator) == ["ann", "ann", "bob", "bob"]


def reached_by(thread: dict[str, Any]) -> list[str]:
    ids: list[str] = thread["compose_details"]["recipients_ids"]
    return ids


def test_a_draft_leaves_nobody_out_for_good(project: Project, emulator: Emulator) -> None:
    project.write("runner.yaml", LIST)
    project.write("never.txt", "ann\n")
    project.write("messages/a.yaml", direct("ann", extra="draft: true\n"))
    assert sent_ok(project, emulator) == {"draft": 1}
    project.write("never.txt", "")
    project.write("messages/a.yaml", direct("ann"))
    assert sent_ok(project, emulator) == {"sent": 1}


def test_the_plan_says_where_the_list_cannot_be_kept(project: Project, emulator: Emulator) -> None:
    project.write("messages/all.yaml", to_all())
    project.write("messages/skilled.yaml", to_skilled())
    project.write("messages/one.yaml", direct("bob"))
    said = "  suppressed: nobody; the 2 Tolokers on the suppression list cannot be kept from it"
    assert "suppress" not in planned(project, emulator).out
    project.write("runner.yaml", LIST)
    project.write("never.txt", "ann\ncyd\n")
    dry = planned(project, emulator).out
    assert dry.count(said) == 2
    parts = dict(zip(("all", "one", "skilled"), dry.split("\n\n"), strict=False))
    assert said in parts["all"]
    assert said in parts["skilled"]
    assert said not in parts["one"]
    # Where nothing would be sent there is nothing to say.
    sent_ok(project, emulator)
    assert "suppress" not in planned(project, emulator).out


def test_a_reply_is_kept_from_who_is_alone_in_its_thread(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct("ann"))
    sent_ok(project, emulator)
    project.write("messages/r.yaml", reply("a"))
    project.write("runner.yaml", LIST)
    project.write("never.txt", "ann\n")
    dry = planned(project, emulator)
    assert (dry.code, "1 suppressed" in dry.out) == (0, True), dry
    assert project.send(emulator).code == 0
    assert [len(each["messages"]) for each in threads(emulator)] == [1]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "runner.yaml:1:11: error: `suppress`: there is no file never.txt"),
        (f"ann\n{SECRET} x\n", "never.txt:2:1: error: this is not an id: it holds a space"),
        (b"\xff", "never.txt:1:1: error: this is not UTF-8"),
    ],
)
def test_a_list_that_cannot_be_read_stops_the_run(
    project: Project, emulator: Emulator, data: str | bytes | None, said: str
) -> None:
    project.write("runner.yaml", LIST)
    if data is not None:
        project.write("never.txt", data)
    project.write("messages/a.yaml", direct("ann"))
    for done in (planned(project, emulator), project.send(emulator)):
        assert done.code == 2
        assert said in done.err
        assert SECRET not in done.out + done.err
    assert reached(emulator) == []


def old_manifest(project: Project, emulator: Emulator, age: timedelta) -> None:
    """What a run so long ago left behind: the message `a` to one Toloker."""
    sent_ok(project, emulator)
    now = datetime.now(timezone.utc)
    at = (now - age).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    lines = [{**each, "at": at} for each in project.events(emulator)]
    lines = [{**e, "created": at} if "created" in e else e for e in lines]
    lines = [{**e, "server_at": at} if "server_at" in e else e for e in lines]
    text = "".join(json.dumps(each) + "\n" for each in lines)
    project.manifest(emulator).write_text(text)


@pytest.mark.parametrize(("days", "is_late"), [(13, False), (15, True)])
def test_who_gets_a_message_late_is_said(
    project: Project, emulator: Emulator, days: int, is_late: bool
) -> None:
    project.write("messages/a.yaml", direct("ann"))
    old_manifest(project, emulator, timedelta(days=days))
    assert "late:" not in planned(project, emulator).out
    project.write("messages/a.yaml", direct("ann", "bob", "cyd"))
    project.write("messages/b.yaml", direct("ann", topic="b"))
    dry = planned(project, emulator)
    day = f"{datetime.now(timezone.utc) - timedelta(days=days):%Y-%m-%d}"
    late = f"  late: first sent on {day}, and these get it only now"
    lines = dry.out.splitlines()
    assert lines[2] == "  recipients: bob, cyd"
    assert (lines[3] == late, lines.count(late)) == (is_late, int(is_late))
    # It is said, and it is sent.
    assert sent_ok(project, emulator) == {"already_sent": 1, "sent": 2}


POLICY = [
    (
        "policy: {allow_all: false}\n",
        to_all(),
        "messages/a.yaml:3:25: error: the policy forbids messages to ALL; "
        "to allow them, set `policy: {allow_all: true}` in runner.yaml",
    ),
    (
        "policy: {max_recipients: 2}\n",
        direct("ann", "bob", "cyd"),
        "messages/a.yaml:5:3: error: the policy allows 2 recipients a message, and this would "
        "reach 3; to allow it, set `policy: {max_recipients: 3}` in runner.yaml",
    ),
    (
        "policy: {max_recipients: 0}\n",
        per_row("a.csv", "Hi"),
        "messages/a.yaml:4:17: error: the policy allows 0 recipients a message, and this would "
        "reach 2; to allow it, set `policy: {max_recipients: 2}` in runner.yaml",
    ),
    (
        "policy: {max_recipients: 1}\n",
        from_file("a.txt"),
        "error: the policy allows 1 recipients a message, and this would "
        "reach 2; to allow it, set `policy: {max_recipients: 2}` in runner.yaml",
    ),
]


@pytest.mark.parametrize(("policy", "form", "said"), POLICY, ids=["all", "ids", "rows", "file"])
def test_the_policy_says_no_with_the_key_that_would_allow_it(
    project: Project, emulator: Emulator, policy: str, form: str, said: str
) -> None:
    project.write("messages/a.yaml", form)
    project.write("messages/a.csv", "toloker_id\nann\nbob\n")
    project.write("messages/a.txt", "ann\nbob\n")
    project.write("messages/ok.yaml", direct("zed", topic="ok"))
    project.write("runner.yaml", policy)
    if "max_recipients: 0" in policy:
        (project.root / "messages/ok.yaml").unlink()
    for done in [project.send(emulator), *([planned(project, emulator)] if "ALL" in said else [])]:
        (complaint,) = complaints(done.err)[-1:]
        assert (done.code, complaint.endswith(said)) == (3, True), done
        assert complaint.startswith("messages/a.yaml:")
    assert threads(emulator) == []
    # The sentence is right: with the key that it names, it is allowed.
    allowed = said.split("`")[1]
    project.write("runner.yaml", allowed + "\n")
    sent_ok(project, emulator)


def test_the_policy_counts_whom_a_message_reached_and_would_reach(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct("ann", "bob"))
    project.write("messages/b.yaml", to_all())
    sent_ok(project, emulator)
    project.write("runner.yaml", "policy: {allow_all: false, max_recipients: 1}\n")
    assert sent_ok(project, emulator) == {"already_sent": 2}
    project.write("messages/a.yaml", direct("cyd"))
    done = project.send(emulator)
    assert (done.code, "and this would reach 3" in done.err) == (3, True), done
    project.write("runner.yaml", "policy: {allow_all: false, max_recipients: 3}\n")
    assert sent_ok(project, emulator) == {"already_sent": 1, "sent": 1}
