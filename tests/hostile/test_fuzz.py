"""Whatever the bytes: a value or a complaint with an address, never an exception of Python's.

The longer profile: `MESSAGE_RUNNER_PROFILE=thorough pytest tests/hostile/test_fuzz.py`.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import TOKEN

from runner.config import load_config
from runner.errors import ListError, MessagesError, Problem, SurroundingsError
from runner.lookup.conversation import find_answers
from runner.lookup.look import digest_of_thread, is_composed, marks_of
from runner.manifest.file import read_history
from runner.manifest.lines import line_of, outcome_event
from runner.masking import Mask
from runner.model import Busy, NotConnected, Outcome, Rejected, Sent, Thread, Unknown
from runner.plan.plan import Plan
from runner.plan.planfile import Origin, plan_document, read_plan_file
from runner.render.messages import Renderer
from runner.render.rendered import Refused
from runner.render.sandbox import Refusal, Sandbox
from runner.render.templates import Source, Templates
from runner.spec.idlist import load_ids
from runner.spec.specs import load_specs
from runner.spec.table import load_rows
from runner.spec.yamlfile import parse_yaml, read_yaml
from runner.toloka.digest import MARK
from runner.toloka.listing import Answer, page_in
from runner.toloka.responses import classify, is_thread_id, thread_of
from runner.wording import printable

from .fuzzing import FUZZ, as_yaml, nearly, spec_bytes, yaml_text


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "messages" / "_partials").mkdir(parents=True)
    (tmp_path / "messages" / "rows.csv").write_text("id,name\na,Ann\nb,Bob\n")
    (tmp_path / "messages" / "_partials" / "sign.j2").write_text("Yours, {{ team }}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check_problems(problems: tuple[Problem, ...], raw: bytes) -> None:
    """Every problem has an address inside the file, and is one line of print."""
    assert problems
    lines = raw.count(b"\n") + raw.count(b"\r") + raw.count(b"\x85") + raw.count(b"\xe2\x80") + 2
    for problem in problems:
        assert 1 <= problem.where.line <= lines, problem
        assert 1 <= problem.where.column <= len(raw) + 2, problem
        assert problem.what
        assert printable(str(problem)) == str(problem)


@FUZZ
@given(raw=spec_bytes)
def test_any_bytes_are_messages_or_problems(folder: Path, raw: bytes) -> None:
    path = folder / "messages" / "m.yaml"
    path.write_bytes(raw)
    specs, problems = load_specs([path], folder / "messages")
    if not specs:
        check_problems(problems, raw)
        return
    with Renderer(folder / "messages", below={"team": "us", "x": 1}) as renderer:
        try:
            messages = renderer.render(specs[0])
        except MessagesError as error:
            check_problems(error.problems, raw)
        else:
            assert all(message.digest.startswith("sha256:") for message in messages)


@FUZZ
@given(text=yaml_text)
def test_any_yaml_gives_what_json_knows_and_the_same_again(folder: Path, text: str) -> None:
    try:
        data = parse_yaml(text, "x.yaml").data
    except MessagesError as error:
        check_problems(error.problems, text.encode("utf-8", "replace"))
        return
    # What was read can be written again, and is the same.
    (folder / "again.yaml").write_text(as_yaml(data))
    assert read_yaml(folder / "again.yaml", "again.yaml").data == data


@FUZZ
@given(
    raw=nearly(
        ["target: local\nvariables: {a: 1}\npolicy: {allow_all: false}\nlint: {html: off}\n"]
    )
)
def test_any_bytes_are_a_configuration_or_a_refusal(folder: Path, raw: bytes) -> None:
    (folder / "runner.yaml").write_bytes(raw)
    said = ""
    try:
        found = load_config(None, folder).messages_root
    except SurroundingsError as error:
        found = None
        said = str(error)
    assert found == folder / "messages" or "runner.yaml:" in said, said


@FUZZ
@given(
    raw=nearly(
        ['id,name\n"a ""b""",x\n', '[{"id": "a"}, {"id": 1.5}]', '{"id": null}\n{"id": []}\n']
    ),
    ending=st.sampled_from(["csv", "json", "jsonl"]),
)
def test_any_bytes_are_rows_or_problems(folder: Path, raw: bytes, ending: str) -> None:
    path = folder / "messages" / f"data.{ending}"
    path.write_bytes(raw)
    try:
        rows = list(load_rows(path))
    except MessagesError as error:
        check_problems(error.problems, raw)
    else:
        assert all(isinstance(row.values, dict) for row in rows)


@FUZZ
@given(raw=nearly(["a\nb\r\nc", "toloker_id\na\nb\n"]), ending=st.sampled_from(["csv", "txt"]))
def test_any_bytes_are_ids_or_problems(folder: Path, raw: bytes, ending: str) -> None:
    path = folder / "messages" / f"data.{ending}"
    path.write_bytes(raw)
    try:
        ids, _ = load_ids(path, "toloker_id")
    except MessagesError as error:
        check_problems(error.problems, raw)
    else:
        assert len(set(ids)) == len(ids)
        assert not any(set(toloker) & set(" \t\r\n") for toloker in ids)


# --- templates ------------------------------------------------------------------------------------

_WORDS = [
    "x", "team", "nothing", "row.id", "row['name']", "1", "2.5", "'it'", '"is"', "[1, 2]", "{'a': 1}",
    "loop.index", "ns.a", "x.__class__", "self", "range(3)", "none", "true", "-", "+", "~", "*", "**", "%",
    "/", "//", "==", "<", "in", "is defined", "not", "and", "or", "if", "else", "(", ")", "[", "]", ",",
    "|upper", "|int", "|join", "|length", "|default('d')", "|replace('a', 'bb')", "|center(20)", "|list", "|string", "|pprint", "|escape", "|unique", "range", "ns.keys()",
    "|map('upper')", "|tojson", "|sum", "|sort", "|random", "|attr('a')", "|format(1)", ".upper()",
    ".format(x)", ".a", "[0]",
]  # fmt: skip
_TAGS = [
    "{% if x %}", "{% else %}", "{% endif %}", "{% for i in [1, 2] %}", "{% endfor %}", "{% raw %}",
    "{% endraw %}", "{% set y = 1 %}", "{% include 'sign.j2' %}", "{% include x %}", "{% macro m(a) %}",
    "{% endmacro %}", "{{ m(1) }}", "{# a #}", "{%- if 1 -%}", "{{-", "-}}", "{{", "}}", "{%", "%}", "{#",
    "{", "}", "\n", "\r\n", "\\", "'",
]  # fmt: skip
_expressions = st.lists(st.sampled_from(_WORDS), max_size=6).map(lambda bits: " ".join(bits))
_pieces = st.one_of(
    st.text(max_size=6),
    st.sampled_from(_TAGS),
    _expressions.map(lambda inner: f"{{{{ {inner} }}}}"),
)
templates = st.lists(_pieces, max_size=8).map("".join)
VALUES = {"x": "it's", "team": "us", "row": {"id": "a", "name": "Ann"}, "ns": {"a": 1}}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Templates]:
    """One template process for all examples, as one run has it."""
    partials = tmp_path_factory.mktemp("messages") / "_partials"
    partials.mkdir()
    (partials / "sign.j2").write_text("Yours, {{ team }}")
    with Templates(partials, VALUES) as templates:
        yield templates


@FUZZ
@given(template=templates, kind=st.sampled_from(["text", "value", "list"]))
def test_any_template_is_data_or_problems_and_the_same_again(
    process: Templates, template: str, kind: Literal["text", "value", "list"]
) -> None:
    file = parse_yaml(as_yaml({"text": template}), "m.yaml")
    source = Source(file, ("text",), file.data["text"], kind)  # type: ignore[index]
    (first,), (second,) = (list(process.render([source], {}, [None])) for _ in range(2))
    result, again = first["text",], second["text",]
    if isinstance(result, Refused):
        assert isinstance(again, Refused)
        assert result.problems == again.problems
        assert not any(problem.rule == "limit" for problem in result.problems)
        assert all(printable(str(problem)) == str(problem) for problem in result.problems)
    else:
        assert result == again
        assert kind != "text" or isinstance(result, str)
        assert " at 0x" not in json.dumps(result)


@FUZZ
@given(template=templates)
def test_the_quick_way_renders_what_jinja_renders(template: str) -> None:
    sandbox = Sandbox(lambda _: ())
    quick = sandbox._quick(template, VALUES)
    if quick is None:
        return
    whole = sandbox._compiled(template).render(VALUES)
    assert quick == whole


@FUZZ
@given(text=st.text(max_size=200))
def test_text_without_markers_is_its_own_rendering(text: str) -> None:
    try:
        assert Sandbox(lambda _: ()).text(text, {}) == text.replace("\r\n", "\n").replace(
            "\r", "\n"
        )
    except Refusal:
        assert "{" in text


# --- the manifest and the plan file ---------------------------------------------------------------

_DELIVERY = "9f2c" * 8
_EVENTS: list[dict[str, object]] = [
    {"event": "manifest", "version": 1, "target": "https://toloka.dev"},
    {"event": "run", "at": "2026-11-22T21:00:00.000Z", "version": "0.1.0"},
    {
        "event": "intent", "delivery": _DELIVERY, "message": "m", "revision": 1, "source": "m.yaml",
        "action": "compose", "recipients_select_type": "DIRECT", "recipients_ids": ["a"],
        "digest": "sha256:" + "0" * 64, "at": "2026-11-22T21:00:00.000Z",
    },
    {
        "event": "sent", "delivery": _DELIVERY, "thread_id": "63c15866757a4a1adad1d632",
        "created": "2026-11-22T21:00:00.321Z", "at": "2026-11-22T21:00:00.402Z",
    },
    {"event": "rejected", "delivery": _DELIVERY, "status": 400, "code": "X", "detail": "no"},
    {"event": "not_found", "delivery": _DELIVERY, "at": "2026-11-22T21:00:00.402Z"},
    {"event": "content", "digest": "sha256:" + "0" * 64, "text": {"EN": "x"}, "answerable": True},
    {"event": "content", "rows": ["9f86d081884c7d65:n4bQgQ"], "topic": {}, "text": {"EN": "x"}},
]  # fmt: skip
_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def manifests(draw: st.DrawFn) -> bytes:
    """Lines of a manifest, some with a value that is something else, some in another order."""
    lines = []
    for event in [*_EVENTS[:3], *draw(st.lists(st.sampled_from(_EVENTS), max_size=5))]:
        if draw(st.integers(0, 5)) == 5:
            event = {**event, draw(st.sampled_from(sorted(event))): draw(_json)}
        lines.append(json.dumps(event).encode())
    whole = b"\n".join(lines) + b"\n"
    return draw(st.sampled_from([whole, whole[:-1], whole[: -draw(st.integers(2, 40))]]))


@FUZZ
@given(raw=st.one_of(manifests(), nearly([json.dumps(event) + "\n" for event in _EVENTS])))
def test_any_bytes_are_a_history_or_a_refusal_and_stay_as_they_are(
    folder: Path, raw: bytes
) -> None:
    path = folder / "toloka.dev.jsonl"
    path.write_bytes(raw)
    try:
        history = read_history(path, None)
    except SurroundingsError as error:
        history = None
        said = str(error)
        assert "toloka.dev.jsonl" in said and printable(said) == said, said  # noqa: PT018
    assert path.read_bytes() == raw
    if history is not None:
        assert all(isinstance(each, str) for each in history.thread_ids)
        for attempt in history.attempts:
            assert isinstance(attempt.revision, int)
            assert attempt.select_type in ("DIRECT", "FILTER", "ALL", None)
            assert all(isinstance(toloker, str) for toloker in attempt.recipients_ids)


PLAN = plan_document(
    Plan(messages=()),
    Origin(target="local", made_with="1.0"),
    manifest="results/local.jsonl",
    quota_notes=(),
)


@FUZZ
@given(data=_json, raw=nearly([json.dumps(PLAN)]))
def test_any_bytes_are_a_plan_or_a_refusal(folder: Path, data: object, raw: bytes) -> None:
    path = folder / "plan.json"
    for written in (raw, json.dumps({**PLAN, "messages": data}).encode()):
        path.write_bytes(written)
        said = ""
        try:
            target = read_plan_file(path).origin.target
        except SurroundingsError as error:
            target, said = None, str(error)
        assert isinstance(target, str) != said.startswith("--plan plan.json: "), said
        assert printable(said) == said


# --- Toloka's answers -----------------------------------------------------------------------------

_THREAD: dict[str, object] = {
    "id": "63c15866757a4a1adad1d632",
    "topic": {"EN": "Thank you!"},
    "interlocutors": [{"id": "us", "role": "REQUESTER", "myself": True}],
    "messages": [
        {"text": {"EN": "Why?"}, "from": {"id": "a"}, "created": "2026-11-22T21:05:00.000"},
        {"text": {"EN": "Hi"}, "from": {"id": "us"}, "created": "2026-11-22T21:00:00.321"},
    ],
    "compose_details": {"recipients_select_type": "DIRECT", "recipients_ids": ["a", "b"]},
    "answerable": True,
    "created": "2026-11-22T21:00:00.321",
    "folders": ["OUTBOX"],
}
_ERROR = {
    "code": "VALIDATION_ERROR",
    "message": "no",
    "payload": {"recipients_ids.1": {"code": "X", "message": "unknown"}, "interval": "DAY"},
}


def _changed(draw: st.DrawFn, node: object) -> object:
    """A value of JSON with something else in one of its places."""
    if isinstance(node, dict) and node and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(node)))
        return {**node, key: _changed(draw, node[key])}
    if isinstance(node, list) and node and draw(st.integers(0, 3)):
        return [_changed(draw, node[0]), *node[1:]]
    return draw(_json)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """What Toloka says, with up to three places changed; or any bytes."""
    node: object = draw(st.sampled_from([_THREAD, _ERROR]))
    for _ in range(draw(st.integers(0, 3))):
        node = _changed(draw, node)
    return draw(st.one_of(st.just(json.dumps(node).encode()), st.binary(max_size=80)))


_STATUSES = st.one_of(st.integers(100, 599), st.sampled_from([200, 201, 400, 409, 429, 500]))


@FUZZ
@given(
    status=_STATUSES,
    body=answers(),
    retry_after=st.one_of(st.text(max_size=12), st.integers().map(str)),
)
def test_any_answer_has_an_outcome_that_can_be_recorded(
    folder: Path, status: int, body: bytes, retry_after: str
) -> None:
    answer = classify(status, body, {"Retry-After": retry_after})
    # Only a thread with an id was sent, and nothing else that may have been is called refused.
    assert isinstance(answer, Sent) <= (200 <= status < 300)
    assert isinstance(answer, Unknown) or not 500 <= status < 600
    assert isinstance(answer, (Sent, Unknown)) or not 200 <= status < 300
    if isinstance(answer, Busy):
        assert answer.retry_after_s is None or 0 <= answer.retry_after_s < float("inf")
        return
    if isinstance(answer, (Unknown, NotConnected)):
        assert answer.detail.isprintable()
        return
    path = folder / "toloka.dev.jsonl"
    lines = [_EVENTS[0], _EVENTS[2]]
    outcome = outcome_event(_DELIVERY, answer, "answer")
    threads = [answer.thread] if isinstance(answer, Sent) else []
    # What a list shows and nothing of ours claims is digested and remembered, too.
    for thread in filter(is_composed, threads):
        assert len(digest_of_thread(thread)) == 7 + 64
        assert len(marks_of(thread)) % MARK == 0
    path.write_bytes(b"".join(map(line_of, [*lines, outcome])))
    history = read_history(path, "https://toloka.dev")
    (attempt,) = history.attempts
    assert type(attempt.outcome) is type(answer)
    assert [attempt.thread_id] == ([each.id for each in threads] or [None])  # type: ignore[list-item]
    for said in find_answers(history, threads):
        assert said.thread_id == attempt.thread_id


_PAGE: dict[str, object] = {
    "items": [_THREAD, {**_THREAD, "id": "63c15866757a4a1adad1d633", "parent_id": "63c1"}],
    "has_more": True,
}
_IN_PERCENTS = quote(TOKEN).replace("-", "%2d")
_FORMS = [
    *(TOKEN, TOKEN.upper(), _IN_PERCENTS, b64encode(TOKEN.encode()).decode()),
]
_leaks = st.builds(
    "{}{}{}".format, st.text(max_size=4), st.sampled_from(_FORMS), st.text(max_size=4)
)
_with_leaks = st.one_of(
    *(_leaks, _leaks, _json, st.lists(_leaks, max_size=3)),
    *(st.dictionaries(names, _leaks, max_size=3) for names in (st.text(max_size=8), _leaks)),
)


@st.composite
def leaking(draw: st.DrawFn, sources: list[object]) -> bytes:
    """What Toloka says, with the token in some places, in some form."""
    node = draw(st.sampled_from(sources))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.sampled_from(list(_places(node))))
        node = _with(node, place, draw(_with_leaks))
    return json.dumps(node).encode()


def _places(node: object) -> Iterator[tuple[str | int, ...]]:
    """The way to each value inside that holds no other."""
    inner: Iterable[tuple[str | int, object]] = ()
    if isinstance(node, dict):
        inner = node.items()
    elif isinstance(node, list):
        inner = enumerate(node)
    below = [(key, *place) for key, value in inner for place in _places(value)]
    yield from below or [()]


def _with(node: Any, place: tuple[str | int, ...], value: object) -> object:
    """A copy with another value in one place."""
    if not place:
        return value
    copy = node.copy()
    copy[place[0]] = _with(node[place[0]], place[1:], value)
    return copy


def check_no_token(said: Iterable[str | None]) -> None:
    for text in filter(None, said):
        assert not any(form.lower() in text.lower() for form in _FORMS), text


def kept_of(thread: Thread) -> Iterator[str | None]:
    """What is recorded and printed of a thread; our own texts are compared, and never printed."""
    yield from (thread.id, thread.created, thread.select_type, thread.parent_id, thread.account)
    yield from (*thread.recipients_ids, *thread.folders)
    for post in thread.posts:
        yield from (post.sender, post.created)
        if not post.is_ours:
            yield from (*post.text, *post.text.values())


def kept_of_answer(answer: Outcome) -> Iterator[str | None]:
    if isinstance(answer, Sent):
        yield from kept_of(answer.thread)
        return
    yield answer.detail
    if isinstance(answer, Rejected):
        yield answer.code
        yield from (*answer.fields, *answer.fields.values())


@FUZZ
@given(
    status=st.one_of(st.just(200), _STATUSES),
    content=st.one_of(
        *(leaking([_PAGE]), leaking([_PAGE, _ERROR]), answers()),
        nearly([json.dumps(_PAGE), '{"items": [{}, 1]}']),
    ),
)
def test_any_page_is_threads_or_a_refusal_in_one_line(status: int, content: bytes) -> None:
    try:
        page, said = page_in(Answer(status, content), Mask(TOKEN)), ""
    except (ListError, SurroundingsError) as error:
        page, said = None, str(error)
    assert printable(said) == said
    check_no_token([said])
    assert (page is None) == bool(said)
    if page is None:
        return
    assert status == 200
    assert isinstance(page.has_more, bool)
    for thread in (thread_of(item, Mask(TOKEN)) for item in page.items):
        if thread is not None:
            assert is_thread_id(thread.id)
            check_no_token(kept_of(thread))


@FUZZ
@given(status=_STATUSES, body=leaking([_THREAD, _ERROR]), retry_after=_leaks)
def test_no_answer_gets_the_token_into_what_is_kept(
    status: int, body: bytes, retry_after: str
) -> None:
    answer = classify(status, body, {"Retry-After": retry_after}, Mask(TOKEN))
    check_no_token(kept_of_answer(answer))
