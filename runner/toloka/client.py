"""The wire: payload, credentials, and one call, tried once."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from runner import __version__, clock
from runner.errors import SurroundingsError
from runner.masking import Mask, Secret
from runner.model import (
    Delivery,
    Direct,
    Filtered,
    InThread,
    Message,
    NotConnected,
    Outcome,
    Recipients,
    Sent,
    Thread,
    Unknown,
)
from runner.toloka.bounded import SOCKET_OPTIONS, Door, Permit, bounded
from runner.toloka.failures import FAILURES, TOO_LONG, failure_of, no_bundle, no_proxy
from runner.toloka.listing import LIST_TIMEOUT_S, Answer, PassingError, ThreadList, TooLongError
from runner.toloka.pace import Pace
from runner.toloka.responses import classify

CONNECT_TIMEOUT_S = 10.0
_MAX_THREAD_BYTES = 1024 * 1024
_ECHO = 3
"""By how much an answer's JSON may be longer than ours where it escapes what is not ASCII."""
_CHUNK = 64 * 1024
_API_KEY = re.compile(r"[^.]{22,24}\.[^.]*\.[^.]*")
_PREPARED = 64
_RATE = 285.0
"""Calls a second where nobody says otherwise: Toloka takes 300."""


def payload_of(message: Message, recipients: Recipients) -> dict[str, object]:
    """Build the compose form: Toloka's field names, and no field that it does not know."""
    payload: dict[str, object] = {
        "recipients_select_type": recipients.select_type,
        "topic": dict(message.topic),
        "text": dict(message.text),
        "answerable": message.answerable,
    }
    if isinstance(recipients, Direct):
        payload["recipients_ids"] = list(recipients.ids)
    if isinstance(recipients, Filtered):
        payload["recipients_filter"] = recipients.tree
    return payload


def _with_reply(answer: Sent) -> Sent:
    """Say when the reply inside a thread was made: it is our newest message there."""
    ours = [post.created for post in answer.thread.posts if post.is_ours]
    return Sent(answer.thread, reply_created=ours[-1] if ours else "")


class Client:
    """Calls Toloka, by connections of each thread's own, without retrying anything.

    `pace` is called right before each request leaves. No redirect is followed, `.netrc` is not
    read, and the token is in no `repr`. `permit` is looked at right before a POST's first byte. An
    answer takes twice `timeout_s` at most, whatever the server does. Raises `SurroundingsError`
    for a proxy or certificates of the environment that cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        timeout_s: float,
        account_id: str | None = None,
        pace: Pace | None = None,
        permit: Permit | None = None,
        list_timeout_s: float = LIST_TIMEOUT_S,
    ) -> None:
        self._api = f"{base_url}/api/v1"
        self._mask = Mask(token)
        self._timeout_s = timeout_s
        self._pace = pace or Pace(_RATE)
        self._permit = permit
        self._door = Door(self._pace.is_open, permit)
        listed = ThreadList(
            get=self._get, pace=self._pace, mask=self._mask, timeout_s=list_timeout_s
        )
        self.threads: Callable[[Mapping[str, str]], Iterator[Thread]] = listed.threads
        """Lists threads by id, page after page; raises `ListError` when one cannot be had."""
        self.newest: Callable[[], Sequence[Thread]] = listed.newest
        """Lists the newest page of threads, by id; raises `ListError`."""
        self._reading = threading.Lock()
        self._adapters: list[_Adapter] = []
        # Two schemes, told apart by the token's shape as toloka-kit does.
        scheme = "ApiKey" if _API_KEY.fullmatch(token) else "OAuth"
        account = {"X-Act-Under-Account-ID": account_id} if account_id else {}
        self._headers = {
            "Authorization": Secret(f"{scheme} {token}"),
            "User-Agent": f"message-runner/{__version__}",
            "Accept": "application/json",
            # What is not compressed cannot be a bomb.
            "Accept-Encoding": "identity",
            **account,
        }
        # Of messages to one address, all but the words is equal.
        self._prepared = lru_cache(_PREPARED)(self._prepare)
        self._local = _PerThread(self._adapters, self._door)
        self.server_ahead_s = 0.0
        """How far the server's clock is ahead of ours, by the last answer's `Date`."""
        # Proxies and certificates from the environment: asked once, not for each call.
        with requests.Session() as session:
            self._surroundings: Mapping[str, Any] = session.merge_environment_settings(
                self._api, {}, stream=True, verify=None, cert=None
            )
        if base_url.startswith("http:"):
            # Plain http is for this machine only, and a proxy is another one.
            self._surroundings = {**self._surroundings, "proxies": {}}
        else:
            self._check_surroundings()

    def _check_surroundings(self) -> None:
        """Refuse what no request could leave with, rather than to find out with the first one."""
        verify = self._surroundings["verify"]
        if isinstance(verify, str):
            try:
                key = "capath" if Path(verify).is_dir() else "cafile"
                # Nobody waits at a pipe, and what it holds is there but once.
                if Path(verify).is_fifo():
                    raise ValueError
                ssl.create_default_context().load_verify_locations(**{key: verify})
            except (OSError, ValueError):
                raise SurroundingsError(no_bundle(verify)) from None
        request = requests.Request("GET", self._api).prepare()
        try:
            _Adapter(self._door).get_connection_with_tls_context(
                request, True, self._surroundings["proxies"]
            )
        except FAILURES:
            host = urlsplit(self._api).hostname or ""
            raise SurroundingsError(no_proxy(host)) from None

    def deliver(self, delivery: Delivery) -> Outcome:
        """Try once to make a thread or to reply in one.

        Never raises for a failure of the network or the server.
        """
        message, recipients = delivery.message, delivery.recipients
        if isinstance(recipients, InThread):
            path = f"/message-threads/{quote(recipients.thread_id, safe='')}/reply"
            answer = self._post(path, {"text": dict(message.text)})
            return _with_reply(answer) if isinstance(answer, Sent) else answer
        return self._post("/message-threads/compose", payload_of(message, recipients))

    def add_to_folders(self, thread_id: str, folders: Sequence[str]) -> Outcome:
        """Put a thread into folders; repeating is safe."""
        path = f"/message-threads/{quote(thread_id, safe='')}/add-to-folders"
        return self._post(path, {"folders": list(folders)})

    def _post(self, path: str, payload: Mapping[str, object]) -> Outcome:
        body = json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()
        if self._permit is not None:
            self._permit.wait()
        answer: Outcome
        try:
            reply, content = self._call(
                "POST", path, body=body, max_bytes=_MAX_THREAD_BYTES + _ECHO * len(body)
            )
            # One by one: what is read out of many big answers takes much memory at once.
            with self._reading:
                answer = classify(reply.status_code, content, reply.headers, self._mask)
        except FAILURES as error:
            failure = failure_of(error, self._api)
            answer = Unknown(failure.said)
            if not self._door.has_left:
                answer = NotConnected(failure.said, failure.lasts)
        if isinstance(answer, Unknown):
            # What may be left of such an answer shall not be read as the next one.
            self._local.adapter.close()
        return answer

    def close(self) -> None:
        """Close every connection. Repeating is safe."""
        for adapter in self._adapters:
            adapter.close()

    def _get(self, query: Mapping[str, str], max_bytes: int) -> Answer:
        raised: Exception
        try:
            reply, content = self._call("GET", "/message-threads", query=query, max_bytes=max_bytes)
            return Answer(reply.status_code, content, reply.headers)
        except FAILURES as error:
            failure = failure_of(error, self._api)
            if failure.said == TOO_LONG:
                raised = TooLongError(failure.said)
            else:
                raised = (SurroundingsError if failure.lasts else PassingError)(failure.said)
        # Raised here, it does not carry the frames that hold the request.
        raise raised

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        query: Mapping[str, str] | None = None,
        max_bytes: int,
    ) -> tuple[requests.Response, bytes]:
        prepared = self._prepared(method, path).copy()
        if query:
            prepared.prepare_url(prepared.url, query)
        if body is not None:
            prepared.prepare_body(body, None)
            prepared.headers["Content-Type"] = "application/json"
        self._door.has_left = False
        # Everything that takes time is done: the call leaves right after its turn comes.
        self._pace()
        # Not by a session: it would follow redirects, and keep cookies.
        reply = self._local.adapter.send(
            prepared,
            timeout=(min(CONNECT_TIMEOUT_S, self._timeout_s), self._timeout_s),
            **self._surroundings,
        )
        with reply:
            self._note_clock(reply.headers.get("Date"))
            content = bytearray()
            # As it came, never unpacked: what is not unpacked cannot be a bomb.
            while chunk := reply.raw.read(_CHUNK, decode_content=False):
                content += chunk
                if len(content) > max_bytes:
                    raise requests.exceptions.ContentDecodingError
            return reply, bytes(content)

    def _prepare(self, method: str, path: str) -> requests.PreparedRequest:
        """A request without its body."""
        return requests.Request(method, self._api + path, headers=self._headers).prepare()

    def _note_clock(self, date: str | None) -> None:
        if date:
            try:
                theirs = parsedate_to_datetime(date)
                if theirs.year in clock.YEARS:
                    self.server_ahead_s = (theirs - clock.now()).total_seconds()
            except (ValueError, TypeError, OverflowError):
                return


class _Adapter(requests.adapters.HTTPAdapter):
    """Makes connections whose answers end, and which send only what may be sent."""

    def __init__(self, door: Door) -> None:
        super().__init__()
        self._door = door

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = bounded(pool.ConnectionCls, self._door)
        pool.conn_kw["socket_options"] = SOCKET_OPTIONS
        return pool


class _PerThread(threading.local):
    """The connections of each thread, made when the thread first asks for one."""

    def __init__(self, opened: list[_Adapter], door: Door) -> None:
        self.adapter = _Adapter(door)
        opened.append(self.adapter)
