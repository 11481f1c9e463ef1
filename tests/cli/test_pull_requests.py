"""What a pull request might try, and what a careless one does: nobody is written to twice."""

from __future__ import annotations

import os

import pytest
import requests
from support import Project, direct

from runner.emulator import parse_fault

from conftest import StartEmulator  # isort: skip  (the fixtures' own types)

LINKS = pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")


def test_a_renamed_file_in_doubt_is_not_sent_under_its_new_name(
    project: Project, start_emulator: StartEmulator
) -> None:
    faults = [
        parse_fault("kind=accepted-then-500"),
        parse_fault("kind=no-has-more,on=list,after=3"),
    ]
    emulator = start_emulator(faults=faults)
    project.write("messages/a.yaml", direct("ann"))
    assert project.send(emulator, "--settle", "0.1").code == 5
    requests.post(f"{emulator.url}/emulator/faults", json={"faults": []}, timeout=10)
    (project.root / "messages/a.yaml").rename(project.root / "messages/b.yaml")
    for _ in range(2):
        done = project.send(emulator, "--settle", "0.1")
        assert (done.code, "write `id: a`" in done.err) == (3, True), done
    threads = requests.get(f"{emulator.url}/emulator/threads", timeout=10).json()
    assert len(threads) == 1


@LINKS
def test_nothing_outside_the_project_is_read_or_quoted(project: Project) -> None:
    outside = project.root.parent / "elsewhere"
    outside.mkdir()
    (outside / "x.yaml").write_text("password: hunter2\n", encoding="utf-8")
    (project.root / "messages/l.yaml").symlink_to(outside / "x.yaml")
    named = project.run("validate", "messages/l.yaml")
    assert (named.code, "hunter2" in named.out + named.err) == (3, False), named
    (project.root / "messages/l.yaml").unlink()
    project.write("runner.yaml", "messages: ../elsewhere\n")
    moved = project.run("validate")
    assert (moved.code, "hunter2" in moved.out + moved.err) == (2, False), moved
    (project.root / "runner.yaml").unlink()
    (project.root / "messages").rmdir()
    (project.root / "messages").symlink_to(outside)
    linked = project.run("validate")
    assert (linked.code, "hunter2" in linked.out + linked.err) == (2, False), linked


@LINKS
def test_the_suppression_list_is_a_plain_file_of_the_project(project: Project) -> None:
    project.write("messages/a.yaml", direct("ann"))
    project.write("runner.yaml", "suppress: z.txt\n")
    (project.root / "z.txt").symlink_to("/dev/zero")
    done = project.run("plan")
    assert (done.code, "a link is not followed" in done.err) == (2, True), done


def test_half_a_character_is_no_id(project: Project) -> None:
    project.write("messages/rows.json", r'[{"id": "a\ud800b"}]')
    text = direct("{{ row.id }}", extra="for_each: rows.json\n").replace(
        "- {{ row.id }}", '- "{{ row.id }}"'
    )
    project.write("messages/a.yaml", text)
    done = project.run("plan", "--out", "plan.json")
    assert (done.code, "this is not an id" in done.err) == (3, True), done


def test_a_dry_run_ignores_no_option(project: Project) -> None:
    project.write("messages/a.yaml", direct("ann"))
    for option in (("--plan", "p.json"), ("--limit", "1"), ("--test-to", "bob")):
        assert project.run("send", "--dry-run", *option).code == 2, option


def test_no_command_to_a_log_survives_in_a_text(project: Project) -> None:
    project.write("messages/a.yaml", direct("ann", text="x ##[add-mask]foo"))
    done = project.run("plan")
    assert (done.code, "##[" in done.out, "add-mask" in done.out) == (0, False, True), done
