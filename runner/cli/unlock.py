"""`unlock`: a run that is open on the results branch, ended by hand."""

from __future__ import annotations

import sys

import click

from runner.api.manifests import open_shared
from runner.api.origin import new_run
from runner.api.settings import Where
from runner.cli import options
from runner.cli.say import say
from runner.cli.settings import load_settings
from runner.errors import ExitCode
from runner.manifest.turn import Shared, add_word, read_runs
from runner.wording import printable


@click.command()
@click.option("-y", "--yes", is_flag=True, help="Do not ask on a terminal.")
@click.option(
    "--rewritten",
    is_flag=True,
    help="The branch was rewritten, removed, or is new for an account that has sent: that was meant.",
)
@options.where
def unlock(yes: bool, rewritten: bool, where: Where) -> int:
    """End a run that is open on the results branch.

    A run that is silent is taken over by the next `send` after two minutes, without this command.
    It is for one that still gives signs of life and shall not go on: it stops as soon as it sees
    that. What it had begun to send is unknown until the next run has looked.
    """
    settings = load_settings(where)
    shared = open_shared(settings)
    if rewritten:
        return _accept(shared, settings.shown_manifest, yes=yes)
    runs = read_runs(shared)
    if not runs:
        say(f"no run is open on {settings.shown_manifest}")
        return ExitCode.DONE
    for said in runs.values():
        say(printable(said), err=True)
    _ask("End it?", yes=yes)
    add_word(shared, new_run(command="unlock"), unlocks=list(runs))
    say(f"ended: {', '.join(runs)}; what it had begun is unknown until the next send looks")
    return ExitCode.DONE


def _accept(shared: Shared, shown: str, *, yes: bool) -> int:
    _ask(
        f"Take {shown} as it is now for the truth? Who is missing there is written to again.",
        yes=yes,
    )
    shared.ref.accept()
    # Also where there is a branch: nobody may have sent there yet.
    add_word(shared, new_run(command="unlock"))
    say(f"{shown} is taken as it is now")
    return ExitCode.DONE


def _ask(question: str, *, yes: bool) -> None:
    """Ask a person; a script has to say `--yes`."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("without a terminal, `unlock` takes --yes")
    click.confirm(question, abort=True, err=True)
