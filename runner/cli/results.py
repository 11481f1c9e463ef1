"""What a run leaves besides what it prints: the results file and the summary; and its warnings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from runner.api.settings import Settings, Where
from runner.cli.options import Record
from runner.cli.say import say
from runner.cli.settings import load_settings
from runner.errors import ExitCode, Problem, RunnerError, SurroundingsError
from runner.files import append_text, size_of
from runner.model import Result
from runner.plan.needs import Needs
from runner.report.harmless import json_text
from runner.report.results import outputs_text, results_document, write_results
from runner.report.summary import failure_markdown
from runner.wording import printable

_NOTHING = Needs()


class Finish(Protocol):
    """Writes what a run came to, and gives its exit code back."""

    def __call__(self, results: Sequence[Result], code: int, needs: Needs = _NOTHING) -> int: ...


@dataclass(slots=True)
class _Writer:
    """Writes the document of a run, again and again; `last` is the exit code of the last one."""

    record: Record
    prints: bool
    dry_run: bool
    test_to: str | None
    target: str
    manifest: str = ""
    last: int = ExitCode.BUG
    document: dict[str, object] = field(default_factory=dict)

    def write(self, results: Sequence[Result], code: int, needs: Needs = _NOTHING) -> int:
        self.last = code
        record = self.record
        if record.results is None and record.outputs is None and not self.prints:
            return int(code)
        self.document = results_document(
            results,
            target=self.target,
            manifest=self.manifest,
            dry_run=self.dry_run,
            test_to=self.test_to,
            exit_code=int(code),
            needs=needs,
        )
        if record.results is not None:
            write_results(record.results, self.document)
        if record.outputs is not None:
            append_text(record.outputs, outputs_text(self.document))
        return int(code)

    def show(self) -> None:
        """Print what was written last, where that was asked for."""
        if self.prints:
            say(json_text(self.document))


@contextmanager
def results_file(
    record: Record,
    where: Where,
    *,
    dry_run: bool,
    test_to: str | None = None,
    prints: bool = False,
) -> Iterator[tuple[Settings, Finish]]:
    """Load the settings, and write the results file at once and again with what the run came to.

    A reader then never takes an older run's file for this one's, and a file that cannot be
    written stops the run before anything is sent. What was written last is also printed, once, if
    this `prints`.
    """
    asked = where.target or ""
    # What was asked for may hold a credential, and no file shall keep one.
    target = "" if set(asked) & set("@?#") else asked
    writer = _Writer(record, prints, dry_run, test_to, target)
    try:
        settings = load_settings(where)
    except SurroundingsError as error:
        writer.write((), error.exit_code)
        writer.show()
        raise
    writer.target, writer.manifest = settings.target_name, settings.shown_manifest
    writer.write((), ExitCode.BUG)
    try:
        yield settings, writer.write
    except RunnerError as error:
        # Where the last document did not fit, an empty one must not say that nothing was sent.
        if writer.last == ExitCode.BUG:
            code = error.exit_code
            _beside(lambda: writer.write((), code))
        writer.show()
        raise
    writer.show()


def append_failure(path: Path | None, problems: Sequence[Problem]) -> None:
    """Append what is wrong, as Markdown, to the file of `--summary`."""
    if path is not None:
        text = failure_markdown(problems, taken=size_of(path))
        _beside(lambda: append_text(path, text))


def show_warnings(warnings: Sequence[Problem]) -> None:
    """Print warnings where logs go."""
    for problem in warnings:
        say(printable(str(problem)), err=True)


def _beside(write: Callable[[], object]) -> None:
    """Write what belongs to a run that fails: if that fails too, it must not hide the reason."""
    try:
        write()
    except SurroundingsError as error:
        say(f"error: {error}", err=True)
