from __future__ import annotations

from datetime import datetime, timedelta, timezone

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


LEFT = {
    "before": (f"not_before: {zoned(TOMORROW, 0)}", "outside_window", "not before"),
    "before-by-zone": (f"not_before: '{SOON}'", "outside_window", "not before"),
    "after": (f"not_after: {zoned(YESTERDAY, 5)}", "missed", "not after"),
    "after-by-zone": (f"not_after: '{JUST_PAST}'", "missed", "not after"),
    "draft": ("draft: true", "draft", "it is marked as a draft"),
}
SENT = {
    "within": f"not_before: '{JUST_PAST}'\nnot_after: '{SOON}'",
    "since": f"not_before: {zoned(YESTERDAY, 0).replace('+00:00', 'Z')}",
    "until": f"not_after: {zoned(TOMORROW, 0).replace('T', ' ').replace('+00:00', 'Z')}",
    "no-draft": "draft: false",
}


def test_what_is_not_for_now_is_left_with_its_status_and_the_rest_is_sent(
    project: Project, emulator: Emulator
) -> None:
    for name, (keys, _, _) in LEFT.items():
        project.write(f"messages/left/{name}.yaml", direct(name, topic=name, extra=keys + "\n"))
    dry = planned(project, emulator)
    assert (dry.code, "Would send nothing now; later 2 threads, from" in dry.out) == (0, True)
    for name, keys in SENT.items():
        project.write(f"messages/{name}.yaml", direct(name, topic=name, extra=keys + "\n"))
    wanted = {"outside_window": 2, "missed": 2, "draft": 1, "sent": len(SENT)}
    assert sent_ok(project, emulator) == wanted
    told = {each["message"]: each for each in project.results()["deliveries"]}
    for name, (_, status, reason) in LEFT.items():
        entry = told[f"left/{name}"]
        assert (entry["status"], entry["error"].startswith(reason)) == (status, True), name
    assert reached(emulator) == sorted(SENT)


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
    project.write("messages/r.yaml", reply("a") + closed)
    said = planned(project, emulator).err
    assert "a.yaml:7:12: warning: the window closed before this reached 1 Toloker" in said
    assert "r.yaml:3:12: warning: the window closed before this reached 1 thread" in said
    (project.root / "messages/r.yaml").unlink()
    assert sent_ok(project, emulator) == {"already_sent": 1, "missed": 1}
    assert reached(emulator) == ["ann"]
