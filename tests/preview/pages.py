"""What both kinds of preview tests use: the hostile texts, and the page read back as a tree."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from runner.wording import printable

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "[click](javascript:alert(1)) javascript:alert(1) https://example.com",
    "]]> --> <!-- <![CDATA[ </style></title></textarea>",
    "&lt;b&gt; &amp;amp; &#60; &copy",
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    "# not a heading\n**not bold**\n    not code\n\ttab",
    "right\u202eto\u2066left\u200f\u061c marks\ufeff",
    "\u0634\u0643\u0631\u0627 <b>\nabc\n\u05e9\u05dc\u05d5\u05dd 123",
    "next\u2028line\u2029break\u0085here\r\nthere",
    "family \U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f",
    "Rindfleischetikettierungs\u00fcberwachungsaufgaben\u00fcbertragungsgesetz" * 4,
    "  kept   spaces  \n\n\n  and blank lines",
)

_VOID = {"meta"}


def as_seen(text: str) -> str:
    """How a page or a terminal shows a text: its line feeds, and everything else printable."""
    return "\n".join(map(printable, text.rstrip("\n").split("\n")))


def everyone(text: str, *, topic: str = "Hello", language: str = "EN") -> str:
    """A message to ALL in one language."""
    return letters({language: (topic, text)})


def letters(words: dict[str, tuple[str, str]], **keys: object) -> str:
    """A message to ALL, its topics and texts taken as they are, whatever they look like."""
    topic = {language: _raw(topic) for language, (topic, _) in words.items()}
    text = {language: _raw(text) for language, (_, text) in words.items()}
    spec = {"topic": topic, "text": text, "recipients_select_type": "ALL", **keys}
    # YAML takes some of these for line breaks, and none of JSON's surrogates.
    return "".join(
        char if char.isascii() or char.isprintable() else f"\\u{ord(char):04x}"
        for char in json.dumps(spec, ensure_ascii=False)
    )


def _raw(text: str) -> str:
    """A template that renders to this text."""
    return re.sub(r"\{[{%#]", lambda marker: "{{ '" + marker[0] + "' }}", text)


@dataclass(slots=True)
class Node:
    """An element of the page."""

    tag: str
    attributes: dict[str, str]
    children: list[Node | str] = field(default_factory=list)

    @property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").split()

    @property
    def text(self) -> str:
        return "".join(each if isinstance(each, str) else each.text for each in self.children)

    def all(self, tag: str = "", class_: str = "") -> list[Node]:
        """The elements below with this tag and class, in order."""
        found = []
        for each in self.children:
            if isinstance(each, str):
                continue
            if each.tag == (tag or each.tag) and (not class_ or class_ in each.classes):
                found.append(each)
            found += each.all(tag, class_)
        return found

    def texts(self, tag: str = "", class_: str = "") -> list[str]:
        return [each.text for each in self.all(tag, class_)]

    def facts(self) -> dict[str, str]:
        """The terms of the description list below, with what is said of each."""
        return dict(zip(self.texts("dt"), self.texts("dd"), strict=True))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.top = Node("", {})
        self.path = [self.top]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.path[-1].children.append(node)
        if tag not in _VOID:
            self.path.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self.path.pop().tag == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.path[-1].children.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def parse(page: str) -> Node:
    """Read a page; every element must be closed, and there are no comments."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.path == [reader.top]
    return reader.top
