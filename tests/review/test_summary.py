"""`plan --summary`: Markdown for the page of a CI job, appended and never too long."""

from __future__ import annotations

import errno
import html
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


def titles(markdown: str) -> list[str]:
    """What stands over each message."""
    found = re.findall("<summary>(.*?)</summary>", markdown)
    return [shown(each).replace("<b>", "").replace("</b>", "") for each in found]


def shown(markdown: str) -> str:
    """What a reader sees of an escaped text."""
    return html.unescape(markdown)


def texts(markdown: str) -> list[str]:
    """The contents of the code blocks."""
    blocks = re.finditer(r"^(`{3,})text\n(.*?)\n\1$", markdown, re.MULTILINE | re.DOTALL)
    return [block[2] for block in blocks]


def test_each_message_that_changes_is_shown_whole_and_the_rest_is_a_line(project: Project) -> None:
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
    assert shown(markdown.split("\n")[2]) == (
        "**Would send 3 threads and 1 reply; 1 kept as a draft.** "
        "Target: the local emulator on this machine; nothing leaves this machine."
    )
    assert titles(markdown) == [
        "a revision 2 — Thank you: 1 thread to 2 Tolokers",
        "b — New tasks: 1 thread to every Toloker with skill 224 ≥ 80",
        "c — To all: 1 thread to ALL: every Toloker who has ever tried one of your tasks",
        "e — Hello: 1 reply in thread 63c15866757a4a1adad1d632",
    ]
    assert markdown.count("<details open>") == markdown.count("</details>") == 4
    assert texts(markdown) == ["Amazing\njob", "Bra", "Hello!", "News", "Hello"]
    assert "\n- recipients&#58; t1, t2\n" in markdown
    assert markdown.endswith("\nnothing to do for 1 message&#58; 1 kept as a draft.\n\n")
    # Markdown folds HTML only where an empty line lets it begin and end.
    for part in markdown.split("<details open>")[1:]:
        assert part.split("</summary>", 1)[1].startswith("\n\n")
        assert part.split("</details>", 1)[0].endswith("\n\n")


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
    assert titles(markdown) == [
        "edited — Thank you!: 1 thread to 1 Toloker, edited",
        "late — Thank you!: 1 thread to 1 Toloker, late, already sent",
    ]
    said = shown(markdown)
    assert (
        "- edited: 1 Toloker has the old text; `revision: 2` would send it again, to all 2" in said
    )
    assert f"- late: first sent on {long_ago[:10]}" in said


def test_daily_limits_stand_at_the_top_and_warnings_behind_the_messages(project: Project) -> None:
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
    first, last = markdown.index("<details"), markdown.rindex("</details>")
    assert markdown.index("> ⚠️") < first < last < markdown.index("> ⚠️", first)


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
    kept = len(texts(markdown))
    assert 0 < kept < 350
    assert markdown.count("<details>") == markdown.count("</details>") == kept
    assert re.findall("(?:<b>|^- )(m[0-9]{4})", markdown, re.MULTILINE) == [
        f"m{number:04}" for number in range(350)
    ]
    assert f"The texts of {350 - kept:,} messages do not fit here" in markdown


def test_one_enormous_text_is_cut_inside_its_block(project: Project) -> None:
    project.write("messages/a.yaml", direct("t1", text="ü" * 50_000))
    project.write("messages/b.yaml", direct("t2", text="Well done!"))
    markdown = summarised(project, "--quiet")
    assert texts(markdown) == ["ü" * 20_000, "Well done!"]
    assert "(30,000 more characters)" in markdown
