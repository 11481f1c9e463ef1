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
    content = {
        "answerable": answerable,
        "recipients_filter": normal_form(recipients_filter),
        "recipients_select_type": select_type,
    }
    return _hashed(content, text=text, topic=topic)


def digest_of_reply(text: Texts) -> str:
    """Digest a reply: it has nothing but its text."""
    return _hashed({"action": "reply"}, text=text)


def _hashed(content: dict[str, object], **texts: Texts) -> str:
    """Line ends and white space around a text do not count: not every server keeps them."""
    for name, said in texts.items():
        content[name] = {each: text.replace("\r\n", "\n").strip() for each, text in said.items()}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()
