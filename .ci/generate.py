"""Write what follows from other files: the schema's part about filters, the tables of the schemas.

    python .ci/generate.py           writes them
    python .ci/generate.py --check   writes nothing; names what is not up to date, and fails

The languages are those of ISO 639-1. The filter table says which keys, operators and values there
are; the schema says it to editors.
Titles and descriptions of a key are words of the schema, and stay. A table of schemas/README.md
stands behind its `<!-- table: NAME -->`; its words are the schema's descriptions and examples.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import click

from runner.cli import group
from runner.report.words import WORDS
from runner.toloka.filter_table import (
    EQUALITY,
    INCLUSION,
    MAX_NUMBER,
    ORDER,
    SKILL,
    TABLE,
    Rule,
    wanted,
)
from runner.toloka.languages import CODES

SCHEMAS = Path(__file__).resolve().parents[1] / "schemas"
WIDTH = 100
TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "mapping",
}
OPERATORS = {EQUALITY: "equality", ORDER: "order", INCLUSION: "inclusion"}
TEMPLATE = {"$ref": "#/definitions/template"}

Json = dict[str, Any]


def written(value: object, indent: int = 0, taken: int = 0) -> str:
    """Write JSON: on one line where that is short."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or indent + taken + len(line) <= WIDTH:
        return line
    inner, items = indent + 2, []
    if isinstance(value, dict):
        for key, item in value.items():
            name = f"{json.dumps(key, ensure_ascii=False)}: "
            items.append(name + written(item, inner, len(name) + 1))
        opening, closing = "{", "}"
    else:
        items = [written(item, inner, 1) for item in value]
        opening, closing = "[", "]"
    lines = ",\n".join(" " * inner + item for item in items)
    return f"{opening}\n{lines}\n{' ' * indent}{closing}"


def value_of(rule: Rule) -> Json:
    """The schema of what a key takes, templates aside."""
    if rule.takes == "word":
        return {"enum": list(rule.words)}
    if rule.takes == "code":
        return {"type": "string", "pattern": "^[A-Z]{2}$"}
    if rule.takes == "boolean":
        return {"type": "boolean"}
    return {"type": rule.takes, "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER}


def definition(category: str, key: str, rule: Rule, known: Mapping[str, Any]) -> Json:
    """The definition of a key's value; its words are those that it has."""
    title = key.replace("_", " ").capitalize()
    example = rule.example if rule.takes in ("word", "code") else json.loads(rule.example)
    return {
        "title": known.get("title", title),
        "description": known.get("description", f"{title} ({category}): {wanted(rule)}."),
        "anyOf": [value_of(rule), TEMPLATE],
        "examples": [example, "{{ wanted }}"],
    }


def conditions() -> Iterator[Json]:
    """What a condition must be, by its category and key."""
    for category, rules in TABLE.items():
        yield {
            "if": {"properties": {"category": {"const": category}}, "required": ["category"]},
            "then": {"required": ["value"], "properties": {"key": {"enum": list(rules)}}},
        }
        for key, rule in rules.items():
            yield {
                "if": {
                    "properties": {"category": {"const": category}, "key": {"const": key}},
                    "required": ["category", "key"],
                },
                "then": {
                    "properties": {
                        "operator": {"$ref": f"#/definitions/{OPERATORS[rule.operators]}"},
                        "value": {"$ref": f"#/definitions/{category}_{key}"},
                    }
                },
            }


def message_schema(schema: Json) -> Json:
    """The schema of a message, with the part about filters as the filter table has it."""
    for key in ("topic", "text"):
        (words,) = schema["properties"][key]["patternProperties"].values()
        schema["properties"][key]["patternProperties"] = {f"^({'|'.join(CODES)})$": words}
    old = schema["definitions"]
    keys = {f"{category}_{key}" for category, rules in TABLE.items() for key in rules}
    mine = {
        f"{category}_{key}": definition(category, key, rule, old.get(f"{category}_{key}", {}))
        for category, rules in TABLE.items()
        for key, rule in rules.items()
    }
    gone = {name for name in old if name.startswith(tuple(f"{each}_" for each in TABLE))} - keys
    kept = {name: each for name, each in old.items() if name not in keys | gone}
    first = {name: kept.pop(name) for name in list(kept) if name not in ("skill_value", "filter")}
    tree = kept["filter"]
    by_skill = [each for each in tree["else"]["allOf"] if '"skill"' in json.dumps(each["if"])]
    tree["else"]["allOf"] = [*conditions(), *by_skill]
    return {**schema, "definitions": {**first, **mine, **kept}}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    first, rule, *rest = (f"| {' | '.join(cells)} |" for cells in lines)
    return "\n".join([first, rule.replace(" ", ""), *rest]) + "\n"


def code(value: object) -> str:
    """A value as YAML on one line, as code."""
    return f"`{value if isinstance(value, str) else flow(value)}`"


def flow(value: object) -> str:
    """A value in YAML's flow style."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {flow(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(flow, value))}]"
    plain = isinstance(value, str) and value.replace("-", "a").replace("_", "a").isalnum()
    if plain and not str(value).isdecimal():
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def kinds(schema: Mapping[str, Any]) -> str:
    """What a key takes, in words."""
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    given = schema.get("type", [])
    named = [
        TYPES[each] for each in ([given] if isinstance(given, str) else given) if each in TYPES
    ]
    words = schema.get("items", {}).get("enum", [])
    of = f" of {', '.join(f'`{word}`' for word in words)}" if words else ""
    return (", ".join(named) or "any") + of


def key_row(name: str, given: Mapping[str, Any], root: Mapping[str, Any]) -> list[str]:
    """The row of a key: what it takes, what it means, an example."""
    reference = str(given.get("$ref", "")).rpartition("/")[2]
    schema = {**root.get("definitions", {}).get(reference, {}), **given}
    meaning = str(schema["description"]).replace("|", "\\|")
    if "default" in schema:
        meaning += f" Default: {code(schema['default'])}."
    return [f"`{name}`", kinds(schema), meaning, code(schema["examples"][0])]


def config_keys(schema: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Json]]:
    """Every key of a configuration with its schema, those below another one too."""
    for key, below in schema["properties"].items():
        yield at + key, below
        if key == "lint":
            continue
        for pattern in below.get("patternProperties", {}).values():
            if "properties" in pattern:
                yield from config_keys(pattern, f"{at}{key}.<name>.")
        if "properties" in below:
            yield from config_keys(below, f"{at}{key}.")


def filter_rows(schema: Mapping[str, Any]) -> Iterator[list[str]]:
    """The rows of the filter table."""
    rules = [("skill", "the skill's id", SKILL, "skill_value")]
    rules += [
        (category, f"`{key}`", rule, f"{category}_{key}")
        for category, some in TABLE.items()
        for key, rule in some.items()
    ]
    for category, key, rule, name in rules:
        value = ", ".join(f"`{word}`" for word in rule.words) or wanted(rule)
        operators = ", ".join(f"`{each}`" for each in rule.operators)
        about = schema["definitions"][name]["description"]
        yield [f"`{category}`", key, operators, value, f"`{rule.example}`", about]


def commands() -> Mapping[str, click.Command]:
    """Every command, by its name."""
    context = click.Context(group)
    named = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: each for name, each in named.items() if each is not None}


def takes(option: click.Option) -> str:
    """What an option takes, as its help shows it, in the words of whatever release of click."""
    if option.is_flag:
        return ""
    choices = option.type.choices if isinstance(option.type, click.Choice) else ()
    return " " + (option.metavar or "|".join(map(str, choices)) or "N")


def option_rows() -> Iterator[list[str]]:
    """The rows of the options: one that several commands have stands once."""
    of: dict[tuple[str, str], list[str]] = {}
    for name, command in commands().items():
        for each in command.params:
            # The emulator has very many, for whoever rehearses trouble.
            if isinstance(each, click.Option) and each.help and name != "emulator":
                said = f"`{', '.join(each.opts)}{takes(each)}`"
                of.setdefault((said, each.help), []).append(f"`{name}`")
    for (said, about), names in sorted(of.items(), key=lambda row: row[0][0].lstrip("`-")):
        yield [said.replace("|", "\\|"), ", ".join(names), about.replace("|", "\\|")]


def tables(message: Json, config: Json) -> dict[str, str]:
    """Every table of the page, by its name."""
    keys = ("key", "type", "meaning", "example")
    condition = message["definitions"]["filter"]["properties"]
    lint = message["properties"]["lint"]["properties"]
    return {
        "message": table(
            keys, [key_row(name, each, message) for name, each in message["properties"].items()]
        ),
        "condition": table(
            keys, [key_row(name, each, message) for name, each in condition.items()]
        ),
        "filter": table(
            ("category", "key", "operators", "value", "example", "about"),
            list(filter_rows(message)),
        ),
        "rules": table(
            ("rule", "about"),
            [[f"`{name}`", each["description"].split(" Say ")[0]] for name, each in lint.items()],
        ),
        "commands": table(
            ("command", "does"),
            [[f"`{name}`", each.get_short_help_str(200)] for name, each in commands().items()],
        ),
        "words": table(
            ("word", "what became of a delivery"),
            [[f"`{word}`", about] for word, about in WORDS.items()],
        ),
        "options": table(("option", "of", "meaning"), list(option_rows())),
        "config": table(keys, [key_row(name, each, config) for name, each in config_keys(config)]),
    }


def page_with(page: str, new: Mapping[str, str]) -> str:
    """The page with its tables replaced."""
    for name, text in new.items():
        before, mark, after = page.partition(f"<!-- table: {name} -->\n")
        if not mark:
            sys.exit(f"schemas/README.md has no table {name}")
        page = f"{before}{mark}{text}\n{after.partition(chr(10) * 2)[2]}"
    return page.rstrip("\n") + "\n"


def main() -> None:
    """Write what is not up to date, or say so."""
    path, page = SCHEMAS / "message.schema.json", SCHEMAS / "README.md"
    message = message_schema(cast("Json", json.loads(path.read_text(encoding="utf-8"))))
    config = json.loads((SCHEMAS / "config.schema.json").read_text(encoding="utf-8"))
    made = {
        path: written(message) + "\n",
        page: page_with(page.read_text(encoding="utf-8"), tables(message, config)),
    }
    old = [each for each, text in made.items() if each.read_text(encoding="utf-8") != text]
    if "--check" not in sys.argv[1:]:
        for each in old:
            each.write_text(made[each], encoding="utf-8")
    elif old:
        names = ", ".join(f"schemas/{each.name}" for each in old)
        sys.exit(f"{names}: not as generated; run python .ci/generate.py")


if __name__ == "__main__":
    main()
