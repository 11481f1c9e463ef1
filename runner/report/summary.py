"""A plan as Markdown, for a pull request's job summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.errors import Problem
from runner.model import Direct, Filtered, Message, ReachedBy, Result
from runner.plan.plan import Plan
from runner.report.entries import Entry, entries_of
from runner.report.harmless import fenced, markdown
from runner.report.text import summary_line

MAX_BYTES = 900_000
"""GitHub takes 1 MiB of summary from one step, and shows nothing of a longer one."""

_MAX_TEXT = 20_000


def summary_markdown(
    plan: Plan,
    results: Sequence[Result],
    *,
    target: str,
    quota_notes: Sequence[str],
    warnings: Sequence[Problem] = (),
    digest: str | None = None,
) -> str:
    """Write the plan: a table, then each message folded; cut where GitHub would take no more.

    `digest` is that of the plan file, where one is written.
    """
    head = [
        "## Messages to Tolokers",
        "",
        f"{markdown(summary_line(results, dry_run=True))}. Target: {markdown(target)}.",
        "",
    ]
    head += [f"The plan is `{digest}`.", ""] if digest else []
    head += [f"> ⚠️ {markdown(said)}" for said in quota_notes]
    head += [f"> ⚠️ {markdown(str(problem))}" for problem in warnings[:20]]
    if quota_notes or warnings:
        head.append("")
    entries = list(entries_of(plan))
    rows = [
        "| message | action | recipients | languages | requests |",
        "| --- | --- | --- | --- | ---: |",
        *map(_row, entries),
        "",
    ]
    return _cut("\n".join(head), rows, list(map(_details, entries)))


def failure_markdown(problems: Sequence[Problem]) -> str:
    """Write why there is no plan."""
    lines = ["## Messages to Tolokers", "", "There is no plan: the messages have problems.", ""]
    lines += [f"- {markdown(str(problem))}" for problem in problems[:100]]
    if len(problems) > 100:
        lines.append(f"- and {len(problems) - 100} more")
    return "\n".join(lines) + "\n\n"


def _cut(head: str, rows: Sequence[str], details: Sequence[str]) -> str:
    """Keep whole rows and whole messages, and say how many were left out."""
    room = MAX_BYTES - len(head.encode())
    kept_rows, room = _fitting(rows, room)
    if len(kept_rows) < len(rows):
        left = len(rows) - len(kept_rows)
        note = f"\n{left:,} more messages do not fit here: run `message-runner plan`.\n"
        return "\n".join([head, *kept_rows]) + "\n" + note
    kept, room = _fitting(details, room)
    body = "\n".join([head, *kept_rows, *kept])
    if len(kept) < len(details):
        left = len(details) - len(kept)
        body += f"\nThe texts of {left:,} more messages do not fit here: run `message-runner plan`."
    return body + "\n\n"


def _fitting(parts: Sequence[str], room: int) -> tuple[list[str], int]:
    kept = []
    for part in parts:
        size = len(part.encode()) + 1
        if size > room:
            break
        kept.append(part)
        room -= size
    return kept, room


def _row(entry: Entry) -> str:
    message = entry.message
    cells = [
        markdown(message.id) + (f" (revision {message.revision})" if message.revision > 1 else ""),
        markdown(_action(entry)),
        markdown(_recipients(entry)),
        markdown(", ".join(message.text)),
        str(len(entry.planned.deliveries)),
    ]
    return f"| {' | '.join(cells)} |"


def _action(entry: Entry) -> str:
    verb = "send" if entry.message.action == "compose" else "reply"
    skipped = (status.replace("_", " ") for status in entry.planned.skipped_by_status)
    return ", ".join([*([verb] if entry.audience else ()), *skipped])


def _recipients(entry: Entry) -> str:
    recipients = entry.message.recipients
    if entry.planned.possible and not entry.due:
        return entry.audience
    if isinstance(recipients, (Direct, ReachedBy)):
        return f"{len(entry.due):,} by id{' (late)' if entry.planned.late_since else ''}"
    if isinstance(recipients, Filtered):
        return "by filter"
    return recipients.select_type or "in threads"


def _details(entry: Entry) -> str:
    message = entry.message
    audience = f": {entry.audience}" if entry.audience else ""
    lines = [
        f"<details><summary>{markdown(message.id)} — {markdown(message.headline)}</summary>",
        "",
        markdown(message.source + audience),
        "",
        *(f"- {markdown(each.words)}" for each in entry.states if each.status != "planned"),
    ]
    if entry.difference:
        lines += ["", *fenced("\n".join(entry.difference), "diff")]
    for sample in entry.samples:
        lines += ["", *_content(sample.message)]
    return "\n".join([*lines, "", "</details>", ""])


def _content(message: Message) -> Iterator[str]:
    row = f" (row {message.row})" if message.row is not None else ""
    for language, text in message.text.items():
        topic = message.topic.get(language, "")
        yield f"**{markdown(language)}**{row} {markdown(topic)}"
        yield ""
        cut = text[:_MAX_TEXT]
        yield from fenced(cut)
        if len(cut) < len(text):
            yield f"({len(text) - len(cut):,} more characters)"
        yield ""
