"""`emulator`: the local Toloka, as a server of its own or for the time of one command."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from pathlib import Path
from sqlite3 import Error
from typing import Any

import click

from runner.api.local import make_room
from runner.cli import options
from runner.cli.options import FILE
from runner.cli.say import say
from runner.config import load_config
from runner.emulator import (
    ECHO_MODES,
    FAULT_KINDS,
    Emulator,
    parse_fault,
    parse_lag,
    parse_skews,
)
from runner.errors import ExitCode, SurroundingsError
from runner.wording import shown

_Callback = Callable[[click.Context, click.Parameter, str], object]


def _read_by(parse: Callable[[str], object], right: str) -> _Callback:
    """Let the emulator read the form of an option itself."""

    def read(_context: click.Context, _option: click.Parameter, value: str) -> object:
        try:
            return parse(value)
        except ValueError:
            raise click.BadParameter(f"{value} is wrong: {right} is right.") from None

    return read


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
    "--list-lag-ms",
    callback=_read_by(parse_lag, "a number, or a range as in 100-400,"),
    default="0",
    metavar="N|A-B",
    help="How late the list shows a new thread; of a range, each thread has a lag of its own.",
)
@click.option(
    "--list-replicas",
    type=click.IntRange(1),
    default=1,
    help="How many servers answer the list in turn, each with lags of its own.",
)
@click.option(
    "--list-forgets",
    type=click.IntRange(0),
    default=0,
    help="How many of the newest threads the list leaves out.",
)
@click.option(
    "--clock-skew-ms",
    callback=_read_by(parse_skews, "a whole number, or several as in -200,300,"),
    default="0",
    metavar="N[,M…]",
    help="By how much `created` is ahead of the Date header; several: that many servers take "
    "turns, each with a clock of its own.",
)
@click.option(
    "--date-skew-ms",
    type=int,
    default=0,
    help="By how much the Date header is ahead of this machine's clock.",
)
@click.option("--date/--no-date", default=True, help="Whether answers have a Date header.")
@click.option(
    "--echo",
    type=click.Choice(tuple(ECHO_MODES)),
    default="exact",
    help="How what was sent comes back: "
    + "; ".join(f"{mode}: {meaning}" for mode, meaning in ECHO_MODES.items())
    + ".",
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
    **behaviour: Any,
) -> int:
    """Serve a local Toloka for rehearsals, on this machine only; prints its URL.

    It takes any token. A Toloker answers by a POST to /emulator/answer with
    {"thread_id": …, "toloker_id": …, "text": {"EN": …}}; GET /emulator/threads shows everything
    that was sent. While it runs, /emulator/faults and /emulator/behaviour change how it fails and
    behaves, and /emulator/put and /emulator/seed put threads in by another hand.
    """
    if "help" in faults:
        for kind, meaning in FAULT_KINDS.items():
            say(f"{kind:28}{meaning}")
        return ExitCode.DONE
    try:
        parsed = [parse_fault(fault) for fault in faults]
    except ValueError as error:
        raise click.UsageError(f"--fault: {error}") from error
    path = store or make_room(load_config(config, Path.cwd()).store)
    try:
        server = Emulator(path, port=port, faults=parsed, **behaviour)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    try:
        with server:
            say(server.url)
            server.serve_forever()
    except (OSError, Error) as error:
        said = getattr(error, "strerror", None) or error
        where = f"on port {port}, with its store {shown(path)}"
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            said = f"{said}: an emulator may run already; or say another --port"
        raise SurroundingsError(f"the emulator cannot start {where}: {said}") from error
    return ExitCode.DONE
