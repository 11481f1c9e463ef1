"""`status --refresh`: the only part of `status` that talks to Toloka."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from runner.cli.connection import open_connection
from runner.cli.options import Speed
from runner.cli.origin import new_run
from runner.cli.settings import Settings, load_pacing
from runner.errors import LaterError
from runner.lookup.conversation import Activity, find_activity
from runner.lookup.replies import query_families
from runner.manifest.history import History
from runner.send.lists import Lister
from runner.send.options import RunOptions
from runner.send.run import Run
from runner.send.tally import RunResult


def refresh(
    settings: Settings, speed: Speed
) -> tuple[RunResult, History, Mapping[tuple[str, int], Activity]]:
    """Settle what is unknown, and find what is going on in our threads; nothing is sent."""
    pacing = load_pacing(speed, settings)
    with open_connection(settings, pacing, new_run(), at_once=True) as connection:
        options = RunOptions(
            messages=(), jobs=pacing.jobs, settle_s=pacing.settle_s, catches_up=False
        )
        report = Run(options, connection.manifest, connection.client, connection.pace).refresh()
        history = connection.manifest.history()
        queries = query_families(history.by_thread, history.made)
        is_stopped = bool(connection.signals)
        lister = Lister(connection.manifest, connection.client, connection.pace)
        threads = lister.threads(*queries) if not is_stopped else []
        if lister.failed is not None:
            raise LaterError(f"Toloka's list of threads could not be had: {lister.failed}")
    code = connection.exit_code(report.exit_code)
    return replace(report, exit_code=code), history, find_activity(history, threads)
