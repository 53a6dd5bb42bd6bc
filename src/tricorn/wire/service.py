"""The server's side of a call, the same in process and over gRPC: validation, the deadline, errors of the vocabulary only."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import Any

from google.protobuf.message import Message

from tricorn import telemetry
from tricorn.contract import MethodPolicy, PlatformReason, Refusal, reasons, service_policies, validate
from tricorn.wire.call import Call, current, refuse_effects

_log = telemetry.get_logger("tricorn.wire")


class Service:
    """The implementations that a process hosts, by method."""

    def __init__(self, stats: telemetry.CallStats, implementation: str = "python") -> None:
        self._handlers: dict[str, tuple[MethodPolicy, Callable[..., Any]]] = {}
        self._stats = stats
        self.implementation = implementation

    def add(self, server: object) -> None:
        """Hosts an instance of a generated ``...Base``.

        Raises:
            ValueError: The contract is hosted already.
        """
        name: str = server.SERVICE  # type: ignore[attr-defined]
        for policy in service_policies(name):
            if policy.full_name in self._handlers:
                message = f"{name} is hosted twice in this process"
                raise ValueError(message)
            self._handlers[policy.full_name] = (policy, getattr(server, policy.python_name))

    @property
    def services(self) -> list[str]:
        return sorted({policy.service for policy, _ in self._handlers.values()})

    def hosts(self, full_name: str) -> bool:
        return full_name in self._handlers

    async def serve(self, full_name: str, request: Message | AsyncIterator[Message], call: Call) -> Message:
        """Answers a call with one answer.

        Raises:
            Refusal: Whatever went wrong, in the words of the vocabulary.
        """
        policy, handler = self._find(full_name)
        if call.shadow and not policy.safe:
            raise refuse_effects(policy.name)
        started = time.perf_counter()
        failed = False
        token = current.set(call)
        try:
            if not policy.client_streaming:
                validate(request)  # type: ignore[arg-type]
            async with asyncio.timeout(max(call.remaining(), 0)):
                answer: Message = await handler(request if not policy.client_streaming else _checked(request), call)
        except BaseException as error:  # noqa: BLE001 - what may not be told is raised again as it is
            refusal = _refusal(policy, error)
            failed = reasons()[refusal.reason].http >= _SERVER_ERROR
            raise refusal from (None if refusal is error else error)
        else:
            return answer
        finally:
            current.reset(token)
            self._stats.observe(full_name, self.implementation, time.perf_counter() - started, error=failed)

    async def serve_stream(
        self, full_name: str, request: Message | AsyncIterator[Message], call: Call
    ) -> AsyncGenerator[Message, None]:
        """Answers a call with a stream; its total limit is the contract's."""
        policy, handler = self._find(full_name)
        if call.shadow and not policy.safe:
            raise refuse_effects(policy.name)
        started = time.perf_counter()
        failed = False
        try:
            if not policy.client_streaming:
                validate(request)  # type: ignore[arg-type]
            answers = handler(request if not policy.client_streaming else _checked(request), call)
            try:
                while True:
                    # Set anew for each step: a generator's steps may run in different contexts.
                    with _serving(call):
                        async with asyncio.timeout(max(call.remaining(), 0)):
                            answer = await anext(answers)
                    yield answer
            except StopAsyncIteration:
                return
            finally:
                await answers.aclose()
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - what may not be told is raised again as it is
            refusal = _refusal(policy, error)
            failed = reasons()[refusal.reason].http >= _SERVER_ERROR
            raise refusal from (None if refusal is error else error)
        finally:
            self._stats.observe(full_name, self.implementation, time.perf_counter() - started, error=failed)

    def _find(self, full_name: str) -> tuple[MethodPolicy, Callable[..., Any]]:
        found = self._handlers.get(full_name)
        if found is None:
            raise Refusal(PlatformReason.UNIMPLEMENTED, f"{full_name} is not hosted here")
        return found


_SERVER_ERROR = 500


class _serving(AbstractContextManager[None]):  # noqa: N801 - reads as a statement
    __slots__ = ("_call", "_token")

    def __init__(self, call: Call) -> None:
        self._call = call

    def __enter__(self) -> None:
        self._token = current.set(self._call)

    def __exit__(self, *_: object) -> None:
        current.reset(self._token)


async def _checked(requests: Any) -> AsyncIterator[Message]:
    async for request in requests:
        validate(request)
        yield request


def _too_late(policy: MethodPolicy) -> Refusal:
    return Refusal(PlatformReason.DEADLINE_EXCEEDED, f"{policy.name} did not end within its deadline")


def _refusal(policy: MethodPolicy, error: BaseException) -> Refusal:
    """What a caller may know of an error. Cancellation is passed on as it is."""
    if isinstance(error, Refusal):
        if error.reason in reasons():
            return error
        _log.error("reason outside the vocabulary", method=policy.full_name, reason=error.reason)
        return Refusal(PlatformReason.INTERNAL, "something went wrong here; it has been logged")
    if isinstance(error, TimeoutError):
        return _too_late(policy)
    if not isinstance(error, Exception):
        raise error
    _log.error("call failed", method=policy.full_name, exc_info=error)
    return Refusal(PlatformReason.INTERNAL, "something went wrong here; it has been logged")
