"""Says what a release is: `python .ci/release.py DIST`, with the wheel in that folder.

Prints `version=…`, and writes what the changelog says of that version into notes.md. Fails where the
wheel does not say where it comes from, or the changelog does not know the version.
"""

from __future__ import annotations

import os
import re
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path


def main(folder: Path) -> None:
    """Check the wheel against the changelog and the repository."""
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        about = message_from_bytes(archive.read(name))
    address = f"{os.environ['GITHUB_SERVER_URL']}/{os.environ['GITHUB_REPOSITORY']}"
    urls = about.get_all("Project-URL", [])
    if f"Repository, {address}" not in urls:
        sys.exit(f'pyproject.toml: write `[project.urls]`, and there Repository = "{address}"')
    version = about["Version"]
    changelog = Path("CHANGELOG.md").read_text(encoding="utf-8")
    heading = rf"^## \[{re.escape(version)}\] - [0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}\n(.*?)(?=^## |\Z)"
    found = re.search(heading, changelog, re.MULTILINE | re.DOTALL)
    if found is None:
        sys.exit(f"CHANGELOG.md: give what is released its heading: ## [{version}] - YYYY-MM-DD")
    Path("notes.md").write_text(found[1].strip() + "\n", encoding="utf-8")
    print(f"version={version}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
