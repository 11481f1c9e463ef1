from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runner.errors import Fault, MessagesError, Place, Pointer, Problem
from runner.spec.yamlevents import MAX_ALIASED_NODES, MAX_DEPTH, MAX_NODES, Leaf, Shape
from runner.spec.yamlfile import MAX_BYTES, YamlFile, parse_yaml, read_yaml


def data_of(source: str) -> object:
    return parse_yaml(source, "m.yaml").data


def complaints(source: str | bytes, folder: Path) -> list[str]:
    """What a file of these bytes is refused for."""
    path = folder / "m.yaml"
    path.write_bytes(source if isinstance(source, bytes) else source.encode())
    with pytest.raises(MessagesError) as caught:
        read_yaml(path, "m.yaml")
    return str(caught.value).split("\n")


# --- the core schema of YAML 1.2 ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *(
            (word, word)
            for word in ("NO", "no", "yes", "Yes", "on", "off", "y", "n", "nULL", "TRue")
        ),
        ("0123", 123),
        ("-017", -17),
        ("+5", 5),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("190:20:30", "190:20:30"),
        ("-0x1F", "-0x1F"),
        ("1e5", 100_000),
        ("1E-2", 0.01),
        (".5", 0.5),
        ("5.", 5),
        ("+.5", 0.5),
        (".", "."),
        ("1.2.3", "1.2.3"),
        ("~", None),
        ("null", None),
        ("NULL", None),
        ("", None),
        ("true", True),
        ("False", False),
        ("2026-11-22", "2026-11-22"),
        ("2026-11-22T21:00:00Z", "2026-11-22T21:00:00Z"),
        ("=", "="),
        ("'0123'", "0123"),
        ('"true"', "true"),
        ("|-\n  12", "12"),
        (">\n  1.5", "1.5\n"),
        ("12345678901234567890123", 12345678901234567890123),
    ],
)
def test_a_scalar_is_what_the_core_schema_says(written: str, value: object) -> None:
    found = data_of(f"key: {written}\n")
    assert found == {"key": value}
    assert isinstance(found, dict)
    assert type(found["key"]) is type(value)


def test_keys_are_always_text() -> None:
    source = "NO: a\n1: b\ntrue: c\n~: d\n2026-11-22: e\n"
    assert data_of(source) == {"NO": "a", "1": "b", "true": "c", "~": "d", "2026-11-22": "e"}


def test_what_the_shape_names_is_the_text_that_was_written() -> None:
    source = (
        "recipients_ids: [0123, 1e5, 0x1F, NO, ~, 2026-11-22, 'quoted']\n"
        "tree: {and: [{key: 0123, value: 0123}, {or: [{key: 1e5, value: 1e5}]}]}\n"
        "other: 0123\n"
    )
    node: dict[str, Shape | Leaf] = {"key": "id"}
    node.update({"and": node, "or": node})
    file = parse_yaml(source, "m.yaml", {"recipients_ids": "id", "tree": node})
    assert file.data == {
        "recipients_ids": ["0123", "1e5", "0x1F", "NO", "~", "2026-11-22", "quoted"],
        "tree": {"and": [{"key": "0123", "value": 123}, {"or": [{"key": "1e5", "value": 1e5}]}]},
        "other": 123,
    }


def test_an_alias_gives_the_value_again() -> None:
    source = "a: &x {n: 1}\nb: *x\nc: [&y text, *y]\n"
    assert data_of(source) == {"a": {"n": 1}, "b": {"n": 1}, "c": ["text", "text"]}


def test_an_id_that_was_read_as_a_number_elsewhere_is_not_guessed() -> None:
    source = "variables: {ids: &x %s}\nrecipients_ids: "
    for anchored, ids, column in (("[0123]", "*x", 17), ("1e5", "[*x]", 18)):
        with pytest.raises(MessagesError) as caught:
            parse_yaml(source % anchored + ids + "\n", "m.yaml", {"recipients_ids": "id"})
        said = f"m.yaml:2:{column}: error: what *x names is not text; quote it there"
        assert str(caught.value) == said
    file = parse_yaml(source % "['0123']" + "*x\n", "m.yaml", {"recipients_ids": "id"})
    assert isinstance(file.data, dict)
    assert file.data["recipients_ids"] == ["0123"]


@pytest.mark.parametrize("source", ["", "\n\n", "# only a comment\n", "---\n", "---\n...\n", "~"])
def test_an_empty_file_holds_nothing(source: str) -> None:
    assert data_of(source) is None


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"\xef\xbb\xbfkey: value\n", {"key": "value"}),
        (b"key: |\r\n  one\r\n  two\r\nnext: 1\r\n", {"key": "one\ntwo\n", "next": 1}),
        (b"---\nkey: value\n...\n", {"key": "value"}),
        ("key: Привет 👋\n".encode(), {"key": "Привет 👋"}),
        (b'key: "\\ud83d\\ude00 \\uD83D\\uDC4B"\n', {"key": "😀 👋"}),
        (
            b"key: \\ud83d\\ude00\nb: 'x\\ud83d\\ude00'\n",
            {"key": r"\ud83d\ude00", "b": r"x\ud83d\ude00"},
        ),
    ],
    ids=[
        "byte order mark",
        "CRLF",
        "document marks",
        "not ASCII",
        "halves as JSON has them",
        "no escapes",
    ],
)
def test_how_a_file_is_saved_does_not_matter(raw: bytes, value: object, tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes(raw)
    assert read_yaml(path, "m.yaml").data == value


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("a: !!python/name:os.system x\n", "m.yaml:1:4: error: the tag tag:yaml.org,2002:python/name:os.system is not used here; remove it"),
        ("a: !!int '7'\n", "m.yaml:1:4: error: the tag tag:yaml.org,2002:int is not used here; remove it"),
        ("a: &x [1, *x]\n", "m.yaml:1:11: error: the alias *x names nothing that is complete above it; put text that starts with * in quotes"),
        ("a: &x k\n*x : 1\n", "m.yaml:2:1: error: an alias cannot be a key; write the key out"),
        ("? [a]\n: 1\n", "m.yaml:1:3: error: a key must be plain text; put text that starts with {{ in quotes; a key has no brackets and no `?`"),
        ("{a: 1}: 2\n", "m.yaml:1:1: error: a key must be plain text; put text that starts with {{ in quotes; a key has no brackets and no `?`"),
        ("a: .inf\n", "m.yaml:1:4: error: .inf is not a number that JSON knows; put text in quotes"),
        ("a: -.Inf\n", "m.yaml:1:4: error: -.Inf is not a number that JSON knows; put text in quotes"),
        ("a: .NaN\n", "m.yaml:1:4: error: .NaN is not a number that JSON knows; put text in quotes"),
        ("a: 1e999\n", "m.yaml:1:4: error: this number is too large; put text in quotes"),
        (f"a: {'9' * 500}\n", "m.yaml:1:4: error: this number is too large; put text in quotes"),
    ],
)  # fmt: skip
def test_what_is_not_plain_yaml_is_refused_at_its_place(
    source: str | bytes, complaint: str, tmp_path: Path
) -> None:
    assert complaints(source, tmp_path) == [complaint]


@pytest.mark.parametrize(
    ("source", "place", "what", "hint"),
    [
        ("a: 1\n b: 2\n", "2:3", '":" cannot stand here', "check the indentation, and the line above for a missing colon"),
        ("a: {b: c: d}\n", "1:9", '":" cannot stand here', "put text that holds a colon in quotes"),
        ("a: - b\n", "1:4", '"-" cannot stand here', "put text that starts with - in quotes, and a list on lines of its own"),
        ("a: [1,,2]\n", "1:7", '"," cannot stand here', "check the quotes, commas and brackets before it"),
        ("%YAML 1.2\n---\na: 1\n", "1:1", "a line that starts with % is an order to the parser", "remove it"),
        ("a: 1\n...\n# x\n\n%TAG !e! tag:x\n", "5:1", "a line that starts with % is an order to the parser", "remove it"),
        ("a: {b: [\n", "1:8", "the bracket that opens here is still open in line 2", "close it, check the quotes and commas of that line, and quote text that holds a #"),
        ("a: 'b\n---\nc'\n", "1:4", "the quote that opens here is not closed", "close it, or put the text in the other kind of quotes"),
        ('a: "b \\xz"\n', "1:7", r"the escape \x does not exist", "inside double quotes a backslash is written twice"),
        ('a: "b \\ud83d \\ude00"\n', "1:7", r"the escape \ud83d does not exist", "inside double quotes a backslash is written twice"),
        ('a: 1\n"b\\n\n  c": 2\n', "2:1", "no colon follows this key", "write `key: text`, and check for a quote left open above"),
        ("a: | b\n", "1:4", "text cannot start with |", "put it in quotes"),
        ("a: *b*\n", "1:4", "text cannot start with *", "put it in quotes"),
        ("a:\n  b: 1\n\tc: 2\n", "3:1", "a tab stands where only spaces may", "indent with spaces"),
    ],
)  # fmt: skip
def test_why_it_is_not_yaml_is_said_by_us(
    source: str, place: str, what: str, hint: str, tmp_path: Path
) -> None:
    assert complaints(source, tmp_path) == [f"m.yaml:{place}: error: {what}; {hint}"]


def test_all_problems_are_said_before_the_one_that_stops(tmp_path: Path) -> None:
    source = "a: 1\na: 2\nb: !x y\nc: .nan\nd: [\n"
    said = complaints(source, tmp_path)
    assert [line.split(": ")[0] for line in said] == [
        "m.yaml:2:1",
        "m.yaml:3:4",
        "m.yaml:4:4",
        "m.yaml:5:4",
    ]


def test_a_complaint_cannot_move_the_cursor(tmp_path: Path) -> None:
    # Escapes in double quotes make what could not stand in the file itself.
    for source in (
        '"\\e[2J\\n::warning::x": 1\n' * 2,
        "a: !<tag:x%1B%0Ay> b\n",
        '- "\\e"\n- *\x85\n',
    ):
        said = complaints(source, tmp_path)
        assert all(line.startswith("m.yaml:") for line in said)
        assert all(line.isprintable() for line in said)


def test_nesting_has_a_limit(tmp_path: Path) -> None:
    good = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    value = data_of(good)
    for _ in range(MAX_DEPTH - 1):
        assert isinstance(value, list)
        (value,) = value
    assert value == []
    said = complaints(f"[{good}]", tmp_path)
    assert said == [f"m.yaml:1:{MAX_DEPTH + 1}: error: nested more than 64 levels deep; flatten it"]
    assert complaints("[" * 500_000, tmp_path) == said


@pytest.mark.parametrize("count", [MAX_DEPTH + 1, 500, 999, 1_000, 1_001, 5_000, 100_000])
@pytest.mark.parametrize("opening", ["[", "{", "[\n", "{a: ", "{a: [", "- ", "? ", "['x', "])
def test_nesting_is_complained_of_by_us_whatever_the_parser_does(
    opening: str, count: int, tmp_path: Path
) -> None:
    inside = () if opening[0] in "-?" else ("topic: ", "a: '[[['\nb: ")
    for before in ("", "a: '[[['\nb:\n  ", *inside):
        (said,) = complaints(before + opening * count, tmp_path)
        assert "nested more than 64 levels deep; flatten it" in said or "a key" in said


def test_brackets_in_a_text_hide_no_mistake_below(tmp_path: Path) -> None:
    text = "a: 1\na: 2\nb: |\n" + "  see [1] and {2}\n" * 200
    said = complaints(text + "c: 'open\n", tmp_path)
    assert said[0] == 'm.yaml:2:1: error: duplicate key "a"; keep one of the two'
    assert said[1].startswith(("m.yaml:204:", "m.yaml:205:"))
    assert len(said) == 2


def test_an_alias_bomb_is_refused_quickly(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 12):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
    started = time.process_time()
    said = complaints("\n".join(lines), tmp_path)
    assert time.process_time() - started < 1
    assert len(said) == 1
    assert said[0].startswith("m.yaml:4:")
    assert said[0].endswith("error: aliases make this file too large; write the values out")
    wide = "x: &x [" + "1, " * 100 + "1]\ny: [" + "*x, " * (MAX_ALIASED_NODES // 102 + 1) + "]\n"
    assert complaints(wide, tmp_path)[0].startswith("m.yaml:2:")


def test_there_may_be_only_so_many_values(tmp_path: Path) -> None:
    (said,) = complaints("- 1\n" * (MAX_NODES + 1), tmp_path)
    assert said == f"m.yaml:{MAX_NODES}:3: error: holds more than 250,000 values; use a data file"


def test_a_file_too_large_is_not_parsed(tmp_path: Path) -> None:
    said = complaints(b"#" * (MAX_BYTES + 1), tmp_path)
    assert said == ["m.yaml:1:1: error: is larger than 8 MiB; split it up"]


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    for name, reason in (("gone.yaml", "cannot be read: "), (".", "this is not a file")):
        with pytest.raises(MessagesError, match=reason):
            read_yaml(tmp_path / name, "m.yaml")


# --- places ---------------------------------------------------------------------------------------

SOURCE = """\
# A comment.
topic:
  EN: Hello {{ a }}
  "DE": 'Its {{ b }}'
text:
  EN: |
    First line,
      deeper {{ c }}

    last {{ d }}
  DE: >-
    folded
    over {{ e }}
    lines
  FR: "one
    two {{ f }}"
  TR: plain that
    goes on {{ g }}
list:
  - one
  - {in: side, it: [1, 2]}
"""


@pytest.fixture(scope="module")
def file() -> YamlFile:
    return parse_yaml(SOURCE, "m.yaml")


@pytest.mark.parametrize(
    ("pointer", "line", "column"),
    [
        ((), 2, 1),
        (("topic",), 3, 3),
        (("topic", "EN"), 3, 7),
        (("topic", "DE"), 4, 9),
        (("text", "EN"), 6, 7),
        (("list",), 20, 3),
        (("list", 0), 20, 5),
        (("list", 1), 21, 5),
        (("list", 1, "it"), 21, 20),
        (("list", 1, "it", 1), 21, 24),
    ],
)
def test_every_value_has_its_place(
    file: YamlFile, pointer: Pointer, line: int, column: int
) -> None:
    assert file.place(pointer) == Place("m.yaml", line, column)


def test_a_key_has_its_place(file: YamlFile) -> None:
    assert file.place(("topic", "DE"), at_key=True) == Place("m.yaml", 4, 3)
    assert file.place(("list", 1, "it"), at_key=True) == Place("m.yaml", 21, 16)
    fault = Fault(("text", "FR"), "what", "hint", at_key=True)
    assert str(file.problem(fault)) == "m.yaml:15:3: error: what; hint"


def test_a_value_that_is_not_there_has_the_place_of_its_nearest_parent(file: YamlFile) -> None:
    assert file.place(("topic", "ES", 3)) == file.place(("topic",))
    assert file.place(("nothing",), at_key=True, offset=3) == Place("m.yaml", 2, 1)
    assert file.text_place(("topic", "ES"), 5) == file.place(("topic",))
    assert parse_yaml("", "m.yaml").place(("a",)) == Place("m.yaml", 1, 1)


@pytest.mark.parametrize(
    ("pointer", "name"),
    [
        (("topic", "EN"), "a"),
        (("topic", "DE"), "b"),
        (("text", "EN"), "c"),
        (("text", "EN"), "d"),
        (("text", "DE"), "e"),
        (("text", "FR"), "f"),
        (("text", "TR"), "g"),
    ],
)
def test_a_spot_inside_a_text_is_found_in_every_style(
    file: YamlFile, pointer: Pointer, name: str
) -> None:
    marker = "{{ " + name + " }}"
    value: object = file.data
    for step in pointer:
        assert isinstance(value, dict)
        value = value[step]
    assert isinstance(value, str)
    offset = value.index(marker)
    for place in (file.place(pointer, offset=offset), file.text_place(pointer, offset)):
        line = SOURCE.split("\n")[place.line - 1]
        assert line[place.column - 1 :].startswith(marker), (place, line)


def test_where_escapes_hide_a_spot_its_line_or_one_before_answers() -> None:
    file = parse_yaml("a: 'It''s {{ x }}'\nb: \"\\u0041 {{ y }}\\n\n  {{ z }}\"\n", "m.yaml")
    assert isinstance(file.data, dict)
    assert file.text_place(("a",), file.data["a"].index("{{")).line == 1
    assert file.text_place(("b",), file.data["b"].index("{{ y")).line == 2
    assert file.text_place(("b",), file.data["b"].index("{{ z")).line in (2, 3)


def test_the_first_character_of_a_block_stands_below_its_mark(file: YamlFile) -> None:
    assert file.place(("text", "EN")) == Place("m.yaml", 6, 7)
    assert file.text_place(("text", "EN"), 0) == Place("m.yaml", 7, 5)
    assert file.text_place(("list", 1), 3) == file.place(("list", 1))


def test_places_count_characters_not_bytes() -> None:
    file = parse_yaml("ключ: {ж: 'при👋вет {{ x }}'}\n", "m.yaml")
    assert file.place(("ключ", "ж")).column == 11
    place = file.text_place(("ключ", "ж"), len("при👋вет "))
    assert place == Place("m.yaml", 1, 20)


def test_places_in_a_file_of_windows(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\ntext: |\r\n  one\r\n  two {{ x }}\r\n")
    file = read_yaml(path, "m.yaml")
    assert file.data == {"a": 1, "text": "one\ntwo {{ x }}\n"}
    assert file.place(("text",)) == Place("m.yaml", 2, 7)
    assert file.text_place(("text",), len("one\ntwo ")) == Place("m.yaml", 4, 7)


# --- whatever is in the file ----------------------------------------------------------------------

TOKENS = r"""a :_ -_ __ { } [ ] &x_ *x_ !t_ ' " |N >N # << ?_ % ---N ...N T \\ 0x 1e5 ~ , RN U N"""
PIECES = st.lists(
    st.sampled_from(
        [
            token.translate(
                {ord("_"): " ", ord("N"): "\n", ord("T"): "\t", ord("R"): "\r", ord("U"): "\u2028"}
            )
            for token in TOKENS.split()
        ]
    ),
    max_size=40,
).map("".join)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode) | PIECES.map(str.encode))
@example(b"\xef\xbb\xbf")
@example(b"%TAG ! x\n---\n!a b")
@example(b"? a")
def test_any_bytes_give_json_values_or_a_problem_with_a_place(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(raw)
    # Where a file ends too soon the complaint may be on the line after the last one.
    breaks = ("\n", "\r", "\x85", "\u2028", "\u2029")
    lines = sum(raw.count(each.encode()) for each in breaks) + 2
    problems: tuple[Problem, ...] = ()
    file = None
    try:
        file = read_yaml(path, "any.yaml")
    except MessagesError as error:
        problems = error.problems
    assert bool(problems) == (file is None)
    for problem in problems:
        assert 1 <= problem.where.line <= lines
        assert problem.where.column >= 1
        assert str(problem).isprintable()
    if file is not None:
        json.dumps(file.data, allow_nan=False)
        assert file.place().line <= lines


WORDS = st.text("ab '\"#:-\\{}é👋", max_size=12)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_json_is_yaml_and_each_of_its_values_has_a_place(value: object) -> None:
    source = json.dumps(value, indent=1, ensure_ascii=False)
    file = parse_yaml(source, "m.yaml")
    assert file.data == value

    def check(pointer: Pointer, part: object) -> None:
        place = file.place(pointer)
        written = source.split("\n")[place.line - 1][place.column - 1 :]
        assert written.startswith(json.dumps(part, ensure_ascii=False)[:1])
        for step, inner in (
            part.items()
            if isinstance(part, dict)
            else enumerate(part)
            if isinstance(part, list)
            else ()
        ):
            check((*pointer, step), inner)

    check((), value)


@pytest.mark.parametrize("index", [0, 1, 65_535, 65_536, 65_537, 131_071, 131_072, 150_000])
@pytest.mark.parametrize("filler", ["#\n", "# long\n", "#" * 70_000 + "\n"], ids=range(3))
def test_a_place_far_down_is_counted_from_the_top(filler: str, index: int) -> None:
    source = (filler * (index // len(filler) + 1))[:index] + "\0"
    with pytest.raises(MessagesError) as caught:
        parse_yaml(source, "m.yaml")
    above, _, beside = source[:-1].rpartition("\n")
    line = above.count("\n") + 2 if "\n" in source else 1
    assert caught.value.problems[0].where == Place("m.yaml", line, len(beside) + 1)


def test_a_line_that_escapes_hide_is_answered_by_the_nearest_one_above() -> None:
    source = 'a: "one two\n  \\x74hree\n  \\x66our\n  five and six"\n'
    file = parse_yaml(source, "m.yaml")
    value = "one two three four five and six"
    assert file.data == {"a": value}
    assert file.text_place(("a",), value.index("four")).line == 1
    assert file.text_place(("a",), value.index("six")) == Place("m.yaml", 4, 12)
