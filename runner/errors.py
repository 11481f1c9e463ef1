"""Problems, the places they point at, and the one exception family with its exit codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Literal

from runner.wording import printable

Severity = Literal["error", "warning"]


class ExitCode(IntEnum):
    """What a CI job should do next, one code per decision (schemas/README.md has the table)."""

    DONE = 0
    BUG = 1
    SURROUNDINGS = 2
    MESSAGES = 3
    REFUSED = 4
    UNKNOWN = 5
    FOUND = 6
    LATER = 75
    INTERRUPTED = 130
    TERMINATED = 143


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A spot in a file. `path` as printed (forward slashes); line and column count from 1.

    What a program gave has no lines (0): there the path leads to the value, as in `rows[17]["id"]`.
    """

    path: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path


Pointer = tuple[str | int, ...]
"""The way to a value inside a parsed file: mapping keys and list indexes from the top."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A complaint about a parsed value that does not know its file yet.

    `pointer` leads to the value, or to its key where `at_key` is set.
    """

    pointer: Pointer
    what: str
    hint: str = ""
    at_key: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One complaint: where, what is wrong, and what would be right (`hint`, may be empty)."""

    where: Place
    what: str
    hint: str = ""
    rule: str = "spec"
    severity: Severity = "error"

    def __str__(self) -> str:
        said = f"{self.where}: {self.severity}: {self.what}"
        # Words out of a file must not make a line of their own: CI systems take commands from lines.
        return printable(f"{said}; {self.hint}" if self.hint else said)


class RunnerError(Exception):
    """Root of everything this program raises on purpose; each kind knows its exit code."""

    exit_code: ClassVar[ExitCode] = ExitCode.SURROUNDINGS
    problems: tuple[Problem, ...] = ()
    """Each with its address, where there are any."""


class SurroundingsError(RunnerError):
    """A flag, credential, configuration, manifest or lock that stops the run: exit 2."""


class LaterError(RunnerError):
    """Toloka cannot be had now, and nothing is in doubt: exit 75."""

    exit_code = ExitCode.LATER


class MovedError(RunnerError):
    """A run on another machine was quicker: everything has to be read and planned again."""

    exit_code = ExitCode.LATER


class StoppedError(RunnerError):
    """A signal ended the program before it had begun."""

    def __init__(self, code: ExitCode) -> None:
        self.exit_code = code  # type: ignore[misc]  # a class variable elsewhere: here each signal has its own
        super().__init__("stopped before anything was sent")


class MessagesError(RunnerError):
    """The messages or the policy say no, and nothing was sent: exit 3."""

    exit_code = ExitCode.MESSAGES

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


class ListError(Exception):
    """Toloka's list of threads could not be had: nothing may be concluded from it."""
