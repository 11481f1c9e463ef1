"""Text from messages and servers, made harmless to a terminal."""

from __future__ import annotations

import unicodedata

# Cc and Cf hold the escapes, the line breaks and the marks that turn text around; Zl and Zp break
# lines too, Cs cannot be written as UTF-8.
_HARMFUL = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
# They join and shape letters in many scripts and in emoji, and cannot move anything.
_HARMLESS = frozenset("\u200c\u200d\ufe0f")


def printable(text: str) -> str:
    r"""Show control and direction characters as escapes (`\x1b`), in one line."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(char: str) -> str:
    if char in _HARMLESS or unicodedata.category(char) not in _HARMFUL:
        return char
    return char.encode("unicode_escape").decode("ascii")
