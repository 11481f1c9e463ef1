"""A project from Python: planned, sent once, told of; the same words and promises as the command's."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from html import unescape
from pathlib import Path

import pytest
from conftest import StartEmulator
from jsonschema import Draft7Validator
from support import (
    TOKEN,
    TOLOKER,
    Project,
    calls,
    control,
    direct,
    load_schema,
    reached,
    threads,
    tolokers,
)

import runner
from runner.api.plan import Expected
from runner.api.shown import Listing
from runner.emulator import Emulator
from runner.errors import ExitCode

THANKS = runner.Message(
    id="thank-you",
    topic={"EN": "Thank you!"},
    text={"EN": "Amazing job! We have just trained our first model."},
    recipients_ids=[TOLOKER],
)


@pytest.fixture(autouse=True)
def _token(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLOKA_TOKEN", TOKEN)
    project.write("runner.yaml", "defaults: {settle: 0.05}\n")


def test_a_message_without_a_file_is_sent_once(project: Project) -> None:
    it = runner.project("local", project.root)
    plan = it.plan(THANKS)
    assert [(each.status, each.source) for each in plan] == [("planned", 'Message("thank-you")')]
    report = plan.send()
    report.check()
    assert re.fullmatch("[0-9a-f]{24}", str(report[0].thread_id))
    assert (report[0].topic["EN"], report[0].status) == ("Thank you!", "sent")
    for again in (plan, it.plan(THANKS)):
        assert [each.status for each in again.send()] == ["already_sent"]
    # It never had a file, so none is gone.
    project.write("messages/other.yaml", direct(TOLOKER, topic="Thank you!"))
    assert not it.plan().warnings


def test_a_result_says_what_the_command_says(
    project: Project, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    project.write("messages/a.yaml", direct("t1", "t2", topic="1 < 2"))
    it = runner.project(emulator.url)
    plan = it.plan()
    assert repr(plan).startswith(project.run("plan", "--target", emulator.url).out.rstrip())
    assert f"target: {emulator.url}\nmanifest: " in repr(plan)
    report = plan.send(expect=2)
    manifest = project.manifest(emulator).relative_to(project.root)
    assert repr(report).splitlines()[-2:] == [
        *(f"target: {emulator.url}", f"1 sent; manifest: {manifest}"),
    ]
    status = project.run("status", "--target", emulator.url).out.splitlines()
    assert repr(it.status()).splitlines()[:-2] == status[:-1]
    for shown in (plan, report, it.status(), it.toloker("t1"), it.replies()):
        html = shown._repr_html_()
        assert "<script" not in unescape(html).lower()
        assert "1 < 2" not in html
    assert '<iframe sandbox="" srcdoc="' in plan._repr_html_()
    assert repr(it).endswith(f"manifest: {manifest}")


def test_a_table_of_very_many_is_cut_with_a_word() -> None:
    many = Listing([{"toloker": f"<t{number}>"} for number in range(102)], ["102 sent"])
    assert many._repr_html_().count("<tr>") == 101
    assert "&lt;t99&gt;</td></tr></table><p>… and 2 more: to_dicts() has all</p>" in (
        many._repr_html_()
    )


def test_what_a_result_turns_into_is_in_the_results_schema(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct("t1", "t2"))
    plan = runner.project(emulator.url, project.root).plan()
    schema = load_schema("results")
    entry = {
        **schema["properties"]["deliveries"]["items"],
        "definitions": schema.get("definitions", {}),
    }
    for entries in (plan.to_dicts(), plan.send(expect=2).to_dicts()):
        assert len(entries) == 1
        Draft7Validator(entry).validate(entries[0])


@pytest.mark.some(2)
@pytest.mark.parametrize("expect", [None, 1, 3, "2", "unknown"])
def test_nobody_is_written_to_by_surprise(
    project: Project, emulator: Emulator, expect: Expected | None
) -> None:
    project.write("messages/a.yaml", direct("t1", "T1", "t2"))
    plan = runner.project(emulator.url, project.root).plan()
    with pytest.raises(runner.SurroundingsError, match=r"reach 2 Tolokers.*send\(expect=2\)"):
        plan.send(expect=expect)
    assert not calls(emulator, "compose")


def test_what_is_expected_is_the_same_before_and_after(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct(*tolokers(150)))
    it = runner.project(emulator.url, project.root)
    assert it.plan().tolokers == 150
    first = it.plan().send(expect=150, limit=1)
    with pytest.raises(runner.Unfinished, match="not tried") as unfinished:
        first.check()
    assert (first.exit_code, unfinished.value.exit_code) == (ExitCode.DONE, ExitCode.LATER)
    assert it.plan().tolokers == 150
    it.plan().send(expect=150).check()
    it.plan().send(expect=150).check()
    assert reached(emulator) == tolokers(150)


def test_whom_only_toloka_knows_is_expected_as_unknown(
    project: Project, emulator: Emulator
) -> None:
    condition = {"category": "skill", "key": "224", "operator": "GTE", "value": 80}
    texts = {"EN": "You can do harder tasks now."}
    it = runner.project(emulator.url, project.root)
    for message in (
        runner.Message(id="skilled", topic=texts, text=texts, recipients_filter=condition),
        runner.Message(id="all", topic=texts, text=texts, recipients_select_type="ALL"),
    ):
        with pytest.raises(runner.SurroundingsError, match=r"expect='unknown'"):
            it.plan(message).send(expect=1)
        for _ in range(2):
            it.plan(message).send(expect="unknown").check()
    kinds = [each["compose_details"]["recipients_select_type"] for each in threads(emulator)]
    assert sorted(kinds) == ["ALL", "FILTER"]


def test_a_plan_sends_what_it_shows_or_nothing(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", direct("t1", text="As it was."))
    it = runner.project(emulator.url, project.root)
    plan = it.plan()
    project.write("messages/a.yaml", direct("t1", "t2", text="As it is now."))
    plan.send(expect=1).check()
    assert [each["messages"][0]["text"] for each in control(emulator, "threads")] == [
        {"EN": "As it was."}
    ]
    # What another run did meanwhile is left out; another manifest is another plan.
    stale = it.plan()
    project.manifest(emulator).unlink()
    with pytest.raises(runner.MessagesError, match="this plan: error: "):
        stale.send(expect=2)


def test_what_is_in_doubt_is_looked_for_by_the_next_call(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct("t1"))
    project.write("messages/b.yaml", direct("t2"))
    control(emulator, "faults", {"faults": ["on=compose,times=1,kind=accepted-then-500"]})
    it = runner.project(emulator.url, project.root)
    it.plan().send(expect=2)
    report = it.plan().send(expect=2)
    report.check()
    assert reached(emulator) == ["t1", "t2"]


def test_a_test_goes_to_one_and_changes_nothing(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", direct("t1", "t2"))
    it = runner.project(emulator.url, project.root)
    it.plan().send(test_to="me").check()
    with pytest.raises(runner.SurroundingsError, match="one Toloker id"):
        it.plan().send(test_to="you and me")
    it.plan().send(expect=2).check()
    assert reached(emulator) == ["me", "t1", "t2"]


def test_what_is_told_afterwards(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", direct("t1", "t2"))
    project.write("messages/b.yaml", direct("t1", topic="Again", text="More."))
    it = runner.project(emulator.url, project.root)
    assert repr(it.status()).startswith("nothing was sent")
    report = it.plan().send(expect=2)
    answer = {
        "thread_id": report[0].thread_id,
        "toloker_id": "t1",
        "text": {"EN": "You are welcome"},
    }
    control(emulator, "answer", answer)
    [reply] = it.replies(to="a")
    assert (reply["toloker"], reply["text"]) == ("t1", "You are welcome")
    assert not it.replies(to="b")
    assert not it.replies(since=datetime(2999, 1, 1, tzinfo=timezone.utc))
    assert [each["message"] for each in it.toloker("T1")] == ["a", "b"]
    assert [each["message"] for each in it.toloker("t2")] == ["a"]
    it.plan(it.message("a")).send(test_to="t2")
    assert [(each["message"], each.get("test")) for each in it.toloker("t2")] == [
        *(("a", None), ("a", True)),
    ]
    assert [each["status"] for each in it.status(refresh=True).to_dicts()] == ["sent", "sent"]


def test_a_stop_refuses_every_send(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", direct("t1"))
    it = runner.project(emulator.url, project.root)
    it.stop("the amounts are wrong")
    with pytest.raises(runner.SurroundingsError, match="the amounts are wrong"):
        it.plan().send(expect=1)
    project.run("stop", "--lift", "--target", emulator.url)
    it.plan().send(expect=1).check()


WRONG: list[tuple[dict[str, object], str, str]] = [
    ({"text": {"EN": "Hi {{ nmae }}"}}, 'Message("m").text["EN"]', '"nmae" is not defined'),
    ({"text": {"en": "Hi"}}, 'Message("m").text["en"]', "write EN"),
    ({"recipients_ids": ["a b"]}, 'Message("m").recipients_ids[0]', "is not an id"),
    ({"recipients_ids": [12]}, 'Message("m").recipients_ids', "an id is text"),
    ({"recipients_ids": None}, 'Message("m")', "recipients_select_type"),
    ({"not_after": datetime(2026, 5, 1)}, 'Message("m").not_after', "zone"),  # noqa: DTZ001  (no zone)
    ({"variables": {"x": object()}}, 'Message("m").variables', "nothing that a file can hold"),
    (
        {"rows": [{"toloker_id": "1"}], "text": {"EN": "Hi {{ row.nmae }}"}},
        'Message("m").text["EN"]',
        "nmae",
    ),
    ({"rows": [{"toloker_id": 1}]}, 'rows[0]["toloker_id"]', "an id is text"),
    ({"columns": {"a": "number"}}, 'Message("m").columns', "for_each"),
    ({"revision": 0}, 'Message("m").revision', "1"),
]


@pytest.mark.some(2)
@pytest.mark.parametrize(("keys", "where", "words"), WRONG)
def test_what_is_wrong_with_a_message_has_the_address_of_its_value(
    project: Project, keys: dict[str, object], where: str, words: str
) -> None:
    values = {
        "id": "m",
        "topic": {"EN": "Hi"},
        "text": {"EN": "Hi"},
        "recipients_ids": ["t1"],
        **keys,
    }
    if "en" in str(keys.get("text")):
        values["topic"] = {"en": "Hi"}
    with pytest.raises(runner.MessagesError) as failed:
        runner.project("local", project.root).plan(runner.Message(**values))  # type: ignore[arg-type]
    found = [str(each) for each in failed.value.problems]
    assert any(each.startswith(f"{where}: error: ") and words in each for each in found), found
    assert isinstance(failed.value, runner.RunnerError)


def test_a_message_without_a_file_takes_rows_and_what_a_file_takes(project: Project) -> None:
    message = runner.Message(
        id="bonus",
        topic={"EN": "Your bonus"},
        text={"EN": "{{ who }} sends you {{ row.amount|money('USD') }} by {{ due|date }}."},
        recipients_ids=["{{ row.toloker_id }}"],
        rows=({"toloker_id": each, "amount": 1.5} for each in ("t1", "t2")),
        columns={"amount": "number"},
        variables={"who": "Ann", "due": datetime(2026, 5, 1, tzinfo=timezone.utc).date()},
        not_before=datetime(2026, 1, 1, tzinfo=timezone.utc),
        answerable=False,
    )
    it = runner.project("local", project.root)
    assert "Ann sends you $1.50 by " in repr(it.plan(message))
    # The rows were an iterator, and can be planned again all the same.
    it.plan(message).send(expect=2).check()
    project.write("messages/bonus.yaml", direct("t1"))
    with pytest.raises(runner.MessagesError, match=r'the id "bonus" is also that of'):
        it.plan(message)


def test_reviewed_holds_for_what_a_program_gives(project: Project, emulator: Emulator) -> None:
    project.write("runner.yaml", "policy: {reviewed: main}\n")
    with pytest.raises(
        runner.MessagesError, match=r'Message\("thank-you"\): .*nobody has reviewed'
    ):
        runner.project(emulator.url, project.root).plan(THANKS).send(expect=1)
    assert not calls(emulator, "compose")


def test_what_stands_in_the_way_is_raised(project: Project, tmp_path: Path) -> None:
    with pytest.raises(runner.SurroundingsError, match="there is no target"):
        runner.project("prodution", project.root)
    assert runner.RunnerError("any").problems == ()
    with pytest.raises(runner.SurroundingsError, match=r'"bonus" is no message: give project\.'):
        runner.project("local", project.root).plan("bonus")  # type: ignore[arg-type]
    with pytest.raises(runner.SurroundingsError, match="name a target"):
        runner.project("", project.root)
    with pytest.raises(runner.SurroundingsError, match="no messages"):
        runner.project("local", tmp_path).message("a")


def in_a_thread(call: Callable[[], object]) -> None:
    failed: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001  (raised by whoever waits)
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert not failed


async def while_a_loop_runs(call: Callable[[], object]) -> None:
    call()


def test_any_thread_may_call_it_and_nothing_of_the_process_changes(
    project: Project, emulator: Emulator, capfd: pytest.CaptureFixture[str]
) -> None:
    project.write("messages/a.yaml", direct("t1"))
    it = runner.project(emulator.url, project.root)

    def state() -> object:
        return (
            [*map(signal.getsignal, signal.valid_signals())],
            Path.cwd(),
            logging.root.handlers[:],
        )

    before = state()
    in_a_thread(lambda: it.plan().send(expect=1).check())
    project.write("messages/b.yaml", direct("t2", topic="Two"))
    asyncio.run(while_a_loop_runs(lambda: it.plan().send(expect=2).check()))
    assert reached(emulator) == ["t1", "t2"]
    assert state() == before
    assert capfd.readouterr() == ("", "")


def test_what_was_refused_is_data_with_an_address_until_it_is_checked(
    project: Project, start_emulator: StartEmulator
) -> None:
    emulator = start_emulator(refuse=["t2"])
    message = runner.Message(
        id="m",
        topic={"EN": "Hi"},
        text={"EN": "Hello"},
        recipients_ids=["{{ row.toloker_id }}"],
        rows=[{"toloker_id": "t1"}, {"toloker_id": "t2"}],
    )
    report = runner.project(emulator.url, project.root).plan(message).send(expect=2)
    assert sorted(each.status for each in report) == ["rejected", "sent"]
    with pytest.raises(runner.Unfinished, match="rejected: m to t2") as unfinished:
        report.check()
    assert unfinished.value.exit_code == ExitCode.REFUSED
    assert unfinished.value.report is report
    [problem] = report.problems
    assert str(problem).startswith('Message("m").recipients_ids: error: Toloka refused')
