"""Drafts of what was sent by other hands: checked as any message is, and then put in place."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from runner.config import Config
from runner.files import make_folder, surroundings, write_whole
from runner.lookup.names import FOLDER, Named
from runner.manifest.lines import parts
from runner.model import Direct
from runner.prepare import Selection, check
from runner.render.lint import RULES
from runner.spec.draft import LISTED, draft_text
from runner.toloka.pace import Pace
from runner.wording import plural, shown

_WAIVABLE = {"odd-id", *(rule.id for rule in RULES)}
_AT_ONCE = 100
"""Drafts that are checked and written in one piece: very many take minutes."""
_ROUNDS = 4
"""Only what waives one rule may be read far enough to break another."""


@dataclass(slots=True)
class Draft:
    """A draft on its way: the rules that it has to waive, and what else is wrong with it."""

    named: Named
    waived: set[str] = field(default_factory=set)
    why_not: str = ""

    @property
    def id(self) -> str:
        return self.named.message.id

    def files(self) -> Iterator[tuple[str, str]]:
        """Give its files, by their paths below the messages root; the spec comes last."""
        recipients = self.named.message.recipients
        list_name = f"{Path(self.id).name}.txt"
        if isinstance(recipients, Direct) and len(recipients.ids) > LISTED:
            yield f"{FOLDER}/{list_name}", "".join(f"{each}\n" for each in recipients.ids)
        text = draft_text(self.named.message, self._about(), self.waived, list_name)
        yield f"{self.id}.yaml", text

    def _about(self) -> str:
        letters = self.named.written.letters
        days = dict.fromkeys(each.created[:10] for each in (letters[0], letters[-1]))
        return f"Imported: {plural(len(letters), 'thread')} of {' to '.join(days)}."


def write_drafts(named: Sequence[Named], config: Config, root: Path, pace: Pace) -> list[Draft]:
    """Write what can be a message; what cannot gets no file, and says why. Raises `Stopped`."""
    drafts = [Draft(each) for each in named]
    for some in parts(drafts, _AT_ONCE):
        pace.live()
        rounds = _ROUNDS
        while rounds and _check(some, config):
            rounds -= 1
        for draft in some:
            _write(draft, root)
    return drafts


def _write(draft: Draft, root: Path) -> None:
    for name, text in () if draft.why_not else draft.files():
        path = root / name
        with surroundings(path):
            make_folder(path.parent, root)
        write_whole(path, [text.encode()])


def _check(drafts: Sequence[Draft], config: Config) -> bool:
    """Check drafts where nobody else reads them; gives whether another round may help."""
    digests = {each.id: each.named.message.digest for each in drafts}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "messages"
        (root / FOLDER).mkdir(parents=True)
        by_path = {}
        for draft in drafts:
            for name, text in draft.files():
                (root / name).write_bytes(text.encode())
                by_path[shown(root / name)] = draft
        done = check(Selection(paths=(root,)), replace(config, messages_root=root))
    same = {each.id for each in done.messages if each.digest == digests[each.id]}
    for draft in drafts:
        draft.why_not = "" if draft.id in same else "it would not come to the same words"
    before = sum(len(each.waived) for each in drafts)
    for problem in done.problems:
        found = by_path.get(problem.where.path)
        if found is not None and problem.rule in _WAIVABLE:
            found.waived.add(problem.rule)
        elif found is not None and problem.severity == "error":
            found.why_not = problem.what
    return sum(len(each.waived) for each in drafts) > before
