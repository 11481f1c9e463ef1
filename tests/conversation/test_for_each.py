from __future__ import annotations

import json
import os
from itertools import islice
from pathlib import Path

import pytest
from support import Project, reached, threads

from runner.emulator import Emulator
from runner.errors import MessagesError
from runner.spec.datafile import MAX_BYTES, MAX_JSON_BYTES
from runner.spec.table import MAX_ROWS, load_rows

from .talk import SECRET, asked, complaints, per_row, planned, sent_ok, spec, texts

PEOPLE = [
    {"toloker_id": "ann", "name": "Ann", "amount": "5"},
    {"toloker_id": "0123", "name": "Žofie, the 2nd", "amount": "7.50"},
]
CSV = 'toloker_id,name,amount\nann,Ann,5\n0123,"Žofie, the 2nd",7.50\n'
JSON = json.dumps(PEOPLE, ensure_ascii=False)
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in PEOPLE)


FORMS: dict[str, tuple[str, bytes]] = {
    "csv": ("csv", CSV.encode()),
    "bom": ("csv", CSV.encode("utf-8-sig")),
    "crlf": ("csv", CSV.replace("\n", "\r\n").encode()),
    "spaces": ("csv", CSV.replace("toloker_id,name", " toloker_id ,\tname ").encode()),
    "no-end": ("csv", CSV.replace("7.50\n", "7.50").encode()),
    "json": ("json", JSON.encode("utf-8-sig")),
    "json-crlf": ("json", json.dumps(PEOPLE, indent=2).replace("\n", "\r\n").encode()),
    "lines": ("jsonl", LINES.encode()),
    "lines-crlf": ("jsonl", LINES.replace("\n", "\r\n\r\n").encode("utf-8-sig")),
}


def test_each_row_is_a_thread_of_its_own_in_every_form_of_file(
    project: Project, emulator: Emulator
) -> None:
    for name, (ending, data) in FORMS.items():
        project.write(f"messages/{name}.yaml", per_row(f"{name}.{ending}", topic={"EN": name}))
        project.write(f"messages/{name}.{ending}", data)
    assert sent_ok(project, emulator) == {"sent": 2 * len(FORMS)}
    found: dict[str, dict[str, str]] = {name: {} for name in FORMS}
    for each in threads(emulator):
        (toloker,) = each["compose_details"]["recipients_ids"]
        found[each["topic"]["EN"]][toloker] = each["messages"][0]["text"]["EN"]
    wanted = {"ann": "Ann gets 5.", "0123": "Žofie, the 2nd gets 7.50."}
    assert found == dict.fromkeys(FORMS, wanted)


def test_a_row_is_row_in_every_template(project: Project, emulator: Emulator) -> None:
    project.write("messages/_partials/sign.j2", "{{ row.keys }} of {{ team }}\n")
    text = "{{ row.items }} {{ row.values | upper }} {% include 'sign.j2' %}"
    changes = {"topic": {"EN": "{{ row.keys }}"}, "recipients_ids": ["{{ row.items }}"]}
    project.write("messages/a.yaml", per_row("a.csv", text, variables={"team": "Us"}, **changes))
    project.write("messages/a.csv", "items,keys,values\nann,1,x\n")
    assert sent_ok(project, emulator) == {"sent": 1}
    assert texts(emulator) == {"ann": "ann X 1 of Us"}


def test_rows_of_json_are_nested_and_keep_their_types(project: Project, emulator: Emulator) -> None:
    row = {
        "people": ["ann", "bob"],
        "home": {"city": "Oslo"},
        "paid": [1.5, 2],
        "is_new": False,
        "note": None,
    }
    text = (
        "{{ row.home.city }} {{ row.paid | sum }} {{ row['paid'][1] }} "
        "{{ 'new' if row.is_new else 'old' }} {{ 'no note' if row.note is none }}"
    )
    form = per_row("a.jsonl", text, recipients_ids="{{ row.people }}")
    project.write("messages/a.yaml", form)
    project.write("messages/a.jsonl", json.dumps(row))
    assert sent_ok(project, emulator) == {"sent": 1}
    assert texts(emulator) == dict.fromkeys(["ann", "bob"], "Oslo 3.5 2 old no note")


def test_a_quoted_line_end_arrives_and_lines_are_still_counted(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", per_row("a.csv"))
    good = 'toloker_id,name,amount\r\nann,"Ann\r\nLee ""Jr""",5\r\n\r\n'
    project.write("messages/a.csv", good + "bob,Bob\r\n")
    done = project.run("validate")
    assert (done.code, complaints(done.out)) == (
        3,
        [
            "messages/a.csv:5:1: error: the row has 2 fields and the header 3; "
            "write each field, an empty one too",
        ],
    )
    project.write("messages/a.csv", good)
    sent_ok(project, emulator)
    assert texts(emulator) == {"ann": 'Ann\nLee "Jr" gets 5.'}


EMPTY = "error: the file has no rows; add a row, or a `draft: true`"
# What stands in the data file, and the one complaint that it makes.
BAD_FILES: dict[str, tuple[str, str | bytes, str]] = {
    "blank": ("csv", f"toloker_id,,name,amount\n{SECRET},x,y,z\n", "2:1: error: a column of the header has no name, and this row has something in it; name every column"),
    "duplicate": ("csv", f"toloker_id,{SECRET}, {SECRET} \na,b,c\n", "1:1: error: two columns of the header have one name; give each its own"),
    "short": ("csv", f"toloker_id,name,amount\na,b,1\n{SECRET},{SECRET}\n", "3:1: error: the row has 2 fields and the header 3; write each field, an empty one too"),
    "long": ("csv", f"toloker_id,name,amount\na,b,1,{SECRET}\n", "2:1: error: the row has 4 fields and the header 3; put a field that holds the separator in double quotes"),
    "nothing": ("csv", "", "1:1: error: the file has no header; name the columns in the first line"),
    "unnamed": ("csv", f",,\n{SECRET},b,1\n", "1:1: error: the file has no header; name the columns in the first line"),
    "quotes": ("csv", f'toloker_id,name,amount\n"{SECRET}"x,b,1\n', '2:1: error: this is not CSV: a quote is not closed, or stands inside a field; close it, or write it twice: "the ""best"" one"'),
    "nul-character": ("csv", f"toloker_id,name,amount\na,{SECRET}\0,1\n", "2:9: error: a zero byte (U+0000), as in UTF-16; save it as UTF-8 (in Excel: CSV UTF-8)"),
    "latin": ("csv", f"toloker_id,name,amount\na,{SECRET}é,1\n".encode("latin-1"), "2:9: error: this is not UTF-8, and looks like a Windows code page; save it as UTF-8 (in Excel: CSV UTF-8)"),
    "no-list": ("json", f'{{"name": "{SECRET}"}}', "1:1: error: this is not a list; write a JSON list of objects: [{...}, ...]"),
    "no-object": ("json", f'[{{"toloker_id": "a", "name": "b", "amount": 1}}, "{SECRET}"]', "1:1: error: item 2 is not an object; write {...} for each row"),
    "no-json": ("json", f'[\n{{"name": "{SECRET}"\n"x"]', "3:1: error: this is not JSON from here on; check the quotes, commas and brackets"),
    "twice": ("json", f'[{{"{SECRET}": 1, "{SECRET}": 2}}]', "1:1: error: an object has one name twice"),
    "endless": ("json", "[{\"amount\": Infinity}]", "1:1: error: Infinity is not JSON"),
    "lines": ("jsonl", f'{{"toloker_id": "a", "name": "b", "amount": 1}}\n\n["{SECRET}"]\n', "3:1: error: this line is not an object; write {...} on each line"),
    "bell": ("csv", f"toloker_id,name,amount\na,{SECRET}\x07,1\n", "2:9: error: the character U+0007 is not allowed here; remove it"),
    "torn": ("jsonl", f'{{"toloker_id": "a", "name": "b", "amount": 1}}\n{{"name": "{SECRET}\n', "2:17: error: this is not JSON from here on; check the quotes, commas and brackets"),
}  # fmt: skip


def test_a_bad_data_file_is_complained_of_at_its_line_and_never_quoted(project: Project) -> None:
    for name, (ending, data, _) in BAD_FILES.items():
        project.write(f"messages/{name}.yaml", per_row(f"{name}.{ending}"))
        project.write(f"messages/{name}.{ending}", data)
    empty = {"e1": ("csv", "toloker_id\n\n"), "e2": ("json", "[]"), "e3": ("jsonl", "\n \n")}
    for name, (ending, data) in empty.items():
        project.write(f"messages/{name}.yaml", per_row(f"{name}.{ending}"))
        project.write(f"messages/{name}.{ending}", data)
    done = project.run("validate")
    wanted = [f"messages/{name}.{each[0]}:{each[2]}" for name, each in BAD_FILES.items()]
    wanted += [f"messages/{name}.yaml:5:11: {EMPTY}" for name in empty]
    assert done.code == 3
    assert sorted(complaints(done.out)) == sorted(wanted)
    assert SECRET not in done.out + done.err


# What a row or its template holds, and the complaint: at the template, with the row beside it.
ROW = "(row messages/a.csv:4)"
BAD_ROWS = {
    "{{ row.nmae }}": (f"x,{SECRET},1", f'2:22: error: template: there is no "nmae" in this {ROW}; did you mean "name"?'),
    "{{ row.name }}": ("x,,1", f"2:15: error: template: the cell of name is empty: fill it, or delete the row; if it may be empty, test it with `if`, or give its column `required: false` or a `default` {ROW}"),
    "Hi {{ 1 // (row.amount | int) }}": (f"x,{SECRET},0", f"2:18: error: template: this divides by zero {ROW}"),
    "Hi {{ row.amount + 1 }}": (f"x,{SECRET},{SECRET}", f"2:18: error: template: this calculates with text and a number, or compares them {ROW}; cells are text: `columns: {{amount: integer}}` makes numbers of them, and so do |int and |float"),
    "Hi": (f"{SECRET} x,n,1", f"4:18: error: this is not an id: it holds a space (U+0020) {ROW}; an id has 1 to 64 letters, digits, - and _, and nothing around it"),
}  # fmt: skip


@pytest.mark.parametrize("text", BAD_ROWS)
def test_a_row_that_does_not_render_is_named_beside_the_template(
    project: Project, text: str
) -> None:
    row, wanted = BAD_ROWS[text]
    # Without the good rows before it, a mistake of every row would do as well.
    good = "" if "nmae" in text or "+ 1" in text else "a,n,1\nb,n,2\n"
    ids = ["{{ row.toloker_id }}"]
    project.write("messages/a.yaml", per_row("a.csv", text, recipients_ids=ids))
    lines = good or "\n\n"
    project.write("messages/a.csv", f"toloker_id,name,amount\n{lines}{row}\n")
    done = project.run("plan")
    assert (done.code, complaints(done.err)) == (3, [f"messages/a.yaml:{wanted}"])
    assert SECRET not in done.out + done.err


@pytest.mark.parametrize(
    "text",
    [
        "{% include row.name %}",
        "{{ {}[row.name] }}",
        "{{ {}[row.name | upper] }}",
        "{{ {}[row.name | length * 1000003] }}",
        "{{ ['a'] | select(row.name) | list }}",
        "{{ ('{' ~ row.name ~ '}').format() }}",
        "{{ row.name.encode('ascii') }}",
        "{{ row[row.name] }}",
        "{{ 'a' | attr(row.name) }}",
    ],
)
def test_no_template_can_make_a_complaint_quote_a_row(project: Project, text: str) -> None:
    project.write("messages/a.yaml", per_row("a.csv", text))
    project.write("messages/a.csv", f"toloker_id,name\na,{SECRET}é\n")
    done = project.run("validate")
    assert done.code == 3
    assert "messages/a.yaml:2:15: error: " in done.out
    assert "(row messages/a.csv:2)" in done.out
    assert SECRET not in (done.out + done.err).lower()
    assert "7000021" not in done.out


def test_a_word_of_the_template_itself_is_still_quoted(project: Project) -> None:
    project.write("messages/_partials/sign.j2", "Bye {{ row.gone }}\n")
    project.write("messages/a.yaml", per_row("a.csv", "{% include 'sign.j2' %}"))
    project.write("messages/a.csv", "toloker_id\na\n")
    assert complaints(project.run("validate").out) == [
        'messages/_partials/sign.j2:1:1: error: template: there is no "gone" in this '
        '(row messages/a.csv:2); the row has "toloker_id"'
    ]


def test_one_toloker_in_two_rows_is_refused_with_both_rows(project: Project) -> None:
    project.write("messages/a.yaml", per_row("a.csv"))
    project.write("messages/a.csv", f"toloker_id,name,amount\n{SECRET},x,1\nb,y,2\n{SECRET},z,3\n")
    done = project.run("validate")
    assert (done.code, complaints(done.out)) == (
        3,
        [
            "messages/a.yaml:4:17: error: one Toloker is in two rows: messages/a.csv:2 and "
            "messages/a.csv:4; for several letters to one, say what tells them apart: "
            'key: "{{ row.assignment }}"',
        ],
    )


def test_a_key_tells_several_letters_to_one_toloker_apart(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", per_row("a.csv", key="{{ row.task }}"))
    rows = "toloker_id,name,amount,task\nann,Ann,5,t-1\nANN,Ann,6,t-2\nbob,Bob,5,t-1\n"
    project.write("messages/a.csv", rows)
    shown = project.run("plan", "--out", "plan.json")
    assert "3 threads to 2 Tolokers, one for each row" in shown.out
    assert sent_ok(project, emulator) == {"sent": 3}
    listed = asked(project, "status", emulator).out
    assert listed.splitlines()[1].split()[:3] == ["a", "3", "2"]
    assert "by id" not in listed
    claimed = [
        row
        for each in project.events(emulator)
        if each["event"] in ("intent", "claim")
        for row in ([each["key"]] if each["event"] == "intent" else each["rows"])
    ]
    assert sorted(row.split(" ")[-1] for row in claimed) == ["t-1", "t-1", "t-2"]
    plan = json.loads((project.root / "plan.json").read_text())
    assert plan["messages"][0]["recipients"] == 2
    keys = [each["key"] for each in plan["messages"][0]["deliveries"]]
    assert keys == ["t-1", "t-2", "t-1"]
    # One more letter is sent alone, whatever case the id and the key have.
    project.write(
        "messages/a.csv", rows.replace("ann,", "Ann,").replace("t-2", "T-2") + "Ann,Ann,7,t-3\n"
    )
    assert sent_ok(project, emulator) == {"already_sent": 3, "sent": 1}
    # Toloka's list knows them by their words.
    project.manifest(emulator).unlink()
    assert sent_ok(project, emulator) == {"adopted": 4}
    assert reached(emulator) == ["ANN", "Ann", "ann", "bob"]


def test_a_mistake_in_every_row_is_told_once(project: Project) -> None:
    project.write("messages/a.yaml", per_row("a.csv", "{{ row.nmae }}"))
    project.write("messages/a.csv", "toloker_id\n" + "".join(f"t{n}\n" for n in range(5000)))
    done = project.run("validate")
    assert done.code == 3
    assert done.err == "1 problem in 1 file\n"
    (said,) = complaints(done.out)
    assert "(row messages/a.csv:2 and at least 2,499 more)" in said


def test_rows_added_later_are_sent_alone(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", per_row("a.csv"))
    project.write("messages/a.csv", "toloker_id,name,amount\nann,Ann,5\n")
    assert sent_ok(project, emulator) == {"sent": 1}
    project.write("messages/a.csv", "toloker_id,name,amount\nbob,Bob,6\nann,Ann,5\ncyd,Cyd,7\n")
    assert sent_ok(project, emulator) == {"already_sent": 1, "sent": 2}
    assert texts(emulator) == {"ann": "Ann gets 5.", "bob": "Bob gets 6.", "cyd": "Cyd gets 7."}
    # A row that is gone is forgotten, and one that comes back is known.
    project.write("messages/a.csv", "toloker_id,name,amount\nbob,Bob,6\n")
    assert sent_ok(project, emulator) == {"already_sent": 1}
    project.write("messages/a.csv", "toloker_id,name,amount\nbob,Bob,6\nann,Ann,5\n")
    assert sent_ok(project, emulator) == {"already_sent": 2}
    assert reached(emulator) == ["ann", "bob", "cyd"]


def test_an_edited_row_is_told_and_not_sent_again(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", per_row("a.csv"))
    project.write("messages/a.csv", "toloker_id,name,amount\nann,Ann,5\nbob,Bob,6\n")
    sent_ok(project, emulator)
    project.write("messages/a.csv", "toloker_id,name,amount\nann,Ann,5\nbob,Bob,60\n")
    dry = planned(project, emulator)
    edited = "edited: 1 Toloker has the old text; `revision: 2` would send it again, to all 2"
    assert (dry.code, dry.out.splitlines()[:3]) == (
        0,
        ["a (messages/a.yaml)", "  already sent (1 Toloker)", f"  {edited}"],
    )
    done = project.send(emulator)
    assert (done.code, done.err.splitlines()[-1]) == (
        0,
        "edited: a to bob: who has it is not written to again; `revision: 2` would do so",
    )
    assert texts(emulator) == {"ann": "Ann gets 5.", "bob": "Bob gets 6."}
    project.write("messages/a.yaml", per_row("a.csv", revision=2))
    assert sent_ok(project, emulator) == {"sent": 2}
    assert reached(emulator) == ["ann", "ann", "bob", "bob"]


def test_a_limit_counts_rows_and_the_next_run_goes_on(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", per_row("a.csv", "Hi"))
    project.write("messages/a.csv", "toloker_id\n" + "".join(f"t{n}\n" for n in range(5)))
    assert sent_ok(project, emulator, "--limit", "2") == {"sent": 2, "not_tried": 3}
    assert sent_ok(project, emulator) == {"sent": 3, "already_sent": 2}
    assert reached(emulator) == ["t0", "t1", "t2", "t3", "t4"]


def test_the_plan_shows_the_first_the_longest_and_the_shortest_row(project: Project) -> None:
    project.write("messages/a.yaml", per_row("a.csv", "Hi {{ row.name }}"))
    project.write("messages/a.csv", "toloker_id,name\na,Ann\nb,Bartholomew\nc,Cy\nd,Dan\n")
    assert project.run("plan").out == (
        "a (messages/a.yaml)\n"
        "  would send 4 threads to 4 Tolokers, one for each row\n"
        "  recipients: a, b, c, d\n"
        "  languages: EN; answerable: yes; 3 of 4 rows (-v all, --row LINE one)\n"
        "  row 2, first, to a:\n  EN: Your bonus\n      | Hi Ann\n"
        "  row 3, longest, to b, where it is not as row 2:\n      | Hi Bartholomew\n"
        "  row 4, shortest, to c, where it is not as row 2:\n      | Hi Cy\n"
        "\nWould send 4 threads. Nothing was sent.\n"
    )


def _out_of_reach(project: Project) -> dict[str, str]:
    """Make files that a message may not name; gives each name with the reason."""
    here, csv = "messages/deep", f"toloker_id\n{SECRET}\n"
    relative = "write a path relative to this file, with forward slashes"
    hidden = "a data file has no hidden or _ part in its path"
    link = "a link is not followed: put the file itself here"
    project.write("outside.csv", csv)
    project.write(f"{here}/_private.csv", csv)
    project.write(f"{here}/.hidden.csv", csv)
    project.write(f"{here}/_private/rows.csv", csv)
    project.write("messages/.git/rows.csv", csv)
    project.write(f"{here}/real.csv", csv)
    project.write("linked/rows.csv", csv)
    (project.root / here / "folder.csv").mkdir()
    (project.root / here / "link.csv").symlink_to(project.root / "outside.csv")
    (project.root / here / "near.csv").symlink_to("real.csv")
    (project.root / here / "lost.csv").symlink_to("nowhere.csv")
    (project.root / here / "linked").symlink_to(project.root / "linked")
    absolute = project.write("absolute.csv", csv).as_posix()
    return {
        absolute: relative,
        "C:rows.csv": relative,
        "..\\deep\\real.csv": relative,
        "file:real.csv": relative,
        "../../outside.csv": "a data file lives under messages",
        "../../messages/../outside.csv": "a data file lives under messages",
        "_private.csv": hidden,
        ".hidden.csv": hidden,
        "_private/rows.csv": hidden,
        "../.git/rows.csv": hidden,
        "link.csv": link,
        "near.csv": link,
        "lost.csv": link,
        "linked/rows.csv": link,
        "folder.csv": "there is no file messages/deep/folder.csv",
        "zzzzzzzzzz.csv": "there is no file messages/deep/zzzzzzzzzz.csv",
        "REAL/../zzzzzzzzzz.csv": "there is no file messages/deep/zzzzzzzzzz.csv",
    }


@pytest.mark.parametrize("key", ["for_each", "recipients_file"])
def test_a_file_out_of_reach_is_refused_and_not_read(project: Project, key: str) -> None:
    wanted = [
        "messages/deep/linked:1:1: warning: this is a link to a folder, and is not followed; "
        "put the folder itself here, or begin its name with _"
    ]
    for number, (name, reason) in enumerate(_out_of_reach(project).items()):
        form = {
            "topic": {"EN": "Hi"},
            "text": {"EN": "Hi"},
            "recipients_select_type": "DIRECT",
            **({"recipients_ids": ["{{ row.toloker_id }}"]} if key == "for_each" else {}),
        }
        project.write(f"messages/deep/m{number}.yaml", spec(**form, **{key: name}))
        place = f"messages/deep/m{number}.yaml:{len(form) + 1}:{len(key) + 3}"
        wanted.append(f"{place}: error: `{key}` names no file that can be used; {reason}")
    done = project.run("validate")
    assert done.code == 3
    assert sorted(complaints(done.out)) == sorted(wanted)
    assert SECRET not in done.out + done.err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_no_data_file(project: Project) -> None:
    # Reading it would wait for ever.
    project.write("messages/a.yaml", per_row("a.csv"))
    os.mkfifo(project.root / "messages" / "a.csv")
    done = project.run("validate")
    assert (done.code, complaints(done.out)) == (
        3,
        [
            "messages/a.yaml:5:11: error: `for_each` names no file that can be used; "
            "there is no file messages/a.csv",
        ],
    )


def test_a_project_may_itself_be_reached_through_a_link(
    project: Project, tmp_path: Path, emulator: Emulator
) -> None:
    project.write("messages/a.yaml", per_row("sub/../data/a.csv", "Hi"))
    project.write("messages/data/a.csv", "toloker_id\nann\n")
    (tmp_path / "alias").symlink_to(project.root)
    assert sent_ok(Project(tmp_path / "alias"), emulator) == {"sent": 1}


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as stream:
        stream.truncate(size)


@pytest.mark.parametrize(
    ("name", "size", "hint"),
    [
        ("a.csv", MAX_BYTES, "split it up"),
        ("a.jsonl", MAX_BYTES, "split it up"),
        ("a.json", MAX_JSON_BYTES, "write one object a line, in a .jsonl file"),
    ],
)
def test_a_file_that_is_too_large_is_refused_unread(
    project: Project, name: str, size: int, hint: str
) -> None:
    project.write("messages/a.yaml", per_row(name))
    _sparse(project.root / "messages" / name, size + 1)
    done = project.run("validate")
    wanted = f"the file is larger than {size // 1024**2} MiB; {hint}"
    assert (done.code, complaints(done.out)) == (3, [f"messages/{name}:1:1: error: {wanted}"])


def test_there_are_as_many_rows_at_most_as_a_day_takes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a\n" + "1\n" * (MAX_ROWS + 1))
    rows = load_rows(path)
    assert sum(1 for _ in islice(rows, MAX_ROWS)) == MAX_ROWS
    with pytest.raises(MessagesError) as caught:
        next(rows)
    (problem,) = caught.value.problems
    assert (problem.where.line, problem.what) == (MAX_ROWS + 2, "more than 100,000 rows")
