"""The command line: options, wiring, exit codes. Nothing here decides anything.

Modules that a command needs are imported inside it, so that `--help` and `--version` stay quick.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from runner import __version__
from runner.errors import ExitCode, RunnerError

_EPILOG = """\b
Exit codes, one for each decision of a CI job:
    0  done, or nothing to do
    1  a bug in message-runner: please report it
    2  usage or surroundings: a flag, the token, the configuration, the manifest, the lock
    3  the messages or the policy say no; nothing was sent
    4  Toloka refused something; nothing is in doubt
    5  an outcome is still unknown: run again, it looks first
   75  stopped by a quota or an outage: run again later
  130, 143  interrupted: run again

\b
Shell completion, for example for bash (zsh and fish alike):
  eval "$(_MESSAGE_RUNNER_COMPLETE=bash_source message-runner)"
"""

_COMMANDS = {
    "validate": "runner.cli.check",
    "plan": "runner.cli.deliver",
    "send": "runner.cli.deliver",
    "preview": "runner.cli.preview",
    "status": "runner.cli.look",
    "replies": "runner.cli.look",
    "resolve": "runner.cli.look",
    "init": "runner.cli.init",
    "schema": "runner.cli.check",
    "emulator": "runner.cli.serve",
}


class _Commands(click.Group):
    """Loads a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            near = [name for name in _COMMANDS if name.startswith(cmd_name[:2])]
            if near and not ctx.resilient_parsing:
                ctx.fail(f"there is no command {cmd_name!r}; did you mean {' or '.join(near)}?")
            return None
        from importlib import import_module

        command: click.Command = getattr(import_module(_COMMANDS[cmd_name]), cmd_name)
        return command


@click.command(
    cls=_Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="message-runner")
def group() -> None:
    """Send messages to Tolokers from reviewed YAML files, never twice.

    Start with `message-runner plan` to see what would be sent, then `message-runner send`. Without
    a --target, everything goes to a Toloka emulator on this machine.
    """


def main() -> NoReturn:
    """Run the command line; the only place where an exception becomes an exit code."""
    try:
        code = group.main(prog_name="message-runner", standalone_mode=False)
    except click.exceptions.Abort:
        _say("stopped", is_error=False)
        code = ExitCode.INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = ExitCode.SURROUNDINGS
    except RunnerError as error:
        _say(_without_token(str(error)))
        code = error.exit_code
    except SystemExit:
        # How click ends when whoever read our output has gone.
        code = ExitCode.SURROUNDINGS
    except Exception:  # noqa: BLE001  (the one door: a bug keeps its traceback, without the token)
        import traceback

        _say(_without_token(traceback.format_exc()), is_error=False)
        _say("this is a bug in message-runner: please report it with the lines above")
        code = ExitCode.BUG
    sys.exit(int(code or 0))


def _say(text: str, *, is_error: bool = True) -> None:
    # A problem with an address says itself that it is one.
    has_address = ": error: " in text.split("\n", 1)[0] or ": warning: " in text.split("\n", 1)[0]
    click.echo(f"error: {text}" if is_error and not has_address else text, err=True)


def _without_token(text: str) -> str:
    """Take every credential of the environment out of a text."""
    for name, value in os.environ.items():
        if name.startswith("TOLOKA_TOKEN") and len(value.strip()) > 3:
            text = text.replace(value.strip(), "***")
    return text
