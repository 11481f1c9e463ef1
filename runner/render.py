"""`MessageSpec` to `Message`: leaf strings are rendered, and what they make is checked again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from runner.digest import digest_of
from runner.errors import Fault, MessagesError, Pointer, Problem
from runner.filters import converted, find_filter_faults, wrapped
from runner.model import Direct, Everyone, Filtered, Message, Recipients, Texts
from runner.spec import MessageSpec
from runner.templates import PARTIALS_NAME, Refused, Source, Templates, has_markers

_BAD_IN_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_BAD_IN_ID = re.compile("[\\s\x00-\x1f\x7f\x80-\x9f\ud800-\udfff]")


class Renderer:
    """Renders specs.

    `below` are the variables that a spec's own ones beat, `above` those that beat them.
    """

    def __init__(
        self,
        messages_root: Path | None,
        *,
        below: Mapping[str, object] | None = None,
        above: Mapping[str, object] | None = None,
    ) -> None:
        self._templates = Templates(messages_root / PARTIALS_NAME if messages_root else None)
        self._below = below or {}
        self._above = above or {}

    def render(self, spec: MessageSpec) -> Message:
        """Render one spec; raises `MessagesError` with everything that is wrong in it."""
        problems: list[Problem] = []
        values = {**self._below, **spec.variables, **self._above}
        topic = self._texts(spec, "topic", spec.topic, values, problems)
        text = self._texts(spec, "text", spec.text, values, problems)
        recipients = self._recipients(spec, values, problems)
        if problems:
            raise MessagesError(problems)
        tree = recipients.tree if isinstance(recipients, Filtered) else None
        return Message(
            id=spec.id,
            revision=spec.revision,
            source=spec.source,
            topic=topic,
            text=text,
            answerable=spec.answerable,
            recipients=recipients,
            digest=digest_of(
                topic=topic,
                text=text,
                answerable=spec.answerable,
                select_type=recipients.select_type,
                recipients_filter=tree,
            ),
            draft=spec.draft,
            not_before=spec.not_before,
            not_after=spec.not_after,
        )

    def _texts(
        self,
        spec: MessageSpec,
        key: str,
        templates: Texts,
        values: Mapping[str, object],
        problems: list[Problem],
    ) -> Texts:
        rendered: dict[str, str] = {}
        for language, template in templates.items():
            source = Source(spec.file, (key, language), template)
            try:
                rendered[language] = self._templates.text(source, values)
            except Refused as refused:
                problems.extend(refused.problems)
                continue
            problems.extend(_find_text_problems(source, rendered[language]))
        return rendered

    def _recipients(
        self, spec: MessageSpec, values: Mapping[str, object], problems: list[Problem]
    ) -> Recipients:
        if spec.select_type == "ALL":
            return Everyone()
        if spec.select_type == "FILTER":
            return self._filter(spec, values, problems)
        ids: list[str] = []
        for source, value in self._id_values(spec, values, problems):
            problem = _id_problem(source, value)
            problems.extend([problem] if problem else [])
            ids.append(str(value))
        if not ids and not problems:
            where = spec.file.place(("recipients_ids",))
            problems.append(Problem(where, "the list of recipients is empty", "name somebody"))
        return Direct(tuple(dict.fromkeys(ids)))

    def _id_values(
        self, spec: MessageSpec, values: Mapping[str, object], problems: list[Problem]
    ) -> Iterator[tuple[Source, object]]:
        one_list = isinstance(spec.recipients_ids, str)
        items = [spec.recipients_ids] if one_list else spec.recipients_ids
        for number, template in enumerate(items or ()):
            pointer: Pointer = ("recipients_ids",) if one_list else ("recipients_ids", number)
            source = Source(spec.file, pointer, str(template))
            try:
                value = self._templates.value(source, values)
            except Refused as refused:
                problems.extend(refused.problems)
                continue
            if not one_list:
                yield source, value
            elif isinstance(value, (list, tuple)):
                yield from ((source, item) for item in value)
            else:
                what = f"the expression gives {_kind(value)}, not a list of ids"
                problems.append(Problem(source.place(), what, "give a list, or write one here"))

    def _filter(
        self, spec: MessageSpec, values: Mapping[str, object], problems: list[Problem]
    ) -> Filtered:
        faults: list[Problem] = []
        tree = self._leaves(spec, ("recipients_filter",), spec.recipients_filter, values, faults)
        if not faults:
            found: list[Fault] = find_filter_faults(tree, rendered=True)
            faults = [spec.file.problem(fault) for fault in found]
        problems.extend(faults)
        root = wrapped(tree)
        return Filtered(root if isinstance(root, Mapping) else {})

    def _leaves(
        self,
        spec: MessageSpec,
        pointer: Pointer,
        value: object,
        values: Mapping[str, object],
        problems: list[Problem],
    ) -> object:
        """Render every text below `value`; a numeric text becomes a number where one is taken."""
        if isinstance(value, list):
            return [
                self._leaves(spec, (*pointer, number), item, values, problems)
                for number, item in enumerate(value)
            ]
        if isinstance(value, dict):
            done = {
                key: self._leaves(spec, (*pointer, key), item, values, problems)
                for key, item in value.items()
            }
            given, written = done.get("value"), value.get("value")
            if isinstance(given, str) and isinstance(written, str) and has_markers(written):
                done["value"] = converted(done.get("category"), done.get("key"), given)
            return done
        if not isinstance(value, str):
            return value
        try:
            return self._templates.value(Source(spec.file, pointer, value), values)
        except Refused as refused:
            problems.extend(refused.problems)
            return value


def _find_text_problems(source: Source, rendered: str) -> list[Problem]:
    name = ".".join(map(str, source.pointer))
    if not rendered.strip():
        what = f"{name} is empty once it is rendered"
        return [Problem(source.place(), what, "write something, or drop the language")]
    bad = _BAD_IN_TEXT.search(rendered)
    if bad:
        what = f"{name} holds the control character U+{ord(bad.group()):04X}"
        return [Problem(source.place(), what, "remove it")]
    return []


def _id_problem(source: Source, value: object) -> Problem | None:
    if not isinstance(value, str):
        what = f"a recipient id is text, and this is {_kind(value)}"
        return Problem(source.place(), what, "put the id in quotes where it is defined")
    if not value:
        return Problem(source.place(), "a recipient id is empty", "write the Toloker's id")
    if _BAD_IN_ID.search(value):
        what = "a recipient id holds white space or a control character"
        return Problem(source.place(), what, "one id an item, nothing around it")
    return None


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, (list, tuple)) else "a mapping"
