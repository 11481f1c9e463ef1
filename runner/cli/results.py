"""What a run leaves besides what it prints: the results file and the summary; and its warnings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from runner.cli.options import Record, Where
from runner.cli.say import say
from runner.cli.settings import Settings, load_settings
from runner.errors import ExitCode, Problem, RunnerError, SurroundingsError
from runner.files import append_text, size_of
from runner.model import Result
from runner.plan.needs import Needs
from runner.report.results import outputs_text, results_document, write_results
from runner.report.summary import failure_markdown
from runner.wording import printable

_NOTHING = Needs()


class Finish(Protocol):
    """Writes what a run came to, and gives its exit code back."""

    def __call__(self, results: Sequence[Result], code: int, needs: Needs = _NOTHING) -> int: ...


@contextmanager
def results_file(
    record: Record, where: Where, *, dry_run: bool
) -> Iterator[tuple[Settings, Finish]]:
    """Load the settings, and write the results file at once and again with what the run came to.

    A reader then never takes an older run's file for this one's, and a file that cannot be
    written stops the run before anything is sent.
    """
    asked = where.target or ""
    # What was asked for may hold a credential, and no file shall keep one.
    target, manifest = "" if set(asked) & set("@?#") else asked, ""
    last: int = ExitCode.BUG

    def write(results: Sequence[Result], code: int, needs: Needs = _NOTHING) -> int:
        nonlocal last
        last = code
        if record.results is None and record.outputs is None:
            return int(code)
        document = results_document(
            results,
            target=target,
            manifest=manifest,
            dry_run=dry_run,
            exit_code=int(code),
            needs=needs,
        )
        if record.results is not None:
            write_results(record.results, document)
        if record.outputs is not None:
            append_text(record.outputs, outputs_text(document))
        return int(code)

    try:
        settings = load_settings(where)
    except SurroundingsError as error:
        write((), error.exit_code)
        raise
    target, manifest = settings.target_name, settings.shown_manifest
    write((), ExitCode.BUG)
    try:
        yield settings, write
    except RunnerError as error:
        # Where the last document did not fit, an empty one must not say that nothing was sent.
        if last == ExitCode.BUG:
            code = error.exit_code
            _beside(lambda: write((), code))
        raise


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
