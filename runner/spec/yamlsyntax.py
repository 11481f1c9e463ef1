"""Says in our words why a text is not YAML, from the spot where a parser gave up.

What parsers call a mistake differs from one to the next. What stands at the spot does not.
"""

from __future__ import annotations

import re

from runner.wording import quoted

_ESCAPE = re.compile(r"\\(?:[xuU][0-9A-Fa-f]{0,8}|.)")
_FENCE = re.compile(r"\n(?:---|\.\.\.)")
# With these something else than text begins.
_SIGNS = frozenset("@`%*&!|>")


Cause = tuple[int, str, str]
"""The place of a mistake, what it is, and what would be right."""


def explain(source: str, at: int, begun: int) -> Cause:
    """Say why a parser gave up at `at`, in a word or in brackets that begin at `begun`."""
    opening, found = source[begun : begun + 1], source[at : at + 1]
    if opening in ("'", '"') and (cause := _in_quotes(source, at, begun)):
        return cause
    if found == "\t":
        return at, "a tab stands where only spaces may", "indent with spaces"
    for place in (begun, at):
        if source[place : place + 1] in _SIGNS:
            return place, f"text cannot start with {source[place]}", "put it in quotes"
    line = source.count("\n", 0, at) + 1
    if opening in ("[", "{"):
        if source.count("\n", begun, at) or not source[at:].strip():
            hint = "close it, or check the quotes and commas of that line"
            return begun, f"the bracket that opens here is still open in line {line}", hint
    elif begun < at:
        hint = "write `key: text`, and check for a quote left open above"
        return begun, "no colon follows this key", hint
    what = f"{quoted(found)} cannot stand here" if found.strip() else "something is missing here"
    return at, what, _advice(source[:at].rpartition("\n")[2], found)


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
