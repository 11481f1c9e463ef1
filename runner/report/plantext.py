"""A plan as text for a terminal or a log: what changes first, and each thing cut with a word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.model import Message
from runner.report.entries import Entry
from runner.report.review import Review
from runner.report.samples import Sample, id_words
from runner.wording import plural, printable

_GREEN, _YELLOW, _RED, _BOLD, _FAINT = "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[1m", "\x1b[2m"
_PLAIN = "\x1b[0m"
_GOES = ("planned", "waiting", "outside_window")
_LOUD = {**dict.fromkeys(_GOES, _GREEN), "rejected": _RED}
_LOUD |= {"unknown": _RED, "in_doubt": _RED, "edited": _YELLOW, "late": _YELLOW}
_SIGNS = {"+": _GREEN, "-": _RED, "@": _FAINT}
_MOST_LINES = 12
"""Of a personal text without `-v` or `--row`; of one that is held against the first, fewer."""
_MOST_DIFFERENT = 4
_WIDTH = 400
"""Characters of such a line."""


def plan_lines(review: Review, *, is_coloured: bool = False) -> Iterator[str]:
    """Print the rules and messages that change; warnings and `closing_lines` come behind them."""
    paint = _Paint(is_coloured)
    if review.about.rules:
        yield paint(f"{printable(review.about.rules_title)}:", _BOLD)
        yield from (f"  {printable(rule)}" for rule in review.about.rules)
        yield ""
    for entry in review.shown:
        yield from _entry_lines(entry, review, paint)
        yield ""


def closing_lines(review: Review) -> Iterator[str]:
    """Print what stands as it is, and at the end, where a terminal stays, what it all comes to."""
    yield from map(printable, (*review.notes, *review.about.quota_notes))
    if review.standing:
        more = "" if review.detail.all else " (-v shows them)"
        yield f"{review.standing}{more}."
    yield f"{review.headline}. {review.closing}."


class _Paint:
    """Colours a line that is harmless already, where colours are wanted."""

    def __init__(self, is_coloured: bool) -> None:
        self._is_coloured = is_coloured

    def __call__(self, line: str, colour: str | None) -> str:
        return f"{colour}{line}{_PLAIN}" if self._is_coloured and colour else line


def _entry_lines(entry: Entry, review: Review, paint: _Paint) -> Iterator[str]:
    everything = review.detail.all
    yield paint(f"{printable(entry.name)} ({printable(entry.message.source)})", _BOLD)
    goes = next((each for each in entry.states if each.status in _GOES), None)
    for state in entry.states:
        yield paint(f"  {printable(state.words)}", _LOUD.get(state.status))
        if entry.whom and state is goes:
            ids = id_words(entry.whom, everything=everything)
            yield f"  recipients: {printable(ids)}{' (-v shows all)' if ids.endswith(' more') else ''}"
    yield from (f"  {printable(note)}" for note in entry.notes)
    yield from (paint(f"    {printable(line)}", _SIGNS.get(line[:1])) for line in entry.difference)
    if entry.shows_text:
        yield from _content_lines(entry, review)


def _content_lines(entry: Entry, review: Review) -> Iterator[str]:
    rows = ""
    if len(entry.samples) < entry.rows:
        how = "" if review.detail.row else " (-v all, --row LINE one)"
        rows = f"; {len(entry.samples):,} of {plural(entry.rows, 'row')}{how}"
    yield f"  {printable(entry.facts)}{rows}"
    if not entry.is_personal:
        yield from _text_lines(entry.message)
        return
    is_whole = review.detail.all or review.detail.row is not None
    for sample in entry.samples:
        yield from _sample_lines(sample, None if is_whole else entry.samples[0])


def _sample_lines(sample: Sample, first: Sample | None) -> Iterator[str]:
    """Print a row: whole where there is no `first`, else that first one, and of others what differs."""
    message = sample.message
    named = f"  row {message.row}" + (f", {sample.kind}" if sample.kind else "")
    whom = f", to {', '.join(map(printable, sample.to))}" if sample.to else ""
    if first is None:
        yield f"{named}{whom}:"
        yield from _text_lines(message)
    elif first is sample:
        yield f"{named}{whom}:"
        yield from _cut(list(_text_lines(message)), _MOST_LINES)
    else:
        yield f"{named}{whom}, where it is not as row {first.message.row}:"
        known = set(_text_lines(first.message))
        lines = [line for line in _text_lines(message) if line not in known]
        yield from _cut(lines or ["      (the same words)"], _MOST_DIFFERENT)


def _cut(lines: Sequence[str], most: int) -> Iterator[str]:
    few = lines if len(lines) <= most + 1 else lines[:most]
    for line in few:
        rest = len(line) - _WIDTH
        yield line if rest <= 0 else f"{line[:_WIDTH]}… and {plural(rest, 'character')} more"
    if len(few) < len(lines):
        yield f"      … and {len(lines) - len(few):,} more lines"


def _text_lines(message: Message) -> Iterator[str]:
    for language, text in message.text.items():
        yield f"  {language}: {printable(message.topic.get(language, ''))}".rstrip()
        # Split at line feeds only: whatever else breaks lines is shown as an escape.
        for line in text.rstrip("\n").split("\n"):
            yield f"      | {printable(line)}".rstrip()
