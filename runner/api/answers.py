"""What Tolokers answered, as Toloka tells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from runner import clock
from runner.api.connection import load_threads, open_client
from runner.api.manifests import read_truth
from runner.api.settings import Settings, Speed, load_pacing
from runner.lookup.conversation import Answer, find_answers
from runner.lookup.replies import query_families
from runner.manifest.told import Truth


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerChoice:
    """Which answers are asked for: `to` one message, and unanswered for so many hours."""

    to: str | None = None
    since: datetime | None = None
    unread: bool = False
    unanswered: float | None = None

    def takes(self, answer: Answer, now: datetime) -> bool:
        """Whether an answer is one of them, at this time of Toloka's."""
        if self.to not in (None, answer.message) or (self.unread and not answer.is_unread):
            return False
        if self.unanswered is None:
            return True
        # Toloka's time is told in whole seconds: what came just now is not of the future.
        age = max(now - answer.at, timedelta(0))
        return not answer.is_answered and age >= timedelta(hours=self.unanswered)


def load_answers(
    settings: Settings, speed: Speed, choice: AnswerChoice
) -> tuple[list[Answer], Truth, datetime]:
    """Ask Toloka for the answers to what the manifest knows as ours, oldest first.

    Gives them with the manifest's truth and the time by Toloka's clock.
    """
    with open_client(settings, load_pacing(speed, settings)) as (client, target):
        truth = read_truth(settings, target)
        history = truth.history
        threads = load_threads(client, *query_families(history.by_thread, history.made))
        now = clock.now() + timedelta(seconds=client.server_ahead_s)
    found = find_answers(history, threads, choice.since)
    return [each for each in found if choice.takes(each, now)], truth, now
