"""House rules on what was rendered: Toloka's own advice to whoever writes messages.

Each rule has an id, a severity and a reason; a spec waives one with `lint: {RULE: why}`, and the
configuration sets another severity. Source of the rules: Toloka's guide to messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal

from runner.errors import Place, Problem, Severity
from runner.model import Message, Texts
from runner.render.house_rules import (
    CONTACTS,
    TAG,
    Finding,
    Reading,
    find_bidi,
    find_braces,
    find_conflicts,
    find_countries,
    find_mojibake,
    find_placeholders,
    find_project_links,
    find_questions,
    find_unfinished,
    find_words,
    plain_words,
    short,
)
from runner.render.parity import differing, variables
from runner.spec.specs import MessageSpec

Level = Literal["off", "warning", "error"]

# Of all languages of a key together, and of each one at least: nobody reads further.
_MAX_READ = 1_000_000
_MIN_READ = 2_000


def level_of(rule: str, levels: Mapping[str, Level], *, strict: bool = False) -> Severity | None:
    """How bad the breach of a rule is that is an error unless the configuration says else."""
    level = levels.get(rule, "error")
    return None if level == "off" else "error" if strict else level


Breach = tuple[Finding, set[int]]
"""What was found first at a place, and the rows that have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A house rule; `why` ends the complaint. `compares` languages, and needs two of them.

    Plain ASCII breaks it only with one of its `signs`; where there are none, by words alone.
    """

    id: str
    level: Severity
    why: str
    find: Callable[[Reading], Iterator[Finding]]
    compares: bool = False
    signs: str = ""


def find_lint(
    spec: MessageSpec,
    messages: Sequence[Message],
    levels: Mapping[str, Level],
    *,
    strict: bool,
    told: frozenset[str] = frozenset(),
) -> list[Problem]:
    """Hold a spec's messages against every rule that it does not waive.

    `told` are the marks of git that are told where they stand, in partials. Of many rows with one breach the first is told, with their number.
    """
    rules = [
        rule
        for rule in RULES
        if levels.get(rule.id) != "off" and rule.id not in spec.lint
        if len(spec.text) > 1 or not rule.compares
    ]
    found: dict[str, dict[str, Breach]] = {rule.id: {} for rule in rules}
    templates = _beginnings(spec.topic, spec.text)
    names = cache(partial(_names, spec, templates))
    for message in messages:
        texts = _beginnings(message.topic, message.text)
        read = Reading(message=message, templates=templates, texts=texts, names=names, told=told)
        # Quicker than to ask each rule: most texts are plain.
        said = "".join((*templates.values(), *texts.values()))
        signs = set(said)
        for rule in rules:
            if rule.signs and said.isascii() and signs.isdisjoint(rule.signs):
                continue
            for finding in rule.find(read):
                breach = found[rule.id].setdefault(finding.key, (finding, set()))
                breach[1].update(() if message.row is None else (message.row,))
    return [
        _problem(spec, rule, breach, "error" if strict else levels.get(rule.id))
        for rule in rules
        for breach in found[rule.id].values()
    ]


def _problem(spec: MessageSpec, rule: Rule, breach: Breach, level: Level | None) -> Problem:
    finding, numbers = breach[0], sorted(breach[1])
    more = f" and {len(numbers) - 1} more" if len(numbers) > 1 else ""
    rows = f" (row {numbers[0]}{more})" if numbers else ""
    hint = f"{rule.why}; to waive it, write `lint: {{{rule.id}: the reason}}`"
    severity: Severity = "error" if (level or finding.level or rule.level) == "error" else "warning"
    what = f"{finding.key} {finding.what}{rows}"
    return Problem(_place(spec, finding), what, hint, rule.id, severity)


def _place(spec: MessageSpec, finding: Finding) -> Place:
    """The words in the template, where they are written there; else its beginning."""
    key, _, language = finding.key.partition(".")
    templates: Texts = spec.topic if key == "topic" else spec.text
    offset = templates.get(language, "").find(finding.words) if finding.words else -1
    return spec.file.text_place((key, language), max(offset, 0))


def _names(spec: MessageSpec, templates: Texts) -> frozenset[str]:
    """What the message calls its variables and, as far as it uses them, its columns."""
    used = (name for template in templates.values() for name in variables(template))
    return frozenset(
        part.casefold() for name in (*spec.variables, *used) for part in name.split(".")
    )


def _beginnings(topic: Texts, text: Texts) -> Texts:
    """As much of each text as is looked at: what a pull request can make us compute is limited."""
    limit = max(_MAX_READ // max(len(text), 1), _MIN_READ)
    return {
        f"{key}.{language}": said[:limit]
        for key, texts in (("topic", topic), ("text", text))
        for language, said in texts.items()
    }


def _find_disparity(read: Reading) -> Iterator[Finding]:
    """Compare each language with the first one."""
    for key, texts in (("topic", read.message.topic), ("text", read.message.text)):
        first, *others = texts or [""]
        for other in others:
            here, there = f"{key}.{other}", f"{key}.{first}"
            for said, templates in ((read.templates, True), (read.texts, False)):
                pair = (other, said[here]), (first, said[there])
                if odd := differing(*pair, templates=templates):
                    what = short(", ".join(odd[1]))
                    yield Finding(here, f"and {there} have different {odd[0]} ({what})")
                    break


RULES = (
    Rule(
        id="contact-details",
        level="error",
        why="Toloka forbids phone numbers, e-mail addresses and messengers in messages",
        find=partial(find_words, CONTACTS, seen_as=plain_words),
        signs="@/&0123456789",
    ),
    Rule(
        id="project-link",
        level="error",
        why="Tolokers open https://toloka.yandex.com/tasks?projectId=<id>",
        find=find_project_links,
        signs="/",
    ),
    Rule(id="unfinished", level="error", why="finish it, or make it a draft", find=find_unfinished),
    Rule(
        id="placeholder",
        level="error",
        why="write {{ name }}, with a variable or a column",
        find=find_placeholders,
        signs="{[",
    ),
    Rule(
        id="template-marker",
        level="error",
        why="it would be sent as it stands; what the template writes itself goes in {% raw %}",
        find=find_braces,
    ),
    Rule(
        id="conflict-marker",
        level="error",
        why="choose one of the two",
        find=find_conflicts,
        signs="<>|",
    ),
    Rule(
        id="mojibake",
        level="error",
        why="write the letter itself",
        find=find_mojibake,
        signs="&",
    ),
    Rule(id="bidi", level="error", why="remove it, or close it", find=find_bidi, signs="\u202e"),
    Rule(
        id="html",
        level="warning",
        why="write plain text, with addresses written out",
        find=partial(find_words, ((TAG, "{}, which Toloka's apps do not show"),)),
        signs="<[",
    ),
    Rule(
        id="parity",
        level="warning",
        why="every language should say the same",
        find=_find_disparity,
        compares=True,
    ),
    Rule(
        id="language",
        level="warning",
        why="a language has its code of ISO 639-1, whatever country it is for",
        find=find_countries,
    ),
    Rule(
        id="answerable-question",
        level="warning",
        why="set `answerable: true`, or do not ask",
        find=find_questions,
    ),
)
"""Every rule, in the order in which they are told."""
