"""A contract's server in this process, asked as if it were elsewhere."""

import time

from google.protobuf.message import DecodeError

from tricorn.contract import MethodPolicy, Refusal
from tricorn.prove.outcome import ANSWERED, LATE, REFUSED, UNREAD, Outcome
from tricorn.prove.reference import Request
from tricorn.wire import Call, Service
from tricorn.wire.errors import to_status

PATIENCE = 10.0
"""Seconds that a call may take at least: how fast a server must be is not what is asked here."""


class Here:
    """Asks a service, with validation and errors as in production."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def ask(self, policy: MethodPolicy, request: Request) -> Outcome:
        try:
            message = policy.input.FromString(request.payload)
        except DecodeError:
            return Outcome(UNREAD)
        call = Call(policy.full_name, request.caller, time.monotonic() + max(PATIENCE, policy.deadline))
        try:
            answer = await self._service.serve(policy.full_name, message, call)
        except Refusal as refusal:
            code, status = to_status(refusal)
            if refusal.reason == "DEADLINE_EXCEEDED":
                return Outcome(LATE, code.name)
            return Outcome(REFUSED, code.name, status)
        return Outcome(ANSWERED, "OK", answer.SerializeToString(deterministic=True))
