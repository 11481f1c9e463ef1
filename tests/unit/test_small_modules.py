"""The clock, the pace, the daily limits, text made harmless, and exit codes."""

from __future__ import annotations

import io
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import history_of

from runner import clock
from runner.errors import Fault, MessagesError, Place, Problem
from runner.manifest.attempts import Attempt, NotFound, Settled
from runner.manifest.history import History
from runner.model import Delivery, Direct, Everyone, Message, Rejected, Result
from runner.plan.plan import result_of
from runner.plan.quota import DAILY_REQUESTS, fit
from runner.render.rendered import named_way
from runner.report.filters import describe_filter
from runner.report.progress import Progress, drawing_on
from runner.report.sheet import defused, is_number
from runner.report.text import loud_lines
from runner.send.tally import Halt, exit_code
from runner.toloka.pace import Pace, Stopped
from runner.wording import plural, printable

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)

# --- times ----------------------------------------------------------------------------------------


@given(st.datetimes(datetime(1970, 1, 1), datetime(2999, 12, 31), timezones=st.just(timezone.utc)))  # noqa: DTZ001
def test_a_time_that_is_written_is_read_back_to_the_millisecond(moment: datetime) -> None:
    read = clock.read(clock.written(moment))
    assert timedelta(0) <= moment - read < timedelta(milliseconds=1)
    assert clock.written(read) == clock.written(moment)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T21:00:00.000Z", datetime(2026, 11, 22, 21, tzinfo=timezone.utc)),
        ("2026-11-22T21:00:00", datetime(2026, 11, 22, 21, tzinfo=timezone.utc)),
        ("2026-11-22T21:00:00.5", datetime(2026, 11, 22, 21, 0, 0, 500_000, tzinfo=timezone.utc)),
        (
            "2026-11-22T21:00:00.1234567",
            datetime(2026, 11, 22, 21, 0, 0, 123_456, tzinfo=timezone.utc),
        ),
        ("2026-11-22 21:00+03:00", datetime(2026, 11, 22, 18, tzinfo=timezone.utc)),
        ("2026-11-22T21:00:00-0330", datetime(2026, 11, 23, 0, 30, tzinfo=timezone.utc)),
    ],
)
def test_our_times_and_those_of_toloka_are_read(text: str, moment: datetime) -> None:
    assert clock.read(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Z",
        "2026-11-22",
        "2026-02-30T21:00:00Z",
        "2026-11-22T21:00:00+24:00",
        "0001-01-01T00:00:00+01:00",
        "2026-11-22T21:00:00.",
        "2026-11-22T21:00:00.x",
        "soon",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^"):
        clock.read(text)


@pytest.mark.parametrize(
    ("template", "way", "named"),
    [
        ("Hi\n{% if row.n > 1 %}a{% endif %}", (None, 2, 1, True), "if row.n > 1"),
        ("{%- elif x -%}", (None, 1, 2, False), "if not x"),
        ("{% if a %}{% if b %}", (None, 1, 2, True), "if (2 of EN)"),
        ("{% include 'p.j2' %}", ("p.j2", 3, 1, False), "if not (1 of p.j2)"),
        (f"{{% if {'a' * 100} %}}", (None, 1, 1, True), f"if {'a' * 60}…"),
    ],
)
def test_a_way_is_named_by_its_condition(
    template: str, way: tuple[str | None, int, int, bool], named: str
) -> None:
    assert named_way(template, "EN", way) == named


def test_a_time_in_another_zone_is_written_in_utc() -> None:
    there = datetime(2026, 11, 22, 21, tzinfo=timezone(timedelta(hours=3)))
    assert clock.written(there) == "2026-11-22T18:00:00.000Z"
    assert clock.now().tzinfo is timezone.utc


# --- the pace -------------------------------------------------------------------------------------


def test_no_second_holds_more_calls_than_the_rate() -> None:
    pace, left = Pace(40), []
    lock = threading.Lock()

    def work() -> None:
        for _ in range(8):
            pace()
            with lock:
                left.append(time.monotonic())

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    left.sort()
    assert len(left) == 64
    for number, moment in enumerate(left):
        # A thread may come late to its note.
        assert sum(moment <= each < moment + 0.9 for each in left[number:]) <= 40
    # And it is not much slower than it must be.
    assert left[-1] - left[0] < 3
    assert all(later >= earlier for earlier, later in pairwise(left))


def test_a_stop_wakes_whoever_waits() -> None:
    pace = Pace(1000)
    pace.pause(60)
    pace.pause(1)
    raised = threading.Event()

    def wait() -> None:
        with pytest.raises(Stopped):
            pace()
        raised.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    pace.stop.set()
    waiting.join(timeout=5)
    assert raised.is_set()
    with pytest.raises(Stopped):
        pace()


def test_a_pause_holds_every_call_back() -> None:
    pace = Pace(1000)
    started = time.monotonic()
    pace.pause(0.2)
    pace()
    assert time.monotonic() - started >= 0.2


# --- the daily limits -----------------------------------------------------------------------------


def delivery(*, to_all: bool) -> Delivery:
    recipients = Everyone() if to_all else Direct(("a",))
    message = Message(
        id="m",
        revision=1,
        source="m",
        topic={},
        text={},
        answerable=True,
        recipients=recipients,
        digest="",
    )
    return Delivery(message=message, recipients=recipients)


def history(count: int, *outcomes: Settled, hours: float = 1, to_all: bool = False) -> History:
    """So many attempts whose outcome nobody knows, and one with each outcome."""
    one = Attempt(
        delivery="d",
        message="m",
        revision=1,
        source="m",
        select_type="ALL" if to_all else "DIRECT",
        recipients_ids=(),
        digest="",
        at=NOW - timedelta(hours=hours),
    )
    all_of = [None] * count + list(outcomes)
    return history_of(
        *(replace(one, delivery=f"d{number}", outcome=each) for number, each in enumerate(all_of))
    )


def test_one_message_to_all_goes_out_a_day() -> None:
    to_all, direct = delivery(to_all=True), delivery(to_all=False)
    first = fit([to_all, direct, to_all], History(), NOW)
    assert (first.today, first.later) == ((to_all, direct), (to_all,))
    (said,) = first.quota_notes
    assert (
        said
        == "Toloka's daily limit is 1 ALL messages: 0 in the last 24 hours and 2 planned leave 1 for later"
    )
    second = fit([to_all, direct], history(1, to_all=True), NOW)
    assert (second.today, second.later, second.due_at) == ((direct,), (to_all,), None)
    assert fit([to_all], history(2, hours=3, to_all=True), NOW).due_at == NOW + timedelta(hours=21)
    assert fit([to_all], history(1, hours=24.1, to_all=True), NOW).later == ()


@pytest.mark.dear
def test_what_was_tried_today_counts_unless_nothing_was_sent() -> None:
    direct = delivery(to_all=False)
    nothing_sent = (NotFound(), Rejected(status=400, code=None, detail=""))
    full = history(DAILY_REQUESTS - 1, *nothing_sent)
    one = fit([direct, direct], full, NOW)
    assert (len(one.today), len(one.later)) == (1, 1)
    assert one.quota_notes == (
        "Toloka's daily limit is 100,000 requests: 99,999 in the last 24 hours and 2 planned leave 1 for later",
    )


# --- what is printed ------------------------------------------------------------------------------


@given(st.text())
def test_printable_text_moves_no_cursor_and_stays_one_line(text: str) -> None:
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert not any(char in shown for char in "\x1b\r\n\x07\u202e\u2066\u200e\ufeff")
    shown.encode()
    assert printable(shown) == shown


def test_printable_text_of_people_stays_as_it_is() -> None:
    for text in ("Hello", "Привет, мир", "שלום", "नमस्ते", "क्\u200dष", "👩\u200d🔬", "❤\ufe0f"):
        assert printable(text) == text
    assert printable("a\x1b[2J\nb\u202e") == "a\\x1b[2J\\nb\\u202e"


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"category": "skill", "key": "224", "operator": "GTE", "value": 80}, "skill 224 ≥ 80"),
        ({"category": "skill", "key": "224", "operator": "EQ", "value": None}, "no skill 224"),
        ({"category": "profile", "key": "languages", "operator": "IN", "value": "EN"}, "languages IN EN"),
        ({"and": [{"category": "profile", "key": "country", "operator": "EQ", "value": "US"}]}, "country = US"),
        (
            {"and": [{"category": "skill", "key": "1", "operator": "LT", "value": 5}, {"or": [{"category": "profile", "key": "country", "operator": "EQ", "value": "US"}, {"category": "profile", "key": "country", "operator": "NE", "value": "GB"}]}]},
            "skill 1 < 5 and (country = US or country ≠ GB)",
        ),
        ("\x1b", '"\\u001b"'),
    ],
)  # fmt: skip
def test_a_filter_is_put_into_words(tree: object, words: str) -> None:
    assert describe_filter(tree) == words


def test_things_are_counted() -> None:
    assert [plural(count, "thread") for count in (0, 1, 2, 2000)] == [
        "0 threads",
        "1 thread",
        "2 threads",
        "2,000 threads",
    ]


# --- problems -------------------------------------------------------------------------------------


def test_problems_are_told_each_once_in_the_order_of_their_places() -> None:
    def problem(line: int, what: str = "wrong") -> Problem:
        return Problem(Place("m.yaml", line, 2), what, "do right")

    error = MessagesError([problem(10), problem(9), problem(10), problem(9, "also")])
    assert str(error).split("\n") == [
        "m.yaml:9:2: error: also; do right",
        "m.yaml:9:2: error: wrong; do right",
        "m.yaml:10:2: error: wrong; do right",
    ]
    assert Fault(("a",), "x") == Fault(("a",), "x")


def test_what_a_problem_quotes_cannot_make_a_line() -> None:
    said = str(Problem(Place("a\n::b.yaml"), "x\x1b\r\ny", "z\u2028"))
    assert said == "a\\n::b.yaml:1:1: error: x\\x1b\\r\\ny; z\\u2028"


def test_what_a_run_that_died_left_is_told_by_its_number_where_it_is_much() -> None:
    def unknown(count: int, run: str | None) -> list[Result]:
        person = Direct(("t1",))
        message = Message(
            id="m",
            revision=1,
            source="m.yaml",
            topic={},
            text={},
            recipients=person,
            answerable=True,
            digest="d",
        )
        each = Delivery(message=message, recipients=person)
        return [
            replace(result_of(each, "unknown", error=f"{run} {number}"), run=run)
            for number in range(count)
        ]

    results = [*unknown(2_000, "dead"), *unknown(3, "mine"), *unknown(30, None)]
    lines = list(loud_lines(results, verbose=False))
    assert lines[0] == "unknown: 2,000 deliveries of run dead (-v shows each)"
    assert len(lines) == 34
    assert len(list(loud_lines(results, verbose=True))) == 2_033
    adopted = [replace(each, status="adopted", error=f"{n}") for n, each in enumerate(results)]
    (line,) = loud_lines(adopted, verbose=False)
    assert line == (
        "adopted: m, 2,033 deliveries, sent before and recorded only now "
        "(-v shows each with its date)"
    )
    assert len(list(loud_lines(adopted, verbose=True))) == 2_033


# --- cells of a spreadsheet -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "harmless"),
    [
        ("plain, with 2-3 signs = none", "plain, with 2-3 signs = none"),
        ("=1", "'=1"),
        (" =1", " '=1"),
        ("\uff1d1", "'\uff1d1"),
        ("\uff0b1;\uff0d1|\uff201", "'\uff0b1;'\uff0d1|'\uff201"),
        ("a;=1", "a;'=1"),
        ('a;"=1"', 'a;"\'=1"'),
        ("a,\u200d+1", "a,\u200d'+1"),
        ("a\n- b", "a\n'- b"),
        ("\t=1", "'\\t'=1"),
        ("\n1", "'\n1"),
        ("::add-mask::x", "'::add-mask::x"),
    ],
)
def test_no_cell_is_a_formula_whatever_ends_it(cell: str, harmless: str) -> None:
    assert defused(cell) == harmless
    assert defused(harmless) == harmless


def test_a_number_stays_one() -> None:
    numbers = ("-5", "+1 234.50", "-1,5 %", "0", "12%")
    assert all(map(is_number, numbers))
    assert not any(map(is_number, ("-5+3", "=1", "-", "+49 (30) 1", "1e5", "-a")))


# --- how far a run is -----------------------------------------------------------------------------


def test_the_log_of_a_job_says_how_far_it_is_now_and_then() -> None:
    stream, moments = io.StringIO(), iter(range(100))
    progress = Progress(stream, draws="lines", now_s=lambda: float(next(moments)))
    for done in range(32):
        progress(10 * done, 10_000)
    progress.note("looking again for 3 unknown deliveries: 30 s")
    progress.close()
    assert stream.getvalue().splitlines() == [
        "150 of 10,000, 10 a second, 16 min 25 s left",
        "300 of 10,000, 10 a second, 16 min 10 s left",
        "looking again for 3 unknown deliveries: 30 s",
    ]


def test_a_bar_fits_the_line_and_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    stream, moments = io.StringIO(), iter(range(100))
    progress = Progress(stream, draws="bar", now_s=lambda: float(next(moments)))
    for done in (0, 60, 130):
        progress(done, 120)
    progress.note("short")
    progress.close()
    _, half, whole, short, blank, after = stream.getvalue().split("\r")
    assert half == "████████████░░░░░░░░░░░░ 60 of 120, 60 "
    # A batch that was split has more parts than were counted.
    assert whole == "████████████████████████ 130 of 130, 65"
    assert (short.rstrip(), len(short)) == ("short", len(whole))
    assert (blank.strip(), after) == ("", "")


def test_nothing_is_drawn_where_nobody_looks() -> None:
    stream = io.StringIO()
    assert [drawing_on(stream, is_ci=each) for each in (False, True)] == ["nothing", "lines"]
    progress = Progress(stream, draws="nothing", now_s=time.monotonic)
    progress(1, 2)
    progress.note("waits")
    assert stream.getvalue() == ""


# --- exit codes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("halt", "unknown", "later", "code"),
    [
        (Halt.SURROUNDINGS, True, True, 2),
        (Halt.QUOTA, True, True, 5),
        (Halt.REFUSED, False, True, 75),
        (Halt.OUTAGE, False, False, 75),
        (Halt.REFUSED, False, False, 4),
        (None, False, False, 4),
    ],
)
def test_of_several_reasons_the_first_is_the_exit_code(
    halt: Halt | None, unknown: bool, later: bool, code: int
) -> None:
    assert exit_code(halt, unknown=unknown, later=later, refused=True) == code
