"""The way to the target: the token, the client, the manifest, and the signals that stop a run."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from runner.cli.manifests import Patience, open_manifest
from runner.cli.say import say
from runner.cli.settings import Pacing, Settings, is_ci_job
from runner.config import load_token
from runner.errors import ExitCode, LaterError, ListError, StoppedError, SurroundingsError
from runner.manifest.lease import Lease
from runner.manifest.manifest import Manifest
from runner.manifest.times import TIMES
from runner.model import Thread
from runner.toloka.bounded import Permit
from runner.toloka.client import Client
from runner.toloka.pace import Pace, Stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A connection to the target, and the open manifest of what goes over it."""

    settings: Settings
    pacing: Pacing
    client: Client
    pace: Pace
    manifest: Manifest
    signals: list[int]

    def exit_code(self, code: ExitCode) -> ExitCode:
        """A signal comes before every other reason to end."""
        if self.signals:
            return ExitCode(128 + self.signals[0])
        lost = self.manifest.log.lost
        if lost is None or code == ExitCode.SURROUNDINGS:
            return code
        # What could not be written down for the others, or was ended, makes no unknown known.
        is_worse = code == ExitCode.UNKNOWN and lost.exit_code == ExitCode.LATER
        return code if is_worse else lost.exit_code


@contextmanager
def open_connection(
    settings: Settings,
    pacing: Pacing,
    run: Mapping[str, object],
    *,
    until_s: float | None = None,
    at_once: bool = False,
) -> Iterator[Connection]:
    """Open the target, its emulator before it where it is local, and lock the manifest.

    `run` says who does, as `new_run` does.
    `until_s` is until when to wait for the turn on a results branch, which is taken `at_once` or by
    the first line that is written.
    """
    stop = threading.Event()
    pace = Pace(pacing.rate, stop)
    patience = Patience(stop=stop, until_s=until_s, at_once=at_once)
    lease = Lease(TIMES, stop, kills=True) if settings.branch else None
    parent = os.getppid()
    with (
        _signals(stop) as caught,
        open_client(settings, pacing, pace, lease) as (client, target),
        open_manifest(settings, target, run, patience, lease) as (manifest, beat),
    ):

        def beat_and_look() -> None:
            beat()
            # Some CI systems signal the shell of a cancelled job alone: then it is gone.
            if is_ci_job() and os.getppid() != parent:
                caught.append(signal.SIGTERM)
            if caught or manifest.log.lost is not None:
                stop.set()

        pace.beat = beat_and_look
        yield Connection(
            settings=settings,
            client=client,
            pacing=pacing,
            pace=pace,
            manifest=manifest,
            signals=caught,
        )


def _warn(said: str) -> None:
    say(f"warning: {said}", err=True)


def has_token(settings: Settings) -> bool:
    """Whether the target can be asked: the local emulator takes any token."""
    if settings.target.url is None:
        return True
    try:
        load_token(settings.target, os.environ, _warn)
    except SurroundingsError:
        return False
    return True


@contextmanager
def open_client(
    settings: Settings,
    pacing: Pacing,
    pace: Pace | None = None,
    permit: Permit | None = None,
) -> Iterator[tuple[Client, str]]:
    """Open the target, and give its client and the name that the manifest has for it."""
    pace = pace or Pace(pacing.rate)
    target = settings.target
    if target.url is None:
        # Imported here because a remote target needs neither a server nor SQLite.
        from runner.cli.emulator import open_local

        with open_local(settings.config.state) as (url, store_id):
            client = Client(url, "local", timeout_s=pacing.timeout_s, pace=pace)
            yield client, f"local:{store_id}"
            client.close()
        return
    client = Client(
        target.url,
        load_token(target, os.environ, _warn),
        timeout_s=pacing.timeout_s,
        account_id=target.account_id,
        pace=pace,
        permit=permit,
    )
    yield client, target.url
    client.close()


def load_threads(client: Client, query: Mapping[str, str]) -> list[Thread]:
    """Load what Toloka's list says to a query; raises `LaterError` if it cannot be had."""
    try:
        return list(client.threads(query))
    except ListError as error:
        raise LaterError(f"Toloka's list of threads could not be had: {error}") from error


@contextmanager
def _signals(stop: threading.Event) -> Iterator[list[int]]:
    """Let the first SIGINT or SIGTERM end the run in good order; a second one ends it at once.

    Raises `StoppedError` where that ends a wait for the turn.
    """
    caught: list[int] = []

    def note(number: int, _frame: object) -> None:
        caught.append(number)
        stop.set()
        signal.signal(number, before[number])

    before = {int(each): signal.signal(each, note) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    except Stopped:
        # Where no signal was, another run ended this one.
        code = ExitCode(128 + caught[0]) if caught else ExitCode.LATER
        raise StoppedError(code) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
