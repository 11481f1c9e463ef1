"""What goes wrong on the way, seen from outside: exit codes, results, and the token nowhere."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from conftest import StartEmulator, StartScripted
from jsonschema import Draft7Validator
from scripted import Raw, Request, answer
from support import (
    THANKS,
    TOKEN,
    TOLOKER,
    Project,
    Result,
    calls,
    control,
    direct,
    load_schema,
    reached,
    threads,
    tolokers,
)

from runner.emulator import Emulator

SETTLE = ("--settle", "0.3")


@pytest.fixture(autouse=True)
def _the_token_is_nowhere(project: Project) -> Iterator[None]:
    """After each of these, no file that the runner wrote holds the token."""
    yield
    for path, content in project.files().items():
        assert TOKEN.encode() not in content, path


def sent(project: Project, target: Emulator | str, *args: str, **env: str) -> Result:
    """Send with results, and check everything that holds whatever goes wrong."""
    shown = project.send(target, "--results", "results.json", *args, **env)
    assert TOKEN not in shown.out + shown.err
    assert "Traceback" not in shown.err
    document = project.results()
    validator = Draft7Validator(load_schema("results"))
    assert [error.message for error in validator.iter_errors(document)] == []
    assert document["exit_code"] == shown.code
    return shown


def statuses(project: Project) -> dict[str, int]:
    summary: dict[str, int] = project.results()["summary"]
    return summary


# --- 2: the token ---------------------------------------------------------------------------------


@pytest.mark.some(2)
@pytest.mark.parametrize("kind", ["401", "403"])
@pytest.mark.parametrize("on", ["list", "compose"])
def test_a_refused_token_is_2(
    kind: str, on: str, project: Project, start_emulator: StartEmulator
) -> None:
    emulator = start_emulator()
    control(emulator, "faults", {"faults": [f"kind={kind},on={on}"]})
    project.write("messages/a.yaml", direct(*tolokers(500)))
    shown = sent(project, emulator, "--jobs", "1")
    assert shown.code == 2
    assert f"HTTP {kind}" in shown.err
    # Every other call would be refused alike, so one is enough.
    assert len(calls(emulator)) == (1 if on == "list" else 4)
    assert threads(emulator) == []
    control(emulator, "faults", {"faults": []})
    assert sent(project, emulator).code == 0
    assert reached(emulator) == tolokers(500)


# --- 4: Toloka says no ----------------------------------------------------------------------------


def test_a_refused_message_is_4_at_the_line_that_is_to_blame(
    project: Project, emulator: Emulator
) -> None:
    control(emulator, "faults", {"faults": ["kind=400,at=1"]})
    project.write("messages/a.yaml", THANKS)
    project.write("messages/b.yaml", direct("x"))
    shown = sent(project, emulator, "--jobs", "1")
    assert shown.code == 4
    assert "messages/a.yaml:4:3: error: Toloka refused text: " in shown.err
    assert statuses(project) == {"rejected": 1, "sent": 1}
    (refused,) = [each for each in project.results()["deliveries"] if each["status"] == "rejected"]
    assert refused["error"].startswith("HTTP 400 VALIDATION_ERROR: ")
    assert refused["thread_id"] is None
    # Refused means that nothing was sent, so the next run tries it again.
    assert sent(project, emulator).code == 0
    assert reached(emulator) == sorted([TOLOKER, "x"])


def test_a_bad_recipient_costs_nobody_else_the_message(
    project: Project, start_emulator: StartEmulator
) -> None:
    bad = {"toloker-0007", "toloker-0150"}
    emulator = start_emulator(refuse=bad)
    project.write("messages/a.yaml", direct(*tolokers(220)))
    shown = sent(project, emulator)
    assert shown.code == 4
    assert set(reached(emulator)) == set(tolokers(220)) - bad
    assert len(reached(emulator)) == 218
    refused = [each for each in project.results()["deliveries"] if each["status"] == "rejected"]
    assert {tuple(each["recipients_ids"]) for each in refused} == {(each,) for each in bad}
    assert "messages/a.yaml:4:1: error: Toloka refused recipients_ids" in shown.err or (
        "messages/a.yaml:5:3: error: Toloka refused recipients_ids" in shown.err
    )
    again = sent(project, emulator)
    assert again.code == 4
    assert len(reached(emulator)) == 218


def test_a_filter_that_matches_nobody_is_done(project: Project, emulator: Emulator) -> None:
    control(emulator, "faults", {"faults": ["kind=incorrect-recipients"]})
    condition = "{category: profile, key: country, operator: EQ, value: US}"
    project.write(
        "messages/a.yaml",
        f"topic: {{EN: x}}\ntext: {{EN: y}}\nrecipients_select_type: FILTER\nrecipients_filter: {condition}\n",
    )
    assert sent(project, emulator).code == 0
    assert statuses(project) == {"no_recipients": 1}
    assert sent(project, emulator).code == 0
    assert len(calls(emulator, "compose")) == 1


# --- 5 and 0: what is not known -------------------------------------------------------------------


@pytest.mark.some(2)
@pytest.mark.parametrize(
    "kind",
    ["500", "502-html", "503", "504", "408", "reset", "empty", "no-id", "not-json", "truncated"],
)
def test_what_was_accepted_though_the_answer_was_lost_is_found(
    kind: str, project: Project, emulator: Emulator
) -> None:
    control(emulator, "faults", {"faults": [f"every=2,kind=accepted-then-{kind}"]})
    project.write("messages/a.yaml", direct(*tolokers(400)))
    shown = sent(project, emulator, *SETTLE)
    assert shown.code == 0, shown.err
    assert reached(emulator) == tolokers(400)
    assert len(calls(emulator, "compose")) == 4
    assert sum(statuses(project).values()) == 4


def test_what_was_not_accepted_is_tried_again_after_looking(
    project: Project, emulator: Emulator
) -> None:
    control(emulator, "faults", {"faults": ["kind=500,at=1"]})
    project.write("messages/a.yaml", THANKS)
    assert sent(project, emulator, *SETTLE).code == 5
    # It is believed once the list has shown something of this account, and by a later run.
    form = {"topic": {"EN": "x"}, "text": {"EN": "x"}, "recipients_select_type": "DIRECT"}
    control(emulator, "put", {**form, "recipients_ids": ["x"], "answerable": True})
    shown = sent(project, emulator, *SETTLE)
    assert shown.code == 0, shown.err
    assert sorted(reached(emulator)) == sorted([TOLOKER, "x"])
    names = [call["path"].rsplit("/")[-1] for call in calls(emulator)]
    second = len(names) - 1 - names[::-1].index("compose")
    assert "message-threads" in names[names.index("compose") + 1 : second], (
        "tried again without looking"
    )
    assert [event["event"] for event in project.events(emulator)].count("not_found") == 1


def test_what_stays_unknown_is_5_and_is_settled_by_the_next_run(
    project: Project, emulator: Emulator
) -> None:
    control(emulator, "faults", {"faults": ["kind=accepted-then-500", "kind=500,on=list,after=3"]})
    project.write("messages/a.yaml", THANKS)
    shown = sent(project, emulator, *SETTLE)
    assert shown.code == 5
    assert statuses(project) == {"unknown": 1}
    assert "list" in shown.err
    control(emulator, "faults", {"faults": []})
    status = project.run("status", "--target", emulator.url)
    assert "unknown: a to " in status.out
    shown = sent(project, emulator, *SETTLE)
    assert shown.code == 0
    assert reached(emulator) == [TOLOKER]
    assert statuses(project) in ({"adopted": 1}, {"sent": 1})


def test_a_lost_manifest_is_no_second_mailing(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", direct(*tolokers(150)))
    assert sent(project, emulator).code == 0
    project.manifest(emulator).unlink()
    shown = sent(project, emulator)
    assert shown.code == 0
    assert statuses(project) == {"adopted": 2}
    assert "(adopted)" in shown.out
    assert "Nothing new was sent" in shown.out
    assert reached(emulator) == tolokers(150)


# --- 75: later ------------------------------------------------------------------------------------


def test_a_daily_limit_leaves_the_rest_for_later(
    project: Project, start_emulator: StartEmulator
) -> None:
    emulator = start_emulator(daily_limit=2)
    project.write("messages/a.yaml", direct(*tolokers(450)))
    shown = sent(project, emulator, "--jobs", "1")
    assert shown.code == 75
    assert statuses(project)["sent"] == 2
    assert "limit of 2" in shown.err
    assert len(reached(emulator)) == 200


def test_a_429_that_passes_is_waited_for(project: Project, emulator: Emulator) -> None:
    control(emulator, "faults", {"faults": ["kind=429,at=1,interval=MIN,retry_after=0"]})
    project.write("messages/a.yaml", THANKS)
    assert sent(project, emulator).code == 0
    assert [call["status"] for call in calls(emulator, "compose")] == [429, 201]


def test_a_429_that_would_take_longer_than_ten_minutes_is_75_at_once(
    project: Project, emulator: Emulator
) -> None:
    control(emulator, "faults", {"faults": ["kind=429,retry_after=601"]})
    project.write("messages/a.yaml", THANKS)
    shown = sent(project, emulator)
    assert shown.code == 75
    assert "TOO_MANY_REQUESTS" in shown.err
    assert len(calls(emulator, "compose")) == 1
    assert threads(emulator) == []


def test_nobody_there_is_75_and_nothing_is_recorded_as_sent(project: Project) -> None:
    project.write("messages/a.yaml", THANKS)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        shown = sent(project, f"http://127.0.0.1:{closed.getsockname()[1]}", *SETTLE)
    assert shown.code == 75
    assert statuses(project) == {"not_tried": 1}
    assert "Toloka's list of threads could not be had" in shown.err


def test_a_server_that_fails_on_and_on_is_an_outage(project: Project, emulator: Emulator) -> None:
    control(emulator, "faults", {"faults": ["kind=503"]})
    project.write("messages/a.yaml", direct(*tolokers(6000)))
    shown = sent(project, emulator, "--jobs", "1", *SETTLE)
    assert shown.code == 5, shown.err
    assert "stopped: HTTP 503" in shown.err
    assert len(calls(emulator, "compose")) == 20
    assert threads(emulator) == []
    control(emulator, "faults", {"faults": []})
    assert sent(project, emulator, *SETTLE).code == 0
    assert reached(emulator) == tolokers(6000)


# --- the token, whatever a server says ------------------------------------------------------------


def _echo(request: Request) -> Raw:
    said = request.headers["Authorization"]
    return answer(400, {"code": said, "message": said, "payload": {said: {"message": said}}})


def _echo_on_compose(request: Request) -> Raw:
    return (
        _echo(request)
        if request.method == "POST"
        else answer(200, {"items": [], "has_more": False})
    )


def _thread_that_echoes(request: Request) -> Raw:
    if request.method == "GET":
        return answer(200, {"items": [], "has_more": False})
    said = request.headers["Authorization"]
    return answer(
        201,
        {
            "id": "63c15866757a4a1adad1d632",
            "topic": {"EN": said},
            "created": said,
            "interlocutors": [{"id": "me", "myself": True}],
        },
    )


@pytest.mark.parametrize("serve", [_echo, _echo_on_compose, _thread_that_echoes])
def test_a_server_that_echoes_the_token_does_not_get_it_printed_or_kept(
    serve: object, project: Project, start_scripted: StartScripted
) -> None:
    server = start_scripted(serve)
    project.write("messages/a.yaml", THANKS)
    shown = sent(project, server.url, "--settle", "0")
    assert shown.code in (0, 2, 4, 5, 75)
    assert server.requests


def test_a_redirect_does_not_carry_the_token_to_another_host(
    project: Project, start_scripted: StartScripted
) -> None:
    other = start_scripted([answer(200, {"items": [], "has_more": False})])
    here = start_scripted([answer(307, b"", {"Location": f"{other.url}/x"})])
    project.write("messages/a.yaml", THANKS)
    shown = sent(project, here.url, "--settle", "0")
    assert shown.code == 2
    assert "correct the target's URL" in shown.err
    assert other.requests == []
    assert here.requests


def test_a_bug_keeps_its_traceback_and_hides_the_token(project: Project) -> None:
    project.write("messages/a.yaml", THANKS)
    # A template cannot see a token, and the name of a file may be one.
    shown = project.run("plan", f"gone-{TOKEN}.yaml", TOLOKA_TOKEN=TOKEN)
    assert shown.code == 2
    assert TOKEN not in shown.out + shown.err
    assert "gone-***.yaml: no such file or folder" in shown.err


# --- the results file -----------------------------------------------------------------------------


def test_results_that_cannot_be_written_stop_the_run_before_anything_is_sent(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", THANKS)
    project.write("file", "")
    for name in ("file/results.json", "messages"):
        shown = project.send(emulator, "--results", name)
        assert shown.code == 2
        assert f"{name} cannot be written" in shown.err
    assert calls(emulator) == []


def test_a_manifest_that_cannot_be_written_stops_the_run(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", THANKS)
    project.write("results", "a file where the folder should be")
    shown = sent(project, emulator)
    assert shown.code == 2
    assert calls(emulator, "compose") == []


def test_the_manifest_of_another_account_is_refused(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", direct("x"))
    assert sent(project, emulator).code == 0
    project.write("messages/b.yaml", direct("y"))
    shown = sent(project, emulator, TOLOKA_ACT_UNDER_ACCOUNT_ID="other")
    assert shown.code == 2
    assert "is the manifest of the token's own account" in shown.err
