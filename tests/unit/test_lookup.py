"""The rules of evidence, one by one; how they hold together is played in tests/delivery."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from runner.lookup.absence import Absence, Failure
from runner.lookup.claim import claim, find_doubts
from runner.lookup.look import Look
from runner.manifest.history import Attempt
from runner.model import Post, Thread
from runner.toloka.anchor import BEGINNING, Anchor, anchor_of
from runner.toloka.digest import digest_of, folded

NOON = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)


def at(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds")


def thread(name: str, *ids: str, text: str = "Hi", created: datetime = NOON) -> Thread:
    post = Post(text={"EN": text}, created=at(created), sender="acc", is_ours=True)
    return Thread(
        id=name,
        created=at(created),
        topic={"EN": "News"},
        posts=(post,),
        answerable=True,
        select_type="DIRECT",
        recipients_ids=ids,
    )


def attempt(delivery: str, *ids: str, anchor: Anchor = BEGINNING) -> Attempt:
    digest = digest_of(
        topic={"EN": "News"},
        text={"EN": "Hi"},
        answerable=True,
        select_type="DIRECT",
        recipients_filter=None,
    )
    return Attempt(
        delivery=delivery, message="m", revision=1, source="m.yaml", select_type="DIRECT",
        recipients_ids=ids, digest=digest, at=NOON, anchor=anchor,
    )  # fmt: skip


def test_the_anchor_is_the_lowest_time_of_a_full_page() -> None:
    page = [at(NOON + number * MINUTE) for number in range(300)]
    assert anchor_of(reversed(page)) == Anchor(NOON)
    assert anchor_of(page[1:]) == BEGINNING
    assert anchor_of([*page[1:], ""]) == BEGINNING
    assert Anchor(NOON).query == {"created_gte": "2026-11-22T11:50:00.000"}
    assert BEGINNING.query == {}


def test_an_anchor_reaches_ten_minutes_back() -> None:
    anchor = Anchor(NOON)
    assert anchor.reaches(NOON - 10 * MINUTE)
    assert not anchor.reaches(NOON - 11 * MINUTE)
    assert anchor.reaches(None)
    assert BEGINNING.reaches(datetime(1, 1, 1, tzinfo=timezone.utc))


def test_the_newest_intent_is_served_first_and_a_thread_serves_once() -> None:
    older, newer = attempt("older", "a"), attempt("newer", "a")
    assert claim([older, newer], [thread("t1", "a")]) == {"newer": thread("t1", "a")}
    both = claim([older, newer], [thread("t1", "a"), thread("t2", "a")])
    assert {each.id for each in both.values()} == {"t1", "t2"}


@pytest.mark.parametrize(
    "other",
    [
        thread("t1", "a", "b"),
        thread("t1", "a", text="Ho"),
        thread("t1", "a", created=NOON - 11 * MINUTE),
    ],
)
def test_what_is_not_exactly_it_is_not_claimed(other: Thread) -> None:
    assert claim([attempt("d", "a", anchor=Anchor(NOON))], [other]) == {}


def test_a_thread_since_the_anchor_that_shares_a_toloker_is_a_doubt() -> None:
    unknown = [attempt("d", "a", "b", anchor=Anchor(NOON)), attempt("e", "c")]
    threads = [
        thread("t1", "b", text="whatever"),
        thread("t2", "b", created=NOON - 11 * MINUTE),
        thread("t3", "z"),
    ]
    assert {name: list(them) for name, them in find_doubts(unknown, threads).items()} == {
        "d": ["t1"]
    }


def test_absence_takes_two_whole_looks_after_the_failure() -> None:
    absence = Absence(Failure(100.0), 30.0, 100.0)
    for begun_s, is_proven in ((100.0, False), (131.0, False), (159.0, False), (161.0, True)):
        absence.whole_s.append(begun_s)
        assert absence.is_proven == is_proven
    late = Absence(Failure(0.0), 30.0, 500.0, whole_s=[500.0, 501.0])
    assert not late.is_proven
    late.whole_s.append(515.0)
    assert late.is_proven


def test_looks_are_repeated_until_patience_ends() -> None:
    absence = Absence(Failure(0.0), 30.0, 0.0, looks=9)
    assert [absence.next_look_s(now_s) for now_s in (0.0, 30.0, 60.0, 285.0, 286.0)] == [
        *(30.0, 60.0, 75.0, 300.0),
        None,
    ]
    # However long one look takes, there is another one.
    assert Absence(Failure(0.0), 30.0, 0.0, looks=1).next_look_s(900.0) == 915.0


def test_a_failure_of_this_run_is_believed_after_a_success() -> None:
    assert Failure(5.0).is_believed(float("-inf"))
    assert not Failure(5.0, is_of_this_run=True).is_believed(4.0)
    assert Failure(5.0, is_of_this_run=True).is_believed(6.0)


def test_a_look_keeps_what_matters_and_marks_the_rest() -> None:
    look = Look(
        Anchor(NOON),
        0.0,
        must_show={"t1": NOON, "t0": NOON - 20 * MINUTE, "t9": NOON},
        claimed={"t1"},
        matters=lambda each, _marks: "a" in each.recipients_ids,
    )
    child = replace(thread("t5", "a"), parent_id="t1")
    for each in (thread("t1", "a"), thread("t2", "a"), thread("t3", "z"), child):
        look.take(each)
    assert (list(look.kept), list(look.missing), look.is_whole) == (["t2"], ["t9"], False)
    assert [each.partition(":")[0] for each in look.rest] == ["t3"]
    assert (look.shows_ours, look.cursor) == (True, Anchor(NOON))


def test_a_folded_text_survives_what_servers_do() -> None:
    same = ["Caf\u00e9 & tea", " cafe\u0301 &amp; TEA\r\n", "Caf\u00e9\u00a0&\u200e tea"]
    assert len({folded({"EN": text})["EN"] for text in same}) == 1
    assert folded({"EN": "tea"}) != folded({"EN": "tee"})
