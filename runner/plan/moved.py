"""What is not as it was when a plan was made: pure.

What was done meanwhile has not moved, and less than was approved needs no new approval.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from runner.errors import Fault
from runner.model import Message, ReachedBy
from runner.plan.needs import find_unfiled
from runner.plan.plan import Plan, PlannedMessage
from runner.plan.planfile import Origin, PlanFile
from runner.wording import age_words

_SHOWN = 5
_CLOCKS = timedelta(minutes=10)
"""So far the clocks of two machines may be apart."""
_AGAIN = "make the plan again"
_REVIEW = "have the new plan reviewed"

Moved = tuple[Message | None, Fault]
"""What moved, and of which message; none is about the plan file itself."""


def find_unapproved(
    file: PlanFile, *, digest: str | None, max_age: timedelta | None, now: datetime
) -> list[Fault]:
    """Say why a plan is not the one that was approved, or is no longer."""
    found: list[Fault] = []
    age = now - file.made_at
    if digest not in (None, file.digest):
        what = f"this is the plan {file.digest}, and {digest} was approved"
        found.append(Fault((), what, _REVIEW))
    if max_age is not None and age > max_age:
        what = f"the plan is {age_words(age)} old, and --max-plan-age is {age_words(max_age)}"
        found.append(Fault((), what, _AGAIN))
    if max_age is not None and age < -_CLOCKS:
        what = "by this machine's clock the plan was made in the future, so its age is not known"
        found.append(Fault((), what, _AGAIN))
    return found


def find_moved(file: PlanFile, plan: Plan, now: Origin) -> list[Moved]:
    """Say what `send` would do now that the plan file does not hold."""
    elsewhere = list(_find_elsewhere(file.origin, now))
    if elsewhere:
        return elsewhere
    moved = [each for planned in plan.messages for each in _find_new(file, planned, plan)]
    return [*_find_why(file.origin, now), *moved] if moved else []


def _find_elsewhere(then: Origin, now: Origin) -> Iterator[Moved]:
    if then.target != now.target:
        what = f"the plan is for {then.target}, and this is {now.target}"
        yield None, Fault((), what, "make a plan for this target")
    if then.acts_under != now.acts_under:
        what = f"the plan acts under {_account(then.acts_under)}, and this run under "
        hint = "set TOLOKA_ACT_UNDER_ACCOUNT_ID alike where the plan is made"
        yield None, Fault((), what + _account(now.acts_under), hint)
    if then.account not in (None, now.account):
        known = f"is that of {now.account}" if now.account else "knows of none"
        what = f"the plan is for the account {then.account}, and the manifest {known}"
        yield None, Fault((), what, _AGAIN)


def _account(acts_under: str | None) -> str:
    return f"account {acts_under}" if acts_under else "the token's own account"


def _find_why(then: Origin, now: Origin) -> Iterator[Moved]:
    """What has changed besides, and may be why: where nothing moved, it does not matter."""
    if then.babel and now.babel and then.babel != now.babel:
        what = f"the plan was made with Babel {then.babel}, and this is {now.babel}"
        yield None, Fault((), what, f"numbers and dates may be worded anew: {_AGAIN}")
    if then.commit and now.commit and then.commit != now.commit:
        what = f"the plan was made at commit {then.commit}, and this is {now.commit}"
        yield None, Fault((), what)


def _find_new(file: PlanFile, planned: PlannedMessage, plan: Plan) -> Iterator[Moved]:
    message = planned.message
    identity = (message.id, message.revision)
    new, changed = _compared(file, planned)
    if isinstance(message.recipients, ReachedBy) and identity in file.folders:
        # Whom this very plan reaches by that other message waits for the next one.
        other = message.recipients.message
        reached = {key.partition(" ")[0] for name, _, key in file.digests if key and name == other}
        new = [key for key in new if key not in reached]
    if changed:
        what = f"{message.id} has changed since the plan was made{_to(changed)}"
        yield message, Fault(("text",), what, _REVIEW)
    # A reply waits for threads and answers; if they have come since, it goes on waiting.
    if new and not (message.action == "reply" and identity in file.folders):
        yield message, Fault((), f"{message.id} is not in the plan{_to(new)}", _REVIEW)
    known = file.folders.get(identity, ())
    is_filed = planned.deliveries or find_unfiled(planned.messages, plan.history)
    if is_filed and not new and known != message.folders:
        folders = [", ".join(each) if each else "no folder" for each in (message.folders, known)]
        what = f"{message.id} would be put into {folders[0]}, and the plan says {folders[1]}"
        yield message, Fault(("folders",), what, _REVIEW)


def _compared(file: PlanFile, planned: PlannedMessage) -> tuple[list[str | None], list[str | None]]:
    """The keys that the plan file does not hold, and those that it holds with another digest."""
    new, changed = [], []
    for delivery in (*planned.deliveries, *(() if planned.held else planned.possible)):
        for key in delivery.keys:
            digest = file.digests.get((delivery.message.id, delivery.message.revision, key))
            if digest is None:
                new.append(key)
            elif digest != delivery.message.digest:
                changed.append(key)
    return new, changed


def _to(keys: Sequence[str | None]) -> str:
    named = [key for key in keys if key is not None]
    if not named:
        return ""
    more = f" and {len(named) - _SHOWN:,} more" if len(named) > _SHOWN else ""
    return f" (to {', '.join(named[:_SHOWN])}{more})"
