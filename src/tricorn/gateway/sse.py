"""Server streams for browsers: ``text/event-stream``, one event for each message.

Events are ``message`` (its JSON, with a number as id), ``problem`` (what ended the stream, as problem+json) and ``end``
(the stream is complete, or this gateway is going away: its ``retry`` says when to come back).
"""

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import orjson
from google.protobuf.message import Message

from tricorn import telemetry
from tricorn.contract import PlatformReason, Refusal
from tricorn.gateway.config import Backend, Limits, Send
from tricorn.gateway.exchange import Answer, Request
from tricorn.gateway.problems import Problem, from_refusal, internal
from tricorn.gateway.transcode.binding import Binding
from tricorn.wire import call_scope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = telemetry.get_logger(__name__)

_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_FIRST_WAIT = 1.0
"""Seconds in which a refusal still becomes a plain problem answer; after that the head goes out and a refusal becomes
an event.
"""

_RETRY_MILLISECONDS = 1000


class _End(Exception):  # noqa: N818 - the regular end of a stream
    pass


class EventStream:
    """One stream to one client."""

    def __init__(
        self,
        binding: Binding,
        backend: Backend,
        limits: Limits,
        draining: asyncio.Event,
        request: Request,
    ) -> None:
        self._binding = binding
        self._policy = binding.policy
        self._backend = backend
        self._draining = draining
        self._request = request
        self._heartbeat = min(limits.sse_heartbeat, self._policy.stream_idle / 2)
        self._until = time.monotonic() + self._policy.stream_total
        self._items: asyncio.Queue[Message | BaseException] = asyncio.Queue(maxsize=16)
        self._pump: asyncio.Task[None] | None = None

    async def begin(self, message: Message) -> Answer:
        """Opens the stream. What the backend refuses at once is raised; so is nothing that comes later."""
        if self._request.head:
            return Answer(self._policy.status, list(_HEADERS))
        self._pump = asyncio.create_task(self._read(message))
        first: Message | BaseException | None = None
        try:
            async with asyncio.timeout(min(_FIRST_WAIT, self._heartbeat)):
                first = await self._items.get()
        except TimeoutError:
            pass
        except BaseException:
            self._pump.cancel()
            raise
        if isinstance(first, BaseException) and not isinstance(first, _End):
            self._pump.cancel()
            raise first

        async def send_events(send: Send) -> None:
            await self._send(send, first)

        return Answer(self._policy.status, list(_HEADERS), stream=send_events)

    async def _read(self, message: Message) -> None:
        try:
            with call_scope(identity=self._request.identity, timeout=self._policy.stream_total):
                stream: AsyncIterator[Message] = self._backend.open_stream(self._policy, message)
                try:
                    async for item in stream:
                        await self._items.put(item)
                finally:
                    close = getattr(stream, "aclose", None)
                    if close is not None:
                        await close()
            await self._items.put(_End())
        except Exception as error:  # noqa: BLE001 - handed to whoever sends, who says it to the client
            await self._items.put(error)

    async def _send(self, send: Send, first: Message | BaseException | None) -> None:
        assert self._pump is not None  # noqa: S101 - begin() made it
        sender = asyncio.create_task(self._send_all(send, first))
        leaving = asyncio.create_task(self._client_leaves())
        try:
            await asyncio.wait((sender, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sender, leaving, self._pump):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pump
        if sender.done() and not sender.cancelled():
            sender.result()

    async def _client_leaves(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass

    async def _send_all(self, send: Send, first: Message | BaseException | None) -> None:
        number = 0
        drained = asyncio.create_task(self._draining.wait())
        await _event(send, f"retry: {_RETRY_MILLISECONDS}\n\n".encode())
        item: Message | BaseException | None = first
        try:
            while True:
                if isinstance(item, Message):
                    number += 1
                    body, _ = self._binding.answer(item)
                    await _event(send, b"id: %d\nevent: message\ndata: %b\n\n" % (number, body))
                elif item is not None:
                    await _event(send, self._last(item))
                    break
                else:
                    await _event(send, b": still here\n\n")
                item = await self._next(drained)
        finally:
            drained.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self, drained: "asyncio.Task[bool]") -> Message | BaseException | None:
        """The next item; None when it is time for a sign of life."""
        left = self._until - time.monotonic()
        if left <= 0 or drained.done():
            return _End()
        getter = asyncio.create_task(self._items.get())
        try:
            await asyncio.wait(
                (getter, drained), timeout=min(left, self._heartbeat), return_when=asyncio.FIRST_COMPLETED
            )
            if getter.done():
                return getter.result()
            if drained.done() or time.monotonic() >= self._until:
                return _End()
            return None
        finally:
            getter.cancel()

    def _last(self, item: BaseException) -> bytes:
        if isinstance(item, _End):
            return b"event: end\ndata: {}\n\n"
        trace = telemetry.current_trace()
        problem = self._problem(item)
        return b"event: problem\ndata: %b\n\n" % orjson.dumps(problem.document(trace.trace_id if trace else ""))

    def _problem(self, error: BaseException) -> Problem:
        if isinstance(error, Refusal):
            return from_refusal(error)
        if isinstance(error, TimeoutError):
            return from_refusal(Refusal(PlatformReason.DEADLINE_EXCEEDED, "the stream stood still for too long"))
        log.error("a stream failed", method=self._policy.full_name, exc_info=error)
        return internal()


async def _event(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})
