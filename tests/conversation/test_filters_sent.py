from __future__ import annotations

import json
from typing import Any, NamedTuple

from support import Project, calls, load_schema

from runner.emulator import Emulator

from .talk import complaints, sent_ok, spec

EQUALITY = ("EQ", "NE")
ORDER = ("EQ", "NE", "GT", "GTE", "LT", "LTE")
INCLUSION = ("IN", "NOT_IN")
SAID = {EQUALITY: "EQ or NE", ORDER: "EQ, NE, GT, GTE, LT or LTE", INCLUSION: "IN or NOT_IN"}

CODE = ("a code of two upper-case letters", "write US")
REGION = ("a whole number", "write 225 without quotes")
FLAG = ("true or false", "write true without quotes")
OS = "WINDOWS, OS_X, MAC_OS, LINUX, BSD, ANDROID, IOS or BLACKBERRY"
BROWSERS = (
    "IE, CHROMIUM, CHROME, FIREFOX, SAFARI, YANDEX_BROWSER, IE_MOBILE, CHROME_MOBILE, "
    "MOBILE_FIREFOX or MOBILE_SAFARI"
)


class Row(NamedTuple):
    """A line of Toloka's table: what a key takes, and what is said of what it does not take."""

    category: str
    key: str
    operators: tuple[str, ...]
    wrong_operator: str
    value: object
    wrong_value: object
    wanted: str
    hint: str


TABLE = [
    Row("skill", "224", ORDER, "IN", 80, 101, "a number from 0 to 100", "for example, value: 80"),
    Row("profile", "gender", EQUALITY, "IN", "FEMALE", "FEMAL", "MALE or FEMALE", "did you mean FEMALE?"),
    Row("profile", "country", EQUALITY, "GT", "US", "us", *CODE),
    Row("profile", "citizenship", EQUALITY, "IN", "US", "us", *CODE),
    Row("profile", "education", EQUALITY, "GTE", "HIGH", "high", "BASIC, MIDDLE or HIGH", "did you mean HIGH?"),
    Row("profile", "adult_allowed", EQUALITY, "LT", True, "true", *FLAG),
    Row("profile", "verified", EQUALITY, "IN", False, "TRUE", *FLAG),
    Row("profile", "date_of_birth", ORDER, "IN", 946684800, "2000-01-01", "a whole number", "for example, value: 946684800"),
    Row("profile", "city", INCLUSION, "EQ", 225, "225", *REGION),
    Row("profile", "languages", INCLUSION, "EQ", "US", "us", *CODE),
    Row("computed", "region_by_phone", INCLUSION, "NE", 225, "225", *REGION),
    Row("computed", "region_by_ip", INCLUSION, "EQ", 225, "225", *REGION),
    Row("computed", "device_category", EQUALITY, "IN", "TABLET", "tablet", "PERSONAL_COMPUTER, SMARTPHONE, TABLET or WEARABLE_COMPUTER", "did you mean TABLET?"),
    Row("computed", "client_type", EQUALITY, "GT", "TOLOKA_APP", "APP", "BROWSER or TOLOKA_APP", "for example, value: BROWSER"),
    Row("computed", "os_family", EQUALITY, "IN", "LINUX", "Linux", OS, "did you mean LINUX?"),
    Row("computed", "user_agent_type", EQUALITY, "LTE", "OTHER", 5, "BROWSER, MOBILE_BROWSER or OTHER", "for example, value: BROWSER"),
    Row("computed", "user_agent_family", EQUALITY, "IN", "IE", "CHROMUIM", BROWSERS, "did you mean CHROMIUM?"),
    Row("computed", "os_version", ORDER, "IN", 10.5, "10.5", "a number", "write 10.5 without quotes"),
    Row("computed", "user_agent_version", ORDER, "NOT_IN", 118, True, "a number", "for example, value: 10.5"),
    *(
        Row("computed", f"{name}_{part}", ORDER, "IN", 10, 10.5, "a whole number", "for example, value: 10")
        for name in ("os_version", "user_agent_version")
        for part in ("major", "minor", "bugfix")
    ),
]  # fmt: skip


def filtered(tree: object, **keys: object) -> str:
    """A message by a filter, in one line: the fourth."""
    form = {"topic": {"EN": "Hi"}, "text": {"EN": "Hi"}, "recipients_select_type": "FILTER"}
    return spec(**form, recipients_filter=tree, **keys)


def condition(row: Row, **changes: object) -> dict[str, object]:
    form = {"category": row.category, "key": row.key, "operator": row.operators[0]}
    return {**form, "value": row.value, **changes}


def one_a_line(node: dict[str, object]) -> str:
    """A message by one condition: the operator is in line 7, the value in line 8."""
    lines = "".join(f"  {key}: {json.dumps(value)}\n" for key, value in node.items())
    return filtered({}).replace("recipients_filter: {}\n", f"recipients_filter:\n{lines}")


def trees(emulator: Emulator) -> dict[str, Any]:
    """The filters that arrived, byte for byte what was sent, by their message's topic."""
    bodies = [call["body"] for call in calls(emulator, "/compose")]
    return {body["topic"]["EN"]: body["recipients_filter"] for body in bodies}


def test_every_key_arrives_with_each_of_its_operators(project: Project, emulator: Emulator) -> None:
    wanted = {}
    for row in TABLE:
        tree = {"and": [condition(row, operator=operator) for operator in row.operators]}
        text = filtered(tree).replace('"EN": "Hi"', f'"EN": "{row.key}"', 1)
        project.write(f"messages/{row.key}.yaml", text)
        wanted[row.key] = tree
    assert sent_ok(project, emulator) == {"sent": len(TABLE)}
    assert trees(emulator) == wanted


def test_every_key_says_which_operators_and_values_it_takes(project: Project) -> None:
    wanted = []
    for row in TABLE:
        path = f"messages/{row.category}-{row.key}"
        name = "skill" if row.category == "skill" else row.key
        project.write(f"{path}-o.yaml", one_a_line(condition(row, operator=row.wrong_operator)))
        wanted.append(
            f"{path}-o.yaml:7:13: error: {name} takes {SAID[row.operators]}, "
            f"not {row.wrong_operator}; write operator: {row.operators[0]}"
        )
        project.write(f"{path}-v.yaml", one_a_line(condition(row, value=row.wrong_value)))
        shown = json.dumps(row.wrong_value)
        wanted.append(
            f"{path}-v.yaml:8:10: error: {name} takes {row.wanted}, not {shown}; {row.hint}"
        )
    done = project.run("validate")
    assert done.code == 3
    assert sorted(complaints(done.out)) == sorted(wanted)


def test_only_a_skill_may_go_without_a_value(project: Project, emulator: Emulator) -> None:
    for row in TABLE[1:]:
        node = condition(row)
        del node["value"]
        project.write(f"messages/{row.key}.yaml", one_a_line(node))
    done = project.run("validate")
    assert (done.code, len(complaints(done.out))) == (3, len(TABLE) - 1)
    for row, line in zip(
        sorted(TABLE[1:], key=lambda each: each.key), sorted(complaints(done.out)), strict=True
    ):
        assert f"messages/{row.key}.yaml:5:3: error: the condition on {row.key} has no" in line
    for row in TABLE[1:]:
        (project.root / f"messages/{row.key}.yaml").unlink()
    bare = {"category": "skill", "key": "224", "operator": "EQ"}
    project.write("messages/a.yaml", filtered(bare))
    sent_ok(project, emulator)
    assert trees(emulator) == {"Hi": {"and": [bare]}}
    project.write("messages/a.yaml", one_a_line({**bare, "operator": "GT"}))
    done = project.run("validate")
    assert (done.code, complaints(done.out)) == (
        3,
        [
            "messages/a.yaml:5:3: error: GT on a skill has no value; "
            "write a number from 0 to 100; only EQ goes without, for 'has no such skill'"
        ],
    )


def test_a_bare_condition_is_wrapped_and_a_group_is_left_as_it_is(
    project: Project, emulator: Emulator
) -> None:
    us, gb = (
        {"category": "profile", "key": "country", "operator": "EQ", "value": code}
        for code in ("US", "GB")
    )
    project.write("messages/a.yaml", filtered(us).replace("Hi", "bare", 1))
    group = {"or": [us, {"and": [gb]}]}
    project.write("messages/b.yaml", filtered(group).replace("Hi", "group", 1))
    assert sent_ok(project, emulator) == {"sent": 2}
    assert trees(emulator) == {"bare": {"and": [us]}, "group": group}
    # Wrapping it by hand changes nothing: it is the same message.
    project.write("messages/a.yaml", filtered({"and": [us]}).replace("Hi", "bare", 1))
    assert sent_ok(project, emulator) == {"already_sent": 2}


def test_values_from_outside_become_what_the_key_takes(
    project: Project, emulator: Emulator
) -> None:
    nodes = [
        {"category": "skill", "key": "{{ skill }}", "operator": "GTE", "value": "{{ level }}"},
        {"category": "profile", "key": "country", "operator": "EQ", "value": "{{ country }}"},
        {"category": "profile", "key": "city", "operator": "IN", "value": "{{ city }}"},
        {"category": "profile", "key": "verified", "operator": "EQ", "value": "{{ verified }}"},
        {"category": "computed", "key": "os_version", "operator": "LT", "value": "{{ version }}"},
        {"category": "computed", "key": "os_version_major", "operator": "EQ", "value": "1{{ no }}"},
    ]
    own = {"verified": True, "level": 1, "country": "GB"}
    project.write("messages/a.yaml", filtered({"and": nodes}, variables=own))
    given = ("skill=0224", "level=80.0", "country=US", "city=225", "version=10.5", "no=0")
    options = [word for each in given for word in ("--var", each)]
    assert sent_ok(project, emulator, *options) == {"sent": 1}
    arrived = trees(emulator)["Hi"]["and"]
    assert arrived[0]["key"] == "0224"
    values = [each["value"] for each in arrived]
    assert values == [80, "US", 225, True, 10.5, 10]
    assert [type(each) for each in values] == [int, str, int, bool, float, int]


def test_a_value_from_outside_is_checked_at_its_line(project: Project) -> None:
    nodes = {
        "a": condition(TABLE[0], value="{{ level }}"),
        "b": condition(TABLE[6], value="{{ flag }}"),
        "c": condition(TABLE[2], value="{{ country }}"),
        "d": condition(TABLE[8], value="{{ city }}"),
    }
    for name, node in nodes.items():
        project.write(f"messages/{name}.yaml", one_a_line(node))
    given = ("level=eighty", "flag=true", "country=Norway", "city=0225")
    done = project.run("validate", *(word for each in given for word in ("--var", each)))
    assert (done.code, complaints(done.out)) == (
        3,
        [
            'messages/a.yaml:8:10: error: skill takes a number from 0 to 100, not "eighty"; '
            "for example, value: 80",
            'messages/b.yaml:8:10: error: verified takes true or false, not "true"; '
            "write true without quotes",
            "messages/c.yaml:8:10: error: country takes a code of two upper-case letters, "
            'not "Norway"; for example, value: US',
            'messages/d.yaml:8:10: error: city takes a whole number, not "0225"; '
            "for example, value: 225",
        ],
    )


def test_a_filter_has_ten_thousand_characters_at_most(project: Project, emulator: Emulator) -> None:
    def tree(length: int) -> dict[str, object]:
        """A filter of exactly so many characters of JSON."""
        node = {**condition(TABLE[0]), "key": "x" * 30}
        nodes = [dict(node) for _ in range(100)]
        while (left := length - len(json.dumps({"and": nodes}))) > 0:
            short = min(nodes, key=lambda each: len(str(each["key"])))
            short["key"] = str(short["key"]) + "x" * min(left, 10)
        key = nodes[0]["key"]
        nodes[0]["key"] = "{{ key }}"
        return {"and": nodes, "key": key}

    for name, length in (("a", 10_000), ("b", 10_001)):
        made = tree(length)
        key = {"variables": {"key": made.pop("key")}}
        project.write(f"messages/{name}.yaml", filtered(made, **key))
    done = project.run("validate")
    assert (done.code, complaints(done.out)) == (
        3,
        [
            "messages/b.yaml:4:20: error: the filter is 10,001 characters of JSON, and Toloka "
            "takes 10,000; split the message in two with shorter filters"
        ],
    )
    assert sent_ok(project, emulator, "messages/a.yaml") == {"sent": 1}
    assert len(trees(emulator)["Hi"]["and"]) == 100


def test_the_whole_table_is_covered() -> None:
    # Against the schema that editors read, so that a key that is added there is added here.

    known = {"skill_value"} | {f"{row.category}_{row.key}" for row in TABLE[1:]}
    named = [name for name in load_schema("message")["definitions"] if "_" in name]
    assert set(named) == known
