"""What these tests say to the command and to the emulator, and what they read there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support import TOKEN, Project, Result, calls, control, threads

from runner.emulator import Emulator

SECRET = "s3cr3t"
"""Stands in data files: no complaint may quote it."""
QUICK = ("--settle", "0.05")


def spec(**keys: object) -> str:
    """A message file with these keys, one a line, in their order."""
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in keys.items())


def per_row(file: str, text: str = "{{ row.name }} gets {{ row.amount }}.", **keys: object) -> str:
    """A message for each row of a file, to the row's `toloker_id`; `for_each` is line 5."""
    form: dict[str, object] = {
        "topic": {"EN": "Your bonus"},
        "text": {"EN": text},
        "recipients_select_type": "DIRECT",
        "recipients_ids": ["{{ row.toloker_id }}"],
        "for_each": file,
    }
    return spec(**{**form, **keys})


def reply(to: str, text: str = "And again, thank you.", **keys: object) -> str:
    return spec(reply_to=to, text={"EN": text}, **keys)


def texts(emulator: Emulator) -> dict[str, str]:
    """What each Toloker was written, in English; fails if somebody was written to twice."""
    found: dict[str, str] = {}
    for thread in threads(emulator):
        for toloker in thread.get("compose_details", {}).get("recipients_ids", ()):
            assert toloker not in found
            found[toloker] = thread["messages"][-1]["text"]["EN"]
    return found


def said_in(thread: dict[str, Any]) -> list[str]:
    """The English messages of a thread, oldest first."""
    return [each["text"]["EN"] for each in reversed(thread["messages"])]


def said(emulator: Emulator) -> dict[str, list[str]]:
    """The messages of each thread, oldest first, by thread id."""
    return {thread["id"]: said_in(thread) for thread in threads(emulator)}


def answer(emulator: Emulator, thread_id: str, toloker: str, text: str = "Hello") -> str:
    """A Toloker answers; gives the thread that holds the answer."""
    body = {"thread_id": thread_id, "toloker_id": toloker, "text": {"EN": text}}
    thread: dict[str, Any] = control(emulator, "answer", body)
    return str(thread["id"])


def fail(emulator: Emulator, *faults: str) -> None:
    """Other faults from now on, counted from the beginning."""
    control(emulator, "faults", {"faults": list(faults)})


def asked(project: Project, command: str, emulator: Emulator, *args: str | Path) -> Result:
    """Run a command that asks Toloka, with a token."""
    return project.run(command, "--target", emulator.url, *args, TOLOKA_TOKEN=TOKEN)


def planned(project: Project, emulator: Emulator, *args: str | Path) -> Result:
    """Run `plan` against the emulator's manifest; it makes no request and needs no token."""
    return project.run("plan", "--target", emulator.url, *args)


def posts(emulator: Emulator, ending: str) -> int:
    """How many calls with this ending the emulator has seen."""
    return len(calls(emulator, ending))


def sent_ok(project: Project, emulator: Emulator, *args: str | Path) -> dict[str, int]:
    """Send, which has to end well; gives the count of each status."""
    done = project.send(emulator, *QUICK, "--results", "results.json", *args)
    assert done.code == 0, done
    summary: dict[str, int] = project.results()["summary"]
    return summary


def complaints(printed: str) -> list[str]:
    """The complaints of a run, in order, without the lines of the files shown below them."""
    return [line for line in printed.splitlines() if not line.startswith("    ")]
