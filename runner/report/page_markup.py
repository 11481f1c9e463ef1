"""HTML that is safe by construction: whatever is not markup is escaped where it meets markup."""

from __future__ import annotations

from html import escape
from itertools import groupby

from runner.wording import printable

_VOID = frozenset({"meta"})


class Html(str):
    """Markup. Every other text becomes markup by `element` or `visible` only."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str) -> Html:
    """Build an element of text and markup; `class_` and `aria_label` are `class`, `aria-label`."""
    said = "".join(f' {_name(key)}="{escape(printable(v))}"' for key, v in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{said}>")
    inside = "".join(each if isinstance(each, Html) else visible(each) for each in children)
    return Html(f"<{name}{said}>{inside}</{name}>")


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def visible(text: str) -> Html:
    """Escape a line of text; control and direction characters are shown, and set apart."""
    if printable(text) == text:
        return Html(escape(text))
    return Html("".join(_run("".join(run), is_plain) for is_plain, run in groupby(text, _is_plain)))


def visible_lines(text: str) -> Html:
    """Escape a text whose line feeds, and nothing else, break its lines."""
    return Html("\n".join(map(visible, text.split("\n"))))


def _is_plain(char: str) -> bool:
    return printable(char) == char


def _run(text: str, is_plain: bool) -> str:
    if is_plain:
        return escape(text)
    return f'<bdi class="escape" dir="ltr">{escape(printable(text))}</bdi>'
