"""The page of examples, `messages/README.md`: every block is a file that can be planned."""

from __future__ import annotations

import re
from pathlib import Path

from support import Project

PAGE = Path(__file__).resolve().parents[2] / "messages" / "README.md"
_BLOCK = re.compile(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```\n", re.DOTALL)


def test_every_block_of_the_page_is_a_file_that_says_what_it_should(project: Project) -> None:
    # The story at its end has files that change: a test of its own plays it.
    page = PAGE.read_text(encoding="utf-8").partition("\n## Ten first")[0]
    blocks = _BLOCK.findall(page)
    assert len(blocks) == page.count("```") // 2
    for name, content in blocks:
        project.write(name, content)
    planned = project.run("plan", "--strict", "--format", "json")
    assert planned.code == 0, planned
    for words in (
        "1 task, and a bonus of $0.50.\\nIt arrives by 1 February 2026.",
        "1,250 tasks, and a bonus of $12.50.\\nNobody did more!\\nIt",
        "1 задание, и бонус 0,50\xa0$.\\n\u041eн придёт до 1 февраля 2026\xa0\u0433.",
        "Harbour brings you €1,250.50.",
        "Market brings you €0.05.",
        "in Paris, Rome and Oslo.",
        "examples/skilled-in-2025",
    ):
        assert words in planned.out, words
    assert "Cy" not in planned.out
