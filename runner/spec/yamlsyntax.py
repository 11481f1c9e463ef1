"""Says in our words why a text is not YAML, from the spot where a parser gave up.

What parsers call a mistake differs from one to the next. What stands at the spot does not.
"""

from __future__ import annotations

import re

from runner.spec.characters import space_after_colon
from runner.wording import quoted

_ESCAPE = re.compile(r"\\(?:[xuU][0-9A-Fa-f]{0,8}|.)")
_FENCE = re.compile(r"\n(?:---|\.\.\.)")
# With these something else than text begins.
_SIGNS = frozenset("@`%*&!|>")
_WORDS = re.compile(r"( +)['\"]?([A-Z]{2})['\"]?:[ \t]+(\S.*)")
_SECTION = re.compile(r"['\"]?(?:topic|text)['\"]?:")
_DIRECTIVE = re.compile(r"(?:\A|\n\.\.\.[^\n]*\n)(?:[ \t]*(?:#[^\n]*)?\r?\n)*(%)")
_COMMENT = re.compile(r"[ \t]+#([ \t]?)")
_COMMENT_BELOW = re.compile(r"[ \t]*\r?\n(?:[ \t]*\r?\n)*( +)#")
_MAX_ABOVE = 20_000
_MAX_INDENT = 200
_MAX_WRITTEN = 160
_QUOTES = "put it in quotes"

Cause = tuple[int, str, str]
"""The place of a mistake, what it is, and what would be right."""


def explain(source: str, at: int, begun: int) -> Cause:
    """Say why a parser gave up at `at`, in a word or in brackets that begin at `begun`."""
    opening, found = source[begun : begun + 1], source[at : at + 1]
    if opening in ("'", '"') and (cause := _in_quotes(source, at, begun)):
        return cause
    if found == "\t":
        return at, "a tab stands where only spaces may", "indent with spaces"
    cause = _after_colon(source, at) or _sign(source, begun) or _sign(source, at)
    if cause is None and opening in ("[", "{"):
        cause = _in_brackets(source, at, begun)
    elif cause is None and begun < at:
        hint = "write `key: text`, and check for a quote left open above"
        cause = begun, "no colon follows this key", hint
    if cause is None:
        what = (
            f"{quoted(found)} cannot stand here" if found.strip() else "something is missing here"
        )
        cause = at, what, _advice(source[:at].rpartition("\n")[2], found)
    return cause[0], cause[1], hint_for_words(source, cause[0]) or cause[2]


def _sign(source: str, at: int) -> Cause | None:
    sign = source[at : at + 1]
    return (at, f"text cannot start with {sign}", _QUOTES) if sign in _SIGNS else None


def _in_brackets(source: str, at: int, begun: int) -> Cause | None:
    if not source.count("\n", begun, at) and source[at:].strip():
        return None
    line = source.count("\n", 0, at) + 1
    hint = "close it, check the quotes and commas of that line, and quote text that holds a #"
    return begun, f"the bracket that opens here is still open in line {line}", hint


def find_directive(source: str) -> Cause | None:
    """Find a line that is an order to the parser: very many of them would keep it busy."""
    found = _DIRECTIVE.search(source)
    if found is None:
        return None
    return found.start(1), "a line that starts with % is an order to the parser", "remove it"


def find_loss(source: str, start: int, end: int, *, words: bool, printed: bool) -> Cause | None:
    """Find what a text without quotes has lost to a comment, or taken for its own.

    After a text that may be printed, `# ` is taken for a comment; after one of words nothing is,
    nor below it what is indented like more of it.
    """
    if source[start : start + 1] in ("|", ">"):
        sign = _comment_below(source, start, end - 1) if words else -1
        hint = "indent it like the text, or like the line with the | or >"
    else:
        found = _COMMENT.match(source, end) if words or printed else None
        sign = found.start(1) - 1 if found and (words or not found[1]) else -1
        if words and found is None:
            sign = _comment_below(source, start, end)
        hint = "put the text in quotes, or the comment on a line of its own"
        hint = hint_for_words(source, sign) or hint if sign >= 0 else hint
    if sign >= 0:
        return sign, "the text ends before this #, which begins a comment", hint
    return None if source[start:end].isascii() else _after_colon_of(source, start, end)


def _comment_below(source: str, start: int, end: int) -> int:
    """Where a comment begins that is indented like more of the text above it; -1 for none."""
    found = _COMMENT_BELOW.match(source, end)
    line = source[source.rfind("\n", 0, start) + 1 : start]
    is_deeper = found and len(found[1]) > len(line) - len(line.lstrip(" "))
    return found.end() - 1 if found and is_deeper else -1


def _after_colon_of(source: str, start: int, end: int) -> Cause | None:
    """Find a no-break space behind the colon of what was meant as a key, and begins a plain text."""
    # No further: a line may hold very many texts.
    begin = source.rfind("\n", max(0, start - _MAX_INDENT), start) + 1
    if begin == 0 and start > _MAX_INDENT:
        return None
    found = space_after_colon(source[begin : min(end, start + _MAX_INDENT)])
    return (begin + found[0], found[1], found[2]) if found else None


def hint_for_words(source: str, at: int) -> str:
    """Say how the text of a language is written right, if that is what stands at this spot."""
    start = source.rfind("\n", 0, at) + 1
    end = source.find("\n", at)
    line = source[start : end if end >= 0 else len(source)].rstrip()
    deep = len(line) - len(line.lstrip(" "))
    written: re.Match[str] | None = _WORDS.fullmatch(line)
    if written and at < start + written.start(3):
        return ""
    for above in reversed(source[max(0, start - _MAX_ABOVE) : start].split("\n")):
        if written is None and (found := _WORDS.fullmatch(above)) and len(found[1]) < deep:
            written, line = found, ""
        if above.strip() and not above.startswith((" ", "#")):
            return _way_to_write(written, line) if written and _SECTION.match(above) else ""
    return ""


def _way_to_write(written: re.Match[str], line: str) -> str:
    language, text = written[2], written[3].rstrip()
    if text[0] in "|>" and not line:
        return ""
    if not line or len(text) > _MAX_WRITTEN:
        return f"put the text in quotes, or under `{language}: |`"
    plain = not {'"', "\\"} & set(text)
    safe = f'"{text}"' if plain else "'" + text.replace("'", "''") + "'"
    return f"put the text in quotes, {language}: {safe}, or under `{language}: |`"


def _after_colon(source: str, at: int) -> Cause | None:
    """Look for a no-break space behind a colon in the line of a spot, and in the one above."""
    start = source.rfind("\n", 0, at) + 1
    here = _after_colon_of(source, start, at)
    return here or (_after_colon_of(source, start - 1, start - 1) if start else None)


def _in_quotes(source: str, at: int, begun: int) -> Cause | None:
    if not source[at:].strip() or _FENCE.match(source, at - 1):
        hint = "close it, or put the text in the other kind of quotes"
        return begun, "the quote that opens here is not closed", hint
    # Parsers stop at the backslash, behind it, or at the first of its digits.
    slash = source.rfind("\\", begun, at + 1)
    if at - slash <= 2 and (escape := _ESCAPE.match(source, slash)):
        hint = "inside double quotes a backslash is written twice"
        return slash, f"the escape {escape.group()} does not exist", hint
    return None


def _advice(before: str, found: str) -> str:
    """Guess what would be right by what stands before it on its line."""
    if not before.strip():
        return "check the indentation of this line and the ones above"
    if before.rstrip()[-1] in ("'", '"'):
        return "put the whole text in one pair of quotes, of the kind that it does not hold"
    if found == ":" and ": " in before:
        return "put text that holds a colon in quotes"
    if found == ":":
        return "check the indentation, and the line above for a missing colon"
    if found in ("-", "?"):
        return f"put text that starts with {found} in quotes, and a list on lines of its own"
    return "check the quotes, commas and brackets before it"
