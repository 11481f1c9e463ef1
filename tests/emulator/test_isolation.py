from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import runner.emulator

FOLDER = Path(runner.emulator.__file__).parent


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_emulator_imports_the_standard_library_and_itself_only() -> None:
    for path in FOLDER.glob("*.py"):
        for name in imported(path):
            own = name.startswith("runner.emulator")
            assert own or name.partition(".")[0] in sys.stdlib_module_names, (path.name, name)
