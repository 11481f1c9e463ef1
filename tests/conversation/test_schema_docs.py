from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from support import Project

from runner.spec.schema import find_message_faults, load_schema

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "schemas" / "README.md").read_text()
TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "mapping",
}


def table(name: str) -> list[list[str]]:
    """The rows of a table of the page, by cells."""
    _, _, after = PAGE.partition(f"<!-- table: {name} -->\n")
    lines = after.split("\n\n")[0].splitlines()
    assert len(lines) > 2, name
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def bare(cell: str) -> str:
    return cell.strip("`")


def types_of(schema: Mapping[str, Any]) -> str:
    """What the table says of a key's type."""
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return ", ".join(TYPES[kind] for kind in kinds) or "any"


def keys_of(schema: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every key of a configuration with its schema, those below another one too."""
    for key, below in schema["properties"].items():
        yield at + key, below
        if key == "lint":
            continue
        for pattern in below.get("patternProperties", {}).values():
            if "properties" in pattern:
                yield from keys_of(pattern, f"{at}{key}.<name>.")
        if "properties" in below:
            yield from keys_of(below, f"{at}{key}.")


def resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = schema
    if "$ref" in schema:
        found = root["definitions"][schema["$ref"].rpartition("/")[2]]
    return found


def read(project: Project, text: str) -> object:
    """A value as a message file has it."""
    from runner.spec.yamlfile import read_yaml

    return read_yaml(project.write("value.yaml", text), "value.yaml").data


def check_keys(
    project: Project, name: str, root: Mapping[str, Any], keys: Mapping[str, Any]
) -> None:
    rows = {bare(key): (kind, meaning, example) for key, kind, meaning, example in table(name)}
    assert list(rows) == list(keys)
    for key, (kind, meaning, example) in rows.items():
        schema = resolved(keys[key], root)
        assert kind == types_of(schema), key
        # The page says what an editor shows, in its own words, and names each default.
        assert len(meaning.split()) > 3, key
        default = schema.get("default")
        if default is not None and key != "target":
            assert f"{str(default).lower()}" in meaning, key
        value = read(project, bare(example))
        checked = {**schema, "definitions": root.get("definitions", {})}
        assert list(Draft7Validator(checked).iter_errors(value)) == [], key


def test_every_key_of_a_message_is_on_the_page(project: Project) -> None:
    root = load_schema("message")
    check_keys(project, "message", root, root["properties"])


def test_every_key_of_a_condition_is_on_the_page(project: Project) -> None:
    root = load_schema("message")
    check_keys(project, "condition", root, root["definitions"]["filter"]["properties"])


def test_every_key_of_the_configuration_is_on_the_page(project: Project) -> None:
    root = load_schema("config")
    check_keys(project, "config", root, dict(keys_of(root)))


def test_every_key_of_a_filter_is_on_the_page_with_what_it_takes(project: Project) -> None:
    """Each row against the program: its operators and no others, its example, its words."""
    from runner.toloka.filter_table import OPERATORS, TABLE

    rows = [list(map(bare, row[:2])) + row[2:] for row in table("filter")]
    known = [(category, key) for category, rules in TABLE.items() for key in rules]
    assert [(row[0], row[1]) for row in rows] == [("skill", "the skill's id"), *known]
    form = {"topic": {"EN": "x"}, "text": {"EN": "x"}, "recipients_select_type": "FILTER"}

    def is_right(row: list[str], operator: str, value: object) -> bool:
        key = "224" if row[0] == "skill" else row[1]
        node = {"category": row[0], "key": key, "operator": operator, "value": value}
        return find_message_faults({**form, "recipients_filter": node}) == []

    for row in rows:
        example = read(project, bare(row[4]))
        right = [operator for operator in OPERATORS if is_right(row, operator, example)]
        assert row[2] == ", ".join(f"`{operator}`" for operator in right), row
        words = [] if row[0] == "skill" else re.findall(r"`(\w+)`", row[3])
        rule = TABLE.get(row[0], {}).get(row[1])
        assert tuple(words) == (rule.words if rule else ()), row


def test_every_house_rule_is_on_the_page() -> None:
    rows = [bare(row[0]) for row in table("rules")]
    for name in ("message", "config"):
        assert rows == list(load_schema(name)["properties"]["lint"]["properties"]), name


def test_every_schema_is_on_the_page_and_is_what_the_command_prints(project: Project) -> None:
    links = re.findall(r"\| \[(\S+)\]\((\S+)\) \|.*`message-runner (schema\b.*)` \|", PAGE)
    assert sorted(name for name, _, _ in links) == sorted(
        path.name for path in (ROOT / "schemas").glob("*.json")
    )
    for name, link, command in links:
        assert name == link
        done = project.run(*command.split())
        assert (done.code, done.out) == (0, (ROOT / "schemas" / name).read_text())


@pytest.mark.parametrize(
    "block", re.findall(r"```yaml\n(recipients_filter:.*?)```", PAGE, re.DOTALL)
)
def test_the_filter_on_the_page_is_right(project: Project, block: str) -> None:
    project.write(
        "messages/a.yaml",
        "topic: {EN: Hi}\ntext: {EN: Hello}\nrecipients_select_type: FILTER\n" + block,
    )
    done = project.run("validate")
    assert done.code == 0, done
