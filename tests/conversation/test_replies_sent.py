from __future__ import annotations

import json

import pytest
from support import Project, calls, direct, threads

from runner.emulator import Emulator

from .talk import (
    QUICK,
    answer,
    complaints,
    fail,
    planned,
    posts,
    reply,
    said,
    said_in,
    sent_ok,
    spec,
)

AGAIN = "And again, thank you."


def thread_of(emulator: Emulator, topic: str) -> str:
    """The id of the one thread of ours with this topic."""
    (found,) = [
        each["id"]
        for each in threads(emulator)
        if each["topic"]["EN"] == topic and "parent_id" not in each
    ]
    return str(found)


def statuses(project: Project, message: str) -> dict[str, str | None]:
    """What the last run says of a message: its statuses with their reasons."""
    entries = project.results()["deliveries"]
    return {each["status"]: each["error"] for each in entries if each["message"] == message}


def test_a_reply_goes_into_every_thread_of_the_message_once(
    project: Project, emulator: Emulator
) -> None:
    ids = [f"t{number:03}" for number in range(150)]
    project.write("messages/thanks.yaml", direct(*ids, text="Hi"))
    project.write("messages/again.yaml", reply("thanks"))
    assert sent_ok(project, emulator) == {"sent": 2, "waiting": 2}
    assert list(statuses(project, "again")) == ["waiting"]
    dry = planned(project, emulator, "messages/again.yaml")
    assert (dry.code, dry.out.splitlines()[1]) == (
        0,
        "  would send 2 replies in the threads of thanks",
    )
    assert sent_ok(project, emulator) == {"already_sent": 2, "sent": 2}
    assert list(said(emulator).values()) == [["Hi", AGAIN]] * 2
    entries = [each for each in project.results()["deliveries"] if each["message"] == "again"]
    assert {each["thread_id"] for each in entries} == set(said(emulator))
    assert {each["action"] for each in entries} == {"reply"}
    assert sent_ok(project, emulator) == {"already_sent": 4}
    assert posts(emulator, "/reply") == 2


def test_a_reply_s_payload_is_its_text_alone(project: Project, emulator: Emulator) -> None:
    project.write("messages/thanks.yaml", direct("ann", text="Hi"))
    sent_ok(project, emulator)
    both = {"EN": "Bye, {{ name }}", "NO": "Ha det"}
    project.write("messages/r.yaml", spec(reply_to="thanks", text=both, variables={"name": "Ann"}))
    sent_ok(project, emulator)
    (thread,) = threads(emulator)
    assert thread["messages"][0]["text"] == {"EN": "Bye, Ann", "NO": "Ha det"}
    (intent,) = [e for e in project.events(emulator) if e.get("action") == "reply"]
    assert intent["thread_id"] == thread["id"]
    assert "recipients_select_type" not in intent


def test_a_new_thread_gets_the_reply_alone_and_a_revision_all_of_them(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/thanks.yaml", direct("ann", text="Hi"))
    sent_ok(project, emulator)
    project.write("messages/again.yaml", reply("thanks"))
    sent_ok(project, emulator)
    project.write("messages/thanks.yaml", direct("ann", "bob", text="Hi"))
    assert sent_ok(project, emulator) == {"already_sent": 2, "sent": 1, "waiting": 1}
    assert sent_ok(project, emulator) == {"already_sent": 3, "sent": 1}
    assert list(said(emulator).values()) == [["Hi", AGAIN]] * 2
    project.write("messages/again.yaml", reply("thanks", "Other words"))
    assert sent_ok(project, emulator) == {"already_sent": 2, "edited": 2}
    project.write("messages/again.yaml", reply("thanks", "Other words", revision=2))
    assert sent_ok(project, emulator) == {"already_sent": 2, "sent": 2}
    assert list(said(emulator).values()) == [["Hi", AGAIN, "Other words"]] * 2


def test_only_answered_goes_where_somebody_answered_child_threads_included(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/one.yaml", direct("ann", topic="one", text="Hi"))
    project.write("messages/many.yaml", direct("bob", "cyd", "dan", topic="many", text="Hi"))
    project.write("messages/r1.yaml", reply("one", only_answered=True))
    project.write("messages/r2.yaml", reply("many", only_answered=True))
    assert sent_ok(project, emulator) == {"sent": 2, "waiting": 2}
    assert statuses(project, "r1") == {"waiting": "nobody has answered one yet"}
    assert posts(emulator, "/reply") == 0
    one, many = thread_of(emulator, "one"), thread_of(emulator, "many")
    assert answer(emulator, one, "ann") == one
    child = answer(emulator, many, "cyd")
    assert child != many
    dry = planned(project, emulator, "--out", "plan.json")
    up_to = "  would send up to {} in the threads of {}, where a Toloker answered: only Toloka can tell who answered {}"
    assert up_to.format("1 reply", "one", "one") in dry.out.splitlines()
    assert up_to.format("3 replies", "many", "many") in dry.out.splitlines()
    assert "      | And again, thank you." in dry.out.splitlines()
    # The kept plan approves its words to whoever answered in these threads.
    kept = sent_ok(project, emulator, "--plan", "plan.json")
    assert kept == {"already_sent": 2, "sent": 2}
    wanted = {one: ["Hi", "Hello", AGAIN], many: ["Hi"], child: ["Hello", AGAIN]}
    assert said(emulator) == wanted
    # A second answer of the same Toloker is not answered again, another Toloker's is.
    assert answer(emulator, many, "cyd", "Me again") == child
    other = answer(emulator, many, "bob")
    assert sent_ok(project, emulator) == {"already_sent": 4, "sent": 1}
    assert said(emulator) == {
        **wanted,
        child: ["Hello", AGAIN, "Me again"],
        other: ["Hello", AGAIN],
    }
    assert sent_ok(project, emulator) == {"already_sent": 5}


@pytest.mark.dear
def test_only_answered_finds_answers_far_down_the_list(
    project: Project, emulator: Emulator
) -> None:
    # A child thread is younger than everything in between: the list has several pages.
    project.write("messages/many.yaml", direct("ann", "bob", topic="many", text="Hi"))
    sent_ok(project, emulator)
    rows = "".join(f"t{number}\n" for number in range(320))
    project.write("messages/rows.csv", f"toloker_id\n{rows}")
    each = {"recipients_select_type": "DIRECT", "recipients_ids": ["{{ row.toloker_id }}"]}
    texts = {"topic": {"EN": "x"}, "text": {"EN": "x"}}
    project.write("messages/rows.yaml", spec(**texts, **each, for_each="rows.csv"))
    sent_ok(project, emulator)
    child = answer(emulator, thread_of(emulator, "many"), "bob")
    project.write("messages/r.yaml", reply("many", only_answered=True))
    assert sent_ok(project, emulator, "messages/r.yaml") == {"sent": 1}
    assert said(emulator)[child] == ["Hello", AGAIN]


def test_a_reply_in_one_thread_goes_there_once(project: Project, emulator: Emulator) -> None:
    project.write("messages/thanks.yaml", direct("ann", "bob", text="Hi"))
    sent_ok(project, emulator)
    child = answer(emulator, thread_of(emulator, "Thank you!"), "bob")
    project.write("messages/r.yaml", spec(thread_id=child, text={"EN": "Yes"}))
    dry = planned(project, emulator, "messages/r.yaml")
    assert (dry.code, dry.out.splitlines()[1]) == (0, f"  would send 1 reply in thread {child}")
    assert sent_ok(project, emulator) == {"already_sent": 1, "sent": 1}
    assert sent_ok(project, emulator) == {"already_sent": 2}
    assert said(emulator)[child] == ["Hello", "Yes"]


def test_a_thread_id_may_be_a_template_and_keeps_its_digits(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/thanks.yaml", direct("ann", text="Hi"))
    sent_ok(project, emulator)
    project.write("messages/r.yaml", spec(thread_id="{{ thread }}", text={"EN": "Yes"}))
    thread = thread_of(emulator, "Thank you!")
    assert sent_ok(project, emulator, "--var", f"thread={thread}")["sent"] == 1
    assert said(emulator) == {thread: ["Hi", "Yes"]}
    bad = project.run("validate", "--var", "thread=../../compose")
    assert (bad.code, complaints(bad.out)) == (
        3,
        [
            "messages/r.yaml:1:12: error: this is not a thread id; "
            "it has 24 hexadecimal digits: copy it from the manifest"
        ],
    )


def test_a_thread_that_toloka_does_not_know_is_a_refusal_at_its_line(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/r.yaml", "text: {EN: Yes}\nthread_id: 00000000000000000000000a\n")
    done = project.send(emulator, "--results", "results.json", *QUICK)
    assert done.code == 4, done
    assert (
        "messages/r.yaml:2:12: error: Toloka knows no such thread: HTTP 404 DOES_NOT_EXIST"
        in done.err
    )
    assert project.results()["summary"] == {"rejected": 1}


def test_a_reply_to_nothing_is_refused_at_its_line_and_nothing_is_sent(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/thanks.yaml", direct("ann"))
    project.write("messages/r.yaml", "text: {EN: Yes}\nreply_to: thnaks\n")
    wanted = (
        'messages/r.yaml:2:11: error: there is no message "thnaks" to reply to; '
        "write the id of a message of yours"
    )
    for done in (planned(project, emulator), project.send(emulator)):
        assert (done.code, wanted in complaints(done.err)) == (3, True), done
    assert threads(emulator) == []


def test_a_reply_waits_for_a_message_that_was_never_sent(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/thanks.yaml", direct("ann", extra="draft: true\n"))
    project.write("messages/a.yaml", reply("thanks"))
    project.write("messages/b.yaml", reply("thanks", only_answered=True))
    assert sent_ok(project, emulator) == {"draft": 1, "waiting": 2}
    assert statuses(project, "a") == {"waiting": "thanks has no threads yet"}
    assert statuses(project, "b") == {"waiting": "nobody has answered thanks yet"}
    assert sent_ok(project, emulator, "messages/a.yaml") == {"waiting": 1}
    assert threads(emulator) == []


def test_a_message_whose_file_is_gone_can_still_be_replied_to(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/thanks.yaml", direct("ann", text="Hi"))
    sent_ok(project, emulator)
    (project.root / "messages" / "thanks.yaml").unlink()
    project.write("messages/r.yaml", reply("thanks"))
    assert sent_ok(project, emulator) == {"sent": 1}
    assert list(said(emulator).values()) == [["Hi", AGAIN]]


def forget(project: Project, emulator: Emulator, how: str) -> None:
    """Lose the manifest, or what it holds of replies."""
    manifest = project.manifest(emulator)
    if how == "all of it":
        manifest.unlink()
        return
    events = project.events(emulator)
    replies = {each.get("delivery") for each in events if each.get("action") == "reply"}
    outcomes = ("sent",) if how == "their outcomes" else ("sent", "intent")
    kept = [e for e in events if not (e.get("delivery") in replies and e["event"] in outcomes)]
    assert len(kept) < len(events)
    manifest.write_text("".join(json.dumps(each) + "\n" for each in kept))


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        *((kind, "all of it") for kind in ("every", "answered", "one")),
        ("every", "the replies"),
        ("answered", "their outcomes"),
    ],
)
def test_a_lost_manifest_replies_to_nobody_twice(
    project: Project, emulator: Emulator, kind: str, how: str
) -> None:
    project.write("messages/thanks.yaml", direct("ann", "bob", text="Hi"))
    sent_ok(project, emulator)
    origin = thread_of(emulator, "Thank you!")
    child = answer(emulator, origin, "bob")
    text = {"EN": AGAIN}
    form = {
        "every": spec(reply_to="thanks", text=text),
        "answered": spec(reply_to="thanks", only_answered=True, text=text),
        "one": spec(thread_id=child, text=text),
    }[kind]
    project.write("messages/r.yaml", form)
    sent_ok(project, emulator)
    wanted = said(emulator)
    assert sum(each.count(AGAIN) for each in wanted.values()) == 1
    forget(project, emulator, how)
    assert "sent" not in sent_ok(project, emulator)
    assert said(emulator) == wanted
    assert sent_ok(project, emulator) == {"already_sent": 2}
    assert posts(emulator, "/reply") == 1


def test_a_lost_manifest_does_not_take_a_toloker_s_words_for_ours(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/thanks.yaml", direct("ann", text="Hi"))
    sent_ok(project, emulator)
    thread = thread_of(emulator, "Thank you!")
    answer(emulator, thread, "ann", AGAIN)
    project.manifest(emulator).unlink()
    project.write("messages/r.yaml", reply("thanks"))
    sent_ok(project, emulator)
    sent_ok(project, emulator)
    assert said(emulator) == {thread: ["Hi", AGAIN, AGAIN]}
    (held,) = threads(emulator)
    assert [each["from"]["role"] for each in held["messages"]] == ["REQUESTER", "USER", "REQUESTER"]


def test_without_its_list_a_run_replies_to_nobody(project: Project, emulator: Emulator) -> None:
    project.write("messages/thanks.yaml", direct("ann", text="Hi"))
    sent_ok(project, emulator)
    project.write("messages/r.yaml", reply("thanks"))
    fail(emulator, "on=list,kind=no-has-more")
    done = project.send(emulator, *QUICK)
    assert done.code == 75, done
    assert posts(emulator, "/reply") == 0
    fail(emulator)
    sent_ok(project, emulator)
    (thread,) = threads(emulator)
    assert said_in(thread) == ["Hi", AGAIN]
    assert len(calls(emulator, "/compose")) == 1
