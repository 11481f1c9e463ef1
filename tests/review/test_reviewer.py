"""A reviewer's pull request: 60 messages were sent, and what changes is what is read first."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from preview.pages import Node, parse
from results.world import clone, git, new_remote
from support import Project, Result, direct

from runner.emulator import Emulator

BONUS = """\
topic: {EN: "Your bonus", RU: "Премия"}
text:
  EN: |
    Hello {{ row.name }}, by {{ row.due }} you get {{ row.amount }} dollars.
    {% if row.tasks > 100 %}
    You are among the best hundred!
    {% elif row.tasks < 10 %}
    Do some more next time.
    {% endif %}
  RU: |
    Здравствуйте, {{ row.name }}, {{ row.due }} вы получите {{ row.amount }}.
languages: "{{ row.lang }}"
recipients_select_type: DIRECT
recipients_ids: ["{{ row.toloker_id }}"]
for_each: bonus.csv
when: row.amount > 0
columns: {tasks: integer, amount: number, due: {type: date, format: "%FORMAT"}}
"""
HEAD = "toloker_id,name,lang,tasks,amount,due"
ROWS = [
    f"w{number:04},{'Bartholomew' if number == 77 else 'Ann'},{'RU' if number == 50 else 'EN'},"
    f"{150 if number == 90 else 5 if number == 91 else 20},{0 if number % 100 == 99 else 1.5},05.06.2026"
    for number in range(2_000)
]
SETTINGS = "policy: {allow_all: %s, max_recipients: %s}\nsuppress: never.txt\n"
REPLY = 'reply_to: sent/m03\nonly_answered: true\ntext: {EN: "Thank you, we look into it."}\n'
WELCOME = "Hello, and <b>welcome</b>.\nWrite to help@example.org."
SCREEN = (80, 50)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a reviewer has, in every form."""

    project: Project
    url: str
    plan: Result
    markdown: str
    document: dict[str, Any]
    page: Node

    def again(self, *args: str) -> Result:
        return self.project.run("plan", "--target", self.url, *args)


def write_before(project: Project) -> None:
    for number in range(60):
        text = f"Batch {number} is done.\nThank you!"
        project.write(f"messages/sent/m{number:02}.yaml", direct(f"t{number}", text=text))
    project.write("messages/bonus.yaml", BONUS.replace("%FORMAT", "%m.%d.%Y") + "draft: true\n")
    project.write("messages/bonus.csv", f"{HEAD}\n{ROWS[0]}\n")
    project.write("runner.yaml", SETTINGS % ("false", 2500))
    project.write("never.txt", "gone-1\ngone-2\n")


def write_after(project: Project) -> None:
    project.write("messages/sent/m07.yaml", direct("t7", text="Batch 7 is done.\nThank you all!"))
    project.write("messages/bonus.yaml", BONUS.replace("%FORMAT", "%d.%m.%Y"))
    project.write("messages/bonus.csv", "\n".join([HEAD, *ROWS, ""]))
    project.write("messages/answer.yaml", REPLY)
    waiver = 'lint: {contact-details: "a public address"}\n'
    people = ("n1", "n2", "N1")
    project.write("messages/welcome.yaml", direct(*people, text=WELCOME, extra=waiver))
    project.write("runner.yaml", SETTINGS % ("true", 2500))
    project.write("never.txt", "gone-2\n")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("reviewer")
    with (
        pytest.MonkeyPatch.context() as patch,
        Emulator(folder / "t.sqlite", rate_limit=0) as toloka,
    ):
        for name in [name for name in os.environ if name.startswith(("CI", "GITHUB", "TOLOKA"))]:
            patch.delenv(name)
        bare = new_remote(folder)
        project = Project(clone(bare, folder / "project"))
        write_before(project)
        git(project.root, "add", ".")
        git(project.root, "commit", "--quiet", "-m", "Merged")
        git(project.root, "push", "--quiet", "origin", "main")
        assert project.send(toloka, "--settle", "0.05").code == 0
        write_after(project)
        args = ("--summary", "summary.md", "--out", "plan.json")
        plan = project.run("plan", "--target", toloka.url, *args)
        assert plan.code == 0, plan.err
        # To render very many rows once more would take long.
        project.write("messages/bonus.csv", "\n".join([HEAD, *ROWS[:100], ""]))
        assert project.run("preview", "--target", toloka.url, "--output", "page.html").code == 0
        yield Scene(
            project=project,
            url=toloka.url,
            plan=plan,
            markdown=html.unescape((project.root / "summary.md").read_text("utf-8")),
            document=json.loads((project.root / "plan.json").read_text("utf-8")),
            page=parse((project.root / "page.html").read_text("utf-8")),
        )


RULES = [
    "runner.yaml:1: policy.allow_all: true, it was false",
    "1 Toloker taken off the suppression list: gone-1",
    'messages/bonus.yaml:17: columns.due.format: "%d.%m.%Y", it was "%m.%d.%Y"',
    "messages/bonus.yaml:1: it is no draft any more",
    'messages/welcome.yaml:8: waives contact-details: "a public address"',
]
CHANGES = ["bonus", "welcome", "answer", "sent/m07"]
STANDING = "nothing to do for 59 messages: 59 already sent"
HEADLINE = "Would send 1,981 threads and up to 1 reply; 59 already sent, 1 edited"
EDITED = "edited: 1 Toloker has the old text; `revision: 2` would send it again"
DIFFERENCE = [" EN: Batch 7 is done.", "-EN: Thank you!", "+EN: Thank you all!"]
SAMPLES = [
    ("2", "first, shortest"),
    ("92", "longest, if row.tasks > 100"),
    ("52", "in RU"),
    ("93", "if row.tasks < 10"),
]


def test_rules_come_before_the_messages_in_every_form(scene: Scene) -> None:
    title, *rules = scene.plan.out.splitlines()[:6]
    assert title.startswith("Rules that differ from main of origin, ")
    assert [rule.strip() for rule in rules] == RULES
    assert scene.document["rules"] == RULES
    told, _ = scene.page.all("section", "told")
    assert told.texts("li") == RULES
    where = [scene.markdown.index(f"- {rule}\n") for rule in RULES]
    assert where == sorted(where)
    assert where[-1] < scene.markdown.index("<details")


def test_changes_come_first_and_the_rest_is_one_line(scene: Scene) -> None:
    named = re.findall(r"^(\S+) \(messages/", scene.plan.out, re.MULTILINE)
    assert named == re.findall("<summary><b>(.*?)</b>", scene.markdown) == CHANGES
    messages = [each["message"] for each in scene.document["messages"]]
    assert (
        messages[:4] == [each.texts("h2")[0] for each in scene.page.all("article")][:4] == CHANGES
    )
    assert len(messages) == len(scene.page.all("article")) == 63
    assert f"\n{STANDING} (-v shows them).\n{HEADLINE}. Nothing was sent.\n" in scene.plan.out
    assert scene.markdown.endswith(f"\n{STANDING}.\n\n")
    assert scene.markdown.split("\n")[2].startswith(f"**{HEADLINE}.**")
    assert (scene.document["headline"], scene.document["standing"]) == (HEADLINE, STANDING)
    assert scene.page.texts("summary") == [STANDING]
    assert scene.page.texts("p", "summary") == [
        f"{HEADLINE.replace('1,981', '100')}. Nothing was sent."
    ]


def test_what_would_be_sent_is_shown_whole_and_what_was_edited_as_a_difference(
    scene: Scene,
) -> None:
    pages = {each.texts("h2")[0]: each for each in scene.page.all("article")}
    entries = {each["message"]: each for each in scene.document["messages"]}
    for line in WELCOME.splitlines():
        assert f"      | {line}\n" in scene.plan.out
    assert f"```text\n{WELCOME}\n```" in scene.markdown
    assert pages["welcome"].texts("div", "text") == [WELCOME]
    assert entries["welcome"]["deliveries"][0]["text"] == {"EN": WELCOME}
    for said in (scene.plan.out, scene.markdown, *entries["sent/m07"]["states"]):
        assert EDITED in said
    assert pages["sent/m07"].texts("li", "edited") == [EDITED]
    for line in DIFFERENCE:
        assert f"    {line}\n" in scene.plan.out
        assert f"\n{line}\n" in scene.markdown
        assert line in entries["sent/m07"]["difference"]
        assert line in pages["sent/m07"].all("div", "difference")[0].texts("p")
    assert "| Batch 7" not in scene.plan.out


def test_warnings_are_in_every_form(scene: Scene) -> None:
    warning = "messages/welcome.yaml:2:12: warning: text.EN holds <b>, which"
    assert scene.plan.err.startswith(warning)
    assert scene.markdown.rindex("</details>") < scene.markdown.index(f"> ⚠️ {warning}")
    assert scene.page.all("section", "told")[1].texts("li")[0].startswith(warning)
    (told,) = scene.document["warnings"]
    assert (told["path"], told["line"], told["rule"]) == ("messages/welcome.yaml", 2, "html")


def test_which_rows_are_shown_and_of_how_many_is_said(scene: Scene) -> None:
    counted = "4 of 1,980 rows"
    left_out = "messages/bonus.csv: `when` leaves out 20 rows"
    for said in (counted, left_out, "1 repeated id passed over"):
        assert said in scene.plan.out
        assert said in scene.markdown
    rows = re.findall(r"^  row (\d+), (.*?), to ", scene.plan.out, re.MULTILINE)
    assert rows == re.findall(r"\(row (\d+), (.*?)\)", scene.markdown) == SAMPLES
    page = scene.page.all("article")[0]
    assert page.texts("h3") == [f"Row {row} {kind}" for row, kind in SAMPLES]
    few = left_out.replace("20 rows", "1 row")
    assert page.texts("p", "rows") == [few, "4 of 99 rows shown: one message for each row"]
    entry = scene.document["messages"][0]
    assert (entry["notes"], len(entry["deliveries"])) == ([left_out], 1_980)
    assert "row 52, in RU, to w0050, where it is not as row 2:\n  RU: Премия\n" in scene.plan.out


def test_a_reply_that_waits_for_answers_has_its_number_and_its_text(scene: Scene) -> None:
    up_to = "would send up to 1 reply in the threads of sent/m03, where a Toloker answered"
    entry = scene.document["messages"][2]
    assert (entry["up_to"], entry["change"]) == (1, "perhaps")
    (state,) = scene.page.all("article")[2].texts("li", "status")
    for said in (scene.plan.out, scene.markdown, state):
        assert up_to in said
    assert "      | Thank you, we look into it.\n" in scene.plan.out
    assert scene.page.all("article")[2].texts("div", "text") == ["Thank you, we look into it."]


def test_all_of_it_fits_one_screen(scene: Scene) -> None:
    width, height = SCREEN
    lines = scene.plan.out.partition("The plan plan.json is")[0].splitlines()
    assert sum(max(1, -(-len(line) // width)) for line in lines) <= height


def test_one_row_is_shown_whole_and_one_that_is_not_there_is_refused(scene: Scene) -> None:
    shown = scene.again("messages/bonus.yaml", "--row", "93", "--color", "always")
    assert "\x1b[32m  would send 99 threads" in shown.out
    assert re.findall(r"^  row .*", shown.out, re.MULTILINE) == ["  row 93, to w0091:"]
    shown = scene.again("messages/welcome.yaml", "--row", "93")
    assert (shown.code, "--row 93: no message is made of this line" in shown.err) == (2, True)


def test_the_job_of_a_pull_request_holds_the_rules_against_its_target(tmp_path: Path) -> None:
    bare = new_remote(tmp_path)
    author = Project(clone(bare, tmp_path / "author"))
    author.write("messages/a.yaml", direct("t1"))
    rows = "topic: {EN: B}\ntext: {EN: B}\nrecipients_select_type: DIRECT\nrecipients_ids: [t2]\n"
    rows += "for_each: b.csv\ncolumns: {n: %s}\n"
    author.write("messages/b.csv", "n\n1\n")
    author.write("messages/b.yaml", rows % "{type: number, unit: $}")
    author.write("runner.yaml", "policy: {reviewed: main, max_recipients: 5}\n")
    git(author.root, "add", ".")
    git(author.root, "commit", "--quiet", "-m", "Merged")
    git(author.root, "push", "--quiet", "origin", "main")
    git(author.root, "checkout", "--quiet", "-b", "change")
    # Whoever edits the policy does not choose what it is held against.
    author.write("runner.yaml", "policy: {reviewed: change, max_recipients: 5000}\n")
    author.write("messages/b.yaml", rows % "integer")
    git(author.root, "commit", "--quiet", "--all", "-m", "Change")
    git(author.root, "push", "--quiet", "origin", "change")
    job = Project(clone(bare, tmp_path / "job", "--depth", "1", "--branch", "change"))
    rules = [
        "  runner.yaml:1: policy.reviewed: change, it was main",
        "  runner.yaml:1: policy.max_recipients: 5000, it was 5",
        "  messages/b.yaml:6: columns.n: integer, it was {type: number, unit: $}",
    ]
    for project, env in ((author, {}), (job, {"GITHUB_BASE_REF": "main"})):
        shown = project.run("plan", **env).out.splitlines()
        assert shown[0].startswith("Rules that differ from main of origin, ")
        assert [line.replace('"', "") for line in shown[1:4]] == rules
    bare.rename(tmp_path / "gone")
    shown = job.run("plan", GITHUB_BASE_REF="main").out.splitlines()
    assert shown[0] == "Nobody knows which rules have changed:"
    assert shown[1].startswith("  main of origin cannot be reached: ")


def test_without_a_repository_there_are_no_rules_and_one_that_is_broken_is_told(
    project: Project,
) -> None:
    project.write("messages/a.yaml", direct("t1"))
    assert project.run("plan").out.startswith("a (messages/a.yaml)\n")
    project.write(".git/HEAD", "")
    assert project.run("plan").out.startswith("Nobody knows which rules have changed:\n  ")
