"""The wire: payload, credentials, and one call, tried once."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any, cast
from urllib.parse import quote

import requests
import urllib3.exceptions

from runner import __version__, clock
from runner.errors import ListError
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
from runner.toloka.bounded import SOCKET_OPTIONS, Permit, bounded
from runner.toloka.listing import LIST_TIMEOUT_S, PassingError, ThreadList, TooLongError
from runner.toloka.responses import (
    YEARS,
    classify,
    plain,
)

CONNECT_TIMEOUT_S = 10.0
_MAX_THREAD_BYTES = 1024 * 1024
_ECHO = 3
"""By how much an answer's JSON may be longer than ours where it escapes what is not ASCII."""
_CHUNK = 64 * 1024
_API_KEY = re.compile(r"[^.]{22,24}\.[^.]*\.[^.]*")
_NEVER_LEFT = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.LocationParseError,
    ssl.SSLCertVerificationError,
)
_LATE = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
# The last two are what the standard library says of some broken answers.
_FAILURES = (
    *(requests.RequestException, urllib3.exceptions.HTTPError, OSError),
    *(http.client.HTTPException, ValueError),
)


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
    """Calls Toloka, one session a thread, without retrying anything.

    `pace` is called right before each request leaves. No redirect is followed, `.netrc` is not
    read, and the token is in no `repr`. `permit` is looked at right before a POST's first byte. An answer takes twice `timeout_s` at most, whatever
    the server does.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        timeout_s: float,
        account_id: str | None = None,
        pace: Callable[[], object] = lambda: None,
        permit: Permit | None = None,
        list_timeout_s: float = LIST_TIMEOUT_S,
    ) -> None:
        self._api = f"{base_url}/api/v1"
        self._mask = Mask(token)
        self._timeout_s = timeout_s
        self._pace = pace
        self._permit = permit
        listed = ThreadList(get=self._get, mask=self._mask, timeout_s=list_timeout_s)
        self.threads: Callable[[Mapping[str, str]], Iterator[Thread]] = listed.threads
        """Lists threads by id, page after page; raises `ListError` when one cannot be had."""
        self.newest: Callable[[], Sequence[Thread]] = listed.newest
        """Lists the newest page of threads, by id; raises `ListError`."""
        self._reading = threading.Lock()
        self._sessions: list[requests.Session] = []
        # Two schemes, told apart by the token's shape as toloka-kit does.
        scheme = "ApiKey" if _API_KEY.fullmatch(token) else "OAuth"
        account = {"X-Act-Under-Account-ID": account_id} if account_id else {}
        headers = {"Authorization": Secret(f"{scheme} {token}"), **account}
        self._local = _PerThread(headers, self._sessions, permit)
        self.server_ahead_s = 0.0
        """How far the server's clock is ahead of ours, by the last answer's `Date`."""
        # Proxies and certificates from the environment: asked once, not for each call.
        with requests.Session() as session:
            self._surroundings = session.merge_environment_settings(
                self._api, {}, stream=True, verify=None, cert=None
            )
        if base_url.startswith("http:"):
            # Plain http is for this machine only, and a proxy is another one.
            self._surroundings["proxies"] = {}

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
        try:
            reply, content = self._call(
                "POST", path, body=body, max_bytes=_MAX_THREAD_BYTES + _ECHO * len(body)
            )
            # One by one: what is read out of many big answers takes much memory at once.
            with self._reading:
                answer = classify(reply.status_code, content, reply.headers, self._mask)
        except _FAILURES as error:
            detail = self._told(error)
            answer = NotConnected(detail) if never_left(error) else Unknown(detail)
        if isinstance(answer, Unknown):
            # What may be left of such an answer shall not be read as the next one.
            self._local.session.close()
        return answer

    def _told(self, error: BaseException) -> str:
        if isinstance(error, requests.exceptions.ContentDecodingError):
            return "the answer is too long"
        said = "no whole answer in time" if isinstance(error, _LATE) else "the connection failed"
        return plain(f"{said} ({type(error).__name__}: {error})", self._mask)

    def close(self) -> None:
        """Close every connection. Repeating is safe."""
        for session in self._sessions:
            session.close()

    def _get(self, query: Mapping[str, str], max_bytes: int) -> tuple[int, bytes]:
        try:
            reply, content = self._call("GET", "/message-threads", query=query, max_bytes=max_bytes)
            return reply.status_code, content
        except requests.exceptions.ContentDecodingError as error:
            failure: ListError = TooLongError(self._told(error))
        except _FAILURES as error:
            failure = PassingError(self._told(error))
        # Raised here, it does not carry the frames that hold the request.
        raise failure

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        query: Mapping[str, str] | None = None,
        max_bytes: int,
    ) -> tuple[requests.Response, bytes]:
        session = self._local.session
        request = requests.Request(method, self._api + path, params=query, data=body)
        prepared = session.prepare_request(request)
        if body is not None:
            prepared.headers["Content-Type"] = "application/json"
        # Everything that takes time is done: the call leaves right after its turn comes.
        self._pace()
        reply = session.send(
            prepared,
            timeout=(min(CONNECT_TIMEOUT_S, self._timeout_s), self._timeout_s),
            # A followed redirect turns a POST into a GET, and carries the token elsewhere.
            allow_redirects=False,
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

    def _note_clock(self, date: str | None) -> None:
        if date:
            try:
                theirs = parsedate_to_datetime(date)
                if theirs.year in YEARS:
                    self.server_ahead_s = (theirs - clock.now()).total_seconds()
            except (ValueError, TypeError, OverflowError):
                return


class _Session(requests.Session):
    """A session that takes nothing from a server but its answers."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Know of no redirect: to look at one, requests reads all of its answer."""


class _Adapter(requests.adapters.HTTPAdapter):
    """Makes connections whose answers end, and which send only what may be sent."""

    permit: Permit | None = None

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = bounded(pool.ConnectionCls, cast("Hashable", self.permit))
        pool.conn_kw["socket_options"] = SOCKET_OPTIONS
        return pool


class _PerThread(threading.local):
    """The session of each thread, made when the thread first asks for it."""

    def __init__(
        self,
        headers: Mapping[str, str],
        opened: list[requests.Session],
        permit: Permit | None,
    ) -> None:
        self.session = _Session()
        # The environment was asked already, and a `.netrc` entry would replace the credentials.
        self.session.trust_env = False
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = _Adapter()
        adapter.permit = permit
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, adapter)
        self.session.headers["User-Agent"] = f"message-runner/{__version__}"
        self.session.headers["Accept"] = "application/json"
        # What is not compressed cannot be a bomb.
        self.session.headers["Accept-Encoding"] = "identity"
        self.session.headers.update(headers)
        opened.append(self.session)


def never_left(error: BaseException) -> bool:
    """Whether a failure happened before the request could leave this machine."""
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None:
            return False
        if isinstance(seen, (*_NEVER_LEFT, requests.exceptions.InvalidURL)):
            return True
        reasons = [seen.__cause__, seen.__context__, getattr(seen, "reason", None)]
        reasons += [item for item in seen.args if isinstance(item, BaseException)]
        seen = next((reason for reason in reasons if isinstance(reason, BaseException)), None)
    return False
