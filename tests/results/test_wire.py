"""What a sender that dies leaves on the wire: nothing arrives late."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import pytest
from support import TIMEOUT_S, TOKEN

_SENDER = """
import sys
from runner.toloka.client import Client
client = Client(sys.argv[1], sys.argv[2], timeout_s=60.0)
client._post("/message-threads/compose", {"text": "x" * 30_000_000})
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_what_the_system_holds_of_a_dead_sender_never_arrives() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        process = subprocess.Popen([sys.executable, "-c", _SENDER, url, TOKEN])
        server.settimeout(TIMEOUT_S)
        taken, _ = server.accept()
        with taken:
            # Nobody reads: what was written fills what the system has room for.
            time.sleep(1.0)
            process.kill()
            process.wait(timeout=TIMEOUT_S)
            taken.settimeout(5)
            with pytest.raises(ConnectionResetError):
                _drain(taken)


def _drain(taken: socket.socket) -> None:
    while taken.recv(1024 * 1024):
        pass
