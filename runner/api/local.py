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


def make_room(store: Path) -> Path:
    """Make the folder of a store, which has to be one of its own; gives the store."""
    with surroundings(store.parent):
        make_folder(store.parent, store.parent.parent)
    return store


@contextmanager
def open_local(store: Path) -> Iterator[tuple[str, str]]:
    """Run the emulator with this store; gives its URL and its store's id."""
    make_room(store)
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
