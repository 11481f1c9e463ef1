"""Text from messages and servers, made harmless to whatever shows JSON, Markdown or HTML."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from itertools import groupby

from runner.wording import printable

_NOT_PLAIN = re.compile(r"[^\n -~]")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~@:$-])")


def json_text(document: object) -> str:
    """Write JSON that a terminal may show: what is harmful in it is escaped, as JSON may be."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    return _NOT_PLAIN.sub(lambda found: _in_json(found[0]), text)


def _in_json(char: str) -> str:
    return char if printable(char) == char else json.dumps(char)[1:-1]


def markdown(text: str) -> str:
    """Make one line of text that Markdown and HTML show as it is, in a table too."""
    escaped = html.escape(printable(text), quote=False)
    return _MARKDOWN.sub(lambda found: f"&#{ord(found[1])};", escaped)


def fenced(text: str) -> Iterator[str]:
    """Make a code block that the text cannot leave: its fence is longer than any in it."""
    lines = [printable(line) for line in text.rstrip("\n").split("\n")]
    longest = max((len(run) for line in lines for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    yield from (f"{fence}text", *lines, fence)


def html_line(line: str) -> str:
    """Make HTML of a line; what moves a cursor or turns text around is shown, and set apart."""
    if printable(line) == line:
        return html.escape(line)
    runs = groupby(line, lambda char: printable(char) == char)
    return "".join(_html_run("".join(run), is_plain=is_plain) for is_plain, run in runs)


def _html_run(text: str, *, is_plain: bool) -> str:
    escaped = html.escape(printable(text))
    return escaped if is_plain else f'<bdi class="escape" dir="ltr">{escaped}</bdi>'


def html_lines(text: str) -> str:
    """Make HTML of a text whose line feeds, and nothing else, break its lines."""
    return "\n".join(map(html_line, text.split("\n")))
