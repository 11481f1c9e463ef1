"""`stop`: nothing is sent to a target any more, from whatever machine."""

from __future__ import annotations

import getpass

import click

from runner.cli import options
from runner.cli.manifests import open_shared, read_truth
from runner.cli.options import Where
from runner.cli.origin import new_run
from runner.cli.say import say
from runner.cli.settings import Settings, load_settings
from runner.errors import ExitCode
from runner.manifest.file import open_file
from runner.manifest.lines import Event, new_event
from runner.report.status import gone_lines


@click.command()
@click.option("--reason", metavar="TEXT", help="Why: it is told to everybody who wants to send.")
@click.option("--lift", is_flag=True, help="Let sending go on.")
@options.where
def stop(reason: str | None, lift: bool, where: Where) -> int:
    """Stop all sending to a target, until --lift.

    On a results branch a run that is sending sees it at its next push, within seconds, and ends.
    Every later `send` refuses, and says who stopped it and why. What has gone cannot be called back;
    it is listed, the newest first, as `recipients_from` takes it.
    """
    if (reason is None) != lift or reason == "":
        raise click.UsageError("say --reason TEXT, or --lift")
    settings = load_settings(where)
    run = new_run(command="stop")
    run.setdefault("actor", _user())
    told = {"reason": reason} if reason else {}
    _write(settings, run, new_event("lift" if lift else "stop", **told, actor=run["actor"]))
    if lift:
        say(f"sending to {settings.target.name} may go on")
        return ExitCode.DONE
    history = read_truth(settings, settings.target.url).history
    say(f"nothing more is sent to {settings.target.name}, until `stop --lift`")
    if history.rows:
        say("what has gone cannot be called back:")
        for line in gone_lines(history):
            say(line)
    return ExitCode.DONE


def _write(settings: Settings, run: dict[str, object], event: Event) -> None:
    if settings.branch is None:
        target = settings.target
        with open_file(settings.manifest, target.url, run, target.account_id) as manifest:
            manifest.say(event)
        return
    # Imported here because a manifest in a file needs no git.
    from runner.manifest.turn import add_word

    add_word(open_shared(settings), run, event)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "somebody"
