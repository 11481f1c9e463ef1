"""`at_most`: ten first, then the rest; what is held is told with its number."""

from __future__ import annotations

import json
from html import unescape

import pytest
from support import Project, direct, reached, threads, tolokers

from runner.emulator import Emulator

from .talk import QUICK, answer, asked, fail, per_row, planned, sent_ok, spec

PEOPLE = tolokers(130)


def ten_first(at_most: int, people: list[str] | None = None) -> str:
    return direct(*(people or PEOPLE), extra=f"at_most: {at_most}\n")


def held(project: Project) -> int:
    """How many Tolokers the last run's results call held."""
    entries = [e for e in project.results()["deliveries"] if e["status"] == "held"]
    return sum(len(each["recipients_ids"]) for each in entries)


def known_held(project: Project, emulator: Emulator) -> list[str]:
    shown = project.run("status", "--target", emulator.url).out
    return [line for line in shown.splitlines() if line.startswith("held back:")]


def test_ten_go_first_and_the_rest_when_the_line_is_raised(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/bonus.yaml", ten_first(10))
    dry = planned(project, emulator, "--summary", "summary.md", "--out", "plan.json")
    lines = dry.out.splitlines()
    assert lines[1] == "  would send 1 thread to 10 Tolokers"
    assert "  held back (120 Tolokers): `at_most` is 10" in lines
    summary = unescape((project.root / "summary.md").read_text())
    assert "- held back (120 Tolokers): `at_most` is 10" in summary.splitlines()
    (entry,) = json.loads((project.root / "plan.json").read_text())["messages"]
    assert (entry["recipients"], entry["skipped"]) == (10, {"held": 120})
    for statuses in ({"sent": 1, "held": 2}, {"already_sent": 1, "held": 2}):
        assert sent_ok(project, emulator) == statuses
        assert (reached(emulator), held(project)) == (PEOPLE[:10], 120)
        assert project.results()["action_needed"] is False
        assert known_held(project, emulator) == ["held back: bonus from 120 Tolokers"]
    # Somebody more than approved is a new line, and a new plan.
    project.write("messages/bonus.yaml", ten_first(105))
    assert project.send(emulator, *QUICK, "--plan", "plan.json").code == 3
    sent_ok(project, emulator)
    assert (reached(emulator), held(project)) == (PEOPLE[:105], 25)
    project.write("messages/bonus.yaml", direct(*PEOPLE))
    sent_ok(project, emulator)
    assert (reached(emulator), held(project)) == (PEOPLE, 0)
    assert known_held(project, emulator) == []


def test_whom_it_reached_counts_for_its_revision_whatever_the_list_says_now(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/bonus.yaml", ten_first(2, ["ann", "bob", "cyd"]))
    sent_ok(project, emulator)
    project.write("messages/bonus.yaml", ten_first(3, ["dan", "cyd", "bob"]))
    sent_ok(project, emulator)
    assert reached(emulator) == ["ann", "bob", "dan"]
    project.write("messages/bonus.yaml", ten_first(1, ["cyd", "bob"]) + "revision: 2\n")
    sent_ok(project, emulator)
    assert reached(emulator) == ["ann", "bob", "cyd", "dan"]


def test_a_refused_one_keeps_its_place_in_the_file_s_order(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.csv", "toloker_id\nann\nbob\ncyd\n")
    project.write("messages/a.yaml", per_row("a.csv", "Hi {{ row.toloker_id }}", at_most=2))
    fail(emulator, "at=1,kind=400")
    assert project.send(emulator, *QUICK, "--jobs", "1").code == 4
    assert reached(emulator) == ["bob"]
    sent_ok(project, emulator)
    assert reached(emulator) == ["ann", "bob"]


@pytest.mark.parametrize("kind", ["accepted-then-500", "500"])
def test_what_may_have_been_sent_counts_and_what_was_not_does_not(
    project: Project, emulator: Emulator, kind: str
) -> None:
    project.write("messages/first.yaml", direct("zoe", text="Hello"))
    sent_ok(project, emulator)
    project.write("messages/bonus.yaml", ten_first(10))
    fail(emulator, f"kind={kind}", "on=list,kind=no-has-more,after=2")
    assert project.send(emulator, *QUICK).code == 5
    fail(emulator)
    sent_ok(project, emulator)
    assert reached(emulator) == [*PEOPLE[:10], "zoe"]


def test_a_lost_manifest_does_not_begin_to_count_anew(project: Project, emulator: Emulator) -> None:
    project.write("messages/bonus.yaml", ten_first(10))
    sent_ok(project, emulator)
    project.manifest(emulator).unlink()
    sent_ok(project, emulator)
    assert reached(emulator) == PEOPLE[:10]
    assert known_held(project, emulator) == ["held back: bonus from 120 Tolokers"]


def test_rows_are_counted_by_their_tolokers(project: Project, emulator: Emulator) -> None:
    rows = "".join(f"{each},{letter}\n" for each in ("ann", "bob", "cyd") for letter in "xy")
    project.write("messages/a.csv", f"toloker_id,letter\n{rows}")
    form = per_row("a.csv", "{{ row.letter }}", key="{{ row.letter }}", at_most=2)
    project.write("messages/a.yaml", form)
    assert sent_ok(project, emulator) == {"sent": 4, "held": 2}
    assert reached(emulator) == ["ann", "ann", "bob", "bob"]


def test_replies_are_counted_by_whoever_reads_the_thread(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/one.yaml", per_row("a.csv", "Hi"))
    project.write("messages/a.csv", "toloker_id\nann\nbob\n")
    project.write("messages/many.yaml", direct("cyd", "dan", text="Hello"))
    sent_ok(project, emulator)
    for to, wanted in (("one", 1), ("many", 0)):
        project.write(f"messages/{to}-r.yaml", spec(reply_to=to, text={"EN": "More"}, at_most=1))
        dry = planned(project, emulator, f"messages/{to}-r.yaml", "-v")
        assert "  held back (1 thread): `at_most` is 1" in dry.out
        done = sent_ok(project, emulator, f"messages/{to}-r.yaml")
        assert (done.get("sent", 0), done["held"]) == (wanted, 1)


def test_reminders_are_held_too(project: Project, emulator: Emulator) -> None:
    project.write("messages/bonus.yaml", direct("ann", "bob", "cyd"))
    sent_ok(project, emulator)
    (thread,) = threads(emulator)
    answer(emulator, thread["id"], "ann")
    form = {"topic": {"EN": "x"}, "text": {"EN": "y"}, "recipients_select_type": "DIRECT"}
    origin = {"message": "bonus", "answered": False}
    project.write("messages/r.yaml", spec(**form, recipients_from=origin, at_most=1))
    dry = planned(project, emulator, "messages/r.yaml", "--out", "plan.json")
    assert "would send to up to 1 Toloker" in dry.out
    done = sent_ok(project, emulator, "messages/r.yaml", "--plan", "plan.json")
    assert (done, held(project)) == ({"sent": 1, "held": 1}, 1)
    found = [each["compose_details"] for each in threads(emulator) if each["topic"]["EN"] == "x"]
    assert [each["recipients_ids"] for each in found] == [["bob"]]
    status = json.loads(asked(project, "status", emulator, "--format", "json").out)
    assert [each["held"] for each in status["messages"]] == [0, 1]
