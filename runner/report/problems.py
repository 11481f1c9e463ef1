"""Problems as text, JSON, GitHub annotations and JUnit XML."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from runner.errors import Problem
from runner.files import read_bounded
from runner.report.harmless import json_text
from runner.wording import printable

VERSION = 1
ANNOTATIONS_OF_A_KIND = 10
"""What GitHub shows of one step: ten errors and ten warnings."""

# No message is longer: what stands behind it may be anything.
_MAX_BYTES = 8 * 1024 * 1024
# Printable, and no character of XML 1.0 all the same.
_NOT_XML = re.compile("[\ufffe\uffff]")
_EXCERPT_WIDTH = 120
_RED, _YELLOW, _BOLD, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[0m"


def text_lines(
    problems: Sequence[Problem], specs: Collection[str], *, is_coloured: bool
) -> Iterator[str]:
    """Print each problem with the line that it stands on and a caret.

    Lines are shown of the files in `specs` only: the contents of data files are nobody's business.
    """
    sources: dict[str, list[str]] = {}
    for problem in problems:
        yield _coloured(problem) if is_coloured else printable(str(problem))
        if problem.where.path in specs:
            yield from _excerpt(problem, _lines_of(problem.where.path, sources))


def _coloured(problem: Problem) -> str:
    colour = _RED if problem.severity == "error" else _YELLOW
    hint = f"; {printable(problem.hint)}" if problem.hint else ""
    where = f"{_BOLD}{printable(str(problem.where))}{_PLAIN}"
    return f"{where}: {colour}{problem.severity}{_PLAIN}: {printable(problem.what)}{hint}"


def _lines_of(path: str, sources: dict[str, list[str]]) -> list[str]:
    if path not in sources:
        try:
            text = read_bounded(Path(path), _MAX_BYTES).decode("utf-8-sig", "replace")
        except OSError:
            text = ""
        sources[path] = text.replace("\r\n", "\n").split("\n")
    return sources[path]


def _excerpt(problem: Problem, lines: Sequence[str]) -> Iterator[str]:
    number, column = problem.where.line, problem.where.column
    if number > len(lines) or not lines[number - 1].strip():
        return
    line = lines[number - 1].replace("\t", " ")
    start = max(0, column - _EXCERPT_WIDTH // 2) if len(line) > _EXCERPT_WIDTH else 0
    shown = line[start : start + _EXCERPT_WIDTH]
    before = printable(shown[: column - 1 - start])
    yield f"    {printable(shown)}"
    yield f"    {' ' * _width(before)}^"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def problems_document(problems: Sequence[Problem], files: Sequence[str]) -> str:
    """Write the problems, and the files that were checked, as JSON."""
    counts = Counter(problem.severity for problem in problems)
    document = {
        "version": VERSION,
        "valid": not counts["error"],
        "files": list(files),
        "summary": {"errors": counts["error"], "warnings": counts["warning"]},
        "problems": [problem_entry(problem) for problem in problems],
    }
    return json_text(document)


def problem_entry(problem: Problem) -> dict[str, object]:
    """Write one problem as JSON."""
    return {
        "path": problem.where.path,
        "line": problem.where.line,
        "column": problem.where.column,
        "severity": problem.severity,
        "rule": problem.rule,
        "message": problem.what,
        "hint": problem.hint,
    }


def github_lines(problems: Sequence[Problem], top: Path) -> Iterator[str]:
    """Write GitHub's workflow commands, errors first, as many of a kind as GitHub shows.

    `top` is the top of the repository, from which GitHub counts a path.

    The form and its escapes are those of GitHub's own toolkit (`actions/toolkit`, command.ts).
    """
    for severity in ("error", "warning"):
        found = [problem for problem in problems if problem.severity == severity]
        for problem in found[:ANNOTATIONS_OF_A_KIND]:
            yield _annotation(problem, top)
        if len(found) > ANNOTATIONS_OF_A_KIND:
            yield f"and {len(found) - ANNOTATIONS_OF_A_KIND} more {severity}s"


def _annotation(problem: Problem, top: Path) -> str:
    properties = {
        "file": Path(os.path.relpath(problem.where.path, top)).as_posix(),
        "line": str(problem.where.line),
        "col": str(problem.where.column),
        "title": problem.rule,
    }
    named = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    said = f"{problem.what}; {problem.hint}" if problem.hint else problem.what
    return f"::{problem.severity} {named}::{_data(said)}"


def _data(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def junit_document(problems: Sequence[Problem], files: Sequence[str]) -> str:
    """Write JUnit XML: one test case a file, one failure for all its errors.

    A case with warnings alone passes, and has them as its output.
    """
    by_file: Mapping[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        by_file[problem.where.path].append(problem)
    names = list(dict.fromkeys((*files, *by_file)))
    failed = sum(any(each.severity == "error" for each in by_file[name]) for name in names)
    counts = {"tests": str(len(names)), "failures": str(failed), "errors": "0", "skipped": "0"}
    root = ElementTree.Element("testsuites", {"name": "message-runner", **counts})
    suite = ElementTree.SubElement(root, "testsuite", {"name": "validate", **counts, "time": "0"})
    for name in names:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            {
                "classname": "messages",
                "name": printable(name),
                "file": printable(name),
                "time": "0",
            },
        )
        _fill_case(case, by_file[name])
    ElementTree.indent(root)
    document = ElementTree.tostring(root, encoding="unicode", xml_declaration=True)
    return _NOT_XML.sub("\ufffd", document)


def _fill_case(case: ElementTree.Element, problems: Sequence[Problem]) -> None:
    errors = [problem for problem in problems if problem.severity == "error"]
    warnings = [problem for problem in problems if problem.severity == "warning"]
    if errors:
        count = f"{len(errors)} problems" if len(errors) > 1 else printable(errors[0].what)
        failure = ElementTree.SubElement(
            case, "failure", {"message": count, "type": errors[0].rule}
        )
        failure.text = "\n".join(printable(str(problem)) for problem in errors)
    if warnings:
        output = ElementTree.SubElement(case, "system-out")
        output.text = "\n".join(printable(str(problem)) for problem in warnings)
