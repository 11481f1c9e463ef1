"""The control calls under `/emulator`: what a test or a rehearsal does beside the API.

- `POST /emulator/answer` `{"thread_id", "toloker_id", "text": {LANG: text}}`: a Toloker answers.
  In a thread with one recipient the answer goes into that thread; otherwise into a thread of its
  own, whose `parent_id` is the message's. 201 with the thread that holds the answer.
- `POST /emulator/faults` `{"faults": ["every=5,kind=500", ...]}`: other faults from now on.
- `POST /emulator/behaviour` `{"list_lag_ms": [0, 400], ...}`: what is named behaves otherwise from
  now on. The names are those of `runner.emulator.behaviour`; 200 with all of them.
- `POST /emulator/put`: a thread appears, by another hand than the API's: a compose form, in which
  `"from": "toloker"` has the one recipient begin it instead of this account, and `created` can be
  any time. No fault, limit or refusal applies. 201 with the thread.
- `POST /emulator/seed` `{"count": 1000000, "from": "requester"}`: so many threads that are
  foreign to every message appear at once, to as many Tolokers; or `"from": "toloker"`.
- `GET /emulator/stats`: counts of calls, answers and connections.
- `GET /emulator/calls?after=N`: the newest API calls that came after call N, oldest first.
- `GET /emulator/threads`: every thread of the store, without lag or limit.

They need no credential. What a web page, or another name of this machine, asks for is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from runner.emulator.behaviour import Platform
from runner.emulator.calls import Journal, RateWindow, Request, read_json
from runner.emulator.faults import FaultPlan, parse_fault
from runner.emulator.forms import Compose, parse_put, parse_seed, parse_toloker_answer
from runner.emulator.query import Bound, Search
from runner.emulator.store import Store
from runner.emulator.threads import (
    Interlocutor,
    NewThread,
    StoredThread,
    new_thread,
    people,
    requester,
    thread_json,
)

ROOT = "/emulator"
_PAGE = 1000
_HOST = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]]+))(?::[0-9]+)?")
_ARRIVED = ("INBOX", "UNREAD")
_SENT = ("OUTBOX",)


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
    platform: Platform
    account: str
    faults: FaultPlan
    rates: RateWindow
    journal: Journal

    def answer(self, request: Request) -> Answer:
        """Carry out a control call; raises `Refused` with a sentence that says why not."""
        if request.flaw is not None:
            raise Refused(request.flaw)
        calls: dict[str, tuple[str, Callable[[Request], Answer]]] = {
            "/answer": ("POST", self._toloker_answers),
            "/faults": ("POST", self._replace_faults),
            "/behaviour": ("POST", self._change_behaviour),
            "/put": ("POST", self._put),
            "/seed": ("POST", self._seed),
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
            stamp = self.platform.stamp()
            self.store.add_message(thread_id, _toloker(said.toloker_id), said.text, stamp)
            self.store.add_folders(thread_id, _ARRIVED, stamp.made_ms)
            answered = self.store.find_thread(thread_id)
        return json_answer(201, None if answered is None else thread_json(answered))

    def _thread_for(self, thread: StoredThread, toloker_id: str) -> str:
        """Give the thread that an answer goes into, made now if there is none yet."""
        if len(thread.tolokers) == 1:
            return thread.id
        known = self.store.find_child(thread.id, toloker_id)
        if known is not None:
            return known
        child = NewThread(
            account=thread.account,
            topic=thread.topic,
            answerable=thread.answerable,
            interlocutors=people(thread.account, [toloker_id]),
            parent_id=thread.id,
            toloker_id=toloker_id,
        )
        return self.store.add_thread(child, _ARRIVED, self.platform.stamp())

    def _change_behaviour(self, request: Request) -> Answer:
        body = read_json(request)
        if not isinstance(body, Mapping):
            raise bad_request('{"list_lag_ms": 400, ...} is expected as the body')
        try:
            self.platform.behaviour = self.platform.behaviour.changed(body)
        except ValueError as error:
            raise bad_request(str(error)) from None
        return json_answer(200, self.platform.behaviour.as_json())

    def _put(self, request: Request) -> Answer:
        put = parse_put(read_json(request))
        new, sender, folders = self._begun(put.form, put.by_toloker)
        with self.store.transaction():
            stamp = self.platform.stamp()
            if put.created_ms is not None:
                stamp = stamp.dated(put.created_ms)
            thread_id = self.store.add_thread(new, folders, stamp)
            self.store.add_message(thread_id, sender, put.form.text, stamp)
            thread = self.store.find_thread(thread_id)
        return json_answer(201, None if thread is None else thread_json(thread))

    def _seed(self, request: Request) -> Answer:
        seed = parse_seed(read_json(request))
        text = {"EN": "Note {i}"}
        form = Compose(
            topic=text, text=text, select_type="DIRECT", recipients_ids=("{i}",), answerable=True
        )
        new, sender, folders = self._begun(form, seed.by_toloker)
        with self.store.transaction():
            self.store.seed(new, sender, folders, seed.count)
        return json_answer(201, {"count": seed.count})

    def _begun(
        self, form: Compose, by_toloker: bool
    ) -> tuple[NewThread, Interlocutor, Sequence[str]]:
        """Give a thread with its first sender and its folders."""
        new = new_thread(self.account, form)
        if by_toloker:
            return replace(new, details=None), _toloker(form.recipients_ids[0]), _ARRIVED
        return new, requester(self.account), _SENT


def _toloker(toloker_id: str) -> Interlocutor:
    return Interlocutor(toloker_id, "USER")


def _check_may_answer(thread: StoredThread, toloker_id: str) -> None:
    known = thread.tolokers
    # Whom a filter or ALL reached is not known here, so anybody may answer those.
    if known and toloker_id not in known:
        raise bad_request(f"{toloker_id} is not a recipient of thread {thread.id}")
    if not thread.answerable:
        message = f"Thread {thread.id} takes no answers: its message was sent with answerable=false"
        raise Refused(error_answer(409, "CONFLICT_STATE", message))


def check_local(request: Request) -> None:
    """Raise `Refused` for what came by another name than this machine's own, or from a web page."""
    host = _HOST.fullmatch(request.headers.get("Host", ""))
    if "Origin" in request.headers or host is None or not is_loopback(host[1] or host[2]):
        message = "This is for programs on this machine, not for web pages, and not by other names"
        raise Refused(error_answer(421, "MISDIRECTED_REQUEST", message))
