"""Some of the files, loaded, rendered and held against house rules: by any process, alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from runner.apart import shared_out
from runner.errors import MessagesError, Problem
from runner.model import Message
from runner.render.lint import Level, find_lint
from runner.render.messages import Renderer
from runner.render.templates import MAX_SIZE
from runner.spec.given import Given
from runner.spec.specs import MessageSpec, load_specs

_MANY = 200
_IN_A_PART = 25
"""Of many files, so many are checked at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What some files hold, and what is wrong with them.

    `unusable` are the problems of files that cannot be loaded, `faults` of those that cannot be
    rendered; `size` is what their templates made, in bytes.
    """

    specs: tuple[MessageSpec, ...]
    unusable: tuple[Problem, ...]
    messages: tuple[Message, ...]
    faults: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    lint: Mapping[str, tuple[Problem, ...]]
    notes: Mapping[str, Sequence[str]]
    babel: str | None
    size: int

    @property
    def is_limited(self) -> bool:
        """Whether something was more than may be."""
        return any(each.rule == "limit" for each in self.faults)


@dataclass(kw_only=True)
class Checking(AbstractContextManager["Checking"]):
    """Checks some files after the others, with what all of them are checked by.

    `below`, `above` and `assigned` are variables, as `Renderer` has them.
    """

    messages_root: Path | None
    below: Mapping[str, object]
    above: Mapping[str, object]
    assigned: Mapping[str, str]
    levels: Mapping[str, Level]
    strict: bool

    def __exit__(self, *exception: object) -> None:
        self._renderer.__exit__(*exception)

    @cached_property
    def _renderer(self) -> Renderer:
        return Renderer(
            self.messages_root,
            below=self.below,
            above=self.above,
            assigned=self.assigned,
            levels=self.levels,
        )

    def __call__(self, files: Sequence[Path | Given]) -> Part:
        renderer = self._renderer
        size = renderer.size
        specs, unusable = load_specs(files, self.messages_root, renderer.expect)
        messages: list[Message] = []
        faults: list[Problem] = []
        lint: dict[str, tuple[Problem, ...]] = {}
        for spec in specs:
            try:
                rendered = renderer.render(spec)
            except MessagesError as error:
                faults.extend(error.problems)
                continue
            messages.extend(rendered)
            told, strict = renderer.conflicts, self.strict
            lint[spec.id] = tuple(find_lint(spec, rendered, self.levels, strict=strict, told=told))
        warnings, notes = renderer.told()
        return Part(
            specs=specs,
            unusable=unusable,
            messages=tuple(messages),
            faults=tuple(faults),
            warnings=warnings,
            lint=lint,
            notes=notes,
            babel=renderer.babel,
            size=renderer.size - size,
        )


def checked_by_parts(
    checking: Checking, files: Sequence[Path], given: Sequence[Given]
) -> list[Part]:
    """Check files, many of them on all cores, and what a program gave."""
    every: list[Path | Given] = [*files, *given]
    is_much = len(files) >= _MANY and not given
    size = _IN_A_PART if is_much else len(every)
    parts = [every[start : start + size] for start in range(0, len(every), size or 1)]
    with checking:
        found = [*shared_out(checking, parts, is_much=is_much)]
    if is_much and (
        any(part.is_limited for part in found) or sum(part.size for part in found) > MAX_SIZE
    ):
        # What is too much for all together does not depend on who has how many cores.
        with replace(checking) as again:
            return [again(every)]
    return found
