"""One recipe: from selected files to a plan that may be carried out.

Whatever plans takes it: `plan`, `send` and `preview`. `validate` takes its first half, `check`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

from runner import clock, paths
from runner.config import Config, load_variables
from runner.errors import (
    Fault,
    MessagesError,
    Place,
    Pointer,
    Problem,
    Severity,
    SurroundingsError,
)
from runner.manifest.history import History
from runner.model import InThread, Message, Rejected
from runner.plan.build import build_plan
from runner.plan.objections import (
    Objection,
    find_missed,
    find_objections,
    find_renamed,
    find_same_words,
    find_unknown_messages,
)
from runner.plan.plan import Plan, Policy
from runner.prepare.part import Checking, checked_by_parts
from runner.prepare.policy import levels_in, load_policy, suppress_lists
from runner.render.lint import level_of
from runner.render.partials import PARTIALS_NAME, partial_files, partial_texts
from runner.render.variables import unused_names
from runner.spec.given import Given, GivenRows, is_given
from runner.spec.specs import MessageSpec, find_doubles, find_ids
from runner.wording import nearest, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which messages, and with which variables; no path and none given is the messages folder.

    `given` are those of a program, with rows instead of a file's or without a file. `strict` makes warnings errors.
    """

    paths: tuple[Path, ...] = ()
    given: tuple[Given, ...] = ()
    assignments: tuple[str, ...] = ()
    var_files: tuple[Path, ...] = ()
    strict: bool = False

    @property
    def is_part(self) -> bool:
        """Whether some messages were chosen out of all."""
        return bool(self.paths or self.given)

    @property
    def given_files(self) -> tuple[Path, ...]:
        return tuple(each.source for each in self.given if isinstance(each.source, Path))


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What the selected files hold, and everything that is wrong with them.

    `faults` make a file unusable; `warnings` are of files that are not read; `lint` are the breaches
    of house rules, by message id.
    """

    selection: Selection
    config: Config
    files: tuple[str, ...]
    specs: tuple[MessageSpec, ...]
    messages: tuple[Message, ...]
    faults: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    lint: Mapping[str, tuple[Problem, ...]]
    policy: Policy
    notes: Mapping[str, Sequence[str]]
    """What is told of rows and ids that make no delivery, by message id."""
    babel: str | None
    """The version of Babel, where it words something."""

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """Every problem and warning, in the order of the files."""
        lint = chain.from_iterable(self.lint.values())
        return tuple(sorted({*self.faults, *self.warnings, *lint}))

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "error"]

    @cached_property
    def _all_ids(self) -> frozenset[str]:
        """The ids of all files below the messages root."""
        root = self.config.messages_root
        return frozenset(find_ids(root) if root is not None else ())

    @cached_property
    def _by_id(self) -> Mapping[str, MessageSpec]:
        return {spec.id: spec for spec in reversed(self.specs)}

    def is_gone(self, message_id: str) -> bool:
        """Whether no file has an id of the manifest any more."""
        return message_id not in self._by_id and message_id not in self._all_ids

    def _gone_from(self, history: History) -> Callable[[str], bool]:
        """Tell of ids whose file is gone; what a program sent without one never had any."""

        def is_gone(message_id: str) -> bool:
            sent = (rows for each, rows in history.by_identity.items() if each[0] == message_id)
            sources = (history.rows[row].kind.source for rows in sent for row in rows)
            return self.is_gone(message_id) and not any(map(is_given, sources))

        return is_gone

    def find_others(self) -> tuple[Message, ...]:
        """The messages below the messages root that were not selected, as far as they are valid."""
        root = self.config.messages_root
        if not self.selection.is_part or root is None or not root.is_dir():
            return ()
        files = tuple(paths.list_specs(root))
        if not files:
            return ()
        known = {spec.id for spec in self.specs}
        every = check(replace(self.selection, paths=files, given=()), self.config)
        return tuple(message for message in every.messages if message.id not in known)

    @property
    def has_variables(self) -> bool:
        """Whether the command line gave any."""
        return bool(self.selection.assignments or self.selection.var_files)

    @property
    def given_places(self) -> tuple[Place, ...]:
        """Where in the messages is what a program gave, and no file holds."""
        specs = [spec for spec in self.specs if isinstance(spec.for_each, GivenRows)]
        without = [spec for spec in self.specs if is_given(spec.source)]
        return (
            *(spec.file.place(("for_each",)) for spec in specs),
            *(spec.file.place() for spec in without),
        )

    def sources(self) -> Iterator[Path]:
        """Every file that the messages came from, and those that templates can include."""
        yield from map(Path, self.files)
        yield from self.selection.given_files
        if self.config.file is not None:
            yield Path(self.config.file.path)
        for spec in self.specs:
            tables = (spec.for_each, spec.recipients_file)
            yield from (each for each in tables if isinstance(each, Path))
        for name in suppress_lists(self.config):
            yield self.config.project / name
        if self.config.messages_root is not None:
            yield from partial_files(self.config.messages_root / PARTIALS_NAME)

    def plan(self, history: History) -> tuple[Plan, list[Problem]]:
        """Plan, and give the warnings beside; raises `MessagesError` with what does not pass."""
        planned = build_plan(self.messages, history, now=clock.now(), policy=self.policy)
        return planned, self.permit(planned)

    def permit(self, plan: Plan) -> list[Problem]:
        """Raise `MessagesError` with what manifest, policy or house rules do not let pass.

        Gives the warnings. House rules stop only what would still be sent.
        """
        problems = self._objections(plan, self.policy)
        problems += self._problems(find_unknown_messages(plan, self.is_gone))
        to_warn_of = find_missed(plan)
        if not problems and plan.history.topics:
            to_warn_of += find_renamed(plan, self._gone_from(plan.history))
        problems += [replace(each, severity="warning") for each in self._problems(to_warn_of)]
        problems += self.warnings
        for planned in plan.messages:
            if planned.deliveries:
                problems += self.lint.get(planned.message.id, ())
        if any(problem.severity == "error" for problem in problems):
            raise MessagesError(problems)
        return problems

    def of_files_alone(self) -> Checked:
        """Add what the files exceed whatever the manifest knows, and what only it can tell."""
        # Of what is there, nobody knows here what has gone.
        policy = replace(self.policy, max_per_toloker=None, max_recipients_per_run=None)
        plan = build_plan(self.messages, History(), now=clock.now(), policy=policy)
        level: Severity = "error" if self.selection.strict else "warning"
        hint = (
            "write the id of a message of yours; if it was sent, and its file is gone, run `plan`"
        )
        unknown = self._problems(find_unknown_messages(plan, self.is_gone))
        warned = (replace(each, hint=hint, severity=level) for each in unknown)
        faults = (*self.faults, *self._objections(plan, policy))
        return replace(self, faults=faults, warnings=(*self.warnings, *warned))

    def _objections(self, plan: Plan, policy: Policy) -> list[Problem]:
        problems = self._problems(find_objections(plan, policy))
        level = level_of("same-words", levels_in(self.config), strict=self.selection.strict)
        if level is not None:
            may_repeat = {spec.id for spec in self.specs if "same-words" in spec.lint}
            found = find_same_words(plan, self._gone_from(plan.history))
            same = self._problems(each for each in found if each[0].id not in may_repeat)
            problems += [replace(each, rule="same-words", severity=level) for each in same]
        return problems

    def _problems(self, objections: Iterable[Objection]) -> list[Problem]:
        return [self.problem(message, fault) for message, fault in objections]

    def problem(self, message: Message, fault: Fault) -> Problem:
        """Give a message's fault its address in the spec."""
        spec = self._by_id[message.id]
        if spec.recipients_file is not None and fault.pointer[:1] == ("recipients_ids",):
            # The ids come from a file, and the spec names it elsewhere.
            fault = replace(fault, pointer=("recipients_file",))
        return spec.file.problem(fault)

    def refusals(self, message: Message, refused: Rejected) -> list[Problem]:
        """Say what Toloka refused at the lines where it is written."""
        if isinstance(message.recipients, InThread) and refused.status == 404:
            fault = Fault(("thread_id",), f"Toloka knows no such thread: {refused.detail}")
            return [self.problem(message, fault)]
        if not refused.fields:
            return [self.problem(message, Fault((), f"Toloka refused it: {refused.detail}"))]
        return [
            self.problem(message, Fault(_pointer(path), f"Toloka refused {path}: {words}"))
            for path, words in refused.fields.items()
        ]


def check(selection: Selection, config: Config) -> Checked:
    """Find, load, check and render specs, and hold them against the house rules.

    Raises `SurroundingsError` when nothing is found.
    """
    below, above, assigned = load_variables(config, selection.var_files, selection.assignments)
    warnings: list[Problem] = []
    policy = load_policy(config, warnings.append)
    files = _find_files(selection, config, warnings.append)
    checking = Checking(
        messages_root=config.messages_root,
        below=below,
        above=above,
        assigned=assigned,
        levels=levels_in(config),
        strict=selection.strict,
    )
    found = checked_by_parts(checking, files, selection.given)
    specs = tuple(chain.from_iterable(part.specs for part in found))
    known = {*files, *selection.given_files}
    others = _find_unselected(known, config) if selection.is_part else ()
    unusable = [*chain.from_iterable(part.unusable for part in found)]
    unusable += find_doubles(specs, others, config.messages_root)
    faults = [*unusable, *(each for each in warnings if each.severity == "error")]
    if assigned and not unusable:
        warnings += _find_unused(assigned, specs, selection, config)
    # What is wrong in a partial is told by each.
    warnings += dict.fromkeys(chain.from_iterable(part.warnings for part in found))
    return Checked(
        selection=selection,
        config=config,
        files=tuple(map(shown, files)),
        specs=specs,
        messages=tuple(chain.from_iterable(part.messages for part in found)),
        faults=(*faults, *chain.from_iterable(part.faults for part in found)),
        warnings=tuple(
            replace(each, severity="error") if selection.strict else each for each in warnings
        ),
        lint={key: each for part in found for key, each in part.lint.items()},
        policy=policy,
        notes={key: each for part in found for key, each in part.notes.items()},
        babel=next((part.babel for part in found if part.babel), None),
    )


def _find_unused(
    assigned: Mapping[str, str],
    specs: Sequence[MessageSpec],
    selection: Selection,
    config: Config,
) -> Iterator[Problem]:
    """Complain of a `--var` that no message uses: an error unless only some messages are here."""
    root = config.messages_root / PARTIALS_NAME if config.messages_root else None
    for name, known in unused_names(assigned, specs, partial_texts(root)):
        guess = nearest(name, known)
        hint = f"did you mean {guess}?" if guess else "remove it"
        what = f"no message uses --var {name}"
        if not selection.is_part:
            raise SurroundingsError(f"{what}: {hint}")
        for spec in specs[:1]:
            yield Problem(Place(spec.source), what, hint, severity="warning")


def prepare(selection: Selection, config: Config) -> Checked:
    """Make messages ready for planning; raises `MessagesError` with every problem of them all.

    What house rules say is left for the plan: a message that was sent long ago may break them.
    """
    checked = check(selection, config)
    if checked.faults:
        raise MessagesError(sorted(set(checked.faults)))
    return checked


def _find_unselected(files: Set[Path], config: Config) -> list[Path]:
    """The files below the messages root that were not selected, as far as they can be listed."""
    try:
        every = paths.find_specs([config.messages_root] if config.messages_root else [])
    except SurroundingsError:
        return []
    return [path for path in every if path not in files]


def _find_files(
    selection: Selection, config: Config, warn: Callable[[Problem], object]
) -> list[Path]:
    root = config.messages_root
    if selection.is_part:
        named = [paths.as_below(root, path) if root else path for path in selection.paths]
        return paths.find_specs(named, warn) if named else []
    if config.messages_root is None or not config.messages_root.is_dir():
        raise SurroundingsError(
            f"there is no {paths.MESSAGES_NAME}/ folder here or above, and no file was named: "
            f"put messages into {paths.MESSAGES_NAME}/, or name a file, or begin a project with "
            "`message-runner init`"
        )
    return paths.find_specs([config.messages_root], warn)


def _pointer(field_path: str) -> Pointer:
    """The way to what a field path of Toloka's names (`recipients_filter.and.0.value`)."""
    steps = [int(step) if step.isdecimal() else step for step in field_path.split(".")]
    # A batch counts its ids from 0, wherever in the spec they come from.
    return tuple(steps[:1] if steps[0] == "recipients_ids" else steps)
