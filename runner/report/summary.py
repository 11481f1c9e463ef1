"""A plan as Markdown, for a pull request's job summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.errors import Problem
from runner.model import Direct, Filtered, Message, Result
from runner.plan.plan import Plan, PlannedMessage
from runner.report.harmless import fenced, markdown
from runner.report.text import audience, sample, settled_lines, summary_line

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
) -> str:
    """Write the plan: a table, then each message folded; cut where GitHub would take no more."""
    head = [
        "## Messages to Tolokers",
        "",
        f"{markdown(summary_line(results, dry_run=True))}. Target: {markdown(target)}.",
        "",
    ]
    head += [f"> ⚠️ {markdown(said)}" for said in quota_notes]
    head += [f"> ⚠️ {markdown(str(problem))}" for problem in warnings[:20]]
    if quota_notes or warnings:
        head.append("")
    rows = [
        "| message | action | recipients | languages | requests |",
        "| --- | --- | --- | --- | ---: |",
        *(_row(planned) for planned in plan.messages),
        "",
    ]
    return _cut("\n".join(head), rows, [_details(planned) for planned in plan.messages])


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


def _row(planned: PlannedMessage) -> str:
    message = planned.message
    cells = [
        markdown(message.id) + (f" (revision {message.revision})" if message.revision > 1 else ""),
        markdown(_action(planned)),
        markdown(_recipients(planned)),
        markdown(", ".join(message.text)),
        str(len(planned.deliveries)),
    ]
    return f"| {' | '.join(cells)} |"


def _action(planned: PlannedMessage) -> str:
    statuses = dict.fromkeys(result.status for result in planned.skipped)
    actions = ["send"] if planned.deliveries and planned.message.action == "compose" else []
    actions += ["reply"] if planned.deliveries and planned.message.action == "reply" else []
    return ", ".join([*actions, *(status.replace("_", " ") for status in statuses)])


def _recipients(planned: PlannedMessage) -> str:
    recipients = planned.message.recipients
    if isinstance(recipients, Direct):
        count = sum(len(each.people) for each in planned.deliveries)
        late = " (late)" if planned.late_since else ""
        return f"{count:,} by id{late}"
    if isinstance(recipients, Filtered):
        return "by filter"
    return recipients.select_type or "in threads"


def _details(planned: PlannedMessage) -> str:
    message = planned.message
    lines = [
        f"<details><summary>{markdown(message.id)} — {markdown(message.headline)}</summary>",
        "",
        f"{markdown(message.source)}: {markdown(audience(planned))}"
        if planned.deliveries
        else markdown(message.source),
        "",
    ]
    lines += [f"- {markdown(line)}" for line in settled_lines(planned)]
    if planned.late_since:
        lines.append(f"- late: first sent on {planned.late_since:%Y-%m-%d}")
    for each in sample(planned):
        lines += ["", *_content(each)]
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
