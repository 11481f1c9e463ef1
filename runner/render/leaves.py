"""The templates of a spec: every text in it that has to be rendered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from runner.errors import MessagesError, Pointer, Problem
from runner.render.templates import MARKER, Kind, Source
from runner.spec.specs import MessageSpec
from runner.spec.yamlfile import YamlFile

_BRACES = re.compile(r"\s*\{\{[-+]?(.*?)[-+]?\}\}\s*", re.DOTALL)
_MAX_TEMPLATES = 3_000
# Of a message for each row: every language has two.
_MAX_TEMPLATES_OF_ROWS = 400


def find_templates(spec: MessageSpec) -> Sequence[Source]:
    """Find every text of a spec that has to be rendered."""
    sources: list[Source] = []
    most = _MAX_TEMPLATES if spec.for_each is None else _MAX_TEMPLATES_OF_ROWS
    if spec.when is not None:
        sources.append(_when(spec.file, spec.when))
    leaves: dict[str, object] = {
        "languages": spec.languages,
        "key": spec.key,
        "topic": spec.topic,
        "text": spec.text,
        "thread_id": spec.thread_id,
        "recipients_ids": spec.recipients_ids,
        "recipients_filter": spec.recipients_filter,
    }
    for pointer, template in _texts_below((), leaves):
        if MARKER.search(template) is None:
            continue
        is_text = pointer[0] in ("topic", "text")
        is_list = pointer == ("recipients_ids",) or pointer[0] == "languages"
        kind: Kind = "text" if is_text else "list" if is_list else "value"
        sources.append(Source(spec.file, pointer, template, kind))
        if len(sources) > most:
            what = f"here is template number {most + 1:,} of this message"
            hint = "give a long list by one expression, or in a data file"
            raise MessagesError([Problem(sources[-1].place(), what, hint)])
    return sources


def _when(file: YamlFile, written: str) -> Source:
    """The expression that chooses rows: bare, or as one `{{ }}`; of what is missing comes false."""
    found = _BRACES.fullmatch(written)
    if found and "}}" in found[1] and "{{" in found[1]:
        what, hint = (
            "`when` has several {{ }}",
            "write one expression: row.tasks > 100 and row.paid",
        )
        raise MessagesError([Problem(file.place(("when",)), what, hint)])
    expression, begun = (found[1], found.start(1)) if found else (written, 0)
    return Source(file, ("when",), f"{{{{({expression}) or false}}}}", "when", lead=3 - begun)


def _texts_below(pointer: Pointer, value: object) -> Iterator[tuple[Pointer, str]]:
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _texts_below((*pointer, number), item)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts_below((*pointer, key), item)
