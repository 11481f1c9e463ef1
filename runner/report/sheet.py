"""CSV that a spreadsheet only shows: no cell of it is run as a formula, or by the log of a job."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

from runner.wording import printable

_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20"  # The last four are full-width forms.
# A spreadsheet of another country cuts lines where we see text: behind a semicolon, say, and there a
# quote of ours is none. Blanks, quotes and marks that it passes over may stand between.
_FORMULA = re.compile(rf"((?:^|[,;|\n])(?:\s|\\[trn]|[\"\u200c\u200d\ufe0f])*)(?=[{_SIGNS}])")
_NUMBER = re.compile(r"[-+]?[0-9]+(?:[., ][0-9]+)*\s?%?", re.ASCII)


def sheet(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table of harmless cells as CSV (RFC 4180)."""
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows((columns, *rows))
    return stream.getvalue()


def defused(cell: str) -> str:
    """Put a ' before what a spreadsheet would run, and make the rest printable."""
    lines = [printable(line) for line in cell.replace("\r\n", "\n").split("\n")]
    # The log of a job takes a line that begins so for a command.
    shown = "\n".join(f"'{line}" if line.lstrip().startswith("::") else line for line in lines)
    shown = _FORMULA.sub(r"\1'", shown)
    return f"'{shown}" if shown.startswith(("\n", "\\t", "\\r")) else shown


def is_number(cell: str) -> bool:
    """Whether a cell is nothing but a number, sign or not: it runs nothing."""
    return _NUMBER.fullmatch(cell.strip()) is not None
