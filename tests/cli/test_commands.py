"""Every command as a process: what it prints, where, and its exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from conftest import RunCli, StartEmulator, StartScripted
from jsonschema import Draft7Validator
from scripted import Raw, Request, answer
from support import (
    THANKS,
    TOKEN,
    TOLOKER,
    Project,
    call_command,
    calls,
    control,
    direct,
    ended,
    interrupt,
    load_schema,
    reached,
    run_command,
    threads,
    tolokers,
)

import runner
from runner.emulator import Emulator
from runner.spec.schema import SCHEMA_NAMES, schema_text

THREAD_ID = "[0-9a-f]{24}"
TO_ALL = "topic: {EN: Hi}\ntext: {EN: News}\nrecipients_select_type: ALL\n"

LINES = ["manifest", "run", "anchor", "content", "intent", "sent", "account", "end"]
"""What one sent message leaves in the manifest."""


def check_results(project: Project, name: str = "results.json") -> dict[str, list[str]]:
    """Check a results file against its schema; gives the messages by status."""
    document = project.results(name)
    validator = Draft7Validator(load_schema("results"))
    assert [error.message for error in validator.iter_errors(document)] == []
    found: dict[str, list[str]] = {}
    for each in document["deliveries"]:
        found.setdefault(each["status"], []).append(each["message"])
    assert document["summary"] == {status: len(names) for status, names in found.items()}
    return found


def check_manifest(project: Project, emulator: Emulator | None = None) -> list[str]:
    """Check each line of a manifest against its schema; gives the events."""
    validator = Draft7Validator(load_schema("manifest"))
    lines = project.events(emulator)
    assert [error.message for line in lines for error in validator.iter_errors(line)] == []
    return [str(line["event"]) for line in lines]


# --- help, version, usage -------------------------------------------------------------------------


def test_the_help_names_the_commands_and_the_exit_codes(run_cli: RunCli) -> None:
    shown = run_cli("--help")
    assert (shown.code, shown.err) == (0, "")
    for name in ("validate", "plan", "send", "status", "schema", "emulator"):
        assert re.search(rf"^  {name} ", shown.out, re.MULTILINE), name
    for code in (0, 1, 2, 3, 4, 5, 75):
        assert re.search(rf"^ +{code}  ", shown.out, re.MULTILINE), code
    assert "130, 143  interrupted" in shown.out
    for part in ("Environment:", "Files:", "Examples:", "Shell completion,"):
        assert f"\n  {part}" in shown.out


COMMANDS = [
    "validate",
    "plan",
    "send",
    "preview",
    "status",
    "replies",
    "resolve",
    "import",
    "init",
    "schema",
    "emulator",
]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, run_cli: RunCli) -> None:
    shown = run_cli(name, "-h")
    assert (shown.code, shown.err) == (0, "")
    # The list of commands says the same of it, without loading it.
    listed = " ".join(run_cli("-h").out.split())
    about = " ".join(shown.out.split("\n\n")[1].split())
    first, stop, _ = about.partition(". ")
    assert f" {name} {first}{stop.strip()}" in listed
    assert shown.out.startswith(f"Usage: message-runner {name} ")
    assert "token" not in re.findall(r"--[a-z-]+", shown.out)


def test_the_installed_script_and_the_module_are_one_command(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("message-runner")
    for command in ([str(script)], [sys.executable, "-m", "runner"]):
        shown = run_command("--version", cwd=tmp_path, command=command)
        assert shown == (0, f"message-runner, version {runner.__version__}\n", "")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("sned",), "there is no command 'sned'; did you mean send"),
        (("zzz",), "zzz"),
        (("send", "--nope"), "--nope"),
        (("send", "--limit", "0"), "--limit"),
        (("send", "--rate", "301"), "--rate"),
        (("send", "--rate", "0"), "--rate"),
        (("send", "--rate", "nan"), "'--rate': nan is not a number"),
        (("send", "--timeout", "inf"), "'--timeout': inf is not in the range 0<x<=86400"),
        (("replies", "--settle", "nan"), "'--settle': nan is not a number"),
        (("send", "--lock-timeout", "inf"), "'--lock-timeout': inf is not in the range"),
        (("send", "--token", "x"), "--token"),
        (("schema", "nope"), "there is no schema 'nope': use message, config, manifest, results"),
        (("emulator", "--fault", "kind=nope"), "kind=nope is wrong"),
        (("emulator", "--port", "99999"), "--port"),
        (("emulator", "--list-lag-ms", "5-x"), "5-x is wrong: a number, or a range as in 100-400,"),
        (("emulator", "--list-lag-ms", "5-2"), "list_lag_ms begins with the least"),
        (("emulator", "--clock-skew-ms", "a"), "a is wrong: a whole number, or several"),
        (("emulator", "--echo", "loud"), "'exact', 'trimmed', 'crlf'"),
        (("plan", "--config", "gone.yaml"), "error: --config gone.yaml: no such file"),
        (("plan",), "error: there is no messages/ folder here or above, and no file was named"),
        (("plan", "gone"), "error: gone: no such file or folder"),
        (("plan", "x" * 300), "xxx: "),
        (("plan", "--config", "x" * 300), "xxx: no such file"),
        (("status", "x" * 300), "xxx… is no message that was sent, no file and no folder"),
        (("validate", "--var", "x"), "--var takes NAME=VALUE"),
        (("status", "--target", "prod"), 'there is no target "prod"'),
    ],
)
def test_wrong_usage_is_2_and_said_on_stderr(
    args: tuple[str, ...], said: str, run_cli: RunCli
) -> None:
    shown = run_cli(*args)
    assert (shown.code, shown.out) == (2, "")
    assert said in shown.err
    assert "Traceback" not in shown.err


def test_a_schema_is_printed_as_it_is_in_its_file(run_cli: RunCli) -> None:
    assert run_cli("schema").out == schema_text("message")
    for name in SCHEMA_NAMES:
        shown = run_cli("schema", name)
        assert (shown.code, shown.err) == (0, "")
        assert json.loads(shown.out) == load_schema(name)


# --- validate -------------------------------------------------------------------------------------


def test_valid_messages_are_counted(project: Project) -> None:
    project.write("messages/thank-you.yaml", THANKS)
    assert project.run("validate") == (0, "1 message is valid\n", "")
    project.write("messages/b.yaml", direct("{{ who }}"))
    deep = project.write("messages/deep/c.yaml", TO_ALL)
    shown = call_command("validate", "--var", "who=a", cwd=deep.parent)
    assert shown == (0, "3 messages are valid\n", "")
    assert project.run("validate", "-q", "--var", "who=a") == (0, "", "")


def test_every_problem_is_a_line_on_stdout_and_the_exit_code_is_3(project: Project) -> None:
    project.write(
        "messages/a.yaml", THANKS.replace("Thank you!", "{{ tema }}") + "variables: {team: x}\n"
    )
    project.write("messages/b.yaml", THANKS.replace("DIRECT", "DIRCT") + "drafft: true\n")
    project.write("messages/good.yaml", THANKS)
    shown = project.run("validate")
    assert shown.code == 3
    complaints = [line for line in shown.out.splitlines() if not line.startswith(" ")]
    assert complaints == [
        'messages/a.yaml:2:11: error: the variable "tema" is not defined; did you mean "team"?',
        'messages/b.yaml:5:25: error: `recipients_select_type` cannot be "DIRCT"; '
        "did you mean DIRECT? There are DIRECT, FILTER, ALL",
        'messages/b.yaml:9:1: error: unknown key "drafft"; did you mean `draft`?',
    ]
    assert shown.err == "3 problems in 2 files\n"
    assert project.run("validate", "messages/good.yaml").code == 0


def test_what_a_file_says_cannot_give_commands_to_ci(project: Project) -> None:
    project.write(
        "messages/a.yaml", '"\\n::set-env name=X::1\\e[2J": 1\n"\\n::set-env name=X::1\\e[2J": 1\n'
    )
    project.write("messages/b.yaml", THANKS.replace("Thank you!", "{% include '\\n::error::x' %}"))
    if os.name == "posix":
        project.write("messages/c\n::error::x.yaml", "[")
    for command in ("validate", "plan", "send"):
        shown = project.run(command)
        assert shown.code == 3
        for line in (shown.out + shown.err).splitlines():
            assert not line.startswith("::")
            assert line.isprintable()


def test_values_beat_each_other_in_their_order(project: Project) -> None:
    project.write("runner.yaml", "variables: {a: config, b: config, c: config, d: config}\n")
    project.write("v1.yaml", "c: file1\nd: file1\n")
    project.write("v2.yaml", "c: file2\nd: file2\n")
    text = "{{ a }}-{{ b }}-{{ c }}-{{ d }}"
    project.write(
        "messages/a.yaml", direct("x", text=text, extra="variables: {b: spec, c: spec, d: spec}\n")
    )
    shown = project.run("plan", "--var", "d=flag", "--var-file", "v1.yaml", "--var-file", "v2.yaml")
    assert "config-spec-file2-flag" in shown.out


# --- plan -----------------------------------------------------------------------------------------


def test_a_plan_makes_no_request_and_writes_nothing(project: Project, emulator: Emulator) -> None:
    project.write(
        "messages/a.yaml",
        direct(*tolokers(250), text="Dear {{ you }}", extra="variables: {you: friend}\n"),
    )
    project.write("messages/b.yaml", TO_ALL + "draft: true\n")
    before = project.files()
    for command in (("plan",), ("send", "--dry-run")):
        for target in ("local", emulator.url, "production"):
            shown = project.run(*command, "--target", target)
            assert shown.code == 0, shown.err
            assert "would send 3 threads to 250 Tolokers" in shown.out
            assert "Dear friend" in shown.out
            assert "Nothing was sent" in shown.out
            said = shown.out.replace("Nothing was sent", "")
            assert not re.search(r"\bsent\b", said)
            assert ("nothing leaves this machine" in shown.err) == (target == "local")
    assert project.files() == before
    assert control(emulator, "stats")["calls"] == {}
    assert control(emulator, "stats")["connections"] == 0


def test_a_plan_tells_what_the_manifest_knows(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", direct("x", "y"))
    assert project.send(emulator).code == 0
    project.write("messages/a.yaml", direct("x", "y", "z", text="Edited"))
    shown = project.run("plan", "--target", emulator.url, "--results", "results.json")
    assert shown.code == 0
    assert "would send 1 thread to 1 Toloker" in shown.out
    assert (
        "edited: 2 Tolokers have the old text; `revision: 2` would send it again, to all 3"
        in shown.out
    )
    assert check_results(project) == {"planned": ["a"], "edited": ["a"]}
    document = project.results()
    assert (document["dry_run"], document["has_changes"], document["target"]) == (
        True,
        True,
        emulator.url,
    )


# --- send -----------------------------------------------------------------------------------------


def test_one_thread_is_printed_as_the_recipe_prints_it(project: Project) -> None:
    project.write("messages/thank-you.yaml", THANKS)
    shown = project.run("send", "--results", "results.json")
    assert shown.code == 0
    first, summary = shown.out.splitlines()
    assert re.fullmatch(f"{THREAD_ID} Thank you!", first)
    assert summary == "1 sent on the local emulator; manifest: results/local.jsonl"
    assert "nothing leaves this machine" in shown.err
    assert check_manifest(project) == LINES
    assert check_results(project) == {"sent": ["thank-you"]}
    (entry,) = project.results()["deliveries"]
    assert (entry["thread_id"], entry["recipients_ids"]) == (first.split()[0], [TOLOKER])
    # Again: nothing is left to do, and that is success.
    again = project.run("send", "--results", "results.json")
    assert again.code == 0
    assert (
        again.out
        == "Nothing new was sent: 1 already sent on the local emulator; manifest: results/local.jsonl\n"
    )
    assert check_results(project) == {"already_sent": ["thank-you"]}
    assert check_manifest(project) == LINES


def test_several_threads_are_grouped_and_all_of_them_shown_when_asked(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct(*tolokers(950)))
    project.write("messages/b.yaml", direct("x"))
    shown = project.send(emulator)
    assert shown.code == 0
    assert "a: 10 threads to 950 Tolokers" in shown.out
    assert "… and 5 more (-v shows all)" in shown.out
    assert shown.out.splitlines()[-1].startswith("11 sent; manifest: results/127.0.0.1-")
    project.write("messages/a.yaml", direct(*tolokers(950), extra="revision: 2\n"))
    shown = project.send(emulator, "-v")
    assert (
        len(
            re.findall(
                f"^  ?{THREAD_ID} Thank you!$|^{THREAD_ID} Thank you!$", shown.out, re.MULTILINE
            )
        )
        == 10
    )
    assert len(reached(emulator)) == 2 * 950 + 1
    assert max(len(call["body"]["recipients_ids"]) for call in calls(emulator, "compose")) == 100
    quiet = project.send(emulator, "-q")
    assert (quiet.out.count("\n"), quiet.err) == (1, "")


def test_an_invalid_file_among_valid_ones_sends_nothing(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", THANKS)
    project.write("messages/b.yaml", direct("x", text="{{ gone }}"))
    for target in ("local", emulator.url):
        shown = project.run(
            "send", "--target", target, "--results", "results.json", TOLOKA_TOKEN=TOKEN
        )
        assert (shown.code, shown.out) == (3, "")
        assert 'messages/b.yaml:2:16: error: the variable "gone" is not defined' in shown.err
        assert check_results(project) == {}
        assert project.results()["exit_code"] == 3
    assert control(emulator, "stats")["calls"] == {}
    assert not (project.root / "results").exists()


def test_a_recipient_added_later_gets_it_alone(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", direct("x", "y"))
    assert project.send(emulator).code == 0
    project.write("messages/a.yaml", direct("x", "y", "z"))
    assert project.send(emulator).code == 0
    assert [call["body"]["recipients_ids"] for call in calls(emulator, "compose")] == [
        ["x", "y"],
        ["z"],
    ]


def test_a_limit_leaves_the_rest_for_later_and_says_so(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct(*tolokers(450)))
    shown = project.send(emulator, "--limit", "2", "--results", "results.json")
    assert shown.code == 0
    assert check_results(project) == {"sent": ["a"] * 2, "not_tried": ["a"] * 3}
    assert "3 not tried" in shown.out
    assert "--limit" in shown.err
    assert project.send(emulator).code == 0
    assert sorted(reached(emulator)) == sorted(tolokers(450))


def test_a_message_out_of_its_window_or_a_draft_is_not_sent(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct("x", extra="not_after: 2020-01-01T00:00:00Z\n"))
    project.write("messages/b.yaml", direct("x", extra="not_before: 2999-01-01T00:00:00Z\n"))
    project.write("messages/c.yaml", direct("x", extra="draft: true\n"))
    shown = project.send(emulator, "--results", "results.json")
    assert shown.code == 0
    assert check_results(project) == {"missed": ["a"], "outside_window": ["b"], "draft": ["c"]}
    assert calls(emulator, "compose") == []


# --- where it goes, and with which token ----------------------------------------------------------


def test_ci_must_say_where_to_send(project: Project) -> None:
    project.write("messages/a.yaml", THANKS)
    for ci in ("true", "1"):
        shown = project.run("send", "--results", "results.json", CI=ci)
        assert (shown.code, shown.out) == (2, "")
        assert "nothing says where to send" in shown.err
        assert project.results()["exit_code"] == 2
    assert not (project.root / "results").exists()
    assert project.run("plan", CI="true").code == 0
    assert project.run("send", CI="true", TOLOKA_TARGET="local").code == 0
    assert project.run("send", "--target", "local", CI="true").code == 0
    project.write("runner.yaml", "target: local\n")
    assert project.run("send", CI="true").code == 0


def test_a_run_in_ci_says_who_sends(project: Project) -> None:
    project.write("messages/a.yaml", THANKS)
    github = {
        "GITHUB_SHA": "c0ffee",
        "GITHUB_ACTOR": "ann",
        "GITHUB_RUN_ID": "7",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "a/b",
    }
    assert project.run("send", **github).code == 0
    (run,) = [event for event in project.events() if event["event"] == "run"]
    assert (run["commit"], run["actor"]) == ("c0ffee", "ann")
    assert run["ci_run"] == "https://github.com/a/b/actions/runs/7"
    assert check_manifest(project) == LINES


def test_a_remote_target_needs_its_own_token(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", THANKS)
    project.write(
        "runner.yaml",
        f"targets:\n  rehearsal:\n    url: {emulator.url}\n    act_under_account_id: shared\n",
    )
    shown = project.run("send", "--target", "rehearsal", TOLOKA_TOKEN=TOKEN)
    assert shown.code == 2
    assert "set TOLOKA_TOKEN_REHEARSAL" in shown.err
    for name in ("production", emulator.url):
        shown = project.run("send", "--target", name)
        assert shown.code == 2
        assert "needs a token: set TOLOKA_TOKEN, or TOLOKA_TOKEN_FILE" in shown.err
    assert control(emulator, "stats")["calls"] == {}
    file = project.write("token", f"{TOKEN}\n")
    assert (
        project.run("send", "--target", "rehearsal", TOLOKA_TOKEN_REHEARSAL_FILE=str(file)).code
        == 0
    )
    (call,) = calls(emulator, "compose")
    assert call["headers"]["X-Act-Under-Account-ID"] == "shared"
    assert call["headers"]["Authorization"] == "OAuth"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("http://toloka.dev", "plain http to toloka.dev would show the token to the network"),
        ("https://user:hunter2@toloka.dev", "a target URL holds no user, password"),
        ("https://toloka.dev/api", "write the target URL without /api"),
    ],
)
def test_a_url_that_will_not_do_is_2(target: str, said: str, project: Project) -> None:
    project.write("messages/a.yaml", THANKS)
    for shown in (project.send(target), project.run("plan", TOLOKA_TARGET=target)):
        assert shown.code == 2
        assert said in shown.err
        assert "hunter2" not in shown.err


# --- status ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["status", "replies"])
def test_outside_of_a_project_a_listing_asks_whether_it_is_the_right_folder(
    name: str, run_cli: RunCli
) -> None:
    shown = run_cli(name)
    assert (shown.code, "is this the right folder?" in shown.err) == (0, True), shown


def test_status_tells_what_the_manifest_knows(project: Project) -> None:
    shown = project.run("status")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith("nothing was sent to local yet")
    project.write("messages/a.yaml", direct("x", "y"))
    project.write("messages/b.yaml", TO_ALL)
    assert project.run("send").code == 0
    before = project.files()
    shown = project.run("status")
    assert shown.code == 0
    heading, one, two, total, where = shown.out.splitlines()
    # What occurs nowhere has no column.
    assert heading.split() == ["message", "threads", "Tolokers", "last", "attempt"]
    assert one.split()[:3] == ["a", "1", "2"]
    assert two.split()[:3] == ["b", "1", "ALL"]
    assert total == "2 messages: 2 sent (2 Tolokers by id)"
    assert where == "manifest: results/local.jsonl"
    document = json.loads(project.run("status", "--format", "json").out)
    assert [each["message"] for each in document["messages"]] == ["a", "b"]
    (delivery,) = document["messages"][0]["deliveries"]
    assert (delivery["status"], delivery["recipients_ids"]) == ("sent", ["x", "y"])
    assert project.files() == before


# --- the emulator as a command --------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
def test_the_emulator_serves_until_it_is_stopped(project: Project) -> None:
    project.write("messages/a.yaml", THANKS)
    process = project.start(
        "emulator", "--port", "0", "--fault", "kind=500,times=1", "--refuse", "bad"
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+", url)
        # Nothing was sent after the failure, and nothing was ever shown: nobody knows.
        assert project.send(url, "--settle", "0.1").code == 5
        unknown = ("--target", url, "--message", "a", "--not-sent")
        assert project.run("resolve", *unknown).code == 0
        shown = project.send(url, "--settle", "0.1")
        assert shown.code == 0, shown.err
        with urllib.request.urlopen(f"{url}/emulator/threads", timeout=10) as answer:
            assert len(json.load(answer)) == 1
    finally:
        stopped = interrupt(process, signal.SIGINT)
    assert stopped.code == 0
    assert "Traceback" not in stopped.err
    assert (project.root / ".message-runner" / "local.sqlite").is_file()


def test_the_emulator_behaves_as_its_options_say(project: Project) -> None:
    options = {
        "latency_ms": ("--latency-ms 1", 1),
        "clock_skew_ms": ("--clock-skew-ms -200,300", [-200, 300]),
        "date_skew_ms": ("--date-skew-ms -5", -5),
        "date": ("--no-date", False),
        "list_lag_ms": ("--list-lag-ms 100-400", [100, 400]),
        "list_replicas": ("--list-replicas 2", 2),
        "list_forgets": ("--list-forgets 3", 3),
        "echo": ("--echo nfd", "nfd"),
        "refuse": ("--refuse bad", ["bad"]),
    }
    args = " ".join(arg for arg, _ in options.values()).split()
    process = project.start("emulator", "--port", "0", *args)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{url}/emulator/behaviour", b"{}", headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            behaviour = json.load(answer)
    finally:
        process.kill()
        process.communicate()
    assert behaviour | {name: value for name, (_, value) in options.items()} == behaviour


def test_the_emulator_lists_its_faults_and_refuses_what_is_no_store(project: Project) -> None:
    shown = project.run("emulator", "--fault", "help")
    assert shown.code == 0
    assert "accepted-then-500" in shown.out
    project.write("garbage", b"this is not a database" * 100)
    shown = project.run("emulator", "--port", "0", "--store", "garbage")
    assert (shown.code, shown.out) == (2, "")
    assert "the emulator cannot start" in shown.err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        shown = project.run("emulator", "--port", str(taken.getsockname()[1]))
    assert shown.code == 2
    assert ": an emulator may run already; or say another --port" in shown.err


def test_a_local_store_that_is_broken_is_said(project: Project) -> None:
    project.write("messages/a.yaml", THANKS)
    project.write(".message-runner/local.sqlite", b"this is not a database" * 100)
    shown = project.run("send")
    assert shown.code == 2
    assert "the local emulator cannot start" in shown.err


def test_a_manifest_of_another_store_is_refused(project: Project) -> None:
    project.write("messages/a.yaml", THANKS)
    assert project.run("send").code == 0
    (project.root / ".message-runner" / "local.sqlite").unlink()
    for command in ("plan", "send"):
        shown = project.run(command)
        assert shown.code == 2, command
        assert "results/local.jsonl is the manifest of local:" in shown.err


def test_a_damaged_manifest_stops_every_command_that_reads_it(project: Project) -> None:
    project.write("messages/a.yaml", THANKS)
    assert project.run("send").code == 0
    manifest = project.manifest()
    lines = manifest.read_bytes().splitlines(keepends=True)
    manifest.write_bytes(b"".join([*lines[:2], b"torn\n", *lines[2:]]))
    for command in (("send",), ("plan",), ("status",)):
        shown = project.run(*command)
        assert (shown.code, shown.out) == (2, "")
        assert "results/local.jsonl:3:1: error: the manifest is damaged" in shown.err


# --- signals --------------------------------------------------------------------------------------


@pytest.mark.some(2)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_in_good_order_and_the_next_run_finishes(
    number: signal.Signals, project: Project, start_emulator: StartEmulator
) -> None:
    emulator = start_emulator(latency_ms=40)
    project.write("messages/a.yaml", direct(*tolokers(3000)))
    process = project.start(
        *("send", "--target", emulator.url, "--jobs", "1", "--results", "results.json"),
        TOLOKA_TOKEN=TOKEN,
    )
    deadline = time.monotonic() + 20
    while len(calls(emulator, "compose")) < 3:
        assert time.monotonic() < deadline
        assert process.poll() is None
    started = time.monotonic()
    shown = interrupt(process, number)
    assert time.monotonic() - started < 5
    assert shown.code == 128 + number, shown.err
    found = check_results(project)
    assert found["sent"]
    assert found["not_tried"]
    assert len(reached(emulator)) < 3000
    assert project.send(emulator, "--settle", "0.1").code == 0
    assert reached(emulator) == sorted(tolokers(3000))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows kills otherwise")
def test_a_run_that_was_killed_is_finished_by_the_next_one_without_a_second_message(
    project: Project, start_emulator: StartEmulator
) -> None:
    emulator = start_emulator(latency_ms=20)
    project.write("messages/a.yaml", direct(*tolokers(1500)))
    process = project.start("send", "--target", emulator.url, "--jobs", "2", TOLOKA_TOKEN=TOKEN)
    deadline = time.monotonic() + 20
    while len(threads(emulator)) < 4:
        assert time.monotonic() < deadline
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    ended(process)
    shown = project.send(emulator, "--settle", "0.3")
    assert shown.code == 0, shown.err
    assert reached(emulator) == sorted(tolokers(1500))
    check_manifest(project, emulator)


def test_a_second_run_at_once_is_refused_at_once(
    project: Project, start_scripted: StartScripted
) -> None:
    composing, go_on = threading.Event(), threading.Event()

    def serve(request: Request) -> Raw:
        if request.method == "GET":
            return answer(200, {"items": [], "has_more": False})
        composing.set()
        assert go_on.wait(60)
        return answer(201, {"id": "63c15866757a4a1adad1d632"})

    server = start_scripted(serve)
    project.write("messages/a.yaml", THANKS)
    process = project.start("send", "--target", server.url, TOLOKA_TOKEN=TOKEN)
    try:
        assert composing.wait(30)
        shown = project.send(server.url, "--results", "second.json")
        assert (shown.code, shown.out) == (2, "")
        assert f"is in use by another run (process {process.pid} on " in shown.err
        assert project.results("second.json")["exit_code"] == 2
        assert server.paths.count("/api/v1/message-threads/compose") == 1
    finally:
        go_on.set()
        first = ended(process)
    assert first.code == 0
    assert first.out.startswith("63c15866757a4a1adad1d632 Thank you!\n")
