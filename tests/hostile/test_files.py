"""Files that cannot be written, read or found: nothing is sent then, or nothing is lost.

Real conditions, not pretended ones: a small disk, a limit on a file's size, a system call that
fails, permissions, pipes, devices and links. What arrived is counted at the server.
"""

from __future__ import annotations

import errno
import json
import os
import pty
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import pytest
from conftest import StartEmulator
from support import (
    COMMAND,
    TIMEOUT_S,
    TOKEN,
    Project,
    Result,
    calls,
    direct,
    ended,
    reached,
    run_command,
    tolokers,
)

from runner.emulator import Emulator
from runner.manifest.appender import Appender
from runner.manifest.file import read_history
from runner.manifest.lock import locked

from .limited import check_cheap, run_limited

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="needs /proc, /dev/full and Linux's limits"
)

COUNT = 12
PEOPLE = tolokers(COUNT * 50)

# --- ways to make it hard -------------------------------------------------------------------------

_LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
os.execv(sys.argv[2], sys.argv[2:])
"""
_ORDINARY = """
import ctypes, os, sys
for right in (1, 2):  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: what root may do to any file.
    ctypes.CDLL(None).prctl(24, right, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
ORDINARY = (sys.executable, "-c", _ORDINARY)
"""A command before ours: permissions count, for root too."""


def no_file_above(size: int) -> Sequence[str]:
    """A command before ours: no file may grow above so many bytes."""
    return (sys.executable, "-c", _LIMITED, str(size))


def with_fault(calls: str, what: str) -> Sequence[str]:
    """A command before ours: these system calls fail, or bring a signal, as strace has it."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    every = ",".join(f"?{call}" for call in calls.split(","))
    options = ("-f", "-qq", "-o", os.devnull, "-e", f"trace={every}", "-e")
    command = ("strace", *options, f"inject={every}:{what}")
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace may not trace here")
    return command


@dataclass(frozen=True)
class Disk:
    """A small disk of its own, which only `command` and this path can see."""

    path: Path
    """As this process sees it."""
    command: Sequence[str]
    """A command before ours: runs it in the folder that its first argument names."""
    folder: str

    def leave(self, free: int) -> None:
        """Fill the disk up, but for so many bytes."""
        with (self.path / "filler").open("wb", buffering=0) as filler:
            with suppress(OSError):
                while True:
                    filler.write(b"x" * 4096)
            filler.truncate(max(filler.tell() - free, 0))

    def clear(self) -> None:
        (self.path / "filler").unlink()


@pytest.fixture(autouse=True)
def _no_compiled_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may write little would leave half of a compiled module to the others."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of one megabyte, in a mount namespace that ends with the test."""
    folder = tmp_path / "disk"
    folder.mkdir()
    script = 'mount -t tmpfs -o size=1m none "$0" && echo ready && exec cat'
    as_whom = [] if os.geteuid() == 0 else ["--map-root-user"]
    holder = subprocess.Popen(
        ["unshare", "--mount", *as_whom, "sh", "-c", script, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        if holder.stdout.readline() != b"ready\n":
            pytest.skip("this system lets no one mount a disk of his own")
        enter = ["nsenter", "--target", str(holder.pid), "--mount"]
        enter += [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        yield Disk(
            path=Path(f"/proc/{holder.pid}/root{folder}"),
            command=(*enter, "sh", "-c", 'cd "$0" && exec "$@"'),
            folder=str(folder),
        )
    finally:
        holder.stdin.close()
        holder.stdout.close()
        holder.wait(TIMEOUT_S)


# --- what is to hold ------------------------------------------------------------------------------


def write_messages(project: Project) -> None:
    """Twelve messages, fifty Tolokers each, whose lines in the manifest have one length."""
    for number in range(COUNT):
        text = direct(*PEOPLE[number * 50 : number * 50 + 50], topic=f"Topic {number:02}")
        project.write(f"messages/m{number:02}.yaml", text)


HEADER = b'{"event":"manifest","version":1,"target":"TARGET","at":"2026-11-22T21:00:00.000Z"}'


def intent(values: bytes) -> bytes:
    """A manifest with one intent that holds these."""
    names = b'"delivery":"d","message":"m","source":"s","digest":"sha256:x"'
    return (
        HEADER
        + b'\n{"event":"intent",'
        + names
        + b',"at":"2026-11-22T21:00:00.000Z",'
        + values
        + b"}\n"
    )


def begin_manifest(project: Project, emulator: Emulator, content: bytes = HEADER + b"\n") -> bytes:
    """Write a manifest that knows of nothing yet; gives what it holds."""
    content = content.replace(b"TARGET", emulator.url.encode())
    project.write(f"results/{project.manifest(emulator).name}", content)
    return content


def send(project: Project, emulator: Emulator, *args: str | Path, by: Sequence[str] = ()) -> Result:
    """Call `send`, or run it by a command that makes it hard."""
    quick = ("--jobs", "1", "--settle", "0.1", *args)
    if not by:
        return project.send(emulator, *quick)
    return run_command(
        *("send", "--target", emulator.url, *quick),
        cwd=project.root,
        env={"TOLOKA_TOKEN": TOKEN},
        command=(*by, *COMMAND),
    )


def composes(emulator: Emulator) -> int:
    return len(calls(emulator, "compose"))


def check_stopped(result: Result, *said: str) -> None:
    """It ended with 2 and a plain sentence."""
    assert result.code == 2, result
    assert "Traceback" not in result.err
    assert "error: " in result.err.lower() or "stopped: " in result.err
    for words in said:
        assert words in result.err


def check_finishes(project: Project, emulator: Emulator) -> None:
    """The next run sends what is left, nothing twice, and what it wrote is whole."""
    result = send(project, emulator)
    assert result.code == 0, result
    assert reached(emulator) == PEOPLE
    assert composes(emulator) == COUNT
    attempts = read_history(project.manifest(emulator), emulator.url).attempts
    assert (
        sorted(toloker for each in attempts if each.was_sent for toloker in each.recipients_ids)
        == PEOPLE
    )
    assert not [each for each in attempts if each.is_unknown]


# --- a disk that is full --------------------------------------------------------------------------


@pytest.mark.some(2)
@pytest.mark.parametrize(
    ("pages", "arrived"), [(0, {0}), (2, {0}), (3, set(range(1, 5))), (5, set(range(5, COUNT)))]
)
def test_a_full_disk_stops_the_run_and_loses_nothing(
    pages: int, arrived: set[int], disk: Disk, start_emulator: StartEmulator
) -> None:
    # The first page holds the note of who holds the lock, the second the words, the others what was
    # sent.
    project, emulator = Project(disk.path), start_emulator()
    write_messages(project)
    disk.leave(pages * 4096)
    by = (*disk.command, disk.folder)
    result = send(project, emulator, by=by)
    check_stopped(result, "; make room and run again")
    assert composes(emulator) in arrived
    disk.clear()
    assert send(project, emulator, by=by).code == 0
    assert reached(emulator) == PEOPLE
    assert composes(emulator) == COUNT


@pytest.mark.dear
@pytest.mark.parametrize("missing", ["intent", "outcome"])
def test_a_line_that_does_not_fit_stops_the_run_and_loses_nothing(
    missing: str, project: Project, emulator: Emulator
) -> None:
    write_messages(project)
    for _ in range(2):
        assert send(project, emulator, "--limit", "1").code == 0
    kept = project.manifest(emulator).read_bytes()
    by_event = {json.loads(line)["event"]: line for line in kept.splitlines(True)}
    intent, outcome = by_event["intent"], by_event["sent"]
    words = (COUNT - 2) * by_event["content"]
    begun = len(kept + by_event["run"] + by_event["anchor"] + words)
    room = begun + 8 * len(intent + outcome) + len(intent if missing == "outcome" else b"") + 9
    result = send(project, emulator, by=no_file_above(room))
    check_stopped(result, "; raise the limit on a file's size")
    # The last: without its intent it is not sent, and without its outcome it is not forgotten.
    assert composes(emulator) == (10 if missing == "intent" else 11)
    assert project.events(emulator)[-1]["event"] == ("sent" if missing == "intent" else "intent")
    check_finishes(project, emulator)


@pytest.mark.dear
@pytest.mark.parametrize(
    ("call", "error", "number", "arrived", "last"),
    [
        ("fsync", "ENOSPC", 1, 0, None),
        ("fsync", "EDQUOT", 3, 0, "run"),
        ("fsync", "EIO", 6, 2, "sent"),
    ],
)
def test_a_disk_that_fails_late_stops_the_run_and_loses_nothing(
    call: str,
    error: str,
    number: int,
    arrived: int,
    last: str | None,
    project: Project,
    emulator: Emulator,
) -> None:
    # What a network drive does: it takes a line, and says that there is no room when it is kept.
    write_messages(project)
    fault = with_fault(call, f"error={error}:when={number}+")
    result = send(project, emulator, "--jobs", "1", by=fault)
    assert result.code == 2, result
    assert "Traceback" not in result.err
    assert "the manifest results/" in result.err
    assert composes(emulator) == arrived
    manifest = project.manifest(emulator)
    assert manifest.exists() == (last is not None)
    assert last is None or project.events(emulator)[-1]["event"] == last
    check_finishes(project, emulator)
    assert [path.name for path in manifest.parent.glob(".*")] == []


def test_a_line_that_was_not_kept_is_cut_off_again(tmp_path: Path) -> None:
    failures = iter([None, OSError(28, "No space left on device")])

    def sync(handle: int) -> None:
        os.fsync(handle)
        if failure := next(failures):
            raise failure

    path = tmp_path / "lines"
    with FileIO(path, "a") as stream:
        appender = Appender(stream, sync)
        appender.append(b"one\n")
        for _ in range(2):
            with pytest.raises(OSError, match="No space left"):
                appender.append(b"two\n")
            assert path.read_bytes() == b"one\n"


def test_a_file_system_without_locks_is_no_bug(project: Project, emulator: Emulator) -> None:
    write_messages(project)
    result = send(project, emulator, by=with_fault("flock", "error=ENOSYS"))
    check_stopped(result, "the file system has no locks, keep the manifest on another one")
    assert composes(emulator) == 0


def test_results_that_do_not_fit_at_the_end_do_not_say_that_nothing_was_sent(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct(*tolokers(300)))
    args = ("--results", "results.json")
    # The results have a line for each Toloker, and the manifest has not.
    result = send(project, emulator, *args, by=no_file_above(8500))
    check_stopped(result, "results.json cannot be written: ")
    assert "3 sent" in result.out
    assert reached(emulator) == tolokers(300)
    # The document of the beginning, which says that the run came to no good end.
    assert project.results()["exit_code"] == 1
    assert [path.name for path in project.root.glob(".results*")] == []
    assert send(project, emulator, *args).code == 0
    assert project.results()["summary"] == {"already_sent": 3}


def test_a_plan_that_does_not_fit_leaves_the_old_one(project: Project) -> None:
    write_messages(project)
    assert project.run("plan", "--out", "plan.json").code == 0
    before = project.files()
    by = (*no_file_above(2000), *COMMAND)
    for args in (["plan", "--out", "plan.json"], ["preview", "--output", "plan.json"]):
        result = run_command(*args, cwd=project.root, command=by)
        check_stopped(result, "plan.json cannot be written: ")
        assert project.files() == before


def test_a_set_up_that_does_not_fit_can_be_repeated(project: Project) -> None:
    by = (*no_file_above(3000), *COMMAND)
    check_stopped(run_command("init", cwd=project.root, command=by), "schemas/message.schema.json")
    assert project.run("init").code == 0
    assert all(len(content) > 5 for content in project.files().values())
    json.loads((project.root / "schemas" / "message.schema.json").read_text())
    ours = b"# ours\n" * 20_000
    project.write(".gitignore", ours)
    by = (*no_file_above(len(ours) + 5), *COMMAND)
    check_stopped(run_command("init", cwd=project.root, command=by), ".gitignore cannot be written")
    assert (project.root / ".gitignore").read_bytes() == ours


@pytest.mark.dear
def test_an_emulator_on_a_full_disk_sends_nothing_twice(disk: Disk, tmp_path: Path) -> None:
    project = Project(disk.path)
    write_messages(project)
    by = (*disk.command, disk.folder, *COMMAND)
    disk.leave(0)
    assert run_command("send", cwd=project.root, command=by).code == 2
    disk.clear()
    disk.leave(160 * 1024)
    stopped = run_command(*("send", "--jobs", "1", "--settle", "0.1"), cwd=project.root, command=by)
    # Its store shares the disk, so one call is not answered; what ends the run is that the
    # manifest has no room for its next line either.
    assert stopped.code == 2, stopped
    assert "the manifest results/local.jsonl cannot be written: " in stopped.err
    assert "12 sent" not in stopped.out
    assert "Traceback" not in stopped.err
    disk.clear()
    assert run_command("send", "--settle", "0.1", cwd=project.root, command=by).code == 0
    # SQLite finds no file by a path into another process's disk.
    store = shutil.copy(project.root / ".message-runner" / "local.sqlite", tmp_path)
    with Emulator(Path(store)) as emulator:
        assert reached(emulator) == PEOPLE


# --- something else in the place of a file --------------------------------------------------------


def put(path: Path, kind: str) -> None:
    """Put what is no file where a file should be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        targets = {"device": "/dev/zero", "nowhere": "gone/file", "loop": path.name}
        path.symlink_to(targets[kind])


KINDS = ["folder", "pipe", "device", "nowhere", "loop"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_manifest_that_is_no_file_is_refused_before_anything_is_sent(
    kind: str, project: Project, emulator: Emulator
) -> None:
    write_messages(project)
    put(project.manifest(emulator), kind)
    shown = project.manifest(emulator).relative_to(project.root)
    check_stopped(send(project, emulator), f"the manifest {shown} cannot be read")
    check_stopped(project.run("plan", "--target", emulator.url), f"{shown} cannot be read")
    assert composes(emulator) == 0
    assert not project.manifest(emulator).is_file()


@pytest.mark.parametrize("kind", ["pipe", "device", "nowhere"])
def test_the_note_of_who_holds_the_lock_is_written_into_nothing_else(
    kind: str, project: Project, emulator: Emulator
) -> None:
    write_messages(project)
    put(Path(f"{project.manifest(emulator)}.holder"), kind)
    check_finishes(project, emulator)


@pytest.mark.parametrize("place", ["results", "manifests/deep"])
def test_a_folder_that_is_a_file_or_leads_nowhere_is_refused(
    place: str, project: Project, emulator: Emulator
) -> None:
    write_messages(project)
    manifest = ("--manifest", f"{place}/m.jsonl")
    first = project.root / Path(place).parts[0]
    first.write_text("a file")
    said = f"cannot be written: {first.name} is not a folder"
    check_stopped(send(project, emulator, *manifest), said)
    assert first.read_text() == "a file"
    first.unlink()
    first.symlink_to("gone")
    said = f"{first.name} is a link that leads nowhere; bring back what it leads to, or remove it"
    check_stopped(send(project, emulator, *manifest), said)
    assert not (project.root / "gone").exists()
    assert composes(emulator) == 0


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_an_output_that_is_no_file_is_refused_before_anything_is_sent(
    kind: str, project: Project, emulator: Emulator
) -> None:
    write_messages(project)
    put(project.root / "out", kind)
    said = "out cannot be written: it is a "
    check_stopped(send(project, emulator, "--results", "out"), said)
    for args in (["plan", "--out"], ["preview", "--output"]):
        check_stopped(project.run(*args, "out"), said)
    # A device is where a summary may go; a pipe that nobody reads is not waited for.
    if kind != "device":
        check_stopped(project.run("plan", "--summary", "out"), "out cannot be written: ")
    check_stopped(send(project, emulator, "--plan", "out"), "--plan out: this is not a file")
    assert composes(emulator) == 0
    assert not (project.root / "out").is_file()


def test_a_summary_may_go_to_a_stream(project: Project) -> None:
    write_messages(project)
    result = project.run_process("plan", "--quiet", "--summary", "/dev/stdout")
    assert result.code == 0
    assert "## Messages to Tolokers" in result.out


@pytest.mark.parametrize("place", ["elsewhere", "gone/elsewhere", "out"])
def test_an_output_that_is_a_link_is_replaced_and_never_followed(
    place: str, project: Project
) -> None:
    write_messages(project)
    project.write("elsewhere", "whatever a pull request wants overwritten")
    (project.root / "out").symlink_to(place)
    for args in (["--results", "out"], ["--out", "out"]):
        assert project.run("plan", *args).code == 0
        assert not (project.root / "out").is_symlink()
        json.loads((project.root / "out").read_text())
    assert (project.root / "elsewhere").read_text().startswith("whatever")


def test_no_output_is_put_over_a_manifest_or_a_message(
    project: Project, emulator: Emulator
) -> None:
    write_messages(project)
    begin_manifest(project, emulator)
    before = project.files()
    name = str(project.manifest(emulator).relative_to(project.root))
    said = f"{name} cannot be written: it is a manifest, which says what was sent"
    check_stopped(send(project, emulator, "--results", name), said)
    for args in (["plan", "--out"], ["plan", "--summary"], ["preview", "--output"]):
        check_stopped(project.run(*args, name), said)
    said = "messages/m00.yaml looks like a message: name another file"
    check_stopped(send(project, emulator, "--results", "messages/m00.yaml"), said)
    for option in ("--out", "--summary", "--outputs"):
        check_stopped(project.run("plan", option, "messages/m00.yaml"), said)
    assert project.files() == before
    assert composes(emulator) == 0


@pytest.mark.parametrize("kind", ["folder", "pipe", "nowhere"])
def test_a_store_that_is_no_file_is_said_at_once(kind: str, project: Project) -> None:
    write_messages(project)
    put(project.root / ".message-runner" / "local.sqlite", kind)
    began = time.monotonic()
    check_stopped(project.run("send"), "the local emulator cannot start: ")
    said = "the emulator cannot start on port 0, with its store .message-runner/local.sqlite: "
    check_stopped(project.run("emulator", "--port", "0"), said)
    # It does not go on trying, as it does when another process makes the same store.
    assert time.monotonic() - began < 15
    assert not project.manifest().exists()


def test_the_store_is_a_plain_file_of_its_owner_s(project: Project, tmp_path: Path) -> None:
    write_messages(project)
    (tmp_path / "other.sqlite").touch()
    (tmp_path / "folder").mkdir()
    store = project.root / ".message-runner" / "local.sqlite"
    store.parent.mkdir()
    store.symlink_to(tmp_path / "other.sqlite")
    check_stopped(project.run("send"), "the local emulator cannot start: the store is not a file")
    store.unlink()
    store.parent.rmdir()
    store.parent.symlink_to(tmp_path / "folder")
    check_stopped(project.run("send"), ".message-runner is a link, put a folder in its place")
    assert [*(tmp_path / "folder").iterdir()] == []
    assert (tmp_path / "other.sqlite").stat().st_size == 0
    store.parent.unlink()
    assert project.run("send").code == 0
    assert stat.S_IMODE(store.stat().st_mode) == 0o600


def test_a_summary_is_not_written_through_a_link(project: Project) -> None:
    write_messages(project)
    project.write("elsewhere", "whatever a pull request wants overwritten")
    (project.root / "out").symlink_to("elsewhere")
    check_stopped(project.run("plan", "--summary", "out"), "out cannot be written: it is a link")
    assert (project.root / "elsewhere").read_text().startswith("whatever")


def test_a_manifest_elsewhere_stays_there_and_has_one_lock(
    project: Project, emulator: Emulator, tmp_path: Path
) -> None:
    write_messages(project)
    real = tmp_path / "shared" / "ours.jsonl"
    real.parent.mkdir()
    real.touch()
    link = project.manifest(emulator)
    link.parent.mkdir()
    link.symlink_to(real)
    check_finishes(project, emulator)
    assert link.is_symlink()
    history = read_history(real, emulator.url)
    assert history.account == emulator.account
    assert len(history.attempts) == COUNT
    # Two runs that know it by two names are two runs at once all the same.
    with locked(real):
        check_stopped(send(project, emulator), "is in use by another run (process")


def test_a_set_up_leaves_alone_what_is_no_plain_file(project: Project) -> None:
    put(project.root / ".github" / "workflows" / "messages.yml", "nowhere")
    put(project.root / ".github" / "CODEOWNERS", "pipe")
    project.write("elsewhere", "a file that a link leads to\n")
    (project.root / ".gitignore").symlink_to("elsewhere")
    result = project.run("init")
    assert result.code == 0, result
    assert ".gitignore is not a plain file: add to it /.message-runner/ /results/" in result.out
    assert (project.root / "elsewhere").read_text() == "a file that a link leads to\n"
    assert not (project.root / ".github" / "workflows" / "gone").exists()


def test_a_message_that_is_a_pipe_is_not_waited_for(project: Project) -> None:
    os.mkfifo(project.root / "messages" / "pipe.yaml")
    result = project.run("plan")
    assert result.code == 3
    assert "messages/pipe.yaml:1:1: error: this is a pipe or a device, not a file" in result.err


# --- what a manifest may hold ---------------------------------------------------------------------


@pytest.mark.dear
@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (HEADER + b"\n\xff\xfe\n", 2, "not a line of a manifest"),
        (HEADER + b"\n\0\0\0\0\n", 2, "not a line of a manifest"),
        (HEADER + b"\n" + b"x" * 3_000_000 + b"\n", 2, "not a line of a manifest"),
        (HEADER + b"\r" + HEADER + b"\r", 1, "its lines end in CR alone"),
        (HEADER + b"\n" + HEADER + b"\r" + HEADER, 2, "its lines end in CR alone"),
        (b"-----BEGIN PRIVATE KEY----- of no line end", 1, "not a line of a manifest"),
        ((HEADER + b"\n").decode().encode("utf-16"), 1, "it is UTF-16, and has to be UTF-8"),
        (HEADER + b"\n" + b'{"event":"' + b"x" * 60_000_000 + b'"}\n', 2, "the line is too long"),
        (intent(b'"revision":' + b"9" * 5_000), 2, "not a line of a manifest"),
        (intent(b'"revision":' + b"9" * 4_000), 2, "no whole number under 'revision'"),
        (intent(b'"revision":1,"at":"9999-12-31T23:59:59Z"'), 2, "no time under 'at'"),
        (intent(b'"revision":1,"at":"0001-01-01T00:00:00Z"'), 2, "no time under 'at'"),
    ],
    ids=[
        *("no UTF-8", "NULs", "a long line", "CR", "CR at the end", "no manifest", "UTF-16"),
        *("a very long line", "more digits than Python reads", "very many digits"),
        *("the last year", "the first year"),
    ],
)
def test_a_damaged_manifest_is_refused_with_its_line_and_stays_as_it_is(
    content: bytes, line: int, reason: str, project: Project, emulator: Emulator
) -> None:
    write_messages(project)
    content = begin_manifest(project, emulator, content)
    manifest = project.manifest(emulator)
    result, cost = run_limited(
        *("send", "--target", emulator.url), cwd=project.root, env={"TOLOKA_TOKEN": TOKEN}
    )
    check_stopped(result, f"{manifest.name}:{line}:1: error: the manifest is damaged ({reason})")
    check_cheap(cost)
    assert composes(emulator) == 0
    assert manifest.read_bytes() == content


def test_a_manifest_larger_than_the_memory_is_refused(project: Project, emulator: Emulator) -> None:
    write_messages(project)
    manifest = project.write(f"results/{project.manifest(emulator).name}", "")
    os.truncate(manifest, 3 * 1024**3)
    result, cost = run_limited(
        *("send", "--target", emulator.url), cwd=project.root, env={"TOLOKA_TOKEN": TOKEN}
    )
    check_stopped(result, "cannot be read: it does not fit into memory")
    check_cheap(cost)
    assert composes(emulator) == 0


@pytest.mark.parametrize("torn", [b"[" * 100_000, b'{"event":"sent"\0\0\0', b'{"event":"int\r'])
def test_a_last_line_that_was_torn_is_cut_off_whatever_it_holds(
    torn: bytes, project: Project, emulator: Emulator
) -> None:
    write_messages(project)
    begin_manifest(project, emulator, HEADER + b"\n" + torn)
    check_finishes(project, emulator)


# --- permissions ----------------------------------------------------------------------------------


@pytest.fixture
def _restored(project: Project) -> Iterator[None]:
    yield
    for path in (project.root, *project.root.rglob("*")):
        path.chmod(0o700)


@pytest.mark.dear
@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize(
    ("place", "mode"),
    [("", 0o500), ("", 0), (".jsonl", 0o444), (".jsonl", 0)],
    ids=["folder read-only", "folder shut", "file read-only", "file shut"],
)
def test_what_this_user_may_not_write_stops_the_run_before_anything_is_sent(
    place: str, mode: int, project: Project, emulator: Emulator
) -> None:
    write_messages(project)
    begin_manifest(project, emulator)
    manifest = project.manifest(emulator)
    shut = manifest.with_name(manifest.stem + place) if place else manifest.parent
    shut.chmod(mode)
    result = send(project, emulator, by=ORDINARY)
    check_stopped(result, "; give this user the right to it")
    assert composes(emulator) == 0
    if place == ".jsonl" and mode == 0:
        for command in (["status", "--refresh"], ["plan"]):
            said = run_command(
                *(*command, "--target", emulator.url),
                cwd=project.root,
                env={"TOLOKA_TOKEN": TOKEN},
                command=(*ORDINARY, *COMMAND),
            )
            check_stopped(said, "cannot be read: ")


@pytest.mark.usefixtures("_restored")
def test_results_and_stores_in_a_read_only_folder_stop_the_run(
    project: Project, emulator: Emulator
) -> None:
    write_messages(project)
    shut = project.root / "shut"
    shut.mkdir(mode=0o500)
    result = send(project, emulator, "--results", "shut/results.json", by=ORDINARY)
    check_stopped(result, "shut/results.json cannot be written: ")
    assert calls(emulator) == []
    by = (*ORDINARY, *COMMAND)
    args = ("emulator", "--port", "0", "--store", "shut/store")
    check_stopped(run_command(*args, cwd=project.root, command=by), "its store shut/store: ")
    check_stopped(run_command("init", "shut", cwd=project.root, command=by), "shut/runner.yaml")


# --- what goes away during a run ------------------------------------------------------------------


def remove_results(project: Project, emulator: Emulator) -> None:
    shutil.rmtree(project.manifest(emulator).parent)


def replace_manifest(project: Project, emulator: Emulator) -> None:
    """What a `git checkout` in the folder does."""
    manifest = project.manifest(emulator)
    copy = manifest.with_name("copy")
    shutil.copy(manifest, copy)
    copy.replace(manifest)


def start_slowly(
    project: Project, emulator: Emulator, enough: int, cwd: Path | None = None
) -> subprocess.Popen[str]:
    """Start a run, and wait until so many requests have arrived."""
    process = Project(cwd or project.root).start(
        *("send", "--target", emulator.url, "--jobs", "1", "--settle", "0.1"), TOLOKA_TOKEN=TOKEN
    )
    until = time.monotonic() + 20
    while composes(emulator) < enough:
        assert time.monotonic() < until
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    return process


@pytest.mark.dear
@pytest.mark.parametrize("lose", [remove_results, replace_manifest])
def test_a_manifest_that_is_lost_during_the_run_stops_it(
    lose: Callable[[Project, Emulator], None], project: Project, start_emulator: StartEmulator
) -> None:
    emulator = start_emulator(latency_ms=80)
    write_messages(project)
    process = start_slowly(project, emulator, 3)
    lose(project, emulator)
    result = ended(process)
    assert result.code == 2, result
    assert "it was removed or replaced while this run wrote to it" in result.err
    assert composes(emulator) <= 5
    check_finishes(project, emulator)


def test_a_current_folder_that_is_lost_during_the_run_does_no_harm(
    project: Project, start_emulator: StartEmulator
) -> None:
    emulator = start_emulator(latency_ms=60)
    write_messages(project)
    here = project.root / "here"
    here.mkdir()
    process = start_slowly(project, emulator, 3, here)
    here.rmdir()
    result = ended(process)
    assert result.code == 0, result
    assert "12 sent" in result.out
    check_finishes(project, emulator)


def test_a_current_folder_that_is_not_there_is_said(project: Project) -> None:
    gone = "import os, sys; os.rmdir(os.getcwd()); os.execv(sys.argv[1], sys.argv[1:])"
    for command in ("send", "init"):
        (project.root / "gone").mkdir()
        by = (sys.executable, "-c", gone, *COMMAND)
        check_stopped(run_command(command, cwd=project.root / "gone", command=by), "folder")


# --- a terminal or a pipe that takes nothing ------------------------------------------------------


def run_into(
    project: Project, redirection: str, *args: str, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run the command in a shell, with a redirection or into a pipe; gives the command's code."""
    script = f'"$@" {redirection}'
    if "|" in redirection:
        script = f'{{ "$@"; echo $? >code; }} {redirection}; exit "$(cat code)"'
    return subprocess.run(
        ["sh", "-c", script, "sh", *COMMAND, *args],
        cwd=project.root,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.mark.parametrize(
    "args",
    ["plan", "plan --format json", "validate", "schema", "--version", "init x"],
)
def test_output_that_cannot_be_written_is_no_success(args: str, project: Project) -> None:
    write_messages(project)
    done = run_into(project, ">/dev/full", *args.split())
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr
    assert "error: " in done.stderr
    assert os.strerror(errno.ENOSPC) in done.stderr
    assert "bug" not in done.stderr


@pytest.mark.dear
def test_a_run_whose_report_cannot_be_written_loses_nothing(
    project: Project, emulator: Emulator
) -> None:
    write_messages(project)
    args = ("send", "--target", emulator.url, "--results", "results.json")
    done = run_into(project, ">/dev/full", *args, TOLOKA_TOKEN=TOKEN)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert project.results()["summary"] == {"sent": COUNT}
    check_finishes(project, emulator)


def test_a_reader_that_goes_away_gets_no_traceback_and_the_files_are_written(
    project: Project,
) -> None:
    # Far more than a pipe holds, so that there is somebody to miss.
    project.write("messages/a.yaml", direct("t1", text="many words\n" * 20_000))
    args = ("plan", "-v", "--out", "plan.json", "--results", "results.json", "--summary", "s.md")
    done = run_into(project, "| head -c 10", *args)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert project.results("plan.json")["has_changes"]
    assert project.results()["summary"] == {"planned": 1}
    assert (project.root / "s.md").exists()


@pytest.mark.parametrize("redirection", [">&-", "2>/dev/full"])
def test_a_run_that_can_tell_nobody_sends_nothing(
    redirection: str, project: Project, emulator: Emulator
) -> None:
    write_messages(project)
    args = ("send", "--target", emulator.url)
    assert run_into(project, redirection, *args, TOLOKA_TOKEN=TOKEN).returncode == 2
    assert composes(emulator) == 0
    check_finishes(project, emulator)


@pytest.mark.dear
def test_closed_standard_files_are_no_place_for_other_files(
    project: Project, emulator: Emulator
) -> None:
    write_messages(project)
    args = ("send", "--target", emulator.url)
    done = run_into(project, "2>&- <&-", *args, TOLOKA_TOKEN=TOKEN)
    assert done.returncode == 0, done
    assert "12 sent" in done.stdout
    check_finishes(project, emulator)


@pytest.mark.dear
def test_a_terminal_that_is_closed_during_the_run_loses_nothing(
    project: Project, start_emulator: StartEmulator
) -> None:
    emulator = start_emulator(latency_ms=60)
    write_messages(project)
    ours, theirs = pty.openpty()
    args = ("send", "--target", emulator.url, "--jobs", "1", "--yes")
    process = subprocess.Popen(
        [*COMMAND, *args],
        cwd=project.root,
        env={**os.environ, "TOLOKA_TOKEN": TOKEN},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    with suppress(OSError):
        while not re.search(rb"\d of 12", seen):
            seen += os.read(ours, 100)
    os.close(ours)
    out, _ = process.communicate(timeout=TIMEOUT_S)
    assert seen
    assert process.returncode == 0
    assert b"12 sent" in out
    assert reached(emulator) == PEOPLE
    assert [event["event"] for event in project.events(emulator)].count("sent") == COUNT


def test_a_second_fault_does_not_hide_the_first(project: Project) -> None:
    project.write("messages/a.yaml", "topic: {EN: x}\n")
    (project.root / "out").mkdir()
    result = project.run("plan", "--summary", "out")
    assert result.code == 3
    assert "error: out cannot be written: it is a folder" in result.err
    assert "messages/a.yaml:1:1: error: " in result.err
