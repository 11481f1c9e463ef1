"""`for_each` with `reply_to` or `thread_id`: each Toloker is answered by name."""

from __future__ import annotations

import csv
import io

import pytest
from support import Project, direct, threads

from runner.emulator import Emulator

from .talk import QUICK, answer, asked, complaints, per_row, planned, posts, said, sent_ok, spec

WORDS = "Dear {{ row.name }}, {{ row.words }}"


def by_name(file: str = "a.csv", text: str = WORDS, **keys: object) -> str:
    return spec(**{"reply_to": "bonus", "text": {"EN": text}, "for_each": file, **keys})


def bonus(project: Project, emulator: Emulator, shape: str) -> dict[str, str]:
    """Write to ann, bob and cyd, in threads of their own or in one; gives where each answers."""
    if shape == "rows":
        project.write("messages/bonus.yaml", per_row("people.csv", "Hi {{ row.toloker_id }}"))
        project.write("messages/people.csv", "toloker_id\nann\nbob\ncyd\n")
    elif shape == "batch":
        project.write("messages/bonus.yaml", direct("ann", "bob", "cyd", text="Hi"))
    else:
        everybody = {"topic": {"EN": "Hi"}, "text": {"EN": "Hi"}, "recipients_select_type": "ALL"}
        project.write("messages/bonus.yaml", spec(**everybody))
    sent_ok(project, emulator)
    found: dict[str, str] = {}
    for each in threads(emulator):
        for toloker in each["compose_details"].get("recipients_ids", ("ann", "bob", "cyd")):
            found[toloker] = each["id"]
    return found


def rows(*people: str) -> str:
    return "toloker_id,name,words\n" + "".join(f"{each},{each.title()},hello\n" for each in people)


def replies_in(emulator: Emulator) -> dict[str, list[str]]:
    """Our replies by thread: whatever is neither the first message nor an answer."""
    return {
        thread: found
        for thread, texts in said(emulator).items()
        if (found := [text for text in texts if text.startswith("Dear")])
    }


@pytest.mark.some(2)
@pytest.mark.parametrize("is_kept", [False, True])
@pytest.mark.parametrize("shape", ["rows", "batch", "all"])
def test_a_row_goes_into_its_toloker_s_own_thread_once(
    project: Project, emulator: Emulator, shape: str, is_kept: bool
) -> None:
    where = bonus(project, emulator, shape)
    own = {each: answer(emulator, where[each], each) for each in ("ann", "cyd")}
    project.write("messages/thanks.yaml", by_name())
    project.write("messages/a.csv", rows("cyd", "ann"))
    dry = planned(project, emulator, "messages/thanks.yaml", "--out", "plan.json")
    would = {
        "rows": "  would send 2 replies in the Tolokers' own threads of bonus",
        "batch": "  would send up to 2 replies in the Tolokers' own threads of bonus: only Toloka can tell who answered bonus",
    }
    assert dry.out.splitlines()[1] == would.get(shape, would["batch"])
    assert "      | Dear Cyd, hello" in dry.out.splitlines()
    plan = ("--plan", "plan.json") if is_kept else ()
    for sent in (2, 0):
        summary = sent_ok(project, emulator, "messages/thanks.yaml", *plan)
        assert summary == ({"sent": 2} if sent else {"already_sent": 2})
    wanted = {own["ann"]: ["Dear Ann, hello"], own["cyd"]: ["Dear Cyd, hello"]}
    assert replies_in(emulator) == wanted
    # A plan that asks nobody knows that it is done.
    assert "already sent" in planned(project, emulator, "messages/thanks.yaml").out
    assert project.run("preview", "--target", emulator.url).code == 0


@pytest.mark.parametrize("shape", ["rows", "batch"])
def test_a_lost_manifest_answers_nobody_twice(
    project: Project, emulator: Emulator, shape: str
) -> None:
    where = bonus(project, emulator, shape)
    answer(emulator, where["ann"], "ann")
    project.write("messages/thanks.yaml", by_name())
    project.write("messages/a.csv", rows("ann"))
    sent_ok(project, emulator)
    before = replies_in(emulator)
    project.manifest(emulator).unlink()
    sent_ok(project, emulator)
    assert sent_ok(project, emulator).keys() == {"already_sent"}
    assert (replies_in(emulator), posts(emulator, "/reply")) == (before, 1)


def test_a_row_of_somebody_without_a_thread_is_refused(
    project: Project, emulator: Emulator
) -> None:
    bonus(project, emulator, "rows")
    project.write("messages/thanks.yaml", by_name())
    project.write("messages/a.csv", rows("ann", "dan", "eve"))
    hint = 'remove the row, or write `thread_id: "{{ row.thread_id }}"`, as `replies` names it'
    wanted = (
        "messages/thanks.yaml:3:11: error: row 3: dan has no thread of their own of bonus, "
        f"and 1 more row like it; {hint}"
    )
    for done in (planned(project, emulator), project.send(emulator, *QUICK)):
        assert (done.code, wanted in complaints(done.err)) == (3, True), done
    assert replies_in(emulator) == {}


def test_who_shares_a_thread_and_has_not_answered_has_none(
    project: Project, emulator: Emulator
) -> None:
    where = bonus(project, emulator, "batch")
    answer(emulator, where["ann"], "ann")
    project.write("messages/thanks.yaml", by_name())
    project.write("messages/a.csv", rows("ann", "bob"))
    done = project.send(emulator, *QUICK)
    assert (done.code, "row 3: bob has no thread of their own" in done.err) == (3, True), done
    assert replies_in(emulator) == {}


def test_who_is_suppressed_needs_no_thread_and_one_reply_does_not_hide_another(
    project: Project, emulator: Emulator
) -> None:
    where = bonus(project, emulator, "batch")
    project.write("stop.txt", "bob\n")
    project.write("runner.yaml", "suppress: stop.txt\n")
    project.write("messages/thanks.yaml", by_name())
    project.write("messages/a.csv", rows("bob"))
    for wanted in (True, False):
        dry = planned(project, emulator, "messages/thanks.yaml", "--results", "results.json")
        assert (dry.code, project.results()["summary"]) == (0, {"suppressed": 1}), dry
        assert project.results()["action_needed"] is wanted
        assert sent_ok(project, emulator, "messages/thanks.yaml") == {"suppressed": 1}
    answer(emulator, where["ann"], "ann")
    project.write("messages/a.csv", rows("ann"))
    sent_ok(project, emulator)
    answer(emulator, where["cyd"], "cyd")
    project.write("messages/a.csv", rows("ann", "bob", "cyd"))
    assert "would send up to 1 reply" in planned(project, emulator).out
    assert sent_ok(project, emulator)["sent"] == 1


def test_two_threads_of_one_toloker_are_told_apart_by_the_thread(
    project: Project, emulator: Emulator
) -> None:
    bonus(project, emulator, "rows")
    project.write("messages/bonus.yaml", per_row("people.csv", "Once more", revision=2))
    sent_ok(project, emulator)
    project.write("messages/thanks.yaml", by_name())
    project.write("messages/a.csv", rows("ann"))
    done = planned(project, emulator)
    assert (done.code, "row 2: ann has 2 threads of bonus" in done.err) == (3, True), done


def test_answers_are_exported_a_column_is_written_and_each_is_answered_by_name(
    project: Project, emulator: Emulator
) -> None:
    where = bonus(project, emulator, "batch")
    own = {each: answer(emulator, where[each], each, f"I am {each}") for each in ("ann", "bob")}
    answer(emulator, where["bob"], "bob", "=and\nmore")
    table = asked(project, "replies", emulator, "--format", "csv").out
    header, *found = csv.reader(io.StringIO(table, newline=""))
    assert header == ["toloker_id", "thread_id", "message", "answer", "answered_at"]
    told = [(row[:3], row[3].replace("\r\n", "\n")) for row in found]
    assert told == [
        (["ann", own["ann"], "bonus"], "I am ann"),
        (["bob", own["bob"], "bonus"], "I am bob\n'=and\nmore"),
    ]
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([[*header, "words"], *([*row, f"{row[0]}!"] for row in found)])
    project.write("messages/a.csv", stream.getvalue())
    form = {"text": {"EN": "Dear {{ row.words }}"}, "for_each": "a.csv"}
    project.write("messages/thanks.yaml", spec(thread_id="{{ row.thread_id }}", **form))
    planned(project, emulator, "--out", "plan.json")
    for sent in (2, 0):
        assert sent_ok(project, emulator, "--plan", "plan.json").get("sent", 0) == sent
    assert replies_in(emulator) == {own["ann"]: ["Dear ann!"], own["bob"]: ["Dear bob!"]}


def test_a_row_s_words_go_into_no_thread_of_several(project: Project, emulator: Emulator) -> None:
    where = bonus(project, emulator, "batch")
    project.write("messages/a.csv", f"thread_id\n{where['ann']}\n")
    form = {"text": {"EN": "Dear Ann"}, "for_each": "a.csv"}
    project.write("messages/thanks.yaml", spec(thread_id="{{ row.thread_id }}", **form))
    done = planned(project, emulator)
    wanted = (
        f"messages/thanks.yaml:1:12: error: row 2: thread {where['ann']} is that of 3 Tolokers; "
        "a row's words are for one: write the thread in which that one answered"
    )
    assert (done.code, complaints(done.err)) == (3, [wanted])


THREAD = "0" * 24
# The message, the rows, and the one complaint.
WRONG: dict[str, tuple[dict[str, object], str, str]] = {
    "one Toloker twice": (
        {"reply_to": "bonus"},
        "toloker_id\nAnn\nann\n",
        "a.yaml:3:11: error: one Toloker is in two rows: messages/a.csv:2 and messages/a.csv:3; "
        "say all of it in one row",
    ),
    "one thread twice": (
        {"thread_id": "{{ row.thread }}"},
        f"toloker_id,thread\nann,{THREAD}\nbob,{THREAD}\n",
        "a.yaml:1:12: error: one thread is in two rows: messages/a.csv:2 and messages/a.csv:3; "
        "say all of it in one row",
    ),
    "no column": (
        {"reply_to": "bonus"},
        "name,who\nx!,ann\n",
        "a.csv:1:1: error: the header has no column toloker_id; "
        "the column who holds ids: name that one",
    ),
    "no id": (
        {"reply_to": "bonus"},
        "toloker_id\nTotal\n",
        "a.yaml:3:11: error: this is not an id: it is a word (row messages/a.csv:2); "
        "an id has 1 to 64 letters, digits, - and _, and nothing around it",
    ),
    "a key": (
        {"reply_to": "bonus", "key": "{{ row.name }}"},
        "toloker_id,name\nann,x\n",
        "a.yaml:2:1: error: `key` does not go with `reply_to`; "
        "remove it, a reply has only `text`; or remove `reply_to`",
    ),
    "a choice": (
        {"reply_to": "bonus", "only_answered": True},
        "toloker_id\nann\n",
        "a.yaml:2:1: error: `only_answered` does not go with `for_each`; "
        "remove it: the rows say who is answered",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_row_of_replies_may_not_be(project: Project, name: str) -> None:
    keys, data, wanted = WRONG[name]
    project.write("messages/bonus.yaml", direct("ann"))
    project.write("messages/a.csv", data)
    project.write("messages/a.yaml", spec(**keys, text={"EN": "Dear you"}, for_each="a.csv"))
    done = project.run("validate")
    assert (done.code, complaints(done.out)) == (3, [f"messages/{wanted}"])
