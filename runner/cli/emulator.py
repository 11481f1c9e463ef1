"""`emulator`: the local Toloka, as a server of its own or for the time of one command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Error

import click

from runner.cli import options
from runner.cli.options import FILE
from runner.config import load_config
from runner.emulator import FAULT_KINDS, Emulator, parse_fault
from runner.errors import ExitCode, SurroundingsError
from runner.wording import shown, why

_STORE = "local.sqlite"


@click.command()
@options.config
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="0 takes a free one.",
)
@click.option(
    "--store",
    type=FILE,
    metavar="FILE",
    help="Where its threads are kept, instead of .message-runner/local.sqlite.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND…",
    help="Fail on purpose, for example every=5,kind=accepted-then-500; repeatable. "
    "`--fault help` lists the kinds.",
)
@click.option("--latency-ms", type=click.IntRange(0), default=0, help="How long each answer takes.")
@click.option(
    "--rate-limit",
    type=click.IntRange(0),
    default=300,
    show_default=True,
    help="Calls a second before 429; 0 for no limit.",
)
@click.option(
    "--list-lag-ms", type=click.IntRange(0), default=0, help="How late the list shows a new thread."
)
@click.option(
    "--refuse",
    multiple=True,
    metavar="TOLOKER_ID",
    help="Refuse every compose with this recipient; repeatable.",
)
def emulator(
    config: Path | None,
    port: int,
    store: Path | None,
    faults: Sequence[str],
    latency_ms: int,
    rate_limit: int,
    list_lag_ms: int,
    refuse: Sequence[str],
) -> int:
    """Serve a local Toloka for rehearsals, on this machine only; prints its URL.

    It takes any token. A Toloker answers by a POST to /emulator/answer with
    {"thread_id": …, "toloker_id": …, "text": {"EN": …}}; GET /emulator/threads shows everything
    that was sent.
    """
    if "help" in faults:
        for kind, meaning in FAULT_KINDS.items():
            click.echo(f"{kind:28}{meaning}")
        return ExitCode.DONE
    try:
        parsed = [parse_fault(fault) for fault in faults]
    except ValueError as error:
        raise click.UsageError(f"--fault: {error}") from error
    path = store or load_config(config, Path.cwd()).state / _STORE
    try:
        server = Emulator(
            path,
            port=port,
            faults=parsed,
            latency_ms=latency_ms,
            rate_limit=rate_limit,
            list_lag_ms=list_lag_ms,
            refuse=refuse,
        )
        with server:
            click.echo(server.url)
            server.serve_forever()
    except (OSError, Error) as error:
        said = getattr(error, "strerror", None) or error
        where = f"on port {port}, with its store {shown(path)}"
        raise SurroundingsError(f"the emulator cannot start {where}: {said}") from error
    return ExitCode.DONE


@contextmanager
def open_local(state: Path) -> Iterator[tuple[str, str]]:
    """Run the emulator for a command whose target it is; gives its URL and its store's id."""
    store = state / _STORE
    server = Emulator(store)
    try:
        server.start()
    except (OSError, Error) as error:
        said = why(error, store) if isinstance(error, OSError) else str(error)
        raise SurroundingsError(f"the local emulator cannot start: {said}") from error
    try:
        yield server.url, server.store_id
    finally:
        server.stop()
