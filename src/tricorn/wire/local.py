"""The way to an implementation in the same process. Messages are copied, so that nobody changes what another holds."""

from collections.abc import AsyncIterator

from google.protobuf.message import Message

from tricorn.contract import MethodPolicy
from tricorn.wire.call import Call
from tricorn.wire.service import Service


class LocalChannel:
    def __init__(self, service: Service) -> None:
        self._service = service
        self.target = "this process"

    async def unary(self, policy: MethodPolicy, request: Message | AsyncIterator[Message], call: Call) -> Message:
        return _copy(await self._service.serve(policy.full_name, _copied(request), call))

    async def stream(
        self, policy: MethodPolicy, request: Message | AsyncIterator[Message], call: Call
    ) -> AsyncIterator[Message]:
        answers = self._service.serve_stream(policy.full_name, _copied(request), call)
        try:
            async for answer in answers:
                yield _copy(answer)
        finally:
            await answers.aclose()


def _copied(request: Message | AsyncIterator[Message]) -> Message | AsyncIterator[Message]:
    return _copy(request) if isinstance(request, Message) else _copy_each(request)


async def _copy_each(requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
    async for request in requests:
        yield _copy(request)


def _copy(message: Message) -> Message:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
