"""House rules: what each finds, what it leaves alone, and what turns it off."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from support import Project, calls, direct, load_schema, reached

from runner.emulator import Emulator
from runner.render.lint import RULES

ERRORS = (
    "contact-details", "project-link", "unfinished", "placeholder", "template-marker",
    "conflict-marker", "mojibake", "bidi",
)  # fmt: skip
WARNINGS = ("html", "parity", "language", "answerable-question")

BAD: dict[str, str] = {
    "contact-details": direct("a", text="Write to help@example.com."),
    "project-link": direct("a", text="See https://toloka.dev/requester/project/1 now."),
    "html": direct("a", text="This is <b>important</b>."),
    "parity": (
        'topic: {EN: Hi, ES: Hola}\ntext: {EN: "You get 5 dollars.", ES: "Son 6 euros."}\n'
        "recipients_select_type: DIRECT\nrecipients_ids: [a]\n"
    ),
    "unfinished": (
        "topic: {EN: Hi, ES: Hola}\ntext: {EN: Well done., ES: Well  done.}\n"
        "recipients_select_type: DIRECT\nrecipients_ids: [a]\n"
    ),
    "placeholder": direct("a", text="Dear {name},", extra="variables: {name: Ann}\n"),
    "template-marker": direct("a", text="{{ said }}", extra="variables: {said: '{{ x }}'}\n"),
    "conflict-marker": direct("a", text="Hi\n<<<<<<< HEAD\nHello"),
    "mojibake": direct("a", text="CafÃ© is open."),
    "bidi": direct("a", text="Hello \u202eyou"),
    "language": direct("a").replace("EN:", "BR:"),
    "answerable-question": direct("a", text="Is it clear?", extra="answerable: false\n"),
}


def checked(project: Project, *args: str, code: int) -> dict[str, list[dict[str, Any]]]:
    """Validate everything once; gives the problems by the name of the message."""
    shown = project.run("validate", "--format", "json", *args)
    assert shown.code == code, shown.out + shown.err
    found: dict[str, list[dict[str, Any]]] = {}
    for problem in json.loads(shown.out)["problems"]:
        name = problem["path"].removeprefix("messages/").removesuffix(".yaml")
        found.setdefault(name, []).append(problem)
    return found


def rules(project: Project, texts: Mapping[str, str], *args: str, code: int) -> dict[str, set[str]]:
    """The rules that each of these message files breaks."""
    for name, text in texts.items():
        project.write(f"messages/{name}.yaml", text)
    found = checked(project, *args, code=code)
    return {name: {each["rule"] for each in found.get(name, ())} for name in texts}


def numbered(texts: list[str], extra: str = "") -> dict[str, str]:
    return {f"m{number}": direct("a", text=text, extra=extra) for number, text in enumerate(texts)}


def waived(name: str) -> str:
    return BAD[name] + f'lint: {{{name}: "agreed with the platform"}}\n'


# --- Severity, waivers, configuration -------------------------------------------------------------


def test_every_rule_is_known_to_both_schemas_and_has_a_breach_here() -> None:
    ids = {rule.id for rule in RULES}
    # Two are found where ids are read, and where plans are held against the manifest.
    for name in ("message", "config"):
        assert set(load_schema(name)["properties"]["lint"]["properties"]) == {
            *ids,
            "odd-id",
            "same-words",
        }, name
    assert set(BAD) == ids


def test_each_rule_finds_what_it_is_there_for(project: Project) -> None:
    for name, text in BAD.items():
        project.write(f"messages/{name}.yaml", text)
    found = checked(project, code=3)
    assert {name: [(each["rule"], each["severity"]) for each in found[name]] for name in BAD} == {
        **{name: [(name, "error")] for name in ERRORS},
        **{name: [(name, "warning")] for name in WARNINGS},
    }
    for name, (problem,) in found.items():
        assert f"to waive it, write `lint: {{{name}: the reason}}`" in problem["hint"]


def test_a_waiver_with_a_reason_silences_its_own_rule_only(project: Project) -> None:
    assert rules(project, {name: waived(name) for name in BAD}, "--strict", code=0) == {
        name: set() for name in BAD
    }
    other = BAD["contact-details"].replace("Write", "<b>Write</b>")
    other += 'lint: {html: "an old app shows it"}\n'
    assert rules(project, {"other": other}, code=3) == {"other": {"contact-details"}}


def test_a_waiver_needs_a_reason_and_a_rule_that_exists(project: Project) -> None:
    for name, waiver in (("a", 'html: ""'), ("b", 'html: "  "'), ("c", "htlm: why"), ("d", "html")):
        project.write(f"messages/{name}.yaml", BAD["html"] + f"lint: {{{waiver}}}\n")
    found = checked(project, code=3)
    said = {name: [each["message"] for each in problems] for name, problems in found.items()}
    assert said == {
        "a": ["`lint.html` is empty"],
        "b": ['`lint.html` cannot be "  "'],
        "c": ['unknown key "htlm" in `lint`'],
        "d": ["`lint.html` has no value"],
    }


def test_the_configuration_sets_the_severity_of_each_rule(project: Project) -> None:
    project.write("runner.yaml", "lint:\n" + "".join(f"  {name}: off\n" for name in BAD))
    assert rules(project, BAD, "--strict", code=0) == {name: set() for name in BAD}

    project.write("runner.yaml", "lint:\n" + "".join(f"  {name}: warning\n" for name in BAD))
    found = checked(project, code=0)
    assert {name: each["severity"] for name, (each,) in found.items()} == dict.fromkeys(
        BAD, "warning"
    )

    project.write("runner.yaml", "lint:\n" + "".join(f"  {name}: error\n" for name in BAD))
    found = checked(project, code=3)
    assert {name: each["severity"] for name, (each,) in found.items()} == dict.fromkeys(
        BAD, "error"
    )


@pytest.mark.parametrize("line", ["html: loud", "htlm: off", "html: false"])
def test_a_wrong_severity_is_2(line: str, project: Project) -> None:
    project.write("messages/a.yaml", direct("a"))
    project.write("runner.yaml", f"lint: {{{line}}}\n")
    shown = project.run("validate")
    assert shown.code == 2
    assert shown.err.startswith("runner.yaml:1:")
    assert "lint" in shown.err


def test_strict_makes_warnings_errors_in_every_command(project: Project) -> None:
    project.write("messages/a.yaml", BAD["html"])
    assert [project.run("validate", *more).code for more in ((), ("--strict",))] == [0, 3]
    for command in ("plan", "send"):
        strict = project.run(command, "--strict")
        assert strict.code == 3
        assert "messages/a.yaml:2:21: error: text.EN holds <b>" in strict.err
    assert not project.manifest().exists()
    loose = project.run("send")
    assert loose.code == 0
    assert "messages/a.yaml:2:21: warning: text.EN holds <b>" in loose.err
    assert "1 sent" in loose.out


# --- Where it is said -----------------------------------------------------------------------------


def test_a_breach_is_told_where_its_words_stand(project: Project) -> None:
    project.write(
        "messages/block.yaml",
        "topic: {EN: Hi}\ntext:\n  EN: |\n    Hello!\n\n    Write to help@example.com.\n"
        "recipients_select_type: DIRECT\nrecipients_ids: [a]\n",
    )
    project.write(
        "messages/folded.yaml",
        "topic: {EN: Hi}\ntext:\n  EN: >-\n    Hello!\n    Please write\n    to help@example.com.\n"
        "recipients_select_type: DIRECT\nrecipients_ids: [a]\n",
    )
    project.write("messages/quoted.yaml", direct("a", text="Write to help@example.com."))
    project.write("messages/topic.yaml", direct("a", topic="Ask help@example.com."))
    project.write(
        "messages/value.yaml",
        direct("a", text="Write to {{ who }}.", extra="variables: {who: a@example.com}\n"),
    )
    found = checked(project, code=3)
    assert {name: (each["line"], each["column"]) for name, (each,) in found.items()} == {
        "block": (6, 14),
        "folded": (6, 8),
        "quoted": (2, 22),
        "topic": (1, 18),
        # It is not written in the template, so that begins where the text does.
        "value": (2, 13),
    }


def test_of_rows_the_first_is_told_and_how_many_more(project: Project) -> None:
    names = ["Ann", "ben@example.com", "cem@example.com", "dan@example.com"]
    lines = [f"t{number},{name}" for number, name in enumerate(names)]
    project.write("messages/rows.csv", "\n".join(["id,name", *lines]) + "\n")
    text = direct("{{ row.id }}", text="Hello {{ row.name }}", extra="for_each: rows.csv\n")
    project.write("messages/a.yaml", text)
    found = checked(project, code=3)
    assert [each["message"] for each in found["a"]] == [
        "text.EN holds an e-mail address (row 3 and 2 more)"
    ]
    shown = project.run("validate")
    assert "example.com" not in shown.out + shown.err

    project.write("messages/rows.csv", "\n".join(["id,name", *lines[:2]]) + "\n")
    (problem,) = checked(project, code=3)["a"]
    assert problem["message"].endswith("(row 3)")


# --- What it stops --------------------------------------------------------------------------------


def test_a_breach_stops_the_run_only_while_its_message_would_send_something(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/old.yaml", direct("a", text="Write to help@example.com."))
    project.write("messages/new.yaml", direct("b"))
    shown = project.send(emulator)
    assert shown.code == 3
    assert "messages/old.yaml:2:22: error: text.EN holds an e-mail address" in shown.err
    assert calls(emulator, "/compose") == []

    project.write("runner.yaml", "lint: {contact-details: off}\n")
    assert project.send(emulator, "messages/old.yaml").code == 0
    (project.root / "runner.yaml").unlink()
    # It was sent under other rules; that does not stop the others.
    shown = project.send(emulator)
    assert (shown.code, shown.err.count("e-mail")) == (0, 0)
    assert reached(emulator) == ["a", "b"]
    assert project.run("validate").code == 3

    # A recipient more, and it would send something again.
    project.write("messages/old.yaml", direct("a", "c", text="Write to help@example.com."))
    assert project.send(emulator).code == 3
    assert reached(emulator) == ["a", "b"]


def test_drafts_are_checked_and_stop_nothing(project: Project) -> None:
    project.write("messages/a.yaml", BAD["contact-details"] + "draft: true\n")
    project.write("messages/b.yaml", direct("b"))
    assert project.run("validate").code == 3
    shown = project.run("send")
    assert shown.code == 0
    assert "1 sent" in shown.out


# --- Nothing too much -----------------------------------------------------------------------------

HARMLESS = [
    "You get 0.50 dollars for 120 photos.",
    "The price is $1,000.50 or 1 000 000,50 roubles.",
    "There are 1 000 000 000 photos in 12 345 678 folders.",
    "From 2026-11-22 to 2026-11-30, 18:00-20:00, UTC+03:00.",
    "From 22.11.2026 to 30.11.2026, or 11/22/2026.",
    "It starts at 2026-11-22T09:00:00+03:00.",
    "Pool 63c15866757a4a1adad1d632 is open.",
    "Task 00012345678901 and task 123456789012 are yours.",
    "Your id is 1ad097faba0eff85a04fe30bc04d53db.",
    "2 + 2 = 4, and 10 + 20 + 30 + 40 + 50 = 150.",
    "It costs +0.000000001 of a cent and +100 points, that is +50%.",
    "The book is ISBN 978-3-16-148410-0, on page 123-45.",
    "Update the app to 1.2.3.4.",
    "The @ sign is on the photo @ 300 dpi.",
    "The article is https://medium.example/@author/post-1 for you.",
    "Start here: https://toloka.yandex.com/tasks?projectId=12345",
    "Read https://toloka.ai/docs/guide/project/ and https://toloka.ai/blog/projects first.",
    "Read https://example.com/requester/project/1 first.",
    "See netflix.com/title and my-x.com/page.",
    "It is so if a < b and c > d, or x <- y, I <3 it.",
    "Write [brackets](like these) if you see them!",
    "Use C++ 11, or 5 * 3, or a_b_c, or #1.",
    "Ben & Jerry's costs 100 % more.",
    "Read the [FAQ], answer {yes/no}, and see the JSON {id: 1} of [RFC 2119].",
    "Ünïcödé, Привет, 你好, مرحبا\u200f, नमस्ते, ❤\ufe0f and \u2067עברית\u2069.",  # noqa: RUF001
    "Todo está listo; a XXL shirt; the heading\n=======\nfollows.",
    "R&D; AT&T; x &unknown; y, and https://example.com/?a=1&copy=2 too.",
]
QUIET = [
    "Please do not reply to this message.",
    "You cannot reply here, and no reply is expected.",
    "You don't need to write; we don't reply.",
    "\u041d\u0435 отвечайте на это.",
    "See https://example.com/?what=1 for the usual replica.",
    "Marked as a ? b : c in the task.",
]


def test_ordinary_sentences_break_no_rule(project: Project) -> None:
    texts = numbered(HARMLESS) | {
        f"q{number}": direct("a", text=text, extra="answerable: false\n")
        for number, text in enumerate(QUIET)
    }
    assert {name: found for name, found in rules(project, texts, code=0).items() if found} == {}


PARITY_GOOD = [
    ("You get 1,000.50 dollars.", "Son 1 000,50 dólares."),
    ("You get 1,000,000 points.", "Son 1\u202f000\u202f000 puntos."),
    ("There are 12 photos.", "هناك ١٢ صورة."),
    ("{{ n }} photo{{ 's' if n > 1 else '' }}", "{{ n }} foto{% if n != 1 %}s{% endif %} hay"),
    ("For {{ team | title }} again", "Para {{ team }} otra vez"),
    ("{% if team is defined %}Hi {{ team }}{% endif %}", "Hola {{ team }}"),
    ("See https://example.com/a.", "Mira https://example.com/a!"),
]
PARITY_IN = [
    ("EN", "On 1 February 2026 at 2:30 pm", "ZH", "2026年2月1日 14:30"),
    ("EN", "On 2026-02-01, for $1,234.50", "DE", "Am 1. Februar 2026, für 1.234,50 $"),
    ("EN", "On 2026-02-01", "DE", "Am 01.02.2026"),
    ("EN", "85.5% of 12,345 photos", "TR", "12.345 fotoğrafın %85,5'i"),  # noqa: RUF001
    ("EN", "At 2:30 pm, 1 h 30 min", "FR", "\xc0 14h30, 1 heure 30"),
    ("EN", "At 2:30 pm", "JA", "14時30分"),
    ("EN", "On 1 February 2026", "JA", "2026/2/1"),
    ("EN", "At 14:30, 10.50 each", "ID", "Pukul 14.30, masing-masing 10,5"),
    ("EN", "On 1 February 2026", "RU", "1 февраля 2026 \u0433."),
    ("EN", "Until March 5, at 2 pm", "RU", "До 5 марта, \u0432 14:00"),
    ("EN", "Until 5 March", "ES", "Hasta el 5 de marzo"),
    ("EN", "Until 5 March", "AR", "حتى 5 مارس"),
    ("EN", "You may 5 times", "DE", "5 Mal"),
    ("DE", "Am 5. März um 14 Uhr", "EN", "On 5 March at 14:00"),
]
PARITY_NOT_IN = [
    ("EN", "On 2026-02-01", "ZH", "2026年3月1日"),
    ("EN", "On 1 February 2026", "ZH", "2026年2月2日"),
    ("EN", "You get 1.5 dollars", "DE", "Es gibt 15 Dollar"),
    ("EN", "At 14:30", "RU", "\u0412 14:35"),
    ("EN", "At 14:30", "FR", "\xc0 14h35"),
    ("EN", "Until 5 March", "RU", "До 5 мая"),
    ("EN", "On 2026-02-01", "TR", "1 Mart 2026"),
    ("EN", "At 2 pm", "DE", "Um 15 Uhr"),
]
PARITY_BAD = [
    ("You get 5 dollars.", "Son 50 dólares."),
    ("Dear {{ team }}", "Hola {{ people }}"),
    ("For {{ n }} photos", "Por fotos"),
    ("See https://example.com/a", "Mira https://example.com/b"),
    ("See https://example.com/a", "Mira"),
]


def in_two_languages(pairs: list[tuple[str, str]], prefix: str) -> dict[str, str]:
    return {
        f"{prefix}{number}": (
            "topic: {EN: Hi, ES: Hola}\n"
            f"text: {json.dumps({'EN': one, 'ES': other})}\n"
            "recipients_select_type: DIRECT\nrecipients_ids: [a]\n"
            "variables: {n: 3, team: cats, people: cats}\n"
        )
        for number, (one, other) in enumerate(pairs)
    }


def test_languages_are_compared_by_what_they_say(project: Project) -> None:
    good, bad = in_two_languages(PARITY_GOOD, "good"), in_two_languages(PARITY_BAD, "bad")
    assert rules(project, good | bad, code=0) == {
        **{name: set() for name in good},
        **{name: {"parity"} for name in bad},
    }


def test_numbers_and_dates_are_compared_by_their_values(project: Project) -> None:
    texts = {
        f"{'good' if pair in PARITY_IN else 'bad'}{number}": (
            f"topic: {{{pair[0]}: Hi, {pair[2]}: '-'}}\n"
            f"text: {json.dumps({pair[0]: pair[1], pair[2]: pair[3]})}\n"
            "recipients_select_type: ALL\n"
        )
        for number, pair in enumerate([*PARITY_IN, *PARITY_NOT_IN])
    }
    assert rules(project, texts, code=0) == {
        name: {"parity"} if name.startswith("bad") else set() for name in texts
    }


# --- Nothing too little ---------------------------------------------------------------------------

CONTACTS = [
    "Write to ivan.petrov+tag@mail.example.co.uk!",
    "Пишите на иван@пример.рф",
    "Call +1 415 555 2671 today.",
    "Tel. +7 (495) 123-45-67",
    "8 (800) 555-35-35",
    "(415) 555-2671",
    "415-555-2671",
    "tel:+442079460958",
    "Phone 00442079460958",
    "t.me/labellers",
    "Join https://t.me/labellers",
    "Telegram: @labellers_chat",
    "wa.me/4479",
    "https://chat.whatsapp.com/abc",
    "https://discord.com/invite/abc",
    "discord.gg/abc",
    "https://www.facebook.com/groups/x",
    "https://x.com/labellers",
]
LINKS = [
    "https://toloka.dev/requester/project/12",
    "https://platform.toloka.ai/requester/project/1",
    "https://toloka.yandex.com/requester/project/1/pool/2",
    "https://toloka.yandex.com.tr/requester",
    "https://sandbox.toloka.yandex.com/pool/1",
    "https://TOLOKA.dev/projects/1",
]
HIDDEN_CONTACTS = [
    "Write to help@exam\u00adple.com.",
    "Write to help\uff20example.com.",
    "Call \uff0b1\u00a0415 555 2671 today.",
]
UNFINISHED = ["TODO: the rest", "Hi FIXME", "XXX dollars", "Lorem ipsum dolor"]
PLACEHOLDERS = ["Dear ${name}", "Dear {name}!", "Dear [NAME]", "Dear [YOUR NAME]"]
CONFLICTS = ["Hi\n<<<<<<< HEAD\nx", "x\n>>>>>>> branch", "||||||| base\nx"]
GARBLED = ["Itâ€™s done", "ÐŸÑ€Ð¸Ð²ÐµÑ‚", "РџСЂРёРІРµС‚", "caf\ufffd", "Q&amp;A", "caf&eacute;"]  # noqa: RUF001
TURNED = ["\u202eHello", "\u202dHello", "\u2067Hello", "Hello\u2069", "a\u2066b\u202cc"]
MARKUP = ["<br/>", "<a href='x'>here</a>", "<img\nsrc=x>", "![cat](cat.png)", "<!-- hidden -->"]
QUESTIONS = [
    "Clear?",
    "Really?!",
    "(why?)",
    "请回答\uff1f谢谢",
    "هل هذا واضح؟",
    "Please reply.",
    "Let us know.",
]


def test_each_form_of_a_breach_is_found(project: Project) -> None:
    kinds = (
        (CONTACTS, "contact-details"), (HIDDEN_CONTACTS, "contact-details"),
        (LINKS, "project-link"), (MARKUP, "html"), (UNFINISHED, "unfinished"),
        (PLACEHOLDERS, "placeholder"), (CONFLICTS, "conflict-marker"), (GARBLED, "mojibake"),
        (TURNED, "bidi"),
    )  # fmt: skip
    texts = numbered([text for some, _ in kinds for text in some]) | {
        f"q{number}": direct("a", text=text, extra="answerable: false\n")
        for number, text in enumerate(QUESTIONS)
    }
    wanted = [
        *(rule for some, rule in kinds for _ in some),
        *(["answerable-question"] * len(QUESTIONS)),
    ]
    found = rules(project, texts, code=3)
    assert found == {name: {rule} for name, rule in zip(texts, wanted, strict=True)}
    entity = {"a": direct("a", text="Write to help&#64;example.com.")}
    assert rules(project, entity, code=3) == {"a": {"contact-details", "mojibake"}}


def test_a_placeholder_is_an_error_where_the_word_is_one_of_the_message(project: Project) -> None:
    project.write("messages/a.yaml", direct("a", text="Dear {name}"))
    project.write(
        "messages/b.yaml", direct("b", text="Dear {Name}", extra="variables: {name: x}\n")
    )
    project.write("messages/c.yaml", direct("c", text="Dear {whoever}"))
    found = checked(project, code=3)
    assert {name: each[0]["severity"] for name, each in found.items()} == {
        "a": "warning",
        "b": "error",
    }


def test_what_the_template_writes_itself_is_not_meant(project: Project) -> None:
    own = ["{% raw %}{{ x }}{% endraw %}{{ team }}", "{{ '{{' }} {{ team }}", "{{ '{%' ~ team }}"]
    texts = {
        f"m{number}": direct("a", text=text, extra="variables: {team: cats}\n")
        for number, text in enumerate(own)
    }
    texts["through"] = direct("a", text="{{ x|upper }}", extra="variables: {x: 'a {% b'}\n")
    assert rules(project, texts, code=3) == {
        **{name: set() for name in texts},
        "through": {"template-marker"},
    }
    (problem,) = checked(project, code=3)["through"]
    assert problem["message"] == "text.EN holds {{ or {%, which came with the value of x"


def test_a_reply_may_ask_whatever_it_is_answering(project: Project) -> None:
    project.write("messages/b.yaml", direct("b"))
    reply = 'reply_to: b\ntext: {EN: "Is it clear now?"}\n'
    assert rules(project, {"a": reply}, "--strict", code=0) == {"a": set()}


# --- Time -----------------------------------------------------------------------------------------

HOSTILE = [
    "a", "1", "+1 ", "+(1)", "a@a.", "@a@", "<a <", "![a](", "a?", "http://", "x.com/", "no reply ",
    "'", "\u0661\u00a0", "{{",
]  # fmt: skip


@pytest.mark.dear
def test_a_hostile_text_takes_a_bounded_time(project: Project) -> None:
    # The rules read what was rendered, and there a short file can be a long text.
    for number, piece in enumerate(HOSTILE):
        template = json.dumps(f"x{{{{ ([piece] * {200_000 // len(piece)})|join }}}}")
        project.write(
            f"messages/m{number}.yaml",
            f"topic: {{EN: Hi, ES: Hola}}\ntext: {{EN: {template}, ES: Si}}\n"
            "recipients_select_type: DIRECT\nrecipients_ids: [a]\nanswerable: false\n"
            f"variables: {{piece: {json.dumps(piece)}}}\n",
        )
    for number, piece in enumerate(["'", "{", "| ", "is ", "{{ a | b ", "\\"]):
        comment = "{#" + piece * (200_000 // len(piece)) + "#}"
        project.write(
            f"messages/t{number}.yaml",
            f"topic: {{EN: Hi, ES: Hola}}\ntext: {json.dumps({'EN': comment + 'x', 'ES': 'y'})}\n"
            "recipients_select_type: DIRECT\nrecipients_ids: [a]\n",
        )
    # `run` gives up after a minute: an expression that goes back and forth would take hours.
    shown = project.run("validate", "--format", "json")
    assert shown.code in (0, 3), shown.err
    document = json.loads(shown.out)
    assert len(document["files"]) == len(HOSTILE) + 6
    assert {each["rule"] for each in document["problems"]} >= {
        "contact-details",
        "parity",
    }
    assert max(len(each["message"]) for each in document["problems"]) < 200
