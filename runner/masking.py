"""The token, and how it is taken out of a text, whatever form the text gives it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator

_SHORTEST = 6
"""What has fewer characters is no credential, and stands in many a word by chance."""

_CODE = "|".join(
    (r"%([0-9a-f]{2})", r"\\u00([0-9a-f]{2})", r"\\x([0-9a-f]{2})", r"&\#x0*([0-9a-f]{2});")
)
_UNSEEN = r"[\u00ad\u200b-\u200f\u2060\ufeff]"
_DECIMAL = r"&\#0*([0-9]{2,3});"
_PIECES = re.compile(rf"{_CODE}|{_DECIMAL}|\\([/\"\\])|(\s|\\[nrt]|{_UNSEEN})|.", re.I | re.S)
_ESCAPES = re.compile(rf"{_CODE}|{_DECIMAL}|\\[/\"\\nrt]", re.I)
_UNSEEN_ONES = re.compile(_UNSEEN)
_remembered: list[Mask] = []


class Secret(str):
    """A text that a traceback with its locals, or any other `repr`, does not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Mask:
    """Takes a secret out of a text: as it is, in other case, escaped, split, hexadecimal, base64."""

    def __init__(self, secret: str) -> None:
        self._folded = Secret(secret.lower())
        self._forms = tuple(map(Secret, _forms(secret))) if len(secret) >= _SHORTEST else ()

    def __call__(self, text: str) -> str:
        """Give the text with `***` where the secret was."""
        if not self._may_be_in(text):
            return text
        chars, spans = _decoded(text)
        folded = "".join(char.lower() if char.isascii() else char for char in chars)
        found = sorted((*_places(folded, self._folded), *self._places_of_forms("".join(chars))))
        parts, end = [], 0
        for first, last in found:
            if spans[first][0] >= end:
                parts += [text[end : spans[first][0]], "***"]
            end = max(end, spans[last][1])
        return "".join([*parts, text[end:]])

    def _may_be_in(self, text: str) -> bool:
        """Whether a closer look, which takes long, is needed: most texts escape nothing."""
        if len(text) < len(self._folded) or not self._forms:
            return False
        if any(sign in text for sign in "%&\\") and _ESCAPES.search(text):
            return True
        squeezed = "".join(text.split())
        if not squeezed.isascii():
            squeezed = _UNSEEN_ONES.sub("", squeezed)
        return self._folded in squeezed.lower() or any(form in squeezed for form in self._forms)

    def _places_of_forms(self, text: str) -> Iterator[tuple[int, int]]:
        for form in self._forms:
            yield from _places(text, form)


def remember(secret: str) -> None:
    """Let `masked` know a secret. Repeating is safe."""
    _remembered.append(Mask(secret))


def masked(text: str) -> str:
    """Take every secret that this process has read out of a text."""
    for mask in _remembered:
        text = mask(text)
    return text


def _forms(secret: str) -> Iterator[str]:
    raw = secret.encode()
    yield from (raw.hex(), raw.hex().upper())
    for before in range(3):
        # What stands before decides how the bits fall: `OAuth …` and `user:…` are no exceptions.
        code = b64encode(b"\0" * before + raw).decode()
        whole = code[-(-before * 4 // 3) : (before + len(raw)) * 4 // 3]
        yield from (whole, whole.replace("+", "-").replace("/", "_"))


def _decoded(text: str) -> tuple[list[str], list[tuple[int, int]]]:
    """Undo escapes and leave out white space: each character, and where it stands in the text."""
    chars, spans = [], []
    for piece in _PIECES.finditer(text):
        *codes, decimal, plain, space = piece.groups()
        if space is None:
            code = next((int(each, 16) for each in codes if each), None)
            code = int(decimal) if decimal else code
            chars.append(plain or (piece[0] if code is None else chr(code)))
            spans.append(piece.span())
    return chars, spans


def _places(text: str, part: str) -> Iterator[tuple[int, int]]:
    """The first and the last index of each occurrence."""
    start = text.find(part)
    while start >= 0:
        yield start, start + len(part) - 1
        start = text.find(part, start + len(part))
