"""Text from messages and servers, made harmless to whatever shows JSON, Markdown or HTML."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from itertools import groupby

from runner.wording import ORDER, printable

_NOT_PLAIN = re.compile(r"[^\n -~]")
# A bare `www.` is a link on GitHub and GitLab.
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~@:$-]|(?<=www)\.)", re.IGNORECASE)


def json_text(document: object) -> str:
    """Write JSON that a terminal may show: what is harmful in it is escaped, as JSON may be."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    text = _NOT_PLAIN.sub(lambda found: _in_json(found[0]), text)
    return ORDER.sub(r"#\\u0023", text)


def _in_json(char: str) -> str:
    return char if printable(char) == char else json.dumps(char)[1:-1]


def markdown(text: str) -> str:
    """Make one line of text that Markdown and HTML show as it is, in a table too."""
    escaped = html.escape(printable(text), quote=False)
    return _MARKDOWN.sub(lambda found: f"&#{ord(found[1])};", escaped)


def fenced(text: str, language: str = "text") -> Iterator[str]:
    """Make a code block that the text cannot leave: its fence is longer than any in it."""
    lines = [printable(line) for line in text.rstrip("\n").split("\n")]
    longest = max((len(run) for line in lines for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    yield from (f"{fence}{language}", *lines, fence)


def runs(line: str) -> Iterator[tuple[bool, str]]:
    """Cut a line where what moves a cursor or turns text around begins and ends; True is plain."""
    if printable(line) == line:
        yield True, line
        return
    for is_plain, chars in groupby(line, lambda char: printable(char) == char):
        yield is_plain, "".join(chars)
