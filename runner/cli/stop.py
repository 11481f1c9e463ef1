"""`stop`: nothing is sent to a target any more, from whatever machine."""

from __future__ import annotations

import click

from runner.api.manifests import read_truth
from runner.api.settings import Where
from runner.api.stopping import stop_sending
from runner.cli import options
from runner.cli.say import say
from runner.cli.settings import load_settings
from runner.errors import ExitCode
from runner.report.status import gone_lines


@click.command()
@click.option("--reason", metavar="TEXT", help="Why: it is told to everybody who wants to send.")
@click.option("--lift", is_flag=True, help="Let sending go on.")
@options.where
def stop(reason: str | None, lift: bool, where: Where) -> int:
    """Stop all sending to a target, until --lift.

    A run that is sending sees it as it writes next, on a results branch within seconds, and ends.
    Every later `send` refuses, and says who stopped it and why. What has gone cannot be called back;
    it is listed, the newest first, as `recipients_from` takes it.
    """
    if (reason is None) != lift or reason == "":
        raise click.UsageError("say --reason TEXT, or --lift")
    settings = load_settings(where)
    stop_sending(settings, reason)
    if lift:
        say(f"sending to {settings.target.name} may go on")
        return ExitCode.DONE
    history = read_truth(settings, settings.target.url).history
    say(f"nothing more is sent to {settings.target.name}, until `stop --lift{settings.option}`")
    if history.rows:
        say("what has gone cannot be called back:")
        for line in gone_lines(history):
            say(line)
    return ExitCode.DONE
