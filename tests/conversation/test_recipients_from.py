"""`recipients_from`: the Tolokers whom another message reached, or the silent ones of them."""

from __future__ import annotations

import json

import pytest
from support import Project, direct, reached, threads

from runner.emulator import Emulator

from .talk import QUICK, answer, planned, sent_ok, spec


def after(message: object, topic: str = "Again", **keys: object) -> str:
    """A message to whom another one reached."""
    return spec(
        topic={"EN": topic},
        text={"EN": "One more word."},
        recipients_select_type="DIRECT",
        recipients_from={"message": message, **keys},
    )


def thread_of(emulator: Emulator, topic: str) -> str:
    (found,) = [each["id"] for each in threads(emulator) if each["topic"]["EN"] == topic]
    return str(found)


def whom(emulator: Emulator, topic: str = "Again") -> list[str]:
    """Whom the messages with this topic were sent to."""
    found = [each for each in threads(emulator) if each["topic"]["EN"] == topic]
    ids = [each["compose_details"]["recipients_ids"] for each in found if "parent_id" not in each]
    return sorted(toloker for some in ids for toloker in some)


def statuses(project: Project, message: str) -> dict[str, str | None]:
    entries = project.results()["deliveries"]
    return {each["status"]: each["error"] for each in entries if each["message"] == message}


def test_it_reaches_whom_the_other_message_reached_tests_aside(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/bonus.yaml", direct("ann", "bob"))
    project.write("messages/more.yaml", after("bonus"))
    assert project.send(emulator, *QUICK, "--test-to", "tess", "messages/bonus.yaml").code == 0
    # Whom this very run reaches, it was in no plan to write to again.
    assert sent_ok(project, emulator) == {"sent": 1, "waiting": 1}
    assert statuses(project, "more") == {"waiting": "it was in no plan yet"}
    assert sent_ok(project, emulator) == {"already_sent": 1, "sent": 1}
    assert whom(emulator) == ["ann", "bob"]
    project.write("messages/bonus.yaml", direct("ann", "bob", "cyd"))
    sent_ok(project, emulator, "messages/bonus.yaml")
    assert sent_ok(project, emulator, "messages/more.yaml") == {"already_sent": 1, "sent": 1}
    assert whom(emulator) == ["ann", "bob", "cyd"]
    assert sent_ok(project, emulator) == {"already_sent": 4}


def test_it_goes_by_one_revision_or_all(project: Project, emulator: Emulator) -> None:
    project.write("messages/bonus.yaml", direct("ann", "bob"))
    sent_ok(project, emulator)
    project.write("messages/bonus.yaml", direct("bob", "cyd", extra="revision: 2\n"))
    sent_ok(project, emulator)
    for revision, wanted in (
        (1, ["ann", "bob"]),
        (2, ["bob", "cyd"]),
        (None, ["ann", "bob", "cyd"]),
    ):
        topic = f"Again {revision}"
        keys = {"revision": revision} if revision else {}
        project.write(f"messages/more-{revision}.yaml", after("bonus", topic, **keys))
        sent_ok(project, emulator, f"messages/more-{revision}.yaml")
        assert whom(emulator, topic) == wanted


@pytest.mark.parametrize("shape", ["batch", "rows"])
def test_the_silent_ones_are_reminded_and_a_plan_says_up_to_how_many(
    project: Project, emulator: Emulator, shape: str
) -> None:
    if shape == "rows":
        form = direct("{{ row.toloker_id }}", topic="Bonus", extra="for_each: a.csv\n")
        project.write("messages/bonus.yaml", form)
        project.write("messages/a.csv", "toloker_id\nann\nbob\ncyd\n")
    else:
        project.write("messages/bonus.yaml", direct("ann", "bob", "cyd", topic="Bonus"))
    sent_ok(project, emulator)
    for each in threads(emulator):
        if "bob" in each["compose_details"]["recipients_ids"]:
            answer(emulator, each["id"], "bob")
    project.write("messages/silent.yaml", after("bonus", "Silent", answered=False))
    project.write("messages/heard.yaml", after("bonus", "Heard", answered=True))
    dry = planned(project, emulator, "--out", "plan.json")
    up_to = "  would send to up to 3 Tolokers: only Toloka can tell who answered bonus"
    assert dry.out.splitlines().count(up_to) == 2
    assert "      | One more word." in dry.out.splitlines()
    plan = ("--plan", "plan.json")
    assert sent_ok(project, emulator, *plan)["sent"] == 2
    assert (whom(emulator, "Silent"), whom(emulator, "Heard")) == (["ann", "cyd"], ["bob"])
    # Who answers later is heard too, and nobody is written to twice.
    other = "ann" if shape == "rows" else "cyd"
    spot = next(
        each["id"]
        for each in threads(emulator)
        if each["topic"]["EN"] == "Bonus" and other in each["compose_details"]["recipients_ids"]
    )
    answer(emulator, spot, other)
    assert sent_ok(project, emulator, *plan)["sent"] == 1
    assert whom(emulator, "Heard") == sorted(["bob", other])
    assert whom(emulator, "Silent") == ["ann", "cyd"]


def test_somebody_more_than_approved_is_refused_somebody_fewer_is_not(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/bonus.yaml", direct("ann", "bob"))
    sent_ok(project, emulator)
    project.write("messages/more.yaml", after("bonus"))
    planned(project, emulator, "messages/more.yaml", "--out", "plan.json")
    project.write("messages/bonus.yaml", direct("ann", "bob", "cyd"))
    sent_ok(project, emulator, "messages/bonus.yaml")
    plan = ("messages/more.yaml", "--plan", "plan.json")
    refused = project.send(emulator, *QUICK, *plan)
    assert refused.code == 3
    assert "more is not in the plan (to cyd); have the new plan reviewed" in refused.err
    assert whom(emulator) == []
    planned(project, emulator, "messages/more.yaml", "--out", "plan.json")
    project.write("nobody.txt", "bob\n")
    project.write("runner.yaml", "suppress: nobody.txt\n")
    assert sent_ok(project, emulator, *plan) == {"sent": 1, "suppressed": 1}
    assert whom(emulator) == ["ann", "cyd"]


def test_whom_the_plan_itself_reaches_by_the_other_message_waits_for_the_next_plan(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/bonus.yaml", direct("ann", "bob"))
    sent_ok(project, emulator)
    project.write("messages/bonus.yaml", direct("ann", "bob", "cyd"))
    project.write("messages/more.yaml", after("bonus"))
    planned(project, emulator, "--out", "plan.json")
    for _ in range(2):
        sent_ok(project, emulator, "--plan", "plan.json")
        assert (whom(emulator), whom(emulator, "Thank you!")) == (
            ["ann", "bob"],
            ["ann", "bob", "cyd"],
        )
    assert sent_ok(project, emulator)["sent"] == 1
    assert whom(emulator) == ["ann", "bob", "cyd"]


def test_a_limit_counts_up_to_how_many(project: Project, emulator: Emulator) -> None:
    project.write("messages/bonus.yaml", direct("ann", "bob"))
    sent_ok(project, emulator)
    project.write("runner.yaml", "policy: {max_recipients: 1}\n")
    for answered in (None, False):
        keys = {} if answered is None else {"answered": answered}
        project.write("messages/more.yaml", after("bonus", "Again", **keys))
        done = project.send(emulator, *QUICK, "messages/more.yaml")
        assert (done.code, "this would reach 2" in done.err) == (3, True), done
    assert whom(emulator) == []


@pytest.mark.parametrize("keys", [{}, {"answered": False}])
def test_a_lost_manifest_writes_to_nobody_twice(
    project: Project, emulator: Emulator, keys: dict[str, object]
) -> None:
    project.write("messages/bonus.yaml", direct("ann", "bob"))
    sent_ok(project, emulator)
    project.write("messages/more.yaml", after("bonus", "Again", **keys))
    sent_ok(project, emulator)
    for paths in (("messages/more.yaml",), ()):
        project.manifest(emulator).unlink()
        sent_ok(project, emulator, *paths)
        assert reached(emulator) == ["ann", "ann", "bob", "bob"]


def test_an_unknown_outcome_of_it_is_looked_for_and_found(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/bonus.yaml", direct("ann", "bob"))
    sent_ok(project, emulator)
    project.write("messages/more.yaml", after("bonus"))
    sent_ok(project, emulator)
    events = project.events(emulator)
    kept = [
        e
        for e in events
        if e["event"] != "sent"
        or e is not max((x for x in events if x["event"] == "sent"), key=events.index)
    ]
    project.manifest(emulator).write_text("".join(json.dumps(each) + "\n" for each in kept))
    assert sent_ok(project, emulator) == {"already_sent": 1, "adopted": 1}
    assert whom(emulator) == ["ann", "bob"]


NOBODY = "write the id of a message of yours"
IDS = "name a message that goes to Tolokers by their ids"
FILTER = {"and": [{"category": "skill", "key": "7", "operator": "GTE", "value": 5}]}
# What else is there, what is said of, and the one complaint.
WRONG: dict[str, tuple[dict[str, object], dict[str, object], str]] = {
    "gone": ({}, {"message": "bonsu"}, f'there is no message "bonsu"; {NOBODY}'),
    "itself": (
        {},
        {"message": "more"},
        "a message does not take its Tolokers from itself; "
        "name another message, or an earlier `revision` of this one",
    ),
    "filter": (
        {"recipients_select_type": "FILTER", "recipients_filter": FILTER},
        {"message": "other"},
        f"other goes by FILTER, and so has no list of Tolokers; {IDS}",
    ),
    "all": (
        {"recipients_select_type": "ALL"},
        {"message": "other"},
        f"other goes by ALL, and so has no list of Tolokers; {IDS}",
    ),
    "reply": (
        {"reply_to": "bonus", "topic": None},
        {"message": "other"},
        f"other is a reply, and so has no list of Tolokers; {IDS}",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_message_without_a_list_is_refused_at_its_line(
    project: Project, emulator: Emulator, name: str
) -> None:
    keys, origin, wanted = WRONG[name]
    form = {"topic": {"EN": "Other"}, "text": {"EN": "Words"}, **keys}
    project.write("messages/bonus.yaml", direct("ann"))
    if keys:
        project.write("messages/other.yaml", spec(**{k: v for k, v in form.items() if v}))
    project.write("messages/more.yaml", after(origin["message"]))
    done = planned(project, emulator)
    assert done.code == 3, done
    assert f"messages/more.yaml:4:30: error: {wanted}" in done.err.splitlines()


def test_the_file_may_be_gone_and_the_revision_may_be_to_come(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/bonus.yaml", direct("ann"))
    sent_ok(project, emulator)
    (project.root / "messages" / "bonus.yaml").unlink()
    project.write("messages/more.yaml", after("bonus", revision=2))
    assert sent_ok(project, emulator) == {"waiting": 1}
    assert statuses(project, "more") == {"waiting": "bonus has reached nobody yet"}
    project.write("messages/more.yaml", after("bonus"))
    assert sent_ok(project, emulator) == {"sent": 1}
