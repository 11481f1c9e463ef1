"""What is in doubt is settled by the server's list, and by nothing that is not certain."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from conversation.talk import per_row
from support import IS_THOROUGH, control, threads

from runner.emulator import Emulator
from runner.errors import ExitCode

from .world import World, people, world

LOST = "kind=accepted-then-500"
FAILED = "kind=500"
FILTER = {"and": [{"category": "skill", "key": "224", "operator": "GTE", "value": 80}]}
TO_ALL: dict[str, Any] = {"recipients_select_type": "ALL", "recipients_ids": None}
FILTERED: dict[str, Any] = {
    "recipients_select_type": "FILTER",
    "recipients_ids": None,
    "recipients_filter": FILTER,
}


def statuses(it: World, name: str = "results.json") -> Counter[str]:
    document = json.loads((it.root / name).read_text())
    return Counter(each["status"] for each in document["deliveries"])


# The list


@pytest.mark.parametrize("fault", [LOST, FAILED])
def test_one_list_serves_all_that_is_in_doubt(tmp_path: Path, fault: str) -> None:
    with world(tmp_path, settle_s=0.3) as it:
        it.write("z", "t0")
        assert it.send().code == 0
        before = it.calls("list")
        it.faults(f"times=8,{fault}")
        it.write("a", *people(900))
        assert it.run(jobs=1).exit_code == ExitCode.DONE
        # Catching up, the anchor, a first look, and where something was not there two more.
        assert it.calls("list") - before == (3 if fault == LOST else 5)
        it.check_all_reached()


def test_a_thread_that_the_list_shows_late_is_found_by_the_second_look(tmp_path: Path) -> None:
    with world(tmp_path, f"at=1,{LOST}", list_lag_ms=600) as it:
        it.settle_s = 0.9
        it.write("a", "t1", "t2")
        result = it.send("--results", "results.json")
        assert result.code == 0, result.err
        assert it.calls("compose") == 1
        assert statuses(it) == {"sent": 1}
        it.check_all_reached()


def test_threads_beyond_the_first_page_are_seen(tmp_path: Path) -> None:
    with world(tmp_path, f"at=1,{LOST}") as it:
        # Others' threads, so new that the list has them before ours.
        control(it.emulator, "seed", {"count": 320})
        it.write("a", "t1")
        it.write("b", "t2")
        assert it.run(jobs=1).exit_code == ExitCode.DONE
        assert it.calls("compose") == 2
        # Two pages and two of them again to catch up with, the anchor, and two to look through.
        assert it.calls("list") == 2 + 2 + 1 + 2
        it.manifest.unlink()
        assert it.run().exit_code == ExitCode.DONE
        assert it.calls("compose") == 2
        assert len(it.claimed()) == 2


@pytest.mark.parametrize(
    "kind", ["503", "reset", "no-has-more"] if IS_THOROUGH else ["no-has-more"]
)
def test_without_the_list_nothing_is_sent_and_nothing_concluded(tmp_path: Path, kind: str) -> None:
    with world(tmp_path, f"on=list,kind={kind}") as it:
        it.write("a", "t1")
        result = it.send()
        assert result.code == ExitCode.LATER
        assert "list" in result.err
        assert it.calls("compose") == 0
        # Two looks from the beginning and the anchor are had, and nothing after that.
        it.faults(f"{FAILED}", f"on=list,after=3,kind={kind}")
        assert it.send().code == ExitCode.UNKNOWN
        assert it.calls("compose") == 1
        it.faults(f"on=list,kind={kind}")
        it.write("b", "t2")
        assert it.send().code == ExitCode.UNKNOWN
        assert it.calls("compose") == 1
        it.faults()
        # The second message shows that the list has what this account composes.
        assert it.send_until_done() == [0]
        it.check_all_reached()
        # Also where nothing is left to send: what somebody else has sent has not been looked for.
        it.faults(f"on=list,kind={kind}")
        assert it.send().code == ExitCode.LATER


def test_a_token_refused_while_looking_does_not_hide_what_was_sent(tmp_path: Path) -> None:
    with world(tmp_path, f"at=2,{LOST}", "on=list,after=3,kind=401") as it:
        it.jobs = 1
        for name in ("a", "b", "c"):
            it.write(name, "t1")
        result = it.send("--results", "results.json")
        assert result.code == ExitCode.SURROUNDINGS
        assert statuses(it) == {"sent": 2, "unknown": 1}
        it.faults()
        assert it.send_until_done() == [0]
        it.check_all_reached()


# What may be claimed


def test_a_thread_of_another_delivery_is_not_claimed(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("a", "t1", "t2")
        assert it.run().exit_code == ExitCode.DONE
        it.write("a", "t1", "t2", revision=2)
        it.faults(f"times=1,{FAILED}")
        # Nothing was sent after the failure: the run that saw it does not believe in it.
        assert [it.run().exit_code for _ in range(2)] == [ExitCode.UNKNOWN, ExitCode.DONE]
        assert it.reached() == {("a", "t1"): 2, ("a", "t2"): 2}
        assert len(set(it.claimed())) == 2


@pytest.mark.parametrize("faults", [[LOST], [FAILED], [f"at=1,{LOST}", f"at=2,{FAILED}"]])
def test_messages_with_one_content_are_told_apart(tmp_path: Path, faults: list[str]) -> None:
    with world(tmp_path, *(f"times=2,{fault}" for fault in faults)) as it:
        it.write("z", "t0")
        it.write("may", "t1", "t2", topic="Bonus")
        it.write("june", "t1", "t2", topic="Bonus")
        while it.run().exit_code != ExitCode.DONE:
            assert it.calls("compose") < 9
        assert it.reached() == {("z", "t0"): 1, ("Bonus", "t1"): 2, ("Bonus", "t2"): 2}
        assert len(set(it.claimed())) == 3


def test_a_child_thread_is_nobodys_delivery(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("a", "t1", "t2")
        it.write("z", "t9")
        child = it.compose("a", "t1", "t2")
        it.edit_store("UPDATE threads SET parent_id = 'b', toloker_id = 't1' WHERE id = ?", child)
        it.faults(f"at=1,{FAILED}")
        assert it.run(jobs=1).exit_code == ExitCode.DONE
        # The child is no proof that the message went out, neither at first nor in doubt.
        assert it.reached() == {("a", "t1"): 2, ("a", "t2"): 2, ("z", "t9"): 1}
        assert child not in it.claimed()


def test_answers_do_not_hide_a_thread(tmp_path: Path) -> None:
    with world(tmp_path, f"times=1,{LOST}") as it:
        it.write("a", "t1")
        it.write("b", "t1", "t2")
        assert it.run().exit_code == ExitCode.DONE
        for thread in threads(it.emulator):
            answer = {"thread_id": thread["id"], "toloker_id": "t1", "text": {"EN": "And now?"}}
            control(it.emulator, "answer", answer)
        it.manifest.unlink()
        assert it.run().exit_code == ExitCode.DONE
        assert it.calls("compose") == 2
        it.check_all_reached()


# What is in doubt


SHARING = [
    pytest.param("a", ("Hello", "t2", "t9"), {}, id="a Toloker"),
    pytest.param("b", ("Hello",), FILTERED, id="a filter"),
    pytest.param("c", ("Hello",), TO_ALL, id="all"),
]


@pytest.mark.parametrize("fault", [LOST, FAILED])
@pytest.mark.parametrize(("name", "other", "changes"), SHARING)
def test_a_thread_that_shares_somebody_puts_it_in_doubt(
    tmp_path: Path, name: str, other: tuple[str, ...], changes: dict[str, Any], fault: str
) -> None:
    with world(tmp_path, daily_all_limit=0) as it:
        it.write("a", "t1", "t2")
        it.write("b", filtered=True)
        it.write("c")
        it.wanted = {each for each in it.wanted if each[0] == name}
        path = it.root / "messages" / f"{name}.yaml"
        sharing = it.compose(*other, **changes)
        it.faults(f"times=1,{fault}")
        messages = it.messages(path)
        report = it.run(messages)
        if fault == LOST:
            # There is its own thread as well, so nothing is in doubt.
            assert report.exit_code == ExitCode.DONE
            assert sharing not in it.claimed()
            return
        assert report.exit_code == ExitCode.UNKNOWN
        assert it.calls("compose") == 2
        (unknown,) = it.unknown()
        lists = it.calls("list")
        report = it.run(messages)
        assert (report.exit_code, it.unknown()) == (ExitCode.UNKNOWN, [unknown])
        assert report.results[0].status == "in_doubt"
        said = str(report.results[0].error)
        assert f"thread {sharing} may be it" in said
        assert f"message-runner resolve {unknown} --sent {sharing}" in said
        # What only a person can settle is not looked for again.
        assert (it.calls("compose"), it.calls("list")) == (2, lists + 1)
        assert it.command("resolve", unknown[:6], "--not-sent").code == 0
        assert it.run(messages).exit_code == ExitCode.DONE
        assert it.calls("compose") == 3
        assert sharing not in it.claimed()


def test_who_is_in_doubt_does_not_hold_up_the_others(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        leave_in_doubt(it, FAILED, "t1", "t2", "t3")
        it.compose("a", "t2")
        it.write("b", "t2", "t4")
        # One thread reached one of them: that is adopted, and the two others are written to.
        assert it.run().exit_code == ExitCode.DONE
        it.check_all_reached()


# A server that does not give back what it was given


def write_untidy(it: World) -> None:
    """Four messages, of every kind, whose texts a server may tidy up."""
    text = " First\nsecond\n"
    it.write("a", "t0", text=text)
    it.write("b", "t1", "t2", text=text)
    it.write("c", filtered=True, text=text)
    it.write("d", text=text)
    it.jobs = 1


@pytest.mark.parametrize("fault", [LOST, FAILED])
@pytest.mark.parametrize("echo", ["trimmed", "crlf"])
def test_a_text_that_comes_back_tidied_is_known_again(
    tmp_path: Path, echo: str, fault: str
) -> None:
    with world(tmp_path, f"at=2+3,{fault}", echo=echo) as it:
        write_untidy(it)
        assert it.run_until_done() == [0]
        it.check_all_reached()
        it.manifest.unlink()
        it.check_sends_nothing_more()
        it.check_all_reached()


# By hand, and without sending


def leave_in_doubt(it: World, fault: str, *ids: str) -> None:
    """Leave a message in doubt: its run could not look."""
    it.write("z", "t0")
    assert it.run().exit_code == ExitCode.DONE
    it.write("a", *ids)
    it.faults(fault, "on=list,after=2,kind=no-has-more")
    assert it.run().exit_code == ExitCode.UNKNOWN
    it.faults()
    assert len(it.unknown()) == 1


@pytest.mark.parametrize("fault", [LOST, FAILED])
def test_status_refresh_settles_without_sending(tmp_path: Path, fault: str) -> None:
    with world(tmp_path) as it:
        leave_in_doubt(it, fault, "t1")
        plain = it.command("status")
        assert plain.code == 0
        assert f"message-runner resolve {it.unknown()[0]}" in plain.out
        before = it.calls("compose")
        refreshed = it.command("status", "--refresh", *it.speed)
        assert refreshed.code == 0, refreshed.err
        assert it.calls("compose") == before
        assert it.unknown() == []
        assert it.lines()[-2]["event"] == ("sent" if fault == LOST else "not_found")
        assert it.send().code == 0
        it.check_all_reached()


def test_status_refresh_does_not_conclude_from_what_is_in_doubt(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        leave_in_doubt(it, FAILED, "t1")
        it.compose("Hello", "t1")
        assert it.command("status", "--refresh", *it.speed).code == ExitCode.UNKNOWN
        assert len(it.unknown()) == 1


@pytest.mark.parametrize("fault", [LOST, FAILED])
def test_resolve_takes_a_persons_word(tmp_path: Path, fault: str) -> None:
    with world(tmp_path) as it:
        leave_in_doubt(it, fault, "t1")
        (unknown,) = it.unknown()
        if fault == LOST:
            (thread,) = (each for each in threads(it.emulator) if each["topic"]["EN"] == "a")
            said = it.command("resolve", unknown, "--sent", thread["id"])
        else:
            said = it.command("resolve", unknown[:8], "--not-sent")
        assert said.code == 0, said.err
        assert it.unknown() == []
        lists = it.calls("list")
        assert it.send_until_done() == [0]
        # Nothing was in doubt any more: one list to catch up, and the anchor of what is sent.
        assert it.calls("list") == lists + (1 if fault == LOST else 2)
        it.check_all_reached()


def test_resolve_refuses_what_it_cannot_know(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("z", "t0")
        assert it.run().exit_code == ExitCode.DONE
        (claimed,) = it.claimed()
        others = it.compose("b", "t7")
        leave_in_doubt(it, LOST, "t1")
        (unknown,) = it.unknown()
        before = it.manifest.read_bytes()
        refused = {
            ("zz", "--not-sent"): "no delivery in doubt is called zz",
            (unknown, "--sent", claimed): "belongs to another delivery",
            (unknown, "--sent", "63c15866"): "--sent takes a thread id",
            (unknown, "--sent", "63c15866757a4a1adad1d632"): "Toloka's list has no thread 63c1",
            (unknown, "--sent", others): "went to others",
            (unknown, "--sent"): "say which thread it is: a to t1",
            (unknown,): "--sent THREAD_ID or --not-sent",
            (unknown, "--not-sent", "--sent", "5"): "--sent THREAD_ID or --not-sent",
            (unknown, "--message", "a", "--not-sent"): "DELIVERY or --message",
            ("--message", "zz", "--not-sent"): (
                f"nothing of zz is in doubt: see `message-runner status --target {it.url}`"
            ),
            ("--message", "a", "--sent", others): "each delivery has its own thread",
        }
        for arguments, said in refused.items():
            result = it.command("resolve", *arguments)
            assert result.code == ExitCode.SURROUNDINGS, arguments
            assert said in result.err
        assert it.manifest.read_bytes() == before


def test_what_has_a_thread_is_settled_together_and_the_rest_is_named(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.jobs = 1
        it.write("a", *people(150))
        it.faults(FAILED)
        assert it.send().code == ExitCode.UNKNOWN
        it.faults()
        thread = it.compose("other", people(150)[0])
        it.faults(FAILED)
        assert it.send().code == ExitCode.UNKNOWN
        first, second = it.unknown()
        result = it.command("resolve", "--message", "a", "--sent")
        assert result.code == ExitCode.UNKNOWN, result
        assert f"resolve {second} --sent THREAD_ID" in result.err
        assert (it.unknown(), thread in it.claimed()) == ([second], True)
        result = it.command("resolve", "--message", "a", "--sent")
        assert (result.code, it.unknown()) == (ExitCode.SURROUNDINGS, [second]), first


def test_one_thread_is_not_two_letters(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        (it.root / "messages" / "rows.csv").write_text("toloker_id,name,amount\nt1,a,1\nt1,b,2\n")
        (it.root / "messages" / "a.yaml").write_text(per_row("rows.csv", key="{{ row.name }}"))
        thread = it.compose("Your bonus", "t1", text={"EN": "a gets 1!"})
        assert it.run().exit_code == ExitCode.UNKNOWN
        first, _ = it.unknown()
        assert it.command("resolve", "--message", "a", "--sent").code == ExitCode.SURROUNDINGS
        assert it.command("resolve", first, "--sent", thread).code == 0
        assert (it.run().exit_code, it.reached()["Your bonus", "t1"]) == (ExitCode.DONE, 2)


def test_resolve_wants_a_prefix_that_means_one(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        leave_in_doubt(it, FAILED, "t1")
        (line,) = (each for each in it.lines() if each.get("delivery") == it.unknown()[0])
        twin = {**line, "delivery": line["delivery"][:-1] + "x"}
        with it.manifest.open("a") as stream:
            stream.write(json.dumps(twin) + "\n")
        result = it.command("resolve", line["delivery"][:-1], "--not-sent")
        assert result.code == ExitCode.SURROUNDINGS
        assert "2 deliveries in doubt start with" in result.err
        assert it.command("resolve", line["delivery"], "--not-sent").code == 0
        assert it.unknown() == [twin["delivery"]]


# Whose messages these are


def test_a_manifest_of_another_account_is_refused(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("a", "t1")
        assert it.run().exit_code == ExitCode.DONE
        first, port = it.emulator, int(it.emulator.url.rpartition(":")[2])
        first.stop()
        it.write("b", *people(500))
        with Emulator(tmp_path / "other.sqlite", port=port, rate_limit=0) as it.emulator:
            # The list is empty, and that tells already that it is another's.
            result = it.send()
            assert result.code == ExitCode.SURROUNDINGS
            assert "knows 1 threads, and the token's account has none" in result.err
            control(it.emulator, "seed", {"count": 1, "from": "toloker"})
            result = it.send()
            assert result.code == ExitCode.SURROUNDINGS
            assert f"account {first.account}" in result.err
            assert it.calls("compose") == 0


# Catching up


def test_a_lost_manifest_is_caught_up_with_whichever_message_is_sent(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("a", "t1")
        it.write("b", "t2")
        assert it.run().exit_code == ExitCode.DONE
        (b,) = (each["id"] for each in threads(it.emulator) if each["topic"]["EN"] == "b")
        hour_ms = 3_600_000
        it.edit_store("UPDATE threads SET created_ms = created_ms - ? WHERE id = ?", hour_ms, b)
        it.manifest.unlink()
        for name in ("a", "b"):
            report = it.run(it.messages(it.root / "messages" / f"{name}.yaml"))
            assert report.exit_code == ExitCode.DONE
        assert it.calls("compose") == 2
        it.check_all_reached()


def test_a_message_that_an_older_commit_lacks_is_caught_up_with_later(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("a", "t1")
        assert it.run().exit_code == ExitCode.DONE
        older = it.manifest.read_bytes()
        it.write("b", "t2")
        assert it.run().exit_code == ExitCode.DONE
        written = (it.root / "messages" / "b.yaml").read_bytes()
        # The job is run again on the older commit, which adds somebody else and knows no b.
        it.manifest.write_bytes(older)
        (it.root / "messages" / "b.yaml").unlink()
        it.write("a", "t1", "t3")
        assert it.run().exit_code == ExitCode.DONE
        hours_ms = 3_600_000
        it.edit_store("UPDATE threads SET created_ms = created_ms - ?", hours_ms)
        (it.root / "messages" / "b.yaml").write_bytes(written)
        assert it.run().exit_code == ExitCode.DONE
        it.check_all_reached()


def test_catching_up_tells_what_it_adopted(tmp_path: Path) -> None:
    with world(tmp_path) as it:
        it.write("a", *people(150))
        it.write("b", filtered=True)
        assert it.run().exit_code == ExitCode.DONE
        it.manifest.unlink()
        result = it.send("--results", "results.json")
        assert result.code == 0, result.err
        assert statuses(it) == {"adopted": 3}
        assert "adopted" in result.out
        it.check_sends_nothing_more()
