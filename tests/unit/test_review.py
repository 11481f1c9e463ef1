"""A plan in words: it never says that nothing would be sent where something may, and it is never too long."""

from __future__ import annotations

import html
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from support import history_of, tolokers

from runner.errors import Place, Problem
from runner.manifest.attempts import Attempt, Settled
from runner.manifest.history import History
from runner.model import (
    Direct,
    Filtered,
    InOwnThread,
    InThreads,
    Message,
    ReachedBy,
    Recipients,
    Rejected,
    Sent,
    Thread,
)
from runner.plan.build import build_plan
from runner.plan.plan import Plan
from runner.report.page import build_page
from runner.report.plantext import closing_lines, plan_lines
from runner.report.review import Surroundings, headline, review_of
from runner.report.samples import Detail
from runner.report.summary import failure_markdown, summary_markdown

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
HERE = Surroundings(target="here", manifest="m.jsonl")
LIMIT = 1024 * 1024
SENT = Sent(Thread(id="63c15866757a4a1adad1d632"))
DIRECT = Direct(("t1",))
A_FILTER = Filtered({"and": [{"category": "skill", "key": "1", "operator": "GTE", "value": 1}]})


def message(recipients: Recipients = DIRECT, id: str = "m", **changes: object) -> Message:
    made = Message(
        id=id,
        revision=1,
        source=f"messages/{id}.yaml",
        topic={"EN": "Hello"},
        text={"EN": "Dear you"},
        answerable=True,
        recipients=recipients,
        digest="sha256:one",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def attempt(outcome: Settled | None, id: str = "m", *ids: str, whom: str = "DIRECT") -> Attempt:
    return Attempt(
        delivery=f"d-{id}",
        message=id,
        revision=1,
        source=f"messages/{id}.yaml",
        select_type=whom,  # type: ignore[arg-type]
        recipients_ids=(ids or ("t1",)) if whom == "DIRECT" else (),
        recipients_filter=A_FILTER.tree if whom == "FILTER" else None,
        digest="sha256:one",
        at=NOW,
        outcome=outcome,
    )


def plan(*messages: Message, history: History | None = None) -> Plan:
    return build_plan(messages, history or History(), now=NOW)


TO_M = InThreads("m", only_answered=True)
SILENT = ReachedBy("m", answered=False)
TOMORROW = NOW + timedelta(days=1)
MAY_SEND = {
    "a thread": (plan(message()), "Would send 1 thread"),
    "a reply too": (
        plan(message(id="n"), message(TO_M, "r"), history=history_of(attempt(SENT, "m", "a", "b"))),
        "Would send 1 thread and up to 2 replies",
    ),
    "nobody knows how many": (
        plan(message(TO_M, "r"), history=history_of(attempt(SENT, whom="FILTER"))),
        "Would send replies to whoever answered",
    ),
    "the silent": (
        plan(message(SILENT, "r", digest="x"), history=history_of(attempt(SENT, "m", "a", "b"))),
        "Would send to up to 2 Tolokers",
    ),
    "the first of the silent": (
        plan(
            message(SILENT, "r", at_most=1, digest="x"),
            history=history_of(attempt(SENT, "m", "a", "b")),
        ),
        "Would send to up to 1 Toloker",
    ),
    "the first of whoever answered": (
        plan(message(TO_M, "r", at_most=3), history=history_of(attempt(SENT, whom="FILTER"))),
        "Would send up to 3 replies",
    ),
    "whoever answers, later": (
        plan(message(TO_M, "r", not_before=TOMORROW), history=history_of(attempt(SENT, "m", "a"))),
        "Would send nothing now; later up to 1 reply, from 2026-11-23T12:00:00Z",
    ),
    "a reply that is sure, and one that is not": (
        plan(
            message(InOwnThread("m", "a"), "r", row=2, key="a", digest="x"),
            message(InOwnThread("m", "b"), "r", row=3, key="b", digest="y"),
            history=history_of(
                attempt(SENT, "m", "a"),
                replace(
                    attempt(Sent(Thread(id="63c15866757a4a1adad1d633")), "m", "b", "c"),
                    delivery="d-2",
                ),
            ),
        ),
        "Would send 1 reply and up to 1 reply",
    ),
    "a reply to what is not there yet": (
        plan(message(TO_M, "r")),
        "Would send nothing now; 1 waiting",
    ),
    "a window": (
        plan(message(not_before=TOMORROW)),
        "Would send nothing now; later 1 thread, from 2026-11-23T12:00:00Z",
    ),
    "an unknown": (
        plan(message(), history=history_of(attempt(None))),
        "Would send nothing now; looks first for what is unknown, and sends it again if it is not "
        "there; 1 unknown",
    ),
    "what was refused": (
        plan(message(), history=history_of(attempt(Rejected(status=400, code=None, detail="no")))),
        "Would send 1 thread",
    ),
    "a folder": (
        plan(message(folders=("IMPORTANT",)), history=history_of(attempt(SENT))),
        "Would send nothing; would put 1 thread into folders; 1 already sent",
    ),
    "nothing": (
        plan(message(), message(draft=True, id="n"), history=history_of(attempt(SENT))),
        "Would send nothing; 1 already sent, 1 kept as a draft",
    ),
}


@pytest.mark.parametrize("case", MAY_SEND)
def test_what_may_be_sent_is_said_and_shown(case: str) -> None:
    plan, said = MAY_SEND[case]
    assert headline(plan) == said
    text = "\n".join(plan_lines(review_of(plan, HERE, Detail())))
    is_told = said.startswith("Would send nothing;") or "looks first" in said
    assert ("      | Dear you" in text) != is_told
    assert ("not before 2026-11-23" in text) == ("later" in said)


def test_what_was_refused_or_is_in_doubt_is_told_with_its_reason() -> None:
    refused = attempt(Rejected(status=400, code=None, detail="HTTP 400: no such skill"), "a", "t1")
    unknown = attempt(None, "b", "t2", "t3")
    messages = (message(id="a"), message(Direct(("t2", "t3", "t4")), "b", digest="x"))
    review = review_of(plan(*messages, history=history_of(refused, unknown)), HERE, Detail())
    told = {each.message.id: [state.words for state in each.states] for each in review.changes}
    assert told["a"][1] == "refused before (1 Toloker), and tried again: HTTP 400: no such skill"
    assert told["b"][1].startswith("unknown: t2, t3: it is not known whether it was sent")
    assert "`message-runner resolve d-b --not-sent`" in told["b"][1]


def test_what_is_unknown_of_a_message_that_is_gone_is_told_in_a_plan() -> None:
    review = review_of(plan(message(id="n"), history=history_of(attempt(None))), HERE, Detail())
    said = "of a message that was not selected: m to t1: it is not known whether it was sent"
    assert "\n".join(closing_lines(review)).startswith(said)
    assert said in html.unescape(summary_markdown(review, taken=0))


def test_recipients_stand_below_what_goes_to_them() -> None:
    later = message(Direct(("a", "b")), not_before=TOMORROW, folders=("IMPORTANT",))
    planned = plan(later, history=history_of(attempt(SENT, "m", "a")))
    lines = [*plan_lines(review_of(planned, HERE, Detail()))]
    above = lines[lines.index("  recipients: b") - 1]
    assert above == "  would send 1 thread to 1 Toloker, not before 2026-11-23T12:00:00Z"


def many(count: int, size: int) -> Plan:
    made = (
        message(
            Direct((f"t{number}",)), f"m{number:05}", text={"EN": "ü" * size}, digest=str(number)
        )
        for number in range(count)
    )
    return plan(*made)


@pytest.mark.parametrize(("count", "size"), [(1, 10), (120, 10_000), (700, 1)])
def test_a_summary_leaves_the_file_below_its_limit_and_says_what_it_left_out(
    count: int, size: int
) -> None:
    warnings = [Problem(Place("a.yaml", line), "w" * 90) for line in range(1, 150)]
    about = replace(HERE, warnings=warnings if count > 1 else ())
    review = review_of(many(count, size), about, Detail())
    for taken in (0, LIMIT // 2, LIMIT - 40_000, LIMIT - 4_500, LIMIT - 100, LIMIT):
        said = summary_markdown(review, taken=taken)
        assert taken + len(said.encode()) < LIMIT or not said
        if taken <= LIMIT - 40_000:
            whole, short = said.count("<details"), said.count("\n- m")
            left = count - whole - short
            assert (left > 0) == (f"{left:,} more messages do not fit here" in said)
            assert (whole < count) == (f"The texts of {count - whole:,} message" in said)
            assert ("and 49 more warnings" in said) == (count > 1)


def test_what_is_wrong_is_cut_below_the_limit_too() -> None:
    problems = [Problem(Place("a.yaml", line), "w" * 1_000) for line in range(1, 500)]
    assert failure_markdown(problems, taken=LIMIT - 100) == ""
    for taken, shown in ((0, 100), (LIMIT - 50_000, 45)):
        said = failure_markdown(problems, taken=taken)
        assert taken + len(said.encode()) < LIMIT
        assert abs(said.count("error&#58; ww") - shown) < 10
        assert re_more(said) == 499 - said.count("error&#58; ww")


def re_more(said: str) -> int:
    return int(said.rstrip().rpartition("- and ")[2].removesuffix(" more"))


def test_a_long_personal_text_is_cut_with_a_word() -> None:
    rows = [
        message(
            Direct((f"t{number}",)),
            text={"EN": "\n".join(f"{number} {line}" for line in range(40)) + "x" * 1_000},
            row=number + 2,
            digest=str(number),
        )
        for number in range(3)
    ]
    about = replace(HERE, notes={"m": ["rows.csv: 2 empty rows passed over"]})
    few = list(plan_lines(review_of(plan(*rows), about, Detail())))
    assert few[3:5] == [
        "  rows.csv: 2 empty rows passed over",
        "  languages: EN; answerable: yes; 1 of 3 rows (-v all, --row LINE one)",
    ]
    assert few[-2] == "      … and 29 more lines"
    whole = list(plan_lines(review_of(plan(*rows), about, Detail(row=3))))
    assert "  row 3, to t1:" in whole
    assert f"      | 1 39{'x' * 1_000}" in whole
    everything = list(plan_lines(review_of(plan(*rows), about, Detail(all=True))))
    assert [line for line in everything if line.startswith("  row ")] == [
        f"  row {number + 2}, to t{number}:" for number in range(3)
    ]


def test_each_way_that_rows_go_is_shown_once() -> None:
    ways = (("if a",), ("if a", "if not b"), ("if not a",), ("if a",), ("c", "d", "e", "f", "g"))
    rows = [
        message(Direct((f"t{number}",)), row=number, branches=branches, digest=str(number))
        for number, branches in enumerate(ways, 2)
    ]
    (entry,) = review_of(plan(*rows), HERE, Detail()).entries
    assert [(each.message.row, each.kind) for each in entry.samples] == [
        (2, "first"),
        (3, "if not b"),
        (4, "if not a"),
        (6, "c, d, e, 2 ways more"),
    ]


def test_a_row_that_was_sent_is_shown_to_whoever_asks_for_it() -> None:
    rows = [message(Direct((f"t{row}",)), row=row, digest=f"sha256:{row}") for row in (2, 3)]
    sent = [
        replace(attempt(SENT, "m", f"t{row}"), delivery=str(row), digest=f"sha256:{row}")
        for row in (2, 3)
    ]
    done = plan(*rows, history=history_of(*sent))
    assert list(plan_lines(review_of(done, HERE, Detail()))) == []
    shown = list(plan_lines(review_of(done, HERE, Detail(row=3))))
    assert shown[1:5] == [
        "  already sent (2 Tolokers)",
        "  languages: EN; answerable: yes; 1 of 2 rows",
        "  row 3, to t3:",
        "  EN: Hello",
    ]


def test_colours_are_added_and_nothing_else_is_changed() -> None:
    messages = (message(), message(id="n", not_before=TOMORROW, digest="x"))
    review = review_of(plan(*messages), HERE, Detail())
    plain, coloured = list(plan_lines(review)), list(plan_lines(review, is_coloured=True))
    assert coloured[:2] == [
        "\x1b[1mm (messages/m.yaml)\x1b[0m",
        "\x1b[32m  would send 1 thread to 1 Toloker\x1b[0m",
    ]
    bare = [line.replace("\x1b[1m", "").replace("\x1b[32m", "") for line in coloured]
    assert [line.replace("\x1b[0m", "") for line in bare] == plain


def test_what_decides_how_it_is_sent_is_said_on_every_page() -> None:
    how = message(folders=("IMPORTANT",), at_most=1_000, not_after=TOMORROW, answerable=False)
    review = review_of(plan(how), HERE, Detail())
    said = (
        "languages: EN; answerable: no; folders: IMPORTANT; at most: 1,000; "
        "not after: 2026-11-23T12:00:00Z"
    )
    assert f"  {said}" in list(plan_lines(review))
    assert f"messages/m.yaml; {said}" in html.unescape(summary_markdown(review, taken=0))
    page = build_page(review, at=NOW)
    assert all(f"<dd>{each}</dd>" in page.replace("\n", "") for each in ("IMPORTANT", "1,000"))


def test_that_all_sending_is_stopped_is_said_on_every_page() -> None:
    said = "ann has stopped all sending: a wrong list"
    review = review_of(plan(message()), replace(HERE, stopped=said), Detail())
    for page in (summary_markdown(review, taken=0), build_page(review, at=NOW)):
        assert said in html.unescape(page)


def test_very_many_messages_that_stand_are_one_line() -> None:
    people = tolokers(500)
    messages = [message(Direct((each,)), each) for each in people]
    history = history_of(*(attempt(SENT, each, each) for each in people))
    review = review_of(plan(*messages, history=history), HERE, Detail())
    assert list(plan_lines(review)) == []
    assert list(closing_lines(review)) == [
        "nothing to do for 500 messages: 500 already sent (-v shows them).",
        "Would send nothing; 500 already sent. Nothing was sent.",
    ]
