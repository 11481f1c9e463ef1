"""A small client of the YAML language server, which is what editors run."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

WAIT_S = 60.0
Diagnostics = list[dict[str, Any]]


class Editor:
    """Runs a language server while it is entered; `settings` are the editor's for YAML."""

    def __init__(self, server: Path, root: Path, settings: Mapping[str, object]) -> None:
        self._server = server
        self._root = root
        self._settings = settings
        self._incoming: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._number = 0

    def __enter__(self) -> Editor:
        self._process = subprocess.Popen(
            ["node", str(self._server), "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        folder = {"uri": self._root.as_uri(), "name": "project"}
        able = {
            "workspace": {"configuration": True, "workspaceFolders": True},
            "textDocument": {"publishDiagnostics": {}},
        }
        asked = {
            "processId": None,
            "rootUri": folder["uri"],
            "capabilities": able,
            "workspaceFolders": [folder],
        }
        self._number += 1
        self._write({"id": self._number, "method": "initialize", "params": asked})
        self._until(lambda said: said.get("id") == self._number and "result" in said)
        self._notify("initialized", {})
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait(WAIT_S)
        self._reader.join(WAIT_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def diagnostics(self, path: Path) -> Diagnostics:
        """Open a file and give what the editor would underline in it."""
        uri = path.as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": 1}
        text = path.read_text(encoding="utf-8")
        self._notify("textDocument/didOpen", {"textDocument": {**document, "text": text}})
        said = self._until(
            lambda said: (
                said.get("method") == "textDocument/publishDiagnostics"
                and said["params"]["uri"].lower() == uri.lower()
            )
        )
        found: Diagnostics = said["params"]["diagnostics"]
        self._notify("textDocument/didClose", {"textDocument": {"uri": uri}})
        return found

    def _until(self, is_it: Any) -> dict[str, Any]:
        while True:
            said = self._incoming.get(timeout=WAIT_S)
            if said is None:
                raise EOFError("the language server has ended")
            if "method" in said and "id" in said:
                self._answer(said)
            elif is_it(said):
                return said

    def _answer(self, asked: dict[str, Any]) -> None:
        result: object = None
        if asked["method"] == "workspace/configuration":
            items = asked["params"]["items"]
            result = [self._settings if item["section"] == "yaml" else {} for item in items]
        self._write({"id": asked["id"], "result": result})

    def _notify(self, method: str, params: object) -> None:
        self._write({"method": method, "params": params})

    def _write(self, message: dict[str, object]) -> None:
        assert self._process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while True:
            size = 0
            while line := stream.readline().strip():
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    size = int(value)
            body = stream.read(size)
            if not body or len(body) < size:
                self._incoming.put(None)
                return
            self._incoming.put(json.loads(body))
