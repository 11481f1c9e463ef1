"""What of a message has changed since it was sent, as a unified difference."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import unified_diff
from itertools import islice

from runner.manifest.contents import find_contents
from runner.model import Content, Filtered, Message, Template
from runner.plan.plan import Plan, PlannedMessage
from runner.report.filters import describe_filter
from runner.wording import plural

_MAX_LINES = 1_000
"""To compare more takes long, and nobody reads it."""
Contents = Mapping[str, Content]


def edited_contents(plan: Plan) -> Contents:
    """What was sent of the messages that were edited since, as far as the manifest has kept it."""
    digests = {digest for planned in plan.messages for digest, _ in planned.edited}
    return find_contents(digests, plan.history) if digests else {}


def difference(planned: PlannedMessage, contents: Contents) -> tuple[str, ...]:
    """Compare the words that were sent with those of now; of rows, their templates."""
    pairs = [(contents[digest], now) for digest, now in planned.edited if digest in contents]
    # Rows have their template in common.
    sides = {(tuple(_lines_of(was)), tuple(_lines_now(now))) for was, now in pairs}
    found = [line for was, now in sorted(sides) for line in _compared(was, now)]
    rows = sum(_has_other_values(was, now) for was, now in pairs)
    return (*found, f"{plural(rows, 'row')} with other values") if rows else tuple(found)


def _has_other_values(was: Content, now: Message) -> bool:
    if was.mark is None or now.template is None:
        return False
    return was.mark != now.template.mark


def _compared(was: Collection[str], now: Collection[str]) -> Iterator[str]:
    if max(len(was), len(now)) > _MAX_LINES:
        yield "it is too long to be compared"
        return
    # Its first two lines name the sides, and who begins at the beginning need not say so.
    lines = islice(unified_diff([*was], [*now], lineterm="", n=2), 2, None)
    yield from (line for line in lines if not line.startswith(("@@ -1 ", "@@ -1,")))


def _lines_now(message: Message) -> Iterator[str]:
    words: Message | Template = message.template or message
    recipients = message.recipients
    content = Content(
        topic=words.topic,
        text=words.text,
        answerable=message.answerable if message.action == "compose" else None,
        recipients_filter=recipients.tree if isinstance(recipients, Filtered) else None,
    )
    return _lines_of(content)


def _lines_of(content: Content) -> Iterator[str]:
    for language, text in content.text.items():
        if topic := content.topic.get(language):
            yield f"{language} topic: {topic}"
        yield from (f"{language}: {line}".rstrip() for line in text.rstrip("\n").split("\n"))
    if content.answerable is not None:
        yield f"answerable: {'yes' if content.answerable else 'no'}"
    if content.recipients_filter is not None:
        yield f"to every Toloker with {describe_filter(content.recipients_filter)}"
