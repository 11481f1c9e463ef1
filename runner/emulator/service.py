"""One running emulator without its sockets: a request goes in, an answer comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from runner.emulator import control
from runner.emulator.answers import Answer, Refused, too_many_requests
from runner.emulator.api import Api, Route, find_route
from runner.emulator.behaviour import Behaviour, Platform
from runner.emulator.calls import Call, Journal, RateWindow, Request, without_credentials
from runner.emulator.faults import Fault, FaultPlan, garbled, is_carried_out, is_late, refusal
from runner.emulator.later import Later
from runner.emulator.store import Store
from runner.emulator.times import now_ms, toloka_time


class Service:
    """The API, its limits, its faults and the control calls, over one store."""

    def __init__(self, store: Store, behaviour: Behaviour, faults: Sequence[Fault]) -> None:
        self.platform = Platform(behaviour)
        self._api = Api(store, self.platform)
        self._faults = FaultPlan(faults)
        self._rates = RateWindow()
        self._later = Later()
        self.journal = Journal()
        self._control = control.Control(
            store=store,
            platform=self.platform,
            account=self._api.account,
            faults=self._faults,
            rates=self._rates,
            journal=self.journal,
        )

    def stop(self) -> None:
        """Drop the calls that would have been carried out later."""
        self._later.end()

    def respond(self, request: Request) -> Answer:
        """Answer any request."""
        try:
            control.check_local(request)
            if is_control(request.path):
                return self._control.answer(request)
        except Refused as refused:
            return refused.answer
        return self._respond_as_api(request)

    def _respond_as_api(self, request: Request) -> Answer:
        route = find_route(request.path)
        call = _call(route, request)
        self.journal.add(call)
        behaviour = self.platform.behaviour
        if self._rates.admit(behaviour.rate_limit):
            answer = self._carry_out(route, request, call)
        else:
            message = f"More than {behaviour.rate_limit} requests in a second"
            answer = too_many_requests("MIN", message, retry_after_s=1).answer
        call.status = answer.sent_status
        self.journal.answered(call.status)
        return replace(answer, delay_s=answer.delay_s + behaviour.latency_ms / 1000)

    def _carry_out(self, route: Route | None, request: Request, call: Call) -> Answer:
        known = route is not None and route.method == request.method
        fault = self._faults.choose(route.group if known and route is not None else None)
        if fault is not None and not (is_carried_out(fault) or is_late(fault)):
            call.fault = fault.kind
            return refusal(fault)
        try:
            if request.flaw is not None:
                raise Refused(request.flaw)
            carry_out = self._api.prepare(route, request)
            if fault is not None and is_late(fault):
                call.fault = fault.kind
                self._later.put(fault.seconds, carry_out)
                return refusal(fault)
            answer = carry_out()
        except Refused as refused:
            # Nothing was accepted, so there is nothing to lose the answer of.
            return refused.answer
        if fault is None:
            return answer
        call.fault = fault.kind
        return garbled(fault, answer)


def is_control(path: str) -> bool:
    """Say whether a path is one of the control calls rather than the API's."""
    return path == control.ROOT or path.startswith(f"{control.ROOT}/")


def _call(route: Route | None, request: Request) -> Call:
    return Call(
        name="other" if route is None else route.name,
        at=f"{toloka_time(now_ms())}Z",
        method=request.method,
        path=request.path,
        query=request.query,
        headers=without_credentials(request.headers.items()),
        body=request.body,
    )
