"""A plan as JSON: its file, and what a reviewer is told of it besides."""

from __future__ import annotations

from typing import Any

from runner.plan.planfile import Origin, plan_document
from runner.report.problems import problem_entry
from runner.report.review import Review


def review_document(review: Review, origin: Origin) -> dict[str, Any]:
    """Build what `plan --out` keeps and `--format json` prints; `send` reads the first part of it."""
    about = review.about
    document: dict[str, Any] = plan_document(
        review.plan, origin, manifest=about.manifest, quota_notes=about.quota_notes
    )
    for entry, message in zip(review.entries, document["messages"], strict=True):
        message["states"] = [state.words for state in entry.states]
        message["difference"] = list(entry.difference)
        message["notes"] = list(entry.notes)
    return {
        **document,
        "headline": review.headline,
        "standing": review.standing,
        "stopped": about.stopped,
        "rules_title": about.rules_title or None,
        "rules": list(about.rules),
        "notes": list(review.notes),
        "warnings": [problem_entry(problem) for problem in about.warnings],
    }
