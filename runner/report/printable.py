"""Text from messages and servers, made harmless to a terminal."""

from __future__ import annotations

import json
import re
import unicodedata

# Cc and Cf hold the escapes, the line breaks and the marks that turn text around; Zl and Zp break
# lines too, Cs cannot be written as UTF-8.
_HARMFUL = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
# They join and shape letters in many scripts and in emoji, and cannot move anything.
_HARMLESS = frozenset("\u200c\u200d\ufe0f")
_NOT_PLAIN = re.compile(r"[^\n -~]")


def printable(text: str) -> str:
    r"""Show control and direction characters as escapes (`\x1b`), in one line."""
    is_plain = text.isascii() and text.isprintable()
    shown = text if is_plain else "".join(map(_shown, text))
    # GitHub's older form of a workflow command counts anywhere in a line of a log.
    return shown.replace("##[", r"#\x23[")


def json_text(document: object) -> str:
    """Write JSON that a terminal may show: what is harmful in it is escaped, as JSON may be."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    return _NOT_PLAIN.sub(lambda found: _escaped(found[0]), text)


def _escaped(char: str) -> str:
    return json.dumps(char)[1:-1] if _is_harmful(char) else char


def _shown(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii") if _is_harmful(char) else char


def _is_harmful(char: str) -> bool:
    return char not in _HARMLESS and unicodedata.category(char) in _HARMFUL
