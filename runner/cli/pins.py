"""What a CI job has to install to have what runs here, as far as that can be proved (PEP 610)."""

from __future__ import annotations

import json
import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

import runner

_NAME = "message-runner"
# It goes into a script, between double quotes, and must hold no password.
_URL = re.compile(r"(https://|ssh://(git@)?)[A-Za-z0-9.-]+(:[0-9]+)?/[A-Za-z0-9._~/+-]+")
_COMMIT = re.compile(r"[0-9a-f]{40,64}")


def pinned() -> tuple[str, ...]:
    """The requirements that install what runs here; none where nobody could install the same."""
    try:
        return requirements(distribution(_NAME))
    except PackageNotFoundError:
        return ()


def requirements(ours: Distribution) -> tuple[str, ...]:
    """Those of an installation: of an index its version, of git the repository and the commit.

    Babel comes beside it, because its words for numbers and dates change with its releases.
    """
    if Path(str(ours.locate_file("runner"))).resolve() != Path(runner.__file__).resolve().parent:
        return ()
    source = ours.read_text("direct_url.json")
    requirement = f"{_NAME}=={ours.version}" if source is None else _from_git(json.loads(source))
    return (requirement, f"babel=={version('babel')}") if requirement else ()


def _from_git(source: dict[str, Any]) -> str | None:
    url, commit = source["url"], source.get("vcs_info", {}).get("commit_id", "")
    if "subdirectory" in source or not (_URL.fullmatch(url) and _COMMIT.fullmatch(commit)):
        return None
    return f"{_NAME} @ git+{url}@{commit}"
