"""A plan as one HTML page that needs nothing else: every message as a Toloker would see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone

from runner.model import Direct, Everyone, Filtered, InThread, InThreads, Message
from runner.plan.plan import Plan, PlannedMessage, result_of
from runner.report.harmless import html_lines
from runner.report.page_markup import Html, element
from runner.report.page_style import POLICY, STYLE
from runner.report.text import (
    SHOWN,
    audience,
    describe_filter,
    plural,
    sample,
    settled_lines,
    summary_line,
)

_HEAD: tuple[Mapping[str, str], ...] = (
    {"name": "viewport", "content": "width=device-width, initial-scale=1"},
    {"name": "color-scheme", "content": "light dark"},
    {"name": "referrer", "content": "no-referrer"},
    {"name": "robots", "content": "noindex"},
    # A telephone number in a message is text: a browser must not make a link of it.
    {"name": "format-detection", "content": "telephone=no, address=no, email=no, date=no"},
)


def build_page(plan: Plan, *, target: str, manifest: str, at: datetime, verbose: bool) -> str:
    """Build the page. `at` is when the plan was made; `verbose` lists every recipient."""
    title = f"Preview of {plural(len(plan.messages), 'message')}"
    numbered = list(enumerate(plan.messages, 1))
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        *(element("meta", **each) for each in _HEAD),
        element("title", f"{title} - message-runner"),
        element("style", Html(STYLE)),
    )
    body = element(
        "body",
        element("a", "Skip to the messages", href="#messages", class_="skip"),
        element(
            "header",
            element("h1", title),
            element("p", f"{_summary(plan)}. Nothing was sent.", class_="summary"),
            _facts(("Target", target), ("Manifest", manifest), ("As of", _time(at))),
            class_="page",
        ),
        element("nav", element("ol", *(_entry(*each) for each in numbered)), aria_label="Messages"),
        element("main", *(_article(*each, verbose) for each in numbered), id="messages"),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _summary(plan: Plan) -> str:
    planned = (result_of(each, "planned") for each in plan.deliveries)
    return summary_line((*plan.skipped, *planned), dry_run=True)


def _time(moment: datetime) -> Html:
    written = f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    return element("time", written, datetime=written)


def _facts(*facts: tuple[str, str]) -> Html:
    pairs = [Html(element("dt", name) + element("dd", fact)) for name, fact in facts]
    return element("dl", *pairs, class_="facts")


def _entry(number: int, planned: PlannedMessage) -> Html:
    """One line of the contents, as a mail client lists a letter."""
    message = planned.message
    language = "EN" if "EN" in message.text else next(iter(message.text))
    subject = message.headline.replace("\n", " ")
    chips = [
        _status(status, _count(planned) if status == "planned" else status.replace("_", " "))
        for status, _ in _statuses(planned)
    ]
    link = element(
        "a",
        element("bdi", message.id, class_="id"),
        " ",
        element("bdi", subject, class_="subject", lang=language.lower()),
        " ",
        element("span", Html(" ".join(chips)), class_="chips"),
        href=f"#message-{number}",
    )
    return element("li", link)


def _article(number: int, planned: PlannedMessage, verbose: bool) -> Html:
    message, name = planned.message, f"name-{number}"
    revision = f"revision {message.revision}, from "
    return element(
        "article",
        element("h2", element("bdi", message.id), id=name),
        element("p", revision, element("bdi", message.source), class_="origin"),
        element("ul", *_status_items(planned, verbose), class_="statuses"),
        _facts(*_find_facts(planned, verbose)),
        *_contents(planned, verbose),
        id=f"message-{number}",
        aria_labelledby=name,
    )


def _statuses(planned: PlannedMessage) -> Iterator[tuple[str, str]]:
    """What the plan says of a message, in the words of the plan's text."""
    if planned.deliveries:
        is_direct = isinstance(planned.message.recipients, Direct)
        yield "planned", f"would send {audience(planned)}" if is_direct else _count(planned)
    yield from zip(
        dict.fromkeys(result.status for result in planned.skipped),
        settled_lines(planned),
        strict=True,
    )
    if planned.late_since is not None:
        since = f"{planned.late_since:%Y-%m-%d}"
        yield "late", f"late: first sent on {since}, and these get it only now"


def _count(planned: PlannedMessage) -> str:
    count = len(planned.deliveries)
    if planned.message.action == "compose":
        return f"would send {plural(count, 'thread')}"
    return "would send 1 reply" if count == 1 else f"would send {count:,} replies"


def _status(status: str, *said: str, tag: str = "span") -> Html:
    return element(tag, *said, class_=f"status {status}")


def _status_items(planned: PlannedMessage, verbose: bool) -> Iterator[Html]:
    """The statuses; where only some of the recipients are still to be reached, who they are."""
    everybody = len(_people(planned.messages))
    due = [toloker for each in planned.deliveries for toloker in each.people]
    for status, said in _statuses(planned):
        only = Html()
        if status == "planned" and 0 < len(due) < everybody:
            only = element("span", "to ", _listed(due, verbose), class_="only")
        yield _status(status, said, only, tag="li")


def _find_facts(planned: PlannedMessage, verbose: bool) -> Iterator[tuple[str, str]]:
    message = planned.message
    yield "To", _addressees(planned, verbose)
    yield "Languages", ", ".join(message.text)
    if message.action == "compose":
        yield "Answerable", "yes" if message.answerable else "no"
    if message.folders:
        yield "Folders", ", ".join(message.folders)
    if message.not_before is not None:
        yield "Not before", _time(message.not_before)
    if message.not_after is not None:
        yield "Not after", _time(message.not_after)


def _addressees(planned: PlannedMessage, verbose: bool) -> str:
    recipients = planned.message.recipients
    match recipients:
        case Direct():
            people = _people(planned.messages)
            said = f"{plural(len(people), 'Toloker')}: "
            return element("span", said, _listed(people, verbose))
        case Filtered():
            return element("bdi", f"every Toloker with {describe_filter(recipients.tree)}")
        case Everyone():
            return "ALL: every Toloker who has ever tried one of your tasks"
        case InThread():
            return element("span", "thread ", _id(recipients.thread_id))
        case InThreads():
            where = ", where a Toloker answered" if recipients.only_answered else ""
            return element("span", "the threads of ", _id(recipients.message), where)


def _people(messages: Sequence[Message]) -> list[str]:
    """Every Toloker whom these messages name, once."""
    named = (each.recipients for each in messages)
    return list(dict.fromkeys(id for some in named if isinstance(some, Direct) for id in some.ids))


def _listed(ids: Sequence[str], verbose: bool) -> Html:
    few = ids if verbose or len(ids) <= SHOWN + 1 else ids[:SHOWN]
    more = f" and {len(ids) - len(few):,} more" if len(few) < len(ids) else ""
    return Html(", ".join(map(_id, few)) + more)


def _id(text: str) -> Html:
    return element("bdi", element("code", text))


def _contents(planned: PlannedMessage, verbose: bool) -> Iterator[Html]:
    """The message; of many rows the first, the longest and the shortest, named as such."""
    shown = sample(planned)
    if planned.message.row is None:
        yield _letters(shown[0], "h3")
        return
    rows = plural(len(planned.messages), "row")
    yield element("p", f"{len(shown)} of {rows} shown: one message for each row", class_="rows")
    longest, shortest = max(shown, key=_length), min(shown, key=_length)
    for each in shown:
        kinds = [("first", shown[0])]
        if longest is not shortest:
            kinds += [("longest", longest), ("shortest", shortest)]
        kind = ", ".join(name for name, which in kinds if which is each)
        yield element(
            "section",
            element("h3", f"Row {each.row} ", element("small", kind)),
            element("p", "to ", _listed(_people([each]), verbose), class_="to"),
            _letters(each, "h4"),
            class_="row",
        )


def _length(message: Message) -> int:
    return sum(map(len, message.text.values()))


def _letters(message: Message, heading: str) -> Html:
    letters = [_letter(message, language, heading) for language in message.text]
    return element("div", *letters, class_="letters")


def _letter(message: Message, language: str, heading: str) -> Html:
    """What a Toloker with this language sees: plain text, its line breaks kept."""
    own = {"lang": language.lower(), "dir": "auto"}
    topic = message.topic.get(language)
    text = Html(html_lines(message.text[language].rstrip("\n")))
    return element(
        "div",
        element("p", language, class_="language"),
        element(heading, topic, class_="topic", **own) if topic is not None else Html(),
        element("div", text, class_="text", **own),
        class_="letter",
        role="group",
        aria_label=language,
    )
