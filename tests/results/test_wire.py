"""What a sender that dies leaves on the wire: nothing arrives late."""

from __future__ import annotations

import shutil
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
client.add_to_folders("63c15866757a4a1adad1d632", ["x" * 30_000_000])
"""


def read_all(taken: socket.socket) -> None:
    while taken.recv(1024 * 1024):
        pass


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
                read_all(taken)


# Run in a network namespace of its own; the sender gets a second one, and a cable between the two.
_CUT = """
import array, fcntl, socket, subprocess, sys, termios, time
HERE, THERE = "10.213.0.1", "10.213.0.2"
def ip(*args, of=()):
    subprocess.run([*of, "ip", *args], check=True)
pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
# Without it, the cable would go with the sender.
holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo here; exec cat"], **pipes)
holder.stdout.readline()
other = ("nsenter", "--target", str(holder.pid), "--net")
process = subprocess.Popen([*other, sys.executable, "-c", sys.argv[1], "", sys.argv[2]], **pipes)
process.stdout.readline()
ip("link", "add", "here", "type", "veth", "peer", "name", "there", "netns", str(holder.pid))
ip("address", "add", HERE + "/24", "dev", "here")
ip("link", "set", "here", "up")
ip("address", "add", THERE + "/24", "dev", "there", of=other)
ip("link", "set", "there", "up", of=other)
with socket.create_server((HERE, 0)) as server:
    server.settimeout(30)
    process.stdin.write(f"http://{HERE}:{server.getsockname()[1]}\\n")
    process.stdin.flush()
    taken, _ = server.accept()
    time.sleep(1)
    ip("link", "set", "here", "down")
    held = array.array("i", [0])
    fcntl.ioctl(taken, termios.FIONREAD, held)
    process.kill()
    process.wait()
    ip("link", "set", "here", "up")
    # What a system sends again comes after some seconds at most, and reading makes room for it.
    taken.settimeout(5)
    count = 0
    try:
        while got := taken.recv(1024 * 1024):
            count += len(got)
    except (TimeoutError, ConnectionResetError):
        pass
    print(held[0], count)
"""


def why_no_namespaces() -> str:
    if missing := [name for name in ("unshare", "nsenter", "ip") if shutil.which(name) is None]:
        return f"there is no {' and no '.join(missing)}"
    tried = subprocess.run(["unshare", "-rn", "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip()


def test_a_path_that_comes_back_after_the_sender_died_brings_nothing_late() -> None:
    if why := why_no_namespaces():
        pytest.skip(f"network namespaces cannot be had: {why}")
    sender = f"print('here', flush=True)\nurl = input()\n{_SENDER.replace('sys.argv[1]', 'url')}"
    done = subprocess.run(
        ["unshare", "-rn", sys.executable, "-c", _CUT, sender, TOKEN],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    held, count = map(int, done.stdout.split())
    assert 0 < count == held < 30_000_000
