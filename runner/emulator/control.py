"""The control calls under `/emulator`: what a test or a rehearsal does beside the API.

- `POST /emulator/answer` `{"thread_id", "toloker_id", "text": {LANG: text}}`: a Toloker answers.
  In a thread with one recipient the answer goes into that thread; otherwise into a thread of its
  own, whose `parent_id` is the message's. 201 with the thread that holds the answer.
- `POST /emulator/faults` `{"faults": ["every=5,kind=500", ...]}`: other faults from now on.
- `GET /emulator/stats`: counts of calls, answers and connections.
- `GET /emulator/calls?after=N`: the newest API calls that came after call N, oldest first.
- `GET /emulator/threads`: every thread of the store, without lag or limit.

They need no credential, and take no request that a web page could have made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import parse_qs

from runner.emulator.answers import (
    Answer,
    Json,
    Refused,
    bad_request,
    does_not_exist,
    error_answer,
    json_answer,
)
from runner.emulator.calls import Journal, RateWindow, Request, read_json
from runner.emulator.faults import FaultPlan, parse_fault
from runner.emulator.forms import TolokerAnswer, parse_toloker_answer
from runner.emulator.query import Bound, Search
from runner.emulator.store import Store
from runner.emulator.threads import Interlocutor, NewThread, StoredThread, now_ms, thread_json

ROOT = "/emulator"
_PAGE = 1000
_HOST = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]]+))(?::[0-9]+)?")
_ARRIVED = ("INBOX", "UNREAD")


def is_loopback(host: str) -> bool:
    """Say whether a host name or address is this machine's own."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The control calls of one running emulator."""

    store: Store
    account: str
    faults: FaultPlan
    rates: RateWindow
    journal: Journal

    def answer(self, request: Request) -> Answer:
        """Carry out a control call; raises `Refused` with a sentence that says why not."""
        _check_local(request)
        if request.flaw is not None:
            raise Refused(request.flaw)
        calls: dict[str, tuple[str, Callable[[Request], Answer]]] = {
            "/answer": ("POST", self._toloker_answers),
            "/faults": ("POST", self._replace_faults),
            "/stats": ("GET", self._stats),
            "/calls": ("GET", self._calls),
            "/threads": ("GET", self._threads),
        }
        method, call = calls.get(request.path.removeprefix(ROOT), ("", None))
        if call is None:
            raise does_not_exist(f"There is no such control call; there are {', '.join(calls)}")
        if request.method != method:
            headers = {"Allow": method}
            message = f"{method} is expected here"
            raise Refused(error_answer(405, "METHOD_NOT_ALLOWED", message, headers=headers))
        return call(request)

    def _stats(self, _request: Request) -> Answer:
        stats: dict[str, Json] = {"store_id": self.store.store_id, "account": self.account}
        stats |= self.journal.counts()
        stats["max_in_one_second"] = self.rates.max_in_one_second
        return json_answer(200, stats)

    def _calls(self, request: Request) -> Answer:
        query = parse_qs(request.query, keep_blank_values=True)
        after = query.pop("after", ["0"])[-1]
        if query or not after.isascii() or not after.isdigit():
            raise bad_request("Only 'after', the number of a call, is expected in the query")
        return json_answer(200, self.journal.calls_after(int(after)))

    def _threads(self, _request: Request) -> Answer:
        threads: list[Json] = []
        last = ""
        while True:
            bounds = (Bound("id", ">", last),)
            page = self.store.search(Search(bounds=bounds, limit=_PAGE))
            threads += [thread_json(thread) for thread in page]
            if len(page) <= _PAGE:
                return json_answer(200, threads)
            last = page[-1].id

    def _replace_faults(self, request: Request) -> Answer:
        body = read_json(request)
        texts = body.get("faults") if isinstance(body, Mapping) else None
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise bad_request('{"faults": ["every=5,kind=500", ...]} is expected as the body')
        try:
            faults = [parse_fault(str(text)) for text in texts]
        except ValueError as error:
            raise bad_request(str(error)) from None
        self.faults.replace(faults)
        return json_answer(200, {"faults": texts})

    def _toloker_answers(self, request: Request) -> Answer:
        said = parse_toloker_answer(read_json(request))
        with self.store.transaction():
            thread = self.store.find_thread(said.thread_id)
            if thread is None:
                raise does_not_exist(f"There is no thread {said.thread_id}")
            _check_may_answer(thread, said.toloker_id)
            thread_id = self._thread_for(thread, said.toloker_id)
            at_ms = now_ms()
            self.store.add_message(thread_id, _toloker(said), said.text, at_ms)
            self.store.add_folders(thread_id, _ARRIVED, at_ms)
            answered = self.store.find_thread(thread_id)
        return json_answer(201, None if answered is None else thread_json(answered))

    def _thread_for(self, thread: StoredThread, toloker_id: str) -> str:
        """Give the thread that an answer goes into, made now if there is none yet."""
        if len(_tolokers(thread)) == 1:
            return thread.id
        known = self.store.find_child(thread.id, toloker_id)
        if known is not None:
            return known
        requester = Interlocutor(thread.account, "REQUESTER", myself=True)
        people = sorted([requester, Interlocutor(toloker_id, "USER")], key=lambda who: who.id)
        child = NewThread(
            account=thread.account,
            topic=thread.topic,
            answerable=thread.answerable,
            interlocutors=tuple(people),
            parent_id=thread.id,
            toloker_id=toloker_id,
        )
        return self.store.add_thread(child, _ARRIVED)[0]


def _toloker(said: TolokerAnswer) -> Interlocutor:
    return Interlocutor(said.toloker_id, "USER")


def _tolokers(thread: StoredThread) -> list[str]:
    return [who.id for who in thread.interlocutors if who.role == "USER"]


def _check_may_answer(thread: StoredThread, toloker_id: str) -> None:
    known = _tolokers(thread)
    # Whom a filter or ALL reached is not known here, so anybody may answer those.
    if known and toloker_id not in known:
        raise bad_request(f"{toloker_id} is not a recipient of thread {thread.id}")
    if not thread.answerable:
        message = f"Thread {thread.id} takes no answers: its message was sent with answerable=false"
        raise Refused(error_answer(409, "CONFLICT_STATE", message))


def _check_local(request: Request) -> None:
    host = _HOST.fullmatch(request.headers.get("Host", ""))
    if "Origin" in request.headers or host is None or not is_loopback(host[1] or host[2]):
        message = "Control calls are for programs on this machine, not for web pages"
        raise Refused(error_answer(403, "ACCESS_DENIED", message))
