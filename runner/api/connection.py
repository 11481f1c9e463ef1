"""The way to the target: the token, the client, and the open manifest."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from runner.api.interrupts import Interrupts
from runner.api.manifests import Patience, open_manifest
from runner.api.settings import Pacing, Settings, is_ci_job
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
    interrupts: Interrupts

    def exit_code(self, code: ExitCode) -> ExitCode:
        """A signal comes before every other reason to end."""
        if self.interrupts.caught:
            return self.interrupts.exit_code
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
    interrupts: Interrupts,
    *,
    until_s: float | None = None,
    at_once: bool = False,
) -> Iterator[Connection]:
    """Open the target, its emulator before it where it is local, and lock the manifest.

    `run` says who does, as `new_run` does. Raises `StoppedError` where an interrupt ends a wait for
    the turn.
    `until_s` is until when to wait for the turn on a results branch, which is taken `at_once` or by
    the first line that is written.
    """
    stop = interrupts.stop
    pace = Pace(pacing.rate, stop)
    patience = Patience(stop=stop, until_s=until_s, at_once=at_once)
    kills = interrupts.may_kill and _is_alarm_free()
    lease = Lease(TIMES, stop, kills=kills) if settings.branch else None
    parent = os.getppid()
    try:
        with (
            open_client(settings, pacing, pace, lease) as (client, target),
            open_manifest(settings, target, run, patience, lease) as (manifest, beat),
        ):

            def beat_and_look() -> None:
                beat()
                # Some CI systems signal the shell of a cancelled job alone: then it is gone.
                if is_ci_job() and os.getppid() != parent:
                    interrupts.note(signal.SIGTERM)
                if manifest.log.lost is not None:
                    stop.set()

            pace.beat = beat_and_look
            yield Connection(
                settings=settings,
                client=client,
                pacing=pacing,
                pace=pace,
                manifest=manifest,
                interrupts=interrupts,
            )
    except Stopped:
        raise StoppedError(interrupts.exit_code) from None


def _is_alarm_free() -> bool:
    """Whether the system's alarm is nobody else's, and so would end this process."""
    alarm = getattr(signal, "SIGALRM", None)
    return alarm is not None and signal.getsignal(alarm) is signal.SIG_DFL


def has_token(settings: Settings) -> bool:
    """Whether the target can be asked: the local emulator takes any token."""
    if settings.target.url is None:
        return True
    try:
        load_token(settings.target, os.environ)
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
        from runner.api.local import open_local

        with open_local(settings.config.store) as (url, store_id):
            client = Client(url, "local", timeout_s=pacing.timeout_s, pace=pace)
            yield client, f"local:{store_id}"
            client.close()
        return
    client = Client(
        target.url,
        load_token(target, os.environ, lambda said: settings.tell(f"warning: {said}")),
        timeout_s=pacing.timeout_s,
        account_id=target.account_id,
        pace=pace,
        permit=permit,
    )
    yield client, target.url
    client.close()


def load_threads(client: Client, *queries: Mapping[str, str]) -> list[Thread]:
    """Load what Toloka's list says to queries; raises `LaterError` if it cannot be had."""
    try:
        return list({each.id: each for query in queries for each in client.threads(query)}.values())
    except ListError as error:
        raise LaterError(f"Toloka's list of threads could not be had: {error}") from error
