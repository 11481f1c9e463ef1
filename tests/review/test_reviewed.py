"""`plan --out` and `send --plan`: what was reviewed is what is sent, and nothing else."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import StartEmulator
from support import TOKEN, Project, Result, calls, control, direct, reached, threads, tolokers

from runner import clock
from runner.emulator import Emulator
from runner.errors import SurroundingsError
from runner.plan.planfile import MAX_BYTES, plan_digest, read_plan_file

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


def name_folder(project: Project) -> None:
    project.write("messages/a.yaml", direct("t1", "t2", extra="folders: [UNREAD]\n"))


def name_no_folder(project: Project) -> None:
    project.write("messages/v.yaml", direct("t5", text="Hello {{ who }}"))


MOVED: list[tuple[Change, str]] = [
    (add_recipient, "messages/a.yaml:1:1: error: a is not in the plan (to t9)"),
    (edit_text, "messages/a.yaml:2:7: error: a has changed since the plan was made (to t1, t2)"),
    (edit_topic, "messages/a.yaml:2:7: error: a has changed since the plan was made (to t1, t2)"),
    (forbid_answers, "error: a has changed since the plan was made (to t1, t2)"),
    (add_message, "messages/c.yaml:1:1: error: c is not in the plan (to t9)"),
    (raise_revision, "messages/a.yaml:1:1: error: a is not in the plan (to t1, t2)"),
    (change_variable, "messages/v.yaml:2:7: error: v has changed since the plan was made (to t5)"),
    (
        name_folder,
        "messages/a.yaml:7:10: error: a would be put into UNREAD, and the plan says no folder",
    ),
    (name_no_folder, "error: v would be put into no folder, and the plan says IMPORTANT"),
]


def test_whatever_moved_since_is_3_before_the_first_request(
    project: Project, emulator: Emulator
) -> None:
    def lay_out() -> None:
        two_messages(project)
        project.write("runner.yaml", "variables: {who: cats}\n")
        extra = "folders: [IMPORTANT]\n"
        project.write("messages/v.yaml", direct("t5", text="Hello {{ who }}", extra=extra))
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


@pytest.mark.some(2)
@pytest.mark.parametrize(
    "change",
    [remove_recipient, remove_message, make_draft, close_window],
    ids=lambda it: it.__name__,
)
def test_less_than_was_approved_needs_no_new_approval(
    change: Change, project: Project, emulator: Emulator
) -> None:
    two_messages(project)
    planned(project, emulator)
    change(project)
    assert send_plan(project, emulator).code == 0
    assert reached(emulator) == (["t1", "t3"] if change is remove_recipient else ["t3"])


def test_what_was_approved_before_its_window_began_is_sent_once_it_has(
    project: Project, emulator: Emulator
) -> None:
    extra = "not_before: {}-01-01T00:00:00Z\n"
    project.write("messages/a.yaml", direct("t1", extra=extra.format(2999)))
    document = planned(project, emulator)
    assert document["messages"][0]["not_before"] == "2999-01-01T00:00:00.000Z"
    assert send_plan(project, emulator).code == 0
    assert reached(emulator) == []
    project.write("messages/a.yaml", direct("t1", "t2", extra=extra.format(2020)))
    shown = send_plan(project, emulator)
    assert (shown.code, "a is not in the plan (to t2)" in shown.err) == (3, True)
    project.write("messages/a.yaml", direct("t1", extra=extra.format(2020)))
    assert send_plan(project, emulator).code == 0
    assert reached(emulator) == ["t1"]


def test_a_refusal_names_another_babel_and_commit_where_something_moved(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct("t1", text="{{ 1234.5|number }}"))
    document = planned(project, emulator)
    assert document["babel"]
    rewrite(project, {**document, "babel": "1.0", "commit": "4f5e0d1c"})
    project.write("messages/a.yaml", direct("t1", text="{{ 1234.50|number }}"))
    shown = project.send(emulator, "--plan", "plan.json", GITHUB_SHA="91ab22ef")
    assert shown.code == 3
    assert "the plan was made with Babel 1.0, and this is " in shown.err
    assert "the plan was made at commit 4f5e0d1c, and this is 91ab22ef" in shown.err
    # Where no template uses it, nobody is told of it; where nothing has moved, of neither.
    project.write("messages/a.yaml", direct("t1", text="1,234.5"))
    assert "Babel" not in send_plan(project, emulator).err
    assert planned(project, emulator)["babel"] is None
    project.write("messages/a.yaml", direct("t1", "t2", text="{{ 1234.5|number }}"))
    planned(project, emulator)
    assert send_plan(project, emulator, "--approval", "dispatch").code == 0
    run = [each for each in project.events(emulator) if each["event"] == "run"][-1]
    assert (run["babel"], run["approval"]) == (document["babel"], "dispatch")
    assert run["plan"] == project.results("plan.json")["digest"]


def test_a_plan_knows_the_commit_that_is_checked_out(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", direct("t1"))
    assert planned(project, emulator)["commit"] is None
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.example")
    git = ("git", "-C", str(project.root), *identity)
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "x"], check=True)
    head = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
    assert planned(project, emulator)["commit"] == head
    shown = project.run("plan", "--target", emulator.url, "--out", "p.json", CI_COMMIT_SHA="4f5e")
    assert (shown.code, project.results("p.json")["commit"]) == (0, "4f5e")


def test_a_plan_for_another_account_is_3(project: Project, emulator: Emulator) -> None:
    two_messages(project)
    assert planned(project, emulator)["account"] is None
    shown = project.send(emulator, "--plan", "plan.json", TOLOKA_ACT_UNDER_ACCOUNT_ID="acc-2")
    said = "the plan acts under the token's own account, and this run under account acc-2"
    assert (shown.code, said in shown.err) == (3, True)
    # A plan from before the account was known goes on once it is.
    assert send_plan(project, emulator, "--limit", "1").code == 0
    assert send_plan(project, emulator, "--limit", "1").code == 0
    project.write("messages/c.yaml", direct("t9", text="Bravo!"))
    account = planned(project, emulator)["account"]
    assert account
    manifest = project.manifest(emulator)
    lines = manifest.read_text()
    manifest.write_text(lines.replace(account, "somebody"))
    shown = send_plan(project, emulator)
    said = f"the plan is for the account {account}, and the manifest is that of somebody"
    assert (shown.code, said in shown.err) == (3, True)
    manifest.unlink()
    shown = send_plan(project, emulator)
    assert (shown.code, "and the manifest knows of none" in shown.err) == (3, True)
    manifest.write_text(lines)
    assert send_plan(project, emulator).code == 0
    assert reached(emulator) == ["t1", "t2", "t3", "t9"]


def test_a_plan_that_was_not_approved_or_is_too_old_is_3(
    project: Project, emulator: Emulator
) -> None:
    two_messages(project)
    project.write("messages/d.yaml", direct("t7", extra="draft: true\n"))
    document = planned(project, emulator)
    digest = document["digest"]
    shown = project.run("plan", "--target", emulator.url, "--out", "p.json", "--summary", "s.md")
    assert f"The plan p.json is {digest}" in shown.out
    assert f"The plan is `{digest}`." in (project.root / "s.md").read_text()
    other = "sha256:" + "0" * 64
    shown = send_plan(project, emulator, "--plan-digest", other)
    said = f"plan.json:1:1: error: this is the plan {digest}, and {other} was approved"
    assert (shown.code, said in shown.err) == (3, True)
    for made, said in (
        (timedelta(hours=49), "the plan is 2 days old, and --max-plan-age is 36 hours"),
        (timedelta(hours=-1), "by this machine's clock the plan was made in the future"),
    ):
        rewrite(project, {**document, "planned_at": clock.written(clock.now() - made)})
        shown = send_plan(project, emulator, "--max-plan-age", "1d12h")
        assert (shown.code, said in shown.err) == (3, True)
    for wrong in ("48", "h", "", "1h2d", "-1h", "2 days"):
        assert send_plan(project, emulator, "--max-plan-age", wrong).code == 2
    assert project.send(emulator, "--max-plan-age", "1h").code == 2
    assert project.send(emulator, "--plan-digest", digest).code == 2
    assert calls(emulator) == []
    rewrite(project, document)
    shown = send_plan(project, emulator, "--plan-digest", digest, "--max-plan-age", "10m")
    assert shown.code == 0
    assert "plan: plan.json, made 0 minutes ago" in shown.err


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
    # Only what the plan holds may be named.
    assert send_plan(project, emulator, "messages/c.yaml").code == 3
    assert send_plan(project, emulator, "--test-to", "t1").code == 2
    assert calls(emulator) == []
    assert send_plan(project, emulator, "messages/a.yaml").code == 0
    assert reached(emulator) == ["t1", "t2"]


def add_delivery(messages: Any) -> None:
    extra = {**messages[0]["deliveries"][0], "recipients_ids": ["evil"]}
    messages[0]["deliveries"].append(extra)


def add_whole_message(messages: Any) -> None:
    messages.append({**messages[0], "message": "evil", "source": "messages/evil.yaml"})


def remove_one(messages: Any) -> None:
    messages[0]["deliveries"][0]["recipients_ids"] = ["t1"]


def change_words(messages: Any) -> None:
    messages[0]["deliveries"][0]["text"] = {"EN": "Send me your password"}


def change_folder(messages: Any) -> None:
    messages[0]["folders"] = ["IMPORTANT"]


# What is said once its digest is that of the edited file; None where it can go: less than that.
EDITS: list[tuple[Callable[[Any], object], str | None]] = [
    (add_delivery, None),
    (add_whole_message, None),
    (remove_one, "a is not in the plan (to t2)"),
    (change_words, "a has changed since the plan was made (to t1, t2)"),
    (change_folder, "a would be put into no folder, and the plan says IMPORTANT"),
]


def test_an_edited_plan_is_refused_and_one_of_another_hand_sends_nothing_more(
    project: Project, emulator: Emulator
) -> None:
    two_messages(project)
    document = planned(project, emulator)
    for edit, said in EDITS:
        edited = json.loads(json.dumps(document))
        edit(edited["messages"])
        rewrite(project, edited, digest=document["digest"])
        shown = send_plan(project, emulator)
        assert shown.code == 2
        assert "it was edited: it holds something else than its digest says" in shown.err
        rewrite(project, edited)
        shown = send_plan(project, emulator, "--plan-digest", document["digest"])
        assert shown.code == 3
        if said is not None:
            shown = send_plan(project, emulator)
            assert (shown.code, said in shown.err) == (3, True)
    assert calls(emulator) == []
    edited = json.loads(json.dumps(document))
    add_delivery(edited["messages"])
    add_whole_message(edited["messages"])
    rewrite(project, edited)
    assert send_plan(project, emulator).code == 0
    assert reached(emulator) == ["t1", "t2", "t3"]


def test_the_words_of_the_file_are_sent_to_the_letter(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", direct("t1", text="1\u00a0234 points"))
    planned(project, emulator)
    # Another release of CLDR may space numbers otherwise: that is no other message.
    project.write("messages/a.yaml", direct("t1", text="1\u202f234 points"))
    assert send_plan(project, emulator).code == 0
    assert threads(emulator)[0]["messages"][0]["text"] == {"EN": "1\u00a0234 points"}


EVIL = "x\n::error::\x1b[31m"
DEEP = b'{"version": 1, "target": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def delivery(**changes: object) -> dict[str, object]:
    content = {"topic": {"EN": "T"}, "text": {"EN": "x"}, "answerable": True}
    return {**content, "recipients_select_type": "DIRECT", "recipients_ids": ["a"], **changes}


def holding(*deliveries: object, **changes: object) -> dict[str, object]:
    """A plan of one message, with changes to that message."""
    known = {"message": "a", "revision": 1, "folders": [], "to_file": []}
    return document(messages=[{**known, "deliveries": list(deliveries), **changes}])


def document(**changes: object) -> dict[str, object]:
    origin = dict.fromkeys(("account", "acts_under", "commit", "babel"))
    known = {"version": 1, "target": "local", "made_with": "1.0", **origin}
    return {**known, "planned_at": "2026-11-22T21:00:00.000Z", "messages": [], **changes}


def rewrite(project: Project, plan: dict[str, Any], digest: str | None = None) -> None:
    """Write a plan file, with the digest of what it holds unless told otherwise."""
    text = json.dumps({**plan, "digest": digest or plan_digest(plan)})
    project.write("plan.json", text)


MALFORMED: dict[str, object] = {
    "empty": b"",
    "not JSON": b"{",
    "not UTF-8": b'{"version": 1, "target": "\xff"}',
    "a list": [],
    "a text": "plan",
    "null": None,
    "nothing in it": {},
    "another version": document(version=2),
    "a target that is no text": document(target=["local"]),
    "an account that is no text": document(account=7),
    "no time": document(planned_at="yesterday"),
    "a time that is none": document(planned_at=7),
    "messages that are no list": document(messages=7),
    "a message that is none": document(messages=["a"]),
    "no deliveries": document(messages=[{"message": "a"}]),
    "a revision that is text": holding(revision="x"),
    "a revision that is true": holding(revision=True),
    "a revision without end": json.dumps(holding(revision=7)).replace("7", "1e999").encode(),
    "folders that are none": holding(folders=[7]),
    "deliveries that are none": holding(7),
    "no text": holding({**delivery(), "text": None}),
    "a text that is none": holding(delivery(text={"EN": 7})),
    "a text of half a character": holding(delivery(text={"EN": "\ud83d"})),
    "a filter without end": json.dumps(
        holding(delivery(recipients_filter={"and": [{"value": 7}, {"value": 7}]}))
    )
    .replace("7", "1e999")
    .encode(),
    "recipients that are no list": holding(delivery(recipients_ids=7)),
    "recipients that are no ids": holding(delivery(recipients_ids=[["a"]])),
    "recipients that are numbers": holding(delivery(recipients_ids=[7])),
    "recipients that are one text": holding(delivery(recipients_ids="abc")),
    "a thread that is a number": holding(delivery(thread_id=7)),
    "nested too deep": DEEP,
    "a number too long": b'{"version": ' + b"9" * 100_000 + b"}",
    "cut off": json.dumps(holding(delivery())).encode()[:-9],
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
    told = "this is not a plan, or not all of one; `message-runner plan --out` writes one"
    right = dict.fromkeys(MALFORMED, told)
    assert said == {**right, "another version": "written by another version"}
    with path.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    with pytest.raises(SurroundingsError, match="the file is too large"):
        read_plan_file(path)


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
    for plan in (
        document(target=EVIL),
        document(acts_under=EVIL),
        document(account=EVIL),
        document(commit=EVIL, made_with=EVIL),
        holding(folders=[EVIL], to_file=["t"]) | {"commit": EVIL},
    ):
        rewrite(project, plan)
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
