"""What Tolokers answered, as Toloka tells it."""

from __future__ import annotations

from datetime import datetime

from runner.api.connection import load_threads, open_client
from runner.api.manifests import read_truth
from runner.api.settings import Settings, Speed, load_pacing
from runner.lookup.conversation import Answer, find_answers
from runner.lookup.replies import query_families
from runner.manifest.told import Truth


def load_answers(
    settings: Settings, speed: Speed, since: datetime | None
) -> tuple[list[Answer], Truth]:
    """Ask Toloka for the answers to what the manifest knows as ours, oldest first."""
    with open_client(settings, load_pacing(speed, settings)) as (client, target):
        truth = read_truth(settings, target)
        history = truth.history
        threads = load_threads(client, *query_families(history.by_thread, history.made))
    return find_answers(history, threads, since), truth
