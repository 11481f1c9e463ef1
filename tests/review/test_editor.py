"""What an editor with the YAML language server says of messages, by our schema."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from .editor import Diagnostics, Editor

# Read here, because each test's surroundings are cleaned of it.
IN_CI = bool(os.environ.get("CI"))
ENVIRONMENT = dict(os.environ)
SERVER = "yaml-language-server@2.0.0"

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "tests" / "examples"

# A wrong file, and the words of our schema, if any, that an editor shows at the line which
# `# expect:` names; its own words are its own.
WRONG = {
    "unknown-key-misspelt.yaml": "",
    "unknown-key-in-addition.yaml": "",
    "select-type-lower-case.yaml": "",
    "topic-not-by-language.yaml": "write it per language",
    "text-is-empty.yaml": "",
    "language-lower-case.yaml": "write it per language: topic",
    "answerable-in-quotes.yaml": "write true or false",
    "revision-zero.yaml": "",
    "date-without-a-zone.yaml": "write a date and time with a zone",
    "folder-unknown.yaml": "",
    "id-climbs.yaml": "use up to 200 letters",
    "yaml-duplicate-key.yaml": "",
    "yaml-quote-left-open.yaml": "",
}


def why_not(said: str) -> None:
    """Skip for want of something; a CI job has to have it."""
    if IN_CI:
        pytest.fail(said)
    pytest.skip(said)


pytestmark = pytest.mark.installs


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the language server, once for all workers."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        why_not("npm and node are needed to ask an editor's language server")
    base = tmp_path_factory.getbasetemp()
    # With several workers each has a folder of its own inside the one of the run.
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder = shared / "language-server"
    main = folder / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
    with FileLock(f"{folder}.lock"):
        if not main.exists():
            folder.mkdir(exist_ok=True)
            done = subprocess.run(
                [str(npm), "install", "--no-audit", "--no-fund", "--ignore-scripts", SERVER],
                cwd=folder,
                env=ENVIRONMENT,
                capture_output=True,
                timeout=240,
                check=False,
            )
            if done.returncode != 0:
                why_not(f"{SERVER} cannot be installed: {done.stderr.decode()[-300:]}")
    assert main.exists()
    return main


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The schema, the messages and the examples, as they lie in a checkout."""
    for name in ("schemas", "messages"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    return tmp_path


@pytest.fixture
def editor(server: Path, project: Path) -> Iterator[Editor]:
    """An editor that knows which schema the examples have."""
    schema = (project / "schemas" / "message.schema.json").as_uri()
    settings = {
        "validate": True,
        "schemaStore": {"enable": False},
        "schemas": {schema: ["examples/**/*.yaml"]},
    }
    with Editor(server, project, settings) as running:
        yield running


def lines(found: Diagnostics) -> list[tuple[int, str]]:
    """The line, counted from 1, and the words of each diagnostic."""
    return sorted((each["range"]["start"]["line"] + 1, each["message"]) for each in found)


def test_right_files_are_not_underlined(editor: Editor, project: Path) -> None:
    files = sorted((project / "examples" / "valid").glob("*.yaml"))
    assert len(files) > 12
    assert {path.name: lines(editor.diagnostics(path)) for path in files} == {
        path.name: [] for path in files
    }


def test_messages_name_their_schema_themselves(editor: Editor, project: Path) -> None:
    files = sorted((project / "messages").rglob("*.yaml"), key=lambda path: len(path.parts))
    assert {path.name: lines(editor.diagnostics(path)) for path in files} == {
        path.name: [] for path in files
    }
    # They are really checked: a mistake in one of them is found.
    broken = files[0].with_name("broken.yaml")
    broken.write_text(files[0].read_text() + "drafft: true\n")
    count = len(broken.read_text().splitlines())
    found = lines(editor.diagnostics(broken))
    assert [line for line, _ in found] == [count]
    assert "drafft" in found[0][1]


def test_wrong_files_are_underlined_at_the_line_that_validate_names(
    editor: Editor, project: Path
) -> None:
    wanted, found, said = {}, {}, {}
    for name, words in WRONG.items():
        path = project / "examples" / "invalid" / name
        expected = re.findall(r"# expect: (\d+):", path.read_text())
        diagnostics = lines(editor.diagnostics(path))
        wanted[name] = sorted({int(line) for line in expected})
        found[name] = sorted({line for line, _ in diagnostics})
        if not any(words in told for _, told in diagnostics):
            said[name] = diagnostics
    assert said == {}
    # Where a quote is left open, an editor points at its beginning and `validate` at the end.
    wanted.pop("yaml-quote-left-open.yaml")
    assert found.pop("yaml-quote-left-open.yaml")[0] == 2
    # That the key which was meant is missing would be the same again; an editor says both.
    misspelt = "unknown-key-misspelt.yaml"
    assert found.pop(misspelt) == [2, *wanted.pop(misspelt)]
    assert found == wanted
