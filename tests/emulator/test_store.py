from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import requests

from runner.emulator import Emulator

from .client import Client, to_all
from .conftest import Serve

SERVE = """
import sys
from pathlib import Path
from runner.emulator import Emulator
emulator = Emulator(Path(sys.argv[1]), rate_limit=0)
emulator.start()
sys.stdout.write(emulator.url + "\\n")
sys.stdout.flush()
emulator.serve_forever()
"""


@contextmanager
def another_process(store: Path) -> Iterator[tuple[Client, subprocess.Popen[str]]]:
    command = [sys.executable, "-c", SERVE, str(store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        client = Client(process.stdout.readline().strip())
        try:
            yield client, process
        finally:
            client.session.close()
            process.kill()


def test_what_was_answered_survives_a_kill(store: Path, serve: Serve) -> None:
    made: list[object] = []
    with another_process(store) as (client, process):

        def compose() -> None:
            try:
                while True:
                    made.append(client.composed())
            except requests.ConnectionError:
                pass

        thread = threading.Thread(target=compose)
        thread.start()
        while len(made) < 50:
            assert thread.is_alive()
        process.kill()
        thread.join(10)
    kept = serve().control("threads")
    # The last one may have been made without an answer.
    assert kept[: len(made)] == made
    assert len(kept) - len(made) in (0, 1)


def test_two_processes_share_a_store(store: Path, serve: Serve) -> None:
    here = serve()
    with another_process(store) as (there, _):
        assert here.control("stats")["store_id"] == there.control("stats")["store_id"]
        made: list[str] = []
        workers = [
            threading.Thread(
                target=lambda client=client: made.extend(
                    client.composed()["id"] for _ in range(100)
                )
            )
            for client in (here, there)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        assert len(set(made)) == 200
        for client in (here, there):
            threads = client.control("threads")
            assert {thread["id"] for thread in threads} == set(made)
            created = [thread["created"] for thread in threads]
            assert created == sorted(created)
        here.composed(to_all())
        assert there.compose(to_all()).status_code == 429


def test_emulators_may_make_a_store_at_the_same_time(store: Path) -> None:
    emulators = [Emulator(store) for _ in range(8)]
    threads = [threading.Thread(target=emulator.start) for emulator in emulators]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len({emulator.store_id for emulator in emulators}) == 1
    for emulator in emulators:
        emulator.stop()


def test_ids_grow_even_if_the_clock_went_back(serve: Serve, store: Path) -> None:
    toloka = serve()
    toloka.composed()
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("UPDATE threads SET id = ? || substr(id, 9, 10) || ?", ["f" * 8, "000009"])
        (changed,) = db.execute("SELECT id FROM threads").fetchone()
    assert toloka.composed()["id"] == changed[:-1] + "a"


def test_file_that_is_no_store_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Tolokers, " * 100)
    with pytest.raises(sqlite3.DatabaseError):
        Emulator(path).start()
    assert path.read_text().startswith("Dear")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_ends_serving_quietly(store: Path) -> None:
    with another_process(store) as (client, process):
        client.composed()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
