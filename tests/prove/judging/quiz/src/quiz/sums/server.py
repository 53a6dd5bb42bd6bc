"""The contract of sums."""

import uuid

from quiz_proto.sums.v1 import sums_pb2 as pb
from quiz_proto.sums.v1.sums_tricorn import NamesServiceBase, SumsServiceBase

from quiz.sums.rules import divided, mean
from tricorn.contract import PlatformReason, Refusal
from tricorn.host import Host
from tricorn.wire import Call

REFUSED = 13


class SumsServer(SumsServiceBase):
    async def add(self, request: pb.AddRequest, call: Call) -> pb.AddResponse:
        if request.divisor == REFUSED:
            raise Refusal(PlatformReason.PRECONDITION_FAILED, "not by thirteen", metadata={"divisor": "13"})
        total = sum(request.values)
        return pb.AddResponse(
            sum=total,
            quotient=divided(total, request.divisor, request.rounding == pb.ROUNDING_UP),
            mean=mean(list(request.values)),
            shares={str(value): value / total for value in request.values if total},
            stamp=str(uuid.uuid4()),
        )

    async def keep(self, request: pb.AddRequest, call: Call) -> pb.AddResponse:
        return await self.add(request, call)

    async def follow(self, request: pb.AddRequest, call: Call):  # noqa: ANN201 - as its base
        yield await self.add(request, call)


class NamesServer(NamesServiceBase):
    async def shuffle(self, request: pb.ShuffleRequest, call: Call) -> pb.ShuffleResponse:
        return pb.ShuffleResponse(names=set(request.names))

    async def reverse(self, request: pb.ShuffleRequest, call: Call) -> pb.ShuffleResponse:
        return pb.ShuffleResponse(names=reversed(request.names))


def register(host: Host) -> None:
    host.serve(SumsServer())
    host.serve(NamesServer())
