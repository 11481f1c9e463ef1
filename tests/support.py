"""What several test files use: the command as a process, a project folder, an emulator's insides."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple, TypeVar

from runner import clock
from runner.cli import main
from runner.emulator import Emulator
from runner.manifest.attempts import Attempt
from runner.manifest.history import History
from runner.manifest.kinds import take_events
from runner.manifest.lines import Event, outcome_event
from runner.manifest.state import ManifestState
from runner.spec.schema import schema_text

TOKEN = "sentinel-T0KEN-9b1fd6c0"
TOLOKER = "1ad097faba0eff85a04fe30bc04d53db"
COMMAND = (sys.executable, "-m", "runner")
TIMEOUT_S = 60
_PROFILE = os.environ.get("MESSAGE_RUNNER_PROFILE")
INSTALLS = _PROFILE in {"ci", "nightly", "thorough"}
"""Whether tests may install packages of their own, as in `.ci/run`."""
IS_NIGHTLY = _PROFILE in {"nightly", "thorough"}
"""Whether tests may take as long as they need, as every night."""
IS_THOROUGH = _PROFILE == "thorough"
"""The long profile: every case, and not some of each kind."""
Case = TypeVar("Case")

THANKS = f"""\
topic:
  EN: "Thank you!"
text:
  EN: "Amazing job! We have just trained our first model."
recipients_select_type: DIRECT
recipients_ids:
  - {TOLOKER}
answerable: false
"""


def load_schema(name: str) -> dict[str, Any]:
    """The schema of that name."""
    schema: dict[str, Any] = json.loads(schema_text(name))
    return schema


def history_of(*attempts: Attempt) -> History:
    """What a manifest with these attempts knows."""
    state = ManifestState()
    for each in attempts:
        intent: Event = {
            "event": "intent",
            "delivery": each.delivery,
            "message": each.message,
            "revision": each.revision,
            "source": each.source,
            "action": each.action,
            "recipients_select_type": each.select_type,
            "recipients_ids": each.recipients_ids,
            "recipients_filter": each.recipients_filter,
            "thread_id": each.in_thread,
            "key": each.key,
            "digest": each.digest,
            "at": clock.written(each.at),
        }
        outcome = [outcome_event(each.delivery, each.outcome, "answer")] if each.outcome else []
        take_events((intent, *outcome), state)
    return state.history()


def one_in(step: int, cases: Iterable[Case]) -> list[Case]:
    """One case in so many, the first among them; in the long profile all."""
    return list(cases)[:: 1 if IS_THOROUGH else step]


def all_but(dear: Iterable[Case], cases: Iterable[Case]) -> list[Case]:
    """The cases without the dear ones, of which others of their kind stay; in the long profile all."""
    return [case for case in cases if IS_THOROUGH or case not in set(dear)]


class Result(NamedTuple):
    """What a finished command said."""

    code: int
    out: str
    err: str


def run_command(
    *args: str | Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    command: Sequence[str] = COMMAND,
) -> Result:
    """Run the installed command, a process, to its end; `env` is added to this one's environment.

    For what needs a process: signals, locks, streams, encodings, limits, the launcher.
    """
    done = subprocess.run(
        [*command, *map(str, args)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def call_command(*args: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> Result:
    """Run the command to its end in this process: the same code from `main` on, and much quicker.

    `tests/cli/test_door.py` proves that both doors say the same.
    """
    with ExitStack() as stack:
        stack.enter_context(_surroundings(cwd, env or {}))
        streams = [stack.enter_context(TemporaryFile()) for _ in range(3)]
        stdin = TextIOWrapper(streams[0])
        # As Windows has them: what that does to line ends must not be seen.
        stdout, stderr = (
            TextIOWrapper(stream, newline="\r\n", write_through=True) for stream in streams[1:]
        )
        before = sys.argv, sys.stdin, sys.stdout, sys.stderr
        sys.argv = ["message-runner", *map(str, args)]
        sys.stdin, sys.stdout, sys.stderr = stdin, stdout, stderr
        try:
            code = _exit_code(main)
        finally:
            sys.argv, sys.stdin, sys.stdout, sys.stderr = before
            for written in (stdout, stderr):
                written.flush()
        return Result(code, _written(streams[1]), _written(streams[2]))


@contextmanager
def _surroundings(cwd: Path, env: Mapping[str, str]) -> Iterator[None]:
    here, environ = Path.cwd(), dict(os.environ)
    os.chdir(cwd)
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environ)
        os.chdir(here)


def _exit_code(call: Callable[[], object]) -> int:
    try:
        call()
    except SystemExit as done:
        return int(done.code or 0)
    raise AssertionError("the command ended without an exit code")


def _written(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode()


@dataclass(frozen=True, slots=True)
class Project:
    """A temporary folder with `messages/`, and the command run in it."""

    root: Path

    def write(self, path: str, text: str | bytes) -> Path:
        """Write a file, making its folders."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def run(self, *args: str | Path, **env: str) -> Result:
        """Call the command here, with these variables in its environment."""
        return call_command(*args, cwd=self.root, env=env)

    def run_process(self, *args: str | Path, **env: str) -> Result:
        """Run the command here as a process."""
        return run_command(*args, cwd=self.root, env=env)

    def send(self, emulator: Emulator | str, *args: str | Path, **env: str) -> Result:
        """Run `send` with a token to an emulator, or to a URL."""
        url = emulator if isinstance(emulator, str) else emulator.url
        return self.run("send", "--target", url, *args, TOLOKA_TOKEN=TOKEN, **env)

    def start(self, *args: str | Path, **env: str) -> subprocess.Popen[str]:
        """Start the command here; whoever starts it ends it."""
        return subprocess.Popen(
            [*COMMAND, *map(str, args)],
            cwd=self.root,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def files(self) -> dict[str, bytes]:
        """Every file below, by its path: to see that nothing changed."""
        found = sorted(path for path in self.root.rglob("*") if path.is_file())
        return {path.relative_to(self.root).as_posix(): path.read_bytes() for path in found}

    def manifest(self, emulator: Emulator | None = None) -> Path:
        """Where the manifest of an emulator's target is, or that of the local one."""
        if emulator is None:
            return self.root / "results" / "local.jsonl"
        return (
            self.root
            / "results"
            / (emulator.url.removeprefix("http://").replace(":", "-") + ".jsonl")
        )

    def events(self, emulator: Emulator | None = None) -> list[dict[str, Any]]:
        """The manifest's lines, parsed."""
        lines = self.manifest(emulator).read_text().splitlines()
        return [json.loads(line) for line in lines]

    def results(self, name: str = "results.json") -> dict[str, Any]:
        """A results file, parsed."""
        document: dict[str, Any] = json.loads((self.root / name).read_text())
        return document


def direct(
    *ids: str, topic: str = "Thank you!", text: str = "Amazing job!", extra: str = ""
) -> str:
    """A DIRECT message to these Tolokers."""
    listed = "".join(f"  - {json.dumps(toloker)}\n" for toloker in ids)
    return (
        f"topic: {{EN: {json.dumps(topic)}}}\ntext: {{EN: {json.dumps(text)}}}\n"
        f"recipients_select_type: DIRECT\nrecipients_ids:\n{listed}{extra}"
    )


def tolokers(count: int, prefix: str = "toloker") -> list[str]:
    return [f"{prefix}-{number:04}" for number in range(count)]


def control(emulator: Emulator, name: str, body: object = None) -> Any:
    """Make a control call of an emulator's."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if data else {}
    request = urllib.request.Request(f"{emulator.url}/emulator/{name}", data, headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def calls(emulator: Emulator, ending: str = "") -> list[dict[str, Any]]:
    """The API calls that an emulator saw, those whose path ends like this."""
    found: list[dict[str, Any]] = control(emulator, "calls")
    return [call for call in found if call["path"].endswith(ending)]


def threads(emulator: Emulator) -> list[dict[str, Any]]:
    """Every thread that an emulator holds."""
    found: list[dict[str, Any]] = control(emulator, "threads")
    return found


def reached(emulator: Emulator) -> list[str]:
    """Every Toloker of every thread, as often as they were written to, in order."""
    details = [thread["compose_details"] for thread in threads(emulator)]
    return sorted(toloker for each in details for toloker in each.get("recipients_ids", ()))


def interrupt(process: subprocess.Popen[str], number: signal.Signals) -> Result:
    """Signal a process and wait for its end."""
    process.send_signal(number)
    return ended(process)


def ended(process: subprocess.Popen[str]) -> Result:
    """Wait for a process's end."""
    out, err = process.communicate(timeout=TIMEOUT_S)
    return Result(process.returncode, out, err)
