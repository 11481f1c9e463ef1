"""The digest of a message's content: what makes two messages the same message."""

from __future__ import annotations

import hashlib
import json

from runner.model import Texts
from runner.toloka.filters import normal_form


def digest_of(
    *, topic: Texts, text: Texts, answerable: bool, select_type: str, recipients_filter: object
) -> str:
    """Digest the canonical content, `sha256:` and 64 hex digits.

    Never the recipients: a batch, a thread and the whole message have the same digest. A filter
    counts in its normal form, because Toloka gives it back in another shape than it was sent.
    """
    content: dict[str, object] = {
        "answerable": answerable,
        "recipients_filter": normal_form(recipients_filter),
        "recipients_select_type": select_type,
        "text": _plain(text),
        "topic": _plain(topic),
    }
    return _hashed(content)


def digest_of_reply(text: Texts) -> str:
    """Digest a reply: it has nothing but its text."""
    return _hashed({"action": "reply", "text": _plain(text)})


def _plain(texts: Texts) -> dict[str, str]:
    """Line ends and white space around a text do not count: not every server keeps them."""
    return {language: text.replace("\r\n", "\n").strip() for language, text in texts.items()}


def _hashed(content: object) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()
