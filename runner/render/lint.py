"""House rules on what was rendered: Toloka's own advice to whoever writes messages.

Each rule has an id, a severity and a reason; a spec waives one with `lint: {RULE: why}`, and the
configuration sets another severity. Source of the rules: Toloka's guide to messages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal
from unicodedata import digit
from urllib.parse import urlsplit

from runner.errors import Place, Problem, Severity
from runner.model import Message, Texts
from runner.spec.specs import MessageSpec
from runner.toloka.languages import BETTER_KNOWN_AS_COUNTRY

Level = Literal["off", "warning", "error"]

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_PHONE = re.compile(
    r"(?<![\w/=.-])(?:\+|00)[1-9](?:[ ().-]{0,2}\d){7,14}(?!\w)"
    r"|\(\d{3}\)\s?\d{3}[ -](?:\d{4}|\d\d[ -]\d\d)(?!\w)|(?<![\w.-])\d{3}-\d{3}-\d{4}(?![\w-])"
)
_MESSENGER = re.compile(
    r"(?<![\w-])(?:t\.me|telegram\.me|wa\.me|m\.me|discord\.gg|vk\.com|join\.skype\.com)/\S{1,80}"
    r"|(?<![\w-])(?:facebook|instagram|twitter|x|chat\.whatsapp|discord)\.com/\S{1,80}"
    r"|(?<![\w@./])@[A-Za-z]\w{4,31}\b",
    re.IGNORECASE,
)
_CONTACTS = (
    (_EMAIL, "an e-mail address"),
    (_PHONE, "a phone number"),
    (_MESSENGER, "a messenger"),
)
_URL = re.compile(r"https?://[^\s<>\"'()]{1,2000}", re.IGNORECASE)
_TOLOKA_HOST = re.compile(r"(^|\.)toloka\.(dev|ai|com|yandex\.[a-z.]+)$|^toloka\.yandex\.")
_REQUESTER_PATH = re.compile(r"/requester(/|$)|/(projects?|pools?)/\d")
_TAG = re.compile(
    r"</?[A-Za-z][A-Za-z0-9]{0,15}(\s[^<>]{0,500})?/?>|<!--"
    # Without `[`, which begins the next one, so that nothing is looked at many times.
    r"|!\[[^\[\]\n]{0,200}\]\([^\[)\n]{0,500}\)"
)
_NUMBER = re.compile(r"\d+(?:[.,\u00a0\u2009\u202f ]?\d+)*")
_NAME = re.compile(r"\{[{%][^{}%]{0,500}[}%]\}")
_WORD = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")
# Asking not to answer is no question, in Russian (\u043d\u0435) too.
_ASKS = re.compile(
    r"(?<!\bno )(?<!not )(?<!n['\u2019]t )(?<!\b\u043d\u0435 )\b"
    r"(?:(?:repl(?:y|ies)|answer this|write (?:back|to us|us)|let us know|tell us)\b"
    r"|(?:responde|escr[ií]benos|отвеч|ответь|напишите)\w*)",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"(?:\?(?=[\s!?)\"'\xbb\u201d]|$)|[\uff1f\u061f])(?<=[^\s?].)")
_CYRILLIC = re.compile("[\u0400-\u04ff]")
_LAST_WORD = re.compile(r"[^\s?]{1,40}.\Z")
# Of all languages of a key together, and of each one at least: nobody reads further.
_MAX_READ = 1_000_000
_MIN_READ = 2_000
_NO_VARIABLES = re.compile(r"'[^']*'|\"[^\"]*\"|\|\s*\w+|\bis\s+(?:not\s+)?\w+")
_KEYWORDS = frozenset(
    (
        "if",
        "else",
        "elif",
        "endif",
        "for",
        "endfor",
        "in",
        "not",
        "and",
        "or",
        "is",
        "set",
        "include",
    )
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach: where it stands (`text.EN`), what is wrong, and the words that show it, if any."""

    key: str
    what: str
    words: str = ""


Breach = tuple[Finding, set[int]]
"""What was found first at a place, and the rows that have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A message as the rules read it: of each template and each text, by key, what is looked at."""

    message: Message
    templates: Texts
    texts: Texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A house rule; `why` ends the complaint. `compares` languages, and needs two of them."""

    id: str
    level: Severity
    why: str
    find: Callable[[Reading], Iterator[Finding]]
    compares: bool = False


def find_lint(
    spec: MessageSpec, messages: Sequence[Message], levels: Mapping[str, Level], *, strict: bool
) -> list[Problem]:
    """Hold a spec's messages against every rule that it does not waive.

    Of many rows with one breach the first is told, with their number.
    """
    rules = [
        rule
        for rule in RULES
        if levels.get(rule.id) != "off" and rule.id not in spec.lint
        if len(spec.text) > 1 or not rule.compares
    ]
    found: dict[str, dict[str, Breach]] = {rule.id: {} for rule in rules}
    templates = _beginnings(spec.topic, spec.text)
    for message in messages:
        texts = _beginnings(message.topic, message.text)
        read = Reading(message=message, templates=templates, texts=texts)
        for rule in rules:
            for finding in rule.find(read):
                breach = found[rule.id].setdefault(finding.key, (finding, set()))
                breach[1].update(() if message.row is None else (message.row,))
    return [
        _problem(spec, rule, breach, "error" if strict else levels.get(rule.id, rule.level))
        for rule in rules
        for breach in found[rule.id].values()
    ]


def _problem(spec: MessageSpec, rule: Rule, breach: Breach, level: Level) -> Problem:
    finding, numbers = breach[0], sorted(breach[1])
    more = f" and {len(numbers) - 1} more" if len(numbers) > 1 else ""
    rows = f" (row {numbers[0]}{more})" if numbers else ""
    hint = f"{rule.why}; to waive it, write `lint: {{{rule.id}: the reason}}`"
    severity: Severity = "error" if level == "error" else "warning"
    what = f"{finding.key} {finding.what}{rows}"
    return Problem(_place(spec, finding), what, hint, rule.id, severity)


def _place(spec: MessageSpec, finding: Finding) -> Place:
    """The words in the template, where they are written there; else its beginning."""
    key, _, language = finding.key.partition(".")
    templates: Texts = spec.topic if key == "topic" else spec.text
    offset = templates.get(language, "").find(finding.words) if finding.words else -1
    return spec.file.text_place((key, language), max(offset, 0))


def _beginnings(topic: Texts, text: Texts) -> Texts:
    """As much of each text as is looked at: what a pull request can make us compute is limited."""
    limit = max(_MAX_READ // max(len(text), 1), _MIN_READ)
    return {
        f"{key}.{language}": said[:limit]
        for key, texts in (("topic", topic), ("text", text))
        for language, said in texts.items()
    }


def _find_words(kinds: Sequence[tuple[re.Pattern[str], str]], read: Reading) -> Iterator[Finding]:
    """Find words that match one of these patterns; its name may show them."""
    for key, text in read.texts.items():
        for pattern, name in kinds:
            found = pattern.search(text)
            if found:
                words = found.group()
                yield Finding(key, f"holds {name.format(_short(words))}", words)
                break


def _find_project_links(read: Reading) -> Iterator[Finding]:
    for key, text in read.texts.items():
        for url in _URL.findall(text):
            if _is_requesters(url):
                yield Finding(key, "links to a page that only the requester can open", url)


def _is_requesters(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(_TOLOKA_HOST.search(host) and _REQUESTER_PATH.search(parts.path))


def _find_disparity(read: Reading) -> Iterator[Finding]:
    """Compare each language with the first one."""
    aspects = (
        ("variables", cache(_variables), read.templates),
        ("links", cache(_links), read.texts),
        ("numbers", cache(_numbers), read.texts),
    )
    for key, texts in (("topic", read.message.topic), ("text", read.message.text)):
        keys = [f"{key}.{language}" for language in texts]
        for other in keys[1:]:
            for name, aspect, source in aspects:
                here, there = aspect(source[other]), aspect(source[keys[0]])
                if here != there:
                    odd = _short(", ".join(sorted(here ^ there)))
                    yield Finding(other, f"and {keys[0]} have different {name} ({odd})")
                    break


def _find_untranslated(read: Reading) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for language, text in read.message.text.items():
        plain = " ".join(text.split())
        other = seen.setdefault(plain, language)
        if other != language and any(char.isalpha() for char in plain):
            yield Finding(f"text.{language}", f"is the same as text.{other}")


def _find_questions(read: Reading) -> Iterator[Finding]:
    if read.message.answerable or read.message.action == "reply":
        return
    for language in read.message.text:
        key = f"text.{language}"
        words = _ASKS.search(read.texts[key]) or _question(read.texts[key])
        if words:
            yield Finding(key, "asks for an answer, and `answerable` is false", words.group())


def _question(text: str) -> re.Match[str] | None:
    plain = _URL.sub("", text)
    mark = _QUESTION.search(plain)
    return mark and _LAST_WORD.search(plain, max(mark.end() - 41, 0), mark.end())


def _find_countries(read: Reading) -> Iterator[Finding]:
    for language in read.message.text:
        known = BETTER_KNOWN_AS_COUNTRY.get(language)
        key = f"text.{language}"
        if known is None or (language == "UK" and _CYRILLIC.search(read.texts[key])):
            continue
        name, country, meant = known
        what = f"is in {name} by its code {language}, which {country} has too (there it is {meant})"
        yield Finding(key, what)


def _variables(template: str) -> frozenset[str]:
    blocks = " ".join(_NAME.findall(template))
    return frozenset(_WORD.findall(_NO_VARIABLES.sub("", blocks))) - _KEYWORDS


def _links(text: str) -> frozenset[str]:
    return frozenset(url.rstrip(".,;:!?") for url in _URL.findall(text))


def _numbers(text: str) -> frozenset[str]:
    # 1,000.50 and 1 000,50 are one number in two languages, and so are 12 and ١٢.
    found = _NUMBER.findall(_URL.sub("", text))
    return frozenset(each.translate(_DIGITS) for each in found)


class _Digits(dict[int, str]):
    """Each digit, of any script, as ours; whatever else a number holds is left out."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        self[code] = str(digit(char)) if char.isdecimal() else ""
        return self[code]


_DIGITS = _Digits()


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"


RULES = (
    Rule(
        id="contact-details",
        level="error",
        why="Toloka forbids phone numbers, e-mail addresses and messengers in messages",
        find=partial(_find_words, _CONTACTS),
    ),
    Rule(
        id="project-link",
        level="error",
        why="Tolokers open https://toloka.yandex.com/tasks?projectId=<id>",
        find=_find_project_links,
    ),
    Rule(
        id="html",
        level="warning",
        why="write plain text, with addresses written out",
        find=partial(_find_words, ((_TAG, "{}, which Toloka's apps do not show"),)),
    ),
    Rule(
        id="translation-parity",
        level="warning",
        why="every language should say the same",
        find=_find_disparity,
        compares=True,
    ),
    Rule(
        id="untranslated",
        level="warning",
        why="translate it, or drop the language: a Toloker gets another one",
        find=_find_untranslated,
        compares=True,
    ),
    Rule(
        id="language",
        level="warning",
        why="a language has its code of ISO 639-1, whatever country it is for",
        find=_find_countries,
    ),
    Rule(
        id="answerable-question",
        level="warning",
        why="set `answerable: true`, or do not ask",
        find=_find_questions,
    ),
)
"""Every rule, in the order in which they are told."""
