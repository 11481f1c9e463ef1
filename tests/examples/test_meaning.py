"""Each rule on what a file means: what it refuses, in which words, and what honest files it lets pass.

A row is a name, the files of a project, and what `validate --strict` says of them: the beginnings of
its lines, or nothing where all is well. A message that is not among the files is added.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from support import THANKS, TOLOKER, Project, threads

from runner.emulator import Emulator

Files = Mapping[str, str | bytes]
Row = tuple[str, Files, tuple[str, ...]]

ME = "messages/m.yaml"
WAY = "put the text in quotes"


def topic(written: str) -> Files:
    """A message with this topic, as it is written after `EN: `."""
    return {ME: THANKS.replace('"Thank you!"', written)}


def extra(written: str) -> Files:
    """A message with more lines."""
    return {ME: THANKS + written}


YAML: list[Row] = [
    ("separator in a spec", extra("# note\u2028revision: 7\n"), (f"{ME}:9:7: error: a line separator (U+2028) out of a word processor; make it a line end",)),
    ("separator in a list", extra("# note\x85revision: 7\n"), (f"{ME}:9:7: error: a line separator (U+0085)",)),
    ("separator in a text", topic('"Hello\u2029you"'), (f"{ME}:2:13: error: a line separator (U+2029)",)),
    ("vertical tab", extra("# note\x0brevision: 7\n"), (f"{ME}:9:7: error: a line separator (U+000B)",)),
    ("carriage return", extra("# note\rrevision: 7\n"), (f"{ME}:9:7: error: a carriage return (U+000D) stands alone; save the file with plain line ends",)),
    ("separator in the configuration", {"runner.yaml": "# note\u2028target: production\n"}, ("runner.yaml:1:7: error: a line separator (U+2028)",)),
    ("escaped separator", topic(r'"Hello\u2028you"'), ()),
    ("lines of Windows", {ME: THANKS.replace("\n", "\r\n")}, ()),
    ("emoji in halves", topic(r'"Hello \ud83d\ude00"'), ()),
    ("half an emoji", topic(r'"Hello \ud83d"'), (f"{ME}:2:14: error: the escape \\ud83d does not exist",)),
    ("one key in two places", extra("variables: {a: {b: 1}, c: {b: 2}}\n"), ()),
    ("key that looks like a merge", extra("variables: {a: {'<<': 1}}\n"), ()),
    ("exclamation mark in quotes", topic('"! Attention, &Co, %, *"'), ()),
    ("mark of the end", extra("...\n"), ()),
    ("no-break space in a text", topic('"5\xa0tasks"'), ()),
    ("number sign that ends a variable", extra("variables:\n  t: we use C #\n"), (f"{ME}:10:15: error: the text ends before this #",)),
    ("duplicate key", extra("answerable: true\n"), (f'{ME}:9:1: error: duplicate key "answerable"; keep one of the two',)),
    ("unused anchor", topic("&Co are here"), (f"{ME}:2:7: error: nothing refers to the anchor &Co; {WAY}, EN: \"&Co are here\", or under `EN: |`",)),
    ("unused anchor of a list", extra("variables: {a: &a [1], b: 2}\n"), (f"{ME}:9:16: error: nothing refers to the anchor &a; remove &a, or quote it if it is text",)),
    ("anchor that is named twice", extra("variables: {a: &a 1, b: &a 2, c: *a}\n"), (f"{ME}:9:16: error: nothing refers to the anchor &a",)),
    ("anchor that is used", extra("variables: {a: &a cats, b: *a}\n"), ()),
    ("merge key", extra("variables: {a: &a {b: 1}, c: {<<: *a}}\n"), (f"{ME}:9:31: error: merge keys (<<)",)),
    ("tag of nothing", topic("! Attention"), (f"{ME}:2:7: error: the tag ! is not used here; {WAY}, EN: \"! Attention\", or under `EN: |`",)),
    ("tag of text", extra("variables: {a: !!str 5}\n"), (f"{ME}:9:16: error: the tag tag:yaml.org,2002:str is not used here; remove it",)),
    ("directive", {ME: "%YAML 1.2\n---\n" + THANKS}, (f"{ME}:1:1: error: a line that starts with % is an order to the parser; remove it",)),
    ("document mark", {ME: "---\n" + THANKS}, ()),
    ("second document", extra("---\n" + THANKS), (f"{ME}:9:1: error: a second document starts here; one file holds one",)),
    ("no-break space in a key", extra("variables: {a\xa0b: 1}\n"), (f"{ME}:9:13: error: a no-break space (U+00A0) stands in this word",)),
    ("Cyrillic letter in a key", {ME: THANKS.replace("text:", "t\u0435xt:")}, (f"{ME}:3:1: error: a cyrillic small letter ie (U+0435) stands among Latin letters; write it all in Latin letters: text",)),
    ("Cyrillic letter in a language", topic('"Hi"\n  RU: "Hi"\n  \u0415N: "Hi"'), (f"{ME}:4:3: error: a cyrillic capital letter ie (U+0415) stands among Latin letters; write it all in Latin letters: EN",)),
    ("keys in other scripts", extra("variables: {labels: {имя: 1, שם: 2, user_имя: 3, Größe: 4}}\n"), ()),
    ("no-break space after a colon", {ME: THANKS.replace('EN: "Thank', 'EN:\xa0"Thank')}, (f"{ME}:2:6: error: a no-break space (U+00A0) follows the colon, and YAML takes it for text; write a plain space",)),
    ("comment in a topic", topic("Pool #5 is open"), (f"{ME}:2:12: error: the text ends before this #, which begins a comment; {WAY}, EN: \"Pool #5 is open\", or under `EN: |`",)),
    ("comment with a space in a topic", topic("Thank you # in English"), (f"{ME}:2:17: error: the text ends before this #",)),
    ("nothing but a comment", topic("#5 is open"), (f"{ME}:2:7: error: the text ends before this #",)),
    ("comment below a topic", topic("Pool\n    #5 is open"), (f"{ME}:3:5: error: the text ends before this #, which begins a comment; {WAY}, or under `EN: |`",)),
    ("comment in brackets", {ME: THANKS.replace('\n  EN: "Thank you!"', " {EN: Pool #5\n  }")}, (f"{ME}:1:18: error: the text ends before this #",)),
    ("comment in a variable", extra("variables:\n  ticket: number #12\n"), (f"{ME}:10:18: error: the text ends before this #, which begins a comment; put the text in quotes, or the comment on a line of its own",)),
    ("comment in a shared variable", {"runner.yaml": "variables:\n  ticket: number #12\n"}, ("runner.yaml:2:18: error: the text ends before this #",)),
    ("number that is too small", extra("variables: {n: 1e-9999999999}\n"), (f"{ME}:9:16: error: this number is too small; put text in quotes",)),
    ("small number", extra("variables: {n: 0.00000001, zero: 0.00, nought: 0e5}\n"), ()),
    ("number sign that a block leaves out", topic("|\n      Pool\n\n     #5 is open"), (f"{ME}:5:6: error: the text ends before this #, which begins a comment; indent it like the text, or like the line with the | or >",)),
    ("comments below a block", topic("|\n    Pool\n  # Russian\n\n# and more"), ()),
    ("whole numbers with a point", extra("revision: 2.0\nat_most: 1e0\n"), ()),
    ("number for a time", extra("not_before: 1764525600\n"), (f"{ME}:9:13: error: `not_before` is a number, not text; write a date and time with a zone",)),
    ("number sign in quotes", topic('"Pool #5 is open"'), ()),
    ("number sign in a block", topic("| # as it is\n    Pool #5 is open"), ()),
    ("number sign inside a word", topic("Pool#5 is open"), ()),
    ("comment after a quote", topic('"Pool"  # in English'), ()),
    ("comment between the languages", topic('Pool\n  # Russian follows\n  #and more'), ()),
    ("comments elsewhere", extra("variables:\n  team: cats  # see wiki\n  n: 5 #five\ndraft: true #yet\n"), ()),
    ("bracket", topic("[Update] More tasks"), (f"{ME}:2:16: error: \"M\" cannot stand here; {WAY}, EN: \"[Update] More tasks\", or under `EN: |`",)),
    ("bracket alone", topic("[Update]"), (f"{ME}:2:7: error: `topic.EN` is a list, not text; {WAY}, or under `EN: |`",)),
    ("brace", topic("{name}, hello"), (f"{ME}:2:13: error: \",\" cannot stand here; {WAY}, EN: \"{{name}}, hello\", or under `EN: |`",)),
    ("star", topic("*Important*"), (f"{ME}:2:7: error: text cannot start with *; {WAY}, EN: \"*Important*\", or under `EN: |`",)),
    ("at sign", topic("@all"), (f"{ME}:2:7: error: text cannot start with @; {WAY}, EN: \"@all\", or under `EN: |`",)),
    ("colon", topic("Hello: world"), (f"{ME}:2:12: error: \":\" cannot stand here; {WAY}, EN: \"Hello: world\", or under `EN: |`",)),
    ("colon in the second line", topic("Hello,\n    note: world"), (f"{ME}:3:9: error: \":\" cannot stand here; {WAY}, or under `EN: |`",)),
    ("dash", topic("- one"), (f"{ME}:2:7: error: \"-\" cannot stand here; {WAY}, EN: \"- one\", or under `EN: |`",)),
    ("quoted word", topic('"Cats" are open'), (f"{ME}:2:14: error: \"a\" cannot stand here; {WAY}, EN: '\"Cats\" are open', or under `EN: |`",)),
    ("template", topic("{{ name }}, hello"), (f"{ME}:2:8: error: a key must be plain text; {WAY}, EN: \"{{{{ name }}}}, hello\", or under `EN: |`",)),
    ("line end in a topic", topic("|\n    Hello\n    you"), (f"{ME}:3:5: error: topic.EN holds a line end; write it on one line",)),
    ("one final line end of a topic", topic("|\n    Hello"), ()),
    ("link in quotes", topic('"[our guide](https://example.com) #1"'), ()),
    ("wrong indentation keeps its hint", topic('"Hi"\n   RU: "x"'), (f"{ME}:3:4: error: \"R\" cannot stand here; check the indentation of this line and the ones above",)),
]  # fmt: skip


def renamed(path: str) -> Files:
    """Another message, with another topic, in this file."""
    return {path: THANKS.replace("Thank you!", "Hello")}


HINT = "rename it; an `id:` keeps the name that it was sent under"
FILES: list[Row] = [
    ("runner.yml", {"runner.yml": "target: local\n"}, ("runner.yml is not read: call it runner.yaml, or otherwise",)),
    ("Runner.yaml", {"Runner.yaml": "target: local\n", "runner.yaml": ""}, ("Runner.yaml is not read",)),
    ("runner.yaml as a folder", {"runner.yaml/x": ""}, ("runner.yaml is a folder, or a link that leads to no file",)),
    ("runner.yaml.txt", {"runner.yaml.txt": "target: local\n"}, ("runner.yaml.txt is not read",)),
    ("runner.toml of somebody else", {"runner.toml": "", "runner.yaml": "target: local\n"}, ()),
    ("message saved as text", renamed("messages/a.yaml.txt"), ("messages/a.yaml.txt:1:1: error: this file is not read: a message is a .yaml or .yml file; call it .yaml, which takes JSON too, or begin its name with _",)),
    ("message in JSON", {"messages/a.json": '{"topic": {}}'}, ("messages/a.json:1:1: error: this file is not read",)),
    ("other files", {"messages/README.md": "", "messages/rows.json": "[]", "messages/_old.yaml.txt": ""}, ()),
    ("name of a device", renamed("messages/con.yaml"), (f"messages/con.yaml:1:1: error: Windows has nothing of this name; {HINT}",)),
    ("folder like a device", renamed("messages/Aux/a.yaml"), (f"messages/Aux:1:1: error: Windows has nothing of this name; {HINT}",)),
    ("folders that differ in case", {**renamed("messages/May/a.yaml"), "messages/may/b.yaml": THANKS.replace("Thank", "Bless")}, (f"messages/may:1:1: error: Windows and macOS take this and May for one; {HINT}",)),
    ("name like a device's", renamed("messages/console.yaml"), ()),
    ("names that differ in case", renamed("messages/M.yaml"), (f"{ME}:1:1: error: Windows and macOS take this and M.yaml for one; {HINT}",)),
    ("one id twice", {**renamed("messages/a.yaml"), **extra("id: a\n")}, (f'{ME}:9:5: error: the id "a" is already that of messages/a.yaml; two messages need two ids',)),
    ("id that is not a path's", {**renamed("messages/a.yaml"), **extra("id: b\n")}, ()),
    ("country's code", topic('"Hi"\n  UA: "Hi"'), (f'{ME}:3:3: error: "UA" is not a language code; write UK', f"{ME}:4:1: error: `text` has no UA")),
    ("small letters", topic('"Hi"\n  ru: "Hi"'), (f'{ME}:3:3: error: "ru" is not a language code; write RU', f"{ME}:4:1: error: `text` has no RU")),
    ("language with its country", topic('"Hi"\n  PT-BR: "Hi"'), (f'{ME}:3:3: error: "PT-BR" is not a language code; write PT',)),
    ("language that is none", topic('"Hi"\n  XX: "Hi"'), (f'{ME}:3:3: error: "XX" is not a language code; a language is two upper-case', f"{ME}:4:1: error: `text` has no XX")),
    ("language better known as a country", {ME: THANKS.replace("EN:", "BR:")}, (f"{ME}:4:8: error: text.BR is in Breton by its code BR, which Brazil has too (there it is PT)",)),
    ("waived", {ME: THANKS.replace("EN:", "BR:") + "lint: {language: they speak Breton}\n"}, ()),
    ("Ukrainian in Latin letters", {ME: THANKS.replace("EN:", "UK:")}, (f"{ME}:4:8: error: text.UK is in Ukrainian by its code UK, which the United Kingdom has too (there it is EN)",)),
    ("Ukrainian", {ME: THANKS.replace("EN:", "UK:").replace("Amazing", "Чудово")}, ()),
    ("conflict in a partial", {"messages/_partials/a": "x\n<<<<<<< HEAD\ny\n"}, ("messages/_partials/a:2:1: error: \"<<<<<<< HEAD\" is what git left there; choose one of the two",)),
    ("conflict in a partial that is used", {"messages/_partials/a": "<<<<<<< HEAD\ny\n", ME: THANKS.replace("Amazing", "{% include 'a' %}\\nAmazing")}, ("messages/_partials/a:1:1: error: \"<<<<<<< HEAD\" is what git left there",)),
    ("conflict in a text", {ME: THANKS.replace('"Amazing job!', '"x\\n<<<<<<< HEAD\\ny')}, (f"{ME}:4:7: error: text.EN holds \"<<<<<<< HEAD\"",)),
    ("heading in a partial", {"messages/_partials/a": "News\n=======\n<<<< more\n"}, ()),
    ("carriage return in a partial", {"messages/_partials/a": "x\ry", **topic('"{% include \'a\' %}"')}, (f"{ME}:2:8: error: template: messages/_partials/a:1: a carriage return (U+000D)",)),
    ("separator in a partial", {"messages/_partials/a": "x\u2028y", **topic('"{% include \'a\' %}"')}, (f"{ME}:2:8: error: template: messages/_partials/a:1: a line separator (U+2028)",)),
]  # fmt: skip

FROM_FILE = THANKS.replace(f"recipients_ids:\n  - {TOLOKER}", "recipients_file: ids.txt")
FROM_TABLE = FROM_FILE.replace("ids.txt", "ids.csv")
IDS = "messages/ids.txt"
TABLE = "messages/ids.csv"
NO_ID = "error: this is not an id: it"
SHEET = "error: this id is unlike nine in ten of its list: did a spreadsheet touch it?"
MANY = [f"{number:032x}" for number in range(1, 20)]


def listed(text: str | bytes) -> Files:
    """A message to the ids in this list."""
    return {ME: FROM_FILE, IDS: text}


def column(text: str | bytes, extra: str = "") -> Files:
    """A message to the ids in a table."""
    return {ME: FROM_TABLE + extra, TABLE: text}


def never(text: str | bytes, extra: str = "suppress: optout.txt\n") -> Files:
    """A list of those whom nobody may write to."""
    return {"runner.yaml": extra, "optout.txt": text}


PEOPLE: list[Row] = [
    ("id in quotes with a comma", never(f'"{TOLOKER}",\n'), (f"optout.txt:1:1: {NO_ID} holds a quotation mark (U+0022); an id has 1 to 64 letters, digits, - and _, and nothing around it",)),
    ("id with a semicolon", never(f"a\n{TOLOKER};\n"), (f"optout.txt:2:1: {NO_ID} holds a semicolon (U+003B)",)),
    ("id that is commented out", never(f"#{TOLOKER}\n"), ("optout.txt:1:1: error: nobody knows whether this is a comment or an id; write more than one word, or remove the #",)),
    ("id that is commented out with a reason", never(f"# {TOLOKER} # left us\n"), ()),
    ("error of a spreadsheet for an id", never("a\n#N/A\n"), ("optout.txt:2:1: error: this is an error of a spreadsheet, and no id",)),
    ("error of a spreadsheet in a column of ids", column("toloker_id,n\na,1\n#REF!,2\n"), (f"{TABLE}:3:1: error: this is an error of a spreadsheet, and no id",)),
    ("UTF-16 without its mark", never("abc\n".encode("utf-16-le")), ("optout.txt:1:2: error: a zero byte (U+0000), as in UTF-16",)),
    ("ids with a word in them", never("total-1\nnan_2\n"), ()),
    ("two ids on a line", never("a,b\n"), (f"optout.txt:1:1: {NO_ID} holds a comma (U+002C)",)),
    ("two ids and a space", never("a b\n"), (f"optout.txt:1:1: {NO_ID} holds a space (U+0020)",)),
    ("zero-width space", never("a\u200b\n"), (f"optout.txt:1:1: {NO_ID} holds a zero width space (U+200B)",)),
    ("no-break space inside", never("a\xa0b\n"), (f"optout.txt:1:1: {NO_ID} holds a no-break space (U+00A0)",)),
    ("two byte order marks", never("\ufeffa\n\ufeffb\n"), ("optout.txt:2:1: error: a byte order mark (U+FEFF) that does not begin the file; remove it",)),
    ("Cyrillic letter in an id", never("\u0430b\n"), (f"optout.txt:1:1: {NO_ID} holds a cyrillic small letter a (U+0430)",)),
    ("separator in a list of ids", never("# note\u2028a\n"), ("optout.txt:1:7: error: a line separator (U+2028)",)),
    ("list as people write it", never(f"\ufeff# Who asked not to be written to:\n\n  {'b' * 32}  # 3 May\r\nC-1_d#by phone\n#\n"), ()),
    ("several lists", {**never("a\n", "suppress: [optout.txt, b.csv]\nsuppress_column: who\n"), "b.csv": "name;Who\nAnn;b\n"}, ()),
    ("bad line in the second list", {**never("a\n", "suppress: [optout.txt, b.csv]\nsuppress_column: who\n"), "b.csv": "who\nN/A\n"}, (f"b.csv:2:1: {NO_ID} holds a solidus (U+002F)",)),
    ("list that is not there", never("a\n", "suppress: [optout.txt, gone.txt]\n"), ("runner.yaml:1:24: error: `suppress`: there is no file gone.txt",)),
    *((f"recipient {word}", {ME: THANKS.replace(f"- {TOLOKER}", f"- {word!r}")}, (f"{ME}:7:5: error: \"{word[:60]}{'…' * (len(word) > 60)}\" is not an id: it {why}",)) for word, why in (("N/A", "holds a solidus"), ("#REF!", "holds a number sign"), ("1.23E+31", "holds a full stop"), ("[abc]", "holds a left square bracket"), ("Total", "is a word"), ("NA", "is a word"), ("nan", "is a word"), ("null", "is a word"), ("None", "is a word"), ("toloker_id", "is a word"), ("a" * 65, "has more than 64 characters"))),
    ("31 digits that the project does not mind", {**listed("".join(f"{each}\n" for each in MANY) + "a" * 31), "runner.yaml": "lint: {odd-id: 'off'}\n"}, ()),
    ("31 digits of which it is warned", {**listed("".join(f"{each}\n" for each in MANY) + "a" * 31), "runner.yaml": "lint: {odd-id: warning}\n"}, (f"{IDS}:20:1: {SHEET}",)),
    ("31 digits of nobody to write to", never("".join(f"{each}\n" for each in MANY) + "a" * 31), (f"optout.txt:20:1: {SHEET}",)),
    ("31 digits of nobody as they are", never("".join(f"{each}\n" for each in MANY) + "a" * 31 + " # as is"), ()),
    ("31 digits in a column as they are", column("toloker_id\n" + "".join(f"{each}\n" for each in MANY) + "a" * 31 + " # as is"), ()),
    ("carriage return in a list", listed("# note\ra\n"), (f"{IDS}:1:7: error: a carriage return (U+000D) stands alone; save the file with plain line ends (in Excel: CSV UTF-8)",)),
    ("word in a file", listed("a\nTotal\n"), (f"{IDS}:2:1: {NO_ID} is a word",)),
    ("column's own name", column("who\na\nWho\n", "recipients_column: who\n"), (f"{TABLE}:3:1: {NO_ID} is a word",)),
    ("empty cell of a column", column("toloker_id,name\na,Ann\n,Bob\n"), (f"{TABLE}:3:1: {NO_ID} is empty",)),
    ("thread that is no id", {ME: "thread_id: a b\ntext: {EN: Hi}\n"}, (f"{ME}:1:12: error: `thread_id` cannot be \"a b\"",)),
    ("skill that is no id", {ME: THANKS.replace("DIRECT", "FILTER").replace(f"recipients_ids:\n  - {TOLOKER}", "recipients_filter: {category: skill, key: a.b, operator: GTE, value: 1}")}, (f"{ME}:6:43: error: \"a.b\" is not a skill id",)),
    ("31 digits among 32", listed("".join(f"{each}\n" for each in MANY) + "a" * 31), (f"{IDS}:20:1: {SHEET}; mend it, or write `# as is` after it",)),
    ("31 digits as they are", listed("".join(f"{each}\n" for each in MANY) + "a" * 31 + "  # as is"), ()),
    ("31 digits that are waived", {**listed("".join(f"{each}\n" for each in MANY) + "a" * 31), ME: FROM_FILE + "lint: {odd-id: an older id}\n"}, ()),
    ("31 digits among few", listed(f"{MANY[0]}\n{'a' * 31}\n"), ()),
    ("ids of another kind", listed("".join(f"winner-{number}\n" for number in range(20))), ()),
]  # fmt: skip

EACH = """\
topic: {EN: "Hi"}
text:
  EN: "TEXT"
recipients_select_type: DIRECT
recipients_ids: ["{{ row.toloker_id }}"]
for_each: rows.csv
"""
DATA = "messages/rows.csv"
GERMAN = "name;toloker_id;amount;paid\n{}\n"
GERMAN_COLUMNS = 'columns: {amount: {type: number, decimal: ",", group: "."}, paid: {type: boolean, yes: [WAHR], no: [FALSCH]}}\n'
KEY = 'key: "{{ row.n }}"\n'
QUOTE = "this is not CSV: a quote is not closed, or stands inside a field"


def each(
    rows: str | bytes, text: str = "{{ row.name }}", extra: str = "", ending: str = "csv"
) -> Files:
    """A message for each of these rows."""
    spec = EACH.replace("TEXT", text).replace("rows.csv", f"rows.{ending}") + extra
    return {ME: spec, f"messages/rows.{ending}": rows}


def typed(
    cell: str,
    column: str,
    text: str = "{{ row.n }}",
) -> Files:
    """A message for a row with this cell, in a column of this type."""
    if column == "boolean":
        text = "{{ 'x' if row.n else 'y' }}"
    return each(f"toloker_id|n\na|{cell}\n", text, f"columns: {{n: {column}}}\n")


TABLES: list[Row] = [
    ("commas", each("toloker_id,name\na,Ann\n"), ()),
    ("semicolons and a comma inside", each("toloker_id;name\na;Ann, the 1st\n"), ()),
    ("tabs", each("toloker_id\tname\na\tAnn\n"), ()),
    ("file of tabs", each("toloker_id\tname\na\tAnn; Bob\n", ending="tsv"), ()),
    ("bars", each("toloker_id|name\na|Ann\n"), ()),
    ("sep=", each("sep=;\r\ntoloker_id;name,x\r\na;Ann\r\n", "{{ row['name,x'] }}"), ()),
    ("sep= and a quote", each('sep="\ntoloker_id,name\na,Ann\n'), (f"{DATA}:2:1: error: the row has 2 fields and the header 1",)),
    ("two separators", {ME: EACH.replace("TEXT", "Hi").replace("{{ row.toloker_id }}", "{{ row.values() | first }}"), DATA: "who,a;b\nann,b;c\n"}, (f"{DATA}:1:1: error: the columns may be separated by comma or semicolon; say which in a first line of its own: sep=;",)),
    ("list with semicolons", column("name;toloker_id\nAnn;a\n"), ()),
    ("names in capitals with spaces", each(" Toloker_ID ,NAME \na,Ann\n"), ()),
    ("letter in two pieces", each("toloker_id,Ne\u0301\na,Ann\n", "{{ row.n\xe9 }}"), ()),
    ("capitals in JSON", each('[{"Toloker_ID": "a", "Name": "Ann"}]', ending="json"), ()),
    ("two equal columns", each("toloker_id,name,Name \na,b,c\n"), (f"{DATA}:1:1: error: two columns of the header have one name; give each its own",)),
    ("no column of ids", each("worker,full name\nw1,Ann Lee\n"), (f"{DATA}:1:1: error: the header has no column toloker_id; the column worker holds ids: name that one",)),
    ("no language for a row", each('{"toloker_id": "a", "in": []}', "Hi", 'languages: "{{ row.in }}"\n', ending="jsonl"), (f"{ME}:7:12: error: these are no languages, and the letter would be empty (row messages/rows.jsonl:1); name one, or leave such rows out by `when`",)),
    ("carriage returns alone", each("toloker_id,name\ra,Ann\r"), (f"{DATA}:1:16: error: a carriage return (U+000D) stands alone",)),
    ("lines of Windows in a table", each("toloker_id,name\r\na,Ann\r\n"), ()),
    ("number in JSON that is too small", each('[{"toloker_id": "a", "name": 1e-9999999999}]', ending="json"), ("messages/rows.json:1:1: error: this number is too small",)),
    ("numbers in JSON", each('[{"toloker_id": "a", "n": 10.50, "m": 3.0}, {"toloker_id": null, "n": ""}, {}]', "{{ row.n + row.m }}", "columns: {n: number, m: integer}\n", ending="json"), ()),
    ("share that may be a percent", typed("0.85", "percent"), (f"{DATA}:2:1: error: the cell of n is no percent; a percent has its sign, 85 %, and a share such as 0.85 is a `number`",)),
    ("byte order mark", each("\ufefftoloker_id,name\na,Ann\n"), ()),
    ("byte order mark twice", each("\ufeff\ufefftoloker_id,name\na,Ann\n"), (f"{DATA}:1:1: error: a byte order mark (U+FEFF)",)),
    ("empty rows and columns", each("toloker_id,name,,\n,,,\na,Ann,,\n,,,\n"), ()),
    ("quotes in a cell, and two lines", each('toloker_id,name\na,"the ""best"",\none"\n'), ()),
    ("table that is none", {ME: EACH.replace("TEXT", "Hi").replace("rows.csv", "rows.xlsx")}, (f"{ME}:6:11: error: `for_each` cannot be \"rows.xlsx\"",)),
    ("more characters than anybody reads", each("toloker_id,name\n" + "".join(f"a{n},x\n" for n in range(11_000)), "{{ row.name }}" + "x" * 20_000), (f"{ME}:6:11: error: texts of 20,002 characters for 11,000 rows have more than 200,000,000; make them fewer or shorter",)),
    ("loops that go round in each row", each("toloker_id,name\n" + "".join(f"a{n},x\n" for n in range(300)), "{% for n in range(20000) %}{% endfor %}{{ row.name }}"), (f"{ME}:3:8: error: template: this takes too long (row messages/rows.csv:",)),
    ("column without a name", each("toloker_id,name,\na,Ann,\nb,Bob,x\n"), (f"{DATA}:3:1: error: a column of the header has no name, and this row has something in it; name every column",)),
    ("short row", each("toloker_id,name\na\n"), (f"{DATA}:2:1: error: the row has 1 field and the header 2; write each field, an empty one too",)),
    ("long row", each("toloker_id,name\na,Ann,x\n"), (f"{DATA}:2:1: error: the row has 3 fields and the header 2; put a field that holds the separator in double quotes",)),
    ("quote that is closed far below", each('toloker_id,name\nx,Ann\na,"Ann\n' + "b,Bob\n" * 300 + 'c,Cid"\nd,"Dan" x\n'), (f"{DATA}:3:1: error: {QUOTE}",)),
    ("quote that is never closed", each('toloker_id,name\nx,Ann\na,"Ann\n' + "b,Bob\n" * 300), (f"{DATA}:3:1: error: {QUOTE}",)),
    ("Windows-1251", each("toloker_id,name\na,Ann\nb,Борис\n".encode("cp1251")), (f"{DATA}:3:3: error: this is not UTF-8, and looks like Windows-1251; save it as UTF-8 (in Excel: CSV UTF-8)",)),
    ("Windows-1252", each("toloker_id,name\na,René\n".encode("cp1252")), (f"{DATA}:2:6: error: this is not UTF-8, and looks like a Windows code page",)),
    ("UTF-16", each("toloker_id,name\na,Ann\n".encode("utf-16")), (f"{DATA}:1:1: error: this is UTF-16, not UTF-8; save it as UTF-8 (in Excel: CSV UTF-8)",)),
    ("separator in a cell", each("toloker_id,name\na,Ann\u2028Lee\n"), (f"{DATA}:2:6: error: a line separator (U+2028)",)),
    ("names of people", each("toloker_id,name\na,محمد\nb,გიორგი\nc,สมชาย\nd,Anne-Marie O\u2019Neil\ne,D'Arcy\nf,Null\n"), ()),
    ("cell of an error", each("toloker_id,name\na,#REF!\n"), (f"{ME}:3:8: error: template: the cell of name holds an error of a spreadsheet",)),
    ("cell of an error in Russian", each("toloker_id,name\na,#ДЕЛ/0!\n", "{{ row.name | upper }}"), (f"{ME}:3:8: error: template: the cell of name holds an error of a spreadsheet",)),
    ("cell of nothing", each("toloker_id,name\na,nan\n", "{{ row.name | default('you') }}"), (f"{ME}:3:8: error: template: the cell of name holds an error of a spreadsheet",)),
    ("formula", each("toloker_id,name\na,=A1\n", "{{ row.name ~ '!' }}"), (f"{ME}:3:8: error: template: the cell of name holds an error of a spreadsheet",)),
    ("cell of an error that nobody prints", each("toloker_id,name,x\na,Ann,#REF!\n"), ()),
    ("column that the hint names", each("toloker_id,fee\na,$5\n", "{{ row.fee }}", "columns: {fee: number}\n"), ('`columns: {fee: {type: number, unit: "$"}}`',)),
    ("empty id", each("toloker_id,name\na,Ann\n,Bo\n"), (f"{ME}:5:19: error: template: the cell of toloker_id is empty: fill it, or delete the row",)),
    ("row of no table", {ME: THANKS.replace("Amazing", "{{ row.name }}")}, (f'{ME}:4:11: error: the variable "row" is not defined; `row` is that of a table: add `for_each: FILE.csv`',)),
    ("currency without its quotes", each("toloker_id,n\na,5\n", "{{ row.n|float|money(USD) }}"), ('the variable "USD" is not defined (row messages/rows.csv:2); if it is text, put it in quotes: "USD"; if not, add it to `variables:`',)),
    ("column that is text", each("toloker_id,fee\na,5\n", "{{ row.fee|money('USD') }}"), ("cells are text: `columns: {fee: number}`, or |float",)),
    ("braces that are not closed", each("toloker_id,name\na,Ann\n", "{% raw %}{{{% endraw %} {{ '{{' }} Hi {{ row.name . {{ 1 }}"), ("template: this is no Jinja2 template (row messages/rows.csv:2); the {{ that opens here is not closed: write }}; braces",)),
    ("column of another name", each("Toloker ID,name\na,Ann\n"), (f"{DATA}:1:1: error: the header has no column toloker_id; did you mean Toloker ID? write Toloker ID in the message, or rename the column",)),
    ("workbook under another name", {**each(""), DATA: "PK\x03\x04\x14\x00"}, (f"{DATA}:1:1: error: cannot be read: this is an Excel file or another zip: save a table as CSV UTF-8",)),
    ("PDF under another name", {ME: "%PDF-1.7\n"}, (f"{ME}:1:1: error: cannot be read: this is a PDF",)),
    ("empty cell", each("toloker_id,name\na,Ann\nb, \n"), (f"{ME}:3:8: error: template: the cell of name is empty: fill it, or delete the row; if it may be empty, test it with `if`",)),
    ("empty cell through int", each("toloker_id,n\na,\n", "{{ row.n | int }}"), (f"{ME}:3:8: error: template: the cell of n is empty",)),
    ("empty cell that is tested", each("toloker_id,name\na,\n", "Hi{% if row.name %}, {{ row.name }}{% endif %}{{ '!' if row.name == '' }}"), ()),
    ("empty cell that may be", each("toloker_id,name\na,\n", "{{ row.name | default('you') }}{{ '!' if row.name is defined else '?' }}", "columns: {name: {required: false}}\n"), ()),
    ("empty cell that may be, printed", each("toloker_id,name\na,\n", "Hi {{ row.name }}", "columns: {name: {required: false}}\n"), (f"{ME}:3:11: error: template: the cell of name is empty: test it with `if`, in `when` with `is defined` (row {DATA}:2)",)),
    ("empty cell with a default", each("toloker_id,n\na,\n", "{{ row.n + 1 }}", "columns: {n: {type: integer, default: 0}}\n"), ()),
    ("empty cell of a type", typed("", "integer"), (f"{DATA}:2:1: error: the cell of n is no integer; it is empty: fill it, or say `required: false` or a `default`",)),
    ("cells of no type, of which five are shown", each("toloker_id,n\n" + "".join(f"{one},x\n" for one in "abcdefg"), extra="columns: {n: number}\n"), (*(f"{DATA}:{line}:1: error: the cell of n is no number; there is no digit in it" for line in range(2, 6)), f"{DATA}:6:1: error: the cell of n is no number, and so in 2 more rows; there is no digit in it")),
    ("column that is missing", each("toloker_id,name\na,Ann\n", extra="columns: {amount: number}\n"), (f"{DATA}:1:1: error: the header has no column amount",)),
    ("German", each(GERMAN.format("Ann;a;1.234,50;WAHR"), "{{ row.amount + 1 }}{{ 'x' if row.paid else 'y' }}", GERMAN_COLUMNS), ()),
    ("Russian", each("toloker_id;n\na;1\xa0234,5\n", "{{ row.n }}", 'columns: {n: {type: number, decimal: ",", group: " "}}\n'), ()),
    ("capitals of Turkish", each("toloker_id;n\na;YANLIŞ\nb;hayır\n", "{{ 'x' if row.n else 'y' }}", "columns: {n: {type: boolean, yes: [DOĞRU], no: [yanlış, HAYIR]}}\n"), ()),  # noqa: RUF001
    ("capitals of Turkish that are text", each("toloker_id;n\na;YANLIŞ\n", "{{ 'x' if row.n else 'y' }}"), (f"{ME}:3:8: error: template: row.n is text that reads as no",)),
    ("empty default", typed("", '{default: ""}', "Hi{{ row.n }}"), ()),
    ("default as a cell", typed("", '{type: percent, default: "85 %"}'), ()),
    ("default as a number", typed("", "{type: number, default: 1.5}", "{{ row.n + 1 }}"), ()),
    *((f"column of {keys}", typed("1", keys), (f"{ME}:7:{14 + keys.index(key) + len(key)}: error: {what}",)) for keys, key, what in (
        ('{type: number, group: "."}', "group: ", '`decimal` and `group` are both "."; say both: decimal: ","'),
        ('{type: number, decimal: "-"}', "decimal: ", '`decimal` is "-"'),
        ('{type: number, unit: "1"}', "unit: ", '`unit` is "1"; write a sign without digits'),
        ("{type: boolean, yes: [x], no: [X]}", "yes: ", '"x" means both yes and no'),
        ('{type: date, format: "%m/%Y"}', "format: ", '"%m/%Y" has no %d, and nothing is guessed'),
        ('{type: datetime, format: "%d.%m.%Y %H:%M"}', "format: ", '"%d.%m.%Y %H:%M" has no %z, and nothing is guessed'),
        ("{type: integer, default: x}", "default: ", "`default` is no integer; there is no digit in it"),
        ("{type: percent, default: 0.85}", "default: ", "`default` is no percent; a percent has its sign"),
        ("{default: [a]}", "default: ", "`default` is no text; this is a list"),
    )),
    ("Turkish", each("toloker_id;n;ok\na;%12,5;DOĞRU\n", "{{ row.n }}", 'columns: {n: {type: percent, decimal: ","}, ok: {type: boolean, yes: [doğru], no: [""]}}\n'), ()),
    *((f"{cell!r} is {column}", typed(cell, column), ()) for cell, column in (("3.0", "integer"), ("0123", "integer"), ("-7.50", "number"), ("\u22125", "number"), ("85 %", "percent"), ("TRUE", "boolean"), ("0", "boolean"), ("2026-11-30", "date"), ("30.11.2026", '{type: date, format: "%d.%m.%Y"}'), ("2026-11-30T18:00:00Z", "datetime"), ("2026-11-30 18:00+03:00", "datetime"), ("-€5", '{type: number, unit: "€"}'), ("€ 5", '{type: number, unit: "€"}'), ("1'234", "{type: number, group: \"'\"}"), ("1\u2019234", "{type: number, group: \"'\"}"))),
    *((f"{cell!r} is no {column}", typed(cell, column), (f"{DATA}:2:1: error: the cell of n is no {name}; {hint}",)) for cell, column, name, hint in (("0,5 %", "percent", "percent", 'numbers are read with decimal: "."'), ("US$5", '{type: number, unit: "$"}', "number", 'nothing but "$" may stand around it'), ("30.11.2026", '{type: date, format: "%d/%m/%Y"}', "date", 'the `format` of these is "%d/%m/%Y"'), ("3.5", "integer", "integer", "a whole number is expected"), ("1.234,50", "number", "number", 'numbers are read with decimal: ".": say how these are written, `columns: {n: {type: number, decimal: ",", group: "."}}`'), ("5,50", "number", "number", 'numbers are read with decimal: ".": say how these are written, `columns: {n: {type: number, decimal: ","}}`'), ("5,500", "integer", "integer", 'numbers are read with decimal: ".": say how these are written, `columns: {n: {type: integer, decimal: "," (or group: ",")}}`'), ("1 234 567", "number", "number", 'numbers are read with decimal: ".": say how these are written, `columns: {n: {type: number, group: " "}}`'), ("1.2.3", "{type: number, decimal: '.'}", "number", "numbers are read with"), ("12,34", '{type: number, group: ","}', "number", "numbers are read with"), ("1.23E+31", "number", "number", "a spreadsheet has shortened it"), ("5 €", "number", "number", 'a sign around it has a name: `columns: {n: {type: number, unit: "€"}}`'), ("$5", "number", "number", 'a sign around it has a name: `columns: {n: {type: number, unit: "$"}}`'), ("ja", "boolean", "boolean", "name its words with"), ("30.11.2026", "date", "date", "write it by ISO 8601, such as 2026-11-30, or say its `format:`"), ("20261130", "date", "date", "write it by ISO 8601"), ("46054", "date", "date", "this is a spreadsheet's number of a day"), ("2026-11-30T18:00", "datetime", "datetime", "a time needs its zone"))),
    ("no columns", each("toloker_id,name\na,Ann\n", extra="columns: {}\n"), (f"{ME}:7:10: error: `columns` is empty; write each as name: type",)),
    ("type that is none", typed("1", "numbr"), (f'{ME}:7:14: error: "numbr" is no type of a column; did you mean number?',)),
    ("key of another type", typed("1", "{type: integer, yes: [x]}"), (f"{ME}:7:30: error: `yes` does not go with integer; it is for boolean",)),
    ("format of words", typed("1", '{type: date, format: "%d %B"}'), (f'{ME}:7:35: error: "%d %B" is no format of numbers',)),
    ("columns without rows", extra("columns: {n: integer}\n"), (f"{ME}:9:1: error: `columns` does not go with a message without rows; remove it, or add `for_each`",)),
    ("rows that are chosen", each("toloker_id,n\na,5\nb,\n", "{{ row.n }}", "columns: {n: {type: integer, required: false}}\nwhen: row.n and row.n > 3\n"), ()),
    ("rows that are chosen in braces", each("toloker_id,name\na,Ann\nb,\n", extra="when: '{{ row.name == \"Ann\" }}'\n"), ()),
    ("choice that is none", each("toloker_id,name\na,Ann\n", extra="when: row.name\n"), (f"{ME}:7:7: error: this is neither true nor false (row {DATA}:2); compare something, as in row.tasks > 100, or row.tasks is defined",)),
    ("two choices", each("toloker_id,name\na,Ann\n", extra="when: '{{ row.name }} and {{ row.name }}'\n"), (f"{ME}:7:7: error: `when` has several {{{{ }}}}; write one expression: row.tasks > 100 and row.paid",)),
    ("choice with a mistake", each("toloker_id,name\na,Ann\n", extra="when: row.nmae == 'x'\n"), (f"{ME}:7:11: error: template: there is no \"nmae\" in this",)),
    ("languages of a row", {**each("toloker_id,lang\na,EN\n"), ME: EACH.replace("TEXT", "Hi") + 'languages: "{{ row.lang }}"\n'}, ()),
    ("languages that are not written", {**each("toloker_id,lang\na,RU\n"), ME: EACH.replace("TEXT", "Hi") + 'languages: ["{{ row.lang }}"]\n'}, (f'{ME}:7:13: error: "RU" is none of the languages here (row {DATA}:2); there are EN',)),
    ("one Toloker in two rows", each("toloker_id,name\na,Ann\nA,Bob\n"), (f"{ME}:5:17: error: one Toloker is in two rows: {DATA}:2 and {DATA}:3; for several letters to one, say what tells them apart: key:",)),
    ("one Toloker in two rows with keys", each("toloker_id,name,n\na,Ann,1\nA,Bob,2\n", extra=KEY), ()),
    ("numbers as keys", each("toloker_id,name,n\na,Ann,1\nA,Bob,2\n", extra=KEY + "columns: {n: integer}\n"), ()),
    ("one Toloker in two rows with one key", each("toloker_id,name,n\na,Ann,x\nA,Bob,X\n", extra=KEY), (f"{ME}:5:17: error: one Toloker is in two rows with one key: {DATA}:2 and {DATA}:3; each needs a key of its own",)),
    ("the same words for one Toloker", each("toloker_id,name,n\na,Ann,1\na,Ann,2\n", extra=KEY), (f"{ME}:5:17: error: one Toloker gets the same words by two rows: {DATA}:2 and {DATA}:3; no list could tell them apart",)),
    ("key that is none", each("toloker_id,name,n\na,Ann,1 2\n", extra=KEY), (f"{ME}:7:6: error: this is no key: it holds a space (U+0020) (row {DATA}:2); a key has 1 to 64",)),
    ("key without rows", extra("key: a\n"), (f"{ME}:9:1: error: `key` does not go with a message without rows",)),
]  # fmt: skip

ROWS = [*YAML, *FILES, *PEOPLE, *TABLES]


def test_rows_become_what_their_columns_say(project: Project) -> None:
    extra = GERMAN_COLUMNS + 'when: "row.amount > 1"\nlanguages: "{{ row.name }}"\n'
    text = "{{ row.amount }} {{ row.amount * 2 }} {{ 'paid' if row.paid else 'due' }}"
    rows = "EN;a;1.234,5;WAHR\nRU;b;0,5;FALSCH\nRU;c;2;FALSCH"
    files = each(GERMAN.format(rows), text, extra)
    message = str(files[ME]).replace('{EN: "Hi"}', '{EN: "Hi", RU: "Hi"}')
    project.write(ME, message.replace("  EN: ", "  RU: 'слово {{ row.amount }}'\n  EN: "))
    project.write(DATA, files[DATA])
    with Emulator(project.root / "toloka.sqlite") as emulator:
        assert f"{DATA}: `when` leaves out 1 row\n" in project.run("plan").out
        sent = project.send(emulator)
        assert (sent.code, f"{DATA}: `when` leaves out 1 row\n" in sent.err) == (0, True)
        texts = [each["messages"][0]["text"] for each in threads(emulator)]
    assert sorted(texts, key=list) == [{"EN": "1234.5 2469 paid"}, {"RU": "слово 2"}]


def test_what_is_empty_throughout_is_passed_over_and_counted(project: Project) -> None:
    for path, content in each("toloker_id,name,,\n,,,\na,Ann,,\n,,,\n").items():
        project.write(path, content)
    said = f"{DATA}: 2 empty columns and 2 empty rows passed over\n"
    assert said in project.run("plan").out


def test_a_project_says_how_bad_the_same_words_are(project: Project) -> None:
    project.write(ME, THANKS)
    project.write("messages/z.yaml", THANKS)
    said = "messages/z.yaml:1:1: {}: these words go to some of the same people as those of"
    for level, code in (("error", 3), ("warning", 0), ("off", 0)):
        project.write("runner.yaml", f"lint: {{same-words: '{level}'}}\n")
        shown = project.run("plan")
        assert (shown.code, said.format(level) in shown.err) == (code, level != "off")
    project.write("runner.yaml", "lint: {same-words: warning}\n")
    assert project.run("plan", "--strict").code == 3


TWO = THANKS.replace(TOLOKER, f"{TOLOKER}\n  - b")
OVER = "the policy allows 1 recipients a message, and this would reach 2"
ALONE: list[Row] = [
    ("more than may be", {"runner.yaml": "policy: {max_recipients: 1}\n", ME: TWO}, (f"{ME}:7:3: error: {OVER}",)),
    ("more rows than may be", {"runner.yaml": "policy: {max_recipients: 1}\n", **each("toloker_id,name\na,Ann\nb,Bo\n")}, (f"{ME}:5:17: error: {OVER}",)),
    ("as many as may be", {"runner.yaml": "policy: {max_recipients: 2}\n", ME: TWO}, ()),
    ("as many without those who get nothing", {**never("b\n", "policy: {max_recipients: 1}\nsuppress: optout.txt\n"), ME: TWO}, ()),
    ("a draft of many", {"runner.yaml": "policy: {max_recipients: 1}\n", ME: TWO + "draft: true\n"}, ()),
    ("to all, who may not be written to", {"runner.yaml": "policy: {allow_all: false}\n", ME: "topic: {EN: Hi}\ntext: {EN: Hello}\nrecipients_select_type: ALL\n"}, (f"{ME}:3:25: error: the policy forbids messages to ALL",)),
    ("reply to nobody", {"messages/z.yaml": "reply_to: nobody\ntext: {EN: Hi}\n"}, ('messages/z.yaml:1:11: error: there is no message "nobody" to reply to; write the id of a message of yours; if it was sent, and its file is gone, run `plan`',)),
    ("reply to a message", {"messages/z.yaml": "reply_to: m\ntext: {EN: Hi}\n"}, ()),
    ("the same words twice", {"messages/z.yaml": THANKS}, ('messages/z.yaml:1:1: error: these words go to some of the same people as those of "m"',)),
    ("the same words twice, waived", {"messages/z.yaml": THANKS + "lint: {same-words: a greeting}\n"}, ()),
]  # fmt: skip
ROWS += ALONE


def test_validate_says_what_only_the_manifest_knows(project: Project) -> None:
    project.write("runner.yaml", "policy: {max_recipients: 2}\n")
    project.write(ME, THANKS)
    project.write("messages/z.yaml", "reply_to: gone\ntext: {EN: Hi}\n")
    shown = project.run("validate")
    assert (shown.code, "warning: there is no message" in shown.out) == (0, True)
    assert "limits are checked on the files only; `plan` also counts" in shown.err


def test_a_variable_of_the_command_line_takes_the_type_that_it_beats(project: Project) -> None:
    kinds = "{{ n + 1 }} {{ p }} {{ 'yes' if flag else 'no' }} {{ word }} {{ day|date }} {{ nothing }} {{ '%s'|format(last) }}"
    values = "n: 1, p: 10.50, flag: true, word: a, day: 2026-02-01, nothing: null, items: [a]"
    project.write(ME, THANKS.replace("Amazing job!", kinds) + f"variables: {{{values}}}\n")
    given = (
        "n=0041",
        "p=12.50",
        "flag=false",
        "word=007",
        "day=2026-03-01",
        "nothing=x=y",
        "last=5%",
    )
    options = [word for each in given for word in ("--var", each)]
    assert "42 12.50 no 007 1 March 2026 x=y 5% We have" in project.run("plan", *options).out
    for said, words in (
        ("n=ten", '--var n is "ten", and beats a number; write a number, such as 12.50'),
        ("flag=yes", '--var flag is "yes", and beats true; write true or false'),
        ("items=a", '--var items is "a", and beats a list; give it in a --var-file'),
    ):
        shown = project.run("validate", "--var", said)
        assert (shown.code, words in shown.out) == (3, True), shown
    # What no message uses is an error, and a warning where others may use it.
    wrong = ("validate", "--var", "wrod=b", *options)
    assert project.run(*wrong).err == "error: no message uses --var wrod: did you mean word?\n"
    assert project.run(*wrong).code == 2
    shown = project.run(*wrong, ME)
    assert (shown.code, "warning: no message uses --var wrod" in shown.out) == (0, True)
    project.write("values.yaml", "n: 5\nvariables: {word: b}\n")
    shown = project.run("validate", "--var-file", "values.yaml", *options)
    assert (shown.code, "values.yaml:2:1: write the names at the left margin" in shown.err) == (
        2,
        True,
    )


def test_an_odd_id_is_told_where_it_is_written(project: Project) -> None:
    ids = "".join(f"  - {each}\n" for each in (*MANY, "a" * 31))
    project.write(ME, THANKS.replace(f"  - {TOLOKER}\n", ids))
    rows = "".join(f"{each},x\n" for each in (*MANY, "a" * 31))
    project.write("messages/rows.csv", "toloker_id,name\n" + rows)
    project.write(
        "messages/r.yaml",
        THANKS.replace(f"  - {TOLOKER}", "  - '{{ row.toloker_id }}'") + "for_each: rows.csv\n",
    )
    shown = project.run("validate")
    assert shown.code == 3
    for place in (f"{ME}:26:5", "messages/rows.csv:21:1"):
        assert f"{place}: {SHEET}; mend it, or write `lint: {{odd-id: why}}`" in shown.out


def test_ids_are_compared_without_case_and_sent_in_small_letters(project: Project) -> None:
    large = TOLOKER.upper()
    project.write("runner.yaml", "suppress: optout.txt\n")
    project.write("optout.txt", "BOB\n")
    project.write(ME, THANKS.replace(TOLOKER, f"{large}\n  - {TOLOKER}\n  - Ann\n  - ann\n  - bob"))
    assert project.run("send", "--results", "results.json").code == 0
    found = {each["status"]: each["recipients_ids"] for each in project.results()["deliveries"]}
    assert found == {"sent": [TOLOKER, "Ann"], "suppressed": ["bob"]}
    tested = project.run("send", "--test-to", "BOB")
    assert (tested.code, "--test-to BOB: on the suppression list" in tested.err) == (2, True)


def test_a_bad_line_in_a_suppression_list_stops_everything(project: Project) -> None:
    project.write(ME, THANKS)
    for path, content in never(f"{TOLOKER};\n").items():
        project.write(path, content)
    for command in ("validate", "plan", "send"):
        shown = project.run(command)
        assert (shown.code, "optout.txt:1:1: error:" in shown.err) == (2, True), command


def test_one_id_is_one_message_whichever_file_is_named(project: Project) -> None:
    project.write("messages/bonus.yaml", THANKS)
    project.write("messages/copy.yaml", THANKS + "id: bonus\n")
    for name, place, other in (
        ("bonus", "messages/bonus.yaml:1:1", "messages/copy.yaml"),
        ("copy", "messages/copy.yaml:9:5", "messages/bonus.yaml"),
    ):
        shown = project.run("send", f"messages/{name}.yaml")
        said = f'{place}: error: the id "bonus" is also that of {other}; two messages need two ids'
        assert shown.code == 3
        assert said in shown.err


def test_one_file_is_one_message_however_it_is_named(project: Project) -> None:
    project.write("messages/bonus.yaml", THANKS)
    project.write("other/list.txt", "")
    shown = project.run("validate", "messages/bonus.yaml", "other/../messages/bonus.yaml")
    assert (shown.code, shown.out) == (0, "1 message is valid\n"), shown
    assert project.run("validate", "other/../messages").code == 0
    link = project.root.parent / "link"
    link.symlink_to(project.root, target_is_directory=True)
    shown = project.run("validate", "messages/bonus.yaml", link / "messages" / "bonus.yaml")
    assert (shown.code, shown.out) == (0, "1 message is valid\n"), shown
    project.write("runner.yaml", "")
    shown = project.run("validate", "--config", link / "runner.yaml", "messages/bonus.yaml")
    assert (shown.code, shown.out) == (0, "1 message is valid\n"), shown


def test_what_only_looks_like_a_message_is_a_warning_in_every_command(project: Project) -> None:
    project.write(ME, THANKS)
    project.write("messages/a.yaml.txt", THANKS)
    for command in ("validate", "plan", "send"):
        shown = project.run(command)
        assert shown.code == 0
        assert "messages/a.yaml.txt:1:1: warning: this file is not read" in shown.out + shown.err
        assert project.run(command, "--strict").code == 3


RULES = {
    "line ends are YAML 1.2's": ("separator in a spec", "escaped separator"),
    "no raw control character": ("vertical tab", "lines of Windows"),
    "two halves are one character": ("half an emoji", "emoji in halves"),
    "no duplicate key": ("duplicate key", "one key in two places"),
    "no two files with one id": ("one id twice", "id that is not a path's"),
    "an anchor is used": ("unused anchor", "anchor that is used"),
    "no merge key": ("merge key", "key that looks like a merge"),
    "no tag": ("tag of nothing", "exclamation mark in quotes"),
    "no directive": ("directive", "document mark"),
    "no second document": ("second document", "mark of the end"),
    "no odd space in a key": ("no-break space in a key", "no-break space in a text"),
    "no look-alike in a key": ("Cyrillic letter in a key", "keys in other scripts"),
    "no comment cuts words off": ("comment in a topic", "number sign in a block"),
    "no comment cuts off what is printed": ("comment in a variable", "comments elsewhere"),
    "a mistake in a text has a way out": ("bracket", "link in quotes"),
    "a topic is one line": ("line end in a topic", "one final line end of a topic"),
    "a configuration is not passed over": ("runner.yml", "runner.toml of somebody else"),
    "a message is not passed over": ("message saved as text", "other files"),
    "every system has its name": ("name of a device", "name like a device's"),
    "no two names in two cases": ("names that differ in case", "id that is not a path's"),
    "a language has its code": ("country's code", "Ukrainian"),
    "a language is no country": ("language better known as a country", "waived"),
    "an id is letters and digits": ("id with a semicolon", "ids of another kind"),
    "words are no ids": ("word in a file", "ids with a word in them"),
    "errors are no ids": ("error of a spreadsheet for an id", "list as people write it"),
    "odd ids": ("31 digits among 32", "31 digits as they are"),
    "comments in a list": ("id that is commented out", "list as people write it"),
    "lists of nobody to write to": ("bad line in the second list", "several lists"),
    "one Toloker has one row": ("one Toloker in two rows", "one Toloker in two rows with keys"),
    "forms of tables": ("table that is none", "file of tabs"),
    "separators": ("two separators", "sep="),
    "one byte order mark": ("byte order mark twice", "byte order mark"),
    "names without case": ("two equal columns", "names in capitals with spaces"),
    "ids have a column": ("no column of ids", "list with semicolons"),
    "empty throughout": ("column without a name", "empty rows and columns"),
    "rows of one length": ("short row", "semicolons and a comma inside"),
    "quotes are closed": ("quote that is never closed", "quotes in a cell, and two lines"),
    "tables are UTF-8": ("Windows-1251", "names of people"),
    "columns have types": ("type that is none", "'3.0' is integer"),
    "keys go with types": ("key of another type", "'€ 5' is {type: number, unit: \"€\"}"),
    "numbers in their way": ("'1.234,50' is no number", "German"),
    "words of yes and no": ("'ja' is no boolean", "capitals of Turkish"),
    "days are not guessed": ("'46054' is no date", "'2026-11-30' is date"),
    "times have zones": ("'2026-11-30T18:00' is no datetime", "'2026-11-30T18:00:00Z' is datetime"),
    "defaults are of the type": ("column of {type: integer, default: x}", "default as a cell"),
    "a named column is there": ("column that is missing", "capitals in JSON"),
    "no errors are printed": ("cell of an error", "cell of an error that nobody prints"),
    "nothing empty is printed": ("empty cell", "empty cell that is tested"),
    "missing cells": ("empty cell that may be, printed", "empty cell that may be"),
    "rows are chosen by conditions": ("choice that is none", "rows that are chosen in braces"),
}  # fmt: skip
"""Each rule of YAML, people and rows, with a file that it refuses and one that it lets pass."""


def test_each_rule_has_files_of_both_kinds() -> None:
    said = {name: words for name, _, words in ROWS}
    assert len(said) == len(ROWS), "two rows have one name"
    for rule, (refused, honest) in RULES.items():
        assert (bool(said[refused]), said[honest]) == (True, ()), rule


def test_a_message_from_elsewhere_says_its_id(project: Project) -> None:
    project.write(ME, THANKS)
    project.write("elsewhere/a.yaml", THANKS)
    shown = project.run("validate", "elsewhere/a.yaml")
    assert (shown.code, "elsewhere/a.yaml:1:1: error:" in shown.out) == (3, True), shown
    project.write("elsewhere/a.yaml", THANKS + "id: a\n")
    assert project.run("validate", "elsewhere/a.yaml").code == 0


@pytest.mark.some(2)
@pytest.mark.parametrize(("name", "files", "said"), ROWS, ids=[row[0] for row in ROWS])
def test_a_file_means_what_its_author_means(
    name: str, files: Files, said: tuple[str, ...], project: Project
) -> None:
    for path, content in {ME: THANKS, **files}.items():
        project.write(path, content)
    shown = project.run("validate", "--strict")
    lines = (shown.out + shown.err).splitlines()
    found = [line for line in lines if "error: " in line.lower()]
    assert len(found) == len(said), found
    for line, begin in zip(found, said, strict=True):
        assert begin in line, name
    assert (shown.code == 0) == (not said)
