"""The checks of this project itself: its workflows, its pins, its updates, and the audit of what it needs."""

from __future__ import annotations

import json
import os
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from installing import NOTEBOOK, PINS, ROOT, TOLOKA_KIT, TOOLS, Done, run, tools_of
from scripted import Raw, Request, answer

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest needs it on the Pythons that have no tomllib

from conftest import StartScripted  # isort: skip  (the fixtures' own types)

FOLDER = ROOT / ".github"
WORKFLOWS = [FOLDER / "workflows" / name for name in ("ci.yml", "nightly.yml", "release.yml")]

pytestmark = pytest.mark.skipif(
    not FOLDER.exists(), reason="an sdist has neither the workflows nor .ci"
)


def load(path: Path) -> dict[str, Any]:
    """A workflow, every scalar as text, so that `on` is a word."""
    document: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)
    return document


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    return load(WORKFLOWS[0])


@pytest.fixture(scope="module")
def nightly() -> dict[str, Any]:
    return load(WORKFLOWS[1])


@pytest.fixture(scope="module")
def release() -> dict[str, Any]:
    return load(WORKFLOWS[2])


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tools_of(tmp_path_factory)


# --- the workflows --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "files"),
    [("vendor.github-workflows", WORKFLOWS), ("vendor.dependabot", [FOLDER / "dependabot.yml"])],
)
def test_they_are_what_github_reads(schema: str, files: list[Path], tools: Path) -> None:
    done = run(tools / "check-jsonschema", "--builtin-schema", schema, *files, cwd=ROOT)

    assert done.code == 0, done.said


def test_every_workflow_is_looked_at() -> None:
    assert sorted((FOLDER / "workflows").iterdir()) == WORKFLOWS


def test_zizmor_finds_nothing_to_complain_of(tools: Path) -> None:
    options = ("--offline", "--no-progress", "--persona", "auditor", "--min-severity", "low")

    done = run(tools / "zizmor", *options, FOLDER, cwd=ROOT)

    assert done.code == 0, done.said


def test_every_python_that_is_promised_runs_everything(workflow: dict[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    promised = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    job = workflow["jobs"]["linux"]

    assert job["strategy"]["matrix"] == {"python": promised}
    assert project["requires-python"] == f">={promised[0]}"
    assert [int(each.split(".")[1]) for each in promised] == list(range(10, 10 + len(promised)))
    used = [step["with"].get("python-version") for step in job["steps"] if "with" in step]
    assert "${{ matrix.python }}" in used
    assert job["steps"][-1]["run"] == "bash .ci/run pinned"


def test_changes_and_every_week_are_looked_at(workflow: dict[str, Any]) -> None:
    assert set(workflow["on"]) == {"push", "pull_request", "schedule", "workflow_dispatch"}
    assert workflow["on"]["push"] == {"branches": ["main"]}
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", workflow["on"]["schedule"][0]["cron"])
    # The one job that has something new to find without a change.
    always = {name for name, job in workflow["jobs"].items() if "if" not in job}
    assert always == {"audit"}
    assert workflow["jobs"]["audit"]["steps"][-1]["run"] == "bash .ci/run audit"


def test_every_night_the_newest_of_everything_is_tried(nightly: dict[str, Any]) -> None:
    assert set(nightly["on"]) == {"schedule", "workflow_dispatch"}
    minute = re.fullmatch(r"(\d+) \d+ \* \* \*", nightly["on"]["schedule"][0]["cron"])
    assert minute is not None
    assert minute[1] != "0", "everybody's jobs start at the full hour"
    steps = nightly["jobs"]["newest"]["steps"]
    assert [step["with"]["python-version"] for step in steps if "setup-python" in str(step)] == [
        "3.x"
    ]
    assert any(step.get("run", "").startswith("bash .ci/run newest ") for step in steps)


def test_a_night_that_fails_is_an_issue(nightly: dict[str, Any], tmp_path: Path) -> None:
    """The script of the job that reports, with something that notes what `gh` is asked."""
    report = nightly["jobs"]["report"]
    assert (report["needs"], report["if"]) == ("newest", "failure()")
    assert report["permissions"] == {"issues": "write"}
    [step] = report["steps"]
    assert "${{" not in step["run"]
    (tmp_path / "gh").write_text(
        '#!/bin/sh\nprintf "%s\\n" "$@" >>asked; [ "$2" != list ] || cat open\n'
    )
    (tmp_path / "gh").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    env = {"PATH": path, "RUN": "the-address", "LOG": "first\n$(touch pwned)`touch pwned`"}
    for number, done in (("", "create"), ("7\n", "comment")):
        (tmp_path / "open").write_text(number)
        (tmp_path / "asked").write_text("")

        said = run("bash", "-e", "-o", "pipefail", "-c", step["run"], cwd=tmp_path, env=env)

        assert said.code == 0, said.said
        asked = (tmp_path / "asked").read_text()
        assert f"issue\n{done}\n{number}" in asked
        assert "the-address" in asked
        assert "    first\n    $(touch pwned)" in asked
    assert not (tmp_path / "pwned").exists()


# These run nothing of ours, and nothing that was installed.
MAY = {
    "report": {"issues": "write"},
    "publish": {"id-token": "write"},
    "tag": {"contents": "write"},
}


def test_no_job_of_ours_may_write_or_keeps_a_credential() -> None:
    for path in WORKFLOWS:
        document = load(path)
        assert document["permissions"] == {"contents": "read"}
        assert "secrets." not in path.read_text(encoding="utf-8")
        for name, job in document["jobs"].items():
            assert int(job["timeout-minutes"]) <= 60
            assert job.get("permissions") == MAY.get(name), name
            checkouts = [step for step in job["steps"] if "checkout@" in step.get("uses", "")]
            assert (job["steps"][:1] == checkouts) == (name not in MAY), name
            for checkout in checkouts:
                assert checkout["with"]["persist-credentials"] == "false"


def test_every_action_is_pinned_by_its_commit() -> None:
    for path in WORKFLOWS:
        used = re.findall(r"uses: *(.+)", path.read_text(encoding="utf-8"))
        assert used
        for each in used:
            assert re.fullmatch(r"(actions|pypa)/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each


# --- a release ------------------------------------------------------------------------------------


def test_a_release_is_one_click_on_the_default_branch(release: dict[str, Any]) -> None:
    assert release["on"] == {"workflow_dispatch": ""}
    jobs = release["jobs"]
    assert jobs["build"]["if"] == "github.ref_name == github.event.repository.default_branch"
    assert [jobs[name]["needs"] for name in ("publish", "tag")] == ["build", ["build", "publish"]]
    publish = jobs["publish"]
    assert publish["environment"]["name"] == "pypi"
    # Trusted publishing: the action gets no password, and makes the attestations.
    assert publish["steps"][-1]["with"] == {"attestations": "true"}
    assert not any("run" in step for step in publish["steps"])
    assert "${{" not in jobs["tag"]["steps"][-1]["run"]


CHANGES = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-11-26\n\n- One.\n\n## [1.1.0] - 2026-01-01\n"
HOME = "Project-URL: Repository, https://github.com/them/message-runner\n"


@pytest.mark.parametrize(
    ("metadata", "changes", "said"),
    [
        (f"Version: 1.2.0\n{HOME}", CHANGES, "version=1.2.0"),
        ("Version: 1.2.0\n", CHANGES, 'Repository = "https://github.com/them/message-runner"'),
        (f"Version: 1.3.0\n{HOME}", CHANGES, "## [1.3.0] - YYYY-MM-DD"),
    ],
)
def test_what_is_released_says_where_it_is_from_and_what_is_new(
    tmp_path: Path, metadata: str, changes: str, said: str
) -> None:
    with zipfile.ZipFile(tmp_path / "it-1.whl", "w") as wheel:
        wheel.writestr("it-1.dist-info/METADATA", metadata)
    (tmp_path / "CHANGELOG.md").write_text(changes)
    env = {
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "them/message-runner",
        "PATH": os.environ["PATH"],
    }
    done = run(sys.executable, ROOT / ".ci" / "release.py", tmp_path, cwd=tmp_path, env=env)
    assert said in done.said
    assert (done.code == 0) == said.startswith("version=")
    if done.code == 0:
        assert (tmp_path / "notes.md").read_text() == "- One.\n"


def test_updates_are_looked_for_every_week() -> None:
    found = yaml.safe_load((FOLDER / "dependabot.yml").read_text(encoding="utf-8"))
    kinds = {each["package-ecosystem"]: each["schedule"] for each in found["updates"]}

    assert set(kinds) == {"github-actions", "pip"}
    assert all(schedule["interval"] == "weekly" for schedule in kinds.values())


# --- the pins ------------------------------------------------------------------------------------


def named(requirement: str) -> str:
    """The name in a requirement, in the one form that all names have."""
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=\[;]", requirement)[0]).lower()


def test_what_the_tests_need_is_pinned_exactly_and_from_no_index_of_ours() -> None:
    lines = [line for line in PINS.read_text(encoding="utf-8").splitlines() if line[0] != "#"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    dev = project["optional-dependencies"]["dev"]

    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    needed = {
        named(each) for each in (*project["dependencies"], *dev, *NOTEBOOK, *TOOLS, *TOLOKA_KIT)
    }
    # pip leaves its own kind out of what it lists.
    assert needed - {named(line) for line in lines} <= {"setuptools"}


# --- the audit ------------------------------------------------------------------------------------

KNOWN_BAD = "requests==2.32.3"
Audit = Callable[..., Done]


def advisories(**faulty: str) -> Callable[[Request], Raw]:
    """An advisory service that knows a fault of one release of each of these."""

    def serve(request: Request) -> Raw:
        asked = json.loads(request.body)
        name, version = asked["package"]["name"], asked["version"]
        if faulty.get(name) != version:
            return answer(200, {})
        fixed = {"introduced": "0"}, {"fixed": "99.1"}
        affected = {
            "package": {"name": name, "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": fixed}],
        }
        fault = {"id": f"GHSA-{name}", "aliases": ["CVE-2099-1"], "summary": "Bad"}
        return answer(200, {"vulns": [{**fault, "affected": [affected]}]})

    return serve


@pytest.fixture
def audit(tools: Path, tmp_path: Path) -> Audit:
    """Audit these requirements as `.ci/run` does, with the advisories of a server."""

    def audit(
        url: str, *requirements: str, more: tuple[Path, ...] = (), options: tuple[str, ...] = ()
    ) -> Done:
        file = tmp_path / "lowest.txt"
        file.write_text("".join(f"{each}\n" for each in requirements), encoding="utf-8")
        script, files = ROOT / ".ci" / "audit.py", (file, *more)
        service = ("--service", "-s", "osv", "--osv-url", f"{url}/v1/query")
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        python = tools / "python"
        return run(python, script, *options, *files, *service, cwd=tmp_path, env=env)

    return audit


def test_a_known_vulnerability_fails_the_audit(audit: Audit, start_scripted: StartScripted) -> None:
    server = start_scripted(advisories(requests="2.32.3", click="8.1.7"))

    done = audit(server.url, "jinja2==3.1.6", "click==8.1.7")

    assert done.code == 1, done.said
    assert re.search("^lowest: click 8.1.7: .*CVE-2099-1.*, fixed in 99.1$", done.said, re.M)
    assert "jinja2 3.1.6:" not in done.said
    assert "skipped" not in done.said


def test_without_a_known_vulnerability_it_passes(
    audit: Audit, start_scripted: StartScripted
) -> None:
    server = start_scripted(advisories(requests="2.32.3", click="8.1.7"))

    done = audit(server.url, "jinja2==3.1.6", "click==8.3.3", options=("--required",))

    assert done.code == 0, done.said
    assert "lowest: 2 releases audited" in done.said
    assert "no known vulnerability" in done.said


def test_a_service_that_knows_nothing_is_not_believed(
    audit: Audit, start_scripted: StartScripted
) -> None:
    done = audit(start_scripted(advisories()).url, "click==8.3.3", options=("--required",))

    assert done.code == 1, done.said
    assert "not audited: no advisory service can be asked from here" in done.said
    assert f"it knows no fault of {KNOWN_BAD}" in done.said
    assert "no known vulnerability" not in done.said


@pytest.mark.parametrize("options", [(), ("--required",)])
def test_where_nothing_answers_it_is_skipped_with_the_reason(
    audit: Audit, start_scripted: StartScripted, options: tuple[str, ...]
) -> None:
    done = audit(start_scripted([answer(503, "busy")]).url, "click==8.3.3", options=options)

    assert done.code == len(options), done.said
    how = "not audited" if options else "skipped"
    assert f"{how}: no advisory service can be asked from here" in done.said
    assert "503" in done.said
    assert "Traceback" not in done.said


def test_a_service_that_goes_silent_hides_no_finding(
    audit: Audit, start_scripted: StartScripted, tmp_path: Path
) -> None:
    known = advisories(requests="2.32.3", click="8.1.7")

    def serve(request: Request) -> Raw:
        return answer(503) if b"jinja2" in request.body else known(request)

    url = start_scripted(serve).url
    newest = tmp_path / "newest.txt"
    newest.write_text("jinja2==3.1.6\n", encoding="utf-8")
    done = audit(url, "click==8.1.7", more=(newest,))

    assert done.code == 1, done.said
    assert "lowest: click 8.1.7: " in done.said
    assert "no advisory service can be asked" in done.said
