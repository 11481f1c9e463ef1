from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from support import Project, direct, reached

from runner.emulator import Emulator

from .talk import complaints, per_row, planned, reply, sent_ok

NOW = datetime.now(timezone.utc)


def zoned(moment: datetime, hours: int) -> str:
    """A time as its author in another time zone writes it."""
    return moment.astimezone(timezone(timedelta(hours=hours))).isoformat(timespec="seconds")


YESTERDAY, TOMORROW = NOW - timedelta(days=1), NOW + timedelta(days=1)
# Only the zone makes these past and future: the hour on the wall says the opposite.
JUST_PAST, SOON = zoned(NOW - timedelta(hours=1), 14), zoned(NOW + timedelta(hours=1), -11)


@pytest.mark.parametrize(
    ("keys", "status", "reason"),
    [
        (f"not_before: {zoned(TOMORROW, 0)}", "outside_window", "not before"),
        (f"not_before: '{SOON}'", "outside_window", "not before"),
        (f"not_after: {zoned(YESTERDAY, 5)}", "outside_window", "not after"),
        (f"not_after: '{JUST_PAST}'", "outside_window", "not after"),
        ("draft: true", "draft", "it is marked as a draft"),
    ],
)
def test_what_is_not_for_now_is_left_with_its_status(
    project: Project, emulator: Emulator, keys: str, status: str, reason: str
) -> None:
    project.write("messages/a.yaml", direct("ann", extra=keys + "\n"))
    project.write("messages/b.yaml", direct("bob"))
    assert sent_ok(project, emulator) == {status: 1, "sent": 1}
    (entry,) = [e for e in project.results()["deliveries"] if e["message"] == "a"]
    assert entry["error"].startswith(reason)
    assert reached(emulator) == ["bob"]
    dry = planned(project, emulator, "messages/a.yaml")
    assert (dry.code, "Would send nothing" in dry.out) == (0, True)


@pytest.mark.parametrize(
    "keys",
    [
        f"not_before: '{JUST_PAST}'\nnot_after: '{SOON}'",
        f"not_before: {zoned(YESTERDAY, 0).replace('+00:00', 'Z')}",
        f"not_after: {zoned(TOMORROW, 0).replace('T', ' ').replace('+00:00', 'Z')}",
        "draft: false",
    ],
)
def test_what_is_for_now_is_sent(project: Project, emulator: Emulator, keys: str) -> None:
    project.write("messages/a.yaml", direct("ann", extra=keys + "\n"))
    assert sent_ok(project, emulator) == {"sent": 1}


def test_rows_and_replies_have_their_time_too(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", direct("ann"))
    sent_ok(project, emulator)
    project.write("messages/r.yaml", reply("a", not_before=zoned(TOMORROW, 0)))
    project.write("messages/rows.yaml", per_row("rows.csv", "Hi", draft=True))
    project.write("messages/rows.csv", "toloker_id\nbob\ncyd\n")
    assert sent_ok(project, emulator) == {"already_sent": 1, "outside_window": 1, "draft": 2}
    assert reached(emulator) == ["ann"]


def test_a_draft_is_checked_like_any_other(project: Project) -> None:
    project.write("messages/a.yaml", direct("ann", text="{{ nobody }}", extra="draft: true\n"))
    done = project.run("validate")
    assert (done.code, complaints(done.out)) == (
        3,
        [
            'messages/a.yaml:2:16: error: the variable "nobody" is not defined; '
            "add it to `variables:`, or --var nobody=…"
        ],
    )


def test_what_was_sent_stays_sent_when_its_window_closes(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", direct("ann"))
    sent_ok(project, emulator)
    closed = f"not_after: {zoned(YESTERDAY, 0)}\n"
    project.write("messages/a.yaml", direct("ann", "bob", extra=closed))
    assert sent_ok(project, emulator) == {"already_sent": 1, "outside_window": 1}
    assert reached(emulator) == ["ann"]
