"""What a run came to, delivery by delivery."""

from __future__ import annotations

from collections.abc import Iterator

from runner.api.settings import Settings
from runner.api.shown import Shown
from runner.errors import ExitCode, Problem, RunnerError
from runner.model import Result
from runner.report.results import entry_of
from runner.report.text import loud_lines, run_lines, summary_line
from runner.send.tally import RunResult

_UNFINISHED = frozenset({"rejected", "unknown", "in_doubt", "not_tried", "being_sent"})


class Unfinished(RunnerError):
    """Something was refused, is unknown, or was left: calling `send` again goes on.

    `report` has every delivery, and `exit_code` is that of the command.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        self.exit_code = report.exit_code or ExitCode.LATER  # type: ignore[misc]  # each report has its own
        super().__init__(repr(report))


class Report(Shown[Result]):
    """What became of each delivery, a `Result` each.

    `status` is "sent", "already_sent", "adopted", "edited", "rejected", "unknown", "not_tried" or
    another; `exit_code` is the command's. `problems` say what was refused, `notes` what besides.
    """

    def __init__(
        self,
        settings: Settings,
        run: RunResult,
        problems: tuple[Problem, ...],
        told: list[str],
        *,
        test_to: str | None,
    ) -> None:
        self.exit_code = run.exit_code
        self.notes = (*told, *run.notes)
        self.problems = problems
        super().__init__(run.results, self._said(settings, run, test_to))

    def _said(self, settings: Settings, run: RunResult, test_to: str | None) -> Iterator[str]:
        yield from run_lines(run.results, verbose=False)
        yield from map(str, self.problems)
        yield from loud_lines(run.results, verbose=False)
        yield from self.notes
        yield f"target: {settings.shown_target}"
        yield last_line(settings, run, test_to=test_to)

    def check(self) -> None:
        """Raise `Unfinished` where something was refused, is unknown or left."""
        if self.exit_code or any(each.status in _UNFINISHED for each in self):
            raise Unfinished(self)

    def to_dicts(self) -> list[dict[str, object]]:
        """Give the deliveries as plain dicts, as `deliveries` of `results.schema.json`."""
        return [entry_of(each) for each in self]


def last_line(settings: Settings, run: RunResult, *, test_to: str | None) -> str:
    """Sum a run up."""
    said = summary_line(run.results)
    said += f", as a test to {test_to}" if test_to is not None else ""
    said += " on the local emulator" if settings.target.url is None else ""
    return f"{said}; manifest: {settings.shown_manifest}"
