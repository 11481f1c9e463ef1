"""A project for Python: its messages planned and sent to one target, and what became of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from runner.api.answers import AnswerChoice, load_answers
from runner.api.interrupts import Interrupts, interruptible
from runner.api.manifests import read_truth
from runner.api.message import Message, given
from runner.api.plan import Plan
from runner.api.refresh import refresh as ask_toloka
from runner.api.review import plan_for_review
from runner.api.rows import Form, Rows, file_text, take_rows
from runner.api.settings import Settings, Speed, Where, load_settings
from runner.api.shown import Listing
from runner.api.stopping import stop_sending
from runner.errors import MessagesError, SurroundingsError
from runner.files import write_whole
from runner.manifest.standing import ALL, Choice
from runner.manifest.told import Truth
from runner.model import compared_as
from runner.paths import find_data_file
from runner.prepare import Selection, prepare
from runner.report.answers import answer_lines, answers_document, count_line
from runner.report.deliveries import told_lines
from runner.report.samples import Detail
from runner.report.status import Activities, status_document
from runner.spec.given import Given, GivenRows
from runner.spec.specs import MessageSpec, find_ids, load_specs
from runner.wording import nearest, quoted, shown, shown_folder


def project(
    target: str, folder: str | os.PathLike[str] = ".", *, manifest: str | None = None
) -> Project:
    """Open the project in a folder, or in the nearest above it with a `runner.yaml` or `messages/`.

    `target` is "local", "production", a name from `runner.yaml` or a base URL; the token comes from the
    environment, as for the command. `manifest` is another file for what was sent. Nothing is sent or
    locked. Raises `SurroundingsError`.
    """
    where = Where(target=target, manifest=Path(manifest) if manifest else None)
    opened = Project(where, Path(folder).absolute())
    opened._settings([])
    return opened


@dataclass(frozen=True, slots=True)
class Project:
    """A folder of messages and one target. `runner.yaml` is read anew by each call.

    Each call raises `SurroundingsError` for what stands in its way, and those that ask Toloka
    `LaterError` where it cannot be had.
    """

    where: Where
    folder: Path

    def __repr__(self) -> str:
        settings = self._settings([])
        named = f"target: {settings.shown_target}\nmanifest: {settings.shown_manifest}"
        return f"project: {shown(settings.config.project)}\n{named}"

    def _settings(self, told: list[str]) -> Settings:
        """Where this reads and writes; what is to be told beside goes into a list."""
        if not self.where.target:
            raise SurroundingsError('name a target, such as "local" or "production"')
        return load_settings(self.where, self.folder, told.append)

    def message(self, message_id: str, rows: Rows | None = None) -> Given:
        """Choose the message of a file, with rows in the place of its `for_each` file.

        Rows are mappings of column to value, as `frame.to_dict("records")` gives them. They may hold
        what NumPy and pandas put there; `None`, `nan`, `NaT` and `<NA>` are empty cells. Raises
        `MessagesError` with every cell that will not do, as `rows[17]["amount"]`.
        """
        path, root = self._find(message_id)
        if rows is None:
            return Given(path)
        spec = _load(Given(path, GivenRows(())), root)
        return Given(path, take_rows(rows, Form.of(spec, _file_of_rows(spec))))

    def plan(self, *messages: Message | Given, strict: bool = False) -> Plan:
        """Plan messages, or all that the project has; nothing is sent, and repeating is safe.

        `strict` makes warnings errors. Raises `MessagesError` with the problems of them all.
        """
        told: list[str] = []
        settings = self._settings(told)
        selection = Selection(given=tuple(_named([*map(_chosen, messages)])), strict=strict)
        prepared, truth, review = plan_for_review(selection, settings, Detail())
        return Plan(settings, prepared, truth, review, told)

    def write(self, message_id: str, rows: Rows) -> Path:
        """Write the data file of a message, whole, for a pull request: CI sends what is planned here.

        It is checked first, as by `plan`. Repeating is safe.
        """
        chosen = self.message(message_id, rows)
        path, root = self._find(message_id)
        prepare(Selection(given=(chosen,)), self._settings([]).config)
        name = _file_of_rows(_load(chosen, root))
        try:
            file = find_data_file(name, path, root, must_exist=False)
        except ValueError as error:
            raise SurroundingsError(f"{shown(path)}: `for_each: {name}`: {error}") from error
        write_whole(file, [file_text(chosen.rows or GivenRows(()), file).encode()])
        return file

    def status(self, *, refresh: bool = False) -> Listing:
        """Tell what the manifest knows of every delivery.

        With `refresh` Toloka is asked, what is unknown is settled, and nothing is sent.
        """
        settings, truth = self._truth()
        activity: Activities = {}
        if refresh and truth.history.target is not None:
            interrupts = Interrupts()
            done = interruptible(lambda: ask_toloka(settings, Speed(), interrupts), interrupts)
            if interrupts.caught:
                raise KeyboardInterrupt("stopped: everything is recorded")
            _, history, activity = done
            truth = Truth(history, settings.shown_manifest)
        return _standing(settings, truth, ALL, activity)

    def toloker(self, toloker_id: str) -> Listing:
        """Tell all that one Toloker got by their id, tests too, as the manifest knows it."""
        settings, truth = self._truth()
        return _standing(settings, truth, Choice(toloker=compared_as(toloker_id)), {})

    def replies(
        self,
        *,
        to: str | None = None,
        since: datetime | None = None,
        unread: bool = False,
        unanswered: float | None = None,
    ) -> Listing:
        """Ask Toloka what Tolokers answered, oldest first; `to` is one message's id.

        `since` is an aware time, `unread` Toloka's folder, and `unanswered` a number of hours.
        """
        settings = self._settings([])
        choice = AnswerChoice(to=to, since=since, unread=unread, unanswered=unanswered)
        answers, truth, now = load_answers(settings, Speed(), choice)
        document = answers_document(answers, target=settings.target_name)
        lines = (*answer_lines(answers, now, verbose=False), count_line(answers, verbose=False))
        entries = cast("Sequence[Mapping[str, object]]", document["replies"])
        return Listing(entries, (*lines, *_origin(settings, truth.told)))

    def stop(self, reason: str) -> None:
        """Stop all sending to the target, from whatever machine, until `stop --lift`.

        A run that shares the manifest over a results branch ends within seconds. Repeating is safe.
        """
        if not reason:
            raise SurroundingsError("say why: everybody who wants to send is told")
        stop_sending(self._settings([]), reason)

    def _truth(self) -> tuple[Settings, Truth]:
        settings = self._settings([])
        return settings, read_truth(settings, settings.target.url)

    def _find(self, message_id: str) -> tuple[Path, Path]:
        """The file of a message, and the messages folder."""
        root = self._settings([]).config.messages_root
        if root is None or not root.is_dir():
            raise SurroundingsError(
                f"there is no messages/ folder in {shown_folder(self.folder)} or above"
            )
        known = find_ids(root)
        if message_id not in known:
            guess = nearest(message_id, known) or nearest(Path(message_id).stem, known)
            hint = f": did you mean {guess}?" if guess else ""
            raise SurroundingsError(f"no file in {shown(root)} is the message {message_id}{hint}")
        return known[message_id], root


def _chosen(message: object) -> Given:
    if isinstance(message, Message):
        return given(message)
    if isinstance(message, Given):
        return message
    hint = "give project.message(id) or a runner.Message"
    raise SurroundingsError(f"{quoted(message)} is no message: {hint}")


def _load(given: Given, root: Path) -> MessageSpec:
    specs, problems = load_specs([given], root)
    if problems:
        raise MessagesError(problems)
    return specs[0]


def _file_of_rows(spec: MessageSpec) -> str:
    return str(cast("Mapping[str, object]", spec.file.data)["for_each"])


def _named(chosen: Sequence[Given]) -> Iterator[Given]:
    """Tell the rows of several messages apart in complaints."""
    for each in chosen:
        if each.rows is None or len(chosen) == 1:
            yield each
        else:
            source = each.source
            name = shown(source) if isinstance(source, Path) else source.path
            yield replace(each, rows=replace(each.rows, name=f"{name} rows"))


def _standing(settings: Settings, truth: Truth, choice: Choice, activity: Activities) -> Listing:
    history, target, manifest = truth.history, settings.target_name, truth.told
    document = status_document(history, activity, target=target, manifest=manifest, choice=choice)
    messages = cast("Sequence[Mapping[str, Any]]", document["messages"])
    entries = [
        {"message": each["message"], "revision": each["revision"], **delivery}
        for each in messages
        for delivery in each["deliveries"]
    ]
    if choice.toloker is not None:
        tests = cast("Sequence[Mapping[str, Any]]", document["tests"])
        entries += [{**each, "test": True} for each in tests]
    lines = told_lines(history, activity, choice, settings.target.name, verbose=False)
    return Listing(entries, (*lines, *_origin(settings, manifest)))


def _origin(settings: Settings, manifest: str) -> tuple[str, str]:
    return f"target: {settings.shown_target}", f"manifest: {manifest}"
