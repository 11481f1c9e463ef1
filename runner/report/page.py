"""A plan as one HTML page that needs nothing else: every message as a Toloker would see it."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from runner.plan.plan import Plan
from runner.report.bars import charts_of
from runner.report.entries import entries_of, first_few
from runner.report.harmless import runs
from runner.report.text import summary_line
from runner.wording import plural, printable

_HERE = Path(__file__).parent


def build_page(plan: Plan, *, target: str, manifest: str, at: datetime, verbose: bool) -> str:
    """Build the page. `at` is when the plan was made; `verbose` lists every recipient."""
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    entries = list(entries_of(plan))
    return _template().render(
        title=f"Preview of {plural(len(plan.messages), 'message')}",
        # The page's policy lets this style sheet in, and not one request.
        digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        style=style,
        summary=summary_line(plan.results, dry_run=True),
        target=target,
        manifest=manifest,
        at=at,
        entries=entries,
        charts=list(charts_of(each.planned for each in entries)),
        verbose=verbose,
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
