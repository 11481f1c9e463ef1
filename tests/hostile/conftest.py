"""What is measured here is the command, and not coverage beside it."""

from __future__ import annotations

import pytest
from unmeasured import unmeasured as unmeasured

MEASURED_ELSEWHERE = ("test_templates", "test_specs", "test_files", "test_windows")


@pytest.fixture(autouse=True)
def _without_coverage(request: pytest.FixtureRequest) -> None:
    if request.module.__name__.rpartition(".")[2] in MEASURED_ELSEWHERE:
        request.getfixturevalue("unmeasured")
