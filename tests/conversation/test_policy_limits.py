"""The policy: how many a message reaches, how many messages somebody gets, which filters may go."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from support import Project, calls, direct, reached, threads, tolokers

from runner import clock
from runner.emulator import Emulator

from .talk import QUICK, answer, complaints, fail, per_row, planned, sent_ok, spec

DAY = timedelta(days=1)


def policy(project: Project, **keys: object) -> None:
    project.write("runner.yaml", spec(policy=keys))


def say(project: Project, name: str, *people: str) -> None:
    project.write(f"messages/{name}.yaml", direct(*people, topic=name, text=f"About {name}"))


def age(project: Project, emulator: Emulator, days: float) -> None:
    """Make everything in the manifest older."""
    past = clock.written(datetime.now(timezone.utc) - days * DAY)
    events = [{**each, "at": past} for each in project.events(emulator)]
    text = "".join(json.dumps(each) + "\n" for each in events)
    project.manifest(emulator).write_text(text)


# --- how many messages somebody gets --------------------------------------------------------------


def test_one_message_too_many_is_refused_with_whom_it_is_about(
    project: Project, emulator: Emulator
) -> None:
    policy(project, max_per_toloker={"messages": 2, "days": 7})
    for name in ("a", "b"):
        say(project, name, "ann", "bob")
        sent_ok(project, emulator)
    say(project, "c", "cyd", "bob", "ANN")
    wanted = (
        "messages/c.yaml:5:3: error: the policy allows a Toloker 2 messages in 7 days, and bob "
        "would get more, and 1 more of its recipients; "
        "wait, raise `max_per_toloker`, or set its `over: later` in runner.yaml"
    )
    for done in (planned(project, emulator), project.send(emulator, *QUICK)):
        assert (done.code, complaints(done.err)[-1:]) == (3, [wanted])
    # The files alone do not tell what has gone, and when.
    assert project.run("validate").code == 0
    age(project, emulator, 7)
    sent_ok(project, emulator)
    assert "c" in {each["topic"]["EN"] for each in threads(emulator)}


def test_later_holds_whom_it_would_be_too_many_for_until_a_date(
    project: Project, emulator: Emulator
) -> None:
    policy(project, max_per_toloker={"messages": 1, "days": 7, "over": "later"})
    say(project, "a", "ann")
    sent_ok(project, emulator)
    say(project, "b", "ann", "bob")
    say(project, "c", "bob", "cyd")
    (at,) = [each["at"] for each in project.events(emulator) if each["event"] == "intent"]
    until = clock.written(clock.read(at) + 7 * DAY)
    why = f"the policy allows a Toloker 1 message in 7 days, and this goes not before {until}"
    assert f"  held back (1 Toloker): {why}" in planned(project, emulator).out.splitlines()
    done = sent_ok(project, emulator)
    assert done == {"already_sent": 1, "sent": 2, "held": 2}
    assert reached(emulator) == ["ann", "bob", "cyd"]
    results = project.results()
    assert (results["action_needed"], results["due_at"]) == (True, until)
    shown = project.run("status", "--target", emulator.url).out.splitlines()
    assert [line for line in shown if line.startswith("held back:")] == [
        "held back: b from 1 Toloker",
        "held back: c from 1 Toloker",
    ]
    age(project, emulator, 7.01)
    assert sent_ok(project, emulator)["sent"] == 2
    assert reached(emulator) == ["ann", "ann", "bob", "bob", "cyd"]
    assert sent_ok(project, emulator) == {"already_sent": 5}


def test_replies_tests_and_what_was_refused_do_not_count(
    project: Project, emulator: Emulator
) -> None:
    policy(project, max_per_toloker={"messages": 2, "days": 7})
    say(project, "a", "ann")
    fail(emulator, "at=1,kind=400")
    assert project.send(emulator, *QUICK).code == 4
    assert project.send(emulator, *QUICK, "--test-to", "ann").code == 0
    sent_ok(project, emulator)
    project.write("messages/r.yaml", spec(reply_to="a", text={"EN": "More"}))
    sent_ok(project, emulator)
    say(project, "b", "ann")
    assert sent_ok(project, emulator)["sent"] == 1


# --- how many a message reaches -------------------------------------------------------------------


def test_a_list_that_was_cut_in_two_is_counted_together(
    project: Project, emulator: Emulator
) -> None:
    policy(project, max_recipients=3)
    for name, people in (("a", ("ann", "bob")), ("b", ("cyd", "dan"))):
        project.write(f"messages/{name}.yaml", direct(*people))
    assert "this would reach 4" in planned(project, emulator).err
    sent_ok(project, emulator, "messages/a.yaml")
    assert "this would reach 4" in planned(project, emulator, "messages/b.yaml").err
    project.write("messages/b.yaml", direct("cyd", "BOB"))
    lint = 'lint: {same-words: "meant"}\n'
    project.write("messages/b.yaml", direct("cyd", "BOB", extra=lint))
    assert sent_ok(project, emulator)["sent"] == 1


def test_replies_reach_whoever_reads_the_thread(project: Project, emulator: Emulator) -> None:
    project.write("messages/many.yaml", direct("ann", "bob", "cyd"))
    project.write("messages/own.yaml", per_row("a.csv", "Hi"))
    project.write("messages/a.csv", "toloker_id\ndan\neve\n")
    sent_ok(project, emulator)
    for name, count in (("many", 3), ("own", 2)):
        project.write(f"messages/r-{name}.yaml", spec(reply_to=name, text={"EN": f"To {name}"}))
        policy(project, max_recipients=count - 1)
        done = planned(project, emulator, f"messages/r-{name}.yaml")
        wanted = f"the policy allows {count - 1} recipients a message, and this would reach {count}"
        assert (done.code, f"messages/r-{name}.yaml:1:11: error: {wanted}" in done.err) == (3, True)
        policy(project, max_recipients=count)
        sent_ok(project, emulator, f"messages/r-{name}.yaml")
    # A child thread has one reader.
    ids = {each["topic"]["EN"]: each["id"] for each in threads(emulator)}
    child = answer(emulator, ids["Thank you!"], "ann")
    project.write("messages/r-one.yaml", spec(thread_id=child, text={"EN": "To you"}))
    policy(project, max_recipients=1)
    assert sent_ok(project, emulator, "messages/r-one.yaml") == {"sent": 1}
    some = spec(reply_to="own", text={"EN": "You"}, only_answered=True, at_most=1)
    project.write("messages/r-some.yaml", some)
    assert "Would send up to 1 reply." in planned(project, emulator, "messages/r-some.yaml").out


def test_all_messages_of_a_run_together(project: Project, emulator: Emulator) -> None:
    policy(project, max_recipients_per_run=3)
    say(project, "a", "ann", "bob")
    sent_ok(project, emulator)
    say(project, "b", "ann", "cyd")
    say(project, "c", "ann", "dan")
    # Of whom a filter reaches only Toloka knows: it adds nothing.
    form = spec(topic={"EN": "F"}, text={"EN": "F"}, recipients_select_type="FILTER")
    project.write("messages/f.yaml", form + f"recipients_filter: {json.dumps(SKILL)}\n")
    wanted = (
        "messages/c.yaml:5:3: error: the policy allows 3 recipients a run, and with this it would "
        "be 4; to allow it, set `policy: {max_recipients_per_run: 4}` in runner.yaml"
    )
    assert complaints(planned(project, emulator).err) == [wanted]
    (project.root / "messages/f.yaml").unlink()
    assert sent_ok(project, emulator, "messages/b.yaml") == {"sent": 1}
    assert sent_ok(project, emulator) == {"already_sent": 2, "sent": 1}


def test_a_window_in_the_future_is_no_way_around_the_policy(project: Project) -> None:
    later = "not_before: 2999-01-01T00:00:00Z\n"
    for name, people in (("a", ("ann", "bob")), ("b", ("cyd", "dan"))):
        project.write(f"messages/{name}.yaml", direct(*people, topic=name, extra=later))
    policy(project, max_recipients=1)
    assert "this would reach 2" in project.run("validate").out
    policy(project, max_recipients_per_run=1)
    assert "it would be 2" in project.run("plan").err
    # They go in runs of their own.
    policy(project, max_recipients_per_run=2)
    assert project.run("plan").code == 0
    policy(project, allow_all=False)
    everybody = spec(topic={"EN": "A"}, text={"EN": "A"}, recipients_select_type="ALL")
    project.write("messages/all.yaml", everybody + later)
    assert "the policy forbids messages to ALL" in project.run("validate").out
    project.write("messages/all.yaml", everybody + later + "draft: true\n")
    assert project.run("validate").code == 0


# --- which filters may go -------------------------------------------------------------------------

SKILL = {"category": "skill", "key": "7", "operator": "GTE", "value": 5}
NO_SKILL = {**SKILL, "operator": "EQ", "value": None}
COUNTRY = {"category": "profile", "key": "country", "operator": "EQ", "value": "FR"}
# A filter, and whether everybody in it has a skill.
FILTERS: dict[str, tuple[dict[str, object], bool]] = {
    "bare": (SKILL, True),
    "and": ({"and": [COUNTRY, SKILL]}, True),
    "and in and": ({"and": [COUNTRY, {"and": [COUNTRY, SKILL]}]}, True),
    "beside an or": ({"and": [{"or": [COUNTRY, COUNTRY]}, SKILL]}, True),
    "no skill": ({"and": [COUNTRY]}, False),
    "a skill that nobody has": ({"and": [COUNTRY, NO_SKILL]}, False),
    "or": ({"or": [COUNTRY, SKILL]}, False),
    "or in and": ({"and": [COUNTRY, {"or": [SKILL, COUNTRY]}]}, False),
}


def test_a_limited_filter_has_a_skill_that_all_of_its_people_have(project: Project) -> None:
    texts = {"topic": {"EN": "Hi"}, "text": {"EN": "Hello"}, "recipients_select_type": "FILTER"}
    for name, (tree, _) in FILTERS.items():
        form = {"id": name.replace(" ", "-"), **texts, "recipients_filter": tree}
        project.write(f"messages/{name.replace(' ', '-')}.yaml", spec(**form))
    policy(project, allow_filter="limited")
    refused = {
        line.split(":")[0].removeprefix("messages/").removesuffix(".yaml")
        for line in complaints(project.run("validate").out)
        if "the policy allows a filter only where everybody in it has a skill" in line
    }
    assert refused == {name.replace(" ", "-") for name, (_, ok) in FILTERS.items() if not ok}
    policy(project, allow_filter=False)
    forbidden = complaints(project.run("validate").out)
    said = "error: the policy forbids messages by FILTER; to allow them, set"
    assert sum(said in line for line in forbidden) == len(FILTERS)


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("most", "tried"), [(2, 2), (9, 4)])
def test_so_many_refusals_stop_a_run(
    project: Project, emulator: Emulator, most: int, tried: int
) -> None:
    policy(project, max_refused=most)
    people = ["ann", "bob", "cyd", "dan"]
    project.write("messages/a.yaml", per_row("a.csv", "Hi {{ row.toloker_id }}"))
    project.write("messages/a.csv", "\n".join(["toloker_id", *people, ""]))
    fail(emulator, "kind=400")
    done = project.send(emulator, *QUICK, "--jobs", "1", "--results", "results.json")
    assert done.code == 4, done
    assert len(calls(emulator, "/compose")) == tried
    left = {"not_tried": 4 - tried} if tried < 4 else {}
    assert project.results()["summary"] == {"rejected": tried, **left}
    if left:
        assert "stopped: 2 refusals: the policy allows no more" in done.err
    fail(emulator)
    sent_ok(project, emulator)
    assert reached(emulator) == people


def test_what_was_about_to_go_when_too_much_was_refused_waits_for_nothing(
    project: Project, emulator: Emulator
) -> None:
    policy(project, max_refused=1)
    project.write("messages/a.yaml", per_row("a.csv", "Hi {{ row.toloker_id }}"))
    project.write("messages/a.csv", "\n".join(["toloker_id", *tolokers(8), ""]))
    fail(emulator, "kind=400")
    # At this rate the others wait for their turn.
    done = project.send(emulator, *QUICK, "--jobs", "4", "--rate", "20")
    assert done.code == 4, done
    assert len(calls(emulator, "/compose")) < 4
