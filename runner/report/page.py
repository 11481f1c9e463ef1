"""A plan as one HTML page that needs nothing else: every message as a Toloker would see it."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from runner.report.bars import charts_of
from runner.report.harmless import runs
from runner.report.review import Review
from runner.report.samples import first_few
from runner.wording import plural, printable

_HERE = Path(__file__).parent


def build_page(review: Review, *, at: datetime) -> str:
    """Build the page. `at` is when the plan was made."""
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    return _template().render(
        title=f"Preview of {plural(len(review.entries), 'message')}",
        # The page's policy lets this style sheet in, and not one request.
        digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        style=style,
        review=review,
        about=review.about,
        at=at,
        entries=review.entries,
        charts=list(charts_of(each.planned for each in review.entries)),
        verbose=review.detail.all,
        signs={"+": "added", "-": "removed"},
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        finalize=_harmless,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(runs=runs, utc=_utc, plural=plural, first_few=first_few)
    return environment.get_template("page.html.j2")


def _harmless(value: object) -> object:
    """Make printable what Jinja2 is about to escape; markup is of the page's own making."""
    return value if hasattr(value, "__html__") else printable(str(value))


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
