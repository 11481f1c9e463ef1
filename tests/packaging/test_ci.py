"""The checks of this project itself: its workflow, its updates, and the audit of what it needs."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from installing import ROOT, Done, run, tools_of
from scripted import Raw, Request, answer

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest needs it on the Pythons that have no tomllib

from conftest import StartScripted  # isort: skip  (the fixtures' own types)

FOLDER = ROOT / ".github"
WORKFLOW = FOLDER / "workflows" / "ci.yml"

pytestmark = pytest.mark.skipif(
    not WORKFLOW.exists(), reason="an sdist has neither the workflow nor .ci"
)


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    """The workflow, every scalar as text, so that `on` is a word."""
    document: dict[str, Any] = yaml.load(WORKFLOW.read_text(encoding="utf-8"), yaml.BaseLoader)
    return document


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tools_of(tmp_path_factory)


# --- the workflow ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "file"),
    [("vendor.github-workflows", WORKFLOW), ("vendor.dependabot", FOLDER / "dependabot.yml")],
)
def test_it_is_what_github_reads(schema: str, file: Path, tools: Path) -> None:
    done = run(tools / "check-jsonschema", "--builtin-schema", schema, file, cwd=ROOT)

    assert done.code == 0, done.said


def test_zizmor_finds_nothing_to_complain_of(tools: Path) -> None:
    options = ("--offline", "--no-progress", "--persona", "auditor", "--min-severity", "low")

    done = run(tools / "zizmor", *options, FOLDER, cwd=ROOT)

    assert done.code == 0, done.said
    assert "ci.yml" in done.said
    assert "dependabot.yml" in done.said


def test_every_python_that_is_promised_runs_everything(workflow: dict[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    promised = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    job = workflow["jobs"]["linux"]

    assert job["strategy"]["matrix"] == {"python": promised}
    assert project["requires-python"] == f">={promised[0]}"
    assert [int(each.split(".")[1]) for each in promised] == list(range(10, 10 + len(promised)))
    used = [step["with"].get("python-version") for step in job["steps"] if "with" in step]
    assert "${{ matrix.python }}" in used
    assert job["steps"][-1]["run"] == "bash .ci/run"


def test_changes_and_every_week_are_looked_at(workflow: dict[str, Any]) -> None:
    assert set(workflow["on"]) == {"push", "pull_request", "schedule", "workflow_dispatch"}
    assert workflow["on"]["push"] == {"branches": ["main"]}
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", workflow["on"]["schedule"][0]["cron"])
    # The one job that has something new to find without a change.
    always = {name for name, job in workflow["jobs"].items() if "if" not in job}
    assert always == {"audit"}
    assert workflow["jobs"]["audit"]["steps"][-1]["run"] == "bash .ci/run audit"


def test_no_job_may_write_or_keeps_a_credential(workflow: dict[str, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert "secrets." not in WORKFLOW.read_text(encoding="utf-8")
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        assert int(job["timeout-minutes"]) <= 60
        checkout = job["steps"][0]
        assert checkout["uses"].startswith("actions/checkout@")
        assert checkout["with"]["persist-credentials"] == "false"


def test_every_action_is_pinned_by_its_commit() -> None:
    used = re.findall(r"uses: *(.+)", WORKFLOW.read_text(encoding="utf-8"))

    assert used
    for each in used:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each


def test_updates_are_looked_for_every_week() -> None:
    found = yaml.safe_load((FOLDER / "dependabot.yml").read_text(encoding="utf-8"))
    kinds = {each["package-ecosystem"]: each["schedule"] for each in found["updates"]}

    assert set(kinds) == {"github-actions", "pip"}
    assert all(schedule["interval"] == "weekly" for schedule in kinds.values())


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


@pytest.mark.parametrize("options", [(), ("--required",)])
def test_a_service_that_knows_nothing_is_not_believed(
    audit: Audit, start_scripted: StartScripted, options: tuple[str, ...]
) -> None:
    done = audit(start_scripted(advisories()).url, "click==8.3.3", options=options)

    assert done.code == len(options), done.said
    how = "not audited" if options else "skipped"
    assert f"{how}: no advisory service can be asked from here" in done.said
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
    for wanted, required, code in (("8.1.7", False, 1), ("8.3.3", False, 0), ("8.3.3", True, 1)):
        options = ("--required",) if required else ()
        done = audit(url, f"click=={wanted}", more=(newest,), options=options)

        assert done.code == code, done.said
        assert ("lowest: click 8.1.7: " in done.said) == (wanted == "8.1.7")
        assert "no advisory service can be asked" in done.said
