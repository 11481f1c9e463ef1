"""One spec with what came of its templates, made into a message and checked again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType

from runner.errors import MessagesError, Pointer, Problem, Severity
from runner.model import (
    Direct,
    Everyone,
    Filtered,
    InOwnThread,
    InThread,
    InThreads,
    Message,
    Recipients,
    Texts,
)
from runner.render.rendered import Refused, Rendered, Told
from runner.render.templates import MARKER, Source
from runner.render.texts import find_text_problems, template_of
from runner.spec.datafile import DEFAULT_COLUMN
from runner.spec.idlist import load_ids
from runner.spec.specs import MessageSpec
from runner.spec.table import Row
from runner.toloka.digest import digest_of, digest_of_reply
from runner.toloka.filters import converted, find_filter_faults, wrapped
from runner.toloka.ids import (
    ID_HINT,
    ODD,
    ODD_HINT,
    distinct,
    is_thread,
    odd_among,
    sent_as,
    why_no_id,
)
from runner.wording import kind, quoted

KEY_HINT = "a key has 1 to 64 letters, digits, - and _, as an id has"


@dataclass(slots=True)
class Rendering:
    """One spec with what came of its templates, on its way to a message."""

    spec: MessageSpec
    rendered: Rendered
    odd: Severity | None
    warn: Callable[[Problem], object]
    row: Row | None = None
    problems: list[Problem] = field(default_factory=list)
    braces_from: dict[str, str] = field(default_factory=dict)
    branches: dict[str, None] = field(default_factory=dict)
    repeated: int = 0
    """How many ids of its list were there before."""

    def message(self) -> Message:
        """Render everything; raises `MessagesError`."""
        spec = self.spec
        if spec.when is not None and not isinstance(self._result(("when",)), (bool, NoneType)):
            hint = "compare something, as in row.tasks > 100, or row.tasks is defined"
            self._complain(("when",), "this is neither true nor false", hint)
        chosen = self._languages() if spec.languages else spec.text
        topic = self._texts("topic", {key: spec.topic[key] for key in spec.topic if key in chosen})
        text = self._texts("text", {key: spec.text[key] for key in spec.text if key in chosen})
        recipients, key = self._recipients(), self._key()
        if isinstance(recipients, InOwnThread):
            key = recipients.toloker
        if any(problem.severity == "error" for problem in self.problems):
            raise MessagesError(self.problems)
        for problem in self.problems:
            self.warn(problem)
        if recipients.select_type is None:
            digest = digest_of_reply(text)
        else:
            digest = digest_of(
                topic=topic,
                text=text,
                answerable=spec.answerable,
                select_type=recipients.select_type,
                recipients_filter=recipients.tree if isinstance(recipients, Filtered) else None,
            )
        return Message(
            id=spec.id,
            revision=spec.revision,
            source=spec.source,
            topic=topic,
            text=text,
            answerable=spec.answerable,
            recipients=recipients,
            digest=digest,
            draft=spec.draft,
            not_before=spec.not_before,
            not_after=spec.not_after,
            folders=spec.folders,
            at_most=spec.at_most,
            row=self.row.number if self.row else None,
            template=template_of(spec, self.row) if self.row else None,
            key=key,
            branches=tuple(self.branches),
            braces_from=self.braces_from,
        )

    def _complain(self, pointer: Pointer, what: str, hint: str) -> None:
        self.problems.append(Problem(self.spec.file.place(pointer), what, hint))

    def _languages(self) -> Collection[str]:
        """Which of the written languages go into this message."""
        given, written = self.spec.languages, self.spec.text
        chosen: list[str] = []
        for index, template in enumerate([given] if isinstance(given, str) else given):
            pointer: Pointer = ("languages",) if isinstance(given, str) else ("languages", index)
            value = self._rendered(pointer, template)
            for each in value if isinstance(value, list) else [] if value is None else [value]:
                chosen.append(str(each))
                if each not in written:
                    what = f"{quoted(each)} is none of the languages here"
                    self._complain(pointer, what, f"there are {', '.join(written)}")
        if not (chosen or self.problems):
            what = "these are no languages, and the letter would be empty"
            self._complain(("languages",), what, "name one, or leave such rows out by `when`")
        return chosen

    def _texts(self, key: str, templates: Texts) -> Texts:
        rendered: dict[str, str] = {}
        for language, template in templates.items():
            pointer = (key, language)
            text = self._result(pointer) if MARKER.search(template) else template
            if isinstance(text, str):
                if isinstance(text, Told):
                    self.branches.update(dict.fromkeys(text.branches))
                    if text.came_with is not None:
                        self.braces_from[f"{key}.{language}"] = text.came_with
                text = str(text).removesuffix("\n") if key == "topic" else str(text)
                rendered[language] = text
                source = Source(self.spec.file, (key, language), template)
                self.problems.extend(find_text_problems(source, text))
        return rendered

    def _recipients(self) -> Recipients:
        spec = self.spec
        if spec.reply_to is not None:
            return self._threads_of(spec.reply_to)
        if spec.thread_id is not None:
            return InThread(self._thread_id(spec.thread_id))
        if spec.select_type == "ALL":
            return Everyone()
        if spec.select_type == "FILTER":
            return self._filter()
        if spec.recipients_from is not None:
            return spec.recipients_from
        if spec.recipients_file is not None:
            ids = self._loaded_ids(spec.recipients_file)
            pointer: Pointer = ("recipients_file",)
        else:
            # Ids are compared without case, and sent as they are.
            ids = self._listed_ids()
            pointer = ("recipients_ids",)
        if not ids and not self.problems:
            self._complain(pointer, "the list of recipients is empty", "name somebody")
        return Direct(ids)

    def _threads_of(self, message: str) -> InThreads | InOwnThread:
        if self.row is None:
            return InThreads(message, self.spec.only_answered)
        ids = self._checked_id(("for_each",), self.row.values.get(DEFAULT_COLUMN))
        return InOwnThread(message, "".join(ids))

    def _key(self) -> str | None:
        if self.spec.key is None:
            return None
        value = self._rendered(("key",), self.spec.key)
        # A number of a table is as good as the text that it was written in.
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if value is not None and (
            why := why_no_id(text) if isinstance(text, str) else "it is no text"
        ):
            self._complain(("key",), f"this is no key: {why}", KEY_HINT)
        return str(text)

    def _listed_ids(self) -> tuple[str, ...]:
        ids = [*self._ids()]
        for index in odd_among(ids) if self.odd else ():
            where = self.spec.file.place(("recipients_ids", index))
            self.problems.append(Problem(where, ODD, ODD_HINT, "odd-id", self.odd or "error"))
        found = distinct(ids)
        self.repeated = len(ids) - len(found)
        return found

    def _loaded_ids(self, path: Path) -> tuple[str, ...]:
        try:
            column = self.spec.recipients_column
            ids, self.repeated = load_ids(path, column, odd=self.odd, warn=self.problems.append)
        except MessagesError as error:
            self.problems.extend(error.problems)
            return ()
        return ids

    def _thread_id(self, template: str) -> str:
        value = self._rendered(("thread_id",), template)
        if not isinstance(value, str) or not is_thread(value):
            hint = "it has 24 hexadecimal digits: copy it from the manifest"
            self._complain(("thread_id",), "this is not a thread id", hint)
        return str(value)

    def _ids(self) -> Iterator[str]:
        listed = self.spec.recipients_ids
        if isinstance(listed, str):
            yield from self._id_list(listed)
            return
        for number, template in enumerate(listed or ()):
            if MARKER.search(template):
                pointer: Pointer = ("recipients_ids", number)
                value = self._rendered(pointer, template)
                yield from () if value is None else self._checked_id(pointer, value)
            else:
                yield sent_as(template)  # The schema has checked it.

    def _id_list(self, expression: str) -> Iterator[str]:
        pointer: Pointer = ("recipients_ids",)
        value = self._rendered(pointer, expression)
        if isinstance(value, (list, tuple)):
            for item in value:
                yield from self._checked_id(pointer, item)
        elif value is not None:
            what = f"the expression gives {kind(value)}, not a list of ids"
            self._complain(pointer, what, "give a list, or write one here")

    def _checked_id(self, pointer: Pointer, value: object) -> Iterator[str]:
        if not isinstance(value, str):
            what = f"a recipient id is text, and this is {kind(value)}"
            self._complain(pointer, what, "put the id in quotes where it is defined")
        elif why := why_no_id(value):
            self._complain(pointer, f"this is not an id: {why}", ID_HINT)
        else:
            yield sent_as(value)

    def _rendered(self, pointer: Pointer, template: str) -> object:
        """The value of a text outside topic and text; None once it has been complained of."""
        before = len(self.problems)
        value = self._result(pointer) if MARKER.search(template) else template
        if value is None and len(self.problems) == before and pointer in self.rendered:
            self._complain(pointer, "the expression gives nothing", "give it a value")
        return value

    def _result(self, pointer: Pointer) -> object:
        """What came of a template; None for one that was refused, or not tried after another."""
        result = self.rendered.get(pointer)
        if isinstance(result, Refused):
            self.problems.extend(result.problems)
            return None
        return result

    def _filter(self) -> Filtered:
        before = len(self.problems)
        tree = self._leaves(("recipients_filter",), self.spec.recipients_filter)
        if len(self.problems) == before:
            faults = find_filter_faults(tree, rendered=True)
            self.problems.extend(self.spec.file.problem(fault) for fault in faults)
        root = wrapped(tree)
        return Filtered(root if isinstance(root, Mapping) else {})

    def _leaves(self, pointer: Pointer, value: object) -> object:
        """Render every text below `value`; a numeric text becomes a number where one is taken."""
        if isinstance(value, list):
            return [self._leaves((*pointer, number), item) for number, item in enumerate(value)]
        if isinstance(value, dict):
            done = {key: self._leaves((*pointer, key), item) for key, item in value.items()}
            given, written = done.get("value"), value.get("value")
            if isinstance(given, str) and isinstance(written, str) and MARKER.search(written):
                done["value"] = converted(done.get("category"), done.get("key"), given)
            return done
        if not isinstance(value, str) or not MARKER.search(value):
            return value
        return self._rendered(pointer, value)
