"""The wire: payload, credentials, and one call, tried once."""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from urllib.parse import quote

import requests
import urllib3.exceptions

from runner import __version__, clock
from runner.answers import classify, json_of, plain, refusal_of_credentials, thread_of
from runner.errors import ListError, SurroundingsError
from runner.model import (
    Answer,
    Busy,
    Delivery,
    Direct,
    Filtered,
    InThread,
    Message,
    NoRecipients,
    NotConnected,
    Recipients,
    Rejected,
    Sent,
    Thread,
    Unknown,
)

CONNECT_TIMEOUT_S = 10.0
LIST_LIMIT = 300
"""Threads on one page of the list (Toloka's API reference, `limit`)."""

_MAX_THREAD_BYTES = 4 * 1024 * 1024
_MAX_LIST_BYTES = 64 * 1024 * 1024
_CHUNK = 64 * 1024
_LIST_ATTEMPTS = 3
_LIST_PAUSE_S = 0.5
_API_KEY = re.compile(r"[^.]{22,24}\.[^.]*\.[^.]*")
_NEVER_LEFT = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.LocationParseError,
    ssl.SSLCertVerificationError,
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
    read, and the token is in no `repr`.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        timeout_s: float,
        account_id: str | None = None,
        pace: Callable[[], object] = lambda: None,
    ) -> None:
        self._api = f"{base_url}/api/v1"
        self._credentials = _Credentials(token)
        self._account_id = account_id
        self._timeout_s = timeout_s
        self._pace = pace
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._server_ahead_s = 0.0
        # Proxies and certificates from the environment: asked once, not for each call.
        with requests.Session() as session:
            self._surroundings = session.merge_environment_settings(
                self._api, {}, stream=True, verify=None, cert=None
            )

    @property
    def server_ahead_s(self) -> float:
        """How far the server's clock is ahead of ours, by the last answer's `Date`."""
        return self._server_ahead_s

    def deliver(self, delivery: Delivery) -> Answer:
        """Try once to make a thread or to reply in one.

        Never raises for a failure of the network or the server.
        """
        message, recipients = delivery.message, delivery.recipients
        if isinstance(recipients, InThread):
            path = f"/message-threads/{quote(recipients.thread_id, safe='')}/reply"
            answer = self._post(path, {"text": dict(message.text)})
            return _with_reply(answer) if isinstance(answer, Sent) else answer
        return self._post("/message-threads/compose", payload_of(message, recipients))

    def add_to_folders(self, thread_id: str, folders: Sequence[str]) -> Answer:
        """Put a thread into folders; repeating is safe."""
        path = f"/message-threads/{quote(thread_id, safe='')}/add-to-folders"
        return self._post(path, {"folders": list(folders)})

    def _post(self, path: str, payload: Mapping[str, object]) -> Answer:
        body = json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()
        try:
            with self._call("POST", path, body=body) as reply:
                content = self._content(reply, _MAX_THREAD_BYTES)
                answer = classify(reply.status_code, content, reply.headers)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            detail = self._credentials.masked(plain(f"{type(error).__name__}: {error}"))
            return NotConnected(detail) if never_left(error) else Unknown(detail)
        return self._masked(answer)

    def threads(self, query: Mapping[str, str]) -> Iterator[Thread]:
        """List threads by id, page after page; raises `ListError` when one cannot be had."""
        after: dict[str, str] = {}
        while True:
            page = self._page({**query, **after, "sort": "id", "limit": str(LIST_LIMIT)})
            items = page["items"]
            if not isinstance(items, list):
                raise ListError("the list of threads holds no items")
            threads = [thread_of(item) for item in items]
            yield from (thread for thread in threads if thread is not None)
            if page.get("has_more") is not True:
                return
            last = threads[-1] if threads else None
            if last is None or last.id <= after.get("id_gt", ""):
                raise ListError("the list of threads does not go on after a page")
            after = {"id_gt": last.id}

    def close(self) -> None:
        """Close every connection. Repeating is safe."""
        for session in self._sessions:
            session.close()

    def _page(self, query: Mapping[str, str]) -> Mapping[str, object]:
        """Get one page of the list. Reading is safe to repeat, so it is tried more than once."""
        for attempt in range(1, _LIST_ATTEMPTS):
            try:
                return self._page_once(query)
            except ListError:
                time.sleep(_LIST_PAUSE_S * attempt)
        return self._page_once(query)

    def _page_once(self, query: Mapping[str, str]) -> Mapping[str, object]:
        try:
            with self._call("GET", "/message-threads", query=query) as reply:
                content = self._content(reply, _MAX_LIST_BYTES)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise ListError(self._credentials.masked(plain(str(error)))) from error
        if reply.status_code in (401, 403):
            raise SurroundingsError(refusal_of_credentials(reply.status_code, content))
        data = json_of(content)
        if reply.status_code != 200 or not isinstance(data, dict) or "items" not in data:
            raise ListError(f"HTTP {reply.status_code} where a list of threads was asked for")
        return data

    @contextmanager
    def _call(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Iterator[requests.Response]:
        session = self._session()
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
            yield reply

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            # A callable, because a `.netrc` entry silently replaces a session's header.
            session.auth = self._credentials
            session.headers["User-Agent"] = f"message-runner/{__version__}"
            session.headers["Accept"] = "application/json"
            # What is not compressed cannot be a bomb.
            session.headers["Accept-Encoding"] = "identity"
            if self._account_id:
                session.headers["X-Act-Under-Account-ID"] = self._account_id
            self._local.session = session
            self._sessions.append(session)
        return session

    def _content(self, reply: requests.Response, limit: int) -> bytes:
        """Read an answer, bounded in size and in time; what is longer counts as not readable."""
        until = time.monotonic() + self._timeout_s
        content = bytearray()
        # `read` waits until the chunk is full, and a server may take as long as it likes over that.
        read = getattr(reply.raw, "read1", reply.raw.read)
        while chunk := read(_CHUNK, decode_content=False):
            content += chunk
            if len(content) > limit:
                raise requests.exceptions.ContentDecodingError("the answer is too long")
            if time.monotonic() > until:
                raise requests.exceptions.ReadTimeout("the answer takes too long")
        return bytes(content)

    def _note_clock(self, date: str | None) -> None:
        if date:
            try:
                theirs = parsedate_to_datetime(date)
                self._server_ahead_s = (theirs - clock.now()).total_seconds()
            except (ValueError, TypeError, OverflowError):
                return

    def _masked(self, answer: Answer) -> Answer:
        mask = self._credentials.masked
        if isinstance(answer, Rejected):
            fields = {mask(name): mask(said) for name, said in answer.fields.items()}
            code = mask(answer.code) if answer.code else None
            return Rejected(
                status=answer.status, code=code, detail=mask(answer.detail), fields=fields
            )
        if isinstance(answer, Busy):
            return Busy(answer.interval, answer.retry_after_s, mask(answer.detail))
        if isinstance(answer, Unknown):
            return Unknown(mask(answer.detail))
        return NoRecipients(mask(answer.detail)) if isinstance(answer, NoRecipients) else answer


class _Credentials(requests.auth.AuthBase):
    """Puts the token on a request. Two schemes, told apart by the token's shape as toloka-kit does."""

    def __init__(self, token: str) -> None:
        self.__token = token
        self._scheme = "ApiKey" if _API_KEY.fullmatch(token) else "OAuth"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"{self._scheme} {self.__token}"
        return request

    def masked(self, text: str) -> str:
        """Take the token out of a text that a server or a library made."""
        return text.replace(self.__token, "***")


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
