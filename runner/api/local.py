"""The emulator on this machine, for as long as something is sent to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Error

from runner.emulator import Emulator
from runner.errors import SurroundingsError
from runner.files import make_folder, surroundings
from runner.wording import why

_STORE = "local.sqlite"


def store_in(state: Path) -> Path:
    """The store in the folder of this project's state, which has to be a folder of its own."""
    with surroundings(state):
        make_folder(state, state.parent)
    return state / _STORE


@contextmanager
def open_local(state: Path) -> Iterator[tuple[str, str]]:
    """Run the emulator whose store is in this folder; gives its URL and its store's id."""
    store = store_in(state)
    server = Emulator(store)
    try:
        server.start()
    except (OSError, Error) as error:
        said = why(error, store) if isinstance(error, OSError) else str(error)
        raise SurroundingsError(f"the local emulator cannot start: {said}") from error
    try:
        yield server.url, server.store_id
    finally:
        server.stop()
