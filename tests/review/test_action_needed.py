"""`action_needed` and `due_at`: what `plan` says is left to do is what `send` then does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from support import Project, control, direct, threads

from runner import clock
from runner.emulator import Emulator

QUICK = ("--settle", "0.05", "--results", "results.json")
TOMORROW = clock.written(clock.now() + timedelta(days=1))
YESTERDAY = clock.written(clock.now() - timedelta(days=1))
REPLY = 'text: {EN: "And again."}\nreply_to: a\n'


def needs(project: Project, emulator: Emulator) -> tuple[bool, str | None]:
    shown = project.run("plan", "--target", emulator.url, "--results", "results.json")
    assert shown.code == 0, shown.err
    document = project.results()
    return document["action_needed"], document["due_at"]


def send(project: Project, emulator: Emulator, code: int = 0) -> tuple[bool, str | None]:
    """Send, and give what it says is left."""
    shown = project.send(emulator, *QUICK)
    assert shown.code == code, shown.err
    document = project.results()
    return document["action_needed"], document["due_at"]


def fail(emulator: Emulator, *faults: str) -> None:
    control(emulator, "faults", {"faults": list(faults)})


NOTHING, NOW = (False, None), (True, None)


def test_what_has_to_be_sent_needs_action_and_what_was_sent_needs_none(
    project: Project, emulator: Emulator
) -> None:
    assert project.run("plan", "--results", "results.json", "--target", emulator.url).code == 2
    assert project.results()["action_needed"] is False
    project.write("messages/a.yaml", direct("ann", extra="draft: true\n"))
    assert needs(project, emulator) == NOTHING
    project.write("messages/a.yaml", direct("ann", "bob"))
    assert needs(project, emulator) == NOW
    assert send(project, emulator) == NOTHING
    assert needs(project, emulator) == NOTHING
    project.write("messages/a.yaml", direct("ann", "bob", "cyd"))
    assert project.send(emulator, *QUICK, "--test-to", "tess").code == 0
    assert project.results()["action_needed"] is True


def suppress(project: Project, _: Emulator) -> None:
    project.write("stop.txt", "bob\n")
    project.write("runner.yaml", "suppress: stop.txt\n")
    project.write("messages/a.yaml", direct("ann", "bob"))


def name_a_folder(project: Project, _: Emulator) -> None:
    project.write("messages/a.yaml", direct("ann", extra="folders: [IMPORTANT]\n"))


def fail_to_file(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", direct("ann", extra="folders: [IMPORTANT, UNREAD]\n"))
    fail(emulator, "on=folders,kind=404")
    assert send(project, emulator, 4) == NOW
    fail(emulator)


def lose_an_answer(project: Project, emulator: Emulator) -> None:
    project.write("messages/b.yaml", direct("bob", text="Well done!"))
    fail(emulator, "kind=accepted-then-500", "on=list,kind=no-has-more,after=2")
    assert send(project, emulator, 5) == NOW
    fail(emulator)


def break_off(project: Project, emulator: Emulator) -> None:
    path = project.manifest(emulator)
    lines = path.read_text().splitlines(keepends=True)
    assert '"event":"end"' in lines[-1]
    path.write_text("".join(lines[:-1]))


def refuse_one(project: Project, emulator: Emulator) -> None:
    project.write("messages/c.yaml", direct("cyd", text="Bravo!"))
    fail(emulator, "kind=400")
    assert send(project, emulator, 4) == NOW
    fail(emulator)


LEFT: list[Callable[[Project, Emulator], None]] = [
    suppress,
    name_a_folder,
    fail_to_file,
    lose_an_answer,
    break_off,
    refuse_one,
]


def test_whatever_is_left_needs_action_until_send_has_done_it(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct("ann"))
    assert send(project, emulator) == NOTHING
    for leave in LEFT:
        leave(project, emulator)
        assert needs(project, emulator) == NOW, leave
        assert send(project, emulator) == NOTHING, leave
        assert needs(project, emulator) == NOTHING, leave
        project.write("runner.yaml", "variables: {}\n")
    written = [each["event"] for each in project.events(emulator)]
    assert (written.count("suppressed"), written.count("folders")) == (1, 2)
    assert len(threads(emulator)) == 3


def test_a_window_says_when_and_a_closed_one_whom_it_missed(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct("ann"))
    send(project, emulator)
    opens = f"not_before: '{TOMORROW}'\n"
    project.write("stop.txt", "sue\n")
    project.write("runner.yaml", "suppress: stop.txt\n")
    for name, keys in (
        ("messages/b.yaml", direct("bob", "sue", topic="B", extra=opens)),
        ("messages/c.yaml", direct("bob", topic="C", extra="draft: true\n")),
        ("messages/r.yaml", REPLY + opens),
    ):
        project.write(name, keys)
        wanted = NOTHING if "draft" in keys else (True, TOMORROW)
        assert needs(project, emulator) == wanted, name
        assert send(project, emulator) == wanted, name
        (project.root / name).unlink()
    # Nobody is left out for good of what has not begun.
    assert "suppressed" not in {each["event"] for each in project.events(emulator)}
    project.write(
        "messages/a.yaml", direct("ann", "bob", "cyd", extra=f"not_after: '{YESTERDAY}'\n")
    )
    project.write("messages/r.yaml", f"{REPLY}only_answered: true\nnot_after: '{YESTERDAY}'\n")
    shown = project.run("plan", "--target", emulator.url)
    warning = "warning: the window closed before this reached 2 Tolokers"
    assert f"messages/a.yaml:8:12: {warning}" in shown.err
    assert "nothing to do for 2 messages: 1 already sent and missed, 1 missed" in shown.out
    assert needs(project, emulator) == NOTHING
    assert send(project, emulator) == NOTHING
    assert project.results()["summary"] == {"already_sent": 1, "missed": 1}
    # Who may still answer is for Toloka to tell, again and again.
    project.write("messages/r.yaml", REPLY + "only_answered: true\n")
    assert needs(project, emulator) == NOW
    assert send(project, emulator) == NOW
    assert len(threads(emulator)) == 1
