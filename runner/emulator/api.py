"""The five calls of the message-threads API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
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
from runner.emulator.calls import Request, check_credential, read_json
from runner.emulator.forms import Compose, parse_compose, parse_folders, parse_reply
from runner.emulator.query import parse_search
from runner.emulator.store import Store
from runner.emulator.threads import Interlocutor, NewThread, StoredThread, now_ms, thread_json

_DAY_MS = 24 * 60 * 60 * 1000
_ROOT = "/api/v1/message-threads"
_ON_THREAD = re.compile(
    re.escape(_ROOT) + "/(?P<id>[^/]+)/(?P<name>reply|add-to-folders|remove-from-folders)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How the emulated platform behaves; 0 turns a limit off."""

    latency_ms: float = 0
    rate_limit: int = 300
    daily_limit: int = 100_000
    daily_all_limit: int = 1
    list_lag_ms: float = 0
    echo: str = "exact"
    refuse: frozenset[str] = frozenset()


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

    def __init__(self, store: Store, behaviour: Behaviour) -> None:
        self._store = store
        self._behaviour = behaviour
        self.account = account_of(store.store_id)

    def answer(self, route: Route | None, request: Request) -> Answer:
        """Carry out a call; raises `Refused` where Toloka would answer with an error."""
        if route is None:
            raise does_not_exist("There is no such path")
        if route.method != request.method:
            message = f"{request.method} is not allowed here"
            headers = {"Allow": route.method}
            raise Refused(error_answer(405, "METHOD_NOT_ALLOWED", message, headers=headers))
        check_credential(request.headers)
        account = request.headers.get("X-Act-Under-Account-ID", "").strip() or self.account
        if route.name == "list":
            return self._list(account, request.query)
        body = read_json(request)
        if route.name == "compose":
            return self._compose(account, body)
        if route.name == "reply":
            return self._reply(account, route.thread_id, body)
        return self._move(account, route, body)

    def _list(self, account: str, query: str) -> Answer:
        search = parse_search(query)
        until_ms = now_ms() - int(self._behaviour.list_lag_ms)
        threads = self._store.search(search, account, until_ms=until_ms)
        items: list[Json] = [self._view(thread) for thread in threads[: search.limit]]
        return json_answer(200, {"items": items, "has_more": len(threads) > search.limit})

    def _compose(self, account: str, body: Json) -> Answer:
        form = parse_compose(body)
        if self._behaviour.refuse.intersection(form.recipients_ids):
            message = "some of the recipients cannot be written to"
            raise invalid([FieldError("recipients_ids", "INVALID_VALUE", message)])
        new = _new_thread(account, form)
        with self._store.transaction():
            self._count_against_the_day(account, form.select_type)
            thread_id, at_ms = self._store.add_thread(new, ["OUTBOX"])
            self._store.add_message(thread_id, _requester(account), form.text, at_ms)
            thread = self._find(account, thread_id)
        return json_answer(201, self._view(thread))

    def _count_against_the_day(self, account: str, select_type: str) -> None:
        to_all = select_type == "ALL"
        limit = self._behaviour.daily_all_limit if to_all else self._behaviour.daily_limit
        kind = "ALL" if to_all else "DIRECT and FILTER"
        if not self._store.take_quota(account, kind, limit=limit, window_ms=_DAY_MS):
            message = f"The limit of {limit} {kind} messages a day is reached"
            raise too_many_requests("DAY", message)

    def _reply(self, account: str, thread_id: str, body: Json) -> Answer:
        text = parse_reply(body)
        with self._store.transaction():
            self._find(account, thread_id)
            at_ms = now_ms()
            self._store.add_message(thread_id, _requester(account), text, at_ms)
            self._store.add_folders(thread_id, ["OUTBOX"], at_ms)
            thread = self._find(account, thread_id)
        return json_answer(201, self._view(thread))

    def _move(self, account: str, route: Route, body: Json) -> Answer:
        folders = parse_folders(body)
        with self._store.transaction():
            self._find(account, route.thread_id)
            if route.name == "add-to-folders":
                self._store.add_folders(route.thread_id, folders, now_ms())
            else:
                self._store.remove_folders(route.thread_id, folders)
            thread = self._find(account, route.thread_id)
        return json_answer(201, self._view(thread))

    def _find(self, account: str, thread_id: str) -> StoredThread:
        thread = self._store.find_thread(thread_id, account)
        if thread is None:
            raise does_not_exist(f"There is no thread {thread_id}")
        return thread

    def _view(self, thread: StoredThread) -> dict[str, Json]:
        return thread_json(thread, self._behaviour.echo)


def _requester(account: str) -> Interlocutor:
    return Interlocutor(account, "REQUESTER", myself=True)


def _new_thread(account: str, form: Compose) -> NewThread:
    people = [_requester(account), *(Interlocutor(who, "USER") for who in form.recipients_ids)]
    details: dict[str, Json] = {"recipients_select_type": form.select_type}
    if form.select_type == "DIRECT":
        details["recipients_ids"] = list(form.recipients_ids)
    elif form.select_type == "FILTER":
        details["recipients_filter"] = _shown_filter(form.recipients_filter)
    return NewThread(
        account=account,
        topic=form.topic,
        answerable=form.answerable,
        interlocutors=tuple(sorted(people, key=lambda who: who.id)),
        details=details,
    )


def _shown_filter(tree: Json) -> Json:
    """Give a filter as threads show it: an `and` of one condition comes back without the `and`."""
    if not isinstance(tree, Mapping):
        return tree
    members = tree.get("and")
    if not isinstance(members, list) or len(members) != 1:
        return tree
    only = members[0]
    return only if isinstance(only, Mapping) and "category" in only else tree
