from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import history_of, tolokers

from runner.manifest.attempts import Attempt, NotFound, Settled
from runner.manifest.history import History
from runner.model import (
    MAX_RECIPIENTS,
    Direct,
    Everyone,
    Filtered,
    InThread,
    InThreads,
    Message,
    NoRecipients,
    Recipients,
    Rejected,
    Sent,
    Thread,
)
from runner.plan.build import build_plan
from runner.plan.objections import (
    Objection,
    find_objections,
    find_renamed,
    find_same_words,
    find_unknown_messages,
)
from runner.plan.plan import Plan, Policy
from runner.toloka.digest import topic_mark

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
REJECTED = Rejected(status=400, code="VALIDATION_ERROR", detail="no")
NOBODY = NoRecipients("HTTP 409 INCORRECT_RECIPIENTS: nobody")


def message(recipients: Recipients | Sequence[str], *, id: str = "m", **changes: object) -> Message:
    made = Message(
        id=id,
        revision=1,
        source=f"messages/{id}.yaml",
        topic={"EN": "Hello"},
        text={"EN": "Dear you"},
        answerable=True,
        recipients=Direct(tuple(recipients))
        if isinstance(recipients, (list, tuple))
        else recipients,  # type: ignore[arg-type]
        digest="sha256:one",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def attempt(*ids: str, outcome: Settled | None = None, **changes: object) -> Attempt:
    made = Attempt(
        delivery=f"delivery-{'-'.join(ids)}",
        message="m",
        revision=1,
        source="messages/m.yaml",
        select_type="DIRECT",
        recipients_ids=ids,
        digest="sha256:one",
        at=NOW - HOUR,
        outcome=outcome,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def sent(thread: str = "t1") -> Sent:
    return Sent(Thread(id=thread))


def plan(
    *messages: Message,
    attempts: Sequence[Attempt] = (),
    now: datetime = NOW,
    policy: Policy | None = None,
    **history: object,
) -> Plan:
    known = replace(history_of(*attempts), **history)  # type: ignore[arg-type]
    return build_plan(messages, known, now=now, policy=policy)


def objections(
    planned: Plan,
    is_gone: Callable[[str], bool] = lambda _: False,
    policy: Policy | None = None,
) -> list[Objection]:
    found = find_objections(planned, policy or Policy())
    found += find_unknown_messages(planned, is_gone)
    return [*found, *find_same_words(planned, is_gone)]


def due(planned: Plan) -> list[tuple[str, ...]]:
    """The Tolokers of each delivery to make."""
    return [delivery.people for delivery in planned.deliveries]


def settled(planned: Plan) -> list[tuple[str, tuple[str, ...] | None]]:
    return [(result.status, result.recipients_ids) for result in planned.skipped]


# --- what is due ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(1, [1]), (99, [99]), (100, [100]), (101, [100, 1]), (250, [100, 100, 50])],
)
def test_recipients_are_cut_into_batches_of_100_the_last_one_smaller(
    count: int, sizes: list[int]
) -> None:
    ids = tolokers(count)
    planned = plan(message(ids))
    assert [len(batch) for batch in due(planned)] == sizes
    assert [toloker for batch in due(planned) for toloker in batch] == ids
    assert planned.skipped == ()


@pytest.mark.parametrize(
    "recipients", [Everyone(), Filtered({"and": [{"category": "skill"}]}), InThread("t9")]
)
def test_a_filter_and_all_and_a_reply_are_one_delivery(recipients: Recipients) -> None:
    (delivery,) = plan(message(recipients)).deliveries
    assert delivery.recipients == recipients


def test_who_was_reached_is_left_out_and_who_was_added_gets_it_alone() -> None:
    planned = plan(message(["a", "new", "b"]), attempts=[attempt("a", "b", "gone", outcome=sent())])
    assert due(planned) == [("new",)]
    assert settled(planned) == [("already_sent", ("a", "b"))]
    assert planned.skipped[0].thread_id == "t1"


def test_batches_are_cut_from_those_who_are_left() -> None:
    ids = tolokers(250)
    planned = plan(message(ids), attempts=[attempt(*ids[50:100], outcome=sent())])
    assert [len(batch) for batch in due(planned)] == [100, 100]
    assert due(planned)[0] == (*ids[:50], *ids[100:150])


@pytest.mark.parametrize("outcome", [REJECTED, NotFound()])
def test_what_was_certainly_not_sent_is_tried_again(outcome: Settled) -> None:
    planned = plan(message(["a"]), attempts=[attempt("a", outcome=outcome)])
    assert due(planned) == [("a",)]
    assert planned.skipped == ()
    everyone = attempt(select_type="ALL", outcome=outcome)
    assert len(plan(message(Everyone()), attempts=[everyone]).deliveries) == 1


def test_what_is_in_doubt_is_held_back() -> None:
    planned = plan(message(["a", "b"]), attempts=[attempt("a")])
    assert due(planned) == [("b",)]
    assert settled(planned) == [("unknown", ("a",))]
    assert planned.skipped[0].error == (
        "it is not known whether it was sent, and the next send looks first; "
        "tried at 2026-11-22T11:00:00.000Z; say `message-runner resolve delivery-a --sent "
        "THREAD_ID` or `message-runner resolve delivery-a --not-sent`"
    )
    planned = plan(message(Everyone()), attempts=[attempt(select_type="ALL")])
    assert (due(planned), settled(planned)) == ([], [("unknown", None)])


def test_what_was_sent_counts_more_than_what_is_in_doubt() -> None:
    doubt, done = attempt("a", "b"), attempt("a", outcome=sent(), delivery="done")
    for attempts in ([doubt, done], [done, doubt]):
        planned = plan(message(["a", "b"]), attempts=attempts)
        assert due(planned) == []
        assert sorted(settled(planned), key=str) == [("already_sent", ("a",)), ("unknown", ("b",))]


def test_a_filter_that_matched_nobody_is_final_for_the_revision() -> None:
    recipients = Filtered({"and": []})
    attempts = [attempt(select_type="FILTER", outcome=NOBODY)]
    planned = plan(message(recipients), attempts=attempts)
    assert (due(planned), settled(planned)) == ([], [("no_recipients", None)])
    assert planned.skipped[0].error == NOBODY.detail
    assert len(plan(message(recipients, revision=2), attempts=attempts).deliveries) == 1


def test_a_raised_revision_goes_to_everybody_again() -> None:
    attempts = [attempt("a", outcome=sent())]
    assert due(plan(message(["a", "b"], revision=2), attempts=attempts)) == [("a", "b")]
    assert due(plan(message(["a"], id="other"), attempts=attempts)) == [("a",)]


def test_an_edited_message_is_said_and_goes_to_new_ones_only() -> None:
    planned = plan(
        message(["a", "b"], digest="sha256:two"), attempts=[attempt("a", outcome=sent())]
    )
    assert due(planned) == [("b",)]
    assert settled(planned) == [("edited", ("a",))]
    everyone = attempt(select_type="ALL", outcome=sent())
    planned = plan(message(Everyone(), digest="sha256:two"), attempts=[everyone])
    assert (due(planned), settled(planned)) == ([], [("edited", None)])


def test_a_draft_is_never_due() -> None:
    planned = plan(message(["a", "b"], draft=True), attempts=[attempt("a", outcome=sent())])
    assert due(planned) == []
    assert settled(planned) == [("already_sent", ("a",)), ("draft", ("b",))]


@pytest.mark.parametrize(
    ("before", "after", "held"),
    [
        (None, None, None),
        (NOW, NOW, None),
        (NOW - HOUR, NOW + HOUR, None),
        (NOW + HOUR, None, ("outside_window", "not before 2026-11-22T13:00:00Z")),
        (None, NOW - HOUR, ("missed", "not after 2026-11-22T11:00:00Z")),
    ],
)
def test_outside_its_window_nothing_is_due(
    before: datetime | None, after: datetime | None, held: tuple[str, str] | None
) -> None:
    planned = plan(message(["a"], not_before=before, not_after=after))
    assert due(planned) == ([("a",)] if held is None else [])
    found = [(result.status, result.error) for result in planned.skipped]
    assert found == ([held] if held else [])


def test_an_attempt_of_another_message_or_revision_is_no_matter() -> None:
    others = [
        attempt("a", outcome=sent(), message="other", digest="sha256:x"),
        attempt("a", outcome=sent(), revision=7, delivery="seventh"),
    ]
    assert due(plan(message(["a"]), attempts=others)) == [("a",)]


def test_who_is_suppressed_is_left_out() -> None:
    planned = plan(message(["a", "b", "c"]), policy=Policy(suppressed=frozenset("b")))
    assert due(planned) == [("a", "c")]
    assert settled(planned) == [("suppressed", ("b",))]
    planned = plan(message(["a", "b"]), suppressed={("m", 1): frozenset("a")})
    assert due(planned) == [("b",)]
    planned = plan(message(["a"]), policy=Policy(suppressed=frozenset("a")))
    assert (due(planned), settled(planned)) == ([], [("suppressed", ("a",))])


def test_no_reply_goes_to_the_suppressed_but_in_a_thread_of_others() -> None:
    attempts = [
        attempt("a", outcome=sent("t1"), message="first"),
        attempt("b", "c", outcome=sent("t2"), message="first"),
        attempt("d", outcome=sent("t3"), message="first"),
    ]
    policy = Policy(suppressed=frozenset("ab"))
    reply = message(InThreads("first", only_answered=False))
    (planned,) = plan(reply, attempts=attempts, policy=policy).messages
    assert [each.recipients for each in planned.deliveries] == [InThread("t2"), InThread("t3")]
    assert [(each.status, each.recipients_ids, each.thread_id) for each in planned.skipped] == [
        ("suppressed", ("a",), "t1")
    ]
    assert planned.unguarded == 1
    unknown = message(InThread("t9"), id="n")
    assert plan(unknown, attempts=attempts, policy=policy).messages[0].unguarded == 2


# --- replies --------------------------------------------------------------------------------------


def test_a_reply_goes_once_into_each_thread_of_the_other_message() -> None:
    first = [
        attempt("a", outcome=sent("t1"), message="first"),
        attempt("b", outcome=sent("t2"), message="first", delivery="d2"),
    ]
    reply = message(InThreads("first", only_answered=False))
    planned = plan(reply, attempts=first)
    assert [delivery.recipients for delivery in planned.deliveries] == [
        InThread("t1"),
        InThread("t2"),
    ]
    done = attempt(
        outcome=sent("t1"), action="reply", in_thread="t1", select_type=None, delivery="r"
    )
    planned = plan(reply, attempts=[*first, done])
    assert [delivery.recipients for delivery in planned.deliveries] == [InThread("t2")]
    assert [result.thread_id for result in planned.skipped] == ["t1"]


def test_a_reply_waits_for_threads_and_for_answers() -> None:
    nothing = plan(message(InThreads("first", only_answered=False)))
    assert [(each.status, each.error) for each in nothing.skipped] == [
        ("waiting", "first has no threads yet")
    ]
    first = [attempt("a", "b", outcome=sent("t1"), message="first")]
    reply = message(InThreads("first", only_answered=True))
    unasked = plan(reply, attempts=first)
    assert [each.error for each in unasked.skipped] == ["only Toloka can tell who answered first"]
    asked = build_plan([reply], history_of(*first), now=NOW, answered={})
    assert [each.error for each in asked.skipped] == ["nobody has answered first yet"]
    answered = build_plan(
        [reply],
        history_of(*first),
        now=NOW,
        answered={"t1": {"c1": frozenset("a"), "c2": frozenset("b")}},
    )
    assert [each.recipients for each in answered.deliveries] == [InThread("c1"), InThread("c2")]


def test_a_reply_to_no_message_is_a_fault() -> None:
    planned = plan(message(InThreads("gone", only_answered=False)))
    ((_, fault),) = objections(planned, lambda _: True)
    assert (fault.pointer, fault.what) == (("reply_to",), 'there is no message "gone" to reply to')


# --- what does not pass ---------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [sent(), NOBODY, None])
def test_another_select_type_within_one_revision_is_a_fault(outcome: Settled | None) -> None:
    planned = plan(message(Everyone()), attempts=[attempt("a", outcome=outcome)])
    ((_, fault),) = objections(planned)
    assert fault.pointer == ("recipients_select_type",)
    assert fault.what == "revision 1 of m went out as DIRECT, and this is ALL"
    assert fault.hint == "write `revision: 2` to send it anew"
    anew = plan(message(Everyone(), revision=2), attempts=[attempt("a", outcome=outcome)])
    assert objections(anew) == []


def test_a_refused_attempt_of_another_type_is_no_matter() -> None:
    assert objections(plan(message(Everyone()), attempts=[attempt("a", outcome=REJECTED)])) == []


def test_a_renamed_file_asks_for_its_old_id() -> None:
    attempts = [attempt("a", "b", outcome=sent(), message="old")]
    planned = plan(message(["b", "c"]), attempts=attempts)
    ((_, fault),) = objections(planned, lambda name: name == "old")
    assert fault.pointer == ("id",)
    assert fault.what == (
        'these words go to some of the same people as those of "old", whose file is gone'
    )
    assert fault.hint == (
        "if the file was renamed, write `id: old`, and `revision: 2` to send it again; "
        "if both are meant, write `lint: {same-words: the reason}`"
    )
    newer = plan(message(["b"]), attempts=[replace(attempts[0], revision=3)])
    ((_, fault),) = objections(newer, lambda _: True)
    assert "`id: old`, and `revision: 4` to send it again" in str(fault.hint)
    # Whatever became of the other file.
    ((_, fault),) = objections(planned, lambda _: False)
    assert fault.what == 'these words go to some of the same people as those of "old"'
    assert str(fault.hint).startswith("add these people there, ")


def test_a_renamed_file_with_other_words_is_warned_of() -> None:
    old = attempt("a", "b", outcome=sent(), message="old", digest="sha256:two")
    history = replace(history_of(old), topics={("old", 1): topic_mark({"EN": "hello "})})
    new = build_plan([message(["b", "c"])], history, now=NOW)
    ((_, fault),) = find_renamed(new, lambda name: name == "old")
    assert (fault.pointer, fault.hint) == (("id",), "if the file was renamed, write `id: old`")
    assert find_renamed(new, lambda _: False) == []
    others = build_plan([message(["c"])], history, now=NOW)
    assert find_renamed(others, lambda _: True) == []
    topic = build_plan([message(["b"], topic={"EN": "Else"})], history, now=NOW)
    assert find_renamed(topic, lambda _: True) == []


def test_a_copy_in_the_same_plan_names_the_other() -> None:
    twins = [message(["a", "b"]), message(["b"], id="copy"), message(["c"], id="other")]
    ((which, fault),) = objections(build_plan(twins, History(), now=NOW))
    assert (which.id, fault.pointer) == ("copy", ("id",))
    assert fault.what == 'these words go to some of the same people as those of "m"'
    # Whoever reviews it hears of it now, and not when its window opens.
    windowed = [replace(each, not_before=NOW + HOUR) for each in twins]
    assert objections(build_plan(windowed, History(), now=NOW)) == [(windowed[1], fault)]


def test_a_lower_revision_than_one_that_went_out_is_a_fault() -> None:
    attempts = [attempt("a", outcome=sent(), revision=3)]
    ((_, fault),) = objections(plan(message(["a", "b"], revision=2), attempts=attempts))
    assert fault.pointer == ("revision",)
    assert fault.what == "revision 3 of m went out, and this is revision 2"
    assert fault.hint == "write `revision: 3`, or `revision: 4` to send it anew"
    # Where nobody is left to write to, too, unless it is what went out.
    attempts.append(attempt("a", outcome=sent("t2"), revision=2, delivery="second"))
    again = [
        plan(message(["a"], revision=2, digest=each), attempts=attempts)
        for each in ("sha256:one", "sha256:two")
    ]
    assert [[fault.pointer for _, fault in objections(each)] for each in again] == [
        [],
        [("revision",)],
    ]


def test_no_renaming_is_suspected_where_nobody_would_get_it_twice() -> None:
    attempts = [attempt("a", outcome=sent(), message="old")]
    refused = [attempt("a", outcome=REJECTED, message="old")]
    for planned in (
        plan(message(["b"]), attempts=attempts),
        plan(message(["a"], digest="sha256:two"), attempts=attempts),
        plan(message(["a"]), attempts=refused),
    ):
        assert objections(planned, lambda name: name == "old") == []


def test_a_renamed_filter_asks_for_its_old_id() -> None:
    for recipients in (Everyone(), Filtered({"and": []})):
        old = attempt(select_type=recipients.select_type, outcome=sent(), message="old")
        planned = plan(message(recipients), attempts=[old])
        assert [fault.pointer for _, fault in objections(planned, lambda _: True)] == [("id",)]


def test_the_policy_forbids() -> None:
    planned = plan(
        message(Everyone(), id="x"), message(["a", "b", "c"]), message(["a"], id="y", digest="y")
    )
    faults = objections(planned, policy=Policy(allow_all=False, max_recipients=2))
    assert [(each.id, fault.what) for each, fault in faults] == [
        ("x", "the policy forbids messages to ALL"),
        ("m", "the policy allows 2 recipients a message, and this would reach 3"),
    ]


# --- whether it still holds ---


def test_a_plan_holds_until_something_is_recorded_answered_or_due() -> None:
    known = History(facts=3)
    later = message(["a"], not_before=NOW + HOUR, not_after=NOW + 2 * HOUR)
    planned = build_plan([later], known, now=NOW)
    assert planned.changes_at == NOW + HOUR
    assert planned.still_holds(3, {}, NOW)
    assert not planned.still_holds(3, None, NOW + HOUR)
    assert not planned.still_holds(4, None, NOW)
    reply = build_plan([message(InThreads("first", only_answered=True))], known, now=NOW)
    assert reply.still_holds(3, None, NOW + 9 * HOUR)
    assert not reply.still_holds(3, {}, NOW)


# --- whatever happened before ---------------------------------------------------------------------

IDS = st.lists(st.sampled_from([f"t{number}" for number in range(8)]), unique=True)
MANY = st.integers(0, 260).map(tolokers)
OUTCOMES = st.sampled_from([None, sent(), REJECTED, NotFound(), NOBODY])
HISTORIES = st.lists(
    st.tuples(
        IDS.filter(bool)
        | st.tuples(st.integers(0, 150), st.integers(1, 100)).map(
            lambda cut: tolokers(260)[cut[0] : cut[0] + cut[1]]
        ),
        OUTCOMES,
        st.sampled_from([1, 1, 2]),
        st.sampled_from(["m", "m", "other"]),
    ),
    max_size=6,
).map(
    lambda rows: [
        attempt(*ids, outcome=outcome, revision=revision, message=name, delivery=f"d{number}")
        for number, (ids, outcome, revision, name) in enumerate(rows)
    ]
)


@given(IDS | MANY, HISTORIES, st.booleans())
def test_each_toloker_is_in_one_delivery_at_most_and_never_one_who_was_reached(
    ids: list[str], attempts: list[Attempt], draft: bool
) -> None:
    planned = plan(message(ids, draft=draft), attempts=attempts)
    batches = due(planned)
    counts = Counter(toloker for batch in batches for toloker in batch)
    told = Counter(toloker for result in planned.skipped for toloker in result.recipients_ids or ())
    assert set(counts.values()) | set(told.values()) <= {1}
    # Everybody is accounted for, once: due, or settled with a reason.
    assert counts + told == Counter(ids)
    assert all(0 < len(batch) <= MAX_RECIPIENTS for batch in batches)
    mine = [each for each in attempts if (each.message, each.revision) == ("m", 1)]
    closed = {
        toloker
        for each in mine
        if each.was_sent or each.is_unknown or isinstance(each.outcome, NoRecipients)
        for toloker in each.recipients_ids
    }
    assert not closed & set(counts)
    assert set(counts) == (set() if draft else set(ids) - closed)
    # Planning again after all of it was sent leaves nothing.
    done = [
        attempt(*batch, outcome=sent(), delivery=f"later{n}") for n, batch in enumerate(batches)
    ]
    assert due(plan(message(ids, draft=draft), attempts=[*attempts, *done])) == []
