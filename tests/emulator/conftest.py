from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from runner.emulator import Emulator

from .client import Client

Serve = Callable[..., Client]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store" / "toloka.sqlite3"


@pytest.fixture
def serve(store: Path) -> Iterator[Serve]:
    """Start emulators on one store; limits on the rate are off unless asked for."""
    with ExitStack() as stack:

        def start(authorization: str = "OAuth token", account: str = "", **options: Any) -> Client:
            emulator = stack.enter_context(Emulator(store, **{"rate_limit": 0, **options}))
            client = Client(emulator.url, authorization, account)
            stack.callback(client.session.close)
            return client

        yield start


@pytest.fixture
def toloka(serve: Serve) -> Client:
    return serve()
