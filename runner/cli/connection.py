"""The way to the target: the token, the client, the local emulator, and the signals that stop it."""

from __future__ import annotations

import os
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from runner import __version__
from runner.cli.settings import Job, Pacing, who_runs
from runner.config import Token, load_token
from runner.errors import ExitCode, SurroundingsError
from runner.manifest.file import Manifest
from runner.toloka.client import Client
from runner.toloka.pace import Pace
from runner.wording import why


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An open line to the target, and the open manifest of what goes over it."""

    client: Client
    pace: Pace
    manifest: Manifest
    signals: list[int]

    def exit_code(self, code: ExitCode) -> ExitCode:
        """A signal comes before every other reason to end."""
        return ExitCode(128 + self.signals[0]) if self.signals else code


@contextmanager
def open_line(job: Job, pacing: Pacing, token: Token | None) -> Iterator[Line]:
    """Open the target, its emulator before it where it is local, and lock the manifest."""
    stop = threading.Event()
    pace = Pace(pacing.rate, stop)
    run = {"run": secrets.token_hex(8), "version": __version__, **who_runs(os.environ)}
    with (
        _signals(stop) as caught,
        open_client(job, pacing, token, pace) as (client, target),
        Manifest.open(job.manifest, target, run) as manifest,
    ):
        yield Line(client=client, pace=pace, manifest=manifest, signals=caught)


def find_token(job: Job) -> Token | None:
    """Load the token that the target needs; None for the local emulator, which takes any."""
    return None if job.target.is_local else load_token(job.target, os.environ, _warn)


def _warn(said: str) -> None:
    click.echo(f"warning: {said}", err=True)


@contextmanager
def open_client(
    job: Job, pacing: Pacing, token: Token | None, pace: Callable[[], object] | None = None
) -> Iterator[tuple[Client, str]]:
    """Open the target, and give its client and the name that the manifest has for it."""
    pace = pace or Pace(pacing.rate)
    target = job.target
    if target.url is None or token is None:
        with _local_emulator(job.config.state) as (url, store_id):
            client = Client(url, "local", timeout_s=pacing.timeout_s, pace=pace)
            yield client, f"local:{store_id}"
            client.close()
        return
    client = Client(
        target.url,
        token.value,
        timeout_s=pacing.timeout_s,
        account_id=target.account_id,
        pace=pace,
    )
    yield client, target.url
    client.close()


@contextmanager
def _local_emulator(state: Path) -> Iterator[tuple[str, str]]:
    # Imported here because a remote target needs neither a server nor SQLite.
    from sqlite3 import Error

    from runner.emulator import Emulator

    store = state / "local.sqlite"
    emulator = Emulator(store)
    try:
        emulator.start()
    except (OSError, Error) as error:
        said = why(error, store) if isinstance(error, OSError) else str(error)
        raise SurroundingsError(f"the local emulator cannot start: {said}") from error
    try:
        yield emulator.url, emulator.store_id
    finally:
        emulator.stop()


@contextmanager
def _signals(stop: threading.Event) -> Iterator[list[int]]:
    """Let the first SIGINT or SIGTERM end the run in good order; a second one ends it at once."""
    caught: list[int] = []

    def note(number: int, _frame: object) -> None:
        caught.append(number)
        stop.set()
        signal.signal(number, before[number])

    before = {int(each): signal.signal(each, note) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
