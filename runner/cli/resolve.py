"""`resolve`: a person's word on what the manifest does not know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import click

from runner.api.connection import has_token, load_threads, open_client
from runner.api.manifests import Patience, open_manifest
from runner.api.origin import new_run
from runner.api.settings import Settings, Speed, Where, load_pacing
from runner.cli import options
from runner.cli.completion import complete_message
from runner.cli.say import say
from runner.cli.settings import load_settings
from runner.errors import ExitCode, SurroundingsError
from runner.lookup.claim import Sharing
from runner.lookup.look import left_out
from runner.lookup.replies import query_threads
from runner.manifest.attempts import Attempt, NotFound
from runner.manifest.history import History
from runner.manifest.told import describe
from runner.model import Sent, Thread
from runner.toloka.ids import is_thread
from runner.wording import printable

_ITS_OWN = "its own"
"""`--sent` without a thread: the one that put a delivery in doubt."""


@click.command()
@click.argument("delivery", required=False)
@click.option(
    "--message",
    metavar="ID",
    shell_complete=complete_message,
    help="All that is in doubt of this message.",
)
@click.option(
    "--sent",
    is_flag=False,
    flag_value=_ITS_OWN,
    metavar="[THREAD_ID]",
    help="It was sent: this is its thread; without an id, the one that `status` names.",
)
@click.option("--not-sent", is_flag=True, help="It was not sent: the next `send` tries it again.")
@options.where
def resolve(
    delivery: str | None, message: str | None, sent: str | None, not_sent: bool, where: Where
) -> int:
    """Settle what is unknown or in doubt by hand.

    DELIVERY is the id that `status` shows, or its first characters. Look at Toloka's own list of
    messages first: with --not-sent, what was sent after all is sent again. Where there is a token,
    thread ids are looked up in Toloka. --message ID --sent settles every delivery whose thread is
    known, and names the others (exit 5).
    """
    if (sent is not None) == not_sent or (delivery is None) == (message is None):
        raise click.UsageError("say DELIVERY or --message ID, and --sent THREAD_ID or --not-sent")
    if sent not in (None, _ITS_OWN) and not is_thread(str(sent)):
        raise click.UsageError("--sent takes a thread id, as in 63c15866757a4a1adad1d632")
    if message is not None and sent not in (None, _ITS_OWN):
        raise click.UsageError("--message goes with --sent alone: each delivery has its own thread")
    settings = load_settings(where)
    run, patience = new_run(command="resolve"), Patience(at_once=True)
    with open_manifest(settings, settings.target.url, run, patience) as (manifest, beat):
        history = manifest.history()
        chosen, unclear = _chosen(settings, history, delivery, message, is_sent=sent is not None)
        ids = {each.delivery: _thread_id(each, sent, history) for each in chosen if sent}
        found = _found_in_toloka(settings, chosen, ids, beat)
        for each in chosen:
            thread = found.get(each.delivery)
            outcome = Sent(thread) if thread else NotFound()
            missing = left_out(each.recipients_ids, thread) if thread else ()
            manifest.settle(each.delivery, outcome, "resolved", missing)
    if manifest.log.lost is not None:
        raise manifest.log.lost
    for each in chosen:
        word = "sent" if sent else "not sent"
        say(printable(f"{each.message}: {word}, by your word"))
    for each in unclear:
        say(printable(f"say which thread it is: {describe(each, history)}"), err=True)
    return ExitCode.UNKNOWN if unclear else ExitCode.DONE


def _chosen(
    settings: Settings,
    history: History,
    delivery: str | None,
    message: str | None,
    *,
    is_sent: bool,
) -> tuple[Sequence[Attempt], Sequence[Attempt]]:
    """Give what a person's word settles, and what of the message needs one of its own."""
    status = f"`message-runner status{settings.option}`"
    if delivery is None:
        found = [each for each in history.unknown if each.message == message]
        if not found:
            raise SurroundingsError(f"nothing of {message} is in doubt: see {status}")
        return _by_their_threads(found, history) if is_sent else (found, ())
    found = [each for each in history.unknown if each.delivery.startswith(delivery)]
    if len(found) > 1:
        raise SurroundingsError(
            f"{len(found)} deliveries in doubt start with {delivery[:40]}: write more of the id"
        )
    if not found:
        raise SurroundingsError(
            f"no delivery in doubt is called {delivery[:40]}: {status} lists them"
        )
    return found, ()


def _by_their_threads(
    chosen: Sequence[Attempt], history: History
) -> tuple[Sequence[Attempt], Sequence[Attempt]]:
    """Give those whose thread is known, and those of which a person has to name it one by one.

    Raises `SurroundingsError` where that is all of them.
    """
    clear: list[Attempt] = []
    unclear: list[Attempt] = []
    # One letter may be in doubt twice, by its intent and by its thread: one settles the other.
    letters = [*{_letter(each, history): each for each in reversed(chosen)}.values()][::-1]
    # One thread is one letter, whichever of several it may be.
    claims = Counter(it for each in letters for it in history.doubts.get(each.delivery, ()))
    for each in letters:
        own = history.doubts.get(each.delivery, ())
        is_known = len(own) == 1 == claims[own[0]] and own[0] not in history.thread_ids
        (clear if each.in_thread or is_known else unclear).append(each)
    if not clear:
        raise SurroundingsError(f"say which thread it is: {describe(chosen[0], history)}")
    return clear, unclear


def _letter(attempt: Attempt, history: History) -> object:
    """What tells an attempt from all others that are not the same letter."""
    threads = history.doubts.get(attempt.delivery)
    if attempt.in_thread or not threads:
        return attempt.delivery
    return threads, attempt.revision, attempt.recipients_ids, attempt.key


def _thread_id(attempt: Attempt, sent: str | None, history: History) -> str:
    """The thread that a delivery is said to have made, or to have been written into."""
    own = history.doubts.get(attempt.delivery, ())
    if attempt.in_thread is not None:
        own = (attempt.in_thread,)
        if sent not in (_ITS_OWN, attempt.in_thread):
            raise SurroundingsError(f"this reply goes into thread {attempt.in_thread}")
        return attempt.in_thread
    if sent == _ITS_OWN and len(own) != 1:
        raise SurroundingsError(f"say which thread it is: {describe(attempt, history)}")
    thread_id = own[0] if sent == _ITS_OWN else str(sent)
    if thread_id in history.thread_ids:
        raise SurroundingsError(f"thread {thread_id} belongs to another delivery already")
    return thread_id


def _found_in_toloka(
    settings: Settings,
    chosen: Sequence[Attempt],
    ids: dict[str, str],
    beat: Callable[[], object],
) -> dict[str, Thread]:
    """Look threads up in Toloka, where there is a token."""
    by_delivery = {each.delivery: each for each in chosen}
    plain = {delivery: Thread(id=thread_id) for delivery, thread_id in ids.items()}
    if not ids or not has_token(settings):
        return plain
    with open_client(settings, load_pacing(Speed(), settings)) as (client, _):
        for delivery, thread_id in ids.items():
            beat()
            threads = load_threads(client, query_threads([thread_id]))
            if not threads:
                raise SurroundingsError(f"Toloka's list has no thread {thread_id}")
            attempt = by_delivery[delivery]
            is_reply = attempt.action == "reply"
            if not is_reply and delivery not in Sharing([attempt]).of(threads[0]):
                raise SurroundingsError(f"thread {thread_id} went to others: see its recipients")
            created, whom = "" if is_reply else threads[0].created, threads[0].recipients_ids
            plain[delivery] = Thread(id=thread_id, created=created, recipients_ids=whom)
    return plain
