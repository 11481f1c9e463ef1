"""The token, and how it is taken out of a text: as it is, in percents and in base64."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator

_SHORTEST = 6
"""What has fewer characters is no credential, and stands in many a word by chance."""

_remembered: list[Mask] = []


class Secret(str):
    """A text that a traceback with its locals, or any other `repr`, does not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Mask:
    """Takes a secret out of a text: as it is, in other case, in percents, in base64.

    Whoever echoes a token on purpose has it already; these are the forms that programs write.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.lower() if len(secret) >= _SHORTEST else ""
        self._coded = tuple(_in_base64(secret))
        # The sign itself last: what it would begin has been read by then.
        letters = sorted(set(secret), key=lambda char: char == "%")
        self._letters = {_in_percents(char): char.lower() for char in letters}
        coded = "|".join(map(re.escape, self._coded))
        self._plain = re.compile(f"(?i:{re.escape(secret)})|{coded}")
        in_percents = (f"(?:{re.escape(char)}|{_in_percents(char)})" for char in secret)
        self._in_percents = re.compile("".join(in_percents), re.I)

    def __call__(self, text: str) -> str:
        """Give the text with `***` where the secret was."""
        if not self._secret:
            return text
        # To look whether it is there takes a hundredth of the time that a pattern takes.
        lower = text.lower()
        if self._secret in lower or any(each in text for each in self._coded):
            text = self._plain.sub("***", text)
        if "%" in text and self._secret in self._decoded(lower):
            text = self._in_percents.sub("***", text)
        return text

    def _decoded(self, lower: str) -> str:
        for code, char in self._letters.items():
            lower = lower.replace(code, char)
        return lower


def remember(secret: str) -> None:
    """Let `masked` know a secret. Repeating is safe."""
    _remembered.append(Mask(secret))


def forget() -> None:
    """Let `masked` know no secret any more: what one command read is no word of the next one's."""
    _remembered.clear()


def masked(text: str) -> str:
    """Take every secret that this process has read out of a text."""
    for mask in _remembered:
        text = mask(text)
    return text


def _in_percents(char: str) -> str:
    return "%" + char.encode(errors="surrogatepass").hex("%")


def _in_base64(secret: str) -> Iterator[str]:
    raw = secret.encode(errors="surrogatepass")
    for before in range(3):
        # What stands before decides how the bits fall: `OAuth …` and `user:…` are no exceptions.
        code = b64encode(b"\0" * before + raw).decode()
        whole = code[-(-before * 4 // 3) : (before + len(raw)) * 4 // 3]
        yield from (whole, whole.replace("+", "-").replace("/", "_"))
