"""A local Toloka message-threads server, for rehearsals and for tests.

It serves the five calls of the API under `/api/v1`, with Toloka's validation, errors, paging,
limits and reply threads, on loopback only and with its state in one SQLite file. It can be told
to fail in every way that matters (`runner.emulator.faults`), to have the clocks, the list and the
echoes of a platform that is not ideal (`runner.emulator.behaviour`), and has control calls of its own
under `/emulator` (`runner.emulator.control`), by which a Toloker's answer is put in and what
happened is read out. It shares nothing with the rest of the package, so that neither hides the
other's mistakes.
"""

from runner.emulator.behaviour import Behaviour, parse_lag, parse_skews
from runner.emulator.echo import ECHO_MODES
from runner.emulator.emulator import Emulator
from runner.emulator.faults import FAULT_KINDS, Fault, parse_fault

__all__ = [
    "ECHO_MODES",
    "FAULT_KINDS",
    "Behaviour",
    "Emulator",
    "Fault",
    "parse_fault",
    "parse_lag",
    "parse_skews",
]
