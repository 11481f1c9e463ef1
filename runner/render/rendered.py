"""What comes of a template: a text with what is told of it, or why there is none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from runner.errors import Pointer, Problem
from runner.wording import plain

_IF = re.compile(r"\{%[-+]?\s*(?:el)?if\b(.+?)[-+]?%\}")


class Refused(Exception):
    """A template that did not render, with the problems to report.

    `is_final` says that other values need not be tried: it is not they that are wrong.
    """

    def __init__(self, problems: Sequence[Problem], *, is_final: bool = False) -> None:
        super().__init__()
        self.problems = tuple(problems)
        self.is_final = is_final


class Told(str):
    """A rendered text: the value with which the braces of a template came, and its branches."""

    __slots__ = ("branches", "came_with")
    came_with: str | None
    branches: tuple[str, ...]

    def __new__(cls, text: str, came_with: str | None, branches: tuple[str, ...]) -> Told:
        made = super().__new__(cls, text)
        made.came_with, made.branches = came_with, branches
        return made


Rendered = dict[Pointer, object]
"""What came of each template: its text or value, or the `Refused` that says why there is none."""


@lru_cache(1_000)
def named_way(template: str, language: str, way: tuple[str | None, int, int, bool]) -> str:
    """Name a way by its condition, or by the number of its `if` where a line has several."""
    partial, line, number, is_so = way
    found = [] if partial else _IF.findall(template.split("\n")[line - 1])
    condition = (
        plain(found[0].strip()) if len(found) == 1 else f"({number} of {partial or language})"
    )
    return f"if {condition}" if is_so else f"if not {condition}"
