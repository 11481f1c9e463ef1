"""Very many files: the same is said of them on one core and on several."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support import COMMAND, THANKS, TIMEOUT_S, Project

from runner.errors import ExitCode

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="there is one core, or a system that does not tell",
)

ON_ONE_CORE = (
    "import os, sys; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)
COUNT = 240
ODD = {
    3: THANKS.replace("DIRECT", "DIRCT"),
    40: THANKS + "id: m0200\n",
    41: THANKS.replace("job", "{{ jb }}") + "variables: {job: x}\n",
    77: THANKS.replace("job", "TODO"),
    90: THANKS.replace("job", "{% include 'torn' %}"),
    110: THANKS.replace("job", "{{ 5 | money('EUR') }}"),
    130: THANKS.replace("  EN: \"Thank", "  DE: \"{{ 1234 | number }}\"\n  EN: \"Thank").replace(
        "  EN: \"Amazing", "  DE: \"{{ 1234 | number }}\"\n  EN: \"Amazing"
    ),
    150: THANKS.replace("answerable: false\n", "") + "  - 1ad097faba0eff85a04fe30bc04d53db\n",
    239: "topic: [\n",
}  # fmt: skip
STOPPED = THANKS.replace("job", "{{ 'a' | center(2000000000) }}")


def write_many(project: Project, odd: dict[int, str]) -> None:
    if odd:
        project.write("messages/_partials/torn", "<<<<<<< HEAD\nours\n=======\nyours\n>>>>>>> b\n")
    for number in range(COUNT):
        text = THANKS.replace("Amazing", f"{{{{ 'Amazing' }}}} {number}")
        project.write(f"messages/m{number:04}.yaml", odd.get(number, text))


def on_one_core(project: Project, *args: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", ON_ONE_CORE, *COMMAND, *args],
        cwd=project.root,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return done.returncode, done.stdout.decode()


@pytest.mark.parametrize(
    ("odd", "command", "code"),
    [
        ({}, ("plan", "--verbose"), ExitCode.DONE),
        (ODD, ("validate", "--format", "json"), ExitCode.MESSAGES),
        pytest.param(
            {**ODD, **dict.fromkeys((20, 60, 100, 101, 180), STOPPED)},
            ("validate", "--format", "json"),
            ExitCode.MESSAGES,
            marks=pytest.mark.dear,
        ),
    ],
    ids=["good", "odd", "stopped"],
)
def test_one_core_says_what_several_say(
    project: Project, odd: dict[int, str], command: tuple[str, ...], code: ExitCode
) -> None:
    write_many(project, odd)
    said = project.run_process(*command)
    assert (said.code, said.out) == on_one_core(project, *command)
    assert said.code == code, said.err
