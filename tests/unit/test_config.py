from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from runner.config import (
    BUILT_IN_URLS,
    Config,
    choose_target,
    load_config,
    load_token,
    load_variables,
    manifest_path,
)
from runner.errors import SurroundingsError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config(source: str = "") -> Config:
    Path("runner.yaml").write_text(source)
    return load_config(None, Path.cwd())


def refusal(source: str) -> list[str]:
    with pytest.raises(SurroundingsError) as caught:
        config(source)
    return str(caught.value).split("\n")


TARGETS = "targets:\n  staging:\n    url: https://toloka.example\n    act_under_account_id: acc1\n"


# --- where the project is -------------------------------------------------------------------------


def test_without_anything_the_current_folder_is_the_project(folder: Path) -> None:
    found = load_config(None, folder)
    assert (found.project, found.messages_root, found.data) == (folder, None, {})


def test_a_folder_of_messages_makes_a_project(folder: Path) -> None:
    (folder / "messages").mkdir()
    deep = folder / "messages" / "deep" / "er"
    deep.mkdir(parents=True)
    for start in (folder, deep):
        found = load_config(None, start)
        assert (found.project, found.messages_root) == (folder, folder / "messages")
        assert found.store == folder / ".message-runner" / "local.sqlite"


def test_the_configuration_is_found_upwards_and_names_the_messages(folder: Path) -> None:
    (folder / "letters").mkdir()
    (folder / "sub").mkdir()
    config("messages: ./sub/../letters\nvariables: {a: 1}\n")
    found = load_config(None, folder / "sub")
    assert (found.project, found.messages_root) == (folder, folder / "letters")
    assert found.section("variables") == {"a": 1}
    assert found.section("defaults") == {}


def test_a_configuration_that_is_named_is_taken(folder: Path) -> None:
    (folder / "messages").mkdir()
    (folder / "conf" / "messages").mkdir(parents=True)
    Path("conf/my.yaml").write_text("variables: {a: 2}\n")
    config("variables: {a: 1}\n")
    for flag in (Path("conf/my.yaml"), folder / "conf" / "my.yaml"):
        found = load_config(flag, folder)
        assert found.section("variables") == {"a": 2}
        assert (found.project, found.messages_root) == (
            folder / "conf",
            folder / "conf" / "messages",
        )
    with pytest.raises(SurroundingsError, match=r"^--config gone\.yaml: no such file$"):
        load_config(Path("gone.yaml"), folder)


@pytest.mark.parametrize("source", ["", "# nothing\n", "{}"])
def test_an_empty_configuration_is_right(source: str) -> None:
    assert config(source).data == {}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("varibles: {}\n", ["runner.yaml:1:1: error: unknown key \"varibles\"; did you mean `variables`?"]),
        ("\ntarget: prodction\n", ['runner.yaml:2:9: error: there is no target "prodction"; did you mean production?']),
        ("messages: gone\n", ["runner.yaml:1:11: error: there is no folder gone"]),
        ("targets: {local: {url: https://x.example}}\n", ["runner.yaml:1:11: error: the target local is built in; give yours another name, such as my-local"]),
        ("targets:\n  production: {url: https://x.example}\n", ["runner.yaml:2:3: error: the target production is built in; give yours another name, such as my-production"]),
        ("targets:\n  yandex-tasks: {url: https://x.example}\n", ["runner.yaml:2:3: error: the target yandex-tasks is built in; give yours another name, such as my-yandex-tasks"]),
        ("targets:\n  sandbox: {url: https://x.example}\n", ["runner.yaml:2:3: error: the target sandbox is built in; give yours another name, such as my-sandbox"]),
        ("- a\n", ["runner.yaml:1:1: error: a list is no configuration; write each setting as name: value, such as target: local"]),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_configuration_has_its_line(source: str, said: list[str]) -> None:
    assert refusal(source) == said


def test_everything_that_is_wrong_is_said_at_once() -> None:
    said = refusal(
        "target: stagin\ntargets:\n  staging: {url: 5}\n  Bad: {url: https://x}\nvariables: {1a: x}\n"
    )
    assert sorted(line.split(": ")[0] for line in said) == [
        "runner.yaml:1:9",
        "runner.yaml:3:18",
        "runner.yaml:4:3",
        "runner.yaml:5:13",
    ]


# --- targets --------------------------------------------------------------------------------------


def test_the_target_is_the_flag_then_the_variable_then_the_configuration_then_local() -> None:
    plain, named = config(), config("target: staging\n" + TARGETS)
    environ = {"TOLOKA_TARGET": "yandex-tasks"}
    assert choose_target(plain, None, {}).name == "local"
    assert choose_target(named, None, {}).name == "staging"
    assert choose_target(named, None, environ).name == "yandex-tasks"
    assert choose_target(named, "production", environ).name == "production"
    assert choose_target(named, "local", environ).url is None
    assert not choose_target(plain, None, {}).is_named
    assert choose_target(plain, "local", {}).is_named
    assert choose_target(plain, None, environ).is_named
    assert choose_target(named, None, {}).is_named
    # A variable of a CI job that holds nothing was meant to name another.
    local = config("target: local\n")
    assert choose_target(local, None, {}).is_named
    assert not choose_target(local, None, {"TOLOKA_TARGET": ""}).is_named
    assert not choose_target(local, "", {}).is_named
    assert choose_target(plain, None, {"TOLOKA_TARGET": ""}).name == "local"


@pytest.mark.parametrize("name", BUILT_IN_URLS)
def test_a_built_in_target_takes_the_token(name: str) -> None:
    target = choose_target(config(), name, {})
    assert (target.name, target.url, target.token_variable) == (
        name,
        BUILT_IN_URLS[name],
        "TOLOKA_TOKEN",
    )


def test_the_local_target_has_no_url() -> None:
    target = choose_target(config(), None, {"TOLOKA_ACT_UNDER_ACCOUNT_ID": "acc"})
    assert (target.url, target.account_id) == (None, None)


def test_a_url_given_by_hand_takes_the_token() -> None:
    for flag, environ in (
        ("https://x.example/", {}),
        (None, {"TOLOKA_TARGET": "https://x.example"}),
    ):
        target = choose_target(config(), flag, environ)
        assert (target.url, target.token_variable) == ("https://x.example", "TOLOKA_TOKEN")


def test_a_target_of_the_configuration_takes_only_a_token_of_its_own() -> None:
    source = TARGETS + "  other-one: {url: 'https://o.example'}\n"
    target = choose_target(config(source), "other-one", {})
    assert target.token_variable == "TOLOKA_TOKEN_OTHER_ONE"
    environ = {"TOLOKA_TOKEN": "precious", "TOLOKA_TOKEN_FILE": __file__}
    with pytest.raises(SurroundingsError) as caught:
        load_token(target, environ)
    assert str(caught.value) == (
        "other-one needs a token: set TOLOKA_TOKEN_OTHER_ONE, or "
        "TOLOKA_TOKEN_OTHER_ONE_FILE to a file that holds it"
    )
    assert load_token(target, {**environ, "TOLOKA_TOKEN_OTHER_ONE": "own"}) == "own"


def test_an_account_comes_from_the_environment_or_the_target() -> None:
    shared = {"TOLOKA_ACT_UNDER_ACCOUNT_ID": "acc2"}
    assert choose_target(config(TARGETS), "staging", {}).account_id == "acc1"
    assert choose_target(config(TARGETS), "staging", shared).account_id == "acc2"
    assert choose_target(config(), "production", shared).account_id == "acc2"
    assert choose_target(config(), "https://x.example", shared).account_id == "acc2"
    assert choose_target(config(), "production", {}).account_id is None


def test_an_unknown_target_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SurroundingsError) as caught:
        choose_target(config(TARGETS), "prod", {})
    assert str(caught.value) == (
        'there is no target "prod": use one of local, production, sandbox, yandex-tasks, staging, '
        "or a URL (https://…)"
    )


@pytest.mark.parametrize("name", ["file", "my-file"])
def test_a_target_cannot_take_the_name_of_a_token_file(name: str) -> None:
    source = f"targets: {{{name}: {{url: 'https://x.example'}}}}\n"
    said = f'^runner.yaml:1:{13 + len(name)}: error: a target cannot be called "{name}"'
    with pytest.raises(SurroundingsError, match=said):
        choose_target(config(source), name, {})


def test_a_url_of_the_configuration_is_refused_with_its_place() -> None:
    source = "targets:\n  near: {url: 'http://near.example'}\n"
    said = "^runner.yaml:2:15: error: plain http to near.example would show the token"
    with pytest.raises(SurroundingsError, match=said):
        choose_target(config(source), "near", {})


# --- tokens ---------------------------------------------------------------------------------------


def test_a_token_comes_from_its_variable_or_from_a_file(folder: Path) -> None:
    target = choose_target(config(), "production", {})
    file = folder / "token"
    file.write_text("  from-file\n")
    for_file = {"TOLOKA_TOKEN_FILE": str(file)}
    assert load_token(target, {"TOLOKA_TOKEN": " direct\n"}) == "direct"
    assert load_token(target, for_file) == "from-file"
    assert load_token(target, {**for_file, "TOLOKA_TOKEN": "direct"}) == "direct"
    assert load_token(target, {**for_file, "TOLOKA_TOKEN": "  "}) == "from-file"


@pytest.mark.parametrize("held", ["", "two words", "a\nb", "tok\u00e9n", "x" * 5000, "a\x00b"])
def test_what_is_no_token_is_refused_without_being_shown(held: str, folder: Path) -> None:
    target = choose_target(config(), "production", {})
    file = folder / "token"
    file.write_text(held)
    with pytest.raises(SurroundingsError) as caught:
        load_token(target, {"TOLOKA_TOKEN_FILE": str(file)})
    assert str(caught.value) == (
        "TOLOKA_TOKEN_FILE does not hold a token: one line of plain ASCII without spaces is expected"
    )


def test_a_token_file_that_cannot_be_read_is_said(folder: Path) -> None:
    target = choose_target(config(), "production", {})
    (folder / "binary").write_bytes(b"\xff\xfe")
    for name, why in (
        ("gone", os.strerror(errno.ENOENT)),
        (".", ""),
        ("binary", "it is not UTF-8 text"),
    ):
        with pytest.raises(
            SurroundingsError, match=r"^TOLOKA_TOKEN_FILE: the file cannot be read"
        ) as said:
            load_token(target, {"TOLOKA_TOKEN_FILE": str(folder / name)})
        assert why in str(said.value)
    with pytest.raises(SurroundingsError) as caught:
        load_token(target, {})
    assert str(caught.value) == (
        "production needs a token: set TOLOKA_TOKEN, or TOLOKA_TOKEN_FILE to a file that holds it"
    )


def test_a_token_is_in_no_repr() -> None:
    target = choose_target(config(), "production", {})
    assert "precious" not in repr(load_token(target, {"TOLOKA_TOKEN": "precious"}))


# --- the manifest's place -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("local", "local.jsonl"),
        ("production", "toloka.dev.jsonl"),
        ("yandex-tasks", "tasks.yandex.ru.jsonl"),
        ("https://x.example:8443/base", "x.example-8443.jsonl"),
        ("http://127.0.0.1:8765", "127.0.0.1-8765.jsonl"),
        ("http://[::1]:8765", "--1-8765.jsonl"),
    ],
)
def test_each_host_has_a_manifest_of_its_own(target: str, name: str, folder: Path) -> None:
    settings = config()
    chosen = choose_target(settings, target, {})
    assert manifest_path(settings, chosen, None) == folder / "results" / name
    assert manifest_path(settings, chosen, Path("my.jsonl")) == Path("my.jsonl")


# --- variables ------------------------------------------------------------------------------------


def test_a_variable_on_the_command_line_beats_the_files_and_a_later_file_wins() -> None:
    Path("a.yaml").write_text("a: file-a\nb: file-a\nc: [0123]\n")
    Path("b.yaml").write_text("b: file-b\nd: file-b\n")
    Path("empty.yaml").write_text("")
    below, above, assigned = load_variables(
        config("variables: {a: config, z: 1}\n"),
        [Path("a.yaml"), Path("b.yaml"), Path("empty.yaml")],
        ["d=flag", "e=x=y", "f=", "g=1"],
    )
    assert below == {"a": "config", "z": 1}
    assert above == {
        "a": "file-a",
        "b": "file-b",
        "c": [123],
        "d": "file-b",
    }
    assert assigned == {"d": "flag", "e": "x=y", "f": "", "g": "1"}


@pytest.mark.parametrize("assignment", ["a", "=x", "1a=x", "a-b=x", "a b=x", "", "½=1"])
def test_what_is_no_assignment_is_refused(assignment: str) -> None:
    with pytest.raises(SurroundingsError) as caught:
        load_variables(config(), [], [assignment])
    name = assignment.partition("=")[0]
    assert str(caught.value) == (
        f'--var takes NAME=VALUE, with a name of letters, digits and _: not "{name}"'
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("- a\n", "--var-file: v.yaml:1:1: expected lines like name: value"),
        ("text\n", "--var-file: v.yaml:1:1: expected lines like name: value"),
        (
            "a: 1\nb-c: 2\n",
            "--var-file: v.yaml:2:1: a variable's name has letters, digits and _ only",
        ),
        (
            "variables:\n  a: 1\n",
            "--var-file: v.yaml:1:1: write the names at the left margin, without `variables:` "
            "around them",
        ),
        ("a: 1\na: 2\n", '--var-file: v.yaml:2:1: error: duplicate key "a"; keep one of the two'),
    ],
)
def test_what_is_no_file_of_variables_is_refused_at_its_line(source: str, said: str) -> None:
    Path("v.yaml").write_text(source)
    with pytest.raises(SurroundingsError) as caught:
        load_variables(config(), [Path("v.yaml")], [])
    assert str(caught.value) == said


def test_a_file_of_variables_that_is_not_there_is_said() -> None:
    with pytest.raises(
        SurroundingsError, match=r"^--var-file: gone\.yaml:1:1: error: cannot be read"
    ):
        load_variables(config(), [Path("gone.yaml")], [])
