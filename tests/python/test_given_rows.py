"""Rows that a program gives: what their cells may be, their addresses, and the file of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, timezone
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest
from support import Project, direct

import runner
from runner.api.rows import Form, file_text, take_rows
from runner.spec.columns import columns_in
from runner.spec.table import load_rows

COLUMNS = columns_in(
    {
        "whole": "integer",
        "amount": "number",
        "euro": {"type": "number", "decimal": ",", "unit": "€"},
        "paid": "boolean",
        "ja": {"type": "boolean", "yes": ["ja"], "no": ["nein"]},
        "due": "date",
        "tag": {"type": "date", "format": "%d.%m.%Y"},
        "at": "datetime",
    }
)


def form(*, as_text: bool = False) -> Form:
    return Form(columns=COLUMNS, ids=frozenset({"toloker_id"}), as_text=as_text)


class Grade(IntEnum):
    GOOD = 4


NOON = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
CELLS: list[tuple[str, Any, object, str]] = [
    # The column, the value, and what a JSON file and a CSV file hold of it.
    ("name", "Ann", "Ann", "Ann"),
    ("name", None, None, ""),
    ("name", float("nan"), None, ""),
    ("name", Decimal("nan"), None, ""),
    ("name", Grade.GOOD, 4, "4"),
    ("name", 12.5, 12.5, "12.5"),
    ("name", 1e-7, 0.0000001, "0.0000001"),
    ("name", Decimal("10.50"), 10.50, "10.50"),
    ("name", True, True, "true"),
    ("whole", 3.0, 3, "3"),
    ("whole", float("nan"), None, ""),
    ("amount", 3.0, 3, "3"),
    ("amount", Decimal("1e3"), 1000, "1000"),
    ("euro", 1250.5, 1250.5, "1250,5"),
    ("paid", False, False, "false"),
    ("ja", True, True, "ja"),
    ("due", date(2026, 5, 1), "2026-05-01", "2026-05-01"),
    ("due", datetime(2026, 5, 1), "2026-05-01", "2026-05-01"),  # noqa: DTZ001  (as pandas gives it)
    ("tag", date(2026, 5, 1), "01.05.2026", "01.05.2026"),
    ("at", NOON, "2026-05-01T12:00:00+00:00", "2026-05-01T12:00:00+00:00"),
    ("toloker_id", "0012", "0012", "0012"),
    ("toloker_id", None, None, ""),
]


@pytest.mark.parametrize(("column", "value", "as_json", "as_text"), CELLS)
def test_a_cell_is_what_the_file_would_hold(
    column: str, value: object, as_json: object, as_text: str
) -> None:
    [line] = take_rows([{column: value}], form()).lines
    assert json.loads(line) == {column: as_json}
    [line] = take_rows([{column: value}], form(as_text=True)).lines
    assert json.loads(line) == {column: as_text}


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("name", 3.0, "3.0 may stand for 3"),
        ("amount", 0.1 + 0.2, "more than 15 digits"),
        ("amount", float("inf"), "has no end"),
        ("name", date(2026, 5, 1), "a date or a datetime"),
        ("due", NOON, "a time of day"),
        ("at", datetime(2026, 5, 1, 12), "needs its zone"),  # noqa: DTZ001  (that is the point)
        ("at", date(2026, 5, 1), "needs its zone"),
        ("name", b"Ann", "a bytes is nothing"),
        ("name", {1: 2}, "a name in it is no text"),
        ("toloker_id", 12, "an id is text"),
    ],
)
def test_a_cell_that_could_be_read_in_two_ways_is_refused_by_its_address(
    column: str, value: object, words: str
) -> None:
    with pytest.raises(runner.MessagesError, match=words) as failed:
        take_rows([{"a": "b"}, {column: value}], form())
    assert [str(each.where) for each in failed.value.problems] == [f'rows[1]["{column}"]']


def test_what_is_no_row_is_told_how_a_frame_gives_them() -> None:
    with pytest.raises(runner.MessagesError, match=r'rows\[0\]: .*to_dict\("records"\)'):
        take_rows("ab", form())


ROWS: list[Mapping[str, object]] = [
    {
        "toloker_id": "1",
        "text": 'a "quoted", one\nwith a line; and more',
        "whole": 3.0,
        "euro": 0.5,
    },
    {"toloker_id": "2", "text": " =1+1 ", "paid": True, "due": date(2026, 5, 1), "extra": "é"},
]


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.json", "rows.jsonl"])
def test_the_file_of_rows_holds_what_was_planned(tmp_path: Path, name: str) -> None:
    is_text = name.endswith("sv")
    rows = take_rows(ROWS, form(as_text=is_text))
    path = tmp_path / name
    path.write_bytes(file_text(rows, path).encode())
    known = frozenset({"toloker_id", *COLUMNS})
    empty = {} if not is_text else dict.fromkeys(key for row in ROWS for key in row)
    kept = [{**dict.fromkeys(empty, ""), **row.values} for row in load_rows(rows, known)]
    assert [dict(row.values) for row in load_rows(path, known)] == kept


BONUS = """\
topic: {EN: "Your bonus"}
text: {EN: "Hello {{ row.name }}, {{ row.amount|number }} dollars."}
recipients_select_type: DIRECT
recipients_ids: ["{{ row.toloker_id }}"]
for_each: may.csv
columns: {amount: number}
"""
MAY = [
    {"toloker_id": "t1", "name": "Ann", "amount": 12.5},
    {"toloker_id": "t2", "name": "Bo", "amount": Decimal("0.50")},
]


def test_what_is_planned_with_rows_is_what_the_written_file_sends(project: Project) -> None:
    project.write("messages/bonus/may.yaml", BONUS)
    it = runner.project("local", project.root)
    given = it.plan(it.message("bonus/may", rows=(dict(row) for row in MAY)))
    assert not (project.root / "messages/bonus/may.csv").exists()
    written = it.write("bonus/may", MAY)
    assert written.read_text() == "toloker_id,name,amount\nt1,Ann,12.5\nt2,Bo,0.50\n"
    assert [each.digest for each in it.plan()] == [each.digest for each in given]
    assert given.send(expect=2).exit_code == 0
    assert project.run("send").out.startswith("Nothing new was sent: 2 already sent")


@pytest.mark.some(2)
@pytest.mark.parametrize(
    ("rows", "where", "words"),
    [
        ([{**MAY[0], "amount": "lots"}], 'rows[0]["amount"]', "is no number"),
        ([MAY[0], {**MAY[1], "name": None}], "messages/bonus/may.yaml:2:19", "row rows[1]"),
        ([MAY[0], MAY[0]], "messages/bonus/may.yaml:4:17", "rows[0] and rows[1]"),
        ([], "messages/bonus/may.yaml:5:11", "no rows"),
    ],
)
def test_what_rows_make_of_a_message_has_an_address_and_writes_nothing(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[Mapping[str, object]],
    where: str,
    words: str,
) -> None:
    monkeypatch.chdir(project.root)
    project.write("messages/bonus/may.yaml", BONUS)
    it = runner.project("local")
    for attempt in (
        lambda: it.plan(it.message("bonus/may", rows)),
        lambda: it.write("bonus/may", rows),
    ):
        with pytest.raises(runner.MessagesError) as failed:
            attempt()
        [problem] = failed.value.problems
        assert (str(problem.where), words in problem.what) == (where, True), problem
    assert not (project.root / "messages/bonus/may.csv").exists()


def test_rows_of_several_messages_are_told_apart(project: Project) -> None:
    project.write("messages/bonus/may.yaml", BONUS)
    project.write("messages/bonus/june.yaml", BONUS.replace("bonus", "June"))
    it = runner.project("local", project.root)
    bad = [{**MAY[0], "amount": "lots"}]
    with pytest.raises(runner.MessagesError, match=r'june\.yaml rows\[0\]\["amount"\]'):
        it.plan(it.message("bonus/may", MAY), it.message("bonus/june", bad))


def test_rows_need_a_message_that_takes_them(project: Project) -> None:
    project.write("messages/hello.yaml", direct("t1"))
    it = runner.project("local", project.root)
    with pytest.raises(runner.MessagesError, match="no `for_each`"):
        it.message("hello", MAY)
    with pytest.raises(runner.SurroundingsError, match="did you mean hello"):
        it.message("helo", MAY)
