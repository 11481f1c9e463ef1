"""From paths to messages: everything that happens to a spec before the manifest is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from runner import paths
from runner.config import Config
from runner.errors import Fault, MessagesError, Pointer, Problem, SurroundingsError
from runner.model import InThread, Message, Rejected
from runner.plan.objections import Objection
from runner.plan.plan import Plan, Policy
from runner.render.lint import Level, find_lint
from runner.render.messages import Renderer
from runner.spec.datafile import load_ids
from runner.spec.specs import MessageSpec, find_ids, load_specs


@dataclass(frozen=True, slots=True)
class Prepared:
    """Valid specs and the messages that they make, in the order of the files.

    `lint` are the breaches of house rules, by message id.
    """

    specs: tuple[MessageSpec, ...]
    messages: tuple[Message, ...]
    lint: Mapping[str, tuple[Problem, ...]] = field(default_factory=dict)

    def problem(self, message: Message, fault: Fault) -> Problem:
        """Give a message's fault its address in the spec."""
        spec = next(spec for spec in self.specs if spec.id == message.id)
        if spec.recipients_file is not None and fault.pointer[:1] == ("recipients_ids",):
            # The ids come from a file, and the spec names it elsewhere.
            fault = replace(fault, pointer=("recipients_file",))
        return spec.file.problem(fault)

    def check(self, plan: Plan, objections: Iterable[Objection]) -> list[Problem]:
        """Raise `MessagesError` with what manifest, policy or house rules do not let pass.

        Gives the warnings. House rules stop only what would still be sent.
        """
        problems = [self.problem(message, fault) for message, fault in objections]
        for planned in plan.messages:
            if planned.deliveries:
                problems += self.lint.get(planned.message.id, ())
        if any(problem.severity == "error" for problem in problems):
            raise MessagesError(problems)
        return problems

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


def _pointer(field_path: str) -> Pointer:
    """The way to what a field path of Toloka's names (`recipients_filter.and.0.value`)."""
    steps = [int(step) if step.isdecimal() else step for step in field_path.split(".")]
    # A batch counts its ids from 0, wherever in the spec they come from.
    return tuple(steps[:1] if steps[0] == "recipients_ids" else steps)


@dataclass(frozen=True, slots=True)
class Checked:
    """Files that were checked, what came of them, and every problem and warning of them all."""

    files: tuple[str, ...]
    prepared: Prepared
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "error"]


def check(
    given: Sequence[Path],
    config: Config,
    below: Mapping[str, object],
    above: Mapping[str, object],
    *,
    strict: bool = False,
) -> Checked:
    """Find, load, check and render specs, and hold them against the house rules.

    `strict` makes warnings errors. Raises `SurroundingsError` when nothing is found.
    """
    files = _found(given, config)
    levels = cast("Mapping[str, Level]", config.section("lint"))
    messages: list[Message] = []
    lint: dict[str, tuple[Problem, ...]] = {}
    with Renderer(config.messages_root, below=below, above=above) as renderer:
        specs, problems = load_specs(files, config.messages_root, renderer.expect)
        found = list(problems)
        for spec in specs:
            try:
                rendered = renderer.render(spec)
            except MessagesError as error:
                found.extend(error.problems)
                continue
            messages.extend(rendered)
            lint[spec.id] = tuple(find_lint(spec, rendered, levels, strict=strict))
    warned = [problem for each in lint.values() for problem in each]
    return Checked(
        files=tuple(map(paths.shown, files)),
        prepared=Prepared(specs, tuple(messages), lint),
        problems=tuple(sorted({*found, *warned})),
    )


def prepare(
    given: Sequence[Path],
    config: Config,
    below: Mapping[str, object],
    above: Mapping[str, object],
    *,
    strict: bool = False,
) -> Prepared:
    """Check specs for planning; raises `MessagesError` with every problem of them all.

    What house rules say is left for the plan: a message that was sent long ago may break them.
    """
    checked = check(given, config, below, above, strict=strict)
    told = {problem for each in checked.prepared.lint.values() for problem in each}
    problems = [problem for problem in checked.problems if problem not in told]
    if problems:
        raise MessagesError(problems)
    return checked.prepared


def gone_ids(prepared: Prepared, config: Config) -> Callable[[str], bool]:
    """Tell, for ids of the manifest, whether no file has them any more; looks only if asked."""
    known: set[str] = {spec.id for spec in prepared.specs}
    has_looked = False

    def is_gone(message_id: str) -> bool:
        nonlocal has_looked
        if message_id in known:
            return False
        if not has_looked and config.messages_root is not None:
            has_looked = True
            known.update(find_ids(config.messages_root))
        return message_id not in known

    return is_gone


def load_policy(config: Config) -> Policy:
    """Load the policy and the suppression list; raises `SurroundingsError`."""
    policy = config.section("policy")
    name = config.data.get("suppress")
    suppressed: tuple[str, ...] = ()
    if isinstance(name, str):
        try:
            path = paths.find_data_file(name, config.project / paths.CONFIG_NAME, config.project)
            suppressed = load_ids(path, "")
        except MessagesError as error:
            raise SurroundingsError(str(error)) from error
        except ValueError as error:
            where = config.file.place(("suppress",)) if config.file else paths.CONFIG_NAME
            raise SurroundingsError(f"{where}: error: `suppress`: {error}") from error
    return Policy(
        allow_all=policy.get("allow_all", True) is True,
        max_recipients=cast("int | None", policy.get("max_recipients")),
        suppressed=frozenset(suppressed),
    )


def _found(given: Sequence[Path], config: Config) -> list[Path]:
    if given:
        return paths.find_specs(given)
    if config.messages_root is None or not config.messages_root.is_dir():
        raise SurroundingsError(
            f"there is no {paths.MESSAGES_NAME}/ folder here or above, and no file was named: "
            f"put messages into {paths.MESSAGES_NAME}/, or name a file"
        )
    return paths.find_specs([config.messages_root])
