"""`plan --summary`: Markdown for the page of a CI job, appended and never too long."""

from __future__ import annotations

import errno
import json
import os
import re
from datetime import datetime, timedelta, timezone

import pytest
from support import Project, direct

LIMIT = 1024 * 1024
"""GitHub takes so much from one step."""

FILTER = (
    "topic: {EN: New tasks}\ntext: {EN: Hello!}\nrecipients_select_type: FILTER\n"
    "recipients_filter: {category: skill, key: 224, operator: GTE, value: 80}\n"
)
TO_ALL = "topic: {EN: To all}\ntext: {EN: News}\nrecipients_select_type: ALL\n"


def summarised(project: Project, *args: str, code: int = 0) -> str:
    """Plan with a summary of its own; gives the Markdown."""
    path = project.root / "summary.md"
    path.unlink(missing_ok=True)
    shown = project.run("plan", "--summary", "summary.md", *args)
    assert shown.code == code, shown.err
    return path.read_text(encoding="utf-8")


def table(markdown: str) -> list[list[str]]:
    """The cells of each row, the heading first."""
    rows = [line for line in markdown.split("\n") if line.startswith("| ")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert {len(row) for row in cells} == {5}
    assert set("".join(cells[1])) <= set("-: ")
    return [[shown(cell) for cell in row] for row in (cells[0], *cells[2:])]


def shown(markdown: str) -> str:
    """What a reader sees of an escaped text."""
    import html

    return html.unescape(markdown)


def texts(markdown: str) -> list[str]:
    """The contents of the code blocks."""
    blocks = re.finditer(r"^(`{3,})text\n(.*?)\n\1$", markdown, re.MULTILINE | re.DOTALL)
    return [block[2] for block in blocks]


def test_a_plan_is_a_table_and_each_message_folded_below(project: Project) -> None:
    project.write(
        "messages/a.yaml",
        "topic: {EN: Thank you, NO: Takk}\ntext: {EN: 'Amazing\n\n  job', NO: Bra}\nrevision: 2\n"
        "recipients_select_type: DIRECT\nrecipients_ids: [t1, t2]\n",
    )
    project.write("messages/b.yaml", FILTER)
    project.write("messages/c.yaml", TO_ALL)
    project.write("messages/d.yaml", direct("t3", extra="draft: true\n"))
    project.write("messages/e.yaml", "thread_id: 63c15866757a4a1adad1d632\ntext: {EN: Hello}\n")
    markdown = summarised(project)
    assert markdown.startswith("## Messages to Tolokers\n\n")
    head = shown(markdown.split("\n")[2])
    assert head.startswith("Would send 4 threads; 1 ")
    assert head.endswith(
        ". Target: the local emulator on this machine; nothing leaves this machine."
    )
    assert table(markdown) == [
        ["message", "action", "recipients", "languages", "requests"],
        ["a (revision 2)", "send", "2 by id", "EN, NO", "1"],
        ["b", "send", "by filter", "EN", "1"],
        ["c", "send", "ALL", "EN", "1"],
        ["d", "draft", "0 by id", "EN", "0"],
        ["e", "reply", "in threads", "EN", "1"],
    ]
    headings = re.findall("<summary>(.*?)</summary>", markdown)
    assert [shown(each) for each in headings] == [
        "a — Thank you", "b — New tasks", "c — To all", "d — Thank you!", "e — Hello",
    ]  # fmt: skip
    assert markdown.count("<details>") == markdown.count("</details>") == 5
    assert texts(markdown) == ["Amazing\njob", "Bra", "Hello!", "News", "Amazing job!", "Hello"]
    assert "messages/b.yaml: 1 thread to every Toloker with skill 224 ≥ 80" in shown(markdown)
    assert "- a draft, not sent (1 Toloker): it is marked as a draft" in shown(markdown)
    # Markdown folds HTML only where an empty line lets it begin and end.
    for part in markdown.split("<details>")[1:]:
        assert part.split("</summary>", 1)[1].startswith("\n\n")
        assert part.split("</details>", 1)[0].endswith("\n\n")


def test_of_many_rows_the_first_the_longest_and_the_shortest_are_shown(project: Project) -> None:
    names = ["Ann", "Bartholomew the Third", "Cem", "D", "Eve"]
    rows = [f"t{number},{name}" for number, name in enumerate(names)]
    project.write("messages/rows.csv", "\n".join(["id,name", *rows]) + "\n")
    text = direct("{{ row.id }}", text="Hello {{ row.name }}", extra="for_each: rows.csv\n")
    project.write("messages/a.yaml", text)
    markdown = summarised(project)
    assert texts(markdown) == ["Hello Ann", "Hello Bartholomew the Third", "Hello D"]
    assert re.findall(r"\(row \d+\)", shown(markdown)) == ["(row 2)", "(row 3)", "(row 5)"]
    assert table(markdown)[1] == ["a", "send", "5 by id", "EN", "5"]
    assert "5 threads to 5 Tolokers, one for each row" in shown(markdown)


def test_it_is_appended_to_what_other_steps_wrote(project: Project) -> None:
    project.write("messages/a.yaml", direct("t1"))
    project.write("summary.md", "# Another step\n")
    for times in (1, 2):
        assert project.run("plan", "--summary", "summary.md").code == 0
        written = (project.root / "summary.md").read_text()
        assert written.startswith("# Another step\n")
        assert written.count("## Messages to Tolokers") == times
        assert written.endswith("\n\n")


def test_a_summary_that_cannot_be_written_is_2(project: Project) -> None:
    project.write("messages/a.yaml", direct("t1"))
    result = project.run("plan", "--summary", "nowhere/summary.md")
    assert result.code == 2
    reason = os.strerror(errno.ENOENT)
    assert result.err.endswith(f"error: nowhere/summary.md cannot be written: {reason}\n")


def test_what_was_edited_or_comes_late_is_said(project: Project) -> None:
    project.write("messages/edited.yaml", direct("t1"))
    project.write("messages/late.yaml", direct("t2", text="Well done!"))
    assert project.run("send").code == 0
    project.write("messages/edited.yaml", direct("t1", "t9", text="Amazing!"))
    project.write("messages/late.yaml", direct("t2", "t8", text="Well done!"))
    manifest = project.manifest()
    long_ago = f"{datetime.now(timezone.utc) - timedelta(days=40):%Y-%m-%dT%H:%M:%S.000Z}"
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    late = {line["delivery"] for line in lines if line.get("message") == "late"}
    for line in lines:
        if line.get("delivery") in late:
            line["at"] = long_ago
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    markdown = summarised(project)
    assert table(markdown)[1:] == [
        ["edited", "send, edited", "1 by id", "EN", "1"],
        ["late", "send, already sent", "1 by id (late)", "EN", "1"],
    ]
    said = shown(markdown)
    assert (
        "- edited since it was sent (1 Toloker): who has it is not written to again; `revision: 2` would do so"
        in said
    )
    assert f"- late: first sent on {long_ago[:10]}" in said


def test_daily_limits_and_warnings_stand_at_the_top(project: Project) -> None:
    for name in "abc":
        project.write(f"messages/{name}.yaml", TO_ALL.replace("News", f"<b>News</b> {name}"))
    markdown = summarised(project)
    notes = [shown(line) for line in markdown.split("\n") if line.startswith("> ")]
    assert notes[0] == (
        "> ⚠️ Toloka's daily limit is 1 ALL messages: 0 in the last 24 hours and 3 planned leave "
        "2 for later"
    )
    assert [note.split(", which")[0] for note in notes[1:]] == [
        f"> ⚠️ messages/{name}.yaml:2:12: warning: text.EN holds <b>" for name in "abc"
    ]
    assert markdown.index("> ⚠️") < markdown.index("| message |")


def test_what_the_policy_forbids_is_summarised_as_a_failure(project: Project) -> None:
    project.write("runner.yaml", "policy: {allow_all: false, max_recipients: 2}\n")
    project.write("messages/a.yaml", TO_ALL)
    project.write("messages/b.yaml", direct("t1", "t2", "t3"))
    said = shown(summarised(project, code=3))
    assert said.split("\n")[2] == "There is no plan: the messages have problems."
    assert "- messages/a.yaml:3:25: error: the policy forbids messages to ALL" in said
    assert "the policy allows 2 recipients a message, and this would reach 3" in said


def test_problems_are_summarised_a_hundred_at_most(project: Project) -> None:
    for number in range(120):
        project.write(f"messages/m{number:03}.yaml", direct("t1", extra="drafft: true\n"))
    markdown = summarised(project, code=3)
    items = [shown(line) for line in markdown.split("\n") if line.startswith("- ")]
    assert len(items) == 101
    assert items[0].startswith('- messages/m000.yaml:6:1: error: unknown key "drafft"')
    assert items[-1] == "- and 20 more"


@pytest.mark.dear
def test_very_many_messages_are_cut_below_the_limit_and_counted(project: Project) -> None:
    text = "Many words, again and again. " * 390
    for number in range(350):
        project.write(f"messages/m{number:04}.yaml", direct(f"t{number}", text=f"{number} {text}"))
    markdown = summarised(project, "--quiet")
    size = len(markdown.encode())
    assert LIMIT * 0.6 < size < LIMIT
    assert len(table(markdown)) == 1 + 350
    kept = len(texts(markdown))
    assert 0 < kept < 350
    assert markdown.count("<details>") == markdown.count("</details>") == kept
    assert markdown.rstrip().endswith(
        f"The texts of {350 - kept:,} more messages do not fit here: run `message-runner plan`."
    )


def test_one_enormous_text_is_cut_inside_its_block(project: Project) -> None:
    project.write("messages/a.yaml", direct("t1", text="ü" * 50_000))
    project.write("messages/b.yaml", direct("t2", text="Well done!"))
    markdown = summarised(project, "--quiet")
    assert texts(markdown) == ["ü" * 20_000, "Well done!"]
    assert "(30,000 more characters)" in markdown
