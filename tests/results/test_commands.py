"""The commands on a results branch: several clones, one bare repository, one emulator."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support import TIMEOUT_S, TOKEN, Project, direct, one_in, reached, tolokers

import runner
from runner import clock
from runner.emulator import Emulator
from runner.emulator.faults import parse_fault

from .world import BEFORE, BRANCH, clone, files_on, git, new_remote, write_before

RESULTS = f"defaults: {{settle: 0}}\nresults: {{branch: {BRANCH}}}\n"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    return new_remote(tmp_path)


def machine(bare: Path, name: str, *ids: str, options: Sequence[str] = ()) -> Project:
    """A clone with one message, and results on the branch."""
    project = Project(clone(bare, bare.parent / name, *options))
    project.write("runner.yaml", RESULTS)
    project.write("messages/thanks.yaml", direct(*(ids or tolokers(3))))
    return project


def lines(bare: Path) -> list[dict[str, object]]:
    """Every line on the branch, in the order of the files' names."""
    return [json.loads(line) for text in files_on(bare).values() for line in text.splitlines()]


# Git names objects by either hash; a remote and its clones have the same one.
@pytest.mark.parametrize("form", ["sha1", "sha256"])
def test_what_one_machine_sends_every_other_one_knows(
    tmp_path: Path, emulator: Emulator, form: str
) -> None:
    bare = new_remote(tmp_path, f"--object-format={form}")
    sender, laptop = machine(bare, "sender"), machine(bare, "laptop")
    # The job of a pull request: a shallow checkout of one commit, and no token.
    job = machine(bare, "job", options=["--depth=1"])
    git(job.root, "checkout", "--quiet", "--detach")
    # A manifest that somebody seeds in the project has no part in it.
    seeded = sender.manifest(emulator)
    sender.write(seeded.relative_to(sender.root).as_posix(), "not a manifest\n")
    first = sender.send(emulator)
    assert first.code == 0, first.err
    assert reached(emulator) == tolokers(3)
    told = set()
    for project, env in ((sender, {}), (laptop, {}), (job, {"CI": "true"})):
        status, plan = (
            project.run(command, "--target", emulator.url, "--format", "json", **env)
            for command in ("status", "plan")
        )
        assert (status.code, plan.code) == (0, 0), plan.err
        told.add((status.out, re.sub(r'"planned_at": ".*",', "", plan.out)))
    assert len(told) == 1
    status_document, plan_document = map(json.loads, told.pop())
    tip = git(bare, "rev-parse", BRANCH)[:10]
    assert status_document["manifest"] == f"{BRANCH} of origin, at {tip}"
    assert [each["skipped"] for each in plan_document["messages"]] == [{"already_sent": 3}]
    again = laptop.send(emulator)
    assert again.code == 0, again.err
    assert reached(emulator) == tolokers(3)
    assert seeded.read_text() == "not a manifest\n"
    assert git(laptop.root, "status", "--porcelain") == "?? messages/\n?? runner.yaml"


@pytest.mark.parametrize("year", one_in(2, ["2017", "2090"]))
def test_a_clock_that_is_years_away_changes_nothing(
    bare: Path, emulator: Emulator, year: str
) -> None:
    assert machine(bare, "one").send(emulator).code == 0
    # The same, as a machine of that year would have written it.
    history = git(bare, "fast-export", BRANCH)
    now = str(clock.now().year)
    git(bare, "update-ref", "-d", f"refs/heads/{BRANCH}")
    elsewhere = history.replace(f'"{now}-', f'"{year}-').replace(f"/{now}", f"/{year}")
    git(bare, "fast-import", "--quiet", stdin=f"{elsewhere}\n".encode())
    more = machine(bare, "two", *tolokers(4))
    sent = more.send(emulator)
    assert sent.code == 0, sent.err
    assert machine(bare, "three", *tolokers(4)).send(emulator).code == 0
    assert reached(emulator) == tolokers(4)


def test_a_run_leaves_what_the_contract_says(bare: Path, emulator: Emulator) -> None:
    assert machine(bare, "one").send(emulator).code == 0
    found = lines(bare)
    events = [line["event"] for line in found]
    assert events[:3] == ["manifest", "run", "looked"] or events[:2] == ["manifest", "run"]
    assert events.index("intent") < events.index("sent") < events.index("end")
    assert "[skip ci]" in git(bare, "log", "--format=%s", BRANCH)
    run = next(line for line in found if line["event"] == "run")
    assert run["number"] == 1
    # That the list shows our threads is news, once.
    assert machine(bare, "two").send(emulator).code == 0
    assert "shown" in [line["event"] for line in lines(bare)]
    before = git(bare, "rev-parse", BRANCH)
    assert machine(bare, "three").send(emulator).code == 0
    assert git(bare, "rev-parse", BRANCH) == before


FROM_PYTHON = """\
import signal
import sys
import threading
import runner

def watch():
    while not has_ended.wait(0.005):
        seen.add(signal.getitimer(signal.ITIMER_REAL)[0] > 0)

seen, has_ended = set(), threading.Event()
threading.Thread(target=watch).start()
runner.project(sys.argv[1]).plan().send(expect=3).check()
has_ended.set()
print(seen)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such timer")
def test_no_timer_of_the_systems_ends_whoever_calls_from_python(
    bare: Path, emulator: Emulator
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FROM_PYTHON, emulator.url],
        cwd=machine(bare, "one").root,
        env={**os.environ, "TOLOKA_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (done.stdout, len(reached(emulator))) == ("{False}\n", 3), done.stderr


def test_a_laptop_that_is_offline_says_how_old_its_truth_is(bare: Path, emulator: Emulator) -> None:
    one, new = machine(bare, "one"), machine(bare, "new")
    assert one.send(emulator).code == 0
    bare.rename(bare.with_name("away.git"))
    (stamp,) = (one.root / ".git" / "message-runner").glob("*.fetched")
    yesterday_s = time.time() - 30 * 3600
    os.utime(stamp, (yesterday_s, yesterday_s))
    stale = one.run("status", "--target", emulator.url)
    assert stale.code == 0, stale.err
    assert "as it was 30 hours ago: " in stale.out
    assert "as it was 30 hours ago: " in repr(runner.project(emulator.url, one.root).status())
    unknown = new.run("status", "--target", emulator.url)
    assert unknown.code == 2
    assert "what was sent is not known" in unknown.err
    plan = new.run("plan", "--target", emulator.url)
    assert plan.code == 0
    assert "what was sent is not known" in plan.err
    told = "; what was sent before is not known. This command sent nothing."
    assert plan.out.strip().endswith(told)
    sent = new.send(emulator)
    assert sent.code == 75
    assert reached(emulator) == tolokers(3)
    assert TOKEN not in sent.err


BAD = (
    "{branch: message-results, remote: --upload-pack=touch hacked}",
    "{branch: message-results, remote: https://example.org/x.git}",
    "{branch: message-results, remote: ../other}",
    "{branch: --force}",
    "{branch: a..b}",
    "{branch: main}",
    "{ref: HEAD}",
    "{branch: a, ref: refs/b}",
    "{remote: origin}",
    "message-results",
)


def test_a_configuration_cannot_name_what_is_no_remote_or_branch(bare: Path) -> None:
    one = machine(bare, "one")
    for results in BAD:
        one.write("runner.yaml", f"results: {results}\n")
        result = one.run("plan", "--target", "http://127.0.0.1:9")
        assert result.code == 2, (results, result.out)
        assert not (one.root / "hacked").exists()


def test_the_local_target_and_a_manifest_by_name_stay_files(bare: Path, emulator: Emulator) -> None:
    one = machine(bare, "one")
    assert one.run("send").code == 0
    assert one.manifest().is_file()
    assert one.send(emulator, "--manifest", "mine.jsonl").code == 0
    assert (one.root / "mine.jsonl").is_file()
    assert git(bare, "branch", "--list", BRANCH) == ""


def test_two_targets_share_a_branch(bare: Path, emulator: Emulator) -> None:
    one, other = machine(bare, "one"), machine(bare, "other")
    url = emulator.url.replace("127.0.0.1", "localhost")
    assert one.send(emulator).code == 0
    assert "already sent" not in other.run("plan", "--target", url).out
    # The branch knows nothing of this one, and its account has sent: a person has to say so.
    refused = other.send(url)
    assert (refused.code, f"import --target {url}" in refused.err) == (2, True), refused.err
    assert other.run("unlock", "--rewritten", "--yes", "--target", url).code == 0
    assert other.send(url).code == 0
    hosts = {path.split("/")[0] for path in files_on(bare)}
    assert len(hosts) == 2


def test_stop_works_on_a_file_too(bare: Path, emulator: Emulator) -> None:
    one = machine(bare, "one")
    one.write("runner.yaml", "")
    target = ("--target", emulator.url)
    assert one.run("stop", "--reason", "wrong", *target).code == 0
    assert one.run("plan", "--results", "r.json", *target).code == 0
    assert json.loads((one.root / "r.json").read_text())["action_needed"] is False
    refused = one.send(emulator)
    assert refused.code == 2
    assert "wrong" in refused.err
    assert one.run("stop", "--lift", *target).code == 0
    assert one.send(emulator).code == 0
    assert one.run("stop", *target).code == 2
    assert one.run("unlock", "--yes", *target).code == 2


def test_a_person_settles_what_is_unknown_for_everybody(
    bare: Path, start_emulator: Callable[..., Emulator]
) -> None:
    emulator = start_emulator(faults=[parse_fault("kind=accepted-then-500")])
    one, other = machine(bare, "one", "t1"), machine(bare, "other", "t1")
    target = ("--target", emulator.url)
    first = one.send(emulator, "--settle", "0", "--jobs", "1")
    assert first.code in (0, 5), first.err
    refreshed = other.run("status", "--refresh", "--settle", "0", *target, TOLOKA_TOKEN=TOKEN)
    assert refreshed.code in (0, 5), refreshed.err
    status = one.run("status", "--format", "json", *target)
    (entry,) = json.loads(status.out)["messages"]
    assert entry["threads"] == 1
    assert reached(emulator) == ["t1"]


def test_an_account_that_was_taken_over_is_known_everywhere(bare: Path, emulator: Emulator) -> None:
    one, other = machine(bare, "one"), machine(bare, "other")
    write_before(emulator)
    where = ("--target", emulator.url)
    # The branch may have been lost, and then what it knew of edits and revisions is.
    assert one.run("import", *where, TOLOKA_TOKEN=TOKEN).code == 2
    assert one.run("unlock", "--rewritten", "--yes", *where).code == 0

    done = one.run("import", *where, TOLOKA_TOKEN=TOKEN)

    assert (done.code, reached(emulator)) == (0, [BEFORE]), done
    told = other.run("status", *where)
    assert (told.code, f"imported/personal/{BEFORE}" in told.out) == (0, True), told
    assert other.send(emulator).code == 0
    assert reached(emulator) == [BEFORE, *tolokers(3)]
