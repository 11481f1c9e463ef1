"""A local Toloka message-threads server, for rehearsals and for tests.

It serves the five calls of the API under `/api/v1`, with Toloka's validation, errors, paging,
limits and reply threads, on loopback only and with its state in one SQLite file. It can be told
to fail in every way that matters (`runner.emulator.faults`), and has control calls of its own
under `/emulator` (`runner.emulator.control`), by which a Toloker's answer is put in and what
happened is read out. It shares nothing with the rest of the package, so that neither hides the
other's mistakes.
"""

from runner.emulator.emulator import Emulator
from runner.emulator.faults import FAULT_KINDS, Fault, parse_fault
from runner.emulator.threads import ECHO_MODES

__all__ = ["ECHO_MODES", "FAULT_KINDS", "Emulator", "Fault", "parse_fault"]
