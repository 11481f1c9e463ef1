"""Plans, runs and manifests as text for people."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from runner.model import Direct, Everyone, Filtered, InThread, Message, Result
from runner.plan.plan import Plan, PlannedMessage
from runner.wording import printable

SHOWN = 5
"""Ids and threads of one message that are shown without `-v`."""

_WORDS = {
    "planned": "would send",
    "already_sent": "already sent",
    "no_recipients": "without recipients",
    "outside_window": "outside the time window",
    "not_tried": "not tried",
    "draft": "held back as a draft",
}
_OPERATORS = {"EQ": "=", "NE": "≠", "GT": ">", "GTE": "≥", "LT": "<", "LTE": "≤"}
_LOUD = ("adopted", "edited", "in_doubt", "unknown", "rejected", "not_tried")


def plan_lines(plan: Plan, *, verbose: bool) -> Iterator[str]:
    """Print what would be sent, message by message: recipients, languages, the text itself."""
    for planned in plan.messages:
        yield from _planned_lines(planned, verbose=verbose)
        yield ""


def _planned_lines(planned: PlannedMessage, *, verbose: bool) -> Iterator[str]:
    message = planned.message
    revision = f" revision {message.revision}" if message.revision > 1 else ""
    yield f"{printable(message.id)}{revision} ({printable(message.source)})"
    if planned.deliveries:
        yield f"  would send {audience(planned)}"
        yield from _recipient_lines(planned, verbose=verbose)
    for line in settled_lines(planned):
        yield f"  {line}"
    if planned.deliveries or verbose:
        yield from _content_lines(planned)


def settled_lines(planned: PlannedMessage) -> Iterator[str]:
    """Say what of a message needs no sending, and why."""
    for status, results in _by_status(planned.skipped).items():
        yield _settled_words(status, results)


def audience(planned: PlannedMessage) -> str:
    """Say to whom a message would go: `2 threads to 130 Tolokers`."""
    count = len(planned.deliveries)
    recipients = planned.message.recipients
    if isinstance(recipients, Direct):
        people = sum(len(each.people) for each in planned.deliveries)
        rows = ", one for each row" if planned.message.row is not None else ""
        return f"{plural(count, 'thread')} to {plural(people, 'Toloker')}{rows}"
    if isinstance(recipients, Filtered):
        return f"1 thread to every Toloker with {describe_filter(recipients.tree)}"
    if isinstance(recipients, Everyone):
        return "1 thread to ALL: every Toloker who has ever tried one of your tasks"
    replies = "1 reply" if count == 1 else f"{count:,} replies"
    if isinstance(recipients, InThread):
        return f"{replies} in thread {printable(recipients.thread_id)}"
    return f"{replies} in the threads of {printable(recipients.message)}"


def _recipient_lines(planned: PlannedMessage, *, verbose: bool) -> Iterator[str]:
    ids = [toloker for each in planned.deliveries for toloker in each.people]
    if ids:
        yield f"  recipients: {_listed(ids, verbose=verbose)}"
    if planned.late_since is not None:
        yield f"  late: first sent on {planned.late_since:%Y-%m-%d}, and these get it only now"
    if planned.unguarded:
        who = plural(planned.unguarded, "Toloker")
        yield f"  suppressed: nobody; the {who} on the suppression list cannot be kept from it"


def _listed(ids: Sequence[str], *, verbose: bool) -> str:
    few = ids if verbose or len(ids) <= SHOWN + 1 else ids[:SHOWN]
    more = f" and {len(ids) - len(few):,} more (-v shows all)" if len(few) < len(ids) else ""
    return ", ".join(map(printable, few)) + more


def _content_lines(planned: PlannedMessage) -> Iterator[str]:
    message = planned.message
    answerable = f"; answerable: {_yes(message.answerable)}" if message.action == "compose" else ""
    yield f"  languages: {', '.join(message.text)}{answerable}"
    for each in sample(planned):
        if each.row is not None:
            yield f"  row {each.row}:"
        yield from _text_lines(each)


def sample(planned: PlannedMessage) -> list[Message]:
    """The message itself; of many rows the first, the longest and the shortest one."""
    due = [each.message for each in planned.deliveries] or list(planned.messages)
    if len(planned.messages) == 1:
        return due[:1]
    chosen = (due[0], max(due, key=_length), min(due, key=_length))
    return list({each.row: each for each in chosen}.values())


def _length(message: Message) -> int:
    return sum(map(len, message.text.values()))


def _text_lines(message: Message) -> Iterator[str]:
    for language, text in message.text.items():
        yield f"  {language}: {printable(message.topic.get(language, ''))}".rstrip()
        # Split at line feeds only: whatever else breaks lines is shown as an escape.
        for line in text.rstrip("\n").split("\n"):
            yield f"      | {printable(line)}".rstrip()


def _settled_words(status: str, results: Sequence[Result]) -> str:
    people = sum(len(result.recipients_ids or ()) for result in results)
    who = f" ({plural(people, 'Toloker')})" if people else ""
    reason = next((result.error for result in results if result.error), None)
    because = f": {printable(reason)}" if reason else ""
    words = {
        "already_sent": "already sent",
        "edited": "edited since it was sent",
        "unknown": "unknown whether it was sent",
        "draft": "a draft, not sent",
        "outside_window": "not sent now",
        "no_recipients": "a filter that matched nobody",
        "suppressed": "left out",
    }.get(status, status.replace("_", " "))
    return f"{words}{who}{because}"


def describe_filter(tree: object) -> str:
    """Put a filter into words: `skill 224 ≥ 80 and (country = US or country = GB)`."""
    if not isinstance(tree, Mapping):
        return printable(json.dumps(tree))
    for joint in ("and", "or"):
        children = tree.get(joint)
        if isinstance(children, list):
            parts = [_bracketed(child, len(children) > 1) for child in children]
            return f" {joint} ".join(parts)
    name = f"skill {tree.get('key')}" if tree.get("category") == "skill" else str(tree.get("key"))
    operator = str(tree.get("operator"))
    if tree.get("value") is None:
        return printable(f"no {name}")
    value = json.dumps(tree.get("value"), ensure_ascii=False).strip('"')
    return printable(f"{name} {_OPERATORS.get(operator, operator)} {value}")


def _bracketed(tree: object, is_one_of_many: bool) -> str:
    groups = [tree.get(key) for key in ("and", "or")] if isinstance(tree, Mapping) else []
    is_group = any(isinstance(group, list) and len(group) > 1 for group in groups)
    said = describe_filter(tree)
    return f"({said})" if is_group and is_one_of_many else said


def run_lines(results: Sequence[Result], *, verbose: bool) -> Iterator[str]:
    """Print the threads of a run as `id topic`, grouped by message where there are several."""
    sent = [result for result in results if result.status in ("sent", "adopted")]
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in sent:
        groups[result.message].append(result)
    for message, threads in groups.items():
        indent = ""
        if len(sent) > 1:
            indent = "  "
            people = sum(len(each.recipients_ids or ()) for each in threads)
            to = f" to {plural(people, 'Toloker')}" if people else ""
            yield f"{printable(message)}: {plural(len(threads), 'thread')}{to}"
        few = threads if verbose or len(threads) <= SHOWN + 1 else threads[:SHOWN]
        for each in few:
            mark = " (adopted)" if each.status == "adopted" else ""
            yield f"{indent}{each.thread_id} {printable(each.headline)}{mark}"
        if len(few) < len(threads):
            yield f"{indent}… and {len(threads) - len(few):,} more (-v shows all)"


def loud_lines(results: Sequence[Result], *, verbose: bool) -> Iterator[str]:
    """Print what a person must not miss: adopted, edited, unknown, refused, left."""
    for status in _LOUD:
        groups: dict[tuple[str, str | None], list[Result]] = defaultdict(list)
        for result in results:
            if result.status == status:
                groups[result.message, result.error].append(result)
        is_short = verbose or len(groups) <= SHOWN + 1 or status in ("in_doubt", "unknown")
        few = list(groups) if is_short else list(groups)[:SHOWN]
        for message, error in few:
            found = groups[message, error]
            who = _whom(found, verbose=verbose)
            why = f": {printable(error)}" if error else ""
            yield f"{status.replace('_', ' ')}: {printable(message)}{who}{why}"
        if len(few) < len(groups):
            yield f"{status.replace('_', ' ')}: {len(groups) - len(few):,} more (-v shows all)"


def _whom(results: Sequence[Result], *, verbose: bool) -> str:
    people = [toloker for result in results for toloker in result.recipients_ids or ()]
    if not people:
        return ""
    if len(people) <= SHOWN or verbose:
        return f" to {', '.join(map(printable, people))}"
    return f" to {plural(len(people), 'Toloker')}"


def summary_line(results: Iterable[Result], *, dry_run: bool) -> str:
    """Count the results: `3 sent, 1 already sent`."""
    counts = Counter(result.status for result in results)
    if not counts:
        return "Nothing to send"
    order = ["planned", "sent", "adopted", *sorted(counts)]
    parts = [
        f"{counts[status]:,} {_WORDS.get(status, status.replace('_', ' '))}"
        for status in dict.fromkeys(order)
        if counts[status]
    ]
    if dry_run:
        parts = [part for part in parts if not part.endswith("would send")]
        planned = counts["planned"]
        head = f"Would send {plural(planned, 'thread')}" if planned else "Would send nothing"
        return "; ".join([head, ", ".join(parts)]) if parts else head
    return ", ".join(parts) if counts["sent"] else f"Nothing new was sent: {', '.join(parts)}"


def plural(count: int, noun: str) -> str:
    """Count things: `1 thread`, `2,000 threads`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _by_status(results: Iterable[Result]) -> Mapping[str, list[Result]]:
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        groups[result.status].append(result)
    return groups


def _yes(value: bool) -> str:
    return "yes" if value else "no"
