"""The five calls of the message-threads API."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

from runner.emulator.answers import (
    Answer,
    FieldError,
    Json,
    Refused,
    does_not_exist,
    error_answer,
    invalid,
    json_answer,
    too_many_requests,
)
from runner.emulator.behaviour import Platform
from runner.emulator.calls import Request, check_credential, read_json
from runner.emulator.echo import echoed
from runner.emulator.forms import Compose, parse_compose, parse_folders, parse_reply
from runner.emulator.query import Search, parse_search
from runner.emulator.store import Store
from runner.emulator.threads import StoredThread, new_thread, requester, thread_json
from runner.emulator.times import now_ms

_DAY_MS = 24 * 60 * 60 * 1000
_ROOT = "/api/v1/message-threads"
_ON_THREAD = re.compile(
    re.escape(_ROOT) + "/(?P<id>[^/]+)/(?P<name>reply|add-to-folders|remove-from-folders)"
)


@dataclass(frozen=True, slots=True)
class Route:
    """A call of the API; `group` is the word by which faults count it."""

    name: str
    method: str
    group: str
    thread_id: str = ""


def find_route(path: str) -> Route | None:
    """Find which call a path belongs to, whatever the method."""
    if path == _ROOT:
        return Route("list", "GET", "list")
    if path == f"{_ROOT}/compose":
        return Route("compose", "POST", "compose")
    match = _ON_THREAD.fullmatch(path)
    if match is None:
        return None
    group = "reply" if match["name"] == "reply" else "folders"
    return Route(match["name"], "POST", group, match["id"])


def account_of(store_id: str) -> str:
    """Give the id of the one requester that a store belongs to."""
    return sha256(f"account:{store_id}".encode()).hexdigest()[:32]


class Api:
    """The calls, carried out on a store."""

    def __init__(self, store: Store, platform: Platform) -> None:
        self._store = store
        self._platform = platform
        self.account = account_of(store.store_id)

    def prepare(self, route: Route | None, request: Request) -> Callable[[], Answer]:
        """Check a call and give what carries it out.

        Both raise `Refused` where Toloka would answer with an error.
        """
        if route is None:
            raise does_not_exist("There is no such path")
        if route.method != request.method:
            message = f"{request.method} is not allowed here"
            headers = {"Allow": route.method}
            raise Refused(error_answer(405, "METHOD_NOT_ALLOWED", message, headers=headers))
        check_credential(request.headers)
        account = request.headers.get("X-Act-Under-Account-ID", "").strip() or self.account
        if route.name == "list":
            return partial(self._list, account, parse_search(request.query))
        body = read_json(request)
        if route.name == "compose":
            form = parse_compose(body)
            self._check_recipients(form)
            return partial(self._compose, account, form)
        if route.name == "reply":
            return partial(self._reply, account, route.thread_id, parse_reply(body))
        return partial(self._move, account, route, parse_folders(body))

    def _list(self, account: str, search: Search) -> Answer:
        threads = self._store.search(search, account, view=self._platform.view())
        items: list[Json] = [self._shown(thread) for thread in threads[: search.limit]]
        return json_answer(200, {"items": items, "has_more": len(threads) > search.limit})

    def _check_recipients(self, form: Compose) -> None:
        if set(self._platform.behaviour.refuse).intersection(form.recipients_ids):
            message = "some of the recipients cannot be written to"
            raise invalid([FieldError("recipients_ids", "INVALID_VALUE", message)])

    def _compose(self, account: str, form: Compose) -> Answer:
        new = new_thread(account, form)
        with self._store.transaction():
            self._count_against_the_day(account, form.select_type)
            stamp = self._platform.stamp()
            thread_id = self._store.add_thread(new, ["OUTBOX"], stamp)
            self._store.add_message(thread_id, requester(account), form.text, stamp)
            thread = self._find(account, thread_id)
        return json_answer(201, self._shown(thread))

    def _count_against_the_day(self, account: str, select_type: str) -> None:
        to_all = select_type == "ALL"
        behaviour = self._platform.behaviour
        limit = behaviour.daily_all_limit if to_all else behaviour.daily_limit
        kind = "ALL" if to_all else "DIRECT and FILTER"
        if not self._store.take_quota(account, kind, limit=limit, window_ms=_DAY_MS):
            message = f"The limit of {limit} {kind} messages a day is reached"
            raise too_many_requests("DAY", message)

    def _reply(self, account: str, thread_id: str, text: Mapping[str, str]) -> Answer:
        with self._store.transaction():
            self._find(account, thread_id)
            stamp = self._platform.stamp()
            self._store.add_message(thread_id, requester(account), text, stamp)
            self._store.add_folders(thread_id, ["OUTBOX"], stamp.made_ms)
            thread = self._find(account, thread_id)
        return json_answer(201, self._shown(thread))

    def _move(self, account: str, route: Route, folders: Sequence[str]) -> Answer:
        with self._store.transaction():
            self._find(account, route.thread_id)
            if route.name == "add-to-folders":
                self._store.add_folders(route.thread_id, folders, now_ms())
            else:
                self._store.remove_folders(route.thread_id, folders)
            thread = self._find(account, route.thread_id)
        return json_answer(201, self._shown(thread))

    def _find(self, account: str, thread_id: str) -> StoredThread:
        thread = self._store.find_thread(thread_id, account)
        if thread is None:
            raise does_not_exist(f"There is no thread {thread_id}")
        return thread

    def _shown(self, thread: StoredThread) -> dict[str, Json]:
        return thread_json(echoed(thread, self._platform.behaviour.echo))
