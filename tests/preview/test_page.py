from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import TOLOKER, Project, direct, tolokers

from preview.pages import HOSTILE, Node, as_seen, everyone, letters, parse
from runner.model import Everyone, InThread, Message
from runner.plan.plan import Plan, PlannedMessage
from runner.report.page import build_page
from runner.report.review import Surroundings, review_of
from runner.report.samples import Detail
from runner.wording import printable

PAGE = "message-preview.html"
NOW = datetime(2026, 11, 23, 1, 2, 3, tzinfo=timezone.utc)
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "nav", "main", "article"),
    *("section", "div", "h1", "h2", "h3", "h4", "p", "ul", "ol", "li", "dl", "dt", "dd"),
    *("details", "summary"),
    *("a", "bdi", "code", "small", "span", "time"),
    *("table", "caption", "tr", "th", "td", "svg", "rect"),
}
ATTRIBUTES = {
    *("lang", "dir", "class", "id", "href", "role", "aria-label", "aria-labelledby", "datetime"),
    *("charset", "name", "content", "http-equiv"),
    *("scope", "colspan", "viewBox".lower(), "preserveAspectRatio".lower(), "aria-hidden"),
    *("width", "height"),
}


def previewed(project: Project, *args: str) -> Node:
    """The page of a project's messages."""
    done = project.run("preview", *args)
    assert done.code == 0, done.err
    return parse((project.root / PAGE).read_text(encoding="utf-8"))


def article(project: Project, *args: str) -> Node:
    """The one message of a project."""
    (found,) = previewed(project, *args).all("article")
    return found


def built(message: Message) -> str:
    plan = Plan(messages=(PlannedMessage(messages=(message,)),))
    return shown(plan)


def shown(plan: Plan) -> str:
    about = Surroundings(target="here", manifest="m.jsonl")
    return build_page(review_of(plan, about, Detail()), at=NOW)


def message(topic: str, text: str, source: str = "messages/a.yaml") -> Message:
    return Message(
        id="a",
        revision=1,
        source=source,
        topic={"EN": topic},
        text={"EN": text},
        answerable=True,
        recipients=Everyone(),
        digest="",
    )


# What it shows at a glance.


def test_bars_show_who_would_get_what_by_message_and_language(project: Project) -> None:
    project.write("messages/few.yaml", direct("a", "b", topic="Few"))
    project.write("messages/many.yaml", direct(*tolokers(250), topic="Many"))
    project.write("messages/all.yaml", letters({"EN": ("A", "A"), "TR": ("B", "B")}))
    both = {"EN": ("E", "E"), "DE": ("D", "D")}
    project.write(
        "messages/both.yaml", letters(both, recipients_select_type="DIRECT", recipients_ids=["c"])
    )
    page = previewed(project)
    rows = [
        [cell.text.strip() for cell in row.all() if cell.tag in ("th", "td")]
        for row in page.all("tr")
    ]
    assert rows == [
        ["many", "", "250 Tolokers"],
        ["few", "", "2 Tolokers"],
        ["both", "", "1 Toloker"],
        ["all", "", "ALL"],
        ["EN", "", "ALL, 253 Tolokers"],
        ["DE", "", "1 Toloker"],
        ["TR", "", "ALL"],
    ]
    widths = [each.attributes["width"] for each in page.all("rect")]
    assert widths == ["100.0", "1.0", "1.0", "100.0", "1.0"]


def test_bars_of_one_length_are_none(project: Project) -> None:
    project.write("messages/a.yaml", direct("a", topic="A"))
    project.write("messages/b.yaml", direct("b", topic="B"))
    assert previewed(project).all("svg") == []


# What the command says and leaves.


def test_it_writes_one_page_and_says_where(project: Project) -> None:
    project.write("messages/a.yaml", direct(TOLOKER))
    project.write("messages/b.yaml", everyone("Hello!"))
    before = project.files()
    done = project.run("preview")
    assert (done.code, done.out) == (0, f"preview: {PAGE}, 2 messages\n")
    assert done.err.splitlines() == [
        "target: the local emulator on this machine; nothing leaves this machine",
        "manifest: results/local.jsonl",
    ]
    assert set(project.files()) - set(before) == {PAGE}


def test_quiet_is_the_last_line_only(project: Project) -> None:
    project.write("messages/a.yaml", direct(TOLOKER))
    assert project.run("preview", "-q") == (0, f"preview: {PAGE}, 1 message\n", "")


def test_the_page_goes_where_it_is_told_and_replaces_an_older_one(project: Project) -> None:
    project.write("messages/a.yaml", direct(TOLOKER))
    old = project.write("out/page.html", "old")
    done = project.run("preview", "messages/a.yaml", "--output", "out/page.html")
    assert done.out == "preview: out/page.html, 1 message\n"
    assert old.read_text(encoding="utf-8").startswith("<!doctype html>\n")
    assert [path.name for path in old.parent.iterdir()] == ["page.html"]


@pytest.mark.parametrize("output", ["messages", "taken/page.html"])
def test_a_page_that_cannot_be_written_is_2(project: Project, output: str) -> None:
    project.write("messages/a.yaml", direct(TOLOKER))
    project.write("taken", "a file")
    before = project.files()
    done = project.run("preview", "--output", output)
    assert (done.code, done.out) == (2, "")
    assert f"error: {output} cannot be written" in done.err
    assert project.files() == before


def test_a_message_is_never_overwritten(project: Project) -> None:
    project.write("messages/a.yaml", direct(TOLOKER))
    project.write("messages/b.yaml", direct("t2"))
    before = project.files()
    done = project.run("preview", "--output", "messages/a.yaml", "messages/b.yaml")
    assert done.code == 2
    assert "messages/a.yaml looks like a message: name another file" in done.err
    assert project.files() == before


def test_invalid_messages_are_3_and_leave_the_old_page(project: Project) -> None:
    project.write("messages/a.yaml", "topic: {EN: Hello}\n")
    page = project.write(PAGE, "old")
    done = project.run("preview")
    assert (done.code, done.out) == (3, "")
    assert "messages/a.yaml:1:1: error: " in done.err
    assert page.read_text() == "old"


def test_nothing_found_is_2(project: Project) -> None:
    assert project.run("preview").code == 2


def test_a_remote_target_is_named_and_needs_no_token(project: Project) -> None:
    project.write("messages/a.yaml", direct(TOLOKER))
    facts = previewed(project, "--target", "production", "--manifest", "sent.jsonl").facts()
    assert (facts["Target"], facts["Manifest"]) == ("https://toloka.dev", "sent.jsonl")


def test_templates_take_variables(project: Project) -> None:
    project.write("messages/a.yaml", direct(TOLOKER, text="Hello, {{ team }}!"))
    assert article(project, "--var", "team=<b>").texts("div", "text") == ["Hello, <b>!"]


# A page that needs nothing, and lets nothing in.


def test_hostile_texts_are_shown_as_written_and_add_nothing(project: Project) -> None:
    project.write("runner.yaml", "lint: {mojibake: off, bidi: off}\n")
    topics = [text.replace("\n", " ").replace("\r", " ") for text in HOSTILE]
    for number, (topic, text) in enumerate(zip(topics, HOSTILE, strict=True)):
        project.write(f"messages/m{number:02}.yaml", everyone(text, topic=topic))
    page = previewed(project)
    assert page.texts("div", "text") == [as_seen(text) for text in HOSTILE]
    assert page.texts("h3", "topic") == [as_seen(topic) for topic in topics]
    assert page.texts("bdi", "subject") == [as_seen(topic) for topic in topics]
    elements = page.all()
    assert {each.tag for each in elements} <= TAGS
    assert {name for each in elements for name in each.attributes} <= ATTRIBUTES
    ids = [each.attributes["id"] for each in elements if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    links = [each.attributes["href"] for each in page.all("a")]
    assert {link[:1] for link in links} == {"#"}
    assert {link[1:] for link in links} <= set(ids)


def test_the_policy_allows_the_style_sheet_by_its_hash_and_nothing_else(project: Project) -> None:
    project.write("messages/a.yaml", direct(TOLOKER))
    page = previewed(project)
    (style,) = page.texts("style")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    head = page.all("head")[0].all()
    assert head[0].attributes == {"charset": "utf-8"}
    assert head[1].attributes == {
        "http-equiv": "Content-Security-Policy",
        "content": f"default-src 'none'; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'",
    }
    assert not re.search(r"url\(|@import|<", style)


def test_what_moves_a_cursor_or_turns_text_around_is_shown_and_set_apart() -> None:
    page = parse(built(message("A\x1b[31mB", "a\u202eb\x00\x1b]8;;c\nd\u200de", "m\x1b.yaml")))
    assert page.texts("div", "text") == ["a\\u202eb\\x00\\x1b]8;;c\nd\u200de"]
    assert page.all("div", "text")[0].texts("bdi", "escape") == ["\\u202e", "\\x00\\x1b"]
    assert page.texts("h3", "topic") == ["A\\x1b[31mB"]
    assert page.texts("p", "origin") == ["revision 1, from m\\x1b.yaml"]


# The hostile texts above are the thorough part; a page takes long to read back.
@settings(max_examples=25)
@given(topic=st.text(min_size=1), text=st.text(min_size=1))
def test_any_text_comes_out_as_it_went_in(topic: str, text: str) -> None:
    page = parse(built(message(topic, text)).encode().decode())
    assert page.texts("h3", "topic") == [printable(topic)]
    assert page.texts("div", "text") == [as_seen(text)]
    assert {each.tag for each in page.all()} <= TAGS


# What the page tells of a message.


def test_a_message_is_named_with_its_source_and_told_as_the_plan_tells_it(project: Project) -> None:
    extra = "revision: 2\nanswerable: false\nfolders: [IMPORTANT]\n"
    project.write("messages/bonus/may.yaml", direct("t1", "t2", extra=extra))
    page = previewed(project)
    one = page.all("article")[0]
    assert one.texts("h2") == ["bonus/may"]
    assert one.texts("p", "origin") == ["revision 2, from messages/bonus/may.yaml"]
    assert one.texts("li", "status") == ["would send 1 thread to 2 Tolokers"]
    assert one.facts() == {
        "To": "2 Tolokers: t1, t2",
        "Languages": "EN",
        "Answerable": "no",
        "Folders": "IMPORTANT",
    }
    assert page.texts("title") == ["Preview of 1 message - message-runner"]
    assert page.texts("p", "summary") == ["Would send 1 thread. Nothing was sent."]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", page.facts()["As of"])


def test_the_contents_list_every_message_with_its_subject_and_state(project: Project) -> None:
    project.write("messages/a.yaml", direct("t1", topic="First"))
    project.write("messages/b.yaml", direct("t1", topic="Second", text="x", extra="draft: true\n"))
    page = previewed(project)
    entries = page.all("nav")[0].all("a")
    assert [each.text for each in entries] == ["a First would send 1 thread", "b Second draft"]
    targets = [each.attributes["id"] for each in page.all("article")]
    assert [each.attributes["href"] for each in entries] == [f"#{each}" for each in targets]


def test_languages_are_marked_and_may_run_from_right_to_left(project: Project) -> None:
    words = {
        "EN": ("Hello", "Thank you"),
        "AR": ("\u0645\u0631\u062d\u0628\u0627", "\u0634\u0643\u0631\u0627"),
    }
    project.write("messages/a.yaml", letters(words))
    page = previewed(project)
    assert page.all("html")[0].attributes["lang"] == "en"
    for class_ in ("topic", "text"):
        marks = [(x.attributes["lang"], x.attributes["dir"]) for x in page.all("", class_)]
        assert marks == [("en", "auto"), ("ar", "auto")]
    assert [x.attributes["aria-label"] for x in page.all("div", "letter")] == ["EN", "AR"]
    assert page.facts()["Languages"] == "EN, AR"


def test_a_few_recipients_are_listed_and_all_of_them_with_v(project: Project) -> None:
    people = tolokers(130)
    project.write("messages/a.yaml", direct(*people))
    assert article(project).facts()["To"] == f"130 Tolokers: {', '.join(people[:5])} and 125 more"
    assert article(project, "-v").facts()["To"] == f"130 Tolokers: {', '.join(people)}"


def test_a_filter_is_put_into_words(project: Project) -> None:
    project.write(
        "messages/a.yaml",
        "topic: {EN: Hello}\ntext: {EN: Hello}\nrecipients_select_type: FILTER\n"
        "recipients_filter: {and: [{category: skill, key: '224', operator: GTE, value: 80},"
        " {category: profile, key: country, operator: EQ, value: US}]}\n",
    )
    one = article(project)
    assert one.facts()["To"] == "every Toloker with skill 224 ≥ 80 and country = US"
    assert one.texts("li", "status") == ["would send 1 thread"]


def test_all_says_who_that_is(project: Project) -> None:
    project.write("messages/a.yaml", everyone("Hello"))
    assert article(project).facts()["To"].startswith("ALL: every Toloker who has ever tried")


def test_replies_have_no_topic_and_name_their_threads(project: Project) -> None:
    project.write("messages/a.yaml", direct("t1"))
    project.write("messages/b.yaml", "reply_to: a\nonly_answered: true\ntext: {EN: Thanks}\n")
    project.write("messages/c.yaml", "thread_id: '63c15866757a4a1adad1d632'\ntext: {EN: Thanks}\n")
    _, reply, waiting = previewed(project).all("article")
    assert waiting.facts() == {
        "To": "the threads of a, where a Toloker answered",
        "Languages": "EN",
    }
    assert waiting.texts("li", "status") == ["waiting: a has no threads yet"]
    assert reply.facts() == {"To": "thread 63c15866757a4a1adad1d632", "Languages": "EN"}
    assert reply.texts("li", "status") == ["would send 1 reply"]
    assert reply.texts("", "topic") == []


def test_a_window_is_shown_with_its_ends(project: Project) -> None:
    extra = "not_before: 2099-01-01T00:00:00+02:00\nnot_after: 2099-02-01T00:00:00Z\n"
    project.write("messages/a.yaml", direct("t1", extra=extra))
    one = article(project)
    facts = one.facts()
    assert (facts["Not before"], facts["Not after"]) == (
        "2098-12-31T22:00:00Z",
        "2099-02-01T00:00:00Z",
    )
    assert one.texts("li", "status") == [
        "would send 1 thread to 1 Toloker, not before 2098-12-31T22:00:00Z"
    ]


def test_every_state_is_told_in_the_words_of_the_plan(project: Project) -> None:
    project.write("messages/sent.yaml", direct("t1", "t2", text="one"))
    project.write("messages/edited.yaml", direct("t1", text="two"))
    assert project.run("send").code == 0
    project.write("messages/sent.yaml", direct("t1", "t2", "t3", text="one"))
    project.write("messages/edited.yaml", direct("t1", text="changed"))
    project.write("messages/draft.yaml", direct("t1", text="three", extra="draft: true\n"))
    project.write("messages/left.yaml", direct("t1", "t9", text="four"))
    project.write("runner.yaml", "suppress: stop.txt\n")
    project.write("stop.txt", "t9\n")
    page = previewed(project)
    said = {
        each.texts("h2")[0]: [status.children[0] for status in each.all("li", "status")]
        for each in page.all("article")
    }
    assert said == {
        "draft": ["a draft, not sent (1 Toloker): it is marked as a draft"],
        "edited": ["edited: 1 Toloker has the old text; `revision: 2` would send it again"],
        "left": [
            "would send 1 thread to 1 Toloker",
            "left out (1 Toloker): on the suppression list",
        ],
        "sent": ["would send 1 thread to 1 Toloker", "already sent (2 Tolokers)"],
    }
    plan = project.run("plan").out
    del said["draft"]
    assert all(line in plan for lines in said.values() for line in lines if isinstance(line, str))
    assert "nothing to do for 1 message: 1 kept as a draft" in plan
    assert page.texts("span", "only") == ["to t1", "to t3"]


def test_of_many_rows_the_first_the_longest_and_the_shortest_are_shown(project: Project) -> None:
    rows = ["t1,Ana", "t2,Bo", "t3,Maximiliana", "t4,Charles"]
    project.write("messages/rows.csv", "\n".join(["id,name", *rows]) + "\n")
    spec = {
        "topic": {"EN": "Hello, {{ row.name }}"},
        "text": {"EN": "You did it, {{ row.name }}!"},
        "recipients_select_type": "DIRECT",
        "recipients_ids": ["{{ row.id }}"],
        "for_each": "rows.csv",
    }
    project.write("messages/a.yaml", json.dumps(spec))
    one = article(project)
    assert one.texts("li", "status") == ["would send 4 threads to 4 Tolokers, one for each row"]
    assert one.texts("p", "rows") == ["3 of 4 rows shown: one message for each row"]
    assert one.texts("h3") == ["Row 2 first", "Row 3 shortest", "Row 4 longest"]
    assert one.texts("p", "to") == ["to t1", "to t2", "to t3"]
    assert one.texts("h4", "topic") == ["Hello, Ana", "Hello, Bo", "Hello, Maximiliana"]
    assert one.facts()["To"] == "4 Tolokers: t1, t2, t3, t4"


def test_rows_of_one_length_are_shown_once(project: Project) -> None:
    project.write("messages/rows.csv", "id\nt1\nt2\n")
    spec = (
        "topic: {EN: Hello}\ntext: {EN: Hello}\nrecipients_select_type: DIRECT\n"
        "recipients_ids: ['{{ row.id }}']\nfor_each: rows.csv\n"
    )
    project.write("messages/a.yaml", spec)
    assert article(project).texts("h3") == ["Row 2 first"]


def test_headings_go_down_one_level_at_a_time(project: Project) -> None:
    project.write("messages/a.yaml", letters({"EN": ("Hello", "x"), "ES": ("Hola", "y")}))
    project.write("messages/b.yaml", "thread_id: '63c15866757a4a1adad1d632'\ntext: {EN: Thanks}\n")
    levels = [int(x.tag[1]) for x in previewed(project).all() if re.fullmatch(r"h\d", x.tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_a_reply_is_listed_by_its_first_words_in_their_language() -> None:
    reply = Message(
        id="r",
        revision=1,
        source="r.yaml",
        topic={},
        text={"RU": "Это\nмы"},
        answerable=True,
        recipients=InThread("63c15866757a4a1adad1d632"),
        digest="",
    )
    (subject,) = parse(built(reply)).all("bdi", "subject")
    assert (subject.text, subject.attributes["lang"]) == ("Это мы", "ru")


def test_a_message_that_some_get_late_says_so() -> None:
    late = PlannedMessage(messages=(message("Hello", "x"),), late_since=NOW)
    plan = Plan(messages=(late,))
    page = parse(shown(plan))
    (said,) = page.texts("li", "late")
    assert said == "late: first sent on 2026-11-23, and these get it only now"


def test_the_picture_in_the_readme_is_small() -> None:
    picture = Path(__file__).with_name("preview.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert int.from_bytes(picture[16:20], "big") == 1000
    assert len(picture) < 150_000


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
def test_the_page_can_be_read_by_whoever_may_read_files_here(project: Project) -> None:
    project.write("messages/a.yaml", direct(TOLOKER))
    other = project.write("other.html", "")
    previewed(project)
    assert (project.root / PAGE).stat().st_mode == other.stat().st_mode
