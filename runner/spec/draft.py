"""A draft: a message that was sent by other hands, written down as a spec."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from textwrap import indent

from runner.model import Direct, Filtered, Message, Texts

_MARKERS = re.compile(r"\{[{%#]")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_BLOCK = re.compile(r"\S.*\n.*\S\n?", re.DOTALL)
_WAIVED = "sent before it was reviewed"
LISTED = 100
"""Tolokers in the spec itself; more stand in a list beside it."""


def draft_text(message: Message, about: str, waived: Iterable[str], list_name: str) -> str:
    """Write a message as a draft that renders to its very words.

    `waived` are the house rules that it breaks; `list_name` is the file that has its Tolokers, if
    they are many.
    """
    rules = [f"  {rule}: {_WAIVED}" for rule in sorted(waived)]
    lines = [
        f"# {about}",
        "# Without `draft`, it goes to whoever is added to it, and to nobody a second time.",
        f"id: {message.id}",
        "draft: true",
        *_texts("topic", message.topic),
        *_texts("text", message.text),
        f"recipients_select_type: {message.recipients.select_type}",
        *_recipients(message, list_name),
        f"answerable: {json.dumps(message.answerable)}",
        *(["lint:", *rules] if rules else []),
    ]
    return "\n".join(lines) + "\n"


def _recipients(message: Message, list_name: str) -> Iterator[str]:
    recipients = message.recipients
    if isinstance(recipients, Filtered):
        tree = json.dumps(recipients.tree, ensure_ascii=False, indent=2)
        yield from ("recipients_filter:", indent(tree, "  "))
    elif isinstance(recipients, Direct) and len(recipients.ids) > LISTED:
        yield f"recipients_file: {list_name}"
    elif isinstance(recipients, Direct):
        yield "recipients_ids:"
        yield from (f"  - {_word(each)}" for each in recipients.ids)


def _texts(key: str, texts: Texts) -> Iterator[str]:
    yield f"{key}:"
    for language, text in texts.items():
        said = f"{{% raw %}}{text}{{% endraw %}}" if _MARKERS.search(text) else text
        yield f"  {_word(language)}: {_scalar(said)}"


def _scalar(text: str) -> str:
    """Several lines as a block, where nothing in them needs an escape."""
    is_plain = all(char.isprintable() or char == "\n" for char in text)
    if not (is_plain and _BLOCK.fullmatch(text)):
        return _quoted(text)
    return ("|\n" if text.endswith("\n") else "|-\n") + indent(text.rstrip("\n"), "    ")


def _word(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    return '"' + "".join(map(_in_quotes, text)) + '"'


def _in_quotes(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if char.isprintable():
        return char
    return "\\n" if char == "\n" else f"\\U{ord(char):08x}"
