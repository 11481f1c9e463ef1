from __future__ import annotations

import pytest
from support import Project, direct, threads

from runner.emulator import Emulator

from .talk import QUICK, fail, posts, reply, sent_ok


def folders(emulator: Emulator) -> list[list[str]]:
    return [sorted(each["folders"]) for each in threads(emulator)]


def test_what_was_sent_is_put_into_its_folders_and_that_is_recorded(
    project: Project, emulator: Emulator
) -> None:
    ids = [f"t{number:03}" for number in range(101)]
    project.write("messages/a.yaml", direct(*ids, extra="folders: [IMPORTANT]\n"))
    sent_ok(project, emulator)
    assert folders(emulator) == [["IMPORTANT", "OUTBOX"]] * 2
    recorded = [each for each in project.events(emulator) if each["event"] == "folders"]
    assert sorted(each["thread_id"] for each in recorded) == [e["id"] for e in threads(emulator)]
    assert [each["folders"] for each in recorded] == [["IMPORTANT"]] * 2
    sent_ok(project, emulator)
    assert posts(emulator, "/add-to-folders") == 2


def test_a_folder_named_later_is_no_reason_to_send_and_only_it_is_added(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct("ann"))
    sent_ok(project, emulator)
    for named in ("[IMPORTANT]", "[IMPORTANT, UNREAD]", "[UNREAD]"):
        project.write("messages/a.yaml", direct("ann", extra=f"folders: {named}\n"))
        assert sent_ok(project, emulator) == {"already_sent": 1}
    assert folders(emulator) == [["IMPORTANT", "OUTBOX", "UNREAD"]]
    recorded = [e["folders"] for e in project.events(emulator) if e["event"] == "folders"]
    assert recorded == [["IMPORTANT"], ["UNREAD"]]
    assert (posts(emulator, "/compose"), posts(emulator, "/add-to-folders")) == (1, 2)


def test_a_reply_puts_its_thread_into_a_folder(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", direct("ann"))
    sent_ok(project, emulator)
    assert folders(emulator) == [["OUTBOX"]]
    project.write("messages/r.yaml", reply("a", folders=["IMPORTANT"]))
    sent_ok(project, emulator)
    assert folders(emulator) == [["IMPORTANT", "OUTBOX"]]


def test_what_cannot_be_filed_was_sent_all_the_same_and_is_filed_by_the_next_run(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct("ann", extra="folders: [IMPORTANT]\n"))
    fail(emulator, "on=folders,kind=404")
    done = project.send(emulator, "--results", "results.json", *QUICK)
    assert (done.code, project.results()["summary"]) == (4, {"sent": 1})
    assert "could not be put into their folders: 1: HTTP 404 DOES_NOT_EXIST" in done.err
    assert folders(emulator) == [["OUTBOX"]]
    # A daily limit is not knocked at again by this run, nor is a token that was refused.
    for fault, code in (("429,interval=DAY", 75), ("401", 2)):
        before = posts(emulator, "/add-to-folders")
        fail(emulator, f"on=folders,kind={fault}")
        assert project.send(emulator, *QUICK).code == code
        assert posts(emulator, "/add-to-folders") == before + 1
    fail(emulator)
    assert sent_ok(project, emulator) == {"already_sent": 1}
    assert folders(emulator) == [["IMPORTANT", "OUTBOX"]]
    assert posts(emulator, "/compose") == 1


@pytest.mark.dear
def test_folders_that_are_refused_one_after_the_other_are_not_asked_for_for_each(
    project: Project, emulator: Emulator
) -> None:
    extra = "folders: [IMPORTANT]\n"
    for number in range(60):
        project.write(f"messages/{number}.yaml", direct(f"t{number}", extra=extra))
    fail(emulator, "on=folders,kind=503")
    done = project.send(emulator, "--jobs", "2", *QUICK)
    assert done.code == 75, done.err
    assert "could not be put into their folders: 60" in done.err
    assert posts(emulator, "/compose") == 60
    # Twenty of them, each as often as one is tried, and what the other worker was at.
    assert 20 <= posts(emulator, "/add-to-folders") <= 3 * 21
