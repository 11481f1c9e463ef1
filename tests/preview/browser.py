"""A headless Chromium, spoken to in its DevTools protocol over a pipe: no port, no driver."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

_NAMES = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe"),
)
_ANSWER_S = 60
_APT_S = 250


class NoBrowserError(Exception):
    """There is no Chromium here, and none can be installed."""


def find_chromium(lock: Path) -> str:
    """Find Chromium; as root on Debian, install it, once for all test processes.

    Raises `NoBrowserError`.
    """
    with FileLock(lock):
        found = _found()
        if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
            _install()
            found = _found()
    if found is None:
        raise NoBrowserError("there is no Chromium, and only root can install it, with apt-get")
    return found


def _found() -> str | None:
    return next(filter(None, map(shutil.which, _NAMES)), None)


def _install() -> None:
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
        done = subprocess.run(
            ["apt-get", "-q", *arguments],
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_APT_S,
            check=False,
        )
        if done.returncode:
            raise NoBrowserError(f"apt-get {arguments[0]} failed: {done.stderr.strip()[-300:]}")


class Chromium:
    """A running browser; `close` ends it."""

    def __init__(self, command: str, profile: Path) -> None:
        # Chromium reads commands on descriptor 3 and writes on 4.
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (theirs_in, theirs_out)]
        self._process = os.posix_spawnp(
            command,
            [command, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, ends[0], 3),
                (os.POSIX_SPAWN_DUP2, ends[1], 4),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setpgroup=0,
        )
        for end in (theirs_in, theirs_out, *ends):
            os.close(end)
        self._unread = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def close(self) -> None:
        """End the browser, and every process that it started."""
        with suppress(OSError, EOFError, TimeoutError):
            self.call("Browser.close")
        os.close(self._out)
        os.close(self._in)
        with suppress(ProcessLookupError):
            os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)

    def open(self) -> Page:
        """Open an empty page."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        page = Page(self, attached["sessionId"])
        for domain in ("Page", "Network", "Runtime", "Log"):
            page.call(f"{domain}.enable")
        return page

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Make one call and wait for its answer; events that come meanwhile are kept."""
        self._number += 1
        request: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if session is not None:
            request["sessionId"] = session
        os.write(self._out, json.dumps(request).encode() + b"\0")
        for message in self._messages():
            if message.get("id") == self._number:
                assert "error" not in message, f"{method}: {message['error']}"
                result: dict[str, Any] = message["result"]
                return result
        raise EOFError(f"{method}: no answer")

    def wait(self, method: str, session: str) -> None:
        """Wait for an event."""
        stream = self._messages()
        while not self.happened(method, session):
            next(stream)

    def happened(self, method: str, session: str) -> list[dict[str, Any]]:
        """The events of this kind in a page."""
        return [
            event["params"]
            for event in self.events
            if event["method"] == method and event.get("sessionId") == session
        ]

    def _messages(self) -> Iterator[dict[str, Any]]:
        end = time.monotonic() + _ANSWER_S
        while True:
            whole, nul, rest = self._unread.partition(b"\0")
            if nul:
                self._unread = rest
                message: dict[str, Any] = json.loads(whole)
                if "method" in message:
                    self.events.append(message)
                yield message
                continue
            if not select.select([self._in], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            part = os.read(self._in, 1 << 20)
            if not part:
                raise EOFError("the browser has gone")
            self._unread += part


@dataclass(slots=True)
class Page:
    """One page of the browser."""

    browser: Chromium
    session: str

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self.browser.call(method, self.session, **params)

    def show(
        self, file: Path, *, width: int = 1000, scheme: str = "light", media: str = "screen"
    ) -> None:
        """Open a file, in a window so wide, and wait until everything is loaded."""
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)
        self.browser.events.clear()
        self.call("Page.navigate", url=file.as_uri())
        self.browser.wait("Page.loadEventFired", self.session)

    def ask(self, expression: str) -> Any:
        """Compute an expression in the page; of a promise, what it comes to."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def events(self, method: str) -> list[dict[str, Any]]:
        """What happened in the page since it was shown."""
        self.ask("0")
        return self.browser.happened(method, self.session)

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key and let it go."""
        keys = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **keys)
        self.call("Input.dispatchKeyEvent", type="keyUp", **keys)

    def printed(self) -> bytes:
        """The page as a PDF."""
        return base64.b64decode(self.call("Page.printToPDF")["data"])
