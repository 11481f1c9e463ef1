"""Looks for known vulnerabilities in requirements that are pinned: `audit.py FILE...`.

It runs pip-audit, which must be installed beside the Python that runs this. A service is trusted
once it knows the fault of a release that has one. Where none can be asked so, the audit is skipped
and says why; with `--required` that is a failure. `--service`, at the end, gives pip-audit another
service than the two that are tried otherwise.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SERVICES = (("-s", "pypi"), ("-s", "osv"))
# It leaks credentials from .netrc: CVE-2024-47081.
KNOWN_BAD = "requests==2.32.3"

Dependency = dict[str, Any]


class Unanswered(Exception):
    """The service could not be asked, with the reason."""


def last_error(said: str) -> str:
    """The last line of a traceback that has more than an exception's name, or just the last."""
    lines = said.strip().splitlines() or ["it said nothing"]
    return next((line for line in reversed(lines) if re.match(r"[\w.]+: ", line)), lines[-1])


def ask(service: Sequence[str], requirements: Path) -> list[Dependency]:
    """Ask a service about every requirement; raises `Unanswered` unless it answers for all."""
    command = (sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off")
    options = ("--no-deps", "--disable-pip", "--timeout", "20", "--requirement", requirements)
    done = subprocess.run((*command, *options, *service), capture_output=True, text=True)
    try:
        found: list[Dependency] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        raise Unanswered(last_error(done.stderr)) from None
    for each in found:
        if "skip_reason" in each:
            raise Unanswered(each["skip_reason"])
    return found


def first_that_answers(services: Sequence[Sequence[str]]) -> Sequence[str]:
    """Find a service that knows what is wrong with a release that is known to be bad."""
    reasons = []
    with tempfile.TemporaryDirectory() as folder:
        bad = Path(folder) / "bad.txt"
        bad.write_text(f"{KNOWN_BAD}\n", encoding="utf-8")
        for service in services:
            try:
                if any(each["vulns"] for each in ask(service, bad)):
                    return service
                reasons.append(f"{' '.join(service)}: it knows no fault of {KNOWN_BAD}")
            except Unanswered as error:
                reasons.append(f"{' '.join(service)}: {error}")
    raise Unanswered("\n".join(reasons))


def lines_of(found: Sequence[Dependency]) -> list[str]:
    """One line for each vulnerability."""
    return [
        f"{each['name']} {each['version']}: {', '.join([fault['id'], *fault['aliases']])}, "
        f"fixed in {', '.join(fault['fix_versions']) or 'no release'}"
        for each in found
        for fault in each["vulns"]
    ]


def audit(files: Sequence[Path], services: Sequence[Sequence[str]]) -> tuple[list[str], str]:
    """Audit each file; gives the faults, and why the audit ended early if it did."""
    faults: list[str] = []
    try:
        service = first_that_answers(services)
        for file in files:
            found = ask(service, file)
            print(f"{file.stem}: {len(found)} releases audited, by {' '.join(service)}")
            faults += [f"{file.stem}: {line}" for line in lines_of(found)]
    except Unanswered as error:
        return faults, str(error)
    return faults, ""


def main() -> int:
    """Audit, print what was found, and give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--required", action="store_true", help="fail where nothing answers")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--service", nargs=argparse.REMAINDER, help="pip-audit's options")
    given = parser.parse_args()
    faults, why = audit(given.files, [given.service] if given.service else SERVICES)
    if faults:
        print("known vulnerabilities:", *faults, sep="\n")
    elif not why:
        print("no known vulnerability")
    if why:
        how = "not audited" if given.required else "skipped"
        print(f"{how}: no advisory service can be asked from here", why, sep="\n")
    return 1 if faults or (why and given.required) else 0


if __name__ == "__main__":
    sys.exit(main())
