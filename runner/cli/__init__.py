"""The command line: options, wiring, exit codes. Nothing here decides anything.

The module of a command is loaded when the command is asked for: `--help` and `--version` stay quick.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from io import StringIO, TextIOWrapper
from keyword import iskeyword
from typing import NoReturn, TextIO, cast

import click

from runner import __version__
from runner.cli.ending import end_on_sigterm
from runner.cli.say import say
from runner.errors import ExitCode, RunnerError, SurroundingsError
from runner.masking import Mask, forget, masked
from runner.wording import nearest

_MADE_BETWEEN_LOOKS = 50_000
_EPILOG = """\b
Exit codes, one for each decision of a CI job:
    0  done, or nothing to do
    1  a bug in message-runner: please report it
    2  usage or surroundings: a flag, the token, the configuration, the manifest, the lock
    3  the messages or the policy say no; nothing was sent
    4  Toloka refused something; nothing is in doubt
    5  an outcome is still unknown: run again, it looks first
    6  what was asked for is there (replies --unanswered)
   75  stopped by a quota or an outage: run again later
  130, 143  interrupted: run again

\b
Environment:
  TOLOKA_TOKEN, TOLOKA_TOKEN_FILE  the token of a remote target, or a file that holds it;
                                   TOLOKA_TOKEN_<NAME> for a target of runner.yaml
  TOLOKA_TARGET                    what --target says
  TOLOKA_ACT_UNDER_ACCOUNT_ID      the shared account that is acted under
  CI                               send wants a target named
  NO_COLOR                         no colours

\b
Files:
  runner.yaml              targets, defaults, variables, policy; optional
  messages/                the messages; what begins with _ or . is passed over
  results/<host>.jsonl     the manifest: what was sent, where it is not on a branch
  .message-runner/         the emulator's own store

\b
Examples:
  message-runner plan
  message-runner send messages/thank-you.yaml
  message-runner send --target production --limit 10
  message-runner status --toloker 1ad097faba0eff85a04fe30bc04d53db

\b
Shell completion, for example for bash (zsh and fish alike):
  eval "$(_MESSAGE_RUNNER_COMPLETE=bash_source message-runner)"
"""

# Each is a module of its own. What `--help` says of it stands here, so that the list loads none.
_COMMANDS = {
    "validate": "Check messages: schema, templates, the request that they make, and house rules.",
    "plan": "Show what `send` would do, given the manifest: the dry run.",
    "send": "Send what is due, and record the thread ids in the manifest.",
    "preview": "Write every message, as Tolokers would see it, to one HTML page.",
    "status": "Show what the manifest knows: who got what, and what is in doubt.",
    "replies": "Show what Tolokers answered to what we sent.",
    "resolve": "Settle what is unknown or in doubt by hand.",
    "unlock": "End a run that is open on the results branch.",
    "stop": "Stop all sending to a target, from whatever machine, until it is lifted.",
    "import": "Take over an account used by hand: its contents as drafts, its people as reached.",
    "init": "Write a working set-up: configuration, first message, CI workflow.",
    "schema": "Print a JSON Schema: message (the default), config, manifest or results.",
    "emulator": "Serve a local Toloka for rehearsals, on this machine only; prints its URL.",
}


# What writing into a stream can end with.
_OF_STREAMS = {
    errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EPIPE,
}  # fmt: skip


class _Commands(click.Group):
    """Loads a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            near = nearest(cmd_name, _COMMANDS)
            if near and not ctx.resilient_parsing:
                ctx.fail(f"there is no command {cmd_name!r}; did you mean {near}?")
            return None
        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(import_module(f"runner.cli.{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  (likewise)
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


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
    forget()
    end_on_sigterm()
    # What a command makes it keeps, or it ends soon: cycles are looked for less often.
    gc.set_threshold(_MADE_BETWEEN_LOOKS)
    try:
        _settle_in()
        code = group.main(prog_name="message-runner", standalone_mode=False)
    except click.exceptions.Abort:
        _say("stopped", is_error=False)
        code = ExitCode.INTERRUPTED
    except click.ClickException as error:
        _show(error)
        code = ExitCode.SURROUNDINGS
    except RunnerError as error:
        _say(_without_token(str(error)))
        code = error.exit_code
    except SystemExit as ended:
        # How click ends when a shell was completed, or whoever read our output has gone.
        code = ExitCode.SURROUNDINGS if ended.code else ExitCode.DONE
    except Exception as error:  # noqa: BLE001  (the one door)
        code = _report(error)
    if _drop_broken_streams() and not code:
        code = ExitCode.SURROUNDINGS
    sys.exit(int(code or 0))


def _settle_in() -> None:
    """Raise `SurroundingsError` where nobody would be told anything, or the folder is gone."""
    is_closed = cast("TextIO | None", sys.stdout) is None
    # A file that is opened later would take a closed one's number, and what is said into it.
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    if is_closed:
        raise SurroundingsError(
            "the standard output is closed, and nobody would see what happens: "
            "send it to a file, or to /dev/null"
        )
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and not stream.isatty():
            # Windows gives a pipe an encoding that lacks most letters of most languages, and makes
            # two line ends of that of a row of CSV.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    try:
        os.getcwd()  # noqa: PTH109  (only whether there is one)
    except OSError as error:
        raise SurroundingsError("the current folder was removed: go to another one") from error


def _drop_broken_streams() -> bool:
    """Turn away streams that take nothing, or Python's end would fail; tells if results were lost.

    What goes to the standard error is not missed: a terminal may be closed during a run.
    """
    is_broken = False
    for stream in cast("list[TextIO | None]", [sys.stdout, sys.stderr]):
        if stream is None:
            continue
        try:
            stream.flush()
        except OSError:
            is_broken = is_broken or stream is sys.stdout
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
    return is_broken


def _report(error: Exception) -> ExitCode:
    """Tell of what nobody foresaw: a bug keeps its traceback, without the token."""
    if isinstance(error, OSError) and error.filename is None and error.errno in _OF_STREAMS:
        # What goes wrong with a file has its name; a stream of ours has none.
        _say(f"the output cannot be written: {error.strerror}")
        return ExitCode.SURROUNDINGS
    _say(_without_token(traceback.format_exc()), is_error=False)
    _say("this is a bug in message-runner: please report it with the lines above")
    return ExitCode.BUG


def _show(error: click.ClickException) -> None:
    # It may quote the command line, and a token may stand there by mistake.
    said = StringIO()
    error.show(said)
    say(_without_token(said.getvalue()), err=True, nl=False)


def _say(text: str, *, is_error: bool = True) -> None:
    # A problem with an address says itself that it is one.
    has_address = ": error: " in text.split("\n", 1)[0] or ": warning: " in text.split("\n", 1)[0]
    with suppress(OSError):
        say(f"error: {text}" if is_error and not has_address else text, err=True)


def _without_token(text: str) -> str:
    """Take every credential of the environment, and those that were read, out of a text."""
    for name, value in os.environ.items():
        if name.startswith(("TOLOKA_TOKEN", "RESULTS_TOKEN")) and not name.endswith("_FILE"):
            text = Mask(value.strip())(text)
    return masked(text)
