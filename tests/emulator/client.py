"""A plain HTTP client for the tests, which shares nothing with the runner's own."""

from __future__ import annotations

from typing import Any

import requests

API = "/api/v1/message-threads"
TOLOKER = "1ad097faba0eff85a04fe30bc04d53db"

Values = dict[str, Any]


def direct(*recipients: str, **changes: object) -> Values:
    """A compose form that is right but for `changes`; a change to `...` leaves the field out."""
    form: Values = {
        "topic": {"EN": "Thank you!"},
        "text": {"EN": "Amazing job!"},
        "recipients_select_type": "DIRECT",
        "recipients_ids": list(recipients or (TOLOKER,)),
        "answerable": True,
    }
    return changed(form, changes)


def filtered(tree: object, **changes: object) -> Values:
    form = direct(recipients_select_type="FILTER", recipients_ids=...)
    return changed({**form, "recipients_filter": tree}, changes)


def to_all(**changes: object) -> Values:
    return changed(direct(recipients_select_type="ALL", recipients_ids=...), changes)


def changed(form: Values, changes: Values) -> Values:
    return {name: value for name, value in {**form, **changes}.items() if value is not ...}


class Client:
    """Calls to one emulator over one keep-alive connection."""

    def __init__(self, url: str, authorization: str = "OAuth token", account: str = "") -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = authorization
        if account:
            self.session.headers["X-Act-Under-Account-ID"] = account

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        options.setdefault("timeout", 20)
        options.setdefault("allow_redirects", False)
        return self.session.request(method, self.url + path, **options)

    def post(self, path: str, body: object, **options: Any) -> requests.Response:
        return self.request("POST", path, json=body, **options)

    def compose(self, form: Values | None = None) -> requests.Response:
        return self.post(f"{API}/compose", direct() if form is None else form)

    def composed(self, form: Values | None = None) -> Values:
        answer = self.compose(form)
        assert answer.status_code == 201, answer.text
        thread: Values = answer.json()
        return thread

    def reply(self, thread_id: str, text: str = "And again") -> requests.Response:
        return self.post(f"{API}/{thread_id}/reply", {"text": {"EN": text}})

    def find(self, **query: object) -> requests.Response:
        return self.request("GET", API, params=query)

    def listed(self, **query: object) -> list[Values]:
        answer = self.find(**query)
        assert answer.status_code == 200, answer.text
        items: list[Values] = answer.json()["items"]
        return items

    def control(self, name: str, body: object = None) -> Any:
        method = "GET" if body is None else "POST"
        answer = self.request(method, f"/emulator/{name}", json=body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def answered(self, thread_id: str, toloker_id: str = TOLOKER, text: str = "Hello") -> Values:
        body = {"thread_id": thread_id, "toloker_id": toloker_id, "text": {"EN": text}}
        thread: Values = self.control("answer", body)
        return thread


def complaints(answer: requests.Response) -> dict[str, str]:
    """The payload of a validation error: field paths and codes."""
    body = answer.json()
    assert (answer.status_code, body["code"]) == (400, "VALIDATION_ERROR"), body
    assert len(body["request_id"]) == 32
    return {path: problem["code"] for path, problem in body["payload"].items()}
