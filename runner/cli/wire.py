"""The way to the target: the token, the client, the local emulator, and the signals that stop it."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runner import __version__
from runner.errors import ExitCode, SurroundingsError

if TYPE_CHECKING:
    from runner.cli.job import Job
    from runner.prepare import Prepared
    from runner.run import Report
    from runner.toloka import Client


class Wire:
    """The way to the target: numbers from flags and configuration, the token, the client."""

    def __init__(
        self,
        job: Job,
        *,
        rate: float | None,
        jobs: int | None,
        timeout: float | None,
        settle: float | None,
    ) -> None:
        from runner.cli.job import JOBS, RATE, SETTLE_S, TIMEOUT_S, number
        from runner.config import load_token

        self._job = job
        self._rate = number(rate, job.config, "rate", RATE)
        self._jobs = int(number(jobs, job.config, "jobs", JOBS))
        self._timeout_s = number(timeout, job.config, "timeout", TIMEOUT_S)
        self._settle_s = number(settle, job.config, "settle", SETTLE_S)
        self._token = None if job.target.is_local else load_token(job.target, os.environ)

    def send(self, prepared: Prepared, limit: int | None) -> Report:
        """Carry out one run; the exit code of a signal is set here, because here it is caught."""
        from dataclasses import replace

        from runner.manifest import Manifest
        from runner.pacing import Pace
        from runner.prepare import gone_ids
        from runner.run import Order, Run

        order = Order(
            messages=prepared.messages,
            jobs=self._jobs,
            settle_s=self._settle_s,
            catches_up=not self._job.target.is_local,
            limit=limit,
            is_gone=gone_ids(prepared, self._job.config),
        )
        stop = threading.Event()
        pace = Pace(self._rate, stop)
        with (
            _signals(stop) as caught,
            self._client(pace) as (client, target),
            Manifest.open(self._job.manifest, target, self._who()) as manifest,
        ):
            report = Run(order, manifest, client, pace).carry_out()
        return replace(report, exit_code=ExitCode(128 + caught[0])) if caught else report

    def _who(self) -> dict[str, object]:
        from runner.cli.job import who_runs

        return {"run": secrets.token_hex(8), "version": __version__, **who_runs(os.environ)}

    @contextmanager
    def _client(self, pace: Callable[[], object]) -> Iterator[tuple[Client, str]]:
        """Open the client, and the emulator before it where the target is local."""
        from runner.toloka import Client

        target = self._job.target
        if target.url is not None and self._token is not None:
            client = Client(
                target.url,
                self._token.value,
                timeout_s=self._timeout_s,
                account_id=target.account_id,
                pace=pace,
            )
            yield client, target.url
            client.close()
            return
        with _local_emulator(self._job.config.state) as (url, store_id):
            client = Client(url, "local", timeout_s=self._timeout_s, pace=pace)
            yield client, f"local:{store_id}"
            client.close()


@contextmanager
def _local_emulator(state: Path) -> Iterator[tuple[str, str]]:
    from sqlite3 import Error

    from runner.emulator import Emulator

    emulator = Emulator(state / "local.sqlite")
    try:
        emulator.start()
    except (OSError, Error) as error:
        raise SurroundingsError(f"the local emulator cannot start: {error}") from error
    try:
        yield emulator.url, emulator.store_id
    finally:
        emulator.stop()


@contextmanager
def _signals(stop: threading.Event) -> Iterator[list[int]]:
    """Let the first SIGINT or SIGTERM end the run in good order; a second one ends it at once."""
    import signal

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
