"""Topics and texts: what is wrong with one that was rendered, and what a row was put into."""

from __future__ import annotations

import json
import re

from runner.errors import Problem
from runner.model import Template
from runner.render.templates import Source
from runner.spec.specs import MessageSpec
from runner.spec.table import Row
from runner.toloka.digest import mark_of

# The template process stops at as many.
_MAX_CHARACTERS = 1_000_000
_BAD_IN_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def find_text_problems(source: Source, rendered: str) -> list[Problem]:
    """Say what Toloka or a Toloker could not take; `source` is where it is written."""
    name = ".".join(map(str, source.pointer))
    if not rendered.strip():
        what = f"{name} is empty once it is rendered"
        return [Problem(source.place(), what, "write something, or drop the language")]
    if len(rendered) > _MAX_CHARACTERS:
        what = f"{name} is {len(rendered):,} characters long"
        return [Problem(source.place(), what, f"write no more than {_MAX_CHARACTERS:,}")]
    if source.pointer[0] == "topic" and "\n" in rendered:
        return [Problem(source.place(), f"{name} holds a line end", "write it on one line")]
    bad = _BAD_IN_TEXT.search(rendered)
    if bad:
        what = f"{name} holds the control character U+{ord(bad.group()):04X}"
        return [Problem(source.place(), what, "remove it")]
    return []


def template_of(spec: MessageSpec, row: Row) -> Template:
    """Say what a row is put into, and mark its values without keeping them."""
    values = json.dumps(row.values, sort_keys=True, default=str)
    return Template(topic=spec.topic, text=spec.text, mark=mark_of(values))
