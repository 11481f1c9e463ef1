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
        self._forms: tuple[re.Pattern[str], ...] = ()
        if len(secret) >= _SHORTEST:
            coded = "|".join(map(re.escape, _in_base64(secret)))
            in_percents = "".join(
                f"(?:{re.escape(char)}|%{char.encode(errors='surrogatepass').hex('%')})"
                for char in secret
            )
            self._forms = (
                re.compile(f"(?i:{re.escape(secret)})|{coded}"),
                re.compile(in_percents, re.I),
            )

    def __call__(self, text: str) -> str:
        """Give the text with `***` where the secret was."""
        for form in self._forms:
            text = form.sub("***", text)
        return text


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


def _in_base64(secret: str) -> Iterator[str]:
    raw = secret.encode(errors="surrogatepass")
    for before in range(3):
        # What stands before decides how the bits fall: `OAuth …` and `user:…` are no exceptions.
        code = b64encode(b"\0" * before + raw).decode()
        whole = code[-(-before * 4 // 3) : (before + len(raw)) * 4 // 3]
        yield from (whole, whole.replace("+", "-").replace("/", "_"))
