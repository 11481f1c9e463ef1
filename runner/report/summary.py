"""A plan as Markdown, for a pull request's job summary: what changes first, never too long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.errors import Problem
from runner.model import Message
from runner.report.entries import Entry
from runner.report.harmless import fenced, markdown
from runner.report.review import Review
from runner.report.samples import id_words
from runner.wording import plural

MAX_BYTES = 1024 * 1024 - 4096
"""GitHub takes 1 MiB of summary from one step, and shows nothing of a longer one."""

_ELSEWHERE = "run `message-runner plan`, or look at the preview."
_NO_ROOM = f"The plan of the messages does not fit here: {_ELSEWHERE}\n\n"
_RESERVE = 500
"""Bytes for what is said of what does not fit."""
_MAX_TEXT = 20_000
_OPEN = 5
"""So many messages are shown at once; of more, each is folded."""
_PROBLEMS = 100


def summary_markdown(review: Review, *, taken: int, digest: str | None = None) -> str:
    """Write the plan: rules, changes, warnings, and in a line what stands as it is.

    `taken` bytes of the page are there already. What does not fit is said, and how much it is.
    `digest` is that of the plan file, where one is written.
    """
    about = review.about
    head = [
        *("## Messages to Tolokers", ""),
        f"**{markdown(review.headline)}.** Target: {markdown(about.target)}.",
        *(["", f"The plan is `{digest}`."] if digest else []),
        *("", *_noted([*filter(None, [about.stopped]), *about.quota_notes])),
    ]
    if about.rules:
        head += [f"**{markdown(about.rules_title)}:**", ""]
        head += [*(f"- {markdown(rule)}" for rule in _some(about.rules, "rules")), ""]
    tail = list(_noted(_some([*map(str, about.warnings), *review.notes], "warnings")))
    tail += [f"{markdown(review.standing)}.", ""] if review.standing else []
    return _fitted("\n".join([*head, ""]), review.shown, "\n".join([*tail, ""]), MAX_BYTES - taken)


def failure_markdown(problems: Sequence[Problem], *, taken: int) -> str:
    """Write why there is no plan."""
    head = "## Messages to Tolokers\n\nThere is no plan: the messages have problems.\n\n"
    room = MAX_BYTES - taken - _size(head)
    if room < _RESERVE:
        return ""
    said = ""
    for number, problem in enumerate(problems):
        line = f"- {markdown(str(problem))}\n"
        room -= _size(line)
        if room < 0 or number == _PROBLEMS:
            said += f"- and {len(problems) - number:,} more\n"
            break
        said += line
    return f"{head}{said}\n"


def _some(lines: Sequence[str], what: str) -> list[str]:
    more = len(lines) - _PROBLEMS
    return [*lines[:_PROBLEMS], *([f"and {more:,} more {what}"] if more > 0 else [])]


def _noted(notes: Sequence[str]) -> Iterator[str]:
    for note in notes:
        yield f"> ⚠️ {markdown(note)}"
    if notes:
        yield ""


def _fitted(head: str, entries: Sequence[Entry], tail: str, room: int) -> str:
    """Put whole messages in as long as they fit, then one line each, then how many are left."""
    if room < _size(head) + _size(tail) + _RESERVE:
        return _NO_ROOM if room > _size(_NO_ROOM) else ""
    room -= _size(head) + _size(tail) + _RESERVE
    lines = [_line(entry) for entry in entries]
    ahead, body, whole, count = sum(map(_size, lines)), "", 0, len(entries)
    for number, entry in enumerate(entries):
        ahead -= _size(lines[number])
        part = _details(entry, is_open=count <= _OPEN) if whole == number else ""
        if part and _size(part) + ahead <= room:
            whole += 1
        else:
            part = lines[number]
        if _size(part) > room:
            body += f"\n{count - number:,} more messages do not fit here.\n"
            break
        body += part
        room -= _size(part)
    if whole < count:
        texts = plural(count - whole, "message")
        body += f"\nThe texts of {texts} do not fit here: {_ELSEWHERE}\n\n"
    return head + body + tail


def _size(text: str) -> int:
    return len(text.encode())


def _line(entry: Entry) -> str:
    return f"- {markdown(f'{entry.name}: {entry.brief}')}\n"


def _details(entry: Entry, *, is_open: bool) -> str:
    message = entry.message
    title = f"<b>{markdown(entry.name)}</b> — {markdown(message.headline)}: {markdown(entry.brief)}"
    lines = [
        f"<details{' open' if is_open else ''}><summary>{title}</summary>",
        "",
        markdown(f"{message.source}; {entry.facts}"),
        "",
        *(f"- {markdown(each.words)}" for each in entry.states),
        *([f"- {markdown(f'recipients: {id_words(entry.whom)}')}"] if entry.whom else []),
        *(f"- {markdown(note)}" for note in entry.notes),
    ]
    if entry.difference:
        lines += ["", *fenced("\n".join(entry.difference), "diff")]
    if entry.is_personal and entry.shows_text:
        lines += ["", f"{len(entry.samples):,} of {plural(entry.rows, 'row')}:"]
    for sample in entry.samples if entry.shows_text else ():
        kind = f", {sample.kind}" if sample.kind else ""
        row = f" (row {sample.message.row}{kind})" if entry.is_personal else ""
        lines += ["", *_content(sample.message, row)]
    return "\n".join([*lines, "", "</details>", "", ""])


def _content(message: Message, row: str) -> Iterator[str]:
    for language, text in message.text.items():
        topic = message.topic.get(language, "")
        yield f"**{markdown(language)}**{markdown(row)} {markdown(topic)}".rstrip()
        yield ""
        cut = text[:_MAX_TEXT]
        yield from fenced(cut)
        if len(cut) < len(text):
            yield f"({len(text) - len(cut):,} more characters)"
        yield ""
