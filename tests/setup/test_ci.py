"""The workflow that `init` writes, run as GitHub and GitLab run it: real git, a counting Toloka."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from subprocess import Popen

import pytest
from results.world import FACTOR, wait_for
from support import (
    TOKEN,
    calls,
    control,
    direct,
    one_in,
    reached,
    run_command,
    threads,
    tolokers,
)

from runner.cli.workflow import PLACES
from runner.emulator import Emulator

from .steps import Runner
from .systems import OnGitHub, OnGitLab, Remote, Run
from .tools import as_installed, git

System = Callable[..., Run]

# Each run is a dozen processes; the others are a part of each kind.
thorough = pytest.mark.thorough
QUICK = {"TIMES_FACTOR": str(FACTOR)}


@pytest.fixture
def remote(tmp_path: Path, emulator: Emulator, commands: str, set_up: Path) -> Remote:
    made = Remote(tmp_path / "remote", emulator, commands)
    made.begin(set_up)
    return made


@pytest.fixture(params=one_in(2, [OnGitHub, OnGitLab]))
def on(request: pytest.FixtureRequest, remote: Remote) -> System:
    """Begin a run on either system."""
    return lambda *args, **more: request.param(remote, *args, **more)


def done(run: Run) -> Runner:
    """Do a run to its end, which must be good."""
    runner = run.all()
    assert runner is not None, "nothing was found to do"
    assert runner.code == 0, runner.output
    return runner


@pytest.mark.some(2)
@pytest.mark.parametrize("system", [OnGitHub, OnGitLab])
def test_a_pull_request_is_planned_and_what_is_merged_is_sent_once(
    remote: Remote, system: System
) -> None:
    waiver = "lint: {contact-details: a public address}\n"
    remote.write("messages/second.yaml", direct("bob", extra=waiver))
    topic = remote.merge("Second", to="topic")
    asked = system(remote, "pull_request", topic)
    planned = asked.plan()
    assert planned.code == 0, planned.output
    (plan,) = asked.artifacts.rglob("plan.json")
    told = json.loads(plan.read_text())
    assert told["rules_title"].startswith("Rules that differ from main of origin, ")
    assert told["rules"] == ['messages/second.yaml:6: waives contact-details: "a public address"']
    assert {"plan.json", "preview.html"} <= {path.name for path in asked.artifacts.rglob("*")}
    assert asked.send() is None
    assert calls(remote.emulator) == []
    assert remote.results == ""

    git("push", "-q", "origin", "HEAD:main", cwd=remote.desk)
    done(system(remote))
    again = system(remote, "schedule").all()

    assert again is None or again.code == 0
    assert reached(remote.emulator) == ["ada", "bob"]
    assert remote.composed() == 2
    assert {line["commit"] for line in remote.events("run")} == {remote.tip}
    assert {line["approval"] for line in remote.events("run")} == {"pull-request"}
    tracked = git("ls-tree", "-r", "--name-only", "main", cwd=remote.origin)
    assert "jsonl" not in tracked


@thorough
@pytest.mark.parametrize("at", ["claimed", "first-request", "some"])
def test_a_cancelled_job_has_recorded_within_seconds_all_that_left(remote: Remote, at: str) -> None:
    """GitHub signals the shell of the step alone: INT, after 7.5 s TERM, and 2.5 s later KILL."""
    many(remote)
    run = OnGitHub(remote)
    run.plan()
    process = begun(run, POINTS[at])

    process.send_signal(signal.SIGINT)
    check_recorded(remote, process, 130)

    done(OnGitHub(remote, "schedule"))
    assert reached(remote.emulator) == ["ada", *MANY]


@thorough
def test_a_job_whose_shell_alone_is_ended_ends_too(remote: Remote) -> None:
    """So do some executors of GitLab's; the command runs below that shell."""
    many(remote)
    run = OnGitLab(remote)
    run.plan()
    process = begun(run, POINTS["some"])

    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == -signal.SIGTERM
    check_recorded(remote, process, -signal.SIGTERM)

    done(OnGitLab(remote, "schedule"))
    assert reached(remote.emulator) == ["ada", *MANY]


MANY = tolokers(40)
POINTS: dict[str, Callable[[Remote], bool]] = {
    "claimed": lambda it: bool(it.results and it.events("intent") + it.events("claim")),
    "first-request": lambda it: it.composed() >= 1,
    "some": lambda it: it.composed() >= 5,
}


def many(remote: Remote) -> None:
    """Give the send something to do for a while."""
    for toloker in MANY:
        remote.write(f"messages/{toloker}.yaml", direct(toloker, topic=toloker))
    remote.merge("Many")
    control(remote.emulator, "faults", {"faults": ["every=1,kind=slow,seconds=0.5,on=compose"]})


def begun(run: Run, is_so: Callable[[Remote], bool]) -> Popen[str]:
    """Begin to send, until something is so."""
    started = run.start_send()
    assert started is not None
    wait_for(lambda: is_so(run.remote), started[1])
    return started[1]


def check_recorded(remote: Remote, process: Popen[str], code: int) -> None:
    """Wait for the end of what was just signalled, and look at what the branch holds then."""
    since_s = time.monotonic()
    said, _ = process.communicate(timeout=60)
    assert process.returncode == code, said
    # Five seconds, and what a busy machine takes for a push.
    assert time.monotonic() - since_s < 8, said
    control(remote.emulator, "faults", {"faults": []})
    sent = [line["thread_id"] for line in remote.events("sent")]
    assert len(sent) == len(reached(remote.emulator)) < len(MANY)
    assert len(remote.events("end")) == len(remote.events("run"))


@thorough
def test_two_jobs_at_once(remote: Remote, on: System) -> None:
    many(remote)
    control(remote.emulator, "faults", {"faults": []})
    runs = [on(), on()]
    for run in runs:
        assert run.plan().code == 0

    started = [run.start_send() for run in runs]

    for each in started:
        assert each is not None
        assert each[0].finish("Send", each[1]) == 0, each[0].output
    assert reached(remote.emulator) == ["ada", *MANY]
    assert remote.composed() == 1 + len(MANY)


@thorough
def test_an_old_run_again_sends_nothing(remote: Remote, on: System) -> None:
    """With a plan of its own, and with the one that it had."""
    old = on()
    done(old)
    remote.write("messages/first.yaml", direct("ada", text="Better!", extra="revision: 2\n"))
    remote.merge("Better")
    done(on())
    tip = remote.results

    again, anew = old.send(), on("push", old.commit).plan()

    assert again is not None
    assert (again.code, anew.code) == (3, 0), again.output + anew.output
    assert "says something else on main" in again.output
    assert (remote.composed(), remote.results) == (2, tip)


@thorough
def test_what_a_job_that_died_had_begun_is_settled_by_the_next(remote: Remote, on: System) -> None:
    many(remote)
    run = on(env=QUICK)
    run.plan()
    started = run.start_send()
    assert started is not None
    wait_for(lambda: remote.composed() >= 5, started[1])

    os.killpg(started[1].pid, signal.SIGKILL)
    started[1].communicate(timeout=30)
    control(remote.emulator, "faults", {"faults": []})

    for _ in range(3):
        runner = on("schedule", env=QUICK).all()
        assert runner is None or runner.code in (0, 5), runner.output
    assert reached(remote.emulator) == ["ada", *MANY]


@thorough
def test_of_a_plan_that_waited_the_rest_is_sent(remote: Remote, on: System) -> None:
    remote.write("messages/second.yaml", direct("bob"))
    remote.merge("Second")
    waiting = on()
    assert waiting.plan().code == 0
    part = run_command(
        *("send", "messages/first.yaml", "--target", remote.emulator.url),
        cwd=remote.desk,
        env={"TOLOKA_TOKEN": TOKEN},
    )
    assert part.code == 0, part.err

    runner = waiting.send()

    assert runner is not None
    assert runner.code == 0, runner.output
    assert reached(remote.emulator) == ["ada", "bob"]
    assert remote.composed() == 2


@thorough
@pytest.mark.parametrize(
    "moved", [direct("ada", text="Better!"), direct("ada", "eve")], ids=["text", "people"]
)
def test_a_plan_is_not_sent_once_a_newer_commit_changed_it(
    remote: Remote, on: System, moved: str
) -> None:
    """The newer run, which stands beside it, sends what is there now."""
    older = on()
    assert older.plan().code == 0
    remote.write("messages/first.yaml", moved)
    remote.merge("Moved")
    newer = on()
    assert newer.plan().code == 0

    refused, sent = older.send(), newer.send()

    assert refused is not None
    assert sent is not None
    assert (refused.code, sent.code) == (3, 0), refused.output + sent.output
    assert "messages/first.yaml" in refused.output
    assert remote.composed() == 1
    assert "Better!" in str(threads(remote.emulator)) or reached(remote.emulator) == ["ada", "eve"]


@thorough
def test_what_a_person_starts_is_the_plan_that_they_read(
    remote: Remote, on: System, tmp_path: Path
) -> None:
    env = as_installed(tmp_path / "installed")
    for ci, place in PLACES.items():
        (remote.desk / place).unlink()
        options = ("--ci", ci, "--approval", "dispatch")
        assert run_command("init", *options, cwd=remote.desk, env=env).code == 0
    remote.merge("By hand")
    read = on("schedule")
    told = read.plan().output
    assert read.send() is None
    digest = told[told.index("sha256:") :].split()[0]

    other = on("workflow_dispatch", digest=digest[:-4] + "0000").all()
    done(on("workflow_dispatch", digest=digest))

    assert other is not None
    assert other.code == 3
    assert reached(remote.emulator) == ["ada"]
    assert [line["approval"] for line in remote.events("run")] == ["dispatch"]


@thorough
def test_what_needs_no_message_is_done_by_the_schedule(remote: Remote, on: System) -> None:
    """A window that opens, somebody to be left out, a thread that is not in its folder yet."""
    opens_at = datetime.now(timezone.utc) + timedelta(days=1)
    window = f"not_before: {opens_at:%Y-%m-%dT%H:%M:%SZ}\n"
    remote.write("messages/first.yaml", direct("ada", extra="folders: [IMPORTANT]\n"))
    remote.write("messages/second.yaml", direct("bob"))
    remote.write("messages/third.yaml", direct("eve", extra=window))
    config = remote.desk / "runner.yaml"
    config.write_text(config.read_text() + "suppress: suppress.txt\n")
    remote.write("suppress.txt", "bob\n")
    remote.merge("Quiet")
    control(remote.emulator, "faults", {"faults": ["kind=500,on=folders"]})

    first = on().all()

    assert first is not None
    assert reached(remote.emulator) == ["ada"]
    assert [line["recipients_ids"] for line in remote.events("suppressed")] == [["bob"]]
    control(remote.emulator, "faults", {"faults": []})
    done(on("schedule"))
    assert "IMPORTANT" in threads(remote.emulator)[0]["folders"]
    later = on("schedule")
    assert later.plan().code == 0
    tip = remote.results
    nothing = later.send()
    assert nothing is None or nothing.code == 0
    assert remote.results == tip


@thorough
def test_the_tokens_are_nowhere(remote: Remote, on: System) -> None:
    run = on()
    runner = done(run)

    folders = (runner.workspace, run.artifacts, remote.origin)
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    written = b"".join(path.read_bytes() for path in found)
    for token in (TOKEN, "repository-token"):
        assert token.encode() not in written
        assert token not in runner.output
