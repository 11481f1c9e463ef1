"""Deliveries as CSV: a row for each Toloker of each, and what is to be mended with its own columns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from runner import clock
from runner.manifest.history import History
from runner.manifest.standing import Standing
from runner.manifest.told import lead
from runner.model import reached_as
from runner.report.sheet import defused, is_number, sheet

COLUMNS = (
    "message", "revision", "toloker_id", "key", "status", "thread_id", "at", "error", "delivery",
)  # fmt: skip
Origins = Mapping[tuple[str, str], Mapping[str, object]]
"""The rows of data files, by the message that they make and what it reaches at most once."""


def deliveries_csv(
    chosen: Sequence[Standing], history: History, origins: Origins
) -> tuple[str, int]:
    """Write what was chosen; gives also how many cells had to be changed to be harmless.

    With the columns of their rows, where those are known, it is a data file for the same message:
    of two columns with one name, the row's own stays.
    """
    rows = [origins.get((each.message, key_of(each)), {}) for each in chosen]
    names = list(dict.fromkeys(name for row in rows for name in row))
    ours = [name for name in COLUMNS if name not in set(map(_folded, names))]
    leads = {each.delivery: lead(each, history) for each in history.unknown}
    table, changed = [], 0
    for standing, row in zip(chosen, rows, strict=True):
        values = _values(standing, leads)
        others = values if not row else {}
        cells = [_text(row.get(name, others.get(_folded(name)))) for name in names]
        table.append([*(defused(values[name]) for name in ours), *map(_harmless, cells)])
        changed += sum(_harmless(cell) != cell for cell in cells)
    return sheet((*map(defused, (*ours, *names)),), table), changed


def key_of(standing: Standing) -> str:
    """What a row is found by: its Toloker with the key, or the thread that it goes into."""
    if standing.toloker is None:
        return standing.in_thread or ""
    return reached_as(standing.toloker, standing.row.key)


def _values(standing: Standing, leads: Mapping[str, str]) -> dict[str, str]:
    row = standing.row
    values = (
        standing.message,
        str(standing.revision),
        standing.toloker or "",
        row.key or "",
        standing.status,
        standing.thread_id or standing.in_thread or "",
        clock.written(row.at),
        leads.get(standing.delivery) or standing.error or "",
        standing.delivery,
    )
    return dict(zip(COLUMNS, values, strict=True))


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


def _harmless(cell: str) -> str:
    # A number runs nothing, and has to stay one.
    return cell if is_number(cell) else defused(cell)


def _text(value: object) -> str:
    """A cell as a data file has it: text as it is, and what JSON holds besides."""
    if isinstance(value, (bool, list, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return "" if value is None else str(value)
