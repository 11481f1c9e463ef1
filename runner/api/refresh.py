"""What Toloka tells of what is unknown and of our threads; nothing is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from runner.api.connection import open_connection
from runner.api.interrupts import Interrupts
from runner.api.origin import new_run
from runner.api.settings import Settings, Speed, load_pacing
from runner.lookup.conversation import Activity, find_activity
from runner.lookup.replies import query_families
from runner.manifest.history import History
from runner.send.lists import Lister
from runner.send.options import RunOptions
from runner.send.run import Run
from runner.send.tally import RunResult


def refresh(
    settings: Settings, speed: Speed, interrupts: Interrupts
) -> tuple[RunResult, History, Mapping[tuple[str, int], Activity]]:
    """Settle what is unknown, and find what is going on in our threads; nothing is sent."""
    pacing = load_pacing(speed, settings)
    with open_connection(settings, pacing, new_run(), interrupts, at_once=True) as connection:
        options = RunOptions(
            messages=(), jobs=pacing.jobs, settle_s=pacing.settle_s, catches_up=False
        )
        report = Run(options, connection.manifest, connection.client, connection.pace).refresh()
        history = connection.manifest.history()
        queries = query_families(history.by_thread, history.made)
        is_stopped = bool(interrupts.caught)
        lister = Lister(connection.manifest, connection.client, connection.pace)
        threads = lister.threads(*queries) if not is_stopped else []
        if lister.failed is not None:
            raise lister.failure()
    code = connection.exit_code(report.exit_code)
    return replace(report, exit_code=code), history, find_activity(history, threads)
