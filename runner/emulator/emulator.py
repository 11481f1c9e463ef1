"""The emulator as an object: a store, a server on loopback, and a thread that serves."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType

from runner.emulator.api import account_of
from runner.emulator.behaviour import Behaviour
from runner.emulator.control import is_loopback
from runner.emulator.faults import Fault
from runner.emulator.service import Service
from runner.emulator.store import Store
from runner.emulator.wire import Server

# Ctrl-C does not interrupt an endless wait on every system.
_TICK_S = 0.2
_POLL_S = 0.05


class Emulator:
    """A local Toloka; a context manager that serves while it is entered.

    `store` is the SQLite file that holds the threads; it is made if it is not there, and several
    emulators may use it at once. `faults`, counts and the other options, which `Behaviour`
    explains, belong to the running emulator. Raises `ValueError` for an option that cannot be,
    such as a host that is not loopback.
    """

    def __init__(
        self,
        store: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Sequence[Fault] = (),
        latency_ms: float = 0,
        rate_limit: int = 300,
        daily_limit: int = 100_000,
        daily_all_limit: int = 1,
        clock_skew_ms: int | tuple[int, ...] = 0,
        date: bool = True,
        date_skew_ms: int = 0,
        list_lag_ms: float | tuple[float, float] = 0,
        list_replicas: int = 1,
        list_forgets: int = 0,
        echo: str = "exact",
        refuse: Collection[str] = (),
    ) -> None:
        if not is_loopback(host):
            raise ValueError(f"The emulator serves this machine only; {host!r} is not loopback.")
        self._path = Path(store)
        self._host = "127.0.0.1" if host.lower() == "localhost" else host
        self._port = port
        self._faults = tuple(faults)
        self._behaviour = Behaviour(
            latency_ms=latency_ms,
            rate_limit=rate_limit,
            daily_limit=daily_limit,
            daily_all_limit=daily_all_limit,
            clock_skew_ms=clock_skew_ms,
            date=date,
            date_skew_ms=date_skew_ms,
            list_lag_ms=list_lag_ms,
            list_replicas=list_replicas,
            list_forgets=list_forgets,
            echo=echo,
            refuse=refuse,
        )
        self._lock = threading.Lock()
        self._store_id: str | None = None
        self._running: tuple[Store, Server] | None = None
        self._stopped = threading.Event()

    def __enter__(self) -> Emulator:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it serves, as in `http://127.0.0.1:8080`; known once it is started."""
        running = self._running
        if running is None:
            raise RuntimeError("The emulator has no address before it is started.")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{running[1].port}"

    @property
    def store_id(self) -> str:
        """The random id that the store was given when it was made."""
        if self._store_id is None:
            with closing(Store(self._path)) as store:
                self._store_id = store.store_id
        return self._store_id

    @property
    def account(self) -> str:
        """The id of the requester that the store belongs to: the `myself` of its threads."""
        return account_of(self.store_id)

    def start(self) -> None:
        """Open the store and the port, and serve on a daemon thread.

        Raises `OSError` if the port is taken and `sqlite3.Error` if the store is no store.
        """
        with self._lock:
            if self._running is not None:
                raise RuntimeError("The emulator is started already.")
            store = Store(self._path)
            try:
                service = Service(store, self._behaviour, self._faults)
                server = Server(self._host, self._port, service)
            except BaseException:
                store.close()
                raise
            self._store_id = store.store_id
            self._stopped.clear()
            self._running = (store, server)
            threading.Thread(
                target=server.serve_forever, args=(_POLL_S,), name="toloka-emulator", daemon=True
            ).start()

    def stop(self) -> None:
        """End every connection, close the port and the store; harmless if it is not started."""
        with self._lock:
            running, self._running = self._running, None
            if running is not None:
                store, server = running
                server.stop()
                server.service.stop()
                store.close()
            self._stopped.set()

    def serve_forever(self) -> None:
        """Serve until `stop` is called or Ctrl-C comes; starts it unless it is started.

        A signal handler that is to end it should raise (`SystemExit`), not call `stop`.
        """
        if self._running is None:
            self.start()
        try:
            while not self._stopped.wait(_TICK_S):
                pass
        except KeyboardInterrupt:
            pass
        finally:
            self.stop()
