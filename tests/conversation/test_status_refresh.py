from __future__ import annotations

import json

from support import Project, direct, reached, threads

from runner.emulator import Emulator

from .talk import QUICK, answer, asked, fail, posts, reply, sent_ok


def refreshed(project: Project, emulator: Emulator, code: int = 0) -> dict[str, dict[str, object]]:
    """What `status --refresh` tells of each message."""
    done = asked(project, "status", emulator, "--refresh", "--format", "json", *QUICK)
    assert done.code == code, done
    return {each["message"]: each for each in json.loads(done.out)["messages"]}


def test_it_tells_of_answers_folders_and_the_last_activity(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/one.yaml", direct("ann", topic="one", extra="folders: [IMPORTANT]\n"))
    project.write("messages/many.yaml", direct("bob", "cyd", topic="many"))
    sent_ok(project, emulator)
    ids = {each["topic"]["EN"]: each["id"] for each in threads(emulator)}
    answer(emulator, ids["one"], "ann")
    answer(emulator, ids["many"], "bob")
    answer(emulator, ids["many"], "bob")
    before = posts(emulator, "compose"), posts(emulator, "/reply"), len(project.events(emulator))
    told = refreshed(project, emulator)
    assert {name: each["answers"] for name, each in told.items()} == {"one": 1, "many": 2}
    folders = {name: sorted(str(each["folders"]).split("'")[1::2]) for name, each in told.items()}
    assert folders["one"] == ["IMPORTANT", "INBOX", "OUTBOX", "UNREAD"]
    assert folders["many"] == ["INBOX", "OUTBOX", "UNREAD"]
    newest = [max(m["created"] for m in each["messages"]) for each in threads(emulator)]
    assert str(told["many"]["last_activity_at"]).rstrip("Z") == max(newest)
    shown = asked(project, "status", emulator, "--refresh", *QUICK)
    heading, first, *_ = shown.out.splitlines()
    assert heading.split("  ")[-1].strip() == "last activity"
    assert "answers" in heading
    assert first.startswith(("one ", "many "))
    after = posts(emulator, "compose"), posts(emulator, "/reply"), len(project.events(emulator))
    assert after == before


def test_it_settles_what_was_sent_and_what_was_not_and_sends_nothing(
    project: Project, emulator: Emulator
) -> None:
    for name in ("a", "b", "c"):
        project.write(f"messages/{name}.yaml", direct(name, topic=name))
    # The first is accepted, the second is not; nobody can look.
    fail(
        emulator, "at=1,kind=accepted-then-500", "at=2,kind=500", "on=list,after=3,kind=no-has-more"
    )
    left = project.send(emulator, "--jobs", "1", *QUICK)
    assert left.code == 5, left
    fail(emulator)
    assert reached(emulator) == ["a", "c"]
    assert "unknown: a to " in project.run("status", "--target", emulator.url).out
    told = refreshed(project, emulator)
    assert {name: (each["threads"], each["unknown"]) for name, each in told.items()} == {
        "a": (1, 0),
        "b": (0, 0),
        "c": (1, 0),
    }
    assert reached(emulator) == ["a", "c"]
    assert sent_ok(project, emulator) == {"already_sent": 2, "sent": 1}
    assert reached(emulator) == ["a", "b", "c"]


def test_it_settles_a_reply_in_doubt_without_writing_it_again(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct("ann", text="Hi"))
    sent_ok(project, emulator)
    project.write("messages/r.yaml", reply("a"))
    fail(emulator, "on=reply,kind=accepted-then-reset", "on=list,after=3,kind=no-has-more")
    assert project.send(emulator, *QUICK).code == 5
    fail(emulator)
    told = refreshed(project, emulator)
    assert (told["r"]["threads"], told["r"]["unknown"]) == (1, 0)
    assert (posts(emulator, "/reply"), sent_ok(project, emulator)) == (1, {"already_sent": 2})


def test_what_it_cannot_learn_stays_unknown(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", direct("ann"))
    fail(emulator, "kind=500", "on=list,after=3,kind=no-has-more")
    assert project.send(emulator, *QUICK).code == 5
    # The list is there for the first look alone.
    fail(emulator, "on=list,kind=no-has-more")
    done = asked(project, "status", emulator, "--refresh", *QUICK)
    assert done.code in (5, 75), done
    assert "Toloka's list of threads could not be had" in done.err
    assert reached(emulator) == []
    assert posts(emulator, "/compose") == 1
