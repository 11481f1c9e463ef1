"""The digest of a message's content: what makes two messages the same message."""

from __future__ import annotations

import hashlib
import html
import json
import re
import unicodedata
from base64 import b64encode

from runner.model import Texts
from runner.toloka.filters import normal_form

MARK = 6
"""Characters of a mark: four bytes of a hash."""
KIND = "sha256:"
_SHORT = len(KIND) + 16
_SPACES = re.compile("[\u00a0\u2000-\u200a\u202f\u205f\u3000]")
_DIRECTIONS = re.compile("[\u200e\u200f]")


def digest_of(
    *, topic: Texts, text: Texts, answerable: bool, select_type: str, recipients_filter: object
) -> str:
    """Digest the canonical content, `sha256:` and 64 hex digits.

    Never the recipients: a batch, a thread and the whole message have the same digest. A filter
    counts in its normal form, because Toloka gives it back in another shape than it was sent.
    """
    content = {
        "answerable": answerable,
        "recipients_filter": normal_form(recipients_filter),
        "recipients_select_type": select_type,
    }
    return _hashed(content, text=text, topic=topic)


def digest_of_reply(text: Texts) -> str:
    """Digest a reply: it has nothing but its text."""
    return _hashed({"action": "reply"}, text=text)


def short(digest: str) -> str:
    """Give what is kept of a digest where there are very many: its first eight bytes."""
    return digest[:_SHORT]


def folded(texts: Texts) -> dict[str, str]:
    """Give texts in a form that survives what servers do to them, for telling what may be ours.

    Entities are decoded, compatible characters are one (NFKC), white space and case do not count.
    """
    return {language: _folded(text) for language, text in texts.items()}


def topic_mark(topic: Texts) -> str:
    """Mark a topic by its folded form."""
    return toloker_mark("\n".join(f"{each} {text}" for each, text in sorted(folded(topic).items())))


def toloker_mark(toloker: str) -> str:
    """Mark a Toloker, by an id in whatever case."""
    return mark_of(toloker.casefold())


def mark_of(text: str) -> str:
    """Mark a text by four bytes of its hash."""
    return b64encode(hashlib.blake2b(text.encode(), digest_size=4).digest())[:MARK].decode()


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKC", html.unescape(text)).casefold()
    return "".join(_DIRECTIONS.sub("", plain).split())


def _hashed(content: dict[str, object], **texts: Texts) -> str:
    """What not every server keeps does not count.

    That is line ends, white space around a text, the kind of a space, and marks of direction.
    """
    for name, said in texts.items():
        content[name] = {
            each: _SPACES.sub(" ", _DIRECTIONS.sub("", text.replace("\r\n", "\n"))).strip()
            for each, text in said.items()
        }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return KIND + hashlib.sha256(canonical.encode()).hexdigest()
