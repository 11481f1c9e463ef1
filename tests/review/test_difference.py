"""What a digest stands for, kept in the manifest, and an edited message shown as a difference."""

from __future__ import annotations

import re
from typing import Any

from jsonschema import Draft7Validator
from support import Project, control, direct, load_schema, threads

from runner.emulator import Emulator

QUICK = ("--settle", "0.05")
CONDITION = "{category: skill, key: '224', operator: GTE, value: %s}"
ROWS = """\
topic: {EN: Your bonus}
text:
  EN: |
    Hello {{ row.name }},
    you get {{ row.amount }}%s.
recipients_select_type: DIRECT
recipients_ids: ["{{ row.toloker_id }}"]
for_each: rows.csv
"""


def contents(project: Project, emulator: Emulator) -> list[dict[str, Any]]:
    found = [each for each in project.events(emulator) if each["event"] == "content"]
    validator = Draft7Validator(load_schema("manifest"))
    for each in found:
        assert [error.message for error in validator.iter_errors(each)] == []
        each.pop("at")
    return found


def send(project: Project, emulator: Emulator, *args: str) -> None:
    shown = project.send(emulator, *QUICK, *args)
    assert shown.code == 0, shown.err


def difference(project: Project, emulator: Emulator) -> str:
    """What `plan` shows of it; its summary shows the same."""
    shown = project.run("plan", "--target", emulator.url, "--summary", "summary.md")
    assert shown.code == 0, shown.err
    lines = [line[4:] for line in shown.out.splitlines() if line.startswith("    ")]
    wanted = [line for line in lines if not line.startswith("  |")]
    summary = (project.root / "summary.md").read_text()
    assert bool(re.search(r"\d of \d rows?:", summary)) == ("\n  row " in shown.out)
    (project.root / "summary.md").unlink()
    if wanted:
        assert "\n".join(["```diff", *wanted, "```"]) in summary
    else:
        assert "```diff" not in summary
    return "\n".join(wanted)


def test_the_words_of_each_digest_are_kept_once(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", direct(*(f"t{each}" for each in range(150))))
    project.write(
        "messages/b.yaml",
        "topic: {EN: B}\ntext: {EN: News, RU: Новости}\nrecipients_select_type: FILTER\n"
        f"recipients_filter: {CONDITION % 80}\nanswerable: false\n".replace(
            "{EN: B}", "{EN: B, RU: Б}"
        ),
    )
    send(project, emulator)
    project.write("messages/r.yaml", 'reply_to: a\ntext: {EN: "And again."}\n')
    send(project, emulator)
    send(project, emulator)
    found = contents(project, emulator)
    digests = {each["digest"] for each in project.events(emulator) if each["event"] == "intent"}
    assert {each.pop("digest") for each in found} == digests
    tree = {"and": [{"category": "skill", "key": "224", "operator": "GTE", "value": 80}]}
    first = {"event": "content", "topic": {"EN": "Thank you!"}, "text": {"EN": "Amazing job!"}}
    assert found == [
        {**first, "answerable": True, "recipients_select_type": "DIRECT"},
        {
            "event": "content",
            "topic": {"EN": "B", "RU": "Б"},
            "text": {"EN": "News", "RU": "Новости"},
            "answerable": False,
            "recipients_select_type": "FILTER",
            "recipients_filter": tree,
        },
        {"event": "content", "text": {"EN": "And again."}},
    ]
    # What was forgotten, and is taken up again, has its words again.
    project.manifest(emulator).unlink()
    (project.root / "messages/r.yaml").unlink()
    send(project, emulator)
    assert len(threads(emulator)) == 3
    kept = {each["text"]["EN"] for each in contents(project, emulator)}
    assert kept == {"Amazing job!", "News"}


def test_of_rows_the_template_is_kept_and_nobodys_values(
    project: Project, emulator: Emulator
) -> None:
    project.write("messages/rows.yaml", ROWS % "")
    project.write("messages/rows.csv", "toloker_id,name,amount\nt1,Ann,secret5\nt2,Bob,6\n")
    send(project, emulator)
    project.write(
        "messages/rows.csv", "toloker_id,name,amount\nt1,Ann,secret5\nt2,Bob,6\nt3,Cy,7\n"
    )
    send(project, emulator, "--limit", "1")
    (two, one) = contents(project, emulator)
    assert (len(two.pop("rows")), len(one.pop("rows"))) == (2, 1)
    assert two == one
    assert two["text"] == {"EN": "Hello {{ row.name }},\nyou get {{ row.amount }}.\n"}
    assert "secret5" not in project.manifest(emulator).read_text()
    assert difference(project, emulator) == ""
    project.write(
        "messages/rows.csv", "toloker_id,name,amount\nt1,Ann,secret5\nt2,Bob,8\nt3,Cy,9\n"
    )
    assert difference(project, emulator) == "2 rows with other values"
    project.write("messages/rows.yaml", ROWS % " dollars")
    assert difference(project, emulator) == (
        " EN topic: Your bonus\n EN: Hello {{ row.name }},\n"
        "-EN: you get {{ row.amount }}.\n+EN: you get {{ row.amount }} dollars.\n"
        " answerable: yes\n2 rows with other values"
    )


def test_an_edited_message_is_shown_as_a_difference(project: Project, emulator: Emulator) -> None:
    project.write("messages/a.yaml", direct("t1", text="One\nTwo\nThree\nFour"))
    send(project, emulator)
    assert difference(project, emulator) == ""
    extra = "answerable: false\n"
    project.write(
        "messages/a.yaml", direct("t1", topic="Thanks", text="One\n2\nThree\nFour", extra=extra)
    )
    assert difference(project, emulator) == (
        "-EN topic: Thank you!\n+EN topic: Thanks\n EN: One\n-EN: Two\n+EN: 2\n EN: Three\n"
        " EN: Four\n-answerable: yes\n+answerable: no"
    )
    # What a terminal or GitHub would take for something else is shown harmlessly.
    project.write("messages/a.yaml", direct("t1", text="One\n```\n::error::x\u202ey"))
    shown = project.run("plan", "--target", emulator.url, "--summary", "s.md")
    assert "    +EN: ::error::x\\u202ey" in shown.out
    assert "````diff\n EN topic: " in (project.root / "s.md").read_text()
    project.write("messages/a.yaml", direct("t1", text="x\n" * 2_000))
    assert difference(project, emulator) == "it is too long to be compared"


def test_a_changed_filter_is_shown_and_what_was_not_kept_is_not(
    project: Project, emulator: Emulator
) -> None:
    form = "topic: {EN: B}\ntext: {EN: News}\nrecipients_select_type: FILTER\nrecipients_filter: "
    project.write("messages/b.yaml", form + CONDITION % 80)
    control(emulator, "faults", {"faults": []})
    send(project, emulator)
    project.write("messages/b.yaml", form + CONDITION % 90)
    shown = difference(project, emulator)
    assert "-to every Toloker with skill 224 ≥ 80\n+to every Toloker with skill 224 ≥ 90" in shown
    manifest = project.manifest(emulator)
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(line for line in lines if '"event":"content"' not in line))
    assert difference(project, emulator) == ""
