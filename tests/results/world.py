"""A bare repository for a remote, and clones of it: the machines that share results."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import TIMEOUT_S, TOKEN, Project, Result, calls, direct, ended, reached, threads

from runner.emulator import Emulator

BRANCH = "message-results"
REF = f"refs/heads/{BRANCH}"
PRIVATE = f"refs/message-runner/{BRANCH}"
_WHO = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")


def git(folder: Path, *args: str, stdin: bytes | None = None) -> str:
    """Call git as a person would; gives what it printed."""
    done = subprocess.run(
        ["git", *_WHO, *args],
        cwd=folder,
        input=stdin,
        env={**os.environ, "GIT_CONFIG_NOSYSTEM": "1"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def new_remote(folder: Path, *options: str) -> Path:
    """Make a bare repository whose default branch has one commit."""
    bare, seed = folder / "remote.git", folder / "seed"
    init = ("init", "--quiet", "--initial-branch=main", *options)
    git(folder, *init, "--bare", str(bare))
    git(folder, *init, str(seed))
    (seed / "README").write_text("Messages.\n")
    git(seed, "add", ".")
    git(seed, "commit", "--quiet", "-m", "Begin")
    git(seed, "push", "--quiet", str(bare), "main")
    return bare


def clone(bare: Path, folder: Path, *args: str) -> Path:
    """Clone it, as another machine would."""
    git(bare.parent, "clone", "--quiet", *args, bare.as_uri(), str(folder))
    return folder


def files_on(bare: Path, ref: str = REF) -> dict[str, str]:
    """What a branch holds, by path."""
    names = git(bare, "ls-tree", "-r", "--name-only", ref).splitlines()
    return {name: git(bare, "show", f"{ref}:{name}") for name in names}


QUICK = (sys.executable, str(Path(__file__).with_name("quick.py")))
FACTOR = 0.06
"""Of the times of a results branch: a silent run is taken over after some seven seconds."""


BEFORE = "somebody-else"


def write_before(emulator: Emulator) -> None:
    """Let the account have written something by hand: its list then shows that it lists such."""
    form = {
        "topic": {"EN": BEFORE},
        "text": {"EN": "By hand."},
        "recipients_select_type": "DIRECT",
        "recipients_ids": [BEFORE],
        "answerable": False,
    }
    request = urllib.request.Request(
        f"{emulator.url}/api/v1/message-threads/compose",
        json.dumps(form).encode(),
        {"Authorization": f"OAuth {TOKEN}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 201


@dataclass
class Fleet:
    """One bare repository, one emulator, and machines that each have a clone and the same messages."""

    bare: Path
    emulator: Emulator
    wanted: list[str]
    factor: float = FACTOR
    settle: str = "0.05"

    def machine(self, name: str, alone: int = 3) -> Project:
        """A clone of its own, with a message to most and messages to some alone."""
        project = Project(clone(self.bare, self.bare.parent / name))
        project.write("runner.yaml", f"defaults: {{settle: 0}}\nresults: {{branch: {BRANCH}}}\n")
        project.write("messages/all.yaml", direct(*self.wanted[:-alone], topic="All"))
        for toloker in self.wanted[-alone:]:
            project.write(f"messages/{toloker}.yaml", direct(toloker, topic=toloker))
        return project

    def start(self, machine: Project, *args: str, **env: str) -> subprocess.Popen[str]:
        """Start `send` there, with quick times; whoever starts it ends it."""
        given = (
            "--target",
            self.emulator.url,
            "--settle",
            self.settle,
            "--lock-timeout",
            "60",
            *args,
        )
        return subprocess.Popen(
            [*QUICK, str(self.factor), "send", *given],
            cwd=machine.root,
            env={**os.environ, "TOLOKA_TOKEN": TOKEN, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def send(self, machine: Project, *args: str, **env: str) -> Result:
        return ended(self.start(machine, *args, **env))

    def commits(self) -> int:
        """How many pushes were accepted, but for the one that began the branch."""
        done = subprocess.run(
            ["git", "rev-list", "--count", REF], cwd=self.bare, capture_output=True, check=False
        )
        return int(done.stdout or 0) - 1

    def composes(self) -> int:
        return len(calls(self.emulator, "compose")) - 1

    def lines(self) -> list[dict[str, Any]]:
        """Every line on the branch."""
        texts = files_on(self.bare).values()
        return [json.loads(line) for text in texts for line in text.splitlines()]

    def hook(self, name: str, script: str) -> None:
        """Let the remote run something when it is pushed to."""
        path = self.bare / "hooks" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def check_nobody_twice(self) -> None:
        assert len(reached(self.emulator)) == len(set(reached(self.emulator)))

    def check_done(self, machine: Project) -> None:
        """Run until there is nothing left: everybody got what is wanted, once."""
        codes: list[int] = []
        while not codes or codes[-1] != 0:
            result = self.send(machine)
            codes.append(result.code)
            # On a machine that is very slow, its timer may end a run.
            assert result.code in (0, 5, 75, -signal.SIGALRM), result.err
            assert len(codes) < 8, result.err
            self.check_nobody_twice()
        assert reached(self.emulator) == sorted([*self.wanted, BEFORE])
        sent = {line["thread_id"] for line in self.lines() if line["event"] == "sent"}
        held = [thread for thread in threads(self.emulator) if thread["topic"]["EN"] != BEFORE]
        assert sent == {thread["id"] for thread in held}


def new_fleet(
    folder: Path,
    emulator: Emulator,
    wanted: list[str],
    *,
    factor: float = FACTOR,
    settle: str = "0.05",
) -> Fleet:
    """A fleet whose branch somebody has begun: its account has sent before, by hand."""
    write_before(emulator)
    fleet = Fleet(new_remote(folder), emulator, wanted, factor, settle)
    begun = fleet.machine("first").run("unlock", "--rewritten", "--yes", "--target", emulator.url)
    assert begun.code == 0, begun.err
    return fleet


def wait_for(is_so: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Poll until something is so; the process must not have come to its end before."""
    until_s = time.monotonic() + TIMEOUT_S
    while not is_so():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until_s
        time.sleep(0.005)


@contextmanager
def running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """End a process, whatever happens."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate(timeout=TIMEOUT_S)
