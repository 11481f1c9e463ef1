"""HTML that is safe by construction: whatever is not markup is escaped where it meets markup."""

from __future__ import annotations

from html import escape

from runner.report.harmless import html_line
from runner.wording import printable

_VOID = frozenset({"meta"})


class Html(str):
    """Markup. Every other text becomes markup by `element`, `html_line` or `html_lines` only."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str) -> Html:
    """Build an element of text and markup; `class_` and `aria_label` are `class`, `aria-label`."""
    said = "".join(f' {_name(key)}="{escape(printable(v))}"' for key, v in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{said}>")
    inside = "".join(each if isinstance(each, Html) else html_line(each) for each in children)
    return Html(f"<{name}{said}>{inside}</{name}>")


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")
