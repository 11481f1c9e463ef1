"""`stop`: nothing more is sent, and what has gone is told as `recipients_from` takes it."""

from __future__ import annotations

import json
import os
import time

import pytest
from support import TIMEOUT_S, TOKEN, Project, calls, direct, ended, reached

from runner.emulator import Emulator

from .talk import QUICK, fail, per_row, planned, reply, sent_ok, spec


def stopped(project: Project, emulator: Emulator, *args: str) -> list[str]:
    done = project.run("stop", *args, "--target", emulator.url)
    assert done.code == 0, done
    return done.out.splitlines()


def test_what_has_gone_is_listed_ready_to_be_written_to(
    project: Project, emulator: Emulator
) -> None:
    everybody = {"topic": {"EN": "All"}, "text": {"EN": "All"}, "recipients_select_type": "ALL"}
    project.write("messages/all.yaml", spec(**everybody))
    sent_ok(project, emulator)
    project.write("messages/rows.yaml", per_row("a.csv", "Hi"))
    project.write("messages/a.csv", "toloker_id\nann\nbob\n")
    sent_ok(project, emulator)
    project.write("messages/r.yaml", reply("rows"))
    sent_ok(project, emulator)
    project.write("messages/bonus/may.yaml", direct("ann", "bob", "cyd", extra="revision: 2\n"))
    sent_ok(project, emulator)
    project.write("messages/late.yaml", direct("dan", text="Hello"))
    fail(emulator, "kind=accepted-then-500", "on=list,kind=no-has-more,after=3")
    assert project.send(emulator, *QUICK).code == 5
    fail(emulator)
    told = stopped(project, emulator, "--reason", "the bonus is wrong")
    name = emulator.url
    assert told == [
        f"nothing more is sent to {name}, until `stop --lift --target {name}`",
        "what has gone cannot be called back:",
        "recipients_from: {message: late, revision: 1}  # 0 Tolokers, and 1 unknown",
        "recipients_from: {message: bonus/may, revision: 2}  # 3 Tolokers",
        "r, revision: 1: replies, without a list",
        "recipients_from: {message: rows, revision: 1}  # 2 Tolokers",
        "all, revision: 1: by ALL, without a list",
    ]
    refused = project.send(emulator, *QUICK)
    assert (refused.code, "the bonus is wrong" in refused.err) == (2, True), refused
    assert f"`message-runner stop --lift --target {name}` ends that" in refused.err
    shown = planned(project, emulator, "--format", "json")
    for said in (shown.err, json.loads(shown.out)["stopped"]):
        assert "the bonus is wrong" in said
    stopped(project, emulator, "--lift")
    sent_ok(project, emulator)


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps two writers apart")
def test_a_run_that_is_sending_sees_it_as_it_writes_next(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct("ann"))
    sent_ok(project, emulator)
    project.write("messages/rows.yaml", per_row("a.csv", "Hi"))
    project.write("messages/a.csv", "toloker_id\n" + "".join(f"t{n}\n" for n in range(20)))
    slowly = ("--rate", "4", "--jobs", "1", *QUICK)
    sender = project.start("send", "--target", emulator.url, *slowly, TOLOKA_TOKEN=TOKEN)
    until_s = time.monotonic() + TIMEOUT_S
    while len(calls(emulator, "/compose")) < 2:
        assert time.monotonic() < until_s
    stopped(project, emulator, "--reason", "it is wrong")
    done = ended(sender)
    assert (done.code, "stopped all sending" in done.err) == (75, True), done
    assert len(reached(emulator)) < 10
    assert project.send(emulator, *QUICK).code == 2
    stopped(project, emulator, "--lift")
    sent_ok(project, emulator)
    assert len(reached(emulator)) == 21
