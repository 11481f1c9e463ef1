"""What the house rules look for in one text, whatever the other languages say."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from runner.errors import Severity
from runner.model import Message, Texts
from runner.render.parity import links, without_links
from runner.toloka.languages import BETTER_KNOWN_AS_COUNTRY
from runner.wording import quoted

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
# What a match begins with comes first in these patterns: it is nowhere in most of a text.
_PHONE = re.compile(
    r"(?=[+(\d])(?:(?<![\w/=.-])(?:\+|00)[1-9](?:[ ().-]{0,2}\d){7,14}(?!\w)"
    r"|\(\d{3}\)\s?\d{3}[ -](?:\d{4}|\d\d[ -]\d\d)(?!\w)|(?<![\w.-])\d{3}-\d{3}-\d{4}(?![\w-]))"
)
_MESSENGER = re.compile(
    r"(?=[tmwdvjfixc@])(?:(?<![\w-])(?:t\.me|telegram\.me|wa\.me|m\.me|discord\.gg|vk\.com|join\.skype\.com)/\S{1,80}"
    r"|(?<![\w-])(?:facebook|instagram|twitter|x|chat\.whatsapp|discord)\.com/\S{1,80}"
    r"|(?<![\w@./])@[A-Za-z]\w{4,31}\b)",
    re.IGNORECASE,
)
CONTACTS = (
    (_EMAIL, "an e-mail address"),
    (_PHONE, "a phone number"),
    (_MESSENGER, "a messenger"),
)
_LETTER = re.compile(r"[^\W\d_]")
_TOLOKA_HOST = re.compile(r"(^|\.)toloka\.(dev|ai|com|yandex\.[a-z.]+)$|^toloka\.yandex\.")
_REQUESTER_PATH = re.compile(r"/requester(/|$)|/(projects?|pools?)/\d")
TAG = re.compile(
    r"</?[A-Za-z][A-Za-z0-9]{0,15}(\s[^<>]{0,500})?/?>|<!--"
    # Without `[`, which begins the next one, so that nothing is looked at many times.
    r"|!\[[^\[\]\n]{0,200}\]\([^\[)\n]{0,500}\)"
)
# Asking not to answer is no question, in Russian (\u043d\u0435) too.
_ASKS = re.compile(
    r"\b(?=[rawlte\u043e\u043d])(?<!\bno )(?<!not )(?<!n['\u2019]t )(?<!\b\u043d\u0435 )"
    r"(?:(?:repl(?:y|ies)|answer this|write (?:back|to us|us)|let us know|tell us)\b"
    r"|(?:responde|escr[ií]benos|отвеч|ответь|напишите)\w*)",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"(?:\?(?=[\s!?)\"'\xbb\u201d]|$)|[\uff1f\u061f])(?<=[^\s?].)")
_LAST_WORD = re.compile(r"[^\s?]{1,40}.\Z")
_UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|TBD)\b|\blorem ipsum\b|\bLorem ipsum\b")
# There it is a word, and somebody may write it large.
_TODO_IS_A_WORD = frozenset(("ES", "PT", "GL", "IT", "CA", "AN", "OC"))
_TODO_SIGN = re.compile(r"\bTODO(?=\s*[:(])|\b(?:FIXME|XXX|TBD)\b|\b[Ll]orem ipsum\b")
_PLACEHOLDER = re.compile(
    r"\$?(?<!\{)\{[ ]?([^\W\d]\w{0,40})[ ]?\}(?!\})|\[([^\W\d_a-z][^\W\da-z]{0,40}(?: [^\W\da-z]{1,40}){0,4})\](?!\()"
)
_USUAL_PLACEHOLDERS = frozenset(
    ("amount", "bonus", "date", "day", "deadline", "email", "first name", "first_name", "insert",
     "last name", "last_name", "link", "month", "name", "number", "project", "task", "time", "url",
     "username", "user", "your name", "year")
)  # fmt: skip
CONFLICT = re.compile(r"^(?:<{7}|>{7}|\|{7})(?: .{0,60})?$", re.MULTILINE)
_ODD_RUN = re.compile(r"[^\x00-\x7f]{2,40}")
_ENTITY = re.compile(r"&(?:[A-Za-z]{2,8}|#\d{1,7}|#[xX][0-9A-Fa-f]{1,6});")
_CYRILLIC = re.compile("[\u0400-\u04ff]")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_OVERRIDES = frozenset("\u202d\u202e")


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach: where it stands (`text.EN`), what is wrong, and the words that show it, if any.

    `level` is how bad it is, where that is not the same for all breaches of the rule.
    """

    key: str
    what: str
    words: str = ""
    level: Severity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A message as the rules read it: of each template and each text, by key, what is looked at."""

    message: Message
    templates: Texts
    texts: Texts
    names: Callable[[], frozenset[str]]
    """Gives what the variables and columns of this message are called, in small letters."""
    told: frozenset[str] = frozenset()
    """The marks of git that are told where they stand, in partials."""


def find_words(
    kinds: Sequence[tuple[re.Pattern[str], str]],
    read: Reading,
    seen_as: Callable[[str], str] = str,
) -> Iterator[Finding]:
    """Find words that match one of these patterns; its name may show them."""
    for key, text in read.texts.items():
        seen = seen_as(text)
        for pattern, name in kinds:
            found = pattern.search(seen)
            if found:
                words = found.group()
                yield Finding(key, f"holds {name.format(short(words))}", words)
                break


def find_project_links(read: Reading) -> Iterator[Finding]:
    """Find addresses copied from the requester's browser."""
    for key, text in read.texts.items():
        for url in links(text):
            if _is_requesters(url):
                yield Finding(key, "links to a page that only the requester can open", url)


def _is_requesters(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(_TOLOKA_HOST.search(host) and _REQUESTER_PATH.search(parts.path))


def find_questions(read: Reading) -> Iterator[Finding]:
    """Find a question in a message that cannot be answered."""
    if read.message.answerable or read.message.action == "reply":
        return
    for language in read.message.text:
        key = f"text.{language}"
        words = _ASKS.search(read.texts[key]) or _question(read.texts[key])
        if words:
            yield Finding(key, "asks for an answer, and `answerable` is false", words.group())


def _question(text: str) -> re.Match[str] | None:
    plain = without_links(text, "")
    mark = _QUESTION.search(plain)
    return mark and _LAST_WORD.search(plain, max(mark.end() - 41, 0), mark.end())


def plain_words(text: str) -> str:
    """The text as a reader takes it: without entities, odd forms of letters and hidden characters."""
    if text.isascii() and "&" not in text:
        return text
    normal = unicodedata.normalize("NFKC", html.unescape(text))
    return "".join(char for char in normal if unicodedata.category(char) != "Cf")


def find_unfinished(read: Reading) -> Iterator[Finding]:
    """Find what says of itself that it is not finished, and a text that is another language's."""
    for key, text in read.texts.items():
        is_word = key.rpartition(".")[2] in _TODO_IS_A_WORD
        found = (_TODO_SIGN if is_word else _UNFINISHED).search(text)
        if found:
            yield Finding(key, f"holds {quoted(found[0])}", found[0])
    seen: dict[str, str] = {}
    for language, text in read.message.text.items():
        plain = " ".join(text.split())
        other = seen.setdefault(plain, language)
        if other != language and _LETTER.search(plain):
            yield Finding(f"text.{language}", f"is the same as text.{other}")


def find_placeholders(read: Reading) -> Iterator[Finding]:
    """Find words that somebody wanted to fill in, in the signs of another program."""
    for key, text in read.texts.items():
        seen: dict[str, Finding] = {}
        for found in _PLACEHOLDER.finditer(text):
            word = (found[1] or found[2]).casefold()
            is_ours = not read.names().isdisjoint((word, word.replace(" ", "_")))
            if is_ours or not _USUAL_PLACEHOLDERS.isdisjoint((word, word.split()[0])):
                level: Severity = "error" if is_ours else "warning"
                what = f"holds {quoted(found[0])}, which nothing fills in"
                seen.setdefault(level, Finding(key, what, found[0], level))
        yield from list(seen.values())[:1] if "error" not in seen else [seen["error"]]


def find_conflicts(read: Reading) -> Iterator[Finding]:
    """Find what git leaves where two versions did not go together."""
    for texts, told in ((read.templates, frozenset[str]()), (read.texts, read.told)):
        for key, text in texts.items():
            marks = (each[0] for each in CONFLICT.finditer(text))
            if mark := next((each for each in marks if each not in told), ""):
                yield Finding(key, f"holds {quoted(mark)}, which git left there", mark)


def find_mojibake(read: Reading) -> Iterator[Finding]:
    """Find letters that were read by the wrong table, and entities of HTML."""
    for key, text in read.texts.items():
        if "\ufffd" in text:
            yield Finding(key, "holds U+FFFD, where a letter was lost", "\ufffd")
        elif run := next((each[0] for each in _ODD_RUN.finditer(text) if _is_garbled(each[0])), ""):
            yield Finding(key, f"holds {quoted(run)}: letters read by the wrong table", run)
        for found in _ENTITY.finditer(without_links(text)):
            if html.unescape(found[0]) != found[0]:
                yield Finding(
                    key, f"holds {quoted(found[0])}, which is shown as it stands", found[0]
                )
                break


def _is_garbled(run: str) -> bool:
    """Whether these characters are the bytes of others in UTF-8, as a Windows code page has them."""
    for table in ("cp1252", "cp1251"):
        try:
            code = b"".join(_byte(char, table) for char in run)
            if len(code.decode()) < len(run):
                return True
        except UnicodeError:
            continue
    return False


def _byte(char: str, table: str) -> bytes:
    try:
        return char.encode(table)
    except UnicodeEncodeError:
        # What the table leaves out is often kept as a control character.
        return char.encode("latin-1")


def find_bidi(read: Reading) -> Iterator[Finding]:
    """Find marks that turn the order of text around, and do not turn it back."""
    for key, text in read.texts.items():
        closers: list[str] = []
        odd = ""
        for found in _BIDI.finditer(text):
            mark = found[0]
            if mark in _OVERRIDES:
                odd = odd or mark
            elif mark in "\u2069\u202c":
                odd = odd or ("" if closers and closers.pop() == mark else mark)
            else:
                closers.append("\u202c" if mark in "\u202a\u202b" else "\u2069")
        if odd or closers:
            name = f"U+{ord(odd):04X}" if odd else "a mark that is not closed"
            yield Finding(key, f"holds {name}, which turns text around", odd)


def find_countries(read: Reading) -> Iterator[Finding]:
    """Find codes of languages that most people know as those of countries."""
    for language in read.message.text:
        known = BETTER_KNOWN_AS_COUNTRY.get(language)
        key = f"text.{language}"
        if known is None or (language == "UK" and _CYRILLIC.search(read.texts[key])):
            continue
        name, country, meant = known
        what = f"is in {name} by its code {language}, which {country} has too (there it is {meant})"
        yield Finding(key, what)


def find_braces(read: Reading) -> Iterator[Finding]:
    """Find the braces of a template that a value brought along."""
    for key, name in read.message.braces_from.items():
        yield Finding(key, f"holds {{{{ or {{%, which came with the value of {name}", name)


def short(text: str) -> str:
    """Cut a text where it is only an example."""
    return text if len(text) <= 60 else f"{text[:59]}…"
