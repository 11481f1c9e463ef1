"""An account that was used by hand is taken over: nobody is written to again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from conftest import StartEmulator
from support import TOKEN, Project, Result, control, direct, reached, threads, tolokers

from runner.emulator import Emulator
from runner.manifest.file import read_history

MANY = tolokers(130)


def put(
    emulator: Emulator,
    *ids: str,
    topic: str | Mapping[str, str] = "Thank you!",
    text: str | Mapping[str, str] = "Amazing job!",
    **more: Any,
) -> Any:
    """A thread appears that somebody made by another hand."""
    form = {
        "topic": {"EN": topic} if isinstance(topic, str) else topic,
        "text": {"EN": text} if isinstance(text, str) else text,
        "recipients_select_type": "DIRECT",
        "answerable": True,
        **({"recipients_ids": ids} if ids else {}),
    }
    return control(emulator, "put", {**form, **more})


def take_over(project: Project, emulator: Emulator, *args: str) -> Result:
    where = ("--target", emulator.url, "--settle", "0")
    return project.run("import", *where, *args, TOLOKA_TOKEN=TOKEN)


def release(project: Project) -> None:
    """Take `draft` out of every spec."""
    for path in (project.root / "messages").rglob("*.yaml"):
        path.write_text(path.read_text().replace("draft: true\n", ""))


def drafts(project: Project) -> list[str]:
    return sorted(path.name for path in (project.root / "messages" / "imported").glob("*"))


def test_the_account_goes_on_and_reaches_new_people_only(
    project: Project, emulator: Emulator
) -> None:
    put(emulator, *MANY[:100], created="2026-03-01T09:00:00")
    put(emulator, *MANY[100:], created="2026-03-02T09:00:00")
    put(emulator, "ann", topic="Your bonus", text="You got $5.")
    put(emulator, "ben", topic="Your bonus", text="You got $6.")
    put(emulator, "ann", topic="Your bonus", text="You got $7.")
    everyone = {"topic": "News", "text": "New tasks.", "recipients_select_type": "ALL"}
    put(emulator, **everyone)
    norway = {"category": "profile", "key": "country", "operator": "EQ", "value": "NO"}
    tree = {"and": [norway]}
    put(emulator, **{**everyone, "recipients_select_type": "FILTER"}, recipients_filter=tree)
    put(emulator, "eve", topic="A question", text="Why?", **{"from": "toloker"})
    before = threads(emulator)

    done = take_over(project, emulator)

    assert (done.code, threads(emulator)) == (0, before), done
    today = before[-1]["created"][:10]
    thanks = "2026-03-01-thank-you"
    assert drafts(project) == [
        f"{thanks}.txt",
        f"{thanks}.yaml",
        f"{today}-news-2.yaml",
        f"{today}-news.yaml",
    ]
    assert (
        f"imported/{thanks}: 2 threads to 130 Tolokers; draft: messages/imported/{thanks}.yaml"
        in done.out
    )
    assert "imported/personal/your-bonus: 3 threads to 2 Tolokers\n" in done.out
    assert "recorded 7 threads to 132 Tolokers, 3 drafts; nothing was sent" in done.out
    assert project.run("validate", "--strict").code == 0
    assert "A question" not in json.dumps(project.events(emulator))
    # What one person was told stands nowhere but at Toloka.
    assert "You got" not in project.manifest(emulator).read_text()

    release(project)
    with (project.root / f"messages/imported/{thanks}.txt").open("a") as file:
        file.write("new-one\n")
    project.write("messages/bonus.csv", "toloker_id,amount\nann,5\nben,9\ncat,4\n")
    project.write(
        "messages/bonus.yaml",
        "id: imported/personal/your-bonus\nfor_each: bonus.csv\n"
        'topic: {EN: "Your bonus"}\ntext: {EN: "You got ${{ row.amount }}."}\n'
        'recipients_select_type: DIRECT\nrecipients_ids: ["{{ row.toloker_id }}"]\n',
    )
    done = project.send(emulator, "--settle", "0")
    assert done.code == 0, done
    new = [each for each in threads(emulator) if each not in before]
    ids = sorted(each["compose_details"]["recipients_ids"] for each in new)
    assert ids == [["cat"], ["new-one"]]
    after = take_over(project, emulator)
    assert (after.code, after.out[:21]) == (0, "nothing new was found"), after


@pytest.mark.parametrize("is_released", [False, True])
def test_files_without_their_lines_are_recognized(
    project: Project, emulator: Emulator, is_released: bool
) -> None:
    """As after a kill between the two, or with a manifest that was lost."""
    put(emulator, *MANY[:100])
    put(emulator, *MANY[100:], "ANN")
    put(emulator, "ben", topic="Your bonus")
    take_over(project, emulator)
    project.manifest(emulator).unlink()
    files = drafts(project)
    if is_released:
        release(project)

    done = take_over(project, emulator)

    assert (done.code, drafts(project)) == (0, files), done
    assert (
        "recorded 1 thread to 1 Toloker, 0 drafts; 2 threads of messages that are here" in done.out
    )
    release(project)
    assert "Nothing new was sent" in project.send(emulator, "--settle", "0").out
    assert sorted(reached(emulator)) == sorted([*MANY, "ANN", "ben"])


TEXTS: Sequence[str] = (
    "One line\nand a second: # no comment, {'a': 1} & *b\n  indented",
    " begins with a space and ends with two lines\n\n",
    "{{ name }}, {% if %} {# and #} %}",
    'quotes " and \' and \\ and \\n, a tab\t, no-break\u00a0space, joined \u200d, 😀, \u2028, \x85',
    "write to me@example.com or <b>here</b>: TODO",
    "- yes", "NO", "0123", "~", "? a", "<<<<<<< HEAD",
)  # fmt: skip


def test_a_draft_has_the_very_words(project: Project, emulator: Emulator) -> None:
    policy = "policy: {allow_all: false, allow_filter: limited, reviewed: main}\n"
    project.write("runner.yaml", policy)
    for number, text in enumerate(TEXTS):
        topic = {"EN": f"{number} {text}"[:60].replace("\n", " "), "RU": "Спасибо!"}
        put(emulator, "ann", "0123", "ben", topic=topic, text={"EN": text, "RU": "Готово!"})
    put(emulator, *(f"{number:032x}" for number in range(40)), "cut-off", topic="An odd id")
    put(emulator, topic={"RU": "Всем"}, text={"RU": "Всем!"}, recipients_select_type="ALL")

    done = take_over(project, emulator)

    assert (done.code, "warning" in done.err) == (0, False), done
    assert "commit messages/imported/, and push it" in done.err
    project.write("runner.yaml", policy.replace(", reviewed: main", ""))
    assert len(drafts(project)) == len(TEXTS) + 2
    checked = project.run("validate", "--strict")
    assert checked.code == 0, checked
    release(project)
    done = project.send(emulator, "messages/imported", "--settle", "0")
    assert "already sent" in done.out, done
    assert "edited" not in done.err


@pytest.mark.parametrize(
    "text",
    [
        {"EN": "Hello!", "RU": "Привет!"},
        {"EN": "{% endraw %}{{ 7 * 7 }}{% raw %}"},
    ],
)
def test_what_cannot_be_a_message_is_recorded_all_the_same(
    project: Project, emulator: Emulator, text: Mapping[str, str]
) -> None:
    put(emulator, "ann", "ben", topic="Hello", text=text)

    done = take_over(project, emulator)

    assert done.code == 0, done
    assert "-hello is recorded, and has no draft: " in done.err
    assert drafts(project) == []
    history = read_history(project.manifest(emulator), emulator.url)
    assert [attempt.recipients_ids for attempt in history.attempts] == [("ann", "ben")]


def test_a_list_without_details_tells_less(project: Project, start_emulator: StartEmulator) -> None:
    emulator = start_emulator(echo="no-details")
    put(emulator, topic="News", recipients_select_type="ALL")
    for number in range(21):
        put(emulator, "ann", topic=f"Letter {number}")

    done = take_over(project, emulator)

    assert done.code == 0, done
    assert "Toloka does not say whom 1 thread reached" in done.err
    assert "recorded 21 threads to 1 Toloker, 0 drafts" in done.out
    assert "\n1 more message (-v shows all)\n" in done.out


def test_the_words_are_nobodys_a_second_time(project: Project, emulator: Emulator) -> None:
    put(emulator, "ann", topic="Your bonus", text="You got $5.")
    put(emulator, "ann", topic="Your bonus", text="You got $6.")
    take_over(project, emulator)
    project.write("messages/new.yaml", direct("ann", topic="Your bonus", text="You got $6."))

    refused = project.send(emulator, "--settle", "0")

    assert refused.code == 3
    assert 'as those of "imported/personal/your-bonus"' in refused.err


@pytest.mark.parametrize(
    ("args", "people"),
    [
        (("--since", "2026-03-02"), ["ben", "cat"]),
        (("--topic", "BONUS"), ["ann", "cat"]),
        (("--topic", "bonus", "--topic", "thank"), ["ann", "ben", "cat"]),
        (("--topic", "bonus", "--since", "2026-03-02T00:00:00+02:00"), ["cat"]),
    ],
)
def test_a_part_of_the_account(
    project: Project, emulator: Emulator, args: Sequence[str], people: Sequence[str]
) -> None:
    put(emulator, "ann", topic="Your bonus", created="2026-03-01T09:00:00")
    put(emulator, "ben", created="2026-03-02T09:00:00")
    put(
        emulator,
        "cat",
        topic={"EN": "Hi", "RU": "Ваш Bonus"},
        text={"EN": "a", "RU": "b"},
        created="2026-03-03T09:00:00",
    )

    assert take_over(project, emulator, *args).code == 0

    history = read_history(project.manifest(emulator), emulator.url)
    assert sorted(each for it in history.attempts for each in it.recipients_ids) == people
    take_over(project, emulator)
    assert len(read_history(project.manifest(emulator), emulator.url).attempts) == 3


def test_what_may_be_an_unknown_delivery_is_left_alone(
    project: Project, emulator: Emulator
) -> None:
    control(emulator, "faults", {"faults": ["every=1,on=compose,kind=500"]})
    project.write("messages/hello.yaml", direct("ann", text="Hello!"))
    assert project.send(emulator, "--settle", "0").code == 5
    put(emulator, "ann", text="Hello, by hand!")
    put(emulator, "ben", text="Hello, by hand!")

    done = take_over(project, emulator)

    assert done.code == 5, done
    assert "1 thread may be of deliveries whose outcome is unknown, and were left" in done.err
    control(emulator, "faults", {"faults": []})
    resolve = ("resolve", "--message", "hello", "--not-sent", "--target", emulator.url)
    assert project.run(*resolve, TOLOKA_TOKEN=TOKEN).code == 0
    assert take_over(project, emulator).code == 0
    assert project.send(emulator, "--settle", "0").code == 0
    assert [each["text"]["EN"] for it in threads(emulator) for each in it["messages"]] == [
        "Hello, by hand!",
        "Hello, by hand!",
        "Hello!",
    ]
