"""What the fuzz tests share: how many examples, and input that is nearly right."""

from __future__ import annotations

import json
import re

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from support import IS_NIGHTLY, IS_THOROUGH, THANKS

FUZZ = settings(
    max_examples=20_000 if IS_THOROUGH else 150 if IS_NIGHTLY else 30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    # What the thorough profile finds is tried first the next time (in `.hypothesis`).
    database=settings().database if IS_THOROUGH else None,
)

_SPECS = [
    THANKS,
    "topic: {EN: Hi}\ntext: {EN: '{{ row.name }}'}\nrecipients_select_type: DIRECT\n"
    "recipients_ids: ['{{ row.id }}']\nfor_each: rows.csv\n",
    "text: {EN: |\n  a\n  b\n}\nreply_to: thanks\nonly_answered: true\n",
    "topic: {EN: &t 'a', RU: *t}\ntext: {EN: >-\n   folded\n\n   text\n, RU: \"\\u0416\"}\n"
    "recipients_select_type: FILTER\nrecipients_filter: {and: [{category: profile, key: country, "
    "operator: EQ, value: US}]}\nnot_before: 2026-11-30T18:00:00Z\nfolders: [IMPORTANT]\n",
]
_YAML_BITS = [
    "&a", "*a", "<<: ", "!!str ", "!x ", "|\n", ">-\n", "? ", ": ", "- ", "{", "}", "[", "]", "'", '"',
    "#", "%YAML 1.2\n", "---\n", "...\n", "\t", "\r\n", "\r", "\u2028", "\x85", "\ufeff", "\0", "\x1b",
    "0x1F", "0o7", "1e400", ".inf", ".nan", "~", "null", "true", "2026-01-01", "{{ x }}", "{% raw %}",
    "\\ud800", "\U0001f600", "é", "=", "@", "`",
]  # fmt: skip

yaml_text = st.lists(st.one_of(st.sampled_from(_YAML_BITS), st.text(max_size=8)), max_size=30).map(
    "".join
)


@st.composite
def mutated(draw: st.DrawFn, sources: list[str]) -> bytes:
    """One of the sources, with a few pieces cut out, doubled or put in."""
    text = draw(st.sampled_from(sources)).encode()
    for _ in range(draw(st.integers(0, 4))):
        begin = draw(st.integers(0, len(text)))
        end = draw(st.integers(begin, min(len(text), begin + 12)))
        bit = draw(st.one_of(st.sampled_from(_YAML_BITS).map(str.encode), st.binary(max_size=4)))
        text = text[:begin] + bit * draw(st.integers(0, 2)) + text[end:]
    return text


def nearly(sources: list[str]) -> st.SearchStrategy[bytes]:
    """Bytes of any kind, most of them nearly right."""
    return st.one_of(mutated(sources), st.binary(max_size=200))


spec_bytes = st.one_of(nearly(_SPECS), yaml_text.map(lambda text: text.encode("utf-8", "replace")))


def as_yaml(value: object) -> str:
    """Write a value as JSON that is YAML too: a character beyond the first 65,536 is one escape."""
    return re.sub(
        r"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}",
        lambda pair: f"\\U{ord(json.loads(chr(34) + pair[0] + chr(34))):08x}",
        json.dumps(value, allow_nan=False),
    )
