"""A project and runs of it against a server, in this process or in one of their own.

Whatever is claimed here is counted at the server: `World.reached` reads the emulator's store.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

from support import COMMAND, TOKEN, Result, call_command, control, threads

from runner.config import load_config
from runner.emulator import Emulator, parse_fault
from runner.errors import ExitCode, SurroundingsError
from runner.manifest.file import open_file, read_history
from runner.manifest.manifest import Manifest
from runner.model import Delivery, Message, Outcome, Thread
from runner.prepare import Selection, prepare
from runner.send.options import RunOptions
from runner.send.run import Run, Toloka
from runner.send.tally import RunResult
from runner.toloka.client import Client
from runner.toloka.pace import Pace

Reached = Counter[tuple[str, str]]
"""How many times each (topic, Toloker id) was written to, a filter and ALL by their names."""
Line = dict[str, Any]


def spec(topic: str, *ids: str, filtered: bool = False, revision: int = 1, text: str = "") -> str:
    """A message by its topic: DIRECT to these ids, FILTER, or else ALL."""
    lines = [f"topic: {{EN: {json.dumps(topic)}}}", f"text: {{EN: {json.dumps(text or topic)}}}"]
    if ids:
        lines += ["recipients_select_type: DIRECT", f"recipients_ids: {json.dumps(ids)}"]
    elif filtered:
        condition = "{category: skill, key: '224', operator: GTE, value: 80}"
        lines += ["recipients_select_type: FILTER", f"recipients_filter: {condition}"]
    else:
        lines += ["recipients_select_type: ALL"]
    return "\n".join([*lines, f"revision: {revision}", ""])


def people(count: int, name: str = "t") -> list[str]:
    return [f"{name}{number:04}" for number in range(count)]


@dataclass
class Wire:
    """A wire that passes everything on: a subclass may have a say in what is tried."""

    wire: Toloka

    @property
    def server_ahead_s(self) -> float:
        return self.wire.server_ahead_s

    def threads(self, query: Mapping[str, str]) -> Iterator[Thread]:
        return self.wire.threads(query)

    def newest(self) -> Sequence[Thread]:
        return self.wire.newest()

    def add_to_folders(self, thread_id: str, folders: Sequence[str]) -> Outcome:
        return self.wire.add_to_folders(thread_id, folders)

    def deliver(self, delivery: Delivery) -> Outcome:
        return self.wire.deliver(delivery)


@dataclass
class World:
    """A project folder, its messages, and a server to send them to."""

    root: Path
    emulator: Emulator
    settle_s: float = 0.05
    timeout_s: float = 5.0
    jobs: int = 4
    proxy: str | None = None
    """Where to reach the emulator, if not at its own address."""
    wanted: set[tuple[str, str]] = field(default_factory=set)
    """Who is to be reached, as `reached` counts them."""

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.jsonl"

    @property
    def url(self) -> str:
        return self.proxy or self.emulator.url

    def write(self, name: str, *ids: str, **how: Any) -> None:
        """Write a message whose topic is its name, and want its recipients reached."""
        topic = how.pop("topic", name)
        path = self.root / "messages" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(spec(topic, *ids, **how))
        targets = ids or ("FILTER" if how.get("filtered") else "ALL",)
        self.wanted |= {(topic, each) for each in targets}

    def messages(self, *paths: Path) -> tuple[Message, ...]:
        return prepare(Selection(paths=paths), load_config(None, self.root)).messages

    @contextmanager
    def open(self) -> Iterator[tuple[Manifest, Client, Pace]]:
        """Open what a run needs, as the command does."""
        pace = Pace(285.0)
        client = Client(self.url, TOKEN, timeout_s=self.timeout_s, pace=pace)
        try:
            with open_file(self.manifest, self.url, {"run": token_hex(8)}) as manifest:
                yield manifest, client, pace
        finally:
            client.close()

    def run(
        self,
        messages: Sequence[Message] | None = None,
        *,
        jobs: int | None = None,
        wire: Callable[[Toloka], Toloka] = lambda client: client,
        **options: Any,
    ) -> RunResult:
        """Run once in this process; a refusal of the surroundings becomes its exit code."""
        messages = self.messages() if messages is None else messages
        settings = {"settle_s": self.settle_s, "catches_up": True, **options}
        asked = RunOptions(messages=tuple(messages), jobs=jobs or self.jobs, **settings)
        try:
            with self.open() as (manifest, client, pace):
                return Run(asked, manifest, wire(client), pace).carry_out()
        except SurroundingsError as error:
            return RunResult(results=(), notes=(str(error),), exit_code=error.exit_code)

    def run_until_done(self, *, at_most: int = 12, **how: Any) -> list[ExitCode]:
        """Run until the exit code is 0; gives the codes. Nobody is doubled on the way."""
        codes: list[ExitCode] = []
        while not codes or codes[-1] != ExitCode.DONE:
            assert len(codes) < at_most, f"it never ends well: {codes}"
            codes.append(self.run(**how).exit_code)
            self.check_claims()
        return codes

    def arguments(self, command: str, *args: str | Path) -> tuple[str, ...]:
        target = ("--target", self.url, "--manifest", str(self.manifest))
        return (command, *map(str, args), *target)

    def environment(self) -> dict[str, str]:
        return {"TOLOKA_TOKEN": TOKEN}

    @property
    def speed(self) -> tuple[str, ...]:
        return ("--settle", str(self.settle_s), "--timeout", str(self.timeout_s))

    def send(self, *args: str | Path, **env: str) -> Result:
        """Call the command `send` to its end."""
        return self.command("send", *self.speed, "--jobs", str(self.jobs), *args, **env)

    def command(self, name: str, *args: str | Path, **env: str) -> Result:
        environment = self.environment() | env
        return call_command(*self.arguments(name, *args), cwd=self.root, env=environment)

    def send_until_done(self, *args: str | Path, at_most: int = 6) -> list[int]:
        """Call the command `send` until the exit code is 0; gives the codes."""
        codes: list[int] = []
        while not codes or codes[-1] != 0:
            assert len(codes) < at_most, f"it never ends well: {codes}"
            result = self.send(*args)
            assert result.code != ExitCode.BUG, result.err
            codes.append(result.code)
            self.check_claims()
        return codes

    def start(self, *args: str | Path) -> subprocess.Popen[str]:
        """Start `send` as a process; whoever starts it ends it."""
        given = ("--jobs", str(self.jobs), *self.speed, *args)
        return subprocess.Popen(
            [*COMMAND, *self.arguments("send", *given)],
            cwd=self.root,
            env={**os.environ, **self.environment()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def faults(self, *faults: str) -> None:
        """Other faults from now on, counted from the beginning."""
        control(self.emulator, "faults", {"faults": list(faults)})

    def calls(self, name: str) -> int:
        """How many calls with this name the server has received."""
        counts: dict[str, int] = control(self.emulator, "stats")["calls"]
        return counts.get(name, 0)

    def compose(self, topic: str, *ids: str, **changes: object) -> str:
        """Write a message behind the runner's back, as if `write` had; gives its thread."""
        form: dict[str, object] = {
            "topic": {"EN": topic},
            "text": {"EN": topic},
            "recipients_select_type": "DIRECT",
            "recipients_ids": ids,
            "answerable": True,
        }
        form = {name: value for name, value in {**form, **changes}.items() if value is not None}
        thread: str = self.post("message-threads/compose", form)["id"]
        return thread

    def post(self, path: str, body: object) -> Any:
        """Call the API behind the runner's back."""
        request = urllib.request.Request(
            f"{self.emulator.url}/api/v1/{path}",
            json.dumps(body).encode(),
            {"Authorization": f"OAuth {TOKEN}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def edit_store(self, statement: str, *values: object) -> None:
        """Change the server's memory by hand."""
        with closing(sqlite3.connect(self.root.parent / "toloka.sqlite")) as store, store:
            assert store.execute(statement, values).rowcount > 0

    def reached(self) -> Reached:
        """Everybody whom the server's threads reached, as often as they did."""
        return reached_by(threads(self.emulator))

    def lines(self) -> list[Line]:
        """The whole lines of the manifest."""
        if not self.manifest.exists():
            return []
        whole = self.manifest.read_bytes().rpartition(b"\n")[0]
        return [json.loads(line) for line in whole.split(b"\n") if line]

    def claimed(self) -> list[str]:
        return [line["thread_id"] for line in self.lines() if line["event"] == "sent"]

    def unknown(self) -> list[str]:
        history = read_history(self.manifest, None)
        return [each.delivery for each in history.attempts if each.is_unknown]

    def check_claims(self) -> None:
        """Nobody was written to twice, and nothing is called sent that was not."""
        doubled = {who: count for who, count in self.reached().items() if count > 1}
        assert not doubled
        known = [thread["id"] for thread in threads(self.emulator)]
        claimed = self.claimed()
        assert set(claimed) <= set(known)
        assert len(claimed) == len(set(claimed))

    def check_all_reached(self) -> None:
        """Everybody got what is wanted, once; the manifest has every thread of the server's."""
        assert self.reached() == Counter(self.wanted)
        held = threads(self.emulator)
        ours = [each["id"] for each in held if "parent_id" not in each]
        assert sorted(self.claimed()) == sorted(ours)

    def check_sends_nothing_more(self) -> None:
        """One more run makes no compose call, and reads a page, or two where it may be late."""
        composes, lists = self.calls("compose"), self.calls("list")
        assert self.run().exit_code == ExitCode.DONE
        assert self.calls("compose") == composes
        assert self.calls("list") <= lists + 2


def reached_by(held: Iterable[Mapping[str, Any]]) -> Reached:
    """Count whom threads reached; a thread of a Toloker's own has no `compose_details`."""
    count: Reached = Counter()
    for thread in held:
        details = thread.get("compose_details")
        if details is None:
            continue
        kind = details["recipients_select_type"]
        count.update(
            (thread["topic"]["EN"], each) for each in details.get("recipients_ids", [kind])
        )
    return count


@contextmanager
def world(root: Path, *faults: str, settle_s: float = 0.05, **options: Any) -> Iterator[World]:
    """Enter a world of its own: a project below `root` and an emulator with these faults."""
    project = root / "project"
    (project / "messages").mkdir(parents=True, exist_ok=True)
    parsed = [parse_fault(fault) for fault in faults]
    settings = {"rate_limit": 0, **options}
    with Emulator(root / "toloka.sqlite", faults=parsed, **settings) as emulator:
        yield World(project, emulator, settle_s=settle_s)


def wait_for(is_so: Callable[[], bool], what: str, *, within_s: float = 20.0) -> None:
    """Poll until something is so; fails the test if it never is."""
    until = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.002)
