"""What `plan` and `preview` show, and a notebook: the plan in words, and what is told beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from runner import clock
from runner.api.manifests import read_truth
from runner.api.settings import Settings
from runner.base.commit import find_base
from runner.base.rules import find_changed_rules
from runner.errors import Problem, RunnerError, SurroundingsError
from runner.manifest.history import History
from runner.manifest.told import Truth
from runner.plan.plan import Plan
from runner.plan.quota import fit
from runner.prepare import Checked, Selection, prepare
from runner.report.review import Review, Surroundings, review_of
from runner.report.samples import Detail
from runner.wording import printable, shown


def plan_for_review(
    selection: Selection, settings: Settings, detail: Detail
) -> tuple[Checked, Truth, Review]:
    """Plan, given the manifest, and put the plan into words; raises `MessagesError`."""
    prepared = prepare(selection, settings.config)
    rows = {message.row for message in prepared.messages}
    if detail.row is not None and detail.row not in rows:
        raise SurroundingsError(f"--row {detail.row}: no message is made of this line of the file")
    truth = read_truth(settings, settings.target.url, may_lack=True)
    _check_store(settings, truth.history)
    plan, warnings = prepared.plan(truth.history)
    return prepared, truth, _review(settings, prepared, truth, plan, warnings, detail)


def _check_store(settings: Settings, history: History) -> None:
    """Refuse what `send` would refuse: what was sent to an emulator is gone with its store."""
    store, target = settings.config.store, history.target or ""
    is_of_an_emulator = settings.target.url is None and bool(target) and "://" not in target
    if is_of_an_emulator and not store.exists():
        raise SurroundingsError(
            f"{settings.shown_manifest} is the manifest of {printable(target)}, whose store "
            f"{shown(store)} is not there: bring it back, or move the manifest away"
        )


def _review(
    settings: Settings,
    prepared: Checked,
    truth: Truth,
    plan: Plan,
    warnings: Sequence[Problem],
    detail: Detail,
) -> Review:
    """Put a plan into words, with what is told beside it."""
    title, rules = _changed_rules(prepared)
    about = Surroundings(
        target=settings.shown_target,
        manifest=truth.told,
        is_known=truth.is_known,
        stopped=truth.history.stopped,
        warnings=warnings,
        quota_notes=fit(plan.deliveries, truth.history, clock.now()).quota_notes,
        notes=prepared.notes,
        rules_title=title,
        rules=rules,
    )
    return review_of(plan, about, detail)


def _changed_rules(prepared: Checked) -> tuple[str, list[str]]:
    """Say which rules differ from the branch that this is to be merged into."""
    try:
        base = find_base(prepared.config, os.environ)
        if base is None:
            return "", []
        suppressed = prepared.policy.suppressed
        rules = find_changed_rules(base, prepared.config, prepared.specs, suppressed)
        return f"Rules that differ from {base}", list(rules)
    except RunnerError as error:
        return "Nobody knows which rules have changed", [str(error)]
