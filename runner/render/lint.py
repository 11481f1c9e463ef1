"""House rules on what was rendered: Toloka's own advice to whoever writes messages.

Each rule has an id, a severity and a reason; a spec waives one with `lint: {RULE: why}`, and the
configuration sets another severity. Source of the rules: Toloka's guide to messages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal
from unicodedata import digit
from urllib.parse import urlsplit

from runner.errors import Place, Problem, Severity
from runner.model import Message, Texts
from runner.spec.specs import MessageSpec

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
    """One breach: the key it stands under, the language, and the words that show it, if any."""

    key: str
    language: str
    what: str
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A house rule; `why` ends the complaint."""

    id: str
    level: Severity
    why: str
    find: Callable[[MessageSpec, Message], Iterator[Finding]]


def find_lint(
    spec: MessageSpec, messages: Sequence[Message], levels: Mapping[str, Level], *, strict: bool
) -> list[Problem]:
    """Hold a spec's messages against every rule that it does not waive.

    Of many rows with one breach the first is told, with their number.
    """
    problems = []
    for rule in RULES:
        level = levels.get(rule.id, rule.level)
        if level == "off" or rule.id in spec.lint:
            continue
        severity: Severity = "error" if strict else level
        for finding, rows in _collected(rule, spec, messages):
            hint = f"{rule.why}; to waive it, write `lint: {{{rule.id}: the reason}}`"
            where = _place(spec, finding)
            problems.append(Problem(where, finding.what + rows, hint, rule.id, severity))
    return problems


def _collected(
    rule: Rule, spec: MessageSpec, messages: Sequence[Message]
) -> Iterator[tuple[Finding, str]]:
    found: dict[tuple[str, str], Finding] = {}
    rows: dict[tuple[str, str], list[int | None]] = {}
    for message in messages:
        for finding in rule.find(spec, message):
            spot = (finding.key, finding.language)
            found.setdefault(spot, finding)
            rows.setdefault(spot, []).append(message.row)
    for spot, finding in found.items():
        numbers = sorted({row for row in rows[spot] if row is not None})
        more = f" and {len(numbers) - 1} more" if len(numbers) > 1 else ""
        yield finding, f" (row {numbers[0]}{more})" if numbers else ""


def _place(spec: MessageSpec, finding: Finding) -> Place:
    """The words in the template, where they are written there; else its beginning."""
    templates: Texts = spec.topic if finding.key == "topic" else spec.text
    offset = templates.get(finding.language, "").find(finding.words) if finding.words else -1
    return spec.file.text_place((finding.key, finding.language), max(offset, 0))


def _each_text(message: Message) -> Iterator[tuple[str, str, str]]:
    for key, texts in (("topic", message.topic), ("text", message.text)):
        for language, text in _beginnings(texts).items():
            yield key, language, text


def _beginnings(texts: Texts) -> Texts:
    """As much of each text as is looked at: what a pull request can make us compute is limited."""
    limit = max(_MAX_READ // max(len(texts), 1), _MIN_READ)
    return {language: text[:limit] for language, text in texts.items()}


def _find_contacts(_: MessageSpec, message: Message) -> Iterator[Finding]:
    kinds = ((_EMAIL, "an e-mail address"), (_PHONE, "a phone number"), (_MESSENGER, "a messenger"))
    for key, language, text in _each_text(message):
        for pattern, name in kinds:
            found = pattern.search(text)
            if found:
                yield Finding(key, language, f"{key}.{language} holds {name}", found.group())
                break


def _find_project_links(_: MessageSpec, message: Message) -> Iterator[Finding]:
    for key, language, text in _each_text(message):
        for url in _URL.findall(text):
            if _is_requesters(url):
                what = f"{key}.{language} links to a page that only the requester can open"
                yield Finding(key, language, what, url)


def _is_requesters(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(_TOLOKA_HOST.search(host) and _REQUESTER_PATH.search(parts.path))


def _find_html(_: MessageSpec, message: Message) -> Iterator[Finding]:
    for key, language, text in _each_text(message):
        found = _TAG.search(text)
        if found:
            what = (
                f"{key}.{language} holds {_short(found.group())}, which Toloka's apps do not show"
            )
            yield Finding(key, language, what, found.group())


def _find_disparity(spec: MessageSpec, message: Message) -> Iterator[Finding]:
    """Compare each language with the first one."""
    for key, templates, texts in (
        ("topic", _beginnings(spec.topic), _beginnings(message.topic)),
        ("text", _beginnings(spec.text), _beginnings(message.text)),
    ):
        aspects = (
            ("variables", cache(_variables), templates),
            ("links", cache(_links), texts),
            ("numbers", cache(_numbers), texts),
        )
        languages = list(texts)
        for other in languages[1:]:
            first = languages[0]
            for name, aspect, source in aspects:
                here, there = aspect(source[other]), aspect(source[first])
                if here != there:
                    odd = _short(", ".join(sorted(here ^ there)))
                    what = f"{key}.{other} and {key}.{first} have different {name} ({odd})"
                    yield Finding(key, other, what)
                    break


def _find_untranslated(_: MessageSpec, message: Message) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for language, text in message.text.items():
        plain = " ".join(text.split())
        other = seen.setdefault(plain, language)
        if other != language and any(char.isalpha() for char in plain):
            yield Finding("text", language, f"text.{language} is the same as text.{other}")


def _find_questions(_: MessageSpec, message: Message) -> Iterator[Finding]:
    if message.answerable or message.action == "reply":
        return
    for language, text in _beginnings(message.text).items():
        words = _ASKS.search(text) or _question(text)
        if words:
            what = f"text.{language} asks for an answer, and `answerable` is false"
            yield Finding("text", language, what, words.group())


def _question(text: str) -> re.Match[str] | None:
    plain = _URL.sub("", text)
    mark = _QUESTION.search(plain)
    return mark and _LAST_WORD.search(plain, max(mark.end() - 41, 0), mark.end())


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
        find=_find_contacts,
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
        find=_find_html,
    ),
    Rule(
        id="translation-parity",
        level="warning",
        why="every language should say the same",
        find=_find_disparity,
    ),
    Rule(
        id="untranslated",
        level="warning",
        why="translate it, or drop the language: a Toloker gets another one",
        find=_find_untranslated,
    ),
    Rule(
        id="answerable-question",
        level="warning",
        why="set `answerable: true`, or do not ask",
        find=_find_questions,
    ),
)
"""Every rule, in the order in which they are told."""
