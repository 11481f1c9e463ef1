"""A server whose clock is not ours: a proxy in front of an emulator that shifts every time."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

_NOT_PASSED_ON = ("connection", "content-length", "date", "server", "transfer-encoding")


def _moved(text: str, by: timedelta) -> str:
    return (datetime.fromisoformat(text) + by).isoformat(timespec="milliseconds")


def _shifted(value: Any, by: timedelta) -> Any:
    """Shift every `created`, however deep."""
    if isinstance(value, list):
        return [_shifted(each, by) for each in value]
    if isinstance(value, dict):
        return {
            key: _moved(each, by) if key == "created" else _shifted(each, by)
            for key, each in value.items()
        }
    return value


@contextmanager
def shifted_clock(url: str, ahead: timedelta) -> Iterator[str]:
    """Serve what `url` serves, by a clock that is so far ahead; gives the proxy's URL."""
    upstream = urlsplit(url)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            pairs = [
                (name, _moved(value, -ahead) if name.startswith("created_") else value)
                for name, value in parse_qsl(query)
            ]
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
            passed = {name: value for name, value in self.headers.items() if name != "Host"}
            connection = http.client.HTTPConnection(str(upstream.hostname), upstream.port)
            try:
                connection.request(self.command, f"{path}?{urlencode(pairs)}", body, passed)
                answer = connection.getresponse()
                content = answer.read()
            finally:
                connection.close()
            said = _shifted(json.loads(content), ahead)
            self._answer(answer, json.dumps(said).encode())

        do_POST = do_GET

        def _answer(self, answer: http.client.HTTPResponse, content: bytes) -> None:
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _NOT_PASSED_ON:
                    self.send_header(name, value)
            date = parsedate_to_datetime(str(answer.getheader("Date"))) + ahead
            self.send_header("Date", format_datetime(date, usegmt=True))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_args: object) -> None:
            """Stay quiet: the test says what went wrong."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
